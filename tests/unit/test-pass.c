/*
 * A pass over a layer whose reader gives up: what it said is what the pass says.  And one that
 * copies decoded bytes instead of fetching the blob.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <time.h>

#include "image/pass.h"
#include "image/ring.h"
#include "layer-image.h"

#define FILE_BYTES ((size_t)3 * RING_BLOCKS * RING_BLOCK_BYTES)

struct scene {
	struct decoder *decoder; /* owned */
	struct pass *pass;	 /* borrowed */
	bool wait_for_full_ring;
	int code;

	struct bytes tar; /* owned; copied from, when COPIES */
	bool copies, again, endless;
	size_t at, fails_at, wrong_at; /* 0: never */
};

static int begin(void *arg, enum codec codec, struct err *err)
{
	struct scene *s = arg;
	return decoder_new(&s->decoder, codec, err);
}

static int run(void *arg, struct decoder_io *io, bool input_ended, struct err *err)
{
	struct scene *s = arg;
	return decoder_run(s->decoder, io, input_ended, err);
}

static void rest_ms(long ms)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

static int give_up(void *arg, struct stream *stream, struct err *err)
{
	struct scene *s = arg;
	const uint64_t full = (uint64_t)RING_BLOCKS * RING_BLOCK_BYTES;
	const void *data;
	size_t size;
	if (s->wait_for_full_ring && stream_next(stream, &data, &size, err) < 0)
		return -1;
	while (s->wait_for_full_ring && atomic_load(&s->pass->progress->unpacked_bytes) < full)
		rest_ms(1);
	rest_ms(20); /* the decoder waits for a block by now, or has not begun */
	return err_set(err, -s->code, "enough");
}

static int read_to_end(void *arg, struct stream *stream, struct err *err)
{
	struct scene *s = arg;
	AUTO(hasher) hasher = hasher_new(DIGEST_SHA256);
	for (size_t size = 1; size > 0;) {
		const void *data = NULL;
		int r = stream_next(stream, &data, &size, err);
		if (r < 0)
			return r;
		hasher_add(hasher, data, size);
	}
	hasher_finish(hasher, &s->pass->read_digest);
	return 0;
}

