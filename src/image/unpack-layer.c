/* The pipeline of one layer, see the header.  Threads end by closing their end of the ring. */
#include "image/unpack-layer.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/log.h"
#include "codec/decoder.h"
#include "codec/tar.h"
#include "image/ring.h"

/*
 * A ratio no honest layer has, once there is much of it.  The floor leaves room for a file of 1 GiB
 * of zeros, which images do have.
 */
#define BOMB_RATIO 500u
#define BOMB_FLOOR_BYTES ((1024u + 64u) * 1024 * 1024)

struct attempt {
	struct unpack_shared *shared; /* borrowed */
	size_t layer;
	const struct descriptor *descriptor; /* borrowed */
	struct ring *ring;		     /* owned */
	atomic_bool tar_failed;

	/* the caller's thread */
	struct stream *blob;   /* owned */
	struct hasher *hasher; /* owned; of the blob */
	uint64_t seen;	       /* compressed bytes */
	uint64_t decoded;
	bool ended;
	bool network_failed; /* the blob's stream itself failed: what it brought says nothing */

	/* the hash thread */
	struct digest diff_id;
	int hash_code;

	/* the tar thread */
	struct toc *toc;	     /* owned */
	struct stage_writer *writer; /* owned */
	int tar_code;
	struct err tar_err;
};

static struct layer_progress *progress_of(struct attempt *a)
{
	return a->shared->progress ? &a->shared->progress->layers[a->layer] : NULL;
}

static bool is_stopped(struct unpack_shared *shared)
{
	return atomic_load(&shared->stop) || (shared->cancel && atomic_load(shared->cancel));
}

/* The next piece of the blob, counted and hashed; size 0 at its end. */
static int next_piece(struct attempt *a, const uint8_t **data, size_t *size, struct err *err)
{
	const void *piece = NULL;
	*size = 0;
	if (a->ended)
		return 0;
	if (is_stopped(a->shared))
		return err_set(err, ECANCELED, "stopped");
	int r = stream_next(a->blob, &piece, size, err);
	if (r < 0) {
		a->network_failed = true;
		return r;
	}
	a->ended = *size == 0;
	a->seen += *size;
	hasher_add(a->hasher, piece, *size);
	atomic_fetch_add(&a->shared->fetched_bytes, *size);
	if (progress_of(a))
		atomic_fetch_add(&progress_of(a)->fetched_bytes, *size);
	*data = piece;
	if (a->seen > a->descriptor->size)
		return err_set(err, EBADMSG,
			       "blob '%s' is longer than the %llu bytes it shall have",
			       digest_show(&a->descriptor->digest),
			       (unsigned long long)a->descriptor->size);
	return 0;
}

static int check_bomb(struct attempt *a, struct err *err)
{
	if (a->shared->allow_bomb || a->decoded <= BOMB_FLOOR_BYTES ||
	    a->decoded / BOMB_RATIO <= a->seen)
		return 0;
	return err_set(err, E2BIG,
		       "%llu bytes decode to more than %u times as much (--allow-bomb takes it)",
		       (unsigned long long)a->seen, BOMB_RATIO);
}

static int publish(struct attempt *a, size_t size, struct err *err)
{
	ring_publish(a->ring, size);
	a->decoded += size;
	atomic_fetch_add(&a->shared->unpacked_bytes, size);
	if (progress_of(a))
		atomic_fetch_add(&progress_of(a)->unpacked_bytes, size);
	return check_bomb(a, err);
}

/*
 * Decode what IO holds, and then pieces of the blob, until a block of the ring is full or the layer
 * ends: *more tells which.
 */
