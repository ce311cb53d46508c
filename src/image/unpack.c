/*
 * The order of an unpack: destination, stage, layers on several threads, merge, placing, moving up.
 */
#include "image/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "image/parallel.h"
#include "image/place.h"
#include "image/stage.h"
#include "image/tree.h"
#include "image/unpack-layer.h"

/* A destination being filled. */
struct destination {
	const char *path;  /* borrowed */
	int fd;		   /* owned */
	bool made;	   /* by us: removed again on failure */
	struct stat found; /* as it was, when it was there */
};

static int open_destination(struct destination *d, const char *path, struct err *err)
{
	*d = (struct destination){ .path = path, .fd = -1 };
	if (mkdir(path, 0700) == 0)
		d->made = true;
	else if (errno != EEXIST)
		return err_sys(err, "create destination '%s'", esc(path));
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0 && errno == ENOTDIR)
		return err_set(err, EINVAL, "destination '%s' is no directory", esc(path));
	if (d->fd < 0 || fstat(d->fd, &d->found) < 0)
		return err_sys(err, "open destination '%s'", esc(path));
	if (geteuid() != 0 && d->found.st_uid != geteuid())
		return err_set(err, EACCES, "destination '%s' belongs to another user", esc(path));
	return 0;
}

/* Everything in it is gone already; what it was itself may have changed. */
static void restore_destination(const struct destination *d)
{
	const struct stat *st = &d->found;
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, st->st_mtim };
	struct stat now;
	if (fstat(d->fd, &now) < 0)
		return;
	if (now.st_uid != st->st_uid || now.st_gid != st->st_gid)
		IGNORE(fchown(d->fd, st->st_uid, st->st_gid));
	if (now.st_mode != st->st_mode)
		IGNORE(fchmod(d->fd, st->st_mode & 07777));
	IGNORE(futimens(d->fd, times));
}

static void close_destination(struct destination *d, bool failed)
{
	if (failed && d->fd >= 0)
		restore_destination(d);
	mem_close_fd(&d->fd);
	if (failed && d->made)
		(void)rmdir(d->path);
}

/* The layers, and what becomes of them. */
struct jobs {
	struct unpack_shared *shared; /* borrowed */
	size_t *order;		      /* owned; largest first: the threads end together */
	struct toc **tocs;	      /* owned, by layer */
	size_t count;
};

static int by_size(const void *x, const void *y, void *arg)
{
	const struct descriptor *layers = arg;
	uint64_t a = layers[*(const size_t *)x].size, b = layers[*(const size_t *)y].size;
	if (a != b)
		return a > b ? -1 : 1;
	return *(const size_t *)x < *(const size_t *)y ? -1 : 1;
}

static void jobs_init(struct jobs *jobs, struct unpack_shared *shared)
{
	const struct manifest *manifest = &shared->image->manifest;
	*jobs = (struct jobs){ .shared = shared, .count = manifest->layer_count };
	jobs->order = mem_new(jobs->count * sizeof(*jobs->order));
	jobs->tocs = mem_new(jobs->count * sizeof(struct toc *));
	for (size_t i = 0; i < jobs->count; i++)
		jobs->order[i] = i;
	if (jobs->count > 1)
		qsort_r(jobs->order, jobs->count, sizeof(*jobs->order), by_size, manifest->layers);
}

static void jobs_release(struct jobs *jobs)
{
	for (size_t i = 0; i < jobs->count; i++)
		toc_free(jobs->tocs[i]);
	free(jobs->tocs);
	free(jobs->order);
}

static int unpack_one(void *arg, size_t task, struct err *err)
{
	struct jobs *jobs = arg;
	size_t layer = jobs->order[task];
	return unpack_layer(jobs->shared, layer, &jobs->tocs[layer], err);
}

static int run_jobs(struct jobs *jobs, unsigned wanted, struct err *err)
{
	const struct parallel parallel = {
		.count = jobs->count,
		.run = unpack_one,
		.arg = jobs,
		.stop = &jobs->shared->stop,
	};
	return parallel_run(&parallel, parallel_threads(wanted, jobs->count), err);
}