static int drain(void *arg, struct stream *stream, struct err *err)
{
	(void)arg;
	for (size_t size = 1; size > 0;) {
		const void *data;
		int r = stream_next(stream, &data, &size, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int copy(void *arg, void *out, size_t room, size_t *size, struct err *err)
{
	struct scene *s = arg;
	if (s->fails_at > 0 && s->at >= s->fails_at)
		return err_set(err, EAGAIN, "gone");
	if (s->endless) {
		*size = room;
		return 0;
	}
	size_t rest = s->tar.size - s->at, most = 100000; /* never a whole block */
	*size = rest < room ? rest : room;
	*size = *size < most ? *size : most;
	if (*size > 0)
		memcpy(out, s->tar.data + s->at, *size);
	s->at += *size;
	return 0;
}

/* One pass over a layer of FILE_BYTES, with READ. */
static int pass_over(const struct lab *lab, struct scene *s, enum digest_algorithm hashes,
		     int (*read)(void *arg, struct stream *stream, struct err *err),
		     struct err *err)
{
	auto_str tar = STR_MAX(TAR_BUILD_MAX_BYTES);
	auto_bytes text = bytes_text(FILE_BYTES, 3);
	add_bytes_file(&tar, "text", &text);
	add_end(&tar);
	bool packed = !s->copies || s->endless; /* quicker */
	struct image_layer layer = image_layer_of(&tar, packed ? SQUEEZE_GZIP : SQUEEZE_NONE);
	write_layout(lab->layout_fd, &layer, 1, NULL);
	auto_ref ref = lab_ref(lab);
	const struct image_options options = { .platform = NULL };
	AUTO(image) image = NULL;
	assert_int_equal(image_open(&image, &ref, &options, 0, NULL), 0);
	struct progress progress;
	image_progress(image, &progress);
	struct pass pass = {
		.image = image,
		.progress = progress.layers,
		.begin = begin,
		.run = run,
		.read = read,
		.read_hashes = hashes,
		.arg = s,
	};
	if (s->copies) {
		pass.copy = copy;
		pass.begin = NULL; /* neither blob nor decoder is needed */
		pass.run = NULL;
		bytes_add(&s->tar, tar.data, tar.length);
		if (s->wrong_at > 0)
			s->tar.data[s->wrong_at] ^= 1;
		assert_int_equal(io_remove_tree(lab->layout_fd, "blobs", NULL), 0);
	}
	s->again = false;
	s->pass = &pass;
	int r = pass_run(&pass, 0, &s->again, err);
	assert_true(s->copies || !s->again);
	decoder_free(s->decoder);
	bytes_release(&s->tar);
	image_layer_release(&layer);
	progress_release(&progress);
	return r;
}

static void test_the_reader_may_hash(void **state)
{
	struct scene s = { 0 };
	struct err err = { 0 };
	assert_int_equal(pass_over(*state, &s, DIGEST_SHA256, read_to_end, &err), 0);
	struct scene other = { 0 };
	assert_int_equal(pass_over(*state, &other, 0, read_to_end, &err), 0);
}

/* Nobody reads any more while the decoder waits for a block. */
static void test_gives_up(const struct lab *lab, enum digest_algorithm hashes, bool full, int code)
{
	struct scene s = { .wait_for_full_ring = full, .code = code };
	struct err err = { 0 };
	assert_int_equal(pass_over(lab, &s, hashes, give_up, &err), code);
	assert_string_equal(err_text(&err), "enough");
}

static void test_a_reader_gives_up(void **state)
{
	const int codes[] = { -EIO, -EBADMSG };
	for (size_t i = 0; i < N_ELEMENTS(codes); i++) {
		test_gives_up(*state, DIGEST_SHA256, true, codes[i]);
		test_gives_up(*state, DIGEST_SHA256, false, codes[i]);
		test_gives_up(*state, 0, true, codes[i]);
	}
}

/* AGAIN is said where another source of the bytes may help. */
static void test_copied_bytes_take_the_place_of_the_blob(void **state)
{
	static const struct {
		struct scene scene;
		enum digest_algorithm hashes;
		int (*read)(void *arg, struct stream *stream, struct err *err);
		int result;
		bool again;
		const char *says;
	} cases[] = {
		{ { .copies = true }, 0, read_to_end, 0, false, "" },
		{ { .copies = true }, DIGEST_SHA256, read_to_end, 0, false, "" },
		{ { .copies = true, .wrong_at = 70000 }, 0, read_to_end, -EBADMSG, true, "digest" },
		{ { .copies = true, .fails_at = 700000 }, 0, read_to_end, -EAGAIN, true, "gone" },
		{ { .copies = true, .endless = true },
		  DIGEST_SHA256, /* nobody does */
		  drain,
		  -E2BIG,
		  false,
		  "--allow-bomb" },
		{ { .copies = true, .code = -EBADMSG }, 0, give_up, -EBADMSG, true, "enough" },
		{ { .copies = true, .code = -ENOSPC }, 0, give_up, -ENOSPC, false, "enough" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct scene s = cases[i].scene;
		struct err err = { 0 };
		int r = pass_over(*state, &s, cases[i].hashes, cases[i].read, &err);
		assert_int_equal(r, cases[i].result);
		assert_int_equal(s.again, cases[i].again);
		assert_non_null(strstr(err_text(&err), cases[i].says));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_reader_may_hash, lab_make, lab_remove),
		cmocka_unit_test_setup_teardown(test_a_reader_gives_up, lab_make, lab_remove),
		cmocka_unit_test_setup_teardown(test_copied_bytes_take_the_place_of_the_blob,
						lab_make, lab_remove),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
