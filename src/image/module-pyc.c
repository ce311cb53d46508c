/*
 * A .pyc: 16 bytes of header, then a code object in the format of marshal (Python/marshal.c writes
 * it), whose instructions load what they import by number from two tuples that lie beside them.
 *
 *	magic[2] "\r\n" flags[4] mtime[4] size[4]
 *	'c' numbers, code, constants, names, and what is of no interest here
 *
 * Objects that occur again are references by number to where they stood first, so the whole object
 * is passed over once and the places are noted.  Used by module-python.c.
 */
#include "image/module-names.h"

#include <stdlib.h>

#include "base/cursor.h"
#include "base/mem.h"

#define HEADER_BYTES 16u
#define DEPTH_MAX 64u
#define FLAG_REF 0x80u
#define JUMPS_MAX 4u
#define WORK_MAX (2u * 1024 * 1024) /* objects passed over, again and again */
#define FOUND_MAX 4096u

/* What a version of CPython writes. */
struct layout {
	uint16_t magic;
	uint8_t numbers;  /* in front of the code */
	uint8_t trailers; /* objects behind the first line's number */
	uint8_t load_const, import_name, extended_arg;
	uint8_t jumps[JUMPS_MAX]; /* forward, when something is (not) so; 0: no more */
	enum { BYTES, UNITS, RELATIVE } target;
};

static const struct layout layouts[] = {
	{ 3413, 6, 1, 100, 108, 144, { 114, 115 }, BYTES },		 /* 3.8 */
	{ 3425, 6, 1, 100, 108, 144, { 114, 115, 121 }, BYTES },	 /* 3.9 */
	{ 3439, 6, 1, 100, 108, 144, { 114, 115, 121 }, UNITS },	 /* 3.10 */
	{ 3495, 5, 2, 100, 108, 144, { 114, 115, 128, 129 }, RELATIVE }, /* 3.11 */
	{ 3531, 5, 2, 100, 108, 144, { 114, 115, 128, 129 }, RELATIVE }, /* 3.12 */
	{ 3571, 5, 2, 83, 75, 71, { 97, 98, 99, 100 }, RELATIVE },	 /* 3.13 */
};

/* Places of objects: offsets of their type's byte. */
struct places {
	uint32_t *at; /* owned */
	size_t count, capacity;
};

struct pyc {
	const struct layout *layout;
	const uint8_t *data; /* borrowed */
	size_t size;
	struct cursor c;
	unsigned depth, work, found;
	bool noting; /* references are numbered: the first time something is passed over */
	struct places references, constants, names;
	uint32_t code_at, constants_at, names_at; /* of the module */
};

static void places_add(struct places *places, size_t at)
{
	places->at = mem_grow(places->at, &places->capacity, places->count, sizeof(*places->at));
	places->at[places->count++] = (uint32_t)at;
}

static size_t place(const struct pyc *p)
{
	return (size_t)(p->c.at - p->data);
}

static void pass_object(struct pyc *p);

static void pass_objects(struct pyc *p, uint32_t count)
{
	for (uint32_t i = 0; i < count && !p->c.bad; i++)
		pass_object(p);
}

static void pass_dict(struct pyc *p)
{
	while (p->c.left > 0 && *p->c.at != '0' && !p->c.bad)
		pass_objects(p, 2);
	(void)cursor_u8(&p->c);
}

static void pass_long(struct cursor *c)
{
	int64_t digits = (int32_t)cursor_le32(c);
	(void)cursor_take(c, (size_t)(digits < 0 ? -digits : digits) * 2);
}

static void pass_code(struct pyc *p)
{
	(void)cursor_take(&p->c, (size_t)p->layout->numbers * 4);
	bool outermost = p->depth == 1 && p->noting;
	if (outermost)
		p->code_at = (uint32_t)place(p);
	pass_object(p);
	if (outermost)
		p->constants_at = (uint32_t)place(p);
	pass_object(p);
	if (outermost)
		p->names_at = (uint32_t)place(p);
	pass_objects(p, 6); /* names; the variables, the file's name, the function's */
	(void)cursor_le32(&p->c);
	pass_objects(p, p->layout->trailers);
}