static int fill_block(struct attempt *a, struct decoder *decoder, struct decoder_io *io, bool *more,
		      struct err *err)
{
	if (!io->out) {
		io->out = ring_acquire(a->ring);
		io->out_size = RING_BLOCK_BYTES;
	}
	for (*more = true; *more && io->out_size > 0;) {
		int r = decoder_run(decoder, io, a->ended, err);
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

static int decode_all(struct attempt *a, struct err *err)
{
	uint8_t head[CODEC_MAGIC_BYTES];
	size_t used;
	struct decoder_io io = { .out = ring_acquire(a->ring), .out_size = RING_BLOCK_BYTES };
	int r = read_head(a, head, &used, &io, err);
	if (r < 0)
		return r;
	AUTO(decoder) decoder = NULL;
	r = decoder_new(&decoder, codec_detect(head, used), err);
	if (r < 0)
		return r;
	/* the head first, then what came behind it */
	const uint8_t *rest = io.in;
	size_t rest_size = io.in_size;
	io.in = head;
	io.in_size = used;
	r = decoder_run(decoder, &io, a->ended && rest_size == 0, err);
	io.in = rest;
	io.in_size = rest_size;
	for (bool more = true; r == 0 && more;) {
		if (atomic_load(&a->tar_failed))
			return 0;
		r = fill_block(a, decoder, &io, &more, err);
	}
	return r;
}

/* After a failure: the rest of the blob still tells whether the server or the image is to blame. */
static void drain(struct attempt *a)
{
	const uint8_t *data;
	size_t size = 1;
	while (!a->network_failed && size > 0 && a->seen <= a->descriptor->size) {
		if (next_piece(a, &data, &size, NULL) < 0)
			return;
	}
}

/* Size and digest of the whole blob. */
static int check_blob(struct attempt *a, struct err *err)
{
	const struct descriptor *d = a->descriptor;
	struct digest got;
	if (d->size != UINT64_MAX && a->seen != d->size)
		return err_set(err, EBADMSG, "blob '%s' has %llu bytes instead of %llu",
			       digest_show(&d->digest), (unsigned long long)a->seen,
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
	AUTO(hasher) hasher = hasher_new(a->shared->image->config.diff_ids[a->layer].algorithm);
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

static int write_at(int fd, const uint8_t *data, size_t size, uint64_t offset, struct err *err)
{
	while (size > 0) {
		ssize_t n = pwrite(fd, data, size, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "write");
		data += n;
		size -= (size_t)n;
		offset += (size_t)n;
	}
	return 0;
}

static int write_data(struct tar *tar, const struct tar_entry *entry, int fd, struct err *err)
{
	for (;;) {
		const void *data;
		size_t size;
		uint64_t offset;
		int r = tar_data(tar, &data, &size, &offset, err);
		if (r < 0)
			return r;
		if (size == 0)
			break;
		r = write_at(fd, data, size, offset, err);
		if (r < 0)
			return r;
	}
	/* what follows the last data is a hole */
	if (entry->sparse && ftruncate(fd, (off_t)entry->size) < 0)
		return err_sys(err, "set the size to %llu", (unsigned long long)entry->size);
	return 0;
}

static int set_file_attrs(struct attempt *a, const struct toc_entry *e, int fd, struct err *err)
{
	struct attrs attrs = { .mode = e->mode,
			       .uid = e->uid,
			       .gid = e->gid,
			       .mtime_s = e->mtime_s,
			       .mtime_ns = e->mtime_ns };
	attrs.xattr_count = toc_xattrs(a->toc, e, NULL, 0);
	auto_free struct toc_xattr *xattrs = NULL;
	if (attrs.xattr_count > 0) {
		xattrs = mem_new(attrs.xattr_count * sizeof(*xattrs));
		(void)toc_xattrs(a->toc, e, xattrs, attrs.xattr_count);
		attrs.xattrs = xattrs;
	}
	return attrs_set_fd(a->shared->policy, fd, &attrs, e->mode & 0777, err);
}

static int unpack_file(struct attempt *a, struct tar *tar, const struct tar_entry *entry,
		       uint32_t index, struct err *err)
{
	struct unpack_shared *shared = a->shared;
	uint64_t total = atomic_fetch_add(&shared->file_bytes, entry->size) + entry->size;
	if (shared->max_bytes > 0 && total > shared->max_bytes)
		return err_set(err, E2BIG, "the files have more than %llu bytes (--max-unpacked)",
			       (unsigned long long)shared->max_bytes);
	struct toc_entry *e = toc_at(a->toc, index);
	auto_close int fd = -1;
	int r = stage_create(a->writer, toc_string(a->toc, e->path), e->mode & 0777, &fd,
			     &e->content, err);
	if (r == 0)
		r = write_data(tar, entry, fd, err);
	return r == 0 ? set_file_attrs(a, e, fd, err) : r;
}

static int unpack_entries(struct attempt *a, struct tar *tar, struct err *err)
{
	const struct tar_entry *entry;
	int r;
	while ((r = tar_next(tar, &entry, err)) > 0) {
		uint32_t index;
		if (is_stopped(a->shared))
			return err_set(err, ECANCELED, "stopped");
		r = toc_add(a->toc, entry, &index, err);
		if (r == 0 && index != UINT32_MAX && toc_at(a->toc, index)->kind == TOC_FILE)
			r = unpack_file(a, tar, entry, index, err);
		if (r < 0)
			return err_wrap(err, r, "entry '%s'", esc(entry->path));
		if (progress_of(a))
			atomic_fetch_add(&progress_of(a)->entries, 1);
	}
	return r;
}

static void *tar_thread(void *arg)
{
	struct attempt *a = arg;
	struct stream *stream = ring_consumer(a->ring, 1);
	AUTO(tar) tar = tar_new(stream);
	a->tar_code = unpack_entries(a, tar, &a->tar_err);
	if (a->tar_code < 0)
		atomic_store(&a->tar_failed, true);
	else if (tar_has_trailing_data(tar))
		atomic_fetch_add(&a->shared->trailing_layers, 1);
	stream_free(stream);
	return NULL;
}

/* Run the three parts; all threads have ended when it returns. */
static int run_threads(struct attempt *a, struct err *err)
{
	pthread_t hash, tar;
	int code = pthread_create(&hash, NULL, hash_thread, a);
	if (code != 0)
		return err_errno(err, code, "start a thread");
	code = pthread_create(&tar, NULL, tar_thread, a);
	if (code != 0) {
		stream_free(ring_consumer(a->ring, 1));
		ring_close(a->ring, -EIO);
		pthread_join(hash, NULL);
		return err_errno(err, code, "start a thread");
	}
	int r = decode_all(a, err);
	ring_close(a->ring, r);
	pthread_join(hash, NULL);
	pthread_join(tar, NULL);
	return r;
}

static void attempt_release(struct attempt *a)
{
	stream_free(a->blob);
	hasher_free(a->hasher);
	toc_free(a->toc);
	stage_writer_free(a->writer);
	ring_free(a->ring);
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
	bool local = a->tar_code < 0 && a->tar_code != -EBADMSG && a->tar_code != -E2BIG &&
		     decoded == 0;
	if (local) {
		*err = a->tar_err;
		return a->tar_code;
	}
	if ((decoded < 0 || a->tar_code < 0) && decoded != -E2BIG)
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
		*again = a->seen > a->descriptor->size;
		return decoded;
	}
	if (a->tar_code < 0) {
		*err = a->tar_err;
		return a->tar_code;
	}
	const struct digest *wanted = &a->shared->image->config.diff_ids[a->layer];
	if (!digest_equal(&a->diff_id, wanted))
		return err_set(err, EBADMSG, "its tar has digest '%s', but the config says '%s'",
			       digest_show(&a->diff_id), digest_show(wanted));
	return 0;
}

static int try_layer(struct unpack_shared *shared, size_t layer, unsigned flags, struct toc **toc,
		     bool *again, struct err *err)
{
	const struct descriptor *d = &shared->image->manifest.layers[layer];
	__attribute__((cleanup(attempt_release))) struct attempt a = {
		.shared = shared,
		.layer = layer,
		.descriptor = d,
	};
	int r = repo_blob(shared->image->repo, d, flags, &a.blob, err);
	if (r < 0)
		return r;
	a.ring = ring_new();
	a.hasher = hasher_new(digest_known(&d->digest) ? d->digest.algorithm : DIGEST_SHA256);
	a.toc = toc_new();
	a.writer = stage_writer_new(shared->stage);
	r = verdict(&a, run_threads(&a, err), again, err);
	if (r < 0) {
		stage_writer_discard(a.writer);
		return r;
	}
	*toc = TAKE(a.toc);
	return 0;
}

static void set_state(struct unpack_shared *shared, size_t layer, enum layer_state state)
{
	if (shared->progress)
		atomic_store(&shared->progress->layers[layer].state, (int)state);
}

int unpack_layer(struct unpack_shared *shared, size_t layer, struct toc **toc, struct err *err)
{
	bool again = false;
	set_state(shared, layer, LAYER_RUNNING);
	int r = try_layer(shared, layer, 0, toc, &again, err);
	if (r < 0 && again && !is_stopped(shared)) {
		log_debug("layer %zu: %s; fetching it once more", layer + 1, err_text(err));
		if (shared->progress)
			atomic_store(&shared->progress->layers[layer].fetched_bytes, 0);
		r = try_layer(shared, layer, REPO_BLOB_FRESH, toc, &again, err);
	}
	set_state(shared, layer, r < 0 ? LAYER_FAILED : LAYER_DONE);
	if (r < 0 && r != -ECANCELED)
		return err_wrap(err, r, "layer %zu of '%s'", layer + 1, shared->image->repo->name);
	return r;
}
