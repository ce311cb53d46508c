/* How the differences of two images look. */
#pragma once

#include "cmd/print.h"
#include "image/compare.h"

struct diff_printer {
	struct print *print;	    /* borrowed */
	const struct rootfs *a, *b; /* borrowed */
	bool json, names_only;
};

/* A line: "changed  1.3K  /etc/passwd  content 1.2K -> 1.3K, mode 0644 -> 0600". */
void diff_print(const struct diff_printer *printer, const struct difference *difference);
