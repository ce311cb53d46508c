/*
 * Both trees are walked together, children being sorted alike; a stack of our own, so that depth is
 * bounded by the trees.  What has to be read is collected first and then read by a few threads,
 * because each file costs a round trip where its bytes are not at hand; neighbours in a blob are
 * fetched ahead, in one.
 */
#include "image/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/esc.h"
#include "base/str.h"
#include "image/contents.h"
#include "image/parallel.h"

#define PATH_MAX_BYTES (1024u * 1024)
#define READERS 8
#define AHEAD_FILES 4096u
/* Of a larger file the first difference may spare the rest. */
#define AHEAD_FILE_MAX_BYTES (1024u * 1024)

struct frame {
	uint32_t a, b; /* directories, or ROOTFS_NONE */
	uint32_t next_a, next_b;
	size_t path_length;
};

struct walk {
	struct lazy *lazy_a, *lazy_b; /* borrowed */
	const struct rootfs *a, *b;   /* borrowed */
	struct differences *out;      /* borrowed */
	struct str path;
	struct frame *frames; /* owned */
	size_t depth, capacity;
};

static void walk_release(struct walk *w)
{
	str_release(&w->path);
	free(w->frames);
}

void differences_release(struct differences *differences)
{
	for (size_t i = 0; i < differences->count; i++)
		free(differences->all[i].path);
	free(differences->all);
	*differences = (struct differences){ 0 };
}

/* --- one name --- */

static bool has_xattr(const struct toc_xattr *list, size_t count, const struct toc_xattr *wanted)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i].name, wanted->name) == 0)
			return list[i].size == wanted->size &&
			       memcmp(list[i].value, wanted->value, wanted->size) == 0;
	}
	return false;
}

static bool same_xattrs(const struct walk *w, const struct rootfs_inode *x,
			const struct rootfs_inode *y)
{
	size_t count = rootfs_xattrs(w->a, x, NULL, 0);
	if (count != rootfs_xattrs(w->b, y, NULL, 0))
		return false;
	auto_free struct toc_xattr *p = mem_new((count + 1) * sizeof(*p));
	auto_free struct toc_xattr *q = mem_new((count + 1) * sizeof(*q));
	(void)rootfs_xattrs(w->a, x, p, count);
	(void)rootfs_xattrs(w->b, y, q, count);
	for (size_t i = 0; i < count; i++) {
		if (!has_xattr(q, count, &p[i]))
			return false;
	}
	return true;
}

static bool same_target(const struct walk *w, const struct rootfs_inode *x,
			const struct rootfs_inode *y)
{
	if (S_ISLNK(x->mode))
		return strcmp(rootfs_string(w->a, x->a), rootfs_string(w->b, y->a)) == 0;
	bool is_device = S_ISCHR(x->mode) || S_ISBLK(x->mode);
	return !is_device || (x->a == y->a && x->b == y->b);
}

/* What is different but the contents; the modes of symbolic links mean nothing. */
static unsigned compare_attributes(const struct walk *w, const struct rootfs_inode *x,
				   const struct rootfs_inode *y)
{
	unsigned changed = 0;
	if ((x->mode & S_IFMT) != (y->mode & S_IFMT))
		return COMPARE_TYPE;
	if (!S_ISLNK(x->mode) && x->mode != y->mode)
		changed |= COMPARE_MODE;
	if (x->uid != y->uid || x->gid != y->gid)
		changed |= COMPARE_OWNER;
	if (!same_target(w, x, y))
		changed |= COMPARE_LINK;
	if (!same_xattrs(w, x, y))
		changed |= COMPARE_XATTR;
	return changed;
}

