/*
 * What is read next, told from the image itself, for a mount that has no record yet: without it
 * each library, each script and each module would cost a round trip, one after the other.
 *
 *	the first process	the config's entrypoint and command, the scripts they name, a shell
 *	programs		the libraries they need, and those need, all at once (elf.h)
 *	spans			what lies in the same directory (fetch-near.h)
 *
 *	modules			those they import, and those import (lazy-modules.h)
 *
 * A queue of files, and a few threads: each file is asked for when it becomes known, entered when
 * its start has arrived, and looked into.  Files come in by the start of the mount, by reads
 * (lazy_ahead_seen) and by other files.  Only guesses: a wrong one costs bytes, and failures are
 * nobody's.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/str.h"
#include "image/elf.h"
#include "image/lazy-internal.h"
#include "image/lazy-modules.h"
#include "image/rootfs-path.h"

#define QUEUE_MAX 1024u
#define THREADS 3u			   /* a large file's parts are waited for one by one */
#define WHOLE_MAX_BYTES (4u * 1024 * 1024) /* files up to this are asked for as a whole */
#define HEAD_BYTES 4096u
#define PATH_BYTES 4096u
#define LD_CACHE "/etc/ld.so.cache"
#define LD_CACHE_MAX_BYTES (4u * 1024 * 1024)
#define LD_CACHE_TRIES 4u /* entries of one name: other machines' libraries */

/* A file to be looked into; what it needs is asked for in that class. */
struct entry {
	uint32_t inode;
	enum fetch_class class;
};

struct lazy_ahead {
	struct lazy *lazy; /* borrowed */
	pthread_t threads[THREADS];
	size_t thread_count;
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t changed;
	struct entry queue[QUEUE_MAX]; /* a ring */
	size_t first, count;
	bool ending;
	enum { LD_CACHE_UNREAD, LD_CACHE_READING, LD_CACHE_READ } ld_cache_state;
	/* not guarded */
	/* a bit an inode: to be fetched; read by others */
	_Atomic uint8_t *asked;	      /* owned */
	_Atomic uint8_t *read;	      /* in the same memory */
	struct lazy_modules *modules; /* owned; NULL: there is a record */
	uint8_t *ld_cache;	      /* owned or NULL; set when the state says so */
	size_t ld_cache_size;
};

/* For whom things are asked. */
struct asker {
	struct lazy_ahead *ahead; /* borrowed */
	enum fetch_class class;	  /* of what it asks for */
};

/* A file whose start is on its way. */
struct arrival {
	struct lazy_request request; /* first: the reading's callback gets it */
	struct asker asker;
	uint32_t inode;
	uint8_t byte;
};

/* Set INODE's bit: was it not? */
static bool set_bit(_Atomic uint8_t *bits, uint32_t inode)
{
	uint8_t bit = (uint8_t)(1u << inode % 8);
	return !(atomic_fetch_or_explicit(&bits[inode / 8], bit, memory_order_relaxed) & bit);
}

static void enter(const struct asker *by, uint32_t inode)
{
	struct lazy_ahead *a = by->ahead;
	LOCKED(&a->mutex);
	if (a->count == QUEUE_MAX || a->ending)
		return;
	a->queue[(a->first + a->count++) % QUEUE_MAX] = (struct entry){ inode, by->class };
	pthread_cond_broadcast(&a->changed); /* who waits for ld.so.cache does so, too */
}

static void arrived(struct lazy_request *request, int code, size_t got, const struct err *err)
{
	auto_free struct arrival *arrival = (struct arrival *)request;
	(void)got;
	(void)err;
	if (code == 0)
		enter(&arrival->asker, arrival->inode);
}

static void enter_when_here(const struct asker *by, uint32_t inode)
{
	size_t got = 0;
	struct arrival *arrival = mem_make(struct arrival, .request = { arrived }, .asker = *by,
					   .inode = inode);
	if (lazy_read_patiently(by->ahead->lazy, &arrival->request, inode, &arrival->byte, 1,
				&got) == 1)
		arrived(&arrival->request, 0, got, NULL);
}

void lazy_ahead_seen(struct lazy *lazy, uint32_t inode, const void *head, size_t size)
{
	struct lazy_ahead *a = lazy->ahead;
	if (!a || size < 4 || !set_bit(a->read, inode))
		return;
	bool elf = memcmp(head, "\177ELF", 4) == 0;
	if ((elf || memcmp(head, "#!", 2) == 0) && set_bit(a->asked, inode))
		enter(&(struct asker){ a, FETCH_SOON }, inode);
	if (!elf)
		lazy_modules_enter(a->modules, inode);
}

