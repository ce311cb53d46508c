/* Allocation that aborts for small fixed sizes, and fails for sizes from outside. */
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static void *or_abort(void *p)
{
	if (!p)
		abort();
	return p;
}

void mem_free_pointer(void *pointer_to_pointer)
{
	void *p;
	memcpy(&p, pointer_to_pointer, sizeof(p));
	free(p);
}

void mem_close_fd(const int *fd)
{
	int saved = errno;
	if (*fd >= 0)
		(void)close(*fd);
	errno = saved;
}

void *mem_new(size_t size)
{
	return or_abort(calloc(1, size ? size : 1));
}

void *mem_copy(const void *data, size_t size)
{
	return memcpy(or_abort(malloc(size ? size : 1)), data, size);
}

char *mem_strdup(const char *text)
{
	return text ? or_abort(strdup(text)) : NULL;
}

char *mem_strndup(const char *text, size_t length)
{
	return or_abort(strndup(text, length));
}

int mem_try(void **out, size_t count, size_t size, struct err *err)
{
	size_t total;
	if (!mul_ok(count, size, &total))
		return err_set(err, E2BIG, "%zu times %zu bytes", count, size);
	void *p = calloc(1, total ? total : 1);
	if (!p)
		return err_set(err, ENOMEM, "out of memory for %zu bytes", total);
	*out = p;
	return 0;
}

void *mem_grow(void *array, size_t *capacity, size_t count, size_t size)
{
	if (count < *capacity)
		return array;
	size_t wanted = *capacity ? *capacity * 2 : 16;
	size_t total;
	if (!mul_ok(wanted, size, &total))
		abort();
	*capacity = wanted;
	return or_abort(realloc(array, total));
}

struct mem_lock mem_lock(void *mutex)
{
	pthread_mutex_lock(mutex);
	return (struct mem_lock){ mutex };
}

void mem_unlock(struct mem_lock *lock)
{
	pthread_mutex_unlock(lock->mutex);
}
