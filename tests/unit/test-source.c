/* The request on stdin: what is read from it, and what is said about what it must not hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "resource/source.h"

#define DIGEST "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

#define SOURCE(fields) "{\"source\":{\"repository\":\"a\"," fields "}}"
#define PARAMS(fields) "{\"source\":{\"repository\":\"a\"},\"params\":{" fields "}}"

static int parse(struct request *out, enum source_step step, const char *text, struct err *err)
{
	return request_parse(out, step, text, strlen(text), err);
}

static void test_request_parse_reads_every_field(void **state)
{
	(void)state;
	static const char text[] =
		"{\"source\":{\"repository\":\"r.test/app\",\"tag\":\"1.0\",\"username\":\"u\","
		"\"password\":\"p\",\"insecure\":true,\"debug\":true,"
		"\"ca_certs\":[\"-----BEGIN CERTIFICATE-----\\nA\",\"-----BEGIN "
		"CERTIFICATE-----\\nB\"],"
		"\"platform\":{\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v7\"},"
		"\"registry_mirror\":{\"host\":\"m.test\",\"username\":\"mu\",\"password\":\"mp\"}}"
		",\"version\":{\"tag\":\"1.0\",\"digest\":\"" DIGEST "\"},"
		"\"params\":{\"format\":\"oci-layout\",\"platform\":{\"architecture\":\"arm64\"}}}";
	struct request q;
	struct err err = { 0 };
	assert_int_equal(parse(&q, STEP_IN, text, &err), 0);
	assert_string_equal(q.source.repository, "r.test/app");
	assert_string_equal(q.source.tag, "1.0");
	assert_string_equal(q.source.username, "u");
	assert_string_equal(q.source.password, "p");
	assert_true(q.source.insecure);
	assert_true(q.source.debug);
	assert_string_equal(q.source.ca_pem, "-----BEGIN CERTIFICATE-----\nA\n"
					     "-----BEGIN CERTIFICATE-----\nB\n");
	assert_string_equal(q.source.platform.variant, "v7");
	assert_true(q.source.mirror.present);
	assert_string_equal(q.source.mirror.host, "m.test");
	assert_string_equal(q.source.mirror.username, "mu");
	assert_string_equal(q.source.mirror.password, "mp");
	assert_true(q.version.present);
	assert_string_equal(q.version.digest, DIGEST);
	assert_int_equal(q.params.format, FORMAT_OCI_LAYOUT);
	assert_false(q.params.skip_download);
	assert_string_equal(q.params.platform.architecture, "arm64");
	request_release(&q);
	assert_null(q.source.repository);
}

static void test_request_parse_reads_what_go_reads(void **state)
{
	(void)state;
	static const struct {
		const char *text, *repository, *tag;
	} cases[] = {
		{ "{\"source\":{\"repository\":\"a/b\"}}", "a/b", NULL },
		{ "{\"source\":{\"repository\":\"a/b\",\"tag\":\"x\"}} trailing", "a/b", "x" },
		{ "{\"source\":{\"repository\":\"a/b\",\"tag\":\"x\"}}{\"no\":1}", "a/b", "x" },
		{ "{\"Source\":{\"REPOSITORY\":\"a/b\",\"Tag\":\"x\"}}", "a/b", "x" },
		{ "{\"source\":{\"repository\":\"a/b\",\"tag\":42.1}}", "a/b", "42.1" },
		{ "{\"source\":{\"repository\":\"a/b\",\"tag\":1.10}}", "a/b", "1.10" },
		{ "{\"source\":{\"repository\":\"a/b\",\"tag\":20240101}}", "a/b", "20240101" },
		{ "{\"source\":{\"repository\":\"a/b\",\"tag\":true}}", "a/b", "true" },
		{ "{\"source\":{\"repository\":\"a/b\",\"tag\":null}}", "a/b", NULL },
		{ "{\"source\":{\"repository\":\"a/b\",\"tag\":\"\"}}", "a/b", NULL },
		{ "{\"source\":{\"repository\":\"a/b\",\"platform\":null,\"debug\":null}}", "a/b",
		  NULL },
		{ "{\"source\":{\"repository\":\"a/b\"},\"version\":null}", "a/b", NULL },
		/* set to what leaving it out means */
		{ "{\"source\":{\"repository\":\"a/b\",\"pre_releases\":false,\"aws_region\":\"\","
		  "\"aws_role_arns\":[],\"tag_regex\":null}}",
		  "a/b", NULL },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct request q;
		struct err err = { 0 };
		int r = parse(&q, STEP_CHECK, cases[i].text, &err);
		if (r < 0)
			fail_msg("%s: %s", cases[i].text, err_text(&err));
		assert_string_equal(q.source.repository, cases[i].repository);
		if (!str_equal(q.source.tag, cases[i].tag))
			fail_msg("%s: tag %s", cases[i].text, q.source.tag ? q.source.tag : "NULL");
		request_release(&q);
	}
}

