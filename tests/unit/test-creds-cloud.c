/* The small rules of the clouds: whose hosts are whose, what an answer says, how long it is good.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/http.h"
#include "oci/creds-aws.h"
#include "oci/creds-cloud.h"
#include "oci/creds-gar.h"
#include "oci/creds-http.h"
#include "oci/creds-source.h"
#include "oci/creds.h"
#include "script-server.h"

static void test_ecr_hosts_are_made_of_account_and_region(void **state)
{
	(void)state;
	static const struct {
		const char *region, *host;
	} cases[] = {
		{ "eu-west-1", "123456789012.dkr.ecr.eu-west-1.amazonaws.com" },
		{ "us-gov-west-1", "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com" },
		{ "cn-north-1", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn" },
		{ "us-iso-east-1", "123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov" },
		{ "us-isob-east-1", "123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov" },
		{ "eusc-de-east-1", "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct creds_aws aws = { .region = cases[i].region,
					       .account_id = "123456789012" };
		AUTO(creds) creds = NULL;
		auto_free char *host = NULL;
		assert_int_equal(creds_ecr_open(&creds, &aws, NULL), 0);
		assert_int_equal(creds_ecr_host(&host, &aws, creds, NULL, NULL), 0);
		assert_string_equal(host, cases[i].host);
	}
}

static void test_ecr_names_in_a_repository_are_seen(void **state)
{
	(void)state;
	static const struct {
		const char *repository;
		bool names;
	} cases[] = {
		{ "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app", true },
		{ "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/app", true },
		{ "123456789012.dkr-ecr.eu-west-1.on.aws/app", true },
		{ "123456789012.dkr.ecr.eu-west-1.amazonaws.com", false },
		{ "app", false },
		{ "team/app.dkr.ecr.x", false },
		{ "a.dkr.ecr.eu-west-1.amazonaws.com/app", false },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(creds_ecr_names_host(cases[i].repository), cases[i].names);
}

/* An ECR whose own registry is 111111111111's. */
static bool serve_ecr(struct script_client *client)
{
	static const char body[] =
		"{\"authorizationData\":[{\"authorizationToken\":\"QVdTOnB3\",\"expiresAt\":1,"
		"\"proxyEndpoint\":\"https://111111111111.dkr.ecr.eu-west-1.amazonaws.com\"}]}";
	auto_str text = STR_MAX(1024);
	str_addf(&text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
	return script_say(client, str_text(&text));
}

static void test_ecrs_password_is_for_ecr(void **state)
{
	(void)state;
	static const struct script scripts[] = { { "/", serve_ecr }, { NULL, NULL } };
	static const struct {
		const char *host;
		bool ours;
	} cases[] = {
		{ "111111111111.dkr.ecr.eu-west-1.amazonaws.com", true },
		{ "222222222222.dkr.ecr.eu-west-1.amazonaws.com", true },
		{ "222222222222.dkr.ecr-fips.eu-west-1.amazonaws.com", true },
		{ "222222222222.dkr-ecr.eu-west-1.on.aws", true },
		{ "222222222222.dkr.ecr.us-east-1.amazonaws.com", false },
		{ "222222222222.dkr.ecr.eu-west-1.amazonaws.com.example.com", false },
		{ "222222222222.dkr.ecr.eu-west-1.amazonaws.com:444", false },
		{ "x.dkr.ecr.eu-west-1.amazonaws.com", false },
		{ "222222222222.dkr.ecr.example.eu-west-1.amazonaws.com.cn", false },
		{ "localhost:5000", false },
		{ "docker.io", false },
	};
	struct script_server *server = script_start(scripts);
	char url[64];
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", server->port);
	setenv("AWS_ENDPOINT_URL_ECR", url, 1);
	AUTO(http) http = NULL;
	assert_int_equal(http_new(&http, &(struct http_options){ 0 }, NULL), 0);
	const struct creds_net net = { .http = http, .wait_base_ms = 1 };
	const struct creds_aws aws = { .region = "eu-west-1",
				       .access_key_id = "AKIDEXAMPLE",
				       .secret_access_key = "secret" };
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(creds) creds = NULL;
		struct credential found = { 0 };
		assert_int_equal(creds_ecr_open(&creds, &aws, NULL), 0);
		int r = creds_find(&found, creds, &net, cases[i].host, "app", NULL);
		assert_int_equal(r, cases[i].ours ? 0 : -EINVAL);
		assert_true(str_equal(found.password, cases[i].ours ? "pw" : NULL));
		credential_release(&found);
	}
	http_free(TAKE(http));
	script_stop(server);
	unsetenv("AWS_ENDPOINT_URL_ECR");
}

