/*
 * Windows as they are stored with a point.  Most bytes of a window are zero (probe.c): the runs of
 * others are written down, and that is deflated by zlib, which takes a third of the time that the
 * whole window would.  Packed by the indexer, unpacked by span.c.
 *
 *	window := deflate(run*)
 *	run    := zeros[2] size[2] bytes[size]		little endian; what is left at the end is
 *zero
 */
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/cursor.h"
#include "codec/span.h"

#define PACK_LEVEL 4
#define MEMORY_LEVEL 6	 /* enough for a few kilobytes, and quick to set up */
#define RUN_HEAD_BYTES 4 /* as many zeros are better written out */
#define RUNS_MAX_BYTES ((size_t)SPAN_WINDOW_BYTES + RUN_HEAD_BYTES)

static void put_le16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

static size_t count_zeros(const uint8_t *at, size_t left)
{
	size_t n = 0;
	while (n < left && at[n] == 0)
		n++;
	return n;
}

/* Bytes up to the next zeros that are worth a new run. */
static size_t count_bytes(const uint8_t *at, size_t left)
{
	size_t n = 0, zeros = 0;
	while (n < left && zeros <= RUN_HEAD_BYTES)
		zeros = at[n++] == 0 ? zeros + 1 : 0;
	return n - zeros;
}

/* The runs of WINDOW, which begins SKIPPED bytes late; returns their size, <= RUNS_MAX_BYTES. */
static size_t write_runs(uint8_t *out, const uint8_t *window, size_t size, size_t skipped)
{
	size_t at = 0, done = 0;
	while (done < size) {
		size_t zeros = count_zeros(window + done, size - done);
		done += zeros;
		size_t n = count_bytes(window + done, size - done);
		if (n == 0)
			break;
		put_le16(out + at, skipped + zeros);
		put_le16(out + at + 2, n);
		memcpy(out + at + RUN_HEAD_BYTES, window + done, n);
		at += RUN_HEAD_BYTES + n;
		done += n;
		skipped = 0;
	}
	return at;
}

int window_pack(uint8_t **out, size_t *out_size, const uint8_t *window, size_t size,
		struct err *err)
{
	uint8_t runs[RUNS_MAX_BYTES];
	z_stream z = { .next_in = runs };
	size_t n = write_runs(runs, window, size, SPAN_WINDOW_BYTES - size);
	if (size == 0) { /* zeros are referred to as any other bytes: they are a window too */
		*out = NULL;
		*out_size = 0;
		return 0;
	}
	if (deflateInit2(&z, PACK_LEVEL, Z_DEFLATED, -MAX_WBITS, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return err_set(err, ENOMEM, "out of memory to pack a window");
	size_t room = deflateBound(&z, n);
	uint8_t *packed = mem_new(room);
	z.avail_in = (uInt)n;
	z.next_out = packed;
	z.avail_out = (uInt)room;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort(); /* the bound was kept */
	(void)deflateEnd(&z);
	*out = packed;
	*out_size = room - z.avail_out;
	return 0;
}

static bool read_runs(uint8_t out[SPAN_WINDOW_BYTES], const uint8_t *runs, size_t size)
{
	struct cursor c = cursor_of(runs, size);
	size_t at = 0;
	memset(out, 0, SPAN_WINDOW_BYTES);
	while (c.left > 0) {
		at += cursor_le16(&c);
		size_t n = cursor_le16(&c);
		const uint8_t *bytes = cursor_take(&c, n);
		if (!bytes || at + n > SPAN_WINDOW_BYTES)
			return false;
		memcpy(out + at, bytes, n);
		at += n;
	}
	return true;
}

int window_unpack(uint8_t out[SPAN_WINDOW_BYTES], const uint8_t *packed, size_t size,
		  struct err *err)
{
	uint8_t runs[RUNS_MAX_BYTES], window[SPAN_WINDOW_BYTES];
	z_stream z = { .next_out = runs, .avail_out = sizeof(runs) };
	if (size > sizeof(runs) + sizeof(runs) / 8)
		return err_set(err, EBADMSG, "a packed window of %zu bytes", size);
	if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
		return err_set(err, ENOMEM, "out of memory to unpack a window");
	z.next_in = (Bytef *)(uintptr_t)packed; /* read only, but declared without const */
	z.avail_in = (uInt)size;
	int r = size > 0 ? inflate(&z, Z_FINISH) : Z_STREAM_END;
	(void)inflateEnd(&z);
	if (r != Z_STREAM_END || z.avail_in > 0 ||
	    !read_runs(window, runs, sizeof(runs) - z.avail_out))
		return err_set(err, EBADMSG, "a window of %zu bytes does not unpack", size);
	memcpy(out, window, sizeof(window));
	return 0;
}
