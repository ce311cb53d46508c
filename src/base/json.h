/*
 * JSON read strictly (RFC 8259) through json-c, the only place that includes it: UTF-8 checked,
 * depth and size limited, nothing after the value unless asked, duplicate keys refused in objects
 * at the first two levels.  Values are borrowed from the document.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define JSON_DEPTH_MAX 32
/* A tree costs 750 bytes for each empty object: 8 MiB of "{}," would take 2 GiB. */
#define JSON_NESTS_MAX (64u * 1024)
#define JSON_VALUES_MAX (256u * 1024)

struct json;	   /* a document; owns its values */
struct json_value; /* borrowed from a document */

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

enum json_flags {
	JSON_ALLOW_TRAILING = 1u << 0, /* only the first value is read (Concourse's stdin) */
};

/* -EBADMSG with the place when DATA is not JSON, has a duplicate key or invalid UTF-8; -E2BIG too
 * deep. */
MUST_USE int json_parse(struct json **out, const void *data, size_t size, unsigned flags,
			struct err *err);
void json_free(struct json *json);
DEFINE_AUTO(json)

const struct json_value *json_root(const struct json *json); /* never NULL */
enum json_type json_type(const struct json_value *value);    /* NULL is JSON_NULL */
const char *json_type_name(
	const struct json_value *value); /* "an object", "a string", "null" ... */

/* Member of an object by its exact name; NULL when absent, null, or VALUE is no object. */
const struct json_value *json_get(const struct json_value *value, const char *key);

/* NULL when VALUE is no string or holds a NUL byte. */
const char *json_string(const struct json_value *value);
/* The text of a scalar as written: 42.1, true, "x" without quotes; to be freed; NULL for the rest.
 */
char *json_scalar_text(const struct json_value *value);
bool json_bool(const struct json_value *value, bool *out);
/* A whole number >= 0; false for anything else (negative, fraction, too large, string). */
bool json_u64(const struct json_value *value, uint64_t *out);

size_t json_count(const struct json_value *value); /* members of an array or object, else 0 */
const struct json_value *json_at(const struct json_value *array, size_t index);

/* Members of an object in their order: for (json_member(m, object)) ... m.key, m.value */
struct json_member {
	const char *key;
	const struct json_value *value;
	const void *next; /* internal */
};
bool json_first(const struct json_value *object, struct json_member *out);
bool json_after(struct json_member *member);
#define json_member(m, object)                                                          \
	struct json_member m = { 0 }, *m##_more = json_first((object), &m) ? &m : NULL; \
	m##_more;                                                                       \
	m##_more = json_after(&m) ? &m : NULL

/* Writing: append TEXT as a JSON string with Go's escapes (<, >, & as \u003c ...; invalid UTF-8 as
 * \ufffd). */
void json_add_string(struct str *out, const char *text);
/* The value as compact JSON in the document's order. */
void json_add_value(struct str *out, const struct json_value *value);
