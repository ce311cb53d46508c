/*
 * Reading JSON objects by tables of fields.  Strict, because a field that is misspelt and ignored
 * costs an afternoon; helpful, because the message can say which one was meant.  Used by source.c.
 */
#include "resource/fields.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"
#include "resource/source.h"

#define FIELDS_MAX 64
#define PATH_MAX_BYTES 128
#define PEM_MAX_BYTES (1024 * 1024)

struct path_text {
	char text[PATH_MAX_BYTES];
};

/* "source.platform.os" */
static struct path_text path_of(const struct field_set *set, const struct field *field)
{
	struct path_text path;
	auto_str text = STR_MAX(sizeof(path.text) - 1);
	str_addf(&text, "%s%s%s", set->path, *set->path ? "." : "", field->name);
	memcpy(path.text, str_text(&text), text.length + 1);
	return path;
}

static int wrong_type(const struct field_set *set, const struct field *field, const char *wanted,
		      const struct json_value *value, struct err *err)
{
	return err_set(err, EINVAL, "%s must be %s, not %s", path_of(set, field).text, wanted,
		       json_type_name(value));
}

/* --- which field --- */

static const struct field *find(const struct field_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++) {
		if (str_equal_nocase(set->fields[i].name, name))
			return &set->fields[i];
	}
	return NULL;
}

static const char *nearest(const struct field_set *set, const char *name)
{
	const char *names[FIELDS_MAX];
	for (size_t i = 0; i < set->count; i++)
		names[i] = set->fields[i].name;
	return str_nearest(name, names, set->count);
}

static int unknown(const struct field_set *set, const struct field_set *const *others,
		   const char *name, struct err *err)
{
	struct path_text in = { "" };
	if (*set->path) {
		auto_str text = STR_MAX(sizeof(in.text) - 1);
		str_addf(&text, " in %s", set->path);
		memcpy(in.text, str_text(&text), text.length + 1);
	}
	for (; *others; others++) {
		if (*others != set && (*others)->place && find(*others, name))
			return err_set(err, EINVAL, "unknown field '%s'%s (it belongs in %s)",
				       esc(name), in.text, (*others)->place);
	}
	const char *meant = nearest(set, name);
	if (meant)
		return err_set(err, EINVAL, "unknown field '%s'%s (did you mean '%s'?)", esc(name),
			       in.text, meant);
	return err_set(err, EINVAL, "unknown field '%s'%s", esc(name), in.text);
}

/* --- values --- */

/* Takes TEXT over; "" is the same as nothing, as for the resource this one stands in for. */
static void keep_text(char **member, char *text)
{
	free(*member);
	*member = *text ? text : NULL;
	if (!*text)
		free(text);
}

static int read_text(const struct field_set *set, const struct field *field,
		     const struct json_value *value, char **member, struct err *err)
{
	const char *text = json_string(value);
	if (!text && json_type(value) == JSON_STRING)
		return err_set(err, EINVAL, "%s holds a NUL byte", path_of(set, field).text);
	if (!text)
		return wrong_type(set, field, "a string", value, err);
	keep_text(member, mem_strdup(text));
	return 0;
}

static int read_scalar(const struct field_set *set, const struct field *field,
		       const struct json_value *value, char **member, struct err *err)
{
	enum json_type type = json_type(value);
	if (type == JSON_STRING)
		return read_text(set, field, value, member, err);
	char *text = type == JSON_NUMBER || type == JSON_BOOL ? json_scalar_text(value) : NULL;
	if (!text)
		return wrong_type(set, field, "a string, a number or a boolean", value, err);
	keep_text(member, text);
	return 0;
}

static int read_lazy(const struct field_set *set, const struct field *field,
		     const struct json_value *value, enum source_lazy *member, struct err *err)
{
	bool on;
	if (json_bool(value, &on))
		*member = on ? LAZY_TRY : LAZY_NEVER;
	else if (str_equal(json_string(value), "require"))
		*member = LAZY_REQUIRE;
	else if (!str_equal(json_string(value), ""))
		return wrong_type(set, field, "true, false or \"require\"", value, err);
	return 0;
}

static int read_pem(const struct field_set *set, const struct field *field,
		    const struct json_value *value, char **member, struct err *err)
{
	if (json_type(value) != JSON_ARRAY)
		return wrong_type(set, field, "a list of PEM certificates", value, err);
	auto_str all = STR_MAX(PEM_MAX_BYTES);
	for (size_t i = 0; i < json_count(value); i++) {
		const char *pem = json_string(json_at(value, i));
		if (!pem || !strstr(pem, "-----BEGIN CERTIFICATE-----"))
			return err_set(err, EINVAL, "%s[%zu] is not a PEM certificate",
				       path_of(set, field).text, i);
		str_add(&all, pem);
		str_addc(&all, '\n');
	}
	if (all.failed)
		return err_set(err, EINVAL, "%s: more than %d bytes", path_of(set, field).text,
			       PEM_MAX_BYTES);
	keep_text(member, str_take(&all));
	return 0;
}

#define TEXTS_MAX 1000
#define MAP_MAX_BYTES (256 * 1024)

void field_texts_release(struct field_texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		free(texts->items[i]);
	free(texts->items);
	*texts = (struct field_texts){ 0 };
}