void lazy_ahead_program(struct lazy *lazy, uint32_t inode, enum fetch_class class)
{
	enter_when_here(&(struct asker){ lazy->ahead, class }, inode);
}

/* ---- asking */

static const struct rootfs_inode *file_of(const struct lazy *lazy, uint32_t inode)
{
	const struct rootfs_inode *file = rootfs_inode(lazy->rootfs, inode);
	return file && S_ISREG(file->mode) && file->size > 0 ? file : NULL;
}

static void add_stream(struct lazy_wants *wants, uint32_t layer, uint64_t from, uint64_t to)
{
	const struct lazy_layer *l = &wants->lazy->layers[layer];
	for (uint32_t i = table_find_span(l->table, from); i < table_span_count(l->table); i++) {
		if (table_span(l->table, i)->stream_offset >= to)
			break;
		if (cache_spans_has(l->spans, i))
			continue;
		if (wants->count == LAZY_WANTS_MAX)
			lazy_wants_flush(wants);
		wants->spans[wants->count++] = (struct fetch_span){ layer, i };
	}
}

void lazy_wants_range(struct lazy_wants *wants, uint32_t inode, uint64_t from, uint64_t to)
{
	const struct lazy *lazy = wants->lazy;
	const struct rootfs_inode *file = rootfs_inode(lazy->rootfs, inode);
	uint32_t layer = lazy->of_layer[file->layer], count = 0;
	const struct table_extent *e = table_extents(lazy->layers[layer].table, file->a, &count);
	for (uint32_t i = 0; i < count && e[i].file_offset < to; i++) {
		uint64_t begin = e[i].file_offset, end = begin + e[i].size;
		begin = begin > from ? begin : from;
		end = end < to ? end : to;
		if (begin < end)
			add_stream(wants, layer, e[i].stream_offset + (begin - e[i].file_offset),
				   e[i].stream_offset + (end - e[i].file_offset));
	}
}

void lazy_wants_file(struct lazy_wants *wants, uint32_t inode, bool program)
{
	uint64_t size = rootfs_inode(wants->lazy->rootfs, inode)->size;
	lazy_wants_range(wants, inode, 0, size <= WHOLE_MAX_BYTES ? size : 1);
	if (size > WHOLE_MAX_BYTES && program)
		lazy_wants_range(wants, inode, size - 1, size);
}

void lazy_wants_flush(struct lazy_wants *wants)
{
	if (wants->count > 0)
		fetcher_want(wants->lazy->fetcher, wants->spans, wants->count, wants->class);
	wants->count = 0;
}

bool lazy_ahead_take(struct lazy *lazy, uint32_t inode)
{
	return file_of(lazy, inode) && set_bit(lazy->ahead->asked, inode);
}

/* Ask for a file; false when it was seen before. */
static bool want_file(const struct asker *by, uint32_t inode)
{
	struct lazy_wants wants = { .lazy = by->ahead->lazy, .class = by->class };
	if (!lazy_ahead_take(by->ahead->lazy, inode))
		return false;
	lazy_wants_file(&wants, inode, true);
	lazy_wants_flush(&wants);
	return true;
}

/* The same by name; it is looked into later. */
static bool want_path(const struct asker *by, const char *path)
{
	uint32_t inode;
	if (rootfs_resolve(by->ahead->lazy->rootfs, path, true, &inode, NULL) < 0 ||
	    !file_of(by->ahead->lazy, inode))
		return false;
	if (want_file(by, inode))
		enter_when_here(by, inode);
	return true;
}

/* NAME in one of the DIRECTORIES, which have colons between them. */
static bool want_in(const struct asker *by, const char *directories, const char *name)
{
	while (directories && *directories) {
		size_t length = strcspn(directories, ":");
		auto_str path = STR_MAX(PATH_BYTES);
		str_addn(&path, directories, length);
		str_addf(&path, "/%s", name);
		if (!path.failed && length > 0 && want_path(by, str_text(&path)))
			return true;
		directories += length + (directories[length] == ':');
	}
	return false;
}

/* ---- looking into files */

struct file_input {
	struct input base;
	struct lazy *lazy; /* borrowed */
	uint32_t inode;
};

static int file_input_read(struct input *input, void *buf, size_t size, uint64_t offset,
			   struct err *err)
{
	struct file_input *f = (struct file_input *)input;
	size_t got = 0;
	int r = lazy_read_ahead(f->lazy, f->inode, buf, size, offset, &got, err);
	return r == 0 && got < size ? err_set(err, EBADMSG, "the file ends early") : r;
}

