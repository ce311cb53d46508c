/*
 * Memory and cleanup attributes.
 *
 * auto_free, auto_close and AUTO(noun) free at the end of the scope; leave with TAKE().  Small
 * fixed allocations (mem_make, mem_strdup, mem_new) abort when memory is gone; sizes that came from
 * outside are capped by the caller and allocated with mem_try, which can fail.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

void mem_free_pointer(void *pointer_to_pointer);
void mem_close_fd(const int *fd);

/* unused: clang would warn of a variable that is only held to the end of its scope */
#define auto_free __attribute__((cleanup(mem_free_pointer), unused))
#define auto_close __attribute__((cleanup(mem_close_fd), unused))

/* AUTO(cache) cache = ...; calls cache_free() at the end of the scope. */
#define AUTO(noun) __attribute__((cleanup(noun##_free_pointer), unused)) struct noun *
/* Once per header of a heap noun: DEFINE_AUTO(cache) */
#define DEFINE_AUTO(noun)                                       \
	static inline void noun##_free_pointer(struct noun **p) \
	{                                                       \
		noun##_free(*p);                                \
	}

/* Hand a pointer over: its value, and NULL stays behind. */
#define TAKE(p)                             \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})
#define TAKE_FD(fd)                \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

/* Zeroed memory for one T, then the given members set; aborts when memory is gone. */
#define mem_make(type, ...) ((type *)mem_copy(&(const type){ __VA_ARGS__ }, sizeof(type)))

void *mem_new(size_t size);		       /* zeroed; aborts */
void *mem_copy(const void *data, size_t size); /* aborts */
char *mem_strdup(const char *text);	       /* aborts; NULL gives NULL */
char *mem_strndup(const char *text, size_t length);

/* Zeroed array of N members for a size from outside the program: *out, or -E2BIG/-ENOMEM. */
MUST_USE int mem_try(void **out, size_t count, size_t size, struct err *err);

/*
 * Make room for one more member in a growing array (doubling); aborts when memory is gone.
 * array/capacity belong to the caller; the caller caps the count.
 */
void *mem_grow(void *array, size_t *capacity, size_t count, size_t size);

#define add_ok(a, b, out) (!__builtin_add_overflow((a), (b), (out)))
#define mul_ok(a, b, out) (!__builtin_mul_overflow((a), (b), (out)))

/* pthread mutex held to the end of the scope: LOCKED(&cache->mutex); */
struct mem_lock {
	void *mutex;
};
struct mem_lock mem_lock(void *mutex);
void mem_unlock(struct mem_lock *lock);
#define LOCKED(m) LOCKED_LINE(m, __LINE__)
#define LOCKED_LINE(m, line) LOCKED_NAME(m, line)
#define LOCKED_NAME(m, line) \
	__attribute__((cleanup(mem_unlock), unused)) struct mem_lock locked_##line = mem_lock(m)
