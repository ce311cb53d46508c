/* The escaping printer: nothing that moves a cursor or hides text gets through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/esc.h"
#include "base/mem.h"

static void test_esc_shows_what_would_hide(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "" },
		{ "usr/bin/a b", "usr/bin/a b" },
		{ "caf\xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x90\xa7",
		  "caf\xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x90\xa7" },
		{ "a\nb\tc\r", "a\\x0ab\\x09c\\x0d" },
		{ "\x1b[31mred", "\\x1b[31mred" },
		{ "\x7f", "\\x7f" },
		{ "back\\slash", "back\\\\slash" },
		{ "\xc2\x9b", "\\u009b" }, /* C1: CSI */
		{ "a\xe2\x80\xae"
		  "b",
		  "a\\u202eb" },				  /* right-to-left override */
		{ "\xe2\x80\x8b\xef\xbb\xbf", "\\u200b\\ufeff" }, /* zero width */
		{ "\xf3\xa0\x81\xa1", "\\U000e0061" },		  /* tag characters */
		{ "\xff\xfe", "\\xff\\xfe" },
		{ "\xc0\xaf", "\\xc0\\xaf" },			/* overlong */
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },		/* a surrogate */
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" }, /* above U+10FFFF */
		{ "cut\xe6\xbc", "cut\\xe6\\xbc" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_string_equal(esc(cases[i].in), cases[i].out);
	assert_string_equal(esc(NULL), "(none)");
	assert_string_equal(esc_n("a\0b", 3), "a\\x00b");
}

static void test_esc_every_byte_comes_out_printable(void **state)
{
	(void)state;
	for (int i = 0; i < 256; i++) {
		unsigned char c = (unsigned char)i;
		struct esc_text t = esc_make_n(&c, 1);
		for (const char *p = t.text; *p; p++)
			assert_true(*p >= 0x20 && *p < 0x7f);
	}
}

static void test_esc_long_text_is_cut_with_dots(void **state)
{
	(void)state;
	char big[4 * ESC_SHOWN_MAX_BYTES];
	memset(big, 'y', sizeof(big));
	struct esc_text t = esc_make_n(big, sizeof(big));
	assert_int_equal(strlen(t.text), ESC_SHOWN_MAX_BYTES - 1);
	assert_string_equal(t.text + strlen(t.text) - 4, "y...");
	t = esc_make_n(big, ESC_SHOWN_MAX_BYTES - 1);
	assert_string_equal(t.text + strlen(t.text) - 3, "yyy");
	memset(big, 1, sizeof(big));
	t = esc_make_n(big, 200);
	assert_string_equal(t.text + strlen(t.text) - 3, "...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_esc_shows_what_would_hide),
		cmocka_unit_test(test_esc_every_byte_comes_out_printable),
		cmocka_unit_test(test_esc_long_text_is_cut_with_dots),
	};
	return cmocka_run_group_tests_name("esc", tests, NULL, NULL);
}
