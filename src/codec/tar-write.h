/*
 * Writing a ustar archive to a descriptor, reproducibly: owners 0, mtime 0, no extension headers
 * unless a name or size needs one (PAX).  For the docker-save style archive of `in` and for tests.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct tar_writer;
struct tar_writer *tar_writer_new(int fd); /* borrows fd */
void tar_writer_free(struct tar_writer *writer);
DEFINE_AUTO(tar_writer)

/* A regular file's header; then exactly SIZE bytes by tar_writer_data. */
MUST_USE int tar_writer_file(struct tar_writer *writer, const char *name, uint32_t mode,
			     uint64_t size, struct err *err);
MUST_USE int tar_writer_data(struct tar_writer *writer, const void *data, size_t size,
			     struct err *err);
/* The two zero blocks. */
MUST_USE int tar_writer_finish(struct tar_writer *writer, struct err *err);
