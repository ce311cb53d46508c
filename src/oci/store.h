/*
 * The files of an image on disk, in a directory or in a tar archive, seen the same: a path names a
 * window of an open file.  Both are opened once and only read then; any thread may.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/input.h"
#include "base/mem.h"
#include "base/stream.h"

struct store_file {
	int fd; /* the caller's to close */
	uint64_t offset;
	uint64_t size;
};

struct store;

struct store_ops {
	int (*open)(struct store *, const char *path, struct store_file *, struct err *);
	void (*free)(struct store *);
};

struct store {
	const struct store_ops *ops; /* borrowed, static */
};

/* -ENOENT; -EINVAL PATH is no directory (the text says what it may be). */
MUST_USE int store_open_directory(struct store **out, const char *path, struct err *err);

/*
 * A tar archive, read through once for its members: the last of two with one name counts, links are
 * followed inside the archive only.  A gzip or zstd archive is decoded into an unnamed file first
 * (in $TMPDIR, else /var/tmp).
 */
MUST_USE int store_open_archive(struct store **out, const char *path, struct err *err);

/* A regular file.  -ENOENT nothing of that name; -EBADMSG it is something else than a file. */
MUST_USE int store_open(struct store *store, const char *path, struct store_file *out,
			struct err *err);

bool store_has(struct store *store, const char *path);

/* The same as a stream; its size must be SIZE unless that is UINT64_MAX, else -EBADMSG. */
MUST_USE int store_stream(struct store *store, const char *path, uint64_t size, struct stream **out,
			  struct err *err);

/* [OFFSET, OFFSET+LENGTH) of a file of SIZE bytes (-EBADMSG when it has others), as a stream. */
MUST_USE int store_range(struct store *store, const char *path, uint64_t size, uint64_t offset,
			 uint64_t length, struct stream **out, struct err *err);

/* The same at any offset; NULL where store_range would fail. */
struct input *store_input(struct store *store, const char *path, uint64_t size);

/* A whole file of at most MAX_BYTES (-E2BIG), NUL-terminated, yours to free. */
MUST_USE int store_read(struct store *store, const char *path, size_t max_bytes, char **out,
			size_t *size, struct err *err);

void store_free(struct store *store);
DEFINE_AUTO(store)

/* A temporary file without a name, in $TMPDIR, else /var/tmp. */
MUST_USE int spool_open(struct err *err);

/*
 * The bytes of FD ([0, SIZE), compressed by gzip or zstd) decoded into an unnamed file of mode
 * 0600; *out is its descriptor.
 */
MUST_USE int spool_decoded(int *out, int fd, uint64_t size, struct err *err);
