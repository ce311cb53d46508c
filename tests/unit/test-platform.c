/* Platforms: spellings, completion from a fallback, and what serves what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/mem.h"
#include "oci/platform.h"

static struct platform host(void)
{
	struct platform p;
	platform_host(&p);
	return p;
}

static void test_parse_normalises(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "linux/amd64", "linux/amd64" },
		{ "linux/x86_64", "linux/amd64" },
		{ "Linux/AARCH64", "linux/arm64" },
		{ "linux/arm64/v8", "linux/arm64/v8" },
		{ "linux/arm64/8", "linux/arm64/v8" },
		{ "linux/armhf", "linux/arm/v7" },
		{ "linux/armel", "linux/arm/v6" },
		{ "linux/armhf/v6", "linux/arm/v6" },
		{ "linux/arm/7", "linux/arm/v7" },
		{ "arm64", "linux/arm64" },
		{ "arm/v6", "linux/arm/v6" },
		{ "arm64/v8", "linux/arm64/v8" },
		{ "i386", "linux/386" },
		{ "windows/amd64", "windows/amd64" },
		{ "macos/arm64", "darwin/arm64" },
		{ "linux/amd64/v3", "linux/amd64/v3" },
		{ "linux/riscv64", "linux/riscv64" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct platform p;
		assert_int_equal(platform_parse(&p, cases[i].in, NULL), 0);
		assert_string_equal(platform_format(&p).text, cases[i].out);
	}
}

static void test_parse_of_an_os_takes_the_host(void **state)
{
	(void)state;
	struct platform p, h = host();
	assert_int_equal(platform_parse(&p, "windows", NULL), 0);
	assert_string_equal(p.os, "windows");
	assert_string_equal(p.architecture, h.architecture);
}

static void test_parse_refuses(void **state)
{
	(void)state;
	static const char *const bad[] = { "",
					   "/",
					   "linux/",
					   "/amd64",
					   "linux//v8",
					   "linux/arm64/",
					   "linux/arm64/v8/x",
					   "linux/amd 64",
					   "linux/am\x1b",
					   "linux/0123456789012345678901234567890123" };
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct platform p;
		if (platform_parse(&p, bad[i], NULL) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	}
}

static void test_from_completes(void **state)
{
	(void)state;
	static const struct platform fallback = { "linux", "arm", "v7" };
	static const struct {
		const char *os, *architecture, *variant, *out;
	} cases[] = {
		{ NULL, NULL, NULL, "linux/arm/v7" },
		{ "", "", "", "linux/arm/v7" },
		{ "windows", NULL, NULL, "windows/arm/v7" },
		{ NULL, "arm64", NULL, "linux/arm64" }, /* v7 was arm's */
		{ NULL, "arm64/v8", NULL, "linux/arm64/v8" },
		{ NULL, "arm64", "v8", "linux/arm64/v8" },
		{ NULL, "arm64/v8", "8", "linux/arm64/v8" },
		{ NULL, NULL, "v6", "linux/arm/v6" },
		{ NULL, "armhf", "v6", "linux/arm/v6" },
		{ "linux", "x86_64", "", "linux/amd64" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct platform p;
		assert_int_equal(platform_from(&p, cases[i].os, cases[i].architecture,
					       cases[i].variant, &fallback, NULL),
				 0);
		assert_string_equal(platform_format(&p).text, cases[i].out);
	}
}

static void test_from_refuses(void **state)
{
	(void)state;
	struct platform p = { "x", "y", "" }, h = host();
	assert_int_equal(platform_from(&p, "li nux", NULL, NULL, &h, NULL), -EINVAL);
	assert_int_equal(platform_from(&p, NULL, "arm64/", NULL, &h, NULL), -EINVAL);
	assert_int_equal(platform_from(&p, NULL, "arm64/v8", "v9", &h, NULL), -EINVAL);
	assert_int_equal(platform_from(&p, NULL, "arm64", "v8/x", &h, NULL), -EINVAL);
	assert_string_equal(p.os, "x");
}

