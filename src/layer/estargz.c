/*
 * eStargz (stargz-snapshotter, docs/estargz.md): a gzip blob of many members, whose last tar entry
 * is a table of contents and whose last bytes say where that is.
 *
 *	| members ... | TOC: gzip of a tar with stargz.index.json | footer: an empty gzip member |
 *	                ^ offset in the footer
 *
 *	footer	1f 8b 08 04, mtime 0, xfl, os; u16 length of "extra"; extra; an empty deflate block
 *	  51 bytes	extra: 'S' 'G' u16 22, offset as 16 hexadecimal digits, "STARGZ"
 *	  47		extra: 16 digits, "STARGZ" (before eStargz had its name)
 *	  46		extra: 'S' 'G' u16 17, "STARGZEXTERNALTOC": the table is in another image
 *
 * What a full unpack shows counts: the landmarks are files like others, and so is the table of
 * contents itself, whose bytes are in the member that was just read.
 *
 * What the JSON does not say, a mount cannot show: its writers round mtimes to the nearest second
 * where the tar has fractions.
 */
#include <errno.h>
#include <stdlib.h>

#include "codec/tar.h"
#include "layer/chunks.h"
#include "layer/feed.h"
#include "layer/find-keys.h"
#include "layer/find.h"
#include "layer/toc-json.h"

#define FOOTER_MAX_BYTES 51
#define FOOTER_HEAD_BYTES 12 /* a gzip header up to and with the length of "extra" */
#define DIGITS 16
#define MAGIC "STARGZ"
#define EXTERNAL "STARGZEXTERNALTOC"
#define TOC_NAME "stargz.index.json"
#define SLICE_BYTES ((uint32_t)4 << 20) /* of the table of contents as a file */

/* 16 digits as writers make them, lower case. */
static bool parse_hex(uint64_t *out, const uint8_t *text)
{
	uint64_t value = 0;
	for (int i = 0; i < DIGITS; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *digit = text[i] ? strchr(digits, text[i]) : NULL;
		if (!digit)
			return false;
		value = value << 4 | (uint64_t)(digit - digits);
	}
	*out = value;
	return true;
}

/*
 * The footer of SIZE bytes that TAIL ends with, whose "extra" is LEAD, the digits unless OFFSET is
 * NULL, and NAME.
 */
static bool match_footer(const uint8_t *footer, size_t size, const char *lead, uint64_t *offset,
			 const char *name)
{
	size_t lead_size = strlen(lead), digits = offset ? DIGITS : 0, name_size = strlen(name);
	size_t sub = digits + name_size, extra = sub + (lead_size > 0 ? lead_size + 2 : 0);
	const uint8_t *at = footer + FOOTER_HEAD_BYTES;
	if (size < FOOTER_HEAD_BYTES + extra || memcmp(footer, "\x1f\x8b\x08\x04", 4) != 0 ||
	    footer[10] != extra || footer[11] != 0)
		return false;
	if (lead_size > 0) {
		if (memcmp(at, lead, lead_size) != 0 || at[lead_size] != sub || at[lead_size + 1])
			return false;
		at += lead_size + 2;
	}
	if (offset && !parse_hex(offset, at))
		return false;
	return memcmp(at + digits, name, name_size) == 0;
}

/* [*begin, *end) of the blob is the member with the table of contents. */
static int find_toc(struct input *blob, uint64_t *begin, uint64_t *end, struct err *err)
{
	static const struct {
		size_t size;
		const char *lead, *name;
		bool external;
	} footers[] = { { 51, "SG", MAGIC, false },
			{ 47, "", MAGIC, false },
			{ 46, "SG", EXTERNAL, true } };
	uint8_t tail[FOOTER_MAX_BYTES] = { 0 };
	size_t have = blob->size < sizeof(tail) ? (size_t)blob->size : sizeof(tail);
	int r = input_read(blob, tail + sizeof(tail) - have, have, blob->size - have, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < N_ELEMENTS(footers); i++) {
		size_t size = footers[i].size;
		uint64_t offset = 0;
		if (size > have ||
		    !match_footer(tail + sizeof(tail) - size, size, footers[i].lead,
				  footers[i].external ? NULL : &offset, footers[i].name))
			continue;
		if (footers[i].external)
			return err_set(err, EOPNOTSUPP, "its table of contents is another image");
		if (offset >= blob->size - size)
			return err_set(err, EBADMSG, "its table of contents is outside");
		*begin = offset;
		*end = blob->size - size;
		return 0;
	}
	return err_set(err, EBADMSG, "it has no footer of eStargz");
}

/* The JSON inside the tar, as a stream; its digest and those of its slices. */
struct toc_file {
	struct stream base;
	struct tar *tar;       /* borrowed */
	struct hasher *whole;  /* owned */
	struct hasher *slice;  /* owned */
	struct digest *slices; /* owned */
	size_t slice_count, slice_capacity;
	uint32_t in_slice; /* bytes in the one being hashed */
};

static void end_slice(struct toc_file *file)
{
	file->slices = mem_grow(file->slices, &file->slice_capacity, file->slice_count,
				sizeof(*file->slices));
	hasher_finish(file->slice, &file->slices[file->slice_count++]);
	hasher_free(file->slice);
	file->slice = hasher_new(DIGEST_SHA256);
	file->in_slice = 0;
}

static void hash(struct toc_file *file, const uint8_t *data, size_t size)
{
	hasher_add(file->whole, data, size);
	while (size > 0) {
		size_t n = SLICE_BYTES - file->in_slice;
		n = n < size ? n : size;
		hasher_add(file->slice, data, n);
		file->in_slice += (uint32_t)n;
		if (file->in_slice == SLICE_BYTES)
			end_slice(file);
		data += n;
		size -= n;
	}
}