static void test_request_parse_reads_how_tags_are_chosen(void **state)
{
	(void)state;
	struct request q;
	const char *text = SOURCE("\"tag_regex\":\"^1\",\"created_at_sort\":true,"
				  "\"semver_constraint\":\"^1.2\",\"pre_releases\":true,"
				  "\"pre_release_prefixes\":[\"dev\",\"nightly\"],"
				  "\"label_regex\":\"l\",\"annotation_regex\":\"a\"");
	assert_int_equal(parse(&q, STEP_CHECK, text, NULL), 0);
	assert_string_equal(q.source.tag_regex, "^1");
	assert_string_equal(q.source.semver_constraint, "^1.2");
	assert_string_equal(q.source.label_regex, "l");
	assert_string_equal(q.source.annotation_regex, "a");
	assert_true(q.source.created_at_sort && q.source.pre_releases);
	assert_int_equal(q.source.pre_release_prefixes.count, 2);
	assert_string_equal(q.source.pre_release_prefixes.items[1], "nightly");
	request_release(&q);
}

static void test_request_parse_takes_a_mirror_as_text(void **state)
{
	(void)state;
	struct request q;
	assert_int_equal(
		parse(&q, STEP_CHECK, SOURCE("\"registry_mirror\":\"https://m.test\""), NULL), 0);
	assert_true(q.source.mirror.present);
	assert_string_equal(q.source.mirror.host, "https://m.test");
	request_release(&q);
}

static void test_request_parse_reads_formats(void **state)
{
	(void)state;
	static const struct {
		const char *params;
		enum source_format format;
	} cases[] = {
		{ "{}", FORMAT_ROOTFS },
		{ "null", FORMAT_ROOTFS },
		{ "{\"format\":\"\"}", FORMAT_ROOTFS },
		{ "{\"format\":\"rootfs\"}", FORMAT_ROOTFS },
		{ "{\"format\":\"oci\"}", FORMAT_OCI },
		{ "{\"format\":\"oci-layout\"}", FORMAT_OCI_LAYOUT },
		/* nobody looks at it */
		{ "{\"format\":\"zip\",\"skip_download\":true}", FORMAT_ROOTFS },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_str text = STR_MAX(1000);
		str_addf(&text, "{\"source\":{\"repository\":\"a\"},\"params\":%s}",
			 cases[i].params);
		struct request q;
		struct err err = { 0 };
		assert_int_equal(parse(&q, STEP_IN, str_text(&text), &err), 0);
		assert_int_equal(q.params.format, cases[i].format);
		request_release(&q);
	}
}

