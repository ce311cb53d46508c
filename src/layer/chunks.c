/*
 * Chunks in, spans and extents out.  Chunks are kept in the order of their files; one sort by place
 * in the blob gives the order of the spans, one pass over the files their extents.
 */
#include "layer/chunks.h"

#include <errno.h>
#include <stdlib.h>

#include "base/esc.h"
#include "layer/jtoc.h"

#define PAGE_BYTES 4096u
#define LANDMARK ".prefetch.landmark"
#define NO_LANDMARK ".no.prefetch.landmark"

struct kept {
	uint64_t blob_offset, blob_end, skip;
	uint64_t file_offset, stream_offset;
	uint64_t size;
	uint32_t file;
	bool zeros;
	uint8_t digest[32];
};

struct file {
	uint32_t entry; /* in the toc, UINT32_MAX: a marker, whose bytes nobody sees */
	uint64_t size;
	uint64_t blob_end;   /* of its last chunk; 0: not said */
	size_t first, count; /* kept chunks */
	bool landmark;
};

struct chunks {
	struct chunks_options options;
	struct table_builder *builder; /* owned */
	struct file *files;	       /* owned */
	struct kept *kept;	       /* owned */
	size_t file_count, file_capacity, kept_count, kept_capacity;
	size_t *order; /* owned; numbers of kept chunks that are no zeros, by place in the blob */
	size_t order_count;
	char *name;	  /* owned; of the last file, as written */
	uint64_t covered; /* bytes of the last file that its chunks make up */
	bool open;	  /* the last entry is a file with bytes */
	bool no_landmark;
};

struct chunks *chunks_new(const struct chunks_options *options)
{
	return mem_make(struct chunks, .options = *options,
			.builder = table_builder_new(options->kind));
}

void chunks_free(struct chunks *chunks)
{
	if (!chunks)
		return;
	table_builder_free(chunks->builder);
	free(chunks->files);
	free(chunks->kept);
	free(chunks->order);
	free(chunks->name);
	free(chunks);
}

static struct file *last_file(struct chunks *c)
{
	return &c->files[c->file_count - 1];
}

/* A chunk ends where the next of its file begins, whether or not that one has bytes. */
static void end_chunks(struct chunks *c, const struct file *file)
{
	struct kept *kept = c->kept + file->first;
	for (size_t i = 0; i < file->count; i++) {
		bool last = i + 1 == file->count;
		uint64_t end = last ? file->blob_end : kept[i + 1].blob_offset;
		if (kept[i].blob_end == 0 && end > kept[i].blob_offset)
			kept[i].blob_end = end;
	}
}

/* The file before is complete, or should be. */
static int close_file(struct chunks *c, struct err *err)
{
	if (!c->open)
		return 0;
	end_chunks(c, last_file(c));
	if (c->covered != last_file(c)->size)
		return err_set(err, EBADMSG, "the file before has chunks of %llu bytes, not %llu",
			       (unsigned long long)c->covered,
			       (unsigned long long)last_file(c)->size);
	c->open = false;
	return 0;
}

static void open_file(struct chunks *c, uint32_t index, const struct tar_entry *entry)
{
	struct toc *toc = table_builder_toc(c->builder);
	const struct toc_entry *e = index != UINT32_MAX ? toc_at(toc, index) : NULL;
	struct file file = { .entry = UINT32_MAX, .size = entry->size, .first = c->kept_count };
	if (e && e->kind == TOC_FILE) {
		const char *path = toc_string(toc, e->path);
		file.entry = index;
		file.landmark = strcmp(path, LANDMARK) == 0;
		c->no_landmark |= strcmp(path, NO_LANDMARK) == 0;
	}
	c->files = mem_grow(c->files, &c->file_capacity, c->file_count, sizeof(*c->files));
	c->files[c->file_count++] = file;
	free(c->name);
	c->name = mem_strdup(entry->path);
	c->covered = 0;
	c->open = true;
}

int chunks_entry(struct chunks *chunks, const struct tar_entry *entry, struct err *err)
{
	uint32_t index = UINT32_MAX;
	int r = close_file(chunks, err);
	if (r == 0)
		r = toc_add(table_builder_toc(chunks->builder), entry, &index, err);
	if (r == 0 && entry->type == TAR_FILE && entry->size > 0)
		open_file(chunks, index, entry);
	return r;
}

