/* Which proxy the environment asks for, and for whom none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/proxy.h"
#include "net/url.h"

static int clear_environment(void **state)
{
	(void)state;
	static const char *const names[] = { "http_proxy",  "HTTP_PROXY", "https_proxy",
					     "HTTPS_PROXY", "all_proxy",  "ALL_PROXY",
					     "no_proxy",    "NO_PROXY" };
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		(void)unsetenv(names[i]);
	return 0;
}

/* The proxy for URL in this environment; "" for none. */
static char *choose(const char *text)
{
	struct proxy proxy;
	struct url url = { 0 };
	assert_int_equal(url_parse(&url, text, NULL), 0);
	proxy_init(&proxy);
	const char *chosen = proxy_for(&proxy, &url);
	char *copy = mem_strdup(chosen ? chosen : "");
	proxy_release(&proxy);
	url_release(&url);
	return copy;
}

static void test_proxy_comes_from_its_variable(void **state)
{
	static const struct {
		const char *name, *value, *url, *proxy;
	} cases[] = {
		{ "http_proxy", "http://p:1", "http://h/", "http://p:1" },
		{ "http_proxy", "http://p:1", "https://h/", "" },
		{ "HTTP_PROXY", "http://p:1", "http://h/", "" }, /* httpoxy */
		{ "https_proxy", "p:1", "https://h/", "p:1" },
		{ "HTTPS_PROXY", "p:1", "https://h/", "p:1" },
		{ "https_proxy", "p:1", "http://h/", "" },
		{ "all_proxy", "p:1", "http://h/", "p:1" },
		{ "ALL_PROXY", "p:1", "https://h/", "p:1" },
		{ "https_proxy", "", "https://h/", "" },
		{ "https_proxy", "p:1", "https://localhost/", "" },
		{ "https_proxy", "p:1", "https://127.0.0.1/", "" },
		{ "https_proxy", "p:1", "https://127.8.8.8/", "" },
		{ "https_proxy", "p:1", "https://[::1]/", "" },
		{ "https_proxy", "p:1", "https://a.localhost/", "" },
		{ "https_proxy", "p:1", "https://10.0.0.1/", "p:1" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		(void)clear_environment(state);
		(void)setenv(cases[i].name, cases[i].value, 1);
		auto_free char *chosen = choose(cases[i].url);
		assert_string_equal(chosen, cases[i].proxy);
	}
}

static void test_proxy_is_not_used_for_exceptions(void **state)
{
	(void)state;
	static const struct {
		const char *none, *host;
		bool proxied;
	} cases[] = {
		{ "example.com", "example.com", false },
		{ "example.com", "EXAMPLE.com", false },
		{ "EXAMPLE.com", "a.example.com", false },
		{ "example.com", "notexample.com", true },
		{ "example.com", "example.com.evil", true },
		{ ".example.com", "a.example.com", false },
		{ "*.example.com", "a.example.com", false },
		{ "a, b ,c", "b", false },
		{ "a, b ,c", "d", true },
		{ "a b", "b", false },
		{ "*", "anything", false },
		{ "*", "10.0.0.1", false },
		{ "", "a", true },
		{ " , ,", "a", true },
		{ ".", "a", true },
		{ "10.0.0.1", "10.0.0.1", false },
		{ "10.0.0.1", "10.0.0.11", true },
		{ "0.0.1", "10.0.0.1", true },
		{ "10.0.0.0/8", "10.200.3.4", false },
		{ "10.0.0.0/8", "11.0.0.1", true },
		{ "172.16.0.0/12", "172.31.0.1", false },
		{ "172.16.0.0/12", "172.32.0.1", true },
		{ "0.0.0.0/0", "8.8.8.8", false },
		{ "10.0.0.0/33", "10.0.0.1", true },
		{ "10.0.0.0/x", "10.0.0.1", true },
		{ "10.0.0.0/8", "a", true },
		{ "fd00::/8", "[fd12::1]", false },
		{ "fd00::/8", "[fe12::1]", true },
		{ "[fd12::1]", "[fd12::1]", false },
		{ "[fd12::]/16", "[fd12::1]", false },
		{ "::/0", "10.0.0.1", true },
	};
	(void)setenv("https_proxy", "p:1", 1);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		(void)setenv("no_proxy", cases[i].none, 1);
		auto_str url = STR_MAX(200);
		str_addf(&url, "https://%s/", cases[i].host);
		auto_free char *chosen = choose(str_text(&url));
		if ((*chosen != '\0') != cases[i].proxied)
			fail_msg("no_proxy '%s', host '%s'", cases[i].none, cases[i].host);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_proxy_comes_from_its_variable, clear_environment),
		cmocka_unit_test_setup(test_proxy_is_not_used_for_exceptions, clear_environment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