static const struct {
	enum source_step step;
	const char *text, *message;
	int code;
} refused[] = {
	{ STEP_IN, PARAMS("\"skip_downlaod\":true"),
	  "unknown field 'skip_downlaod' in params (did you mean 'skip_download'?)", EINVAL },
	{ STEP_IN, SOURCE("\"skip_download\":true"),
	  "unknown field 'skip_download' in source (it belongs in the params of a get step)",
	  EINVAL },
	{ STEP_IN, PARAMS("\"username\":\"u\""),
	  "unknown field 'username' in params (it belongs in source)", EINVAL },
	{ STEP_IN, PARAMS("\"bump_aliases\":true"),
	  "unknown field 'bump_aliases' in params (it belongs in the params of a put step)",
	  EINVAL },
	{ STEP_IN, SOURCE("\"platform\":{\"arch\":\"arm\"}"),
	  "unknown field 'arch' in source.platform", EINVAL },
	{ STEP_IN, SOURCE("\"platform\":{\"architcture\":\"arm\"}"),
	  "unknown field 'architcture' in source.platform (did you mean 'architecture'?)", EINVAL },
	{ STEP_IN, SOURCE("\"registry_mirror\":{\"hosts\":\"m\"}"),
	  "unknown field 'hosts' in source.registry_mirror (did you mean 'host'?)", EINVAL },
	{ STEP_CHECK, "{\"sources\":{}}", "unknown field 'sources' (did you mean 'source'?)",
	  EINVAL },
	{ STEP_CHECK, "{\"repository\":\"a\"}", "unknown field 'repository' (it belongs in source)",
	  EINVAL },
	{ STEP_CHECK, "{\"source\":{\"repository\":\"a\"},\"params\":{}}", "unknown field 'params'",
	  EINVAL },
	{ STEP_CHECK, "{\"source\":{\"repository\":\"a\"},\"version\":{\"ref\":\"x\"}}",
	  "unknown field 'ref' in version", EINVAL },
	{ STEP_CHECK, SOURCE("\"zzzzzzzzzz\":1"), "unknown field 'zzzzzzzzzz' in source", EINVAL },
	{ STEP_CHECK, SOURCE("\"a\\u001b[31m\":1"), "unknown field 'a\\x1b[31m' in source",
	  EINVAL },
	{ STEP_CHECK, SOURCE("\"Tag\":\"x\",\"tag\":\"y\""), "source.tag is given twice", EINVAL },
	{ STEP_CHECK, SOURCE("\"insecure\":\"true\""),
	  "source.insecure must be true or false, not a string", EINVAL },
	{ STEP_CHECK, SOURCE("\"password\":12345"),
	  "source.password must be a string, not a number", EINVAL },
	{ STEP_CHECK, SOURCE("\"tag\":{}"),
	  "source.tag must be a string, a number or a boolean, not an object", EINVAL },
	{ STEP_CHECK, SOURCE("\"platform\":7"), "source.platform must be an object, not a number",
	  EINVAL },
	{ STEP_CHECK, SOURCE("\"ca_certs\":\"x\""),
	  "source.ca_certs must be a list of PEM certificates, not a string", EINVAL },
	{ STEP_CHECK, SOURCE("\"ca_certs\":[\"x\"]"), "source.ca_certs[0] is not a PEM certificate",
	  EINVAL },
	{ STEP_CHECK, SOURCE("\"ca_certs\":[{\"domain\":\"x\"}]"),
	  "source.ca_certs[0] is not a PEM certificate", EINVAL },
	{ STEP_CHECK, SOURCE("\"username\":\"a\\u0000b\""), "source.username holds a NUL byte",
	  EINVAL },
	{ STEP_CHECK, SOURCE("\"registry_mirror\":{}"), "source.registry_mirror.host is missing",
	  EINVAL },
	{ STEP_CHECK, "{}", "source.repository is missing", EINVAL },
	{ STEP_CHECK, "{\"source\":{}}", "source.repository is missing", EINVAL },
	{ STEP_CHECK, "[]", "the request must be an object, not an array", EINVAL },
	{ STEP_CHECK, "{\"source\":[]}", "source must be an object, not an array", EINVAL },
	{ STEP_IN, PARAMS("\"format\":\"zip\""),
	  "unknown format 'zip' in params, it must be 'rootfs', 'oci' or 'oci-layout'", EINVAL },
	{ STEP_CHECK, SOURCE("\"aws_role_arn\":\"a\",\"aws_role_arns\":[\"b\"]"),
	  "source.aws_role_arn and source.aws_role_arns exclude each other", EINVAL },
	{ STEP_CHECK, SOURCE("\"aws_regoin\":\"eu-west-1\""),
	  "unknown field 'aws_regoin' in source (did you mean 'aws_region'?)", EINVAL },
	{ STEP_CHECK, SOURCE("\"azure_acr\":\"yes\""),
	  "source.azure_acr must be true or false, not a string", EINVAL },
	{ STEP_CHECK, SOURCE("\"google_credentials\":[]"),
	  "source.google_credentials must be an object, or a string with one, not an array",
	  EINVAL },
	{ STEP_CHECK, SOURCE("\"client_cert\":\"-----BEGIN CERTIFICATE-----\""),
	  "source.client_cert and source.client_key go together: one of them is missing", EINVAL },
	{ STEP_CHECK, SOURCE("\"client_cert\":\"x\",\"client_key\":\"y\""),
	  "source.client_cert is not a PEM certificate", EINVAL },
	{ STEP_CHECK,
	  SOURCE("\"client_cert\":\"-----BEGIN CERTIFICATE-----\","
		 "\"client_key\":\"-----BEGIN ENCRYPTED PRIVATE KEY-----\""),
	  "source.client_key has a passphrase: give it without one", EINVAL },
	{ STEP_CHECK, SOURCE("\"tag_regex\":1"), "source.tag_regex must be a string, not a number",
	  EINVAL },
	{ STEP_CHECK, SOURCE("\"semver_constraint\":1.2"),
	  "source.semver_constraint must be a string, not a number", EINVAL },
	{ STEP_CHECK, SOURCE("\"created_at_sort\":\"yes\""),
	  "source.created_at_sort must be true or false, not a string", EINVAL },
	{ STEP_CHECK, SOURCE("\"pre_release_prefixes\":[\"a\",\"\"]"),
	  "source.pre_release_prefixes[1] is not a string with something in it", EINVAL },
	{ STEP_OUT, SOURCE("\"content_trust\":{\"server\":\"x\"}"),
	  "source.content_trust (Notary v1) is not supported, registries are dropping it: take it "
	  "out, and sign the digest that was pushed in a task with cosign",
	  EOPNOTSUPP },
	{ STEP_OUT, PARAMS("\"index\":true"),
	  "params.index: pushing an index for lazy reading is not supported yet", EOPNOTSUPP },
	{ STEP_OUT, PARAMS("\"image\":\"a\",\"images\":[\"b\"]"),
	  "params.image and params.images exclude each other", EINVAL },
	{ STEP_OUT, PARAMS("\"images\":[1]"),
	  "params.images[0] is not a string with something in it", EINVAL },
	{ STEP_OUT, PARAMS("\"images\":{}"),
	  "params.images must be a list of strings, not an object", EINVAL },
	{ STEP_OUT, PARAMS("\"annotations\":{\"a\":[]}"),
	  "params.annotations: 'a' must be a string, not an array", EINVAL },
	{ STEP_OUT, PARAMS("\"compression\":\"lz4\""),
	  "unknown compression 'lz4' in params, it must be 'gzip' or 'zstd'", EINVAL },
	{ STEP_OUT, PARAMS("\"format\":\"oci\""),
	  "unknown field 'format' in params (it belongs in the params of a get step)", EINVAL },
	{ STEP_CHECK, SOURCE("\"PRE_RELEASES\":1"),
	  "source.pre_releases must be true or false, not a number", EINVAL },
};

