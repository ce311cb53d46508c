/*
 * Copying a blob, verified.  The bytes are hashed as they pass, so nothing is read twice; whoever
 * takes them must be able to forget them again.  Used by the exports.
 */
#include "image/copy.h"

#include <errno.h>

#include "base/log.h"

static bool is_set(const atomic_bool *flag)
{
	return flag && atomic_load_explicit(flag, memory_order_relaxed);
}

static int pass(struct stream *stream, const struct descriptor *d, const struct copy_sink *sink,
		const struct copy_options *options, struct err *err)
{
	AUTO(hasher) hasher = hasher_new(d->digest.algorithm);
	uint64_t seen = 0;
	for (;;) {
		const void *data = NULL;
		size_t size = 0;
		if (is_set(options->cancel) || is_set(options->stop))
			return err_set(err, ECANCELED, "canceled");
		int r = stream_next(stream, &data, &size, err);
		if (r < 0)
			return r;
		if (size == 0)
			break;
		if (size > d->size - seen)
			return err_set(err, EBADMSG, "more than the %llu bytes announced",
				       (unsigned long long)d->size);
		seen += size;
		hasher_add(hasher, data, size);
		r = sink->put(sink->arg, data, size, err);
		if (r < 0)
			return r;
		if (options->progress)
			atomic_store(&options->progress->fetched_bytes, seen);
	}
	if (seen != d->size)
		return err_set(err, EBADMSG, "%llu bytes instead of %llu", (unsigned long long)seen,
			       (unsigned long long)d->size);
	struct digest digest;
	hasher_finish(hasher, &digest);
	if (!digest_equal(&digest, &d->digest))
		return err_set(err, EBADMSG, "the bytes have digest %s", digest_show(&digest));
	return 0;
}

static int attempt(struct repo *repo, const struct descriptor *d, unsigned flags,
		   const struct copy_sink *sink, const struct copy_options *options,
		   struct err *err)
{
	AUTO(stream) stream = NULL;
	int r = repo_blob(repo, d, flags, &stream, err);
	return r < 0 ? r : pass(stream, d, sink, options, err);
}

static void set_state(const struct copy_options *options, enum layer_state state)
{
	if (options->progress)
		atomic_store(&options->progress->state, state);
}

int copy_blob(struct repo *repo, const struct descriptor *d, const struct copy_sink *sink,
	      const struct copy_options *options, struct err *err)
{
	set_state(options, LAYER_RUNNING);
	int r = attempt(repo, d, 0, sink, options, err);
	for (int tries = 1; r == -EBADMSG && tries < COPY_TRIES_MAX; tries++) {
		log_debug("blob %s: bad bytes, once more", digest_show(&d->digest));
		r = sink->restart(sink->arg, err);
		if (r < 0)
			break;
		if (options->progress)
			atomic_store(&options->progress->fetched_bytes, 0);
		r = attempt(repo, d, REPO_BLOB_FRESH, sink, options, err);
	}
	set_state(options, r < 0 ? LAYER_FAILED : LAYER_DONE);
	return r < 0 ? err_wrap(err, r, "blob %s", digest_show(&d->digest)) : 0;
}
