/* Which modules a file imports: what counts and what does not, and files that say anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/mem.h"
#include "image/module-names.h"
#include "pyc-build.h"

/* "0:os ", "2:up.x:a " for each found; "!" in front of a statement. */
static void note(void *arg, const struct module_name *name)
{
	struct str *out = arg;
	str_addf(out, "%s%u:%s", name->statement ? "!" : "", name->level, name->module);
	str_addf(out, name->name ? ":%s " : " %s", name->name ? name->name : "");
}

#define NOTING(out) (&(const struct module_names){ note, (out) })

static void test_compiled_files_of_each_version(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(pyc_versions); i++) {
		auto_str pyc = STR_MAX(4096);
		auto_str found = STR_MAX(4096);
		pyc_build(&pyc_versions[i], &pyc);
		assert_true(module_names_pyc(pyc.data, pyc.length, NOTING(&found)));
		assert_string_equal(str_text(&found), "0:os 2:up.x 2:up.x:a 2:up.x:b 0:a ");
	}
}

static void test_other_files_are_no_compiled_ones(void **state)
{
	(void)state;
	auto_str found = STR_MAX(4096);
	auto_str pyc = STR_MAX(4096);
	assert_false(module_names_pyc("import os\n", 10, NOTING(&found)));
	assert_false(module_names_pyc("", 0, NOTING(&found)));
	struct pyc_version other = pyc_versions[0];
	other.magic = 3394;
	pyc_build(&other, &pyc);
	assert_false(module_names_pyc(pyc.data, pyc.length, NOTING(&found)));
	assert_string_equal(str_text(&found), "");
}

static void test_broken_compiled_files_are_borne(void **state)
{
	(void)state;
	auto_str pyc = STR_MAX(4096);
	auto_str found = STR_MAX(1u << 20);
	pyc_build(&pyc_versions[3], &pyc);
	for (size_t i = 0; i < pyc.length; i++) {
		auto_free void *cut = mem_copy(pyc.data, i);
		(void)module_names_pyc(cut, i, NOTING(&found));
		for (unsigned value = 0; value < 256; value += 5) {
			auto_free char *bytes = mem_copy(pyc.data, pyc.length);
			bytes[i] = (char)value;
			str_reset(&found);
			(void)module_names_pyc(bytes, pyc.length, NOTING(&found));
		}
	}
}

/* What is nested without end costs a limited depth. */
static void test_deep_nesting_ends(void **state)
{
	(void)state;
	auto_str pyc = STR_MAX(200000);
	auto_str found = STR_MAX(4096);
	pyc_op(&pyc, 3495 & 0xff, 3495 >> 8);
	str_addn(&pyc, "\r\n\0\0\0\0\0\0\0\0\0\0\0\0", 14);
	str_addn(&pyc, "c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 21);
	for (int i = 0; i < 50000; i++)
		pyc_tuple(&pyc, 1);
	assert_true(module_names_pyc(pyc.data, pyc.length, NOTING(&found)));
	assert_string_equal(str_text(&found), "");
}

struct text_case {
	const char *text, *found;
};

static void check(const struct text_case *cases, size_t count,
		  void (*look)(const char *text, size_t size, const struct module_names *names))
{
	for (size_t i = 0; i < count; i++) {
		auto_str found = STR_MAX(4096);
		/* a copy of its own size, so that a step too far is noticed */
		size_t size = strlen(cases[i].text);
		auto_free char *text = mem_copy(cases[i].text, size);
		look(text, size, NOTING(&found));
		assert_string_equal(str_text(&found), cases[i].found);
	}
}

static void test_python_source(void **state)
{
	(void)state;
	static const struct text_case cases[] = {
		{ "import os", "0:os " },
		{ "import os, a.b as c,d\r\n", "0:os 0:a.b 0:d " },
		{ "import  os # import no\n", "0:os " },
		{ "from a.b import c as d, e\n", "0:a.b 0:a.b:c 0:a.b:e " },
		{ "from . import x\nfrom ..y import *\n", "1: 1::x 2:y " },
		{ "from a import (\n    b, # one\n    c as d,\n)\nimport e\n",
		  "0:a 0:a:b 0:a:c 0:e " },
		{ "try:\n    import a\nexcept ImportError:\n    import b\nimport c", "0:a 0:c " },
		{ "def f():\n    import a\nif x:\n    import b\n", "" },
		{ "\"\"\"\nimport a\n\"\"\"\nimport b\n", "0:b " },
		{ "important = 1\nfromage = 2\nimport\nfrom\nfrom x\nfrom x import\n", "0:x " },
		{ "", "" },
	};
	check(cases, N_ELEMENTS(cases), module_names_python);
}

static void test_javascript_source(void **state)
{
	(void)state;
	static const struct text_case cases[] = {
		{ "const a = require('./a')", "0:./a " },
		{ "require( \"b\" ).c(require ('d'))", "0:b 0:d " },
		{ "import x from 'x'; import \"y\";\nexport {z} from'@s/z'", "!0:x !0:y !0:@s/z " },
		{ "a.require('no'); requires('no'); my_require('no'); require(no)", "" },
		{ "// require('no')\n * from 'no'\n/* require('no') */", "" },
		{ "require('no\n')", "" },
		{ "if (x) { module.exports = require('./in-block') }", "0:./in-block " },
		{ "import(", "" },
		{ "require", "" },
		{ "", "" },
	};
	check(cases, N_ELEMENTS(cases), module_names_javascript);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compiled_files_of_each_version),
		cmocka_unit_test(test_other_files_are_no_compiled_ones),
		cmocka_unit_test(test_broken_compiled_files_are_borne),
		cmocka_unit_test(test_deep_nesting_ends),
		cmocka_unit_test(test_python_source),
		cmocka_unit_test(test_javascript_source),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