static void test_request_parse_reads_a_put(void **state)
{
	(void)state;
	struct request q;
	struct err err = { 0 };
	const char *text =
		"{\"source\":{\"repository\":\"a/b\",\"variant\":\"slim\",\"content_trust\":{}},"
		"\"params\":{\"images\":[\"x\",\"y*\"],\"version\":1.10,\"bump_aliases\":true,"
		"\"additional_tags\":\"t\",\"tag_prefix\":\"p\",\"compression\":\"zstd\","
		"\"annotations\":{\"k\":\"v\"}}}";
	assert_int_equal(parse(&q, STEP_OUT, text, &err), 0);
	assert_string_equal(q.source.variant, "slim");
	assert_false(q.source.content_trust);
	assert_int_equal(q.put.images.count, 2);
	assert_string_equal(q.put.images.items[1], "y*");
	assert_string_equal(q.put.version, "1.10");
	assert_true(q.put.bump_aliases);
	assert_string_equal(q.put.tag_prefix, "p");
	assert_int_equal(q.put.compression, COMPRESSION_ZSTD);
	assert_string_equal(q.put.annotations, "{\"k\":\"v\"}");
	request_release(&q);
}

static void test_content_trust_is_passed_over_when_nothing_is_pushed(void **state)
{
	(void)state;
	struct request q;
	assert_int_equal(
		parse(&q, STEP_CHECK, SOURCE("\"content_trust\":{\"server\":\"x\"}"), NULL), 0);
	assert_true(q.source.content_trust);
	request_release(&q);
}

