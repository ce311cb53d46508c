/*
 * One thread that never waits for a particular file: each file is asked for when it becomes known
 * (prefetch), read by a patient read beside it, and looked into when that is done, in the order in
 * which they arrive.  What one round finds is announced together, so that neighbours make one
 * request.
 *
 *	lazy_modules_enter -> fresh -+-> begun -> (read) -> ready -> looked into
 *	                             |                                  |
 *	                             +----------- wants, asks <---------+
 */
#include "image/lazy-modules.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <uthash.h>
#include <utlist.h>

#include "base/log.h"
#include "base/str.h"
#include "image/lazy-internal.h"
#include "image/module-node.h"
#include "image/module-python.h"

#define LOOK_MAX_BYTES (512u * 1024)	 /* larger files are not looked into */
#define SCRIPT_MAX_BYTES (64u * 1024)	 /* that has no suffix */
#define READING_MAX_BYTES (1024u * 1024) /* at once */
#define FILES_MAX 8192u			 /* looked into, in a mount's life */
#define WANTED_MAX_BYTES (UINT64_C(96) * 1024 * 1024)
#define FRESH_MAX 1024u

/* A file to be looked into. */
struct job {
	struct lazy_request request;  /* first: the reading's callback gets it */
	struct lazy_modules *modules; /* borrowed */
	uint32_t inode;
	char *question; /* owned or NULL: see module_wants */
	uint8_t *data;	/* owned; NULL: not begun */
	size_t size;
	int code;
	struct job *prev, *next;
};

/* A question that was asked. */
struct asked {
	uint64_t key;
	UT_hash_handle hh;
};

struct lazy_modules {
	struct lazy *lazy; /* borrowed */
	pthread_t thread;
	bool runs;
	pthread_mutex_t mutex; /* guards fresh, ready, fresh_count, ending */
	pthread_cond_t changed;
	struct job *fresh, *ready; /* owned lists */
	size_t fresh_count;
	bool ending;
	/* the thread's own */
	struct rootfs_names *names;	 /* owned */
	struct module_python *python;	 /* owned */
	struct module_node *node;	 /* owned */
	struct job *begin;		 /* owned list: to be read when there is room */
	struct asked *asked;		 /* owned, a hash: of what was begun */
	struct lazy_wants wants, leaves; /* what may lead to more goes first */
	uint32_t *libraries;		 /* owned: inodes, to be looked into */
	size_t library_count, library_capacity;
	size_t reading; /* bytes */
	size_t files;
	uint64_t wanted; /* bytes */
};

static void job_free(struct job *job)
{
	free(job->question);
	free(job->data);
	free(job);
}

static void jobs_free(struct job *jobs)
{
	struct job *job = NULL, *next = NULL;
	DL_FOREACH_SAFE(jobs, job, next)
	job_free(job);
}

static struct job *job_new(struct lazy_modules *m, uint32_t inode, const char *question)
{
	return mem_make(struct job, .modules = m, .inode = inode, .question = mem_strdup(question));
}

/* It is to be read when there is room. */
static void plan(struct lazy_modules *m, uint32_t inode, const char *question)
{
	struct job *job = job_new(m, inode, question);
	DL_APPEND(m->begin, job);
}

void lazy_modules_enter(struct lazy_modules *m, uint32_t inode)
{
	if (!m)
		return;
	struct job *job = job_new(m, inode, NULL);
	LOCKED(&m->mutex);
	if (m->ending || m->fresh_count == FRESH_MAX) {
		job_free(job);
		return;
	}
	m->fresh_count++;
	DL_APPEND(m->fresh, job);
	pthread_cond_signal(&m->changed);
}

/* ---- what is found */

/* Fetch it, unless somebody did: true. */
static bool fetch(struct lazy_modules *m, uint32_t inode, bool leads, bool library)
{
	const struct rootfs_inode *file = rootfs_inode(m->lazy->rootfs, inode);
	if (m->wanted + file->size > WANTED_MAX_BYTES || !lazy_ahead_take(m->lazy, inode))
		return false;
	m->wanted += file->size;
	lazy_wants_file(leads ? &m->wants : &m->leaves, inode, library);
	return true;
}

static void libraries_add(struct lazy_modules *m, uint32_t inode)
{
	m->libraries = mem_grow(m->libraries, &m->library_capacity, m->library_count,
				sizeof(*m->libraries));
	m->libraries[m->library_count++] = inode;
}

static void want(void *arg, uint32_t inode)
{
	struct lazy_modules *m = arg;
	const char *name = rootfs_names_name(m->names, inode);
	bool leads = module_python_is(name) || module_node_is(name);
	bool library = str_ends(name, ".so") || str_ends(name, ".node");
	if (!fetch(m, inode, leads, library))
		return;
	if (leads)
		plan(m, inode, NULL);
	else if (library)
		libraries_add(m, inode);
}

