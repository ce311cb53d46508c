/* Signature Version 4, held against the examples that AWS publishes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/sigv4.h"

#define ID "AKIDEXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define WHEN 1440938160 /* 2015-08-30T12:36:00Z */
#define TOKEN                                                                                 \
	"AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMi" \
	"cRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZamp" \
	"KsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD" \
	"0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLx" \
	"BA=="

static void expect(const struct sigv4_request *request, const char *token, const char *names,
		   const char *signature)
{
	struct sigv4_lines lines = { 0 };
	const struct sigv4_keys keys = { ID, SECRET, token };
	auto_str wanted = STR_MAX(4096);
	str_addf(&wanted,
		 "Authorization: AWS4-HMAC-SHA256 Credential=" ID
		 "/20150830/us-east-1/%s/aws4_request, SignedHeaders=%s, Signature=%s",
		 request->service, names, signature);
	assert_int_equal(sigv4_sign(&lines, request, &keys, NULL), 0);
	assert_string_equal(lines.authorization, str_text(&wanted));
	assert_string_equal(lines.date, "X-Amz-Date: 20150830T123600Z");
	assert_int_equal(lines.session_token != NULL, token != NULL);
	sigv4_lines_release(&lines);
}

/* "get-vanilla", "post-vanilla", "post-x-www-form-urlencoded", "post-sts-header-before" */
static void test_sigv4_signs_as_the_test_suite_does(void **state)
{
	(void)state;
	static const struct {
		const char *method, *type, *body, *token, *names, *signature;
	} cases[] = {
		{ "GET", NULL, "", NULL, "host;x-amz-date",
		  "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
		{ "POST", NULL, "", NULL, "host;x-amz-date",
		  "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
		{ "POST", "application/x-www-form-urlencoded", "Param1=value1", NULL,
		  "content-type;host;x-amz-date",
		  "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a" },
		{ "POST", NULL, "", TOKEN, "host;x-amz-date;x-amz-security-token",
		  "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct sigv4_request request = {
			.method = cases[i].method,
			.host = "example.amazonaws.com",
			.path = "/",
			.query = "",
			.headers = { { "content-type", cases[i].type } },
			.header_count = cases[i].type ? 1 : 0,
			.body = cases[i].body,
			.body_size = strlen(cases[i].body),
			.region = "us-east-1",
			.service = "service",
			.when = WHEN,
		};
		expect(&request, cases[i].token, cases[i].names, cases[i].signature);
	}
}

/* The worked example of the signing documentation. */
static void test_sigv4_signs_a_query(void **state)
{
	(void)state;
	const struct sigv4_request request = {
		.method = "GET",
		.host = "iam.amazonaws.com",
		.path = "/",
		.query = "Action=ListUsers&Version=2010-05-08",
		.headers = { { "content-type", "application/x-www-form-urlencoded; "
					       "charset=utf-8" } },
		.header_count = 1,
		.body = "",
		.region = "us-east-1",
		.service = "iam",
		.when = WHEN,
	};
	expect(&request, NULL, "content-type;host;x-amz-date",
	       "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

static void test_sigv4_refuses_what_is_too_large(void **state)
{
	(void)state;
	struct sigv4_request request = {
		.method = "GET",
		.host = "h",
		.path = "/",
		.query = "",
		.body = "",
		.region = "r",
		.service = "s",
		.header_count = SIGV4_HEADERS_MAX + 1,
	};
	struct sigv4_lines lines = { 0 };
	struct sigv4_keys keys = { ID, SECRET, NULL };
	assert_int_equal(sigv4_sign(&lines, &request, &keys, NULL), -E2BIG);
	request.header_count = 0;
	auto_free char *huge = mem_new(128 * 1024);
	memset(huge, 'x', 128 * 1024 - 1);
	keys.session_token = huge;
	assert_int_equal(sigv4_sign(&lines, &request, &keys, NULL), -E2BIG);
	keys.session_token = NULL;
	keys.id = huge;
	assert_int_equal(sigv4_sign(&lines, &request, &keys, NULL), -E2BIG);
	assert_null(lines.authorization);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sigv4_signs_as_the_test_suite_does),
		cmocka_unit_test(test_sigv4_signs_a_query),
		cmocka_unit_test(test_sigv4_refuses_what_is_too_large),
	};
	return cmocka_run_group_tests_name("sigv4", tests, NULL, NULL);
}
