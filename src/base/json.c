/*
 * json-c behind a door: json_scan decides what is JSON, json-c makes the tree, and everything that
 * reads an image's or a user's JSON works on borrowed values of that tree.
 *
 * A value is json-c's own object under another name; JSON null is a NULL pointer there, as here.
 */
#include "base/json.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/json-scan.h"
#include "base/utf8.h"

/* json-c has types of these two names; in here they go by others. */
#define json_type json_c_type
#define json_bool json_c_bool
#include <json-c/json.h>
#undef json_type
#undef json_bool

struct json {
	struct json_object *root; /* owned; NULL is the value null */
};

static const char null_value; /* its address is the root of the document "null" */

/* json-c takes no const anywhere; reading does not change a value. */
static struct json_object *object_of(const struct json_value *value)
{
	bool none = (const void *)value == &null_value;
	return none ? NULL : (struct json_object *)(uintptr_t)value;
}

static const struct json_value *value_of(const struct json_object *object)
{
	return (const struct json_value *)object;
}

static int build(struct json_object **out, const char *data, size_t size, struct err *err)
{
	struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 2);
	if (!tokener)
		return err_set(err, ENOMEM, "out of memory");
	/* neither JSON_TOKENER_STRICT, with which json-c 0.18 refuses every byte from 0x80 on (its
	   issue 892), nor JSON_TOKENER_VALIDATE_UTF8: json_scan is the stricter */
	*out = json_tokener_parse_ex(tokener, data, (int)size);
	/* a number that is the whole text may go on, so json-c waits for an end */
	if (json_tokener_get_error(tokener) == json_tokener_continue)
		*out = json_tokener_parse_ex(tokener, "", 1);
	enum json_tokener_error code = json_tokener_get_error(tokener);
	size_t end = json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);
	if (code != json_tokener_success)
		return err_set(err, EBADMSG, "offset %zu: %s", end, json_tokener_error_desc(code));
	return 0;
}

int json_parse(struct json **out, const void *data, size_t size, unsigned flags, struct err *err)
{
	size_t end = 0;
	if (size >= INT_MAX)
		return err_set(err, E2BIG, "%zu bytes of JSON", size);
	int r = json_scan(&end, data, size, err);
	if (r < 0)
		return r;
	if (end < size && !(flags & JSON_ALLOW_TRAILING))
		return err_set(err, EBADMSG, "offset %zu: something follows the value", end);
	struct json_object *root = NULL;
	r = build(&root, data, end, err);
	if (r < 0)
		return r;
	*out = mem_make(struct json, .root = root);
	return 0;
}

void json_free(struct json *json)
{
	if (!json)
		return;
	json_object_put(json->root);
	free(json);
}

const struct json_value *json_root(const struct json *json)
{
	const void *none = &null_value;
	return json->root ? value_of(json->root) : none;
}

enum json_type json_type(const struct json_value *value)
{
	switch (json_object_get_type(object_of(value))) {
	case json_type_boolean:
		return JSON_BOOL;
	case json_type_double:
	case json_type_int:
		return JSON_NUMBER;
	case json_type_object:
		return JSON_OBJECT;
	case json_type_array:
		return JSON_ARRAY;
	case json_type_string:
		return JSON_STRING;
	case json_type_null:
	default:
		return JSON_NULL;
	}
}

const char *json_type_name(const struct json_value *value)
{
	static const char *const names[] = {
		[JSON_NULL] = "null",	    [JSON_BOOL] = "true or false",
		[JSON_NUMBER] = "a number", [JSON_STRING] = "a string",
		[JSON_ARRAY] = "an array",  [JSON_OBJECT] = "an object",
	};
	return names[json_type(value)];
}

const struct json_value *json_get(const struct json_value *value, const char *key)
{
	struct json_object *found = NULL;
	if (json_type(value) != JSON_OBJECT ||
	    !json_object_object_get_ex(object_of(value), key, &found))
		return NULL;
	return value_of(found);
}

const char *json_string(const struct json_value *value)
{
	if (json_type(value) != JSON_STRING)
		return NULL;
	const char *text = json_object_get_string(object_of(value));
	size_t length = (size_t)json_object_get_string_len(object_of(value));
	return strlen(text) == length ? text : NULL;
}