static int toc_file_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	struct toc_file *file = (struct toc_file *)stream;
	uint64_t offset = 0;
	int r = tar_data(file->tar, data, size, &offset, err);
	if (r == 0 && *size > 0)
		hash(file, *data, *size);
	return r;
}

static void toc_file_free(struct toc_file *file)
{
	hasher_free(file->whole);
	hasher_free(file->slice);
	free(file->slices);
	free(file);
}
DEFINE_AUTO(toc_file)

static struct toc_file *toc_file_new(struct tar *tar)
{
	static const struct stream_ops ops = { .next = toc_file_next };
	return mem_make(struct toc_file, .base = { &ops }, .tar = tar,
			.whole = hasher_new(DIGEST_SHA256), .slice = hasher_new(DIGEST_SHA256));
}

static int check_digest(const struct find_layer *layer, struct toc_file *file, struct err *err)
{
	struct digest wanted, found;
	const char *text = layer->annotation(layer->arg, FIND_TOC_DIGEST);
	hasher_finish(file->whole, &found);
	if (!text)
		return 0;
	int r = digest_parse(&wanted, text, err);
	if (r < 0)
		return err_set(err, EBADMSG, "the annotation of its digest is none");
	if (wanted.algorithm != DIGEST_SHA256)
		return err_set(err, EOPNOTSUPP, "the annotation of its digest is no sha256");
	if (!digest_equal(&wanted, &found))
		return err_set(err, EBADMSG, "its digest is %s, not %s", digest_show(&found),
			       digest_show(&wanted));
	return 0;
}

/* The table of contents as the file that it is in a full unpack. */
static int add_itself(struct chunks *chunks, const struct tar_entry *entry, struct toc_file *file,
		      uint64_t begin, uint64_t end, struct err *err)
{
	if (file->in_slice > 0)
		end_slice(file);
	int r = chunks_entry(chunks, entry, err);
	for (size_t i = 0; r == 0 && i < file->slice_count; i++) {
		uint64_t offset = i * (uint64_t)SLICE_BYTES, left = entry->size - offset;
		const struct chunk chunk = {
			.blob_offset = begin,
			.blob_end = end,
			.skip = entry->data_offset + offset,
			.file_offset = offset,
			.size = left < SLICE_BYTES ? left : SLICE_BYTES,
			.digest = file->slices[i],
		};
		r = chunks_add(chunks, &chunk, err);
	}
	return r;
}

static bool is_toc(const struct tar_entry *entry)
{
	const char *path = entry->path;
	if (str_starts(path, "./"))
		path += 2;
	return entry->type == TAR_FILE && !entry->sparse && strcmp(path, TOC_NAME) == 0;
}

/* All that the member at BEGIN holds, into CHUNKS. */
static int read_tar(const struct find_layer *layer, struct tar *tar, struct chunks *chunks,
		    uint64_t begin, uint64_t end, struct err *err)
{
	const struct tar_entry *entry = NULL;
	int r = tar_next(tar, &entry, err);
	if (r < 0)
		return r;
	if (r == 0 || !is_toc(entry))
		return err_set(err, EBADMSG, "'%s' is not where the footer says", TOC_NAME);
	if (entry->size > TOC_JSON_MAX_BYTES)
		return err_set(err, E2BIG, "more than %llu bytes",
			       (unsigned long long)TOC_JSON_MAX_BYTES);
	AUTO(toc_file) file = toc_file_new(tar);
	r = toc_json_read(&file->base, chunks_json, chunks, err);
	if (r == 0)
		r = check_digest(layer, file, err);
	if (r == 0)
		r = add_itself(chunks, entry, file, begin, end, err);
	if (r == 0)
		r = tar_next(tar, &entry, err);
	return r > 0 ? err_set(err, EBADMSG, "entries behind '%s'", TOC_NAME) : r;
}

static int read_toc(const struct find_layer *layer, struct chunks *chunks, uint64_t begin,
		    uint64_t end, struct err *err)
{
	struct feed_tap outer = { .max_bytes = TOC_JSON_MAX_BYTES };
	struct feed_tap inner = { .max_bytes = TOC_JSON_MAX_BYTES + ((uint64_t)4 << 20) };
	struct stream *range = feed_whole(layer->blob, begin, end - begin);
	struct stream *plain = decoder_stream(feed_through(range, &outer), 256 << 10);
	AUTO(stream) stream = feed_through(plain, &inner);
	AUTO(tar) tar = tar_new(stream);
	int r = read_tar(layer, tar, chunks, begin, end, err);
	if (r == 0 && codec_detect(outer.head, outer.head_size) != CODEC_GZIP)
		r = err_set(err, EBADMSG, "it is no gzip member");
	return r < 0 ? err_wrap(err, r, "table of contents") : 0;
}

int estargz_table(const struct find_layer *layer, void **data, size_t *size, struct err *err)
{
	uint64_t begin = 0, end = 0;
	int r = find_toc(layer->blob, &begin, &end, err);
	if (r < 0)
		return r;
	const struct chunks_options options = { .kind = TABLE_ESTARGZ,
						.start = SPAN_GZIP,
						.payload_end = begin };
	AUTO(chunks) chunks = chunks_new(&options);
	r = read_toc(layer, chunks, begin, end, err);
	return r < 0 ? r : chunks_finish(chunks, data, size, err);
}
