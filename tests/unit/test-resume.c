/* Redirects and resuming, where they are arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "oci/redirect.h"
#include "oci/request.h"
#include "oci/resume.h"

#define UNKNOWN RESUME_SIZE_UNKNOWN

static void test_resume_judge_takes_only_what_was_asked_for(void **state)
{
	(void)state;
	static const struct {
		struct resume_question question;
		struct resume_answer answer;
		enum resume_verdict verdict;
		uint64_t end;
	} cases[] = {
		{ { 0, 100, false }, { 200, NULL, NULL }, RESUME_GO, UNKNOWN },
		{ { 50, 100, true }, { 206, "bytes 50-99/100", NULL }, RESUME_GO, 100 },
		{ { 50, 100, true }, { 206, "bytes 50-99/*", NULL }, RESUME_GO, 100 },
		{ { 50, 100, true }, { 206, "bytes 50-59/100", NULL }, RESUME_GO, 60 },
		{ { 50, UNKNOWN, true }, { 206, "bytes 50-99/100", NULL }, RESUME_GO, 100 },
		{ { 50, 100, true }, { 200, NULL, NULL }, RESUME_SKIP, UNKNOWN },
		{ { 50, 100, false }, { 200, NULL, NULL }, RESUME_SKIP, UNKNOWN },
		/* shifted, wide, of another size, absent, no sense, multipart */
		{ { 50, 100, true }, { 206, "bytes 51-99/100", NULL }, RESUME_RESTART, UNKNOWN },
		{ { 50, 100, true }, { 206, "bytes 40-99/100", NULL }, RESUME_RESTART, UNKNOWN },
		{ { 50, 100, true }, { 206, "bytes 50-100/101", NULL }, RESUME_RESTART, UNKNOWN },
		{ { 50, 100, true }, { 206, "bytes 50-100/*", NULL }, RESUME_RESTART, UNKNOWN },
		{ { 50, 100, true }, { 206, "bytes 50-99/200", NULL }, RESUME_RESTART, UNKNOWN },
		{ { 50, 100, true }, { 206, NULL, NULL }, RESUME_RESTART, UNKNOWN },
		{ { 50, 100, true }, { 206, "bytes 99-50/100", NULL }, RESUME_RESTART, UNKNOWN },
		{ { 50, 100, true },
		  { 206, "bytes 50-99/100", "Multipart/byteranges; boundary=x" },
		  RESUME_RESTART,
		  UNKNOWN },
		{ { 50, 100, true }, { 416, "bytes */100", NULL }, RESUME_RESTART, UNKNOWN },
		{ { 50, 100, true }, { 400, NULL, NULL }, RESUME_RESTART, UNKNOWN },
		{ { 50, 100, true }, { 501, NULL, NULL }, RESUME_RESTART, UNKNOWN },
		{ { 0, 100, false }, { 416, NULL, NULL }, RESUME_REFUSE, UNKNOWN },
		{ { 0, 100, false }, { 400, NULL, NULL }, RESUME_REFUSE, UNKNOWN },
		{ { 0, 100, false }, { 206, "bytes 0-99/100", NULL }, RESUME_REFUSE, UNKNOWN },
		{ { 50, 100, false }, { 206, "bytes 50-99/100", NULL }, RESUME_REFUSE, UNKNOWN },
		{ { 0, 100, false }, { 404, NULL, NULL }, RESUME_REFUSE, UNKNOWN },
		{ { 50, 100, true }, { 503, NULL, NULL }, RESUME_REFUSE, UNKNOWN },
		{ { 0, 100, false }, { 204, NULL, NULL }, RESUME_REFUSE, UNKNOWN },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		uint64_t end = 0;
		assert_int_equal(resume_judge(&cases[i].question, &cases[i].answer, &end),
				 cases[i].verdict);
		assert_true(end == cases[i].end);
	}
}

