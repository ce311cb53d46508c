/*
 * JSON objects of known fields, read into structs by a table.
 *
 * Names match in any case, as Go's encoding/json matches them; a field that is not in the table is
 * refused with a word on what was meant, one of another type with its path.  null leaves a field as
 * it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"

enum field_type {
	FIELD_TEXT,   /* char *: a string; "" counts as not given */
	FIELD_SCALAR, /* char *: a string, or a number or bool as its text */
	FIELD_BOOL,   /* bool */
	FIELD_LAZY,   /* enum source_lazy: true, false or "require" */
	FIELD_PEM,    /* char *: a list of certificates, joined */
	FIELD_TEXTS,  /* struct field_texts: a list of strings; one string is a list of one */
	FIELD_MAP,    /* char *: an object of strings, as compact JSON; NULL when it has none */
	FIELD_JSON,   /* char *: a string, or an object as compact JSON */
	FIELD_ANY,    /* bool: something is set, whatever it is */
	FIELD_OBJECT, /* a struct whose first member is "bool present" */
	FIELD_LATER,  /* known, and refused by name when it is set: -EOPNOTSUPP */
};

struct field_texts {
	char **items; /* owned */
	size_t count;
};
void field_texts_release(struct field_texts *texts);

struct field_set;
struct field {
	const char *name;
	enum field_type type;
	size_t offset;		       /* of the member in the set's struct */
	const struct field_set *inner; /* FIELD_OBJECT */
};

struct field_set {
	const char *path;  /* "source.platform" for messages; "" the whole request */
	const char *place; /* "source" where a misplaced field belongs; NULL: not offered */
	const struct field *fields;
	size_t count; /* at most 64 */
	const char
		*from_text; /* the field that a string instead of the object stands for, or NULL */
};

/*
 * Read VALUE, an object, into OUT, the struct that SET describes.  OTHERS (NULL-terminated) are
 * searched for a name that SET does not have.  -EINVAL unknown, given twice or of a wrong type;
 * -EOPNOTSUPP not served yet.  On failure OUT may be partly filled and is released as usual.
 */
MUST_USE int field_set_read(const struct field_set *set, const struct field_set *const *others,
			    const struct json_value *value, void *out, struct err *err);
