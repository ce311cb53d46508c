/* URLs that decisions are made on: parsing, Location, origins, private addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "net/url.h"

static void test_url_parse_finds_the_parts(void **state)
{
	(void)state;
	static const struct {
		const char *in, *host, *text;
		uint16_t port;
		bool https, userinfo, fragment;
	} cases[] = {
		{ "https://ghcr.io/v2/", "ghcr.io", "https://ghcr.io/v2/", 443, true, false,
		  false },
		{ "http://a", "a", "http://a/", 80, false, false, false },
		{ "HTTPS://GHCR.IO:8443/A?B=c", "ghcr.io", "https://ghcr.io:8443/A?B=c", 8443, true,
		  false, false },
		{ "http://[::1]:5000/x", "::1", "http://[::1]:5000/x", 5000, false, false, false },
		{ "http://[2001:DB8::1]/", "2001:db8::1", "http://[2001:db8::1]/", 80, false, false,
		  false },
		{ "https://h/a#frag", "h", "https://h/a", 443, true, false, true },
		{ "https://h/a?q#f?x", "h", "https://h/a?q", 443, true, false, true },
		{ "https://u:p@h/", "h", "https://u:p@h/", 443, true, true, false },
		{ "https://u@h/", "h", "https://u@h/", 443, true, true, false },
		{ "https://@h/", "h", NULL, 443, true, true, false },
		{ "https://h/a/../b/./c", "h", "https://h/b/c", 443, true, false, false },
		{ "https://h?x=/", "h", "https://h/?x=/", 443, true, false, false },
		{ "http://127.1/", "127.0.0.1", "http://127.0.0.1/", 80, false, false, false },
		{ "http://0x7f000001/", "127.0.0.1", "http://127.0.0.1/", 80, false, false, false },
		{ "http://2130706433/", "127.0.0.1", "http://127.0.0.1/", 80, false, false, false },
		{ "https://h/%41%2f", "h", "https://h/%41%2f", 443, true, false, false },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct url url = { 0 };
		struct err err = { 0 };
		if (url_parse(&url, cases[i].in, &err) != 0)
			fail_msg("%s: %s", cases[i].in, err_text(&err));
		assert_string_equal(url.host, cases[i].host);
		if (cases[i].text)
			assert_string_equal(url.text, cases[i].text);
		assert_int_equal(url.port, cases[i].port);
		assert_int_equal(url.https, cases[i].https);
		assert_int_equal(url.userinfo, cases[i].userinfo);
		assert_int_equal(url.fragment, cases[i].fragment);
		url_release(&url);
	}
}

static void test_url_parse_refuses_what_is_read_in_two_ways(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"/v2/",
		"//h/v2/",
		"ghcr.io",
		"ghcr.io/v2/",
		"https:",
		"https:/",
		"https://",
		"https:/h/",
		"https:///h/",
		"https:h",
		"file:///etc/passwd",
		"ftp://h/",
		"gopher://h/",
		"httpss://h/",
		"javascript:alert(1)",
		"https://h:0/",
		"https://h:65536/",
		"https://h:-1/",
		"https://h:port/",
		"https://h /",
		" https://h/",
		"https://h/a b",
		"https://h/a\nb",
		"https://h/\r\nX: y",
		"https://h/\x7f",
		"https://evil\\@good/",
		"https:\\\\h/",
		"https://good\\.evil/",
		"https://[fe80::1%25eth0]/",
		"https://[::1/",
		"https://[::g]/",
		"https://ex\xc3\xa4mple/",
		"https://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1/",
		"https://a%2fb/",
		"http://0x%666666/",
		"http://u:p@0x%666666:80/",
		"https://?",
		"https://#",
		"https://:443/",
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct url url = { 0 };
		struct err err = { 0 };
		if (url_parse(&url, bad[i], &err) != -EPROTO)
			fail_msg("'%s' is taken", bad[i]);
		assert_null(url.host);
		assert_true(err.text[0] != '\0');
	}
}

static void test_url_parse_has_a_longest(void **state)
{
	(void)state;
	char text[8194];
	memset(text, 'a', sizeof(text));
	memcpy(text, "https://h/", 10);
	text[8192] = '\0';
	struct url url = { 0 };
	assert_int_equal(url_parse(&url, text, NULL), 0);
	url_release(&url);
	text[8192] = 'a';
	text[8193] = '\0';
	assert_int_equal(url_parse(&url, text, NULL), -EPROTO);
}

static void test_url_errors_show_no_secret(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"https://user:secret@h:99999/",	     "https://user:secret\\@h/",
		"https://h:99999/?signature=secret", "https://h:99999/secret",
		"https://user:se/secret@h/\n",
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct url url = { 0 };
		struct err err = { 0 };
		assert_int_equal(url_parse(&url, bad[i], &err), -EPROTO);
		assert_null(strstr(err.text, "secret"));
	}
}

static void test_url_resolve_reads_location(void **state)
{
	(void)state;
	static const struct {
		const char *location, *text; /* NULL: refused */
	} cases[] = {
		{ "https://cdn/x?sig=1", "https://cdn/x?sig=1" },
		{ "http://cdn/x", "http://cdn/x" },
		{ "/blobs/1", "https://h:8443/blobs/1" },
		{ "2?q", "https://h:8443/v2/a/2?q" },
		{ "../b", "https://h:8443/v2/b" },
		{ "//cdn/x", "https://cdn/x" },
		{ "?q=2", "https://h:8443/v2/a/1?q=2" },
		{ "2#f", "https://h:8443/v2/a/2" },
		{ "/a:b", "https://h:8443/a:b" },
		{ "", NULL },
		{ "#f", NULL },
		{ "file:///etc/passwd", NULL },
		{ "FILE:///etc/passwd", NULL },
		{ "https:/evil/", NULL },
		{ "https:evil", NULL },
		{ "https:///evil", NULL },
		{ "\\\\evil/", NULL },
		{ "/\\evil/", NULL },
		{ "/a\r\nX: y", NULL },
		{ "///evil/", NULL },
		{ "data:,x", NULL },
	};
	struct url base = { 0 };
	assert_int_equal(url_parse(&base, "https://h:8443/v2/a/1?q=1", NULL), 0);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct url url = { 0 };
		int r = url_resolve(&url, &base, cases[i].location, NULL);
		if (r != (cases[i].text ? 0 : -EPROTO))
			fail_msg("'%s': %d '%s'", cases[i].location, r, url.text ? url.text : "");
		if (cases[i].text)
			assert_string_equal(url.text, cases[i].text);
		url_release(&url);
	}
	url_release(&base);
}