/* The first time? */
static bool note_asked(struct lazy_modules *m, uint32_t inode, const char *question)
{
	uint64_t key = UINT64_C(14695981039346656037) ^ inode;
	for (const char *p = question; *p; p++)
		key = (key ^ (uint8_t)*p) * UINT64_C(1099511628211);
	struct asked *found = NULL;
	HASH_FIND(hh, m->asked, &key, sizeof(key), found);
	if (found)
		return false;
	found = mem_make(struct asked, .key = key);
	HASH_ADD(hh, m->asked, key, sizeof(key), found);
	return true;
}

static void ask(void *arg, uint32_t inode, const char *question)
{
	struct lazy_modules *m = arg;
	if (m->files >= FILES_MAX || !note_asked(m, inode, question))
		return;
	(void)fetch(m, inode, true, false);
	plan(m, inode, question);
}

/* ---- reading, and looking */

static void read_done(struct lazy_request *request, int code, size_t got, const struct err *err)
{
	struct job *job = (struct job *)request;
	struct lazy_modules *m = job->modules;
	(void)err;
	LOCKED(&m->mutex);
	job->code = code < 0 || got < job->size ? -1 : 0;
	DL_APPEND(m->ready, job);
	pthread_cond_signal(&m->changed);
}

/* A script without a suffix; or by its name. */
static bool may_import(const struct lazy_modules *m, const struct job *job)
{
	const struct rootfs_inode *file = rootfs_inode(m->lazy->rootfs, job->inode);
	const char *name = rootfs_names_name(m->names, job->inode);
	if (!S_ISREG(file->mode) || file->size == 0 || file->size > LOOK_MAX_BYTES)
		return false;
	return job->question || module_python_is(name) || module_node_is(name) ||
	       (file->mode & 0111 && file->size <= SCRIPT_MAX_BYTES && !strchr(name, '.'));
}

/* What an interpreter reads besides modules when it starts: of these, what the image has. */
static void want_paths(struct lazy_modules *m, const char *const *paths, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t inode = rootfs_names_file(m->names, ROOTFS_ROOT, paths[i]);
		if (inode)
			(void)fetch(m, inode, true, false);
	}
}

static void start_python(struct lazy_modules *m, const char *name)
{
	static const char *const paths[] = {
		"/etc/localtime",
		"/usr/lib/locale/C.utf8/LC_CTYPE",
		"/usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache",
		"/usr/lib/aarch64-linux-gnu/gconv/gconv-modules.cache",
	};
	module_python_start(m->python, name);
	want_paths(m, paths, N_ELEMENTS(paths));
}

/* Debian's has some of its own modules outside. */
static void start_node(struct lazy_modules *m)
{
	static const char *const paths[] = { "/usr/share/nodejs/cjs-module-lexer/lexer.js",
					     "/usr/share/nodejs/cjs-module-lexer/dist/lexer.js",
					     "/usr/share/nodejs/undici/undici-fetch.js",
					     "/usr/share/nodejs/acorn/dist/acorn.js",
					     "/usr/share/nodejs/acorn-walk/dist/walk.js",
					     "/etc/ssl/openssl.cnf" };
	want_paths(m, paths, N_ELEMENTS(paths));
}

/* Programs are looked into elsewhere; what an interpreter is named tells the rest. */
static void start_interpreter(struct lazy_modules *m, uint32_t inode)
{
	const char *name = rootfs_names_name(m->names, inode);
	if (str_starts(name, "python3"))
		start_python(m, name);
	else if (strcmp(name, "node") == 0 || strcmp(name, "nodejs") == 0)
		start_node(m);
}

static void begin(struct lazy_modules *m, struct job *job)
{
	void *data = NULL;
	size_t got = 0;
	bool known = !job->question && !note_asked(m, job->inode, "");
	if (!known && !job->question)
		start_interpreter(m, job->inode);
	if (known || m->files >= FILES_MAX || !may_import(m, job)) {
		job_free(job);
		return;
	}
	job->size = (size_t)rootfs_inode(m->lazy->rootfs, job->inode)->size;
	job->request.done = read_done;
	if (mem_try(&data, job->size, 1, NULL) < 0) {
		job_free(job);
		return;
	}
	job->data = data;
	m->files++;
	m->reading += job->size;
	if (lazy_read_patiently(m->lazy, &job->request, job->inode, data, job->size, &got) == 1)
		read_done(&job->request, 0, got, NULL);
}

/* Does the first line name an interpreter that is called so? */
static bool is_script_of(const struct job *job, const char *interpreter)
{
	const char *end = memchr(job->data, '\n', job->size);
	size_t length = end ? (size_t)(end - (const char *)job->data) : 0;
	return length > 2 && memcmp(job->data, "#!", 2) == 0 &&
	       memmem(job->data, length, interpreter, strlen(interpreter));
}