static void test_request_parse_says_what_is_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(refused); i++) {
		struct request q = { 0 };
		struct err err = { 0 };
		int r = parse(&q, refused[i].step, refused[i].text, &err);
		if (r != -refused[i].code || strcmp(err_text(&err), refused[i].message) != 0)
			fail_msg("%s: %d '%s'", refused[i].text, r, err_text(&err));
		assert_null(q.source.repository);
	}
}

static void test_request_parse_refuses_what_is_no_json(void **state)
{
	(void)state;
	static const char *const cases[] = { "",
					     "  ",
					     "{",
					     "nonsense",
					     "{\"source\":{\"a\":1,}}",
					     "{\"source\":{},\"source\":{}}" };
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct request q;
		struct err err = { 0 };
		assert_int_equal(parse(&q, STEP_CHECK, cases[i], &err), -EINVAL);
		assert_true(str_starts(err_text(&err), "the request on stdin: "));
	}
}

static void test_request_parse_never_shows_secrets(void **state)
{
	(void)state;
	static const char *const cases[] = {
		SOURCE("\"password\":\"s3cret\",\"typo\":1"),
		SOURCE("\"password\":[\"s3cret\"]"),
		SOURCE("\"client_key\":\"s3cret\""),
		SOURCE("\"client_cert\":\"s3cret\",\"client_key\":\"s3cret\""),
		SOURCE("\"google_credentials\":[\"s3cret\"]"),
		SOURCE("\"registry_mirror\":{\"password\":\"s3cret\",\"x\":1}"),
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct request q;
		struct err err = { 0 };
		assert_true(parse(&q, STEP_CHECK, cases[i], &err) < 0);
		assert_null(strstr(err_text(&err), "s3cret"));
	}
}