static int check_chunk(const struct chunks *c, const struct chunk *chunk, struct err *err)
{
	if (!c->open)
		return err_set(err, EBADMSG, "a chunk that belongs to no file");
	uint64_t left = c->files[c->file_count - 1].size - c->covered;
	if (chunk->file_offset != c->covered || chunk->size == 0 || chunk->size > left)
		return err_set(err, EBADMSG, "%llu bytes at %llu are not its next chunk",
			       (unsigned long long)chunk->size,
			       (unsigned long long)chunk->file_offset);
	if (chunk->zeros)
		return 0;
	if (chunk->size > TABLE_SPAN_MAX_BYTES)
		return err_set(err, E2BIG, "a chunk of %llu bytes",
			       (unsigned long long)chunk->size);
	if (chunk->digest.algorithm != DIGEST_SHA256)
		return err_set(err, EBADMSG, "a chunk without a digest");
	if (chunk->blob_end != 0 && chunk->blob_end <= chunk->blob_offset)
		return err_set(err, EBADMSG, "a chunk that ends where it begins");
	return 0;
}

int chunks_add(struct chunks *chunks, const struct chunk *chunk, struct err *err)
{
	struct chunks *c = chunks;
	int r = check_chunk(c, chunk, err);
	if (r < 0)
		return r;
	if (c->kept_count >= TABLE_SPANS_MAX)
		return err_set(err, E2BIG, "more than %u chunks", TABLE_SPANS_MAX);
	struct kept kept = {
		.blob_offset = chunk->blob_offset,
		.blob_end = chunk->blob_end,
		.skip = chunk->skip,
		.file_offset = chunk->file_offset,
		.size = chunk->size,
		.file = (uint32_t)(c->file_count - 1),
		.zeros = chunk->zeros || last_file(c)->entry == UINT32_MAX,
	};
	memcpy(kept.digest, chunk->digest.bytes, sizeof(kept.digest));
	c->kept = mem_grow(c->kept, &c->kept_capacity, c->kept_count, sizeof(*c->kept));
	c->kept[c->kept_count++] = kept;
	last_file(c)->count++;
	c->covered += chunk->size;
	return 0;
}

/* Where a chunk of a JSON entry lies. */
static int add_json_chunk(struct chunks *c, const struct jtoc_entry *e, struct err *err)
{
	uint64_t size = last_file(c)->size;
	if (e->chunk_offset > size)
		return err_set(err, EBADMSG, "a chunk behind the end of its file");
	struct chunk chunk = {
		.blob_offset = e->offset,
		.skip = e->inner_offset,
		.file_offset = e->chunk_offset,
		.size = e->chunk_size ? e->chunk_size : size - e->chunk_offset,
		.zeros = e->zeros,
		.digest = e->chunk_digest,
	};
	bool whole = chunk.file_offset == 0 && chunk.size == size;
	if (!digest_known(&chunk.digest) && whole)
		chunk.digest = e->digest;
	if (e->offset >= c->options.payload_end || e->end_offset > c->options.payload_end)
		return err_set(err, EBADMSG, "a chunk outside of the layer's data");
	if (e->end_offset != 0 && e->end_offset <= e->offset)
		return err_set(err, EBADMSG, "it ends before it begins");
	if (!e->chunk) /* at the first chunk stands the end of the last */
		last_file(c)->blob_end = e->end_offset;
	return chunks_add(c, &chunk, err);
}

int chunks_json(void *arg, const struct json_value *value, struct err *err)
{
	struct chunks *c = arg;
	struct jtoc_entry e;
	int r = jtoc_parse(&e, value, err);
	if (r < 0)
		return r;
	if (!e.chunk)
		r = chunks_entry(c, &e.tar, err);
	else if (!c->open || (*e.tar.path && strcmp(e.tar.path, c->name) != 0))
		r = err_set(err, EBADMSG, "a chunk that does not follow its file");
	if (r == 0 && c->open)
		r = add_json_chunk(c, &e, err);
	if (r < 0)
		r = err_wrap(err, r, "'%s'", esc(e.tar.path));
	jtoc_entry_release(&e);
	return r;
}

static int by_place(const void *a, const void *b, void *kept)
{
	const struct kept *x = (struct kept *)kept + *(const size_t *)a;
	const struct kept *y = (struct kept *)kept + *(const size_t *)b;
	if (x->blob_offset != y->blob_offset)
		return x->blob_offset < y->blob_offset ? -1 : 1;
	return (x->skip > y->skip) - (x->skip < y->skip);
}

static void sort(struct chunks *c)
{
	c->order = mem_new((c->kept_count + 1) * sizeof(*c->order));
	for (size_t i = 0; i < c->kept_count; i++)
		if (!c->kept[i].zeros)
			c->order[c->order_count++] = i;
	qsort_r(c->order, c->order_count, sizeof(*c->order), by_place, c->kept);
}

