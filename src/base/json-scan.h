/*
 * A strict reading of JSON (RFC 8259) that builds nothing: json-c is shown only what passed here,
 * because what it lets through depends on its version and it cannot tell of duplicate keys.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

/*
 * Check the value at the start of DATA (white space around it is fine).  *end is the offset behind
 * it and the white space that follows; less than SIZE when there is more.
 *
 * -EBADMSG not JSON, invalid UTF-8, a NUL in a key, or a key twice in one of the objects of the
 * first two levels (the outermost object, and those with only that one around them); the text says
 * where.  -E2BIG deeper than JSON_DEPTH_MAX, or more than JSON_VALUES_MAX values or JSON_NESTS_MAX
 * objects and arrays.
 */
MUST_USE int json_scan(size_t *end, const void *data, size_t size, struct err *err);
