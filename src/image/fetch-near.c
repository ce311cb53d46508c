/*
 * For each span a number of the directory its file is in, made once from the table's entries.  A
 * look goes from the span to both sides until what it may take is used up: much inside the
 * directory, more with each look, a little outside.  Made in the background by lazy-ahead.c, used
 * by fetch-pick.c under the fetcher's mutex.
 */
#include "image/fetch-near.h"

#include <stdlib.h>

#include "base/mem.h"

#define NOBODY 0u
#define LIBRARY 1u
#define LOOKS_KEPT 256u /* directories whose looks are counted; a clash starts anew */
#define LOOKS_MAX 3u	/* each takes four times as much as the one before */

struct look {
	uint32_t directory, count;
};

struct fetch_near {
	const struct table *table; /* borrowed */
	uint32_t count;
	uint32_t *directories; /* owned; of each span; NOBODY: no file's; LIBRARY: in any */
	uint32_t looked;       /* how often, up to what is in earnest */
	struct look looks[LOOKS_KEPT];
};

/* FNV-1a of what comes before the last slash. */
static uint32_t directory_of(const char *path)
{
	const char *end = strrchr(path, '/');
	uint32_t hash = 2166136261u;
	for (const char *p = path; end && p < end; p++)
		hash = (hash ^ (uint8_t)*p) * 16777619u;
	return hash > LIBRARY ? hash : LIBRARY + 1;
}

/*
 * Programs say which libraries they need (elf.h): what lies beside one is of no interest, and
 * nobody wants one because it lies beside something.
 */
static bool is_library(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	return strncmp(name, "lib", 3) == 0 && strstr(name, ".so");
}

static void note_file(struct fetch_near *near, uint32_t content, uint32_t directory)
{
	uint32_t count = 0;
	const struct table_extent *e = table_extents(near->table, content, &count);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t end = e[i].stream_offset + e[i].size;
		uint32_t span = table_find_span(near->table, e[i].stream_offset);
		for (; span < near->count && table_span(near->table, span)->stream_offset < end;
		     span++)
			if (near->directories[span] == NOBODY)
				near->directories[span] = directory;
	}
}

struct fetch_near *fetch_near_new(struct table *table)
{
	uint32_t count = table_span_count(table);
	void *directories = NULL;
	if (table_kind(table) == TABLE_SCAN || count == 0 ||
	    mem_try(&directories, count, sizeof(uint32_t), NULL) < 0)
		return NULL;
	struct fetch_near *near = mem_make(struct fetch_near, .table = table, .count = count,
					   .directories = directories);
	struct toc *toc = table_toc(table);
	for (uint32_t i = 0; i < toc_count(toc); i++) {
		const struct toc_entry *entry = toc_at(toc, i);
		const char *path = toc_string(toc, entry->path);
		if (entry->content != TOC_NO_CONTENT)
			note_file(near, entry->content,
				  is_library(path) ? LIBRARY : directory_of(path));
	}
	return near;
}

void fetch_near_free(struct fetch_near *near)
{
	if (!near)
		return;
	free(near->directories);
	free(near);
}

/* What one may take of DIRECTORY this time. */
static uint64_t next_share(struct fetch_near *near, uint32_t directory)
{
	struct look *look = &near->looks[directory % LOOKS_KEPT];
	if (look->directory != directory)
		*look = (struct look){ .directory = directory };
	bool earnest = near->looked >= FETCH_NEAR_EARNEST;
	near->looked += !earnest;
	uint64_t share = (uint64_t)(earnest ? FETCH_NEAR_INSIDE_BYTES : FETCH_NEAR_FIRST_BYTES)
			 << 2 * look->count;
	if (look->count < LOOKS_MAX)
		look->count++;
	return share < FETCH_NEAR_INSIDE_MAX_BYTES ? share : FETCH_NEAR_INSIDE_MAX_BYTES;
}

struct walk {
	struct fetch_near *near;
	uint32_t directory;
	uint64_t share; /* bytes of the directory that may be taken, to one side */
	void (*want)(void *arg, uint32_t span);
	void *arg;
};

/* From SPAN on by STEP, which is 1 or -1 as unsigned; the last one taken. */
static uint32_t walk(const struct walk *w, uint32_t span, uint32_t step)
{
	const struct fetch_near *near = w->near;
	uint64_t inside = w->share, outside = FETCH_NEAR_OUTSIDE_BYTES;
	uint32_t reached = span;
	bool within = true;
	for (uint32_t at = span + step; at < near->count; at += step) {
		uint64_t size = table_span(near->table, at)->blob_size;
		if (near->directories[at] != LIBRARY)
			within = within && near->directories[at] == w->directory;
		bool large = size > FETCH_NEAR_SPAN_MAX_BYTES || near->directories[at] == LIBRARY;
		if (near->directories[at] == NOBODY || (large && !within))
			break;
		if (large)
			continue;
		if (size > (within ? inside : outside))
			break;
		inside -= within ? size : 0;
		outside -= size < outside ? size : outside;
		w->want(w->arg, at);
		reached = at;
	}
	return reached;
}

uint32_t fetch_near_look(struct fetch_near *near, uint32_t span,
			 void (*want)(void *arg, uint32_t span), void *arg)
{
	uint32_t directory = near->directories[span];
	if (directory <= LIBRARY ||
	    table_span(near->table, span)->blob_size > FETCH_NEAR_SPAN_MAX_BYTES)
		return span;
	const struct walk w = { .near = near,
				.directory = directory,
				.share = next_share(near, directory),
				.want = want,
				.arg = arg };
	uint32_t last = walk(&w, span, 1);
	(void)walk(&w, span, UINT32_MAX);
	return last;
}