static int read_texts(const struct field_set *set, const struct field *field,
		      const struct json_value *value, struct field_texts *member, struct err *err)
{
	bool one = json_type(value) == JSON_STRING;
	size_t count = one ? 1 : json_count(value);
	if (!one && json_type(value) != JSON_ARRAY)
		return wrong_type(set, field, "a list of strings", value, err);
	if (count > TEXTS_MAX)
		return err_set(err, EINVAL, "%s has more than %d members", path_of(set, field).text,
			       TEXTS_MAX);
	field_texts_release(member);
	member->items = mem_new((count + 1) * sizeof(char *));
	for (size_t i = 0; i < count; i++) {
		const char *text = json_string(one ? value : json_at(value, i));
		if (!text || !*text)
			return err_set(err, EINVAL, "%s[%zu] is not a string with something in it",
				       path_of(set, field).text, i);
		member->items[member->count++] = mem_strdup(text);
	}
	return 0;
}

static int read_map(const struct field_set *set, const struct field *field,
		    const struct json_value *value, char **member, struct err *err)
{
	if (json_type(value) != JSON_OBJECT)
		return wrong_type(set, field, "an object of strings", value, err);
	for (json_member(m, value)) {
		if (!json_string(m.value))
			return err_set(err, EINVAL, "%s: '%s' must be a string, not %s",
				       path_of(set, field).text, esc(m.key),
				       json_type_name(m.value));
	}
	auto_str text = STR_MAX(MAP_MAX_BYTES);
	json_add_value(&text, value);
	if (text.failed)
		return err_set(err, EINVAL, "%s: more than %d bytes", path_of(set, field).text,
			       MAP_MAX_BYTES);
	if (json_count(value) > 0)
		keep_text(member, str_take(&text));
	return 0;
}

/* A document kept in a secret store comes as its text, or already taken apart. */
static int read_json(const struct field_set *set, const struct field *field,
		     const struct json_value *value, char **member, struct err *err)
{
	if (json_type(value) == JSON_STRING)
		return read_text(set, field, value, member, err);
	if (json_type(value) != JSON_OBJECT)
		return wrong_type(set, field, "an object, or a string with one", value, err);
	struct str text = STR_MAX(MAP_MAX_BYTES);
	json_add_value(&text, value);
	bool failed = text.failed;
	keep_text(member, str_take(&text));
	return failed ? err_set(err, EINVAL, "%s: more than %d bytes", path_of(set, field).text,
				MAP_MAX_BYTES)
		      : 0;
}

/* Values that say the same as leaving the field out. */
static bool is_unset(const struct json_value *value)
{
	bool on = true;
	if (json_type(value) == JSON_BOOL)
		return json_bool(value, &on) && !on;
	if (json_type(value) == JSON_STRING)
		return str_equal(json_string(value), "");
	enum json_type type = json_type(value);
	return (type == JSON_ARRAY || type == JSON_OBJECT) && json_count(value) == 0;
}

static int read_later(const struct field_set *set, const struct field *field,
		      const struct json_value *value, struct err *err)
{
	if (is_unset(value))
		return 0;
	return err_set(err, EOPNOTSUPP, "%s is not supported yet", path_of(set, field).text);
}

static int read_object(const struct field_set *set, const struct field_set *const *others,
		       const struct json_value *value, void *out, struct err *err)
{
	*(bool *)out = true;
	if (!set->from_text || json_type(value) != JSON_STRING)
		return field_set_read(set, others, value, out, err);
	const struct field *field = find(set, set->from_text);
	return read_text(set, field, value, (char **)((char *)out + field->offset), err);
}

static int read_field(const struct field_set *set, const struct field_set *const *others,
		      const struct field *field, const struct json_value *value, void *member,
		      struct err *err)
{
	switch (field->type) {
	case FIELD_TEXT:
		return read_text(set, field, value, member, err);
	case FIELD_SCALAR:
		return read_scalar(set, field, value, member, err);
	case FIELD_BOOL:
		if (!json_bool(value, member))
			return wrong_type(set, field, "true or false", value, err);
		return 0;
	case FIELD_LAZY:
		return read_lazy(set, field, value, member, err);
	case FIELD_PEM:
		return read_pem(set, field, value, member, err);
	case FIELD_TEXTS:
		return read_texts(set, field, value, member, err);
	case FIELD_MAP:
		return read_map(set, field, value, member, err);
	case FIELD_JSON:
		return read_json(set, field, value, member, err);
	case FIELD_ANY:
		*(bool *)member = !is_unset(value);
		return 0;
	case FIELD_OBJECT:
		return read_object(field->inner, others, value, member, err);
	case FIELD_LATER:
		return read_later(set, field, value, err);
	}
	return 0;
}

int field_set_read(const struct field_set *set, const struct field_set *const *others,
		   const struct json_value *value, void *out, struct err *err)
{
	if (json_type(value) != JSON_OBJECT)
		return err_set(err, EINVAL, "%s must be an object, not %s",
			       *set->path ? set->path : "the request", json_type_name(value));
	uint64_t seen = 0;
	for (json_member(m, value)) {
		const struct field *field = find(set, m.key);
		if (!field)
			return unknown(set, others, m.key, err);
		uint64_t bit = (uint64_t)1 << (field - set->fields);
		if (seen & bit)
			return err_set(err, EINVAL, "%s is given twice", path_of(set, field).text);
		seen |= bit;
		if (json_type(m.value) == JSON_NULL)
			continue;
		int r = read_field(set, others, field, m.value, (char *)out + field->offset, err);
		if (r < 0)
			return r;
	}
	return 0;
}