static void test_sts_xml_gives_what_it_holds(void **state)
{
	(void)state;
	static const struct {
		const char *xml, *value;
	} cases[] = {
		{ "<r><Credentials><A>k/+=</A></Credentials></r>", "k/+=" },
		{ "<Credentials>\n <B>x</B>\n <A>k</A>\n</Credentials>", "k" },
		{ "<A>outside</A><Credentials></Credentials>", NULL },
		{ "<Credentials></Credentials><A>behind</A>", NULL },
		{ "<Credentials><A>k", NULL },
		{ "<Credentials><A>k&amp;</A></Credentials>", NULL },
		{ "<Credentials><A>k<B></A></Credentials>", NULL },
		{ "", NULL },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_free char *value = aws_xml_credential(cases[i].xml, "A");
		assert_true(str_equal(value, cases[i].value));
	}
}

static void test_urls_are_asked_only_where_it_is_safe(void **state)
{
	(void)state;
	static const struct {
		const char *url;
		bool cloud, google;
	} cases[] = {
		{ "https://sts.googleapis.com/v1/token", true, true },
		{ "https://googleapis.com/", true, true },
		{ "https://sts.googleapis.com:444/v1/token", true, true },
		{ "https://example.com/", true, false },
		{ "https://evilgoogleapis.com/", true, false },
		{ "https://googleapis.com.example.com/", true, false },
		{ "http://127.0.0.1:1/", true, true },
		{ "http://[::1]:1/", true, true },
		{ "http://169.254.170.23/v1/credentials", true, false },
		{ "http://169.254.169.254.example.com/", false, false },
		{ "http://[fd00:ec2::23]/v1/credentials", true, false },
		{ "http://sts.googleapis.com/", false, false },
		{ "http://10.0.0.1/", false, false },
		{ "https://me@sts.googleapis.com/", false, false },
		{ "https://sts.googleapis.com/#x", false, false },
		{ "ftp://127.0.0.1/", false, false },
		{ "", false, false },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		int cloud = cloud_check_url(cases[i].url, "it", NULL);
		int google = gar_check_url(cases[i].url, "it", NULL);
		if ((cloud == 0) != cases[i].cloud || (google == 0) != cases[i].google)
			fail_msg("'%s': %d %d", cases[i].url, cloud, google);
	}
}

static void assert_near(uint64_t ms, uint64_t wanted)
{
	assert_in_range(ms, wanted > 5000 ? wanted - 5000 : 0, wanted + 5000);
}

static void test_lives_are_read(void **state)
{
	(void)state;
	AUTO(json) json = NULL;
	static const char text[] =
		"[\"3599\", 3599, 3599.5, \"\", \"x\", -1, 0, 1e300, \"1 \", null]";
	static const uint64_t ms[] = { 3599000, 3599000, 3599500, 0, 0, 0, 0, 604800000, 0, 0 };
	assert_int_equal(json_parse(&json, text, strlen(text), 0, NULL), 0);
	for (size_t i = 0; i < N_ELEMENTS(ms); i++)
		assert_int_equal(cloud_seconds_ms(json_at(json_root(json), i)), ms[i]);

	char when[64];
	time_t later = time(NULL) + 7200;
	struct tm tm;
	assert_non_null(gmtime_r(&later, &tm));
	assert_true(strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0);
	assert_near(cloud_until_ms(when), 7200000);
	(void)snprintf(when, sizeof(when), "%lld.728", (long long)later);
	assert_near(cloud_until_ms(when), 7200000);
	(void)snprintf(when, sizeof(when), "%.9E", (double)later);
	assert_near(cloud_until_ms(when), 7200000);
	assert_int_equal(cloud_until_ms("2001-01-01T00:00:00Z"), 60000); /* a clock is wrong */
	static const char *const none[] = { NULL, "", "soon", "12x" };
	for (size_t i = 0; i < N_ELEMENTS(none); i++)
		assert_int_equal(cloud_until_ms(none[i]), 0);
}

static void test_secrets_fit_into_a_line(void **state)
{
	(void)state;
	static const char *const bad[] = { NULL, "", "a b", "a\r\nX: y", "\x7f", "\xc3\xa4" };
	assert_int_equal(cloud_check_secret("a+/=~!", "it", "who", NULL), 0);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(cloud_check_secret(bad[i], "it", "who", NULL), -EPROTO);
	auto_free char *huge = mem_new(CLOUD_SECRET_MAX_BYTES + 2);
	memset(huge, 'x', CLOUD_SECRET_MAX_BYTES + 1);
	assert_int_equal(cloud_check_secret(huge, "it", "who", NULL), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ecr_hosts_are_made_of_account_and_region),
		cmocka_unit_test(test_ecr_names_in_a_repository_are_seen),
		cmocka_unit_test(test_ecrs_password_is_for_ecr),
		cmocka_unit_test(test_sts_xml_gives_what_it_holds),
		cmocka_unit_test(test_urls_are_asked_only_where_it_is_safe),
		cmocka_unit_test(test_lives_are_read),
		cmocka_unit_test(test_secrets_fit_into_a_line),
	};
	return cmocka_run_group_tests_name("creds-cloud", tests, NULL, NULL);
}