static int add(struct walk *w, uint32_t a, uint32_t b, unsigned changed, bool unsure,
	       struct err *err)
{
	struct differences *out = w->out;
	if (out->count == DIFFERENCES_MAX)
		return err_set(err, E2BIG, "more than %u differences", DIFFERENCES_MAX);
	out->all = mem_grow(out->all, &out->capacity, out->count, sizeof(*out->all));
	out->all[out->count++] = (struct difference){
		.path = mem_strdup(str_text(&w->path)),
		.a = a,
		.b = b,
		.changed = changed,
		.unsure = unsure,
	};
	return 0;
}

static int compare_both(struct walk *w, uint32_t a, uint32_t b, struct err *err)
{
	const struct rootfs_inode *x = rootfs_inode(w->a, a), *y = rootfs_inode(w->b, b);
	unsigned changed = compare_attributes(w, x, y);
	bool unsure = false;
	w->out->compared++;
	if (S_ISREG(x->mode) && S_ISREG(y->mode)) {
		enum compare_answer answer = COMPARE_DIFFERENT;
		if (x->size == y->size)
			answer = compare_by_table(w->lazy_a, x, w->lazy_b, y);
		unsure = answer == COMPARE_UNKNOWN;
		changed |= answer == COMPARE_DIFFERENT ? COMPARE_CONTENT : 0;
	}
	return changed || unsure ? add(w, a, b, changed, unsure, err) : 0;
}

/* --- the walk --- */

static bool is_dir(const struct rootfs *rootfs, uint32_t number)
{
	return number != ROOTFS_NONE && S_ISDIR(rootfs_inode(rootfs, number)->mode);
}

/* Compare what the path names now; it is on the stack afterwards if anything is below it. */
static int arrive(struct walk *w, uint32_t a, uint32_t b, struct err *err)
{
	if (w->path.failed)
		return err_set(err, E2BIG, "a path of more than %u bytes", PATH_MAX_BYTES);
	int r = a != ROOTFS_NONE && b != ROOTFS_NONE ? compare_both(w, a, b, err)
						     : add(w, a, b, 0, false, err);
	if (r < 0)
		return r;
	const struct frame frame = {
		.a = is_dir(w->a, a) ? a : ROOTFS_NONE,
		.b = is_dir(w->b, b) ? b : ROOTFS_NONE,
		.path_length = w->path.length,
	};
	if (frame.a == ROOTFS_NONE && frame.b == ROOTFS_NONE)
		return 0;
	w->frames = mem_grow(w->frames, &w->capacity, w->depth, sizeof(*w->frames));
	w->frames[w->depth++] = frame;
	return 0;
}

static const struct rootfs_child *peek(const struct rootfs *rootfs, uint32_t dir, uint32_t next)
{
	const struct rootfs_inode *inode = dir == ROOTFS_NONE ? NULL : rootfs_inode(rootfs, dir);
	return inode && next < inode->b ? rootfs_child(rootfs, inode, next) : NULL;
}

static int compare_names(const struct walk *w, const struct rootfs_child *p,
			 const struct rootfs_child *q)
{
	if (!p || !q)
		return p ? -1 : 1;
	return strcmp(rootfs_string(w->a, p->name), rootfs_string(w->b, q->name));
}

/* The next name of the directories on top, or leave them. */
static int advance(struct walk *w, struct err *err)
{
	struct frame *top = &w->frames[w->depth - 1];
	const struct rootfs_child *p = peek(w->a, top->a, top->next_a);
	const struct rootfs_child *q = peek(w->b, top->b, top->next_b);
	w->path.length = top->path_length;
	if (!p && !q) {
		w->depth--;
		return 0;
	}
	int order = compare_names(w, p, q);
	const char *name = order <= 0 ? rootfs_string(w->a, p->name) : rootfs_string(w->b, q->name);
	top->next_a += order <= 0;
	top->next_b += order >= 0;
	if (w->path.data[w->path.length - 1] != '/')
		str_addc(&w->path, '/');
	str_add(&w->path, name);
	return arrive(w, order <= 0 ? p->inode : ROOTFS_NONE, order >= 0 ? q->inode : ROOTFS_NONE,
		      err);
}