static struct file_input file_input(struct lazy *lazy, uint32_t inode)
{
	static const struct input_ops ops = { .read = file_input_read };
	const struct rootfs_inode *file = rootfs_inode(lazy->rootfs, inode);
	return (struct file_input){ { &ops, file->size }, lazy, inode };
}

static void read_ld_cache(struct lazy_ahead *a)
{
	uint32_t inode;
	if (rootfs_resolve(a->lazy->rootfs, LD_CACHE, true, &inode, NULL) < 0 ||
	    !file_of(a->lazy, inode) || file_of(a->lazy, inode)->size > LD_CACHE_MAX_BYTES)
		return;
	struct file_input input = file_input(a->lazy, inode);
	auto_free uint8_t *bytes = mem_new((size_t)input.base.size);
	if (input_read(&input.base, bytes, (size_t)input.base.size, 0, NULL) < 0)
		return;
	a->ld_cache_size = (size_t)input.base.size;
	a->ld_cache = TAKE(bytes);
}

/* The first who needs it reads it, the others wait. */
static void need_ld_cache(struct lazy_ahead *a)
{
	pthread_mutex_lock(&a->mutex);
	while (a->ld_cache_state == LD_CACHE_READING)
		pthread_cond_wait(&a->changed, &a->mutex);
	bool first = a->ld_cache_state == LD_CACHE_UNREAD;
	if (first)
		a->ld_cache_state = LD_CACHE_READING;
	pthread_mutex_unlock(&a->mutex);
	if (!first)
		return;
	read_ld_cache(a);
	LOCKED(&a->mutex);
	a->ld_cache_state = LD_CACHE_READ;
	pthread_cond_broadcast(&a->changed);
}

static void want_library(const struct asker *by, const struct elf *elf, const char *name)
{
	static const char usual[] = "/lib:/usr/lib:/lib64:/usr/lib64:/usr/local/lib:"
				    "/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:"
				    "/lib/aarch64-linux-gnu:/usr/lib/aarch64-linux-gnu";
	char path[PATH_BYTES];
	if (strchr(name, '/')) {
		(void)want_path(by, name);
		return;
	}
	/* libcrypto reads it as soon as it is there */
	if (str_starts(name, "libcrypto.so"))
		(void)want_path(by, "/usr/lib/ssl/openssl.cnf");
	if (want_in(by, elf->run_path, name))
		return;
	need_ld_cache(by->ahead);
	for (size_t i = 0; by->ahead->ld_cache && i < LD_CACHE_TRIES; i++) {
		if (!elf_cached_library(by->ahead->ld_cache, by->ahead->ld_cache_size, name, i,
					path, sizeof(path)))
			break;
		if (want_path(by, path))
			return;
	}
	(void)want_in(by, usual, name);
}

static void look_into_program(const struct asker *by, struct file_input *input)
{
	struct elf elf;
	struct err err = { 0 };
	if (elf_read(&elf, &input->base, &err) < 0) {
		log_debug("inode %u: %s", input->inode, err_text(&err));
		return;
	}
	struct lazy_wants wants = { .lazy = by->ahead->lazy, .class = by->class };
	for (size_t i = 0; i < elf.range_count; i++)
		lazy_wants_range(&wants, input->inode, elf.ranges[i].offset,
				 elf.ranges[i].offset + elf.ranges[i].size);
	lazy_wants_flush(&wants);
	if (elf.interpreter)
		(void)want_path(by, elf.interpreter);
	for (size_t i = 0; i < elf.needed_count; i++)
		want_library(by, &elf, elf.needed[i]);
	elf_release(&elf);
}

