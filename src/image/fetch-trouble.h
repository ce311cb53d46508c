/*
 * Spans that went wrong.  A suspect's bytes were not what the table says: the next request for it
 * is one of its own, over a new connection.  A paused one failed for good a moment ago: readers get
 * the same error at once until the pause is over.  Not locked.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define FETCH_TROUBLES_MAX 4096u

enum fetch_trouble {
	FETCH_TROUBLE_NONE,
	FETCH_TROUBLE_SUSPECT,
	FETCH_TROUBLE_PAUSED,
};

struct fetch_troubles;
struct fetch_troubles *fetch_troubles_new(void);
void fetch_troubles_free(struct fetch_troubles *troubles);
DEFINE_AUTO(fetch_troubles)

/* How it stands with KEY; ERR (may be NULL) is filled for a paused one. */
enum fetch_trouble fetch_troubles_look(struct fetch_troubles *troubles, uint64_t key,
				       uint64_t now_ms, struct err *err);
/* False when it is suspect already, or there are too many: it has failed then. */
bool fetch_troubles_suspect(struct fetch_troubles *troubles, uint64_t key);
/* After the pause a span with wrong bytes (-EBADMSG) is suspect, any other is as good as new. */
void fetch_troubles_pause(struct fetch_troubles *troubles, uint64_t key, uint64_t now_ms,
			  uint64_t until_ms, const struct err *err);
void fetch_troubles_clear(struct fetch_troubles *troubles, uint64_t key);