static void test_resume_judge_part_takes_nothing_beyond(void **state)
{
	(void)state;
	static const struct {
		struct resume_question question;
		uint64_t stop;
		struct resume_answer answer;
		enum resume_verdict verdict;
		uint64_t end;
	} cases[] = {
		{ { 50, 100, true }, 60, { 206, "bytes 50-59/100", NULL }, RESUME_GO, 60 },
		{ { 50, 100, true }, 60, { 206, "bytes 50-59/*", NULL }, RESUME_GO, 60 },
		{ { 50, 100, true }, 60, { 206, "bytes 50-50/100", NULL }, RESUME_GO, 51 },
		{ { 0, 100, true }, 60, { 206, "bytes 0-59/100", NULL }, RESUME_GO, 60 },
		{ { 50, 100, true },
		  60,
		  { 206, "bytes 50-60/100", NULL },
		  RESUME_RESTART,
		  UNKNOWN },
		{ { 50, 100, true },
		  60,
		  { 206, "bytes 50-99/100", NULL },
		  RESUME_RESTART,
		  UNKNOWN },
		{ { 50, 100, true },
		  60,
		  { 206, "bytes 49-59/100", NULL },
		  RESUME_RESTART,
		  UNKNOWN },
		{ { 50, 100, true }, 60, { 206, "bytes 50-59/60", NULL }, RESUME_RESTART, UNKNOWN },
		{ { 50, 100, true }, 60, { 200, NULL, NULL }, RESUME_RESTART, UNKNOWN },
		{ { 0, 100, true }, 60, { 200, NULL, NULL }, RESUME_RESTART, UNKNOWN },
		{ { 0, 100, true }, 60, { 416, NULL, NULL }, RESUME_RESTART, UNKNOWN },
		{ { 0, 100, true }, 60, { 400, NULL, NULL }, RESUME_RESTART, UNKNOWN },
		{ { 0, 100, true }, 60, { 501, NULL, NULL }, RESUME_RESTART, UNKNOWN },
		{ { 0, 100, true }, 60, { 404, NULL, NULL }, RESUME_REFUSE, UNKNOWN },
		{ { 0, 100, true }, 60, { 503, NULL, NULL }, RESUME_REFUSE, UNKNOWN },
		{ { 0, 100, true }, 60, { 204, NULL, NULL }, RESUME_REFUSE, UNKNOWN },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		uint64_t end = 0;
		if (resume_judge_part(&cases[i].question, cases[i].stop, &cases[i].answer, &end) !=
			    cases[i].verdict ||
		    end != cases[i].end)
			fail_msg("case %zu: end %llu", i, (unsigned long long)end);
	}
}

static void begin(struct trail *trail, const char *text)
{
	struct url url = { 0 };
	assert_int_equal(url_parse(&url, text, NULL), 0);
	trail_begin(trail, &url);
}

static void test_trail_follow_goes_where_it_may(void **state)
{
	(void)state;
	static const struct {
		const char *from, *location, *to;
	} cases[] = {
		{ "https://ghcr.io/v2/a", "https://cdn.example/b?sig=1",
		  "https://cdn.example/b?sig=1" },
		{ "https://ghcr.io/v2/a", "/b", "https://ghcr.io/b" },
		{ "https://ghcr.io/v2/a", "//cdn.example/b", "https://cdn.example/b" },
		{ "http://127.0.0.1:5000/v2/a", "http://127.0.0.1:6000/b",
		  "http://127.0.0.1:6000/b" },
		{ "http://10.0.0.1/v2/a", "https://10.0.0.2/b", "https://10.0.0.2/b" },
		{ "http://localhost/v2/a", "http://127.0.0.1/b", "http://127.0.0.1/b" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct trail trail = { 0 };
		begin(&trail, cases[i].from);
		assert_int_equal(trail_follow(&trail, cases[i].location, NULL), 0);
		assert_string_equal(trail_last(&trail)->text, cases[i].to);
		trail_release(&trail);
	}
}

static void test_trail_follow_refuses_the_rest(void **state)
{
	(void)state;
	static const struct {
		const char *from, *location, *why;
	} cases[] = {
		{ "https://ghcr.io/v2/a", NULL, "without a Location" },
		{ "https://ghcr.io/v2/a", "", "redirects" },
		{ "https://ghcr.io/v2/a", "file:///etc/passwd", "redirects" },
		{ "https://ghcr.io/v2/a", "gopher://x/", "redirects" },
		{ "https://ghcr.io/v2/a", "http://ghcr.io/b", "from https to http" },
		{ "https://ghcr.io/v2/a", "https://u:p@cdn.example/b", "password" },
		{ "https://ghcr.io/v2/a", "/v2/a", "in a circle" },
		{ "https://ghcr.io/v2/a", "https://169.254.169.254/x", "private network" },
		{ "https://ghcr.io/v2/a", "https://[::1]/x", "private network" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct trail trail = { 0 };
		struct err err = { 0 };
		begin(&trail, cases[i].from);
		assert_int_equal(trail_follow(&trail, cases[i].location, &err), -EPROTO);
		assert_non_null(strstr(err_text(&err), cases[i].why));
		assert_null(strstr(err_text(&err), "u:p"));
		assert_int_equal(trail.count, 1);
		trail_release(&trail);
	}
}

static void test_trail_follow_ends_after_five_hops(void **state)
{
	(void)state;
	static const char *const steps[] = { "/1", "/2", "/3", "/4", "/5" };
	struct trail trail = { 0 };
	struct err err = { 0 };
	begin(&trail, "https://ghcr.io/0");
	for (size_t i = 0; i < N_ELEMENTS(steps); i++)
		assert_int_equal(trail_follow(&trail, steps[i], NULL), 0);
	assert_int_equal(trail_follow(&trail, "/6", &err), -EPROTO);
	assert_non_null(strstr(err_text(&err), "more than 5"));
	trail_release(&trail);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resume_judge_takes_only_what_was_asked_for),
		cmocka_unit_test(test_resume_judge_part_takes_nothing_beyond),
		cmocka_unit_test(test_trail_follow_goes_where_it_may),
		cmocka_unit_test(test_trail_follow_refuses_the_rest),
		cmocka_unit_test(test_trail_follow_ends_after_five_hops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