static const char *search_path(const struct lazy *lazy)
{
	const struct config_list *env = &lazy->image->config.env;
	for (size_t i = 0; i < env->count; i++)
		if (str_starts(env->items[i], "PATH="))
			return env->items[i] + strlen("PATH=");
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static void want_command(const struct asker *by, const char *name)
{
	if (strchr(name, '/'))
		(void)want_path(by, name);
	else
		(void)want_in(by, search_path(by->ahead->lazy), name);
}

/* "#!/usr/bin/env python3": both words are programs. */
static void look_into_script(const struct asker *by, char *line)
{
	line[strcspn(line, "\n")] = '\0';
	char *word = line + strspn(line, " \t");
	size_t length = strcspn(word, " \t");
	char *argument = word + length + strspn(word + length, " \t");
	word[length] = '\0';
	want_command(by, word);
	argument[strcspn(argument, " \t")] = '\0';
	if (str_ends(word, "/env") && argument[0] != '\0' && argument[0] != '-')
		want_command(by, argument);
}

static void look_into(const struct asker *by, uint32_t inode)
{
	struct file_input input = file_input(by->ahead->lazy, inode);
	auto_free char *head = mem_new(HEAD_BYTES + 1);
	size_t size = input.base.size < HEAD_BYTES ? (size_t)input.base.size : HEAD_BYTES;
	if (input_read(&input.base, head, size, 0, NULL) < 0)
		return;
	/* what a script imports is looked at when it is really read: that is much */
	if (size > 4 && memcmp(head, "\177ELF", 4) == 0) {
		look_into_program(by, &input);
		lazy_modules_enter(by->ahead->modules, inode);
	} else if (size > 2 && memcmp(head, "#!", 2) == 0) {
		look_into_script(by, head + 2);
	}
}

/* ---- the thread */

static void want_words(const struct asker *by, const struct config_list *list, bool program)
{
	const char *home = by->ahead->lazy->image->config.working_dir;
	for (size_t i = 0; i < list->count; i++) {
		const char *item = list->items[i];
		if (program && i == 0 && !strchr(item, '/'))
			want_command(by, item);
		else if (item[0] == '/')
			(void)want_path(by, item);
		else
			(void)want_in(by, home && *home ? home : "/", item);
	}
}

/* What any container's start reads, and what this image's first process is. */
static void want_first_process(const struct asker *by)
{
	static const char *const usual[] = { "/etc/passwd", "/etc/group", LD_CACHE, "/bin/sh" };
	const struct config *config = &by->ahead->lazy->image->config;
	for (size_t i = 0; i < N_ELEMENTS(usual); i++)
		(void)want_path(by, usual[i]);
	want_words(by, &config->entrypoint, true);
	want_words(by, &config->cmd, config->entrypoint.count == 0);
}

static void learn_neighbours(struct lazy *lazy)
{
	for (size_t i = 0; i < lazy->layer_count && !atomic_load(&lazy->stop); i++)
		fetcher_know(lazy->fetcher, i, fetch_near_new(lazy->layers[i].table));
}

static bool next(struct lazy_ahead *a, struct entry *entry)
{
	LOCKED(&a->mutex);
	while (!a->ending && a->count == 0)
		pthread_cond_wait(&a->changed, &a->mutex);
	if (a->ending)
		return false;
	*entry = a->queue[a->first];
	a->first = (a->first + 1) % QUEUE_MAX;
	a->count--;
	return true;
}

static void *look_on(void *arg)
{
	struct lazy_ahead *a = arg;
	struct entry entry;
	while (next(a, &entry))
		look_into(&(struct asker){ a, entry.class }, entry.inode);
	return NULL;
}

static void *begin(void *arg)
{
	struct lazy_ahead *a = arg;
	if (a->lazy->record.known == 0)
		want_first_process(&(struct asker){ a, FETCH_SOON });
	learn_neighbours(a->lazy);
	return look_on(a);
}

void lazy_ahead_start(struct lazy *lazy)
{
	size_t bytes = rootfs_inode_count(lazy->rootfs) / 8 + 1;
	void *bits = NULL;
	if (lazy->ahead || mem_try(&bits, bytes, 2, NULL) < 0)
		return;
	struct lazy_ahead *a = mem_make(struct lazy_ahead, .lazy = lazy,
					.mutex = PTHREAD_MUTEX_INITIALIZER,
					.changed = PTHREAD_COND_INITIALIZER);
	a->asked = bits;
	a->read = a->asked + bytes;
	lazy->ahead = a;
	/* what a record says is fetched already, and is better than any guess */
	if (lazy->record.known == 0)
		a->modules = lazy_modules_new(lazy);
	while (a->thread_count < THREADS) {
		if (pthread_create(&a->threads[a->thread_count], NULL,
				   a->thread_count == 0 ? begin : look_on, a) != 0)
			break;
		a->thread_count++;
	}
}

void lazy_ahead_stop(struct lazy *lazy)
{
	struct lazy_ahead *a = lazy->ahead;
	if (!a)
		return;
	pthread_mutex_lock(&a->mutex);
	a->ending = true;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->mutex);
	lazy_modules_stop(a->modules);
}

void lazy_ahead_join(struct lazy *lazy)
{
	if (!lazy->ahead)
		return;
	for (size_t i = 0; i < lazy->ahead->thread_count; i++)
		pthread_join(lazy->ahead->threads[i], NULL);
	lazy_modules_join(lazy->ahead->modules);
}

void lazy_ahead_free(struct lazy *lazy)
{
	struct lazy_ahead *a = TAKE(lazy->ahead);
	if (!a)
		return;
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->mutex);
	lazy_modules_free(a->modules);
	free(a->ld_cache);
	free(a->asked);
	free(a);
}
