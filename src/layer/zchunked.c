/*
 * zstd:chunked, in its two dialects: a blob of many zstd frames, behind them skippable frames with
 * a table of contents and a footer.
 *
 *	| frames ... | skippable: zstd(JSON) | skippable: tar-split (A) | skippable: footer |
 *	               50 2a 4d 18, u32 length, then the JSON, at the "position"
 *
 *	A  containers/storage: annotations "checksum", of the compressed JSON, and "position"
 *	B  stargz-snapshotter: the same with the old prefix, and eStargz's digest of the JSON
 *
 *	footer	u64 each: position, compressed and uncompressed size of the JSON, type (1);
 *	  64 bytes	then three of tar-split, "GNUlInUx"	(A since 2023)
 *	  40		then "GnUlInUx"				(A before, B)
 *
 * Neither has the table of contents in its tar, so a full unpack does not show it either.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "layer/chunks.h"
#include "layer/feed.h"
#include "layer/find-keys.h"
#include "layer/find.h"
#include "layer/toc-json.h"

#define SKIPPABLE_MAGIC 0x184d2a50u
#define SKIPPABLE_HEAD_BYTES 8
#define FOOTER_NUMBERS 4
#define TYPE_CRFS 1

_Static_assert(SKIPPABLE_HEAD_BYTES == FEED_HEAD_BYTES, "the head of the frame is stripped");

/* What names the table of contents. */
struct names {
	const char *toc_digest, *checksum, *position; /* borrowed or NULL */
};

struct position {
	uint64_t offset, size, json_size;
};

static const char *annotation(const struct find_layer *layer, const char *key)
{
	return layer->annotation(layer->arg, key);
}

/* Both prefixes may be there when they say the same. */
static int take_either(const char **out, const struct find_layer *layer, const char *key,
		       const char *old_key, struct err *err)
{
	const char *now = annotation(layer, key), *old = annotation(layer, old_key);
	if (now && old && strcmp(now, old) != 0)
		return err_set(err, EBADMSG, "annotations '%s' and '%s' differ", key, old_key);
	*out = now ? now : old;
	return 0;
}

/*
 * eStargz's digest beside the prefix that only containers/storage writes: two tables claim the
 * layer, and other readers take one or the other.
 */
static int take_names(struct names *out, const struct find_layer *layer, struct err *err)
{
	out->toc_digest = annotation(layer, FIND_TOC_DIGEST);
	if (out->toc_digest && annotation(layer, FIND_ZSTD_CHECKSUM))
		return err_set(err, EBADMSG, "annotated both as eStargz and as zstd:chunked");
	int r = take_either(&out->checksum, layer, FIND_ZSTD_CHECKSUM, FIND_OLD_ZSTD_CHECKSUM, err);
	if (r < 0)
		return r;
	return take_either(&out->position, layer, FIND_ZSTD_POSITION, FIND_OLD_ZSTD_POSITION, err);
}

/* Four decimal numbers between colons. */
static bool parse_position(uint64_t numbers[FOOTER_NUMBERS], const char *text)
{
	for (int i = 0; i < FOOTER_NUMBERS; i++) {
		unsigned long long value = 0;
		char number[24];
		size_t n = strcspn(text, ":");
		bool last = i + 1 == FOOTER_NUMBERS;
		if (n >= sizeof(number) || (text[n] == '\0') != last)
			return false;
		memcpy(number, text, n);
		number[n] = '\0';
		if (!str_parse_u64(number, &value))
			return false;
		numbers[i] = value;
		text += n + !last;
	}
	return true;
}

/* The numbers of a footer of SIZE bytes in the blob's last skippable frame; 1, or 0: none. */
static int read_footer(uint64_t numbers[FOOTER_NUMBERS], struct input *blob, size_t size,
		       const char *magic, struct err *err)
{
	uint8_t frame[SKIPPABLE_HEAD_BYTES + 64];
	size_t whole = SKIPPABLE_HEAD_BYTES + size;
	if (blob->size < whole)
		return 0;
	int r = input_read(blob, frame, whole, blob->size - whole, err);
	if (r < 0)
		return r;
	struct cursor c = cursor_of(frame, whole);
	if (cursor_le32(&c) != SKIPPABLE_MAGIC || cursor_le32(&c) != size ||
	    memcmp(frame + whole - 8, magic, 8) != 0)
		return 0;
	for (int i = 0; i < FOOTER_NUMBERS; i++)
		numbers[i] = cursor_le64(&c);
	return 1;
}

