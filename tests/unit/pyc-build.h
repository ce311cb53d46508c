/*
 * Compiled Python files for tests, written by hand:
 *
 *	import os			; level 0, no list
 *	from ..up.x import a, b		; level 2
 *	if ...: import skipped		; a jump over it
 *	def f(): import inner		; a code object among the constants
 *	import last			; behind the condition
 */
#pragma once

#include <stdint.h>
#include <string.h>

#include "base/str.h"

struct pyc_version {
	uint16_t magic;
	int numbers, trailers;
	uint8_t load_const, import_name, extended_arg, jump;
	int jump_unit;	 /* bytes of one in a jump's argument */
	bool jump_ahead; /* it counts from behind the jump */
};

static const struct pyc_version pyc_versions[] = {
	{ 3413, 6, 1, 100, 108, 144, 114, 1, false }, /* 3.8 */
	{ 3425, 6, 1, 100, 108, 144, 114, 1, false }, /* 3.9 */
	{ 3439, 6, 1, 100, 108, 144, 115, 2, false }, /* 3.10 */
	{ 3495, 5, 2, 100, 108, 144, 114, 2, true },  /* 3.11 */
	{ 3531, 5, 2, 100, 108, 144, 128, 2, true },  /* 3.12 */
	{ 3571, 5, 2, 83, 75, 71, 97, 2, true },      /* 3.13 */
};

static inline void pyc_le32(struct str *out, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		str_addc(out, (char)(value >> 8 * i));
}

static inline void pyc_text(struct str *out, const char *text)
{
	str_addc(out, 'z');
	str_addc(out, (char)strlen(text));
	str_add(out, text);
}

static inline void pyc_int(struct str *out, uint32_t value)
{
	str_addc(out, 'i');
	pyc_le32(out, value);
}

static inline void pyc_tuple(struct str *out, int count)
{
	str_addc(out, ')');
	str_addc(out, (char)count);
}

static inline void pyc_op(struct str *out, unsigned op, unsigned arg)
{
	str_addc(out, (char)op);
	str_addc(out, (char)arg);
}

/* load LEVEL, load LIST, import NAME: numbers of constants, and of a name */
static inline void pyc_import(const struct pyc_version *v, struct str *code, unsigned level,
			      unsigned list, unsigned name)
{
	pyc_op(code, v->load_const, level);
	pyc_op(code, v->load_const, list);
	pyc_op(code, v->extended_arg, 0);
	pyc_op(code, v->import_name, name);
}

/* What stands behind the names of a code object. */
static inline void pyc_rest(const struct pyc_version *v, struct str *out)
{
	for (int i = 0; i < 5; i++)
		pyc_tuple(out, 0);
	pyc_le32(out, 1);
	for (int i = 0; i < v->trailers; i++)
		str_addn(out, "s\0\0\0\0", 5);
}

static inline void pyc_code(const struct pyc_version *v, struct str *out, const struct str *code)
{
	str_addc(out, (char)('c' | 0x80));
	for (int i = 0; i < v->numbers; i++)
		pyc_le32(out, 0);
	str_addc(out, 's');
	pyc_le32(out, (uint32_t)code->length);
	str_addn(out, code->data, code->length);
}

static inline void pyc_function(const struct pyc_version *v, struct str *out)
{
	auto_str code = STR_MAX(4096);
	pyc_import(v, &code, 0, 1, 0);
	pyc_code(v, out, &code);
	pyc_tuple(out, 2);
	pyc_int(out, 0);
	str_addc(out, 'N');
	pyc_tuple(out, 1);
	pyc_text(out, "inner");
	pyc_rest(v, out);
}

static inline void pyc_build(const struct pyc_version *v, struct str *out)
{
	auto_str code = STR_MAX(4096);
	pyc_import(v, &code, 0, 1, 0);
	pyc_import(v, &code, 2, 3, 1);
	size_t jump = code.length + 2, target = jump + 8;
	pyc_op(&code, v->jump, (unsigned)((v->jump_ahead ? 8 : target) / (size_t)v->jump_unit));
	pyc_import(v, &code, 0, 1, 2);
	pyc_import(v, &code, 0, 1, 3);

	pyc_op(out, v->magic & 0xff, v->magic >> 8);
	str_add(out, "\r\n");
	str_addn(out, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
	pyc_code(v, out, &code);
	pyc_tuple(out, 5);
	pyc_int(out, 0);
	str_addc(out, 'N');
	pyc_int(out, 2);
	pyc_tuple(out, 2);
	str_addc(out, (char)('Z' | 0x80)); /* reference 1; the code object is 0 */
	str_addc(out, 1);
	str_addc(out, 'a');
	pyc_text(out, "b");
	pyc_function(v, out);
	pyc_tuple(out, 4);
	pyc_text(out, "os");
	pyc_text(out, "up.x");
	pyc_text(out, "skipped");
	str_addc(out, 'r'); /* "a" once more, where "last" would be */
	pyc_le32(out, 1);
	pyc_rest(v, out);
}