static void pass_body(struct pyc *p, unsigned type)
{
	struct cursor *c = &p->c;
	switch (type) {
	case 'N': /* None, False, True, StopIteration, Ellipsis */
	case 'F':
	case 'T':
	case 'S':
	case '.':
		return;
	case 'i':
	case 'r':
		(void)cursor_take(c, 4);
		return;
	case 'I':
	case 'g':
		(void)cursor_take(c, 8);
		return;
	case 'y':
		(void)cursor_take(c, 16);
		return;
	case 'l':
		pass_long(c);
		return;
	case 's': /* bytes, strings */
	case 't':
	case 'u':
	case 'a':
	case 'A':
		(void)cursor_take(c, cursor_le32(c));
		return;
	case 'z':
	case 'Z':
		(void)cursor_take(c, cursor_u8(c));
		return;
	case ')':
		pass_objects(p, cursor_u8(c));
		return;
	case '(': /* tuple, list, set, frozenset */
	case '[':
	case '<':
	case '>':
		pass_objects(p, cursor_le32(c));
		return;
	case '{':
		pass_dict(p);
		return;
	case 'c':
		pass_code(p);
		return;
	default:
		c->bad = true;
	}
}

static void pass_object(struct pyc *p)
{
	size_t at = place(p);
	unsigned type = cursor_u8(&p->c);
	if (p->c.bad || p->depth == DEPTH_MAX || ++p->work > WORK_MAX) {
		p->c.bad = true;
		return;
	}
	/* numbered before what is inside it */
	if (type & FLAG_REF && p->noting)
		places_add(&p->references, at);
	p->depth++;
	pass_body(p, type & ~FLAG_REF);
	p->depth--;
}

/* A cursor on the object at AT, or on what it refers to. */
static struct cursor object_at(const struct pyc *p, size_t at)
{
	struct cursor c = cursor_of(p->data + at, p->size - at);
	if (c.left == 0 || (*c.at & ~FLAG_REF) != 'r')
		return c;
	(void)cursor_u8(&c);
	uint32_t number = cursor_le32(&c);
	if (c.bad || number >= p->references.count)
		return cursor_of(NULL, 0);
	at = p->references.at[number];
	return cursor_of(p->data + at, p->size - at);
}

/* The places of a tuple's members, which were passed over before. */
static void list_members(struct pyc *p, struct cursor tuple, struct places *out)
{
	unsigned type = cursor_u8(&tuple) & ~FLAG_REF;
	uint32_t count = type == ')' ? cursor_u8(&tuple) : type == '(' ? cursor_le32(&tuple) : 0;
	p->c = tuple;
	p->noting = false;
	for (uint32_t i = 0; i < count && !p->c.bad; i++) {
		places_add(out, place(p));
		pass_object(p);
	}
}

/* A string's or bytes' contents, NULL for anything else. */
static const uint8_t *text_at(const struct pyc *p, size_t at, size_t *length)
{
	struct cursor c = object_at(p, at);
	unsigned type = cursor_u8(&c) & ~FLAG_REF;
	if (!c.bad && memchr("zZ", (int)type, 2))
		*length = cursor_u8(&c);
	else if (!c.bad && memchr("stuaA", (int)type, 5))
		*length = cursor_le32(&c);
	else
		return NULL;
	return cursor_take(&c, *length);
}

/* As a string, into OUT. */
static bool name_at(const struct pyc *p, size_t at, char out[MODULE_NAME_MAX_BYTES])
{
	size_t length = 0;
	const uint8_t *text = text_at(p, at, &length);
	if (!text || length >= MODULE_NAME_MAX_BYTES || memchr(text, '\0', length))
		return false;
	memcpy(out, text, length);
	out[length] = '\0';
	return true;
}

