/* What a manifest is by what the server calls it; how tries end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/fetch.h"
#include "oci/tries.h"

#define SCHEMA1 "application/vnd.docker.distribution.manifest.v1+json"

static void test_fetch_media_type_believes_header_then_body(void **state)
{
	(void)state;
	static const struct {
		const char *header, *body, *type;
	} cases[] = {
		{ MEDIA_OCI_INDEX, "{}", MEDIA_OCI_INDEX },
		{ MEDIA_DOCKER_MANIFEST "; charset=utf-8", "{}", MEDIA_DOCKER_MANIFEST },
		{ " Application/VND.oci.image.manifest.v1+JSON", "{}", MEDIA_OCI_MANIFEST },
		{ SCHEMA1, "{}", SCHEMA1 },
		{ "application/json", "{\"mediaType\":\"" MEDIA_DOCKER_LIST "\"}",
		  MEDIA_DOCKER_LIST },
		{ NULL, "{\"mediaType\":\"" MEDIA_OCI_MANIFEST "\"}", MEDIA_OCI_MANIFEST },
		{ NULL, "{\"manifests\":[]}", MEDIA_OCI_INDEX },
		{ "text/plain; charset=utf-8", "{\"layers\":[]}", MEDIA_OCI_MANIFEST },
		{ "application/octet-stream", "{\"fsLayers\":[]}", SCHEMA1 },
		{ "dummy", "{\"layers\":[]}", MEDIA_OCI_MANIFEST },
		{ "binary/octet-stream", "{\"manifests\":[]}", MEDIA_OCI_INDEX },
		{ "text/html", "{\"layers\":[]}", NULL },
		{ "application/xml", "{\"layers\":[]}", NULL },
		{ "application/vnd.oci.image.config.v1+json", "{\"layers\":[]}", NULL },
		{ "application/json", "{\"LAYERS\":[]}", NULL },
		{ "application/json", "{\"mediaType\":\"text/html\",\"layers\":[]}", NULL },
		{ "application/json", "<html>", NULL },
		{ NULL, "", NULL },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_free char *type = NULL;
		struct err err = { 0 };
		int r = fetch_media_type(&type, cases[i].header, cases[i].body,
					 strlen(cases[i].body), &err);
		assert_int_equal(r, cases[i].type ? 0 : -EPROTO);
		assert_true(str_equal(type, cases[i].type));
		assert_int_equal(strstr(err_text(&err), "no manifest") != NULL, r < 0);
	}
}

/* How many tries a failure gets, and the text in the end. */
static unsigned count_tries(struct tries *tries, int code, int status, int64_t after,
			    struct err *err)
{
	for (unsigned n = 1; n < 1000; n++) {
		int r = err_set(err, -code, "it broke");
		if (tries_again(tries, r, status, after, err) < 0)
			return n;
	}
	return 1000;
}

static void test_tries_again_is_bounded_and_says_how_often(void **state)
{
	(void)state;
	static const struct {
		int code, status;
		int64_t after;
		unsigned max, total_max, expected;
		const char *text;
	} cases[] = {
		{ -EAGAIN, 0, -1, 5, 64, 5, "it broke (5 tries)" },
		{ -ETIMEDOUT, 0, -1, 5, 64, 5, "it broke (5 tries)" },
		{ -EAGAIN, 503, -1, 5, 64, 5, "it broke (5 tries)" },
		{ -EAGAIN, 503, -1, 2, 64, 2, "it broke (2 tries)" },
		{ -EAGAIN, 503, -1, 5, 3, 3, "it broke (3 tries)" },
		{ -EPROTO, 0, -1, 5, 64, 2, "it broke (2 tries)" },
		{ -ENOENT, 404, -1, 5, 64, 1, "it broke" },
		{ -EACCES, 403, -1, 5, 64, 1, "it broke" },
		{ -EAGAIN, 429, 61, 5, 64, 1,
		  "it broke (Retry-After: 61 s, more than the 60 s we wait)" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct tries tries;
		struct err err = { 0 };
		tries_init(&tries, cases[i].max, cases[i].total_max, 1);
		assert_int_equal(
			count_tries(&tries, cases[i].code, cases[i].status, cases[i].after, &err),
			cases[i].expected);
		assert_int_equal(err.code, cases[i].code);
		assert_string_equal(err_text(&err), cases[i].text);
	}
}

static void test_tries_progress_starts_anew_up_to_a_total(void **state)
{
	(void)state;
	struct tries tries;
	struct err err = { 0 };
	tries_init(&tries, 5, 20, 0);
	unsigned made = 0;
	int r = 0;
	while (r == 0) {
		tries_progress(&tries);
		r = tries_again(&tries, err_set(&err, EAGAIN, "it broke"), 0, -1, &err);
		made++;
	}
	assert_int_equal(made, 20);
	assert_string_equal(err_text(&err), "it broke (20 tries)");
}

static void test_tries_wait_base_ms_is_for_tests(void **state)
{
	(void)state;
	unsetenv("ROOTLET_RETRY_BASE_MS");
	unsetenv("TEST");
	assert_int_equal(tries_wait_base_ms(), RETRY_BASE_MS);
	setenv("TEST", "false", 1);
	assert_int_equal(tries_wait_base_ms(), RETRY_BASE_MS);
	setenv("TEST", "true", 1);
	assert_int_equal(tries_wait_base_ms(), 1);
	setenv("ROOTLET_RETRY_BASE_MS", "7", 1);
	assert_int_equal(tries_wait_base_ms(), 7);
	setenv("ROOTLET_RETRY_BASE_MS", "100000", 1);
	assert_int_equal(tries_wait_base_ms(), RETRY_BASE_MS);
	unsetenv("TEST");
	setenv("ROOTLET_RETRY_BASE_MS", "x", 1);
	assert_int_equal(tries_wait_base_ms(), RETRY_BASE_MS);
	unsetenv("ROOTLET_RETRY_BASE_MS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fetch_media_type_believes_header_then_body),
		cmocka_unit_test(test_tries_again_is_bounded_and_says_how_often),
		cmocka_unit_test(test_tries_progress_starts_anew_up_to_a_total),
		cmocka_unit_test(test_tries_wait_base_ms_is_for_tests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
