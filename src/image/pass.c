/*
 * The pipeline of one pass, see the header.  Threads end by closing their end of the ring.
 */
#include "image/pass.h"

#include <errno.h>
#include <pthread.h>

#include "base/log.h"
#include "image/ring.h"

/*
 * A ratio no honest layer has, once there is much of it.  The floor leaves room for a file of 1 GiB
 * of zeros, which images do have.
 */
#define BOMB_RATIO 500u
#define BOMB_FLOOR_BYTES ((1024u + 64u) * 1024 * 1024)

struct attempt {
	struct pass *pass;		     /* borrowed */
	const struct descriptor *descriptor; /* borrowed */
	struct ring *ring;		     /* owned */

	/* the caller's thread */
	struct stream *blob;   /* owned */
	struct hasher *hasher; /* owned; of the blob */
	bool ended;
	bool network_failed; /* the blob's stream itself failed: what it brought says nothing */

	/* the hash thread */
	struct digest diff_id;
	int hash_code;

	/* the reader's thread */
	atomic_bool read_failed;
	int read_code;
	struct err read_err;
};

bool pass_is_stopped(const struct pass *pass)
{
	return (pass->stop && atomic_load(pass->stop)) ||
	       (pass->cancel && atomic_load(pass->cancel));
}

/* The next piece of the blob, counted and hashed; size 0 at its end. */
static int next_piece(struct attempt *a, const uint8_t **data, size_t *size, struct err *err)
{
	const void *piece = NULL;
	*size = 0;
	if (a->ended)
		return 0;
	if (pass_is_stopped(a->pass))
		return err_set(err, ECANCELED, "stopped");
	int r = stream_next(a->blob, &piece, size, err);
	if (r < 0) {
		a->network_failed = true;
		return r;
	}
	a->ended = *size == 0;
	a->pass->fetched_bytes += *size;
	hasher_add(a->hasher, piece, *size);
	if (a->pass->progress)
		atomic_fetch_add(&a->pass->progress->fetched_bytes, *size);
	*data = piece;
	if (a->pass->fetched_bytes > a->descriptor->size)
		return err_set(err, EBADMSG,
			       "blob '%s' is longer than the %llu bytes it shall have",
			       digest_show(&a->descriptor->digest),
			       (unsigned long long)a->descriptor->size);
	return 0;
}

static int check_bomb(struct attempt *a, struct err *err)
{
	uint64_t packed = a->pass->copy ? a->descriptor->size : a->pass->fetched_bytes;
	if (a->pass->allow_bomb || a->pass->decoded_bytes <= BOMB_FLOOR_BYTES ||
	    a->pass->decoded_bytes / BOMB_RATIO <= packed)
		return 0;
	return err_set(err, E2BIG,
		       "%llu bytes decode to more than %u times as much (--allow-bomb takes it)",
		       (unsigned long long)packed, BOMB_RATIO);
}

static int publish(struct attempt *a, size_t size, struct err *err)
{
	ring_publish(a->ring, size);
	a->pass->decoded_bytes += size;
	if (a->pass->progress)
		atomic_fetch_add(&a->pass->progress->unpacked_bytes, size);
	return check_bomb(a, err);
}

/* Give IO a block of the ring to fill, unless it has one; false when nobody reads any more. */
static bool get_block(struct attempt *a, struct decoder_io *io)
{
	if (io->out)
		return true;
	io->out = ring_acquire(a->ring);
	io->out_size = RING_BLOCK_BYTES;
	return io->out;
}

/*
 * Decode what IO holds, and then pieces of the blob, until a block of the ring is full or the layer
 * ends: *more tells which.
 */
static int fill_block(struct attempt *a, struct decoder_io *io, bool *more, struct err *err)
{
	for (*more = true; *more && io->out_size > 0;) {
		int r = a->pass->run(a->pass->arg, io, a->ended, err);
		if (r < 0)
			return r;
		if (io->in_size == 0 && a->ended)
			*more = io->out_size == 0;
		else if (io->in_size == 0)
			r = next_piece(a, &io->in, &io->in_size, err);
		if (r < 0)
			return r;
	}
	size_t size = RING_BLOCK_BYTES - io->out_size;
	io->out = NULL;
	return size > 0 ? publish(a, size, err) : 0;
}

/* The first bytes, which tell the codec; they may come in pieces. */
static int read_head(struct attempt *a, uint8_t *head, size_t *used, struct decoder_io *io,
		     struct err *err)
{
	for (*used = 0; *used < CODEC_MAGIC_BYTES && !a->ended;) {
		if (io->in_size == 0) {
			int r = next_piece(a, &io->in, &io->in_size, err);
			if (r < 0)
				return r;
		}
		size_t n = CODEC_MAGIC_BYTES - *used;
		n = n < io->in_size ? n : io->in_size;
		if (n > 0)
			memcpy(head + *used, io->in, n);
		*used += n;
		io->in += n;
		io->in_size -= n;
	}
	return 0;
}