/* Ends that nothing said; and no chunk may go on where another one begins. */
static int end_ranges(struct chunks *c, struct err *err)
{
	uint64_t next = UINT64_MAX, payload_end = c->options.payload_end;
	for (size_t i = c->order_count; i > 0; i--) {
		struct kept *k = &c->kept[c->order[i - 1]];
		const struct kept *behind = i < c->order_count ? &c->kept[c->order[i]] : NULL;
		if (behind && behind->blob_offset != k->blob_offset)
			next = behind->blob_offset;
		uint64_t limit = next;
		if (k->blob_offset < payload_end && payload_end < limit)
			limit = payload_end;
		if (k->blob_end == 0)
			k->blob_end = limit;
		if (k->blob_end > limit)
			return err_set(err, EBADMSG, "two chunks at %llu of the blob",
				       (unsigned long long)next);
	}
	return 0;
}

static uint64_t page_place(uint64_t at, uint64_t file_offset)
{
	return at + -at % PAGE_BYTES + file_offset % PAGE_BYTES;
}

/* Stream offsets, in the order of the blob. */
static int lay_out(struct chunks *c, struct err *err)
{
	uint64_t at = 0;
	const struct kept *before = NULL;
	for (size_t i = 0; i < c->order_count; i++) {
		struct kept *k = &c->kept[c->order[i]];
		bool goes_on = before && before->file == k->file &&
			       before->file_offset + before->size == k->file_offset;
		if (before && before->blob_offset == k->blob_offset &&
		    before->skip + before->size > k->skip)
			return err_set(err, EBADMSG, "two chunks share bytes at %llu of the blob",
				       (unsigned long long)k->blob_offset);
		k->stream_offset = goes_on ? at : page_place(at, k->file_offset);
		at = k->stream_offset + k->size;
		before = k;
	}
	return 0;
}

static int add_spans(struct chunks *c, struct err *err)
{
	for (size_t i = 0; i < c->order_count; i++) {
		const struct kept *k = &c->kept[c->order[i]];
		struct table_span span = {
			.blob_offset = k->blob_offset,
			.blob_size = k->blob_end - k->blob_offset,
			.stream_offset = k->stream_offset,
			.stream_size = (uint32_t)k->size,
			.skip = k->skip,
			.start = (uint8_t)c->options.start,
			.has_digest = 1,
		};
		memcpy(span.digest, k->digest, sizeof(span.digest));
		int r = table_builder_span(c->builder, &span, NULL, 0, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Into EXTENTS, which has room for as many as the file has chunks; how many there are. */
static size_t extents_of(const struct chunks *c, const struct file *file,
			 struct table_extent *extents)
{
	size_t count = 0;
	for (size_t i = 0; i < file->count; i++) {
		const struct kept *k = &c->kept[file->first + i];
		struct table_extent *last = count > 0 ? &extents[count - 1] : NULL;
		if (k->zeros)
			continue;
		if (last && last->file_offset + last->size == k->file_offset &&
		    last->stream_offset + last->size == k->stream_offset)
			last->size += k->size;
		else
			extents[count++] = (struct table_extent){ k->file_offset, k->stream_offset,
								  k->size };
	}
	return count;
}

static int add_contents(struct chunks *c, struct err *err)
{
	struct toc *toc = table_builder_toc(c->builder);
	for (size_t i = 0; i < c->file_count; i++) {
		const struct file *file = &c->files[i];
		uint32_t content = TOC_NO_CONTENT;
		if (file->entry == UINT32_MAX)
			continue;
		auto_free struct table_extent *extents = mem_new(file->count * sizeof(*extents));
		size_t count = extents_of(c, file, extents);
		int r = table_builder_content(c->builder, extents, count, &content, err);
		if (r < 0)
			return r;
		toc_at(toc, file->entry)->content = content;
	}
	return 0;
}

/* Everything in front of the landmark is wanted first. */
static void add_prefetch(struct chunks *c)
{
	uint64_t landmark = 0;
	for (size_t i = 0; i < c->file_count; i++)
		if (c->files[i].landmark)
			landmark = c->kept[c->files[i].first].blob_offset;
	uint32_t spans = 0;
	while (spans < c->order_count && c->kept[c->order[spans]].blob_offset < landmark)
		spans++;
	table_builder_prefetch(c->builder, c->no_landmark ? TABLE_NO_SPAN : spans);
}

int chunks_finish(struct chunks *chunks, void **out, size_t *size, struct err *err)
{
	struct chunks *c = chunks;
	int r = close_file(c, err);
	if (r < 0)
		return r;
	sort(c);
	r = end_ranges(c, err);
	if (r == 0)
		r = lay_out(c, err);
	if (r == 0)
		r = add_spans(c, err);
	if (r == 0)
		r = add_contents(c, err);
	if (r < 0)
		return r;
	add_prefetch(c);
	return table_builder_finish(c->builder, out, size, err);
}
