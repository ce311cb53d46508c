/* What registries and object stores say about an error, as it reaches the user. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/reply.h"

static void test_reply_reason_reads_what_servers_write(void **state)
{
	(void)state;
	static const struct {
		const char *body, *reason;
	} cases[] = {
		{ "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\"},{\"code\":\"B\"}]}",
		  ": DENIED: no" },
		{ "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"DENIED\"}]}", ": DENIED" },
		{ "{\"errors\":[{\"message\":\"only words\"}]}", ": only words" },
		{ "{\"errors\":[{\"code\":7,\"message\":[]}]}", "" },
		{ "{\"errors\":[]}", "" },
		{ "{\"errors\":{\"code\":\"X\"}}", "" },
		{ "{\"details\":\"incorrect username or password\"}",
		  ": incorrect username or password" },
		{ "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Request has "
		  "expired</Message></Error>",
		  ": AccessDenied: Request has expired" },
		{ "<Error><Code>NoSuchKey", ": NoSuchKey" },
		{ "<html><Code>x</Code></html>", "" },
		{ "", "" },
		{ "not found", "" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_str out = STR_MAX(4096);
		reply_reason(&out, cases[i].body, strlen(cases[i].body));
		assert_string_equal(str_text(&out), cases[i].reason);
	}
}

static void test_reply_reason_escapes_and_cuts(void **state)
{
	(void)state;
	static const char escaped[] =
		"{\"errors\":[{\"code\":\"\\u001b[31m\",\"message\":\"a\\u202eb\\nc\"}]}";
	auto_str out = STR_MAX(65536);
	reply_reason(&out, escaped, strlen(escaped));
	assert_string_equal(str_text(&out), ": \\x1b[31m: a\\u202eb\\x0ac");

	static const char xml[] = "<Error><Code>\x1b]0;x\x07</Code></Error>";
	str_reset(&out);
	reply_reason(&out, xml, strlen(xml));
	assert_string_equal(str_text(&out), ": \\x1b]0;x\\x07");

	auto_str body = STR_MAX(65536);
	str_add(&body, "{\"errors\":[{\"message\":\"");
	for (int i = 0; i < 30000; i++)
		str_addc(&body, 'm');
	str_add(&body, "\"}]}");
	str_reset(&out);
	reply_reason(&out, str_text(&body), body.length);
	assert_int_equal(out.length, 202);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reply_reason_reads_what_servers_write),
		cmocka_unit_test(test_reply_reason_escapes_and_cuts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