/* Ends early, with 0, when the reader has failed: it says why. */
static int decode_all(struct attempt *a, struct err *err)
{
	uint8_t head[CODEC_MAGIC_BYTES];
	size_t used;
	struct decoder_io io = { 0 };
	int r = read_head(a, head, &used, &io, err);
	if (r < 0)
		return r;
	r = a->pass->begin(a->pass->arg, codec_detect(head, used), err);
	if (r < 0 || !get_block(a, &io))
		return r;
	/* the head first, then what came behind it */
	const uint8_t *rest = io.in;
	size_t rest_size = io.in_size;
	io.in = head;
	io.in_size = used;
	r = a->pass->run(a->pass->arg, &io, a->ended && rest_size == 0, err);
	io.in = rest;
	io.in_size = rest_size;
	for (bool more = true; r == 0 && more;) {
		if (atomic_load(&a->read_failed) || !get_block(a, &io))
			return 0;
		r = fill_block(a, &io, &more, err);
	}
	return r;
}

/* The same from decoded bytes: a block of the ring at a time. */
static int copy_all(struct attempt *a, struct err *err)
{
	for (;;) {
		uint8_t *block = atomic_load(&a->read_failed) ? NULL : ring_acquire(a->ring);
		size_t size = 0, got = 1;
		if (!block)
			return 0;
		while (got > 0 && size < RING_BLOCK_BYTES) {
			if (pass_is_stopped(a->pass))
				return err_set(err, ECANCELED, "stopped");
			int r = a->pass->copy(a->pass->arg, block + size, RING_BLOCK_BYTES - size,
					      &got, err);
			if (r < 0)
				return r;
			size += got;
		}
		int r = size > 0 ? publish(a, size, err) : 0;
		if (r < 0 || size == 0)
			return r;
	}
}

/* After a failure: the rest of the blob still tells whether the server or the image is to blame. */
static void drain(struct attempt *a)
{
	const uint8_t *data;
	size_t size = 1;
	while (!a->network_failed && size > 0 && a->pass->fetched_bytes <= a->descriptor->size) {
		if (next_piece(a, &data, &size, NULL) < 0)
			return;
	}
}

/* Size and digest of the whole blob. */
static int check_blob(struct attempt *a, struct err *err)
{
	const struct descriptor *d = a->descriptor;
	struct digest got;
	if (d->size != UINT64_MAX && a->pass->fetched_bytes != d->size)
		return err_set(err, EBADMSG, "blob '%s' has %llu bytes instead of %llu",
			       digest_show(&d->digest), (unsigned long long)a->pass->fetched_bytes,
			       (unsigned long long)d->size);
	if (!digest_known(&d->digest))
		return 0;
	hasher_finish(a->hasher, &got);
	if (!digest_equal(&got, &d->digest))
		return err_set(err, EBADMSG, "blob '%s' has digest '%s'", digest_show(&d->digest),
			       digest_show(&got));
	return 0;
}

static void *hash_thread(void *arg)
{
	struct attempt *a = arg;
	struct stream *stream = ring_consumer(a->ring, 0);
	AUTO(hasher) hasher = hasher_new(a->pass->image->config.diff_ids[a->pass->layer].algorithm);
	for (size_t size = 1; size > 0;) {
		const void *data = NULL;
		a->hash_code = stream_next(stream, &data, &size, NULL);
		if (a->hash_code < 0)
			break;
		hasher_add(hasher, data, size);
	}
	hasher_finish(hasher, &a->diff_id);
	stream_free(stream);
	return NULL;
}

static void *read_thread(void *arg)
{
	struct attempt *a = arg;
	struct stream *stream = ring_consumer(a->ring, 1);
	a->read_code = a->pass->read(a->pass->arg, stream, &a->read_err);
	if (a->read_code < 0)
		atomic_store(&a->read_failed, true);
	stream_free(stream);
	return NULL;
}

static bool reader_hashes(const struct attempt *a)
{
	return a->pass->read_hashes == a->pass->image->config.diff_ids[a->pass->layer].algorithm;
}

/* Run the parts; all threads have ended when it returns. */
static int run_threads(struct attempt *a, struct err *err)
{
	pthread_t hash, reader;
	bool hashing = !reader_hashes(a);
	if (!hashing)
		stream_free(ring_consumer(a->ring, 0));
	int code = hashing ? pthread_create(&hash, NULL, hash_thread, a) : 0;
	if (code != 0)
		return err_errno(err, code, "start a thread");
	ring_consumer_lag(a->ring, 1, a->pass->read_lag_bytes / RING_BLOCK_BYTES);
	code = pthread_create(&reader, NULL, read_thread, a);
	if (code != 0)
		stream_free(ring_consumer(a->ring, 1));
	int r = code != 0	? err_errno(err, code, "start a thread")
		: a->pass->copy ? copy_all(a, err)
				: decode_all(a, err);
	ring_close(a->ring, r);
	if (hashing)
		pthread_join(hash, NULL);
	if (code == 0)
		pthread_join(reader, NULL);
	if (!hashing)
		a->diff_id = a->pass->read_digest;
	return r;
}

