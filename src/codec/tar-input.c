/* Pieces of a stream as one row of bytes that knows its offset.  Called by the tar reader's files.
 */
#include "codec/tar-input.h"

#include <errno.h>

int tar_input_fill(struct tar_input *input, struct err *err)
{
	if (input->left > 0 || input->ended)
		return 0;
	const void *data = NULL;
	int r = stream_next(input->stream, &data, &input->left, err);
	if (r < 0) {
		input->left = 0;
		return r;
	}
	input->at = data;
	input->ended = input->left == 0;
	return 0;
}

void tar_input_advance(struct tar_input *input, size_t n)
{
	input->at += n;
	input->left -= n;
	input->offset += n;
}

int tar_input_read(struct tar_input *input, void *buf, size_t size, size_t *got, struct err *err)
{
	size_t have = 0;
	while (have < size) {
		int r = tar_input_fill(input, err);
		if (r < 0)
			return r;
		if (input->ended)
			break;
		size_t n = size - have < input->left ? size - have : input->left;
		memcpy((uint8_t *)buf + have, input->at, n);
		tar_input_advance(input, n);
		have += n;
	}
	*got = have;
	return 0;
}

static int ends_early(uint64_t missing, struct err *err)
{
	return err_set(err, EBADMSG, "the archive ends %llu bytes early",
		       (unsigned long long)missing);
}

int tar_input_exactly(struct tar_input *input, void *buf, size_t size, struct err *err)
{
	size_t got = 0;
	int r = tar_input_read(input, buf, size, &got, err);
	return r == 0 && got < size ? ends_early(size - got, err) : r;
}

int tar_input_skip(struct tar_input *input, uint64_t n, struct err *err)
{
	while (n > 0) {
		if (input->left == 0 && input->stream->ops->skip) {
			int r = stream_skip(input->stream, n, err);
			if (r == 0)
				input->offset += n;
			return r;
		}
		int r = tar_input_fill(input, err);
		if (r < 0)
			return r;
		if (input->ended)
			return ends_early(n, err);
		size_t passed = n < input->left ? (size_t)n : input->left;
		tar_input_advance(input, passed);
		n -= passed;
	}
	return 0;
}
