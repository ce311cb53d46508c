/* A shared counter hands the tasks out; the caller's thread only waits. */
#include "image/parallel.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/mem.h"

#define THREADS_MAX 8 /* more layers at once only cost memory: each has a ring and a decoder */

struct row {
	const struct parallel *parallel; /* borrowed */
	atomic_size_t next;
	pthread_mutex_t mutex; /* guards code and err */
	int code;
	struct err err;
};

static void fail(struct row *row, int code, const struct err *err)
{
	LOCKED(&row->mutex);
	/* the first failure is the reason; the others were stopped by it */
	if (row->code == 0 || row->code == -ECANCELED) {
		row->code = code;
		row->err = *err;
	}
	atomic_store(row->parallel->stop, true);
}

static void *work(void *arg)
{
	struct row *row = arg;
	const struct parallel *p = row->parallel;
	for (;;) {
		size_t task = atomic_fetch_add(&row->next, 1);
		if (task >= p->count || atomic_load(p->stop))
			return NULL;
		struct err err = { 0 };
		int r = p->run(p->arg, task, &err);
		if (r < 0)
			fail(row, r, &err);
	}
}

size_t parallel_threads(unsigned wanted, size_t count)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t threads = wanted > 0 ? wanted : cores > 0 ? (size_t)cores : 1;
	threads = wanted == 0 && threads > THREADS_MAX ? THREADS_MAX : threads;
	return threads < count ? threads : count;
}

int parallel_run(const struct parallel *parallel, size_t threads, struct err *err)
{
	struct row row = { .parallel = parallel, .mutex = PTHREAD_MUTEX_INITIALIZER };
	auto_free pthread_t *ids = mem_new(threads * sizeof(*ids));
	size_t started = 0;
	for (; started < threads; started++) {
		int code = pthread_create(&ids[started], NULL, work, &row);
		if (code == 0)
			continue;
		struct err failed = { 0 };
		int r = err_errno(&failed, code, "start a thread");
		if (started == 0)
			fail(&row, r, &failed);
		break;
	}
	for (size_t i = 0; i < started; i++)
		pthread_join(ids[i], NULL);
	if (row.code < 0 && err)
		*err = row.err;
	return row.code;
}
