/*
 * Three tables of an ELF file are looked at: the header, the segments, the dynamic section.
 * (System V ABI, "Object Files"; "Dynamic Linking".)  Used by lazy-ahead.c to fetch what a program
 * needs before it asks, so a wrong answer costs bytes, never a wrong byte.
 */
#include "image/elf.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/mem.h"

#define SEGMENTS_MAX 64u
#define DYNAMIC_MAX_BYTES (64u * 1024)
#define CACHE_MAGIC "glibc-ld.so.cache1.1"
#define CACHE_HEADER_BYTES 48u
#define CACHE_ENTRY_BYTES 24u

struct segment {
	uint32_t type, flags;
	uint64_t offset, address, size; /* size: in the file */
};

struct reader {
	struct input *input; /* borrowed */
	bool wide;	     /* 64 bits */
	uint64_t table;	     /* of segments */
	uint32_t segment_bytes, segment_count;
	struct segment segments[SEGMENTS_MAX];
	uint64_t strings, run_path; /* file offset; offset in the strings or UINT64_MAX */
	uint64_t needed[ELF_NEEDED_MAX];
	size_t needed_count;
};

void elf_release(struct elf *elf)
{
	free(elf->interpreter);
	free(elf->run_path);
	for (size_t i = 0; i < elf->needed_count; i++)
		free(elf->needed[i]);
	*elf = (struct elf){ 0 };
}

static uint64_t word(const struct reader *r, struct cursor *c)
{
	return r->wide ? cursor_le64(c) : cursor_le32(c);
}

static int read_header(struct reader *r, struct err *err)
{
	uint8_t header[sizeof(Elf64_Ehdr)];
	int code = input_read(r->input, header, sizeof(header), 0, err);
	if (code < 0)
		return code;
	if (memcmp(header, ELFMAG, SELFMAG) != 0 || header[EI_DATA] != ELFDATA2LSB ||
	    (header[EI_CLASS] != ELFCLASS32 && header[EI_CLASS] != ELFCLASS64))
		return err_set(err, EBADMSG, "no ELF file of this kind");
	struct cursor c = cursor_of(header, sizeof(header));
	r->wide = header[EI_CLASS] == ELFCLASS64;
	(void)cursor_take(&c, EI_NIDENT + 8); /* type, machine, version */
	(void)word(r, &c);		      /* entry */
	r->table = word(r, &c);
	(void)word(r, &c);	  /* table of sections */
	(void)cursor_take(&c, 6); /* flags, size of the header */
	r->segment_bytes = cursor_le16(&c);
	r->segment_count = cursor_le16(&c);
	if (r->segment_bytes != (r->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) ||
	    r->segment_count > SEGMENTS_MAX)
		return err_set(err, EBADMSG, "%u segments of %u bytes", r->segment_count,
			       r->segment_bytes);
	return 0;
}

static struct segment parse_segment(const struct reader *r, struct cursor c)
{
	struct segment s = { .type = cursor_le32(&c) };
	if (r->wide)
		s.flags = cursor_le32(&c);
	s.offset = word(r, &c);
	s.address = word(r, &c);
	(void)word(r, &c); /* physical address */
	s.size = word(r, &c);
	(void)word(r, &c); /* in memory */
	if (!r->wide)
		s.flags = cursor_le32(&c);
	return s;
}

static int read_segments(struct reader *r, struct err *err)
{
	uint8_t table[SEGMENTS_MAX * sizeof(Elf64_Phdr)];
	size_t size = (size_t)r->segment_count * r->segment_bytes;
	int code = input_read(r->input, table, size, r->table, err);
	for (uint32_t i = 0; code == 0 && i < r->segment_count; i++)
		r->segments[i] = parse_segment(
			r, cursor_of(table + (size_t)i * r->segment_bytes, r->segment_bytes));
	return code;
}

static const struct segment *find_segment(const struct reader *r, uint32_t type)
{
	for (uint32_t i = 0; i < r->segment_count; i++)
		if (r->segments[i].type == type)
			return &r->segments[i];
	return NULL;
}

/* Where in the file an address is; UINT64_MAX: nowhere. */
static uint64_t offset_of(const struct reader *r, uint64_t address)
{
	for (uint32_t i = 0; i < r->segment_count; i++) {
		const struct segment *s = &r->segments[i];
		if (s->type == PT_LOAD && address >= s->address && address - s->address < s->size &&
		    s->offset < r->input->size)
			return s->offset + (address - s->address);
	}
	return UINT64_MAX;
}

static void parse_dynamic(struct reader *r, struct cursor c)
{
	for (;;) {
		uint64_t tag = word(r, &c), value = word(r, &c);
		if (c.bad || tag == DT_NULL)
			return;
		if (tag == DT_NEEDED && r->needed_count < ELF_NEEDED_MAX)
			r->needed[r->needed_count++] = value;
		if (tag == DT_STRTAB)
			r->strings = offset_of(r, value);
		if (tag == DT_RUNPATH || (tag == DT_RPATH && r->run_path == UINT64_MAX))
			r->run_path = value;
	}
}

