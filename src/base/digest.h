/*
 * Content digests, "sha256:<64 lower-case hex>" or "sha512:<128>".  OCI image-spec descriptor.md.
 * A digest is its raw bytes; file names and URLs are made from them, never from the text received.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define DIGEST_BYTES_MAX 64
#define DIGEST_TEXT_MAX (8 + 2 * DIGEST_BYTES_MAX)

enum digest_algorithm {
	DIGEST_NONE = 0, /* "not known": a zeroed struct digest */
	DIGEST_SHA256,
	DIGEST_SHA512,
};

struct digest {
	enum digest_algorithm algorithm;
	uint8_t bytes[DIGEST_BYTES_MAX]; /* the first 32 or 64 count, the rest is zero */
};

struct digest_text {
	char text[DIGEST_TEXT_MAX];
};

/* -EINVAL when TEXT is not exactly one well-formed digest; names the text, escaped. */
MUST_USE int digest_parse(struct digest *out, const char *text, struct err *err);
bool digest_equal(const struct digest *a, const struct digest *b);
/* Some order, for sorting: < 0, 0, > 0. */
int digest_compare(const struct digest *a, const struct digest *b);
bool digest_known(const struct digest *d);
/* "sha256" | "sha512" */
const char *digest_algorithm_name(const struct digest *d);
/* "sha256:ab.." ; lives as long as the expression with digest_show(d). */
struct digest_text digest_format(const struct digest *d);
#define digest_show(d) (digest_format(d).text)
/* Only the hex part. */
struct digest_text digest_hex(const struct digest *d);

/* Digest of one buffer. */
void digest_of(struct digest *out, enum digest_algorithm algorithm, const void *data, size_t size);

/* HMAC-SHA256 (RFC 2104). */
void digest_hmac(struct digest *out, const void *key, size_t key_size, const void *data,
		 size_t size);

/* Digest of a stream of pieces. */
struct hasher;
struct hasher *hasher_new(enum digest_algorithm algorithm); /* never NULL */
void hasher_add(struct hasher *hasher, const void *data, size_t size);
/* May be called once; the hasher can only be freed afterwards. */
void hasher_finish(struct hasher *hasher, struct digest *out);
void hasher_free(struct hasher *hasher);
DEFINE_AUTO(hasher)
