/*
 * Unpacking as a pass over a layer (pass.h): the reader's thread takes the tar apart and puts its
 * files on the stage.  What the cache has whole is not fetched.
 */
#include "image/unpack-layer.h"

#include <errno.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/log.h"
#include "codec/decoder.h"
#include "codec/tar.h"
#include "image/kept-layer.h"
#include "image/pass.h"

struct attempt {
	struct unpack_shared *shared; /* borrowed */
	struct pass pass;
	struct decoder *decoder; /* owned; the caller's thread */
	struct kept_layer *kept; /* owned; while it is copied from */

	/* the reader's thread */
	struct toc *toc;	     /* owned */
	struct stage_writer *writer; /* owned */
};

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
		if (pass_is_stopped(&a->pass))
			return err_set(err, ECANCELED, "stopped");
		r = toc_add(a->toc, entry, &index, err);
		if (r == 0 && index != UINT32_MAX && toc_at(a->toc, index)->kind == TOC_FILE)
			r = unpack_file(a, tar, entry, index, err);
		if (r < 0)
			return err_wrap(err, r, "entry '%s'", esc(entry->path));
		if (a->pass.progress)
			atomic_fetch_add(&a->pass.progress->entries, 1);
	}
	return r;
}

static int read_tar(void *arg, struct stream *stream, struct err *err)
{
	struct attempt *a = arg;
	AUTO(tar) tar = tar_new(stream);
	int r = unpack_entries(a, tar, err);
	if (r == 0 && tar_has_trailing_data(tar))
		atomic_fetch_add(&a->shared->trailing_layers, 1);
	return r;
}

static int begin(void *arg, enum codec codec, struct err *err)
{
	struct attempt *a = arg;
	return decoder_new(&a->decoder, codec, err);
}

static int run(void *arg, struct decoder_io *io, bool input_ended, struct err *err)
{
	struct attempt *a = arg;
	return decoder_run(a->decoder, io, input_ended, err);
}

static void attempt_reset(struct attempt *a)
{
	decoder_free(TAKE(a->decoder));
	toc_free(TAKE(a->toc));
	stage_writer_free(TAKE(a->writer));
}

static int run_pass(struct attempt *a, unsigned flags, bool *again, struct err *err)
{
	attempt_reset(a);
	a->toc = toc_new();
	a->writer = stage_writer_new(a->shared->stage);
	int r = pass_run(&a->pass, flags, again, err);
	atomic_fetch_add(&a->shared->fetched_bytes, a->pass.fetched_bytes);
	atomic_fetch_add(&a->shared->unpacked_bytes, a->pass.decoded_bytes);
	if (r < 0)
		stage_writer_discard(a->writer);
	return r;
}

static int copy(void *arg, void *out, size_t room, size_t *size, struct err *err)
{
	struct attempt *a = arg;
	return kept_layer_read(a->kept, out, room, size, err);
}

static void set_cached(struct attempt *a, bool cached)
{
	if (a->pass.progress)
		atomic_store(&a->pass.progress->cached, cached);
}

/* From the cache: true when that settled it, with *r what it came to. */
static bool try_kept(struct attempt *a, int *r, struct err *err)
{
	struct err why = { 0 };
	bool again = false;
	if (!a->shared->cache)
		return false;
	a->kept = kept_layer_open(a->shared->cache, a->shared->image, a->pass.layer);
	if (!a->kept)
		return false;
	set_cached(a, true);
	a->pass.copy = copy;
	*r = run_pass(a, 0, &again, &why);
	a->pass.copy = NULL;
	kept_layer_free(TAKE(a->kept));
	if (*r == 0)
		atomic_fetch_add(&a->shared->cached_layers, 1);
	if (!again) {
		if (*r < 0 && err)
			*err = why;
		return true;
	}
	set_cached(a, false);
	if (a->pass.progress) {
		atomic_store(&a->pass.progress->unpacked_bytes, 0);
		atomic_store(&a->pass.progress->entries, 0);
	}
	log_debug("layer %zu out of the cache: %s; fetching it", a->pass.layer + 1, err_text(&why));
	return false;
}

static int try_layer(void *arg, unsigned flags, bool *again, struct err *err)
{
	struct attempt *a = arg;
	int r;
	return flags == 0 && try_kept(a, &r, err) ? r : run_pass(a, flags, again, err);
}

int unpack_layer(struct unpack_shared *shared, size_t layer, struct toc **toc, struct err *err)
{
	__attribute__((cleanup(attempt_reset))) struct attempt a = {
		.shared = shared,
		.pass = {
			.image = shared->image,
			.layer = layer,
			.progress = shared->progress ? &shared->progress->layers[layer] : NULL,
			.cancel = shared->cancel,
			.stop = &shared->stop,
			.allow_bomb = shared->allow_bomb,
			.begin = begin,
			.run = run,
			.read = read_tar,
			.arg = &a,
		},
	};
	int r = pass_layer(&a.pass, try_layer, &a, err);
	if (r == 0)
		*toc = TAKE(a.toc);
	return r;
}
