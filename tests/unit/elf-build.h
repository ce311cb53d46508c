/* A small shared library of 64 bits, for tests: everything lies in its first KiB. */
#pragma once

#include <elf.h>
#include <string.h>

#define ELF_BUILD_BYTES 1024u
#define ELF_BUILD_ADDRESS 0x400000u
#define ELF_BUILD_STRINGS 512u
#define ELF_BUILD_DYNAMIC 768u

struct elf_build {
	unsigned char bytes[ELF_BUILD_BYTES];
};

static inline struct elf_build elf_build(void)
{
	static const char strings[] = "\0libfirst.so.1\0./second.so\0/opt/lib:/srv";
	static const char interpreter[] = "/lib/ld-test.so.2";
	struct elf_build b = { { 0 } };
	Elf64_Ehdr header = { .e_ident = ELFMAG,
			      .e_type = ET_DYN,
			      .e_phoff = sizeof(header),
			      .e_phentsize = sizeof(Elf64_Phdr),
			      .e_phnum = 4 };
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	const Elf64_Phdr segments[] = {
		{ .p_type = PT_LOAD,
		  .p_flags = PF_R | PF_X,
		  .p_offset = 448,
		  .p_vaddr = ELF_BUILD_ADDRESS + 448,
		  .p_filesz = 256 },
		{ .p_type = PT_LOAD,
		  .p_flags = PF_R | PF_W,
		  .p_offset = ELF_BUILD_DYNAMIC,
		  .p_vaddr = 2 * ELF_BUILD_ADDRESS,
		  .p_filesz = 200 },
		{ .p_type = PT_DYNAMIC, .p_offset = ELF_BUILD_DYNAMIC, .p_filesz = 128 },
		{ .p_type = PT_INTERP, .p_offset = 400, .p_filesz = sizeof(interpreter) },
	};
	const Elf64_Dyn dynamic[] = {
		{ DT_NEEDED, { 1 } },
		{ DT_NEEDED, { 15 } },
		{ DT_STRTAB, { ELF_BUILD_ADDRESS + ELF_BUILD_STRINGS } },
		{ DT_RUNPATH, { 27 } },
		{ DT_NULL, { 0 } },
		{ DT_NEEDED, { 1 } }, /* behind the end */
	};
	memcpy(b.bytes, &header, sizeof(header));
	memcpy(b.bytes + sizeof(header), segments, sizeof(segments));
	memcpy(b.bytes + 400, interpreter, sizeof(interpreter));
	memcpy(b.bytes + ELF_BUILD_STRINGS, strings, sizeof(strings));
	memcpy(b.bytes + ELF_BUILD_DYNAMIC, dynamic, sizeof(dynamic));
	return b;
}