static void test_host_is_normal(void **state)
{
	(void)state;
	struct platform h = host();
	assert_string_equal(h.os, "linux");
	assert_true(h.architecture[0] && !strchr(h.architecture, '_'));
	if (strcmp(h.architecture, "amd64") == 0)
		assert_string_equal(h.variant, "");
}

static struct platform parse(const char *text)
{
	struct platform p;
	assert_int_equal(platform_parse(&p, text, NULL), 0);
	return p;
}

/* For each wanted platform: what serves, best first (" = " between equals), and what does not. */
static void test_match_prefers_the_nearest(void **state)
{
	(void)state;
	static const struct {
		const char *wanted;
		const char *serve[6];
		const char * not [8];
	} cases[] = {
		{ "linux/amd64",
		  { "linux/amd64" },
		  { "linux/amd64/v2", "linux/386", "linux/arm64", "windows/amd64" } },
		{ "linux/amd64/v3",
		  { "linux/amd64/v3", "linux/amd64/v2", "linux/amd64" },
		  { "linux/amd64/v4" } },
		{ "linux/arm64",
		  { "linux/arm64/v8" },
		  { "linux/arm/v7", "linux/arm64/v9", "linux/arm64/v8.2" } },
		{ "linux/arm64/v9",
		  { "linux/arm64/v9", "linux/arm64/v8.2", "linux/arm64/v8" },
		  { "linux/arm64/v9.1" } },
		{ "linux/arm/v7",
		  { "linux/arm/v7", "linux/arm/v6", "linux/arm/v5" },
		  { "linux/arm/v8", "linux/arm64" } },
		{ "linux/arm/v6",
		  { "linux/arm/v6", "linux/arm/v5" },
		  { "linux/arm", "linux/arm/v7" } },
		{ "linux/riscv64", { "linux/riscv64" }, { "linux/riscv64/rva23", "linux/amd64" } },
		{ "linux/riscv64/rva23", { "linux/riscv64/rva23", "linux/riscv64" }, { NULL } },
		{ "linux/arm/soft", { "linux/arm/soft" }, { "linux/arm/v6" } },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct platform wanted = parse(cases[i].wanted);
		int last = 1 << 30;
		for (size_t k = 0; k < 6 && cases[i].serve[k]; k++) {
			struct platform have = parse(cases[i].serve[k]);
			int match = platform_match(&have, &wanted);
			if (match <= 0 || match >= last)
				fail_msg("%s for %s: %d", cases[i].serve[k], cases[i].wanted,
					 match);
			last = match;
		}
		for (size_t k = 0; k < 8 && cases[i].not [k]; k++) {
			struct platform have = parse(cases[i].not [k]);
			if (platform_match(&have, &wanted) != 0)
				fail_msg("%s serves %s", cases[i].not [k], cases[i].wanted);
		}
	}
}

static void test_match_reads_an_absent_variant(void **state)
{
	(void)state;
	static const char *const equal[][2] = { { "linux/arm64", "linux/arm64/v8" },
						{ "linux/arm", "linux/arm/v7" },
						{ "linux/amd64", "linux/amd64/v1" } };
	for (size_t i = 0; i < N_ELEMENTS(equal); i++) {
		struct platform a = parse(equal[i][0]), b = parse(equal[i][1]);
		assert_int_equal(platform_match(&a, &b), platform_match(&b, &b));
		assert_true(platform_match(&b, &a) > 0);
	}
	/* what an image says is normalised to compare */
	struct platform have = { "linux", "aarch64", "8" }, wanted = parse("linux/arm64");
	assert_true(platform_match(&have, &wanted) > 0);
	struct platform none = { "", "", "" };
	assert_int_equal(platform_match(&none, &wanted), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_normalises),
		cmocka_unit_test(test_parse_of_an_os_takes_the_host),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_from_completes),
		cmocka_unit_test(test_from_refuses),
		cmocka_unit_test(test_host_is_normal),
		cmocka_unit_test(test_match_prefers_the_nearest),
		cmocka_unit_test(test_match_reads_an_absent_variant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
