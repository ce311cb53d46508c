/*
 * The JSON of eStargz and zstd:chunked, {"version":1,"entries":[{...},{...},...]}, read entry by
 * entry: it may be 256 MiB, of which only one entry is in memory at a time.
 */
#pragma once

#include "base/json.h"
#include "base/stream.h"

#define TOC_JSON_MAX_BYTES ((uint64_t)256 << 20) /* compressed, and decoded */

/*
 * Read STREAM (borrowed) to its end and call ENTRY for each member of "entries", in order.
 *
 * -EBADMSG what is no JSON, or no such object: no "entries", another version than 1, a member of
 * "entries" that is no object, something behind the object.  -E2BIG an entry of more than 4 MiB.
 * Also what ENTRY returned when that is negative.
 */
MUST_USE int toc_json_read(struct stream *stream,
			   int (*entry)(void *arg, const struct json_value *value, struct err *err),
			   void *arg, struct err *err);
