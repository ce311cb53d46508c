/*
 * Are two files the same?  From the tables when they can tell: the same content of the same layer,
 * or chunks of the same sizes whose digests are known on both sides.  Else the bytes tell.
 */
#include <errno.h>
#include <string.h>

#include "image/compare.h"

#define FIRST_BYTES (64u * 1024) /* most files that differ do so early */
#define BLOCK_BYTES (1024u * 1024)

/* Is layer I of A the layer J of B, read by the same table? */
static bool same_layer(const struct lazy *a, size_t i, const struct lazy *b, size_t j)
{
	struct lazy_layer_status x, y;
	lazy_layer_status(a, i, &x);
	lazy_layer_status(b, j, &y);
	return digest_known(&x.digest) && digest_equal(&x.digest, &y.digest) && x.kind == y.kind &&
	       x.spans == y.spans && x.stream_bytes == y.stream_bytes;
}

/* The span that is exactly the extent, with its digest; or NULL. */
static const struct table_span *whole_span(const struct table *table,
					   const struct table_extent *extent)
{
	uint32_t n = table_find_span(table, extent->stream_offset);
	const struct table_span *span = n == TABLE_NO_SPAN ? NULL : table_span(table, n);
	bool whole = span && span->has_digest && span->stream_offset == extent->stream_offset &&
		     span->stream_size == extent->size;
	return whole ? span : NULL;
}

static enum compare_answer compare_chunks(struct table *a, uint32_t x, struct table *b, uint32_t y)
{
	uint32_t x_count, y_count;
	const struct table_extent *p = table_extents(a, x, &x_count);
	const struct table_extent *q = table_extents(b, y, &y_count);
	enum compare_answer answer = COMPARE_SAME;
	if (x_count != y_count)
		return COMPARE_UNKNOWN;
	for (uint32_t i = 0; i < x_count; i++) {
		const struct table_span *s = whole_span(a, &p[i]), *t = whole_span(b, &q[i]);
		if (!s || !t || p[i].file_offset != q[i].file_offset || p[i].size != q[i].size)
			return COMPARE_UNKNOWN;
		if (memcmp(s->digest, t->digest, sizeof(s->digest)) != 0)
			answer = COMPARE_DIFFERENT;
	}
	return answer;
}

enum compare_answer compare_by_table(struct lazy *a, const struct rootfs_inode *x, struct lazy *b,
				     const struct rootfs_inode *y)
{
	if (x->a == TOC_NO_CONTENT || y->a == TOC_NO_CONTENT)
		return x->size == 0 ? COMPARE_SAME : COMPARE_UNKNOWN;
	if (x->a == y->a && same_layer(a, x->layer, b, y->layer))
		return COMPARE_SAME;
	return compare_chunks(lazy_table(a, x->layer), x->a, lazy_table(b, y->layer), y->a);
}

int compare_by_bytes(struct lazy *a, uint32_t x, struct lazy *b, uint32_t y, bool *same,
		     uint64_t *read_bytes, const atomic_bool *cancel, struct err *err)
{
	auto_free uint8_t *left = mem_new(BLOCK_BYTES), *right = mem_new(BLOCK_BYTES);
	size_t block = FIRST_BYTES, got = 1, other = 1;
	*same = true;
	for (uint64_t at = 0; *same && got > 0; at += got) {
		if (cancel && atomic_load(cancel))
			return err_set(err, ECANCELED, "stopped");
		int r = lazy_read(a, x, left, block, at, &got, err);
		if (r == 0)
			r = lazy_read(b, y, right, block, at, &other, err);
		if (r < 0)
			return r;
		*same = got == other && memcmp(left, right, got) == 0;
		*read_bytes += got + other;
		block = BLOCK_BYTES;
	}
	return 0;
}