static int merge(struct jobs *jobs, struct tree *tree, struct unpack_result *out, struct err *err)
{
	for (size_t i = 0; i < jobs->count; i++) {
		out->dropped_xattrs += toc_dropped_xattrs(jobs->tocs[i]);
		int r = tree_apply(tree, jobs->tocs[i], (unsigned)i, err);
		if (r < 0)
			return err_wrap(err, r, "layer %zu of '%s'", i + 1,
					jobs->shared->image->repo->name);
		toc_free(TAKE(jobs->tocs[i]));
	}
	const struct tree_node *root = tree_node(tree, TREE_ROOT);
	for (uint32_t i = root->first_child; i != TREE_NONE; i = tree_node(tree, i)->next) {
		const char *name = tree_string(tree, tree_node(tree, i)->name);
		if (str_starts(name, STAGE_PREFIX))
			return err_set(err, EBADMSG, "the name '%s' is reserved for unpacking",
				       esc(name));
	}
	return 0;
}

static bool is_cancelled(const struct unpack_options *options)
{
	return options->cancel && atomic_load(options->cancel);
}

/* Everything from here on changes the destination itself; what fails is undone. */
static int finish(struct stage *stage, int destfd, const struct tree *tree,
		  const struct place_options *place, struct err *err)
{
	int r = stage_commit(stage, err);
	if (r < 0)
		return r;
	r = place_top(destfd, tree, place, err);
	if (r == 0)
		r = stage_remove(stage, err);
	/* before the tree counts, where a mode cannot keep us from removing the last name */
	if (r == 0 && geteuid() == 0)
		r = place_root(destfd, tree, place, err);
	if (r == 0)
		r = stage_done(stage, err);
	if (r == 0) /* again: its mtime has changed */
		r = place_root(destfd, tree, place, err);
	if (r < 0)
		stage_undo_commit(stage);
	return r;
}

static int fill(struct destination *d, struct unpack_shared *shared,
		const struct unpack_options *options, struct unpack_result *out, struct err *err)
{
	AUTO(stage) stage = NULL;
	int r = stage_new(&stage, d->fd, err);
	if (r < 0)
		return err_wrap(err, r, "destination '%s'", esc(d->path));
	shared->stage = stage;
	__attribute__((cleanup(jobs_release))) struct jobs jobs;
	jobs_init(&jobs, shared);
	r = run_jobs(&jobs, options->jobs, err);
	if (r < 0)
		return r;
	AUTO(tree) tree = tree_new();
	r = merge(&jobs, tree, out, err);
	if (r < 0)
		return r;
	struct place_options place = { .devices = options->devices, .policy = shared->policy };
	struct place_result placed = { 0 };
	r = place_tree(stage, tree, &place, &placed, err);
	if (r == 0 && is_cancelled(options))
		r = err_set(err, ECANCELED, "stopped");
	if (r == 0)
		r = finish(stage, d->fd, tree, &place, err);
	out->skipped_devices = placed.skipped_devices;
	out->files = tree_name_count(tree) - placed.skipped_devices;
	return r < 0 ? err_wrap(err, r, "unpack into '%s'", esc(d->path)) : 0;
}

/* The user's, if there is one; what lies on this disk anyway needs none. */
static struct cache *find_cache(const struct image *image, const struct unpack_options *options)
{
	struct cache *cache = NULL;
	struct err err = { 0 };
	const struct cache_options existing = { .existing = true };
	if (!options->use_cache || image->ref.kind != REF_REGISTRY)
		return NULL;
	int r = cache_open(&cache, &existing, &err);
	if (r < 0 && r != -ENOENT)
		log_debug("no cache is used: %s", err_text(&err));
	return r < 0 ? NULL : cache;
}

int unpack_image(struct image *image, const char *path, const struct unpack_options *options,
		 struct unpack_result *out, struct err *err)
{
	struct destination d;
	struct attrs_policy policy;
	struct unpack_result result = { 0 };
	AUTO(cache) cache = find_cache(image, options);
	attrs_policy_init(&policy);
	struct unpack_shared shared = {
		.image = image,
		.policy = &policy,
		.cache = cache,
		.progress = options->progress,
		.cancel = options->cancel,
		.allow_bomb = options->allow_bomb,
		.max_bytes = options->max_bytes,
	};
	mode_t mask = umask(0); /* modes are the image's; restored below */
	int r = open_destination(&d, path, err);
	if (r == 0)
		r = fill(&d, &shared, options, &result, err);
	close_destination(&d, r < 0);
	(void)umask(mask);
	if (r < 0)
		return r;
	result.fetched_bytes = atomic_load(&shared.fetched_bytes);
	result.cached_layers = atomic_load(&shared.cached_layers);
	result.unpacked_bytes = atomic_load(&shared.unpacked_bytes);
	result.trailing_layers = atomic_load(&shared.trailing_layers);
	result.failed_owners = atomic_load(&policy.failed_owners);
	result.failed_xattrs = atomic_load(&policy.failed_xattrs);
	*out = result;
	return 0;
}
