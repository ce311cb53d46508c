/* Realms: who may be asked for a token, and who gets the credentials. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "oci/realm.h"

static void test_realm_same_domain_follows_the_owner(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{ "registry-1.docker.io", "auth.docker.io", true },
		{ "ghcr.io", "ghcr.io", true },
		{ "registry.gitlab.com", "gitlab.com", true },
		{ "registry.corp.example", "sso.corp.example", true },
		{ "Registry.Example.com", "auth.example.COM", true },
		{ "registry.example.com", "registry.example.org", false },
		{ "example.com", "notexample.com", false },
		{ "example.com", "example.com.evil.net", false },
		{ "a.co.uk", "b.co.uk", false },
		{ "reg.a.co.uk", "auth.a.co.uk", true },
		{ "a.com.cn", "b.com.cn", false },
		{ "one.azurecr.io", "two.azurecr.io", false },
		{ "co.uk", "a.co.uk", false },
		{ "io", "docker.io", false },
		{ "localhost", "localhost", true },
		{ "localhost", "evilhost", false },
		{ "10.1.2.3", "10.9.2.3", false },
		{ "192.0.2.1", "198.51.2.1", false },
		{ "192.0.2.1", "192.0.2.1", true },
		{ "10.1.2.3", "x.2.3", false },
		{ "::1", "::2", false },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		assert_int_equal(realm_same_domain(cases[i].a, cases[i].b), cases[i].same);
		assert_int_equal(realm_same_domain(cases[i].b, cases[i].a), cases[i].same);
	}
}

static void test_realm_judge_trusts_by_host(void **state)
{
	(void)state;
	static const struct {
		const char *registry, *realm;
		enum realm_trust trust;
	} cases[] = {
		{ "https://registry-1.docker.io/", "https://auth.docker.io/token", REALM_SIBLING },
		{ "https://ghcr.io/", "https://ghcr.io/token", REALM_OWN },
		{ "https://ghcr.io/", "https://ghcr.io:443/token?a=b", REALM_OWN },
		{ "https://ghcr.io/", "https://ghcr.io:444/token", REALM_SIBLING },
		{ "https://reg.example.com/", "https://tokens.other.net/t", REALM_FOREIGN },
		{ "https://reg.example.com/", "https://93.184.216.34/t", REALM_FOREIGN },
		{ "http://127.0.0.1:5000/", "http://127.0.0.1:5000/token", REALM_OWN },
		{ "http://localhost:5000/", "http://localhost:5001/token", REALM_SIBLING },
		{ "http://10.0.0.1/", "https://auth.example.com/token", REALM_FOREIGN },
		{ "https://[2001:db8::1]/", "https://[2001:db8::1]/token", REALM_OWN },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct url registry = { 0 }, out = { 0 };
		enum realm_trust trust = REALM_FOREIGN;
		assert_int_equal(url_parse(&registry, cases[i].registry, NULL), 0);
		assert_int_equal(realm_judge(&out, &trust, cases[i].realm, &registry, NULL), 0);
		assert_int_equal(trust, cases[i].trust);
		url_release(&out);
		url_release(&registry);
	}
}

static void test_realm_judge_refuses_and_names_the_realm(void **state)
{
	(void)state;
	static const struct {
		const char *registry, *realm;
	} cases[] = {
		{ "https://ghcr.io/", "http://ghcr.io/token" },
		{ "https://ghcr.io/", "http://evil.net/token" },
		{ "https://ghcr.io/", "/token" },
		{ "https://ghcr.io/", "" },
		{ "https://ghcr.io/", "file:///etc/passwd" },
		{ "https://ghcr.io/", "https://user:pass@ghcr.io/token" },
		{ "https://ghcr.io/", "https://ghcr.io/token#x" },
		{ "https://ghcr.io/", "https://169.254.169.254/latest/meta-data" },
		{ "https://ghcr.io/", "https://127.0.0.1/token" },
		{ "https://ghcr.io/", "https://10.0.0.1/token" },
		{ "https://ghcr.io/", "https://[::1]/token" },
		{ "https://ghcr.io/", "https://[::ffff:10.0.0.1]/token" },
		{ "https://ghcr.io/", "https://2130706433/token" },
		{ "http://127.0.0.1:5000/", "http://127.0.0.1:5001/token" },
		{ "http://127.0.0.1:5000/", "https://127.0.0.1:5000/token" },
		{ "http://10.0.0.1/", "http://10.0.0.2/token" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct url registry = { 0 }, out = { 0 };
		enum realm_trust trust = REALM_OWN;
		struct err err = { 0 };
		assert_int_equal(url_parse(&registry, cases[i].registry, NULL), 0);
		assert_int_equal(realm_judge(&out, &trust, cases[i].realm, &registry, &err),
				 -EPROTO);
		assert_non_null(strstr(err_text(&err), "realm '"));
		assert_null(out.text);
		url_release(&registry);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_realm_same_domain_follows_the_owner),
		cmocka_unit_test(test_realm_judge_trusts_by_host),
		cmocka_unit_test(test_realm_judge_refuses_and_names_the_realm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