static void test_url_same_origin_compares_scheme_host_and_port(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{ "https://h/a", "https://H:443/b", true },
		{ "https://h/", "http://h/", false },
		{ "https://h/", "http://h:443/", false },
		{ "https://h/", "https://h:8443/", false },
		{ "https://h/", "https://h.evil/", false },
		{ "http://127.1/", "http://127.0.0.1/", true },
		{ "https://h/", "https://evil/#h", false },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct url a = { 0 }, b = { 0 };
		assert_int_equal(url_parse(&a, cases[i].a, NULL), 0);
		assert_int_equal(url_parse(&b, cases[i].b, NULL), 0);
		assert_int_equal(url_same_origin(&a, &b), cases[i].same);
		url_release(&a);
		url_release(&b);
	}
}

static void test_url_add_encoded_keeps_only_unreserved(void **state)
{
	(void)state;
	auto_str out = STR_MAX(1024);
	url_add_encoded(&out, "aZ09-._~ repository:a/b:pull,push&x=y%+\xc3\xa4\x01");
	assert_string_equal(str_text(&out), "aZ09-._~%20repository%3Aa%2Fb%3Apull%2Cpush%26x%3Dy%25"
					    "%2B%C3%A4%01");
}

static void test_url_host_is_private_sees_through_wrappings(void **state)
{
	(void)state;
	static const char *const private[] = {
		"127.0.0.1",
		"127.255.1.2",
		"10.0.0.1",
		"172.16.0.1",
		"172.31.255.255",
		"192.168.1.1",
		"169.254.169.254",
		"100.64.0.1",
		"100.127.255.255",
		"0.0.0.0",
		"0.1.2.3",
		"224.0.0.1",
		"239.1.1.1",
		"255.255.255.255",
		"240.0.0.1",
		"127.1",
		"0x7f.0.0.1",
		"0177.0.0.1",
		"2130706433",
		"::",
		"::1",
		"[::1]",
		"fe80::1",
		"fe80::1%eth0",
		"febf::1",
		"fec0::1",
		"fc00::1",
		"fdff::1",
		"ff02::1",
		"::ffff:127.0.0.1",
		"::ffff:10.0.0.1",
		"::ffff:a9fe:a9fe",
		"::127.0.0.1",
		"::ffff:0:10.0.0.1",
		"64:ff9b::10.0.0.1",
		"64:ff9b:1::1",
		"64:ff9b:1:ffff::8.8.8.8",
		"2002:7f00:1::",
		"2002:0a00:0001::1",
		"2002:c0a8:101::",
		"2001:0:1::f5ff:fffe", /* Teredo of 10.0.0.1 */
	};
	static const char *const public[] = {
		"8.8.8.8",
		"172.15.0.1",
		"172.32.0.1",
		"100.63.0.1",
		"100.128.0.1",
		"192.167.1.1",
		"169.253.0.1",
		"223.255.255.255",
		"1.0.0.0",
		"128.0.0.1",
		"9.255.255.255",
		"11.0.0.0",
		"2606:4700::1",
		"::ffff:8.8.8.8",
		"64:ff9b::8.8.8.8",
		"2002:808:808::1",
		"fe00::1",
		"2001:0:1::f7f7:f7f7",
		"2001:db8::1",
		"localhost",
		"example.com",
		"10.0.0.1.nip.io",
		"127.0.0.1 x",
		"",
		"[",
		"[]",
		"::ffff:127.0.0.1.evil",
	};
	for (size_t i = 0; i < N_ELEMENTS(private); i++) {
		if (!url_host_is_private(private[i]) || !url_host_is_ip(private[i]))
			fail_msg("%s is not private", private[i]);
	}
	for (size_t i = 0; i < N_ELEMENTS(public); i++) {
		if (url_host_is_private(public[i]))
			fail_msg("%s is private", public[i]);
	}
}