static void test_request_lazy_is_the_steps_over_the_sources(void **state)
{
	(void)state;
	static const struct {
		const char *source, *params;
		enum source_lazy lazy;
		int r;
	} cases[] = {
		{ "", "", LAZY_NEVER, 0 },
		{ ",\"lazy\":true", "", LAZY_TRY, 0 },
		{ ",\"lazy\":\"require\"", "\"lazy\":false", LAZY_NEVER, 0 },
		{ ",\"lazy\":false", "\"lazy\":\"require\"", LAZY_REQUIRE, 0 },
		{ ",\"lazy\":\"\"", "\"lazy\":null", LAZY_NEVER, 0 },
		{ ",\"lazy\":\"yes\"", "", LAZY_NEVER, -EINVAL },
		{ ",\"lazy\":1", "", LAZY_NEVER, -EINVAL },
		{ "", "\"lazy\":\"require\",\"format\":\"oci\"", LAZY_NEVER, -EINVAL },
		{ "", "\"lazy\":true,\"format\":\"oci\"", LAZY_TRY, 0 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_str text = STR_MAX(1024);
		str_addf(&text, "{\"source\":{\"repository\":\"a/b\"%s},\"params\":{%s}}",
			 cases[i].source, cases[i].params);
		struct request q = { 0 };
		int r = request_parse(&q, STEP_IN, str_text(&text), text.length, NULL);
		assert_int_equal(r, cases[i].r);
		if (r == 0)
			assert_int_equal(request_lazy(&q), cases[i].lazy);
		request_release(&q);
	}
}

static void test_request_platform_merges(void **state)
{
	(void)state;
	static const struct {
		const char *source, *params, *wanted;
	} cases[] = {
		{ "{\"architecture\":\"s390x\"}", "{}", "linux/s390x" },
		{ "{\"architecture\":\"arm64/v8\"}", "{}", "linux/arm64/v8" },
		{ "{\"architecture\":\"windows/amd64\"}", "{}", "windows/amd64" },
		{ "\"linux/arm/v6\"", "{}", "linux/arm/v6" },
		{ "\"s390x\"", "null", "linux/s390x" },
		{ "\"s390x\"", "\"windows/arm64/v8\"", "windows/arm64/v8" },
		{ "{\"architecture\":\"arm64\",\"variant\":\"v8\"}", "{}", "linux/arm64/v8" },
		{ "{\"os\":\"windows\",\"architecture\":\"amd64\"}", "{}", "windows/amd64" },
		{ "{\"os\":\"windows\",\"architecture\":\"s390x\"}", "{\"architecture\":\"amd64\"}",
		  "windows/amd64" },
		{ "{\"architecture\":\"s390x\"}", "{\"os\":\"windows\"}", "windows/s390x" },
		{ "{\"architecture\":\"arm\",\"variant\":\"v6\"}", "{\"architecture\":\"s390x\"}",
		  "linux/s390x" },
		{ "{\"architecture\":\"arm\",\"variant\":\"v6\"}", "{\"variant\":\"v5\"}",
		  "linux/arm/v5" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_str text = STR_MAX(1000);
		str_addf(&text,
			 "{\"source\":{\"repository\":\"a\",\"platform\":%s},\"params\":{"
			 "\"platform\":%s}}",
			 cases[i].source, cases[i].params);
		struct request q;
		struct err err = { 0 };
		assert_int_equal(parse(&q, STEP_IN, str_text(&text), &err), 0);
		struct platform platform;
		assert_int_equal(request_platform(&q, &platform, &err), 0);
		if (!str_equal(platform_format(&platform).text, cases[i].wanted))
			fail_msg("%s over %s: %s", cases[i].params, cases[i].source,
				 platform_format(&platform).text);
		request_release(&q);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_parse_reads_every_field),
		cmocka_unit_test(test_request_parse_reads_what_go_reads),
		cmocka_unit_test(test_request_parse_reads_how_tags_are_chosen),
		cmocka_unit_test(test_request_parse_takes_a_mirror_as_text),
		cmocka_unit_test(test_request_parse_reads_formats),
		cmocka_unit_test(test_request_parse_says_what_is_wrong),
		cmocka_unit_test(test_request_parse_reads_a_put),
		cmocka_unit_test(test_content_trust_is_passed_over_when_nothing_is_pushed),
		cmocka_unit_test(test_request_parse_refuses_what_is_no_json),
		cmocka_unit_test(test_request_parse_never_shows_secrets),
		cmocka_unit_test(test_request_lazy_is_the_steps_over_the_sources),
		cmocka_unit_test(test_request_platform_merges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