/* --- contents that have to be read --- */

struct reading {
	const struct walk *walk;    /* borrowed */
	struct difference **unsure; /* owned */
	size_t count;
	_Atomic uint64_t read_bytes;
	const atomic_bool *cancel; /* borrowed, or NULL */
};

/* Tasks from FIRST on: twice as many as there are until this is called again. */
static void want_ahead(const struct reading *reading, size_t first)
{
	const struct walk *w = reading->walk;
	size_t count = reading->count - first, wanted = 0;
	count = count < 2 * AHEAD_FILES ? count : 2 * AHEAD_FILES;
	auto_free uint32_t *a = mem_new(count * sizeof(*a)), *b = mem_new(count * sizeof(*b));
	for (size_t i = first; i < first + count; i++) {
		const struct difference *d = reading->unsure[i];
		if (rootfs_inode(w->a, d->a)->size > AHEAD_FILE_MAX_BYTES)
			continue;
		a[wanted] = d->a;
		b[wanted++] = d->b;
	}
	contents_want(w->lazy_a, a, wanted);
	contents_want(w->lazy_b, b, wanted);
}

static int read_one(void *arg, size_t task, struct err *err)
{
	struct reading *reading = arg;
	struct difference *d = reading->unsure[task];
	if (task % AHEAD_FILES == 0)
		want_ahead(reading, task);
	bool same;
	uint64_t read_bytes = 0;
	int r = compare_by_bytes(reading->walk->lazy_a, d->a, reading->walk->lazy_b, d->b, &same,
				 &read_bytes, reading->cancel, err);
	atomic_fetch_add(&reading->read_bytes, read_bytes);
	if (r < 0)
		return err_wrap(err, r, "compare '%s'", esc(d->path));
	d->unsure = false;
	d->changed |= same ? 0 : COMPARE_CONTENT;
	return 0;
}

static int read_unsure(struct walk *w, const atomic_bool *cancel, struct err *err)
{
	struct differences *out = w->out;
	struct reading reading = { .walk = w, .cancel = cancel };
	auto_free struct difference **unsure = mem_new((out->count + 1) * sizeof(*unsure));
	for (size_t i = 0; i < out->count; i++) {
		if (out->all[i].unsure)
			unsure[reading.count++] = &out->all[i];
	}
	reading.unsure = unsure;
	atomic_bool stop = false;
	const struct parallel parallel = {
		.count = reading.count,
		.run = read_one,
		.arg = &reading,
		.stop = &stop,
	};
	int r = parallel_run(&parallel, parallel_threads(READERS, reading.count), err);
	out->read_bytes = atomic_load(&reading.read_bytes);
	return r;
}

/* Those that turned out to be the same go. */
static void drop_same(struct differences *out)
{
	size_t kept = 0;
	for (size_t i = 0; i < out->count; i++) {
		struct difference *d = &out->all[i];
		if (d->a != ROOTFS_NONE && d->b != ROOTFS_NONE && d->changed == 0)
			free(d->path);
		else
			out->all[kept++] = *d;
	}
	out->count = kept;
}

int compare_trees(struct differences *out, const struct compare_side *a,
		  const struct compare_side *b, const char *path, const atomic_bool *cancel,
		  struct err *err)
{
	__attribute__((cleanup(walk_release))) struct walk w = {
		.lazy_a = a->lazy,
		.lazy_b = b->lazy,
		.a = lazy_rootfs(a->lazy),
		.b = lazy_rootfs(b->lazy),
		.out = out,
		.path = STR_MAX(PATH_MAX_BYTES),
	};
	if (*path != '/')
		str_addc(&w.path, '/');
	str_add(&w.path, path);
	int r = arrive(&w, a->start, b->start, err);
	while (r == 0 && w.depth > 0)
		r = advance(&w, err);
	if (r == 0)
		r = read_unsure(&w, cancel, err);
	if (r == 0)
		drop_same(out);
	return r;
}