static void test_url_host_questions(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		bool ip, loopback, http;
	} cases[] = {
		{ "localhost", false, true, true },
		{ "LOCALHOST", false, true, true },
		{ "a.localhost", false, true, true },
		{ ".localhost", false, false, false },
		{ "notlocalhost", false, false, false },
		{ "localhost.evil", false, false, false },
		{ "127.0.0.1", true, true, true },
		{ "127.8.9.1", true, true, true },
		{ "::1", true, true, true },
		{ "[::1]", true, true, true },
		{ "10.1.2.3", true, false, true },
		{ "172.20.0.1", true, false, true },
		{ "172.32.0.1", true, false, false },
		{ "192.168.0.1", true, false, true },
		{ "169.254.169.254", true, false, false },
		{ "100.64.0.1", true, false, false },
		{ "8.8.8.8", true, false, false },
		{ "fd00::1", true, false, false },
		{ "ghcr.io", false, false, false },
		{ "127.0.0.1.nip.io", false, false, false },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		if (url_host_is_ip(cases[i].host) != cases[i].ip ||
		    url_host_is_loopback(cases[i].host) != cases[i].loopback ||
		    url_host_allows_http(cases[i].host) != cases[i].http)
			fail_msg("%s is judged wrongly", cases[i].host);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url_parse_finds_the_parts),
		cmocka_unit_test(test_url_parse_refuses_what_is_read_in_two_ways),
		cmocka_unit_test(test_url_parse_has_a_longest),
		cmocka_unit_test(test_url_errors_show_no_secret),
		cmocka_unit_test(test_url_resolve_reads_location),
		cmocka_unit_test(test_url_same_origin_compares_scheme_host_and_port),
		cmocka_unit_test(test_url_add_encoded_keeps_only_unreserved),
		cmocka_unit_test(test_url_host_is_private_sees_through_wrappings),
		cmocka_unit_test(test_url_host_questions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
