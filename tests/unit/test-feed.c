/* Ranges of a blob as streams: every byte once, and no end that comes early or late is an end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "layer/feed.h"
#include "pieces.h"

#define TEXT "0123456789abcdefghijklmnopqrstuvwxyz"

/* A blob whose bytes come in threes, so many more or fewer than asked for as it likes. */
struct source {
	struct input base;
	int more;
	bool has_streams;
	int code; /* what opening returns, or 0 */
	unsigned reads, streams;
};

static int source_read(struct input *input, void *buf, size_t size, uint64_t offset,
		       struct err *err)
{
	(void)err;
	((struct source *)input)->reads++;
	memcpy(buf, &TEXT[offset], size);
	return 0;
}

static int source_stream(struct input *input, uint64_t offset, uint64_t size, struct stream **out,
			 struct err *err)
{
	struct source *s = (struct source *)input;
	s->streams++;
	if (s->code < 0)
		return err_set(err, -s->code, "no");
	*out = stream_of_pieces(&TEXT[offset], (size_t)size + (size_t)s->more, 3);
	return 0;
}

static void source_free(struct input *input)
{
	(void)input;
}

static struct source source(bool has_streams, int more)
{
	static const struct input_ops streams = { .read = source_read,
						  .free = source_free,
						  .stream = source_stream },
				      reads = { .read = source_read, .free = source_free };
	return (struct source){ .base = { has_streams ? &streams : &reads, strlen(TEXT) },
				.more = more };
}

/* [5, 25), all of it. */
static int read_whole(struct source *s, char **out, struct err *err)
{
	size_t size = 0;
	AUTO(stream) stream = feed_whole(&s->base, 5, 20);
	return stream_read_all(stream, 100, out, &size, err);
}

static void test_bytes_come_once(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct source s = source(i, 0);
		auto_free char *text = NULL;
		assert_int_equal(read_whole(&s, &text, NULL), 0);
		assert_string_equal(text, "56789abcdefghijklmno");
		assert_int_equal(s.streams, i);
		assert_int_equal(s.reads, 1 - i);
	}
}

static void test_a_wrong_end_is_none(void **state)
{
	(void)state;
	for (int more = -1; more <= 1; more += 2) {
		struct source s = source(true, more);
		auto_free char *text = NULL;
		assert_int_equal(read_whole(&s, &text, NULL), -EBADMSG);
	}
	struct source outside = source(true, 0);
	AUTO(stream) stream = feed_whole(&outside.base, 30, 20);
	const void *data;
	size_t size;
	assert_int_equal(stream_next(stream, &data, &size, NULL), -EBADMSG);
}

static void test_who_cannot_stream_is_read(void **state)
{
	(void)state;
	const int codes[] = { -EOPNOTSUPP, -EAGAIN };
	for (size_t i = 0; i < N_ELEMENTS(codes); i++) {
		struct source s = source(true, 0);
		struct err err = { 0 };
		auto_free char *text = NULL;
		s.code = codes[i];
		int r = read_whole(&s, &text, &err);
		assert_int_equal(r, codes[i] == -EOPNOTSUPP ? 0 : codes[i]);
		assert_int_equal(s.reads, codes[i] == -EOPNOTSUPP);
	}
}

struct breaking {
	struct stream base;
	unsigned calls;
};

static int breaking_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	(void)data;
	(void)size;
	((struct breaking *)stream)->calls++;
	return err_set(err, EAGAIN, "the way is broken");
}

static void breaking_free(struct stream *stream)
{
	(void)stream;
}

static struct breaking breaking;

static int open_breaking(struct input *input, uint64_t offset, uint64_t size, struct stream **out,
			 struct err *err)
{
	static const struct stream_ops ops = { .next = breaking_next, .free = breaking_free };
	(void)input;
	(void)offset;
	(void)size;
	(void)err;
	breaking = (struct breaking){ .base = { &ops } };
	*out = &breaking.base;
	return 0;
}

/* What is below has tried often enough: the end asks for nothing more. */
static void test_a_broken_way_is_tried_once(void **state)
{
	(void)state;
	static const struct input_ops ops = { .read = source_read,
					      .free = source_free,
					      .stream = open_breaking };
	struct source s = { .base = { &ops, strlen(TEXT) } };
	auto_free char *text = NULL;
	assert_int_equal(read_whole(&s, &text, NULL), -EAGAIN);
	assert_int_equal(breaking.calls, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_come_once),
		cmocka_unit_test(test_a_wrong_end_is_none),
		cmocka_unit_test(test_who_cannot_stream_is_read),
		cmocka_unit_test(test_a_broken_way_is_tried_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
