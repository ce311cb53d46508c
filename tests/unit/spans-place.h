/*
 * What the tests of the cache share: a place of its own, a layer of twenty spans whose bytes are
 * known, disks that are full or only read.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/str.h"
#include "cache/layer-dir.h"
#include "cache/spans.h"
#include "on-tmpfs.h"

#define SPAN_BYTES 5000u
#define SPANS 20u
#define STREAM_BYTES (SPAN_BYTES * SPANS)
#define LAYOUT 0x1234u

struct place {
	char path[64];
	char cache[80];
	struct digest layer;
};

static inline int setup(void **state)
{
	struct place *p = mem_make(struct place, .path = "/tmp/test-spans-XXXXXX");
	*state = p;
	if (!mkdtemp(p->path))
		return -1;
	(void)snprintf(p->cache, sizeof(p->cache), "%s/cache", p->path);
	digest_of(&p->layer, DIGEST_SHA256, "layer", 5);
	return 0;
}

static inline int teardown(void **state)
{
	struct place *p = *state;
	auto_close int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = io_remove_tree(tmp, p->path + strlen("/tmp/"), NULL);
	free(p);
	return r;
}

static inline struct cache *open_cache(const struct place *p)
{
	struct cache *cache = NULL;
	struct err err = { 0 };
	struct cache_options options = { .path = p->cache, .size_bytes = 64u << 20 };
	if (cache_open(&cache, &options, &err) < 0)
		fail_msg("%s", err.text);
	return cache;
}

static inline struct cache_spans *open_spans(struct cache *cache, const struct place *p)
{
	struct cache_spans *spans = NULL;
	struct err err = { 0 };
	if (cache_spans_open(&spans, cache, &p->layer, LAYOUT, SPANS, STREAM_BYTES, &err) < 0)
		fail_msg("%s", err.text);
	return spans;
}

static inline struct cache_span span_of(uint32_t number)
{
	return (struct cache_span){ number, (uint64_t)number * SPAN_BYTES, SPAN_BYTES };
}

static inline void fill(uint8_t *data, uint32_t number)
{
	for (size_t i = 0; i < SPAN_BYTES; i++)
		data[i] = (uint8_t)(1 + (number * 31 + i) % 251);
}

static inline void write_span(struct cache_spans *spans, uint32_t number)
{
	uint8_t data[SPAN_BYTES];
	struct cache_span span = span_of(number);
	struct err err = { 0 };
	fill(data, number);
	if (cache_spans_write(spans, &span, data, &err) < 0)
		fail_msg("%s", err.text);
}

/* Whether it is there; if so, it is right. */
static inline bool read_span(struct cache_spans *spans, uint32_t number)
{
	uint8_t data[SPAN_BYTES], want[SPAN_BYTES];
	struct cache_span span = span_of(number);
	fill(want, number);
	memset(data, 0, sizeof(data));
	int r = cache_spans_read(spans, &span, data, 100, 7);
	if (r == 1)
		assert_memory_equal(data, want + 7, 100);
	r = cache_spans_read(spans, &span, data, SPAN_BYTES, 0);
	if (r == 1)
		assert_memory_equal(data, want, SPAN_BYTES);
	return r == 1;
}

static inline uint32_t readable(struct cache_spans *spans)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < SPANS; i++)
		n += read_span(spans, i);
	return n;
}

static inline int open_file(const struct place *p, const char *name)
{
	struct str path = STR_MAX(1024);
	str_addf(&path, "%s/v1/layers/%s/%s", p->cache, cache_layer_name(&p->layer, LAYOUT).text,
		 name);
	int fd = open(str_text(&path), O_RDWR | O_CLOEXEC);
	str_release(&path);
	assert_true(fd >= 0);
	return fd;
}

static inline void change_byte(const struct place *p, const char *name, off_t at)
{
	auto_close int fd = open_file(p, name);
	uint8_t byte;
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static inline int count_one(void *arg, const char *name, struct err *err)
{
	unsigned *count = arg;
	(void)name;
	(void)err;
	*count += 1;
	return 0;
}

/* How many things are being made, or were left. */
static inline unsigned count_tmp(const struct cache *cache)
{
	auto_close int fd = openat(cache->tmp, ".", O_RDONLY | O_CLOEXEC);
	unsigned count = 0;
	assert_int_equal(cache_dir_each(fd, count_one, &count, NULL), 0);
	return count;
}

/* ---- disks */

/* Write spans until it fails; those written are right, the others not there. */
static inline void fill_disk(struct cache *cache, struct cache_spans *spans)
{
	uint8_t data[SPAN_BYTES];
	uint32_t n = 0;
	int r = 0;
	for (; r == 0 && n < SPANS; n++) {
		struct cache_span span = span_of(n);
		fill(data, n);
		r = cache_spans_write(spans, &span, data, NULL);
	}
	CHILD(r == -ENOSPC && n > 2 && n < SPANS);
	CHILD(!cache_writable(cache));
	CHILD(cache_spans_present(spans) == n - 1);
	for (uint32_t i = 0; i < SPANS; i++)
		CHILD(read_span(spans, i) == (i < n - 1));
}