static int read_dynamic(struct reader *r, struct err *err)
{
	const struct segment *s = find_segment(r, PT_DYNAMIC);
	r->strings = r->run_path = UINT64_MAX;
	if (!s)
		return 0;
	if (s->size > DYNAMIC_MAX_BYTES)
		return err_set(err, EBADMSG, "a dynamic section of %llu bytes",
			       (unsigned long long)s->size);
	auto_free uint8_t *bytes = mem_new((size_t)s->size + 1);
	int code = input_read(r->input, bytes, (size_t)s->size, s->offset, err);
	if (code == 0)
		parse_dynamic(r, cursor_of(bytes, (size_t)s->size));
	return code;
}

/* The text at OFFSET of the file, owned by the caller; NULL where there is none that is short. */
static char *read_text(const struct reader *r, uint64_t offset)
{
	char text[ELF_NAME_MAX_BYTES];
	uint64_t left = offset < r->input->size ? r->input->size - offset : 0;
	size_t size = left < sizeof(text) ? (size_t)left : sizeof(text);
	if (size == 0 || input_read(r->input, text, size, offset, NULL) < 0 ||
	    !memchr(text, '\0', size) || text[0] == '\0')
		return NULL;
	return mem_strdup(text);
}

static char *read_string(const struct reader *r, uint64_t offset)
{
	uint64_t at = 0;
	if (r->strings == UINT64_MAX || !add_ok(r->strings, offset, &at))
		return NULL;
	return read_text(r, at);
}

static void add_range(struct elf *out, const struct reader *r, uint64_t offset, uint64_t size)
{
	uint64_t all = r->input->size;
	if (offset >= all || size == 0 || out->range_count == ELF_RANGES_MAX)
		return;
	size = size < all - offset ? size : all - offset;
	out->ranges[out->range_count++] = (struct elf_range){ offset, size };
}

/* From the start to the first code; and what is written to. */
static void list_ranges(struct elf *out, const struct reader *r)
{
	uint64_t code = r->input->size;
	for (uint32_t i = 0; i < r->segment_count; i++) {
		const struct segment *s = &r->segments[i];
		if (s->type == PT_LOAD && s->flags & PF_X && s->offset < code)
			code = s->offset;
		if (s->type == PT_LOAD && s->flags & PF_W)
			add_range(out, r, s->offset, s->size);
	}
	add_range(out, r, 0, code);
}

int elf_read(struct elf *out, struct input *input, struct err *err)
{
	struct reader r = { .input = input };
	int code = read_header(&r, err);
	if (code == 0)
		code = read_segments(&r, err);
	if (code == 0)
		code = read_dynamic(&r, err);
	if (code < 0)
		return code;
	*out = (struct elf){ 0 };
	list_ranges(out, &r);
	const struct segment *interpreter = find_segment(&r, PT_INTERP);
	if (interpreter)
		out->interpreter = read_text(&r, interpreter->offset);
	if (r.run_path != UINT64_MAX)
		out->run_path = read_string(&r, r.run_path);
	for (size_t i = 0; i < r.needed_count; i++) {
		char *name = read_string(&r, r.needed[i]);
		if (name)
			out->needed[out->needed_count++] = name;
	}
	return 0;
}

/* The text at OFFSET of the cache, or NULL. */
static const char *cached_text(const uint8_t *cache, size_t size, uint32_t offset)
{
	return offset < size && memchr(cache + offset, '\0', size - offset)
		       ? (const char *)cache + offset
		       : NULL;
}

bool elf_cached_library(const void *data, size_t data_size, const char *name, size_t skip,
			char *out, size_t size)
{
	/* older glibc has another table in front, which says the same */
	const uint8_t *cache = memmem(data, data_size, CACHE_MAGIC, strlen(CACHE_MAGIC));
	if (!cache)
		return false;
	size_t cache_size = data_size - (size_t)(cache - (const uint8_t *)data);
	struct cursor c = cursor_of(cache, cache_size);
	(void)cursor_take(&c, strlen(CACHE_MAGIC));
	uint32_t count = cursor_le32(&c);
	(void)cursor_take(&c, CACHE_HEADER_BYTES - strlen(CACHE_MAGIC) - 4);
	for (uint32_t i = 0; i < count && !c.bad; i++) {
		(void)cursor_le32(&c); /* flags */
		uint32_t key = cursor_le32(&c), value = cursor_le32(&c);
		(void)cursor_take(&c, CACHE_ENTRY_BYTES - 12);
		const char *found = cached_text(cache, cache_size, key);
		const char *path = cached_text(cache, cache_size, value);
		if (c.bad || !found || !path || strcmp(found, name) != 0 || skip-- > 0)
			continue;
		if (strlen(path) >= size)
			return false;
		memcpy(out, path, strlen(path) + 1);
		return true;
	}
	return false;
}
