/*
 * What the dynamic linker will want next: the libraries a program or library names, its
 * interpreter, and which parts of it are read before its first instruction runs.  Little-endian ELF
 * of 32 and 64 bits; read from an image, so nothing in it is believed.
 */
#pragma once

#include "base/input.h"

#define ELF_NEEDED_MAX 64
#define ELF_RANGES_MAX 8
#define ELF_NAME_MAX_BYTES 256

struct elf_range {
	uint64_t offset, size; /* inside the file, size > 0 */
};

struct elf {
	char *interpreter;	      /* owned or NULL: a path */
	char *run_path;		      /* owned or NULL: directories, with colons between them */
	char *needed[ELF_NEEDED_MAX]; /* owned: names, or paths when they have a slash */
	size_t needed_count;
	struct elf_range ranges[ELF_RANGES_MAX]; /* symbols and relocations; what is relocated */
	size_t range_count;
};
void elf_release(struct elf *elf);

/* -EBADMSG for what is no ELF file or none of these; else as input_read. */
MUST_USE int elf_read(struct elf *out, struct input *input, struct err *err);

/*
 * The path that ld.so.cache (DATA, of glibc) has for library NAME, not longer than SIZE - 1, into
 * OUT: the first one after SKIP others; false when there is none.
 */
bool elf_cached_library(const void *data, size_t data_size, const char *name, size_t skip,
			char *out, size_t size);
