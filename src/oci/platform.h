/*
 * Platforms: os/arch[/variant] with the usual names (image-spec image-index.md; containerd's
 * normalising: x86_64 = amd64, aarch64 = arm64, armhf = arm/v7; arm64 without variant = v8, arm
 * without variant = v7).
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct platform {
	char os[32];
	char architecture[32];
	char variant[32]; /* "" when none */
};

/* "linux/arm64/v8", "linux/arm64", "arm64", "arm64/v8" (the host's os), "windows" (its
 * architecture). */
MUST_USE int platform_parse(struct platform *out, const char *text, struct err *err);
/* From separate fields, any of them NULL: missing ones from FALLBACK; "arm64/v8" as architecture
 * works. */
MUST_USE int platform_from(struct platform *out, const char *os, const char *architecture,
			   const char *variant, const struct platform *fallback, struct err *err);
void platform_host(struct platform *out);
/*
 * How well an image of platform HAVE serves WANTED: 0 not at all, higher is better (exact variant
 * first; then older compatible variants: arm v7 takes v6 and v5, amd64 v3 takes v2 and v1; never
 * newer ones).
 */
int platform_match(const struct platform *have, const struct platform *wanted);
struct platform_text {
	char text[100];
};
struct platform_text platform_format(const struct platform *p); /* "linux/arm64/v8" */