static int check_diff_id(const struct attempt *a, struct err *err)
{
	const struct digest *wanted = &a->pass->image->config.diff_ids[a->pass->layer];
	if (digest_equal(&a->diff_id, wanted))
		return 0;
	return err_set(err, EBADMSG, "its tar has digest '%s', but the config says '%s'",
		       digest_show(&a->diff_id), digest_show(wanted));
}

/* Is it this machine's fault, and not that of the bytes? */
static bool failed_here(const struct attempt *a, int decoded)
{
	return decoded == 0 && a->read_code < 0 && a->read_code != -EBADMSG &&
	       a->read_code != -E2BIG;
}

/* What copying came to: what is not right may be so at the source of these bytes. */
static int copy_verdict(struct attempt *a, int copied, bool *again, struct err *err)
{
	if (copied == -ECANCELED || copied == -E2BIG)
		return copied;
	*again = !failed_here(a, copied);
	if (copied < 0)
		return copied;
	if (a->read_code < 0) {
		*err = a->read_err;
		return a->read_code;
	}
	int r = check_diff_id(a, err);
	*again = r < 0;
	return r;
}

/*
 * What the attempt came to.  The order matters: a blob with wrong bytes explains all other
 * failures, a failed write explains the reader's.
 */
static int verdict(struct attempt *a, int decoded, bool *again, struct err *err)
{
	struct err blob_err = { 0 };
	if (decoded == -ECANCELED || a->network_failed)
		return decoded;
	if (failed_here(a, decoded)) {
		*err = a->read_err;
		return a->read_code;
	}
	if ((decoded < 0 || a->read_code < 0) && decoded != -E2BIG)
		drain(a);
	if (!a->network_failed && a->ended && decoded != -E2BIG) {
		int r = check_blob(a, &blob_err);
		if (r < 0) {
			*again = true;
			*err = blob_err;
			return r;
		}
	}
	if (decoded < 0) {
		*again = a->pass->fetched_bytes > a->descriptor->size;
		return decoded;
	}
	if (a->read_code < 0) {
		*err = a->read_err;
		return a->read_code;
	}
	return check_diff_id(a, err);
}

static void attempt_release(struct attempt *a)
{
	stream_free(a->blob);
	hasher_free(a->hasher);
	ring_free(a->ring);
}

int pass_run(struct pass *pass, unsigned flags, bool *again, struct err *err)
{
	const struct descriptor *d = &pass->image->manifest.layers[pass->layer];
	__attribute__((cleanup(attempt_release))) struct attempt a = {
		.pass = pass,
		.descriptor = d,
	};
	struct err why = { 0 };
	pass->fetched_bytes = pass->decoded_bytes = 0;
	int r = pass->copy ? 0 : repo_blob(pass->image->repo, d, flags, &a.blob, err);
	if (r < 0)
		return r;
	a.ring = ring_new();
	a.hasher = hasher_new(digest_known(&d->digest) ? d->digest.algorithm : DIGEST_SHA256);
	r = run_threads(&a, &why);
	r = pass->copy ? copy_verdict(&a, r, again, &why) : verdict(&a, r, again, &why);
	if (r < 0 && err)
		*err = why;
	return r;
}

static void set_state(struct pass *pass, enum layer_state state)
{
	if (pass->progress)
		atomic_store(&pass->progress->state, (int)state);
}

int pass_layer(struct pass *pass,
	       int (*attempt)(void *arg, unsigned flags, bool *again, struct err *err), void *arg,
	       struct err *err)
{
	bool again = false;
	struct err why = { 0 };
	set_state(pass, LAYER_RUNNING);
	int r = attempt(arg, 0, &again, &why);
	if (r < 0 && again && !pass_is_stopped(pass)) {
		log_debug("layer %zu: %s; fetching it once more", pass->layer + 1, err_text(&why));
		if (pass->progress)
			atomic_store(&pass->progress->fetched_bytes, 0);
		r = attempt(arg, REPO_BLOB_FRESH, &again, &why);
	}
	set_state(pass, r < 0 ? LAYER_FAILED : LAYER_DONE);
	if (r >= 0)
		return r;
	if (err)
		*err = why;
	if (r == -ECANCELED)
		return r;
	return err_wrap(err, r, "layer %zu of '%s'", pass->layer + 1, pass->image->repo->name);
}
