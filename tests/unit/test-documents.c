/* The JSON of `in`, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "resource/documents.h"

#define LIST(...)                                                                 \
	{                                                                         \
		.items = (char *[]){ __VA_ARGS__ },                               \
		.count = N_ELEMENTS(((char *[]){ __VA_ARGS__ })), .present = true \
	}

static char none[] = "";
static char sh[] = "sh", minus_c[] = "-c", html[] = "a<b>&\"c\"\\\t\x01";
static char path[] = "PATH=/bin", accent[] = "K\xc3\xa9y=\xe2\x80\xa8", invalid[] = "x\xff";
static char user[] = "1000:1000";

static void test_metadata_is_as_go_writes_it(void **state)
{
	(void)state;
	const struct {
		struct config config;
		const char *text;
	} cases[] = {
		{ { .user = none },
		  "{\"cmd\":null,\"entrypoint\":null,\"env\":null,\"user\":\"\"}\n" },
		{ { .user = user, .env = LIST(path) },
		  "{\"cmd\":null,\"entrypoint\":null,\"env\":[\"PATH=/"
		  "bin\"],\"user\":\"1000:1000\"}\n" },
		{ { .user = none, .cmd = { .present = true }, .entrypoint = LIST(sh, minus_c) },
		  "{\"cmd\":[],\"entrypoint\":[\"sh\",\"-c\"],\"env\":null,\"user\":\"\"}\n" },
		{ { .user = none, .cmd = LIST(html), .env = LIST(accent, invalid) },
		  "{\"cmd\":[\"a\\u003cb\\u003e\\u0026\\\"c\\\"\\\\\\t\\u0001\"],\"entrypoint\":"
		  "null,"
		  "\"env\":[\"K\xc3\xa9y=\\u2028\",\"x\\ufffd\"],\"user\":\"\"}\n" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_str text = STR_MAX(DOCUMENT_MAX_BYTES);
		document_metadata(&text, &cases[i].config);
		assert_string_equal(str_text(&text), cases[i].text);
	}
}

static void test_labels_are_as_go_writes_them(void **state)
{
	(void)state;
	struct config config = { 0 };
	auto_str text = STR_MAX(DOCUMENT_MAX_BYTES);
	document_labels(&text, &config);
	assert_string_equal(str_text(&text), "{}\n");
	str_reset(&text);
	struct config_label labels[] = { { sh, path }, { user, html } };
	config.labels = labels;
	config.label_count = 2;
	document_labels(&text, &config);
	assert_string_equal(str_text(&text),
			    "{\"sh\":\"PATH=/bin\",\"1000:1000\":"
			    "\"a\\u003cb\\u003e\\u0026\\\"c\\\"\\\\\\t\\u0001\"}\n");
}

static void test_answer_is_as_go_writes_it(void **state)
{
	(void)state;
	struct request request = { .source.repository = html,
				   .version = { .tag = sh, .digest = user } };
	struct pair items[] = { { sh, path }, { user, html } };
	const struct pairs empty = { 0 }, pairs = { .items = items, .count = 2 };
	auto_str text = STR_MAX(DOCUMENT_MAX_BYTES);
	document_answer(&text, &request, NULL, &empty);
	assert_string_equal(str_text(&text),
			    "{\"version\":{\"tag\":\"sh\",\"digest\":\"1000:1000\"},\"metadata\":["
			    "{\"name\":\"repository\",\"value\":"
			    "\"a\\u003cb\\u003e\\u0026\\\"c\\\"\\\\\\t\\u0001\"},"
			    "{\"name\":\"tag\",\"value\":\"sh\"}]}");
	str_reset(&text);
	request.version.tag = NULL;
	document_answer(&text, &request, NULL, &pairs);
	assert_non_null(strstr(str_text(&text), "{\"name\":\"tag\",\"value\":\"\"},"
						"{\"name\":\"sh\",\"value\":\"PATH=/bin\"},"
						"{\"name\":\"1000:1000\",\"value\":\"a"));
	str_reset(&text);
	document_answer(&text, &request, "unpacked", &empty);
	assert_non_null(strstr(str_text(&text), "\"tag\",\"value\":\"\"},{\"name\":\"provided\","
						"\"value\":\"unpacked\"}]}"));
}

static void test_repo_tag_is_fully_qualified(void **state)
{
	(void)state;
	char hub[] = "docker.io", busybox[] = "library/busybox", host[] = "127.0.0.1:5000";
	struct ref ref = { .kind = REF_REGISTRY, .host = hub, .name = busybox };
	auto_free char *one = document_repo_tag(&ref, "1.36");
	assert_string_equal(one, "index.docker.io/library/busybox:1.36");
	ref.host = host;
	auto_free char *two = document_repo_tag(&ref, "x");
	assert_string_equal(two, "127.0.0.1:5000/library/busybox:x");
	assert_null(document_repo_tag(&ref, NULL));
	ref.kind = REF_OCI;
	assert_null(document_repo_tag(&ref, "x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metadata_is_as_go_writes_it),
		cmocka_unit_test(test_labels_are_as_go_writes_them),
		cmocka_unit_test(test_answer_is_as_go_writes_it),
		cmocka_unit_test(test_repo_tag_is_fully_qualified),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