char *json_scalar_text(const struct json_value *value)
{
	switch (json_type(value)) {
	case JSON_STRING:
		return mem_strdup(json_string(value));
	case JSON_BOOL:
	case JSON_NUMBER:
		/* a fraction or exponent keeps its text; see json_object_new_double_s */
		return mem_strdup(json_object_to_json_string(object_of(value)));
	case JSON_NULL:
	case JSON_ARRAY:
	case JSON_OBJECT:
	default:
		return NULL;
	}
}

bool json_bool(const struct json_value *value, bool *out)
{
	if (json_type(value) != JSON_BOOL)
		return false;
	*out = json_object_get_boolean(object_of(value));
	return true;
}

bool json_u64(const struct json_value *value, uint64_t *out)
{
	struct json_object *o = object_of(value);
	if (json_object_get_type(o) != json_type_int || json_object_get_int64(o) < 0)
		return false;
	*out = json_object_get_uint64(o);
	return true;
}

size_t json_count(const struct json_value *value)
{
	switch (json_type(value)) {
	case JSON_ARRAY:
		return json_object_array_length(object_of(value));
	case JSON_OBJECT:
		return (size_t)json_object_object_length(object_of(value));
	case JSON_NULL:
	case JSON_BOOL:
	case JSON_NUMBER:
	case JSON_STRING:
	default:
		return 0;
	}
}

const struct json_value *json_at(const struct json_value *array, size_t index)
{
	if (json_type(array) != JSON_ARRAY || index >= json_count(array))
		return NULL;
	return value_of(json_object_array_get_idx(object_of(array), index));
}

static bool set_member(struct json_member *out, struct lh_entry *entry)
{
	if (!entry)
		return false;
	out->key = lh_entry_k(entry);
	out->value = value_of(lh_entry_v(entry));
	out->next = lh_entry_next(entry);
	return true;
}

bool json_first(const struct json_value *object, struct json_member *out)
{
	if (json_type(object) != JSON_OBJECT)
		return false;
	return set_member(out, lh_table_head(json_object_get_object(object_of(object))));
}

bool json_after(struct json_member *member)
{
	return set_member(member, (struct lh_entry *)(uintptr_t)member->next);
}

/* Go's encoding/json: HTML's characters, and the line ends that JavaScript sees, are escaped. */
static void add_character(struct str *out, uint32_t c)
{
	static const char from[] = "\"\\\n\r\t", to[] = "\"\\nrt";
	const char *special = c && c < 0x80 ? strchr(from, (int)c) : NULL;
	char bytes[4];
	if (special)
		str_addf(out, "\\%c", to[special - from]);
	else if (c < 0x20 || c == '<' || c == '>' || c == '&' || c == 0x2028 || c == 0x2029)
		str_addf(out, "\\u%04x", c);
	else
		str_addn(out, bytes, utf8_encode(bytes, c));
}

static void add_text(struct str *out, const char *text, size_t length)
{
	str_addc(out, '"');
	while (length > 0) {
		uint32_t c = 0;
		size_t n = utf8_decode(text, length, &c);
		if (n > 0)
			add_character(out, c);
		else
			str_add(out, "\\ufffd");
		n = n ? n : 1;
		text += n;
		length -= n;
	}
	str_addc(out, '"');
}

void json_add_string(struct str *out, const char *text)
{
	add_text(out, text, strlen(text));
}

static void add_object(struct str *out, const struct json_value *object)
{
	const char *between = "";
	str_addc(out, '{');
	for (json_member(m, object)) {
		str_add(out, between);
		json_add_string(out, m.key);
		str_addc(out, ':');
		json_add_value(out, m.value);
		between = ",";
	}
	str_addc(out, '}');
}

static void add_array(struct str *out, const struct json_value *array)
{
	str_addc(out, '[');
	for (size_t i = 0; i < json_count(array); i++) {
		str_add(out, i ? "," : "");
		json_add_value(out, json_at(array, i));
	}
	str_addc(out, ']');
}

/* Recursion is bounded: json_parse lets nothing deeper than JSON_DEPTH_MAX in. */
void json_add_value(struct str *out, const struct json_value *value)
{
	struct json_object *o = object_of(value);
	switch (json_type(value)) {
	case JSON_OBJECT:
		add_object(out, value);
		return;
	case JSON_ARRAY:
		add_array(out, value);
		return;
	case JSON_STRING:
		add_text(out, json_object_get_string(o), (size_t)json_object_get_string_len(o));
		return;
	case JSON_NULL:
	case JSON_BOOL:
	case JSON_NUMBER:
	default:
		str_add(out, o ? json_object_to_json_string(o) : "null");
	}
}