static void tell(struct pyc *p, const struct module_names *names, const struct module_name *name)
{
	if (p->found < FOUND_MAX)
		names->found(names->arg, name);
	p->found++;
}

/* What the two loads before it put there: how many dots, and the names after "import". */
static void report(struct pyc *p, uint32_t module, uint32_t level, uint32_t list,
		   const struct module_names *names)
{
	char text[MODULE_NAME_MAX_BYTES], member[MODULE_NAME_MAX_BYTES];
	if (module >= p->names.count || level >= p->constants.count || list >= p->constants.count ||
	    !name_at(p, p->names.at[module], text))
		return;
	struct cursor c = object_at(p, p->constants.at[level]);
	unsigned type = cursor_u8(&c) & ~FLAG_REF;
	struct module_name name = { .module = text, .level = cursor_le32(&c) };
	if (c.bad || type != 'i')
		return;
	tell(p, names, &name);
	struct places members = { 0 };
	list_members(p, object_at(p, p->constants.at[list]), &members);
	name.name = member;
	for (size_t i = 0; i < members.count && p->found < FOUND_MAX; i++)
		if (name_at(p, members.at[i], member) && strcmp(member, "*") != 0)
			tell(p, names, &name);
	free(members.at);
}

/* Where a jump that is not always taken goes; 0: this is none. */
static size_t jump_target(const struct layout *layout, unsigned op, uint32_t arg, size_t next)
{
	for (size_t i = 0; i < JUMPS_MAX && layout->jumps[i]; i++) {
		if (op != layout->jumps[i])
			continue;
		if (layout->target == RELATIVE)
			return next + (size_t)arg * 2;
		return layout->target == UNITS ? (size_t)arg * 2 : arg;
	}
	return 0;
}

static void read_code(struct pyc *p, const uint8_t *code, size_t size,
		      const struct module_names *names)
{
	const struct layout *layout = p->layout;
	uint32_t extended = 0, before = UINT32_MAX, last = UINT32_MAX;
	size_t until = 0; /* up to there a condition may jump over it */
	for (size_t at = 0; at + 1 < size; at += 2) {
		unsigned op = code[at];
		uint32_t arg = extended << 8 | code[at + 1];
		extended = op == layout->extended_arg ? arg : 0;
		if (op == layout->load_const) {
			before = last;
			last = arg;
		} else if (op == layout->import_name && at >= until) {
			report(p, arg, before, last, names);
		} else {
			size_t target = jump_target(layout, op, arg, at + 2);
			until = target > until ? target : until;
		}
	}
}

static void read_module(struct pyc *p, const struct module_names *names)
{
	size_t size = 0;
	p->noting = true;
	if (p->c.left == 0 || (*p->c.at & ~FLAG_REF) != 'c')
		return;
	pass_object(p);
	if (p->c.bad)
		return;
	list_members(p, object_at(p, p->constants_at), &p->constants);
	list_members(p, object_at(p, p->names_at), &p->names);
	const uint8_t *code = text_at(p, p->code_at, &size);
	if (code)
		read_code(p, code, size, names);
}

bool module_names_pyc(const void *data, size_t size, const struct module_names *names)
{
	struct pyc p = { .data = data, .size = size, .c = cursor_of(data, size) };
	uint16_t magic = cursor_le16(&p.c);
	const uint8_t *end = cursor_take(&p.c, HEADER_BYTES - 2);
	for (size_t i = 0; i < N_ELEMENTS(layouts); i++)
		if (layouts[i].magic == magic)
			p.layout = &layouts[i];
	if (!end || memcmp(end, "\r\n", 2) != 0 || !p.layout || size > UINT32_MAX)
		return false;
	read_module(&p, names);
	free(p.references.at);
	free(p.constants.at);
	free(p.names.at);
	return true;
}
