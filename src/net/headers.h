/*
 * The header lines of the answers to one request, as they arrive: limits are counted over all of
 * them, the lines kept are those of the last answer.  Trailers are counted and dropped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define HEADERS_MAX_BYTES (300u * 1024)
#define HEADERS_MAX_LINES 1000u
#define HEADERS_MAX_INFORMATIONAL 16u

struct headers {
	struct str text;	/* "Name: value", each with a NUL */
	size_t bytes;		/* of all answers */
	unsigned lines;		/* of all answers */
	unsigned informational; /* answers 1xx */
	int status;		/* of the last answer */
	bool inside;		/* between a status line and its blank line */
	bool complete;		/* the final answer is here; nothing changes any more */
};

void headers_init(struct headers *headers);
void headers_release(struct headers *headers);

/* Take one line with its line end.  NULL, or what is wrong with it ("sent ..."; static text). */
const char *headers_add(struct headers *headers, const char *line, size_t size);

/* Value of the I-th header of that name (any case), or NULL.  Borrowed. */
const char *headers_get(const struct headers *headers, const char *name, size_t i);

/*
 * Length of the body by Content-Length, UINT64_MAX when there is none or Transfer-Encoding decides
 * (RFC 9112 section 6.3).  False when it is no number, or there are several.
 */
bool headers_content_length(const struct headers *headers, uint64_t *out);

/* The body is as it is meant: no Content-Encoding, or identity. */
bool headers_is_identity(const struct headers *headers);