static void look(struct lazy_modules *m, const struct job *job)
{
	const char *name = rootfs_names_name(m->names, job->inode);
	if (job->question || module_node_is(name) || is_script_of(job, "node"))
		module_node_look(m->node, job->inode, job->question, job->data, job->size);
	else if (module_python_is(name) || is_script_of(job, "python"))
		module_python_look(m->python, job->inode, job->data, job->size);
}

/* ---- the thread */

static const char *variable(const struct lazy *lazy, const char *name)
{
	const struct config_list *env = &lazy->image->config.env;
	size_t length = strlen(name);
	for (size_t i = 0; i < env->count; i++)
		if (str_starts(env->items[i], name) && env->items[i][length] == '=')
			return env->items[i] + length + 1;
	return NULL;
}

static bool prepare(struct lazy_modules *m)
{
	static const char usual[] = "/usr/local/bin:/usr/bin";
	const struct module_wants wants = { want, ask, m };
	const struct lazy *lazy = m->lazy;
	m->names = rootfs_names_new(lazy->rootfs);
	if (!m->names)
		return false;
	const char *path = variable(lazy, "PATH"), *python_path = variable(lazy, "PYTHONPATH");
	const char *node_env = variable(lazy, "NODE_ENV");
	m->python = module_python_new(lazy->rootfs, m->names, &wants);
	if (python_path)
		module_python_path(m->python, python_path);
	module_python_programs(m->python, path ? path : usual);
	m->node = module_node_new(lazy->rootfs, m->names, &wants,
				  node_env && strcmp(node_env, "production") == 0);
	return true;
}

/* Take what there is to do; false when it ends. */
static bool next(struct lazy_modules *m, struct job **fresh, struct job **ready)
{
	LOCKED(&m->mutex);
	while (!m->ending && !m->fresh && !m->ready)
		pthread_cond_wait(&m->changed, &m->mutex);
	if (m->ending)
		return false;
	*fresh = TAKE(m->fresh);
	*ready = TAKE(m->ready);
	m->fresh_count = 0;
	return true;
}

static void look_into(struct lazy_modules *m, struct job *ready)
{
	struct job *job = NULL, *after = NULL;
	DL_FOREACH_SAFE(ready, job, after)
	{
		m->reading -= job->size;
		if (job->code == 0)
			look(m, job);
		job_free(job);
	}
}

/* Ask for what was found, then have the libraries looked into when they are here. */
static void flush(struct lazy_modules *m)
{
	lazy_wants_flush(&m->wants);
	lazy_wants_flush(&m->leaves);
	for (size_t i = 0; i < m->library_count; i++)
		lazy_ahead_program(m->lazy, m->libraries[i], FETCH_LATER);
	m->library_count = 0;
}

static void *run(void *arg)
{
	struct lazy_modules *m = arg;
	struct job *fresh = NULL, *ready = NULL;
	if (!prepare(m))
		return NULL;
	while (next(m, &fresh, &ready)) {
		DL_CONCAT(m->begin, fresh);
		look_into(m, ready);
		flush(m);
		while (m->begin && m->reading < READING_MAX_BYTES) {
			struct job *job = m->begin;
			DL_DELETE(m->begin, job);
			begin(m, job);
		}
	}
	return NULL;
}

struct lazy_modules *lazy_modules_new(struct lazy *lazy)
{
	struct lazy_modules *m = mem_make(struct lazy_modules, .lazy = lazy,
					  .mutex = PTHREAD_MUTEX_INITIALIZER,
					  .changed = PTHREAD_COND_INITIALIZER,
					  .wants = { .lazy = lazy, .class = FETCH_PREFETCH },
					  .leaves = { .lazy = lazy, .class = FETCH_LATER });
	m->runs = pthread_create(&m->thread, NULL, run, m) == 0;
	return m;
}

void lazy_modules_stop(struct lazy_modules *m)
{
	if (!m)
		return;
	LOCKED(&m->mutex);
	m->ending = true;
	pthread_cond_broadcast(&m->changed);
}

void lazy_modules_join(struct lazy_modules *m)
{
	if (m && m->runs)
		pthread_join(m->thread, NULL);
}

void lazy_modules_free(struct lazy_modules *m)
{
	struct asked *asked = NULL, *next_asked = NULL;
	if (!m)
		return;
	HASH_ITER(hh, m->asked, asked, next_asked)
	{
		HASH_DEL(m->asked, asked);
		free(asked);
	}
	jobs_free(m->fresh);
	jobs_free(m->ready);
	jobs_free(m->begin);
	module_python_free(m->python);
	module_node_free(m->node);
	rootfs_names_free(m->names);
	free(m->libraries);
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->mutex);
	free(m);
}