static int take_numbers(uint64_t numbers[FOOTER_NUMBERS], struct input *blob, const char *position,
			struct err *err)
{
	if (position) {
		if (!parse_position(numbers, position))
			return err_set(err, EBADMSG, "the annotation of its position is none");
		return 0;
	}
	int r = read_footer(numbers, blob, 64, "GNUlInUx", err);
	if (r == 0)
		r = read_footer(numbers, blob, 40, "GnUlInUx", err);
	if (r == 0)
		return err_set(err, EBADMSG, "it has no footer of zstd:chunked");
	return r < 0 ? r : 0;
}

static int take_position(struct position *out, struct input *blob, const char *position,
			 struct err *err)
{
	uint64_t n[FOOTER_NUMBERS] = { 0 }, end = 0;
	int r = take_numbers(n, blob, position, err);
	if (r < 0)
		return r;
	if (n[3] != TYPE_CRFS)
		return err_set(err, EOPNOTSUPP, "a table of contents of type %llu",
			       (unsigned long long)n[3]);
	if (n[1] > TOC_JSON_MAX_BYTES || n[2] > TOC_JSON_MAX_BYTES)
		return err_set(err, E2BIG, "a table of contents of %llu bytes, %llu compressed",
			       (unsigned long long)n[2], (unsigned long long)n[1]);
	if (n[0] < SKIPPABLE_HEAD_BYTES || n[1] == 0 || !add_ok(n[0], n[1], &end) ||
	    end > blob->size)
		return err_set(err, EBADMSG, "its table of contents is outside");
	*out = (struct position){ n[0], n[1], n[2] };
	return 0;
}

static int check_digest(struct hasher *hasher, const char *text, const char *what, struct err *err)
{
	struct digest wanted, found;
	hasher_finish(hasher, &found);
	if (!text)
		return 0;
	if (digest_parse(&wanted, text, err) < 0)
		return err_set(err, EBADMSG, "the annotation of its %s is none", what);
	if (wanted.algorithm != DIGEST_SHA256)
		return err_set(err, EOPNOTSUPP, "the annotation of its %s is no sha256", what);
	if (!digest_equal(&wanted, &found))
		return err_set(err, EBADMSG, "its %s is %s, not %s", what, digest_show(&found),
			       digest_show(&wanted));
	return 0;
}

static int check_frame(const struct feed_tap *outer, const struct feed_tap *inner,
		       const struct position *position, struct err *err)
{
	struct cursor c = cursor_of(outer->head, outer->head_size);
	if (cursor_le32(&c) != SKIPPABLE_MAGIC || cursor_le32(&c) != position->size)
		return err_set(err, EBADMSG, "it is in no frame of its own");
	if (inner->bytes != position->json_size)
		return err_set(err, EBADMSG, "%llu bytes, not %llu",
			       (unsigned long long)inner->bytes,
			       (unsigned long long)position->json_size);
	return 0;
}

static int read_toc(const struct find_layer *layer, const struct names *names,
		    const struct position *position, struct chunks *chunks, struct err *err)
{
	AUTO(hasher) compressed = hasher_new(DIGEST_SHA256);
	AUTO(hasher) json = hasher_new(DIGEST_SHA256);
	struct feed_tap outer = { .hasher = compressed,
				  .max_bytes = TOC_JSON_MAX_BYTES,
				  .strip_head = true };
	struct feed_tap inner = { .hasher = json, .max_bytes = position->json_size };
	struct stream *range = feed_whole(layer->blob, position->offset - SKIPPABLE_HEAD_BYTES,
					  position->size + SKIPPABLE_HEAD_BYTES);
	struct stream *plain = decoder_stream(feed_through(range, &outer), 256 << 10);
	AUTO(stream) stream = feed_through(plain, &inner);
	int r = toc_json_read(stream, chunks_json, chunks, err);
	if (r == 0)
		r = check_frame(&outer, &inner, position, err);
	if (r == 0)
		r = check_digest(compressed, names->checksum, "checksum", err);
	if (r == 0)
		r = check_digest(json, names->toc_digest, "digest", err);
	return r < 0 ? err_wrap(err, r, "table of contents") : 0;
}

int zchunked_table(const struct find_layer *layer, void **data, size_t *size, struct err *err)
{
	struct names names = { 0 };
	struct position position = { 0 };
	int r = take_names(&names, layer, err);
	if (r == 0)
		r = take_position(&position, layer->blob, names.position, err);
	if (r < 0)
		return r;
	const struct chunks_options options = {
		.kind = TABLE_ZSTD_CHUNKED,
		.start = SPAN_ZSTD,
		.payload_end = position.offset - SKIPPABLE_HEAD_BYTES,
	};
	AUTO(chunks) chunks = chunks_new(&options);
	r = read_toc(layer, &names, &position, chunks, err);
	return r < 0 ? r : chunks_finish(chunks, data, size, err);
}
