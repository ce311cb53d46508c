/* Credentials: files in their order, helpers by their protocol, keys from specific to general. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/base64.h"
#include "oci/certs.h"
#include "oci/creds.h"
#include "oci/secret.h"

/* A home of its own for each test; the environment leads nowhere else. */
struct home {
	char path[64];
	char *saved_path; /* owned: $PATH as it was */
};

static int home_make(void **state)
{
	struct home *home = mem_make(struct home, .path = "/tmp/rootlet-creds-XXXXXX");
	assert_non_null(mkdtemp(home->path));
	home->saved_path = mem_strdup(getenv("PATH"));
	static const char *const unset[] = { "REGISTRY_AUTH_FILE", "DOCKER_CONFIG",
					     "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME" };
	for (size_t i = 0; i < N_ELEMENTS(unset); i++)
		unsetenv(unset[i]);
	setenv("HOME", home->path, 1);
	*state = home;
	return 0;
}

static int home_remove(void **state)
{
	struct home *home = *state;
	setenv("PATH", home->saved_path, 1);
	unsetenv("REGISTRY_AUTH_FILE");
	unsetenv("DOCKER_CONFIG");
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("ROOTLET_CERTS_DIR");
	auto_close int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = io_remove_tree(tmp, home->path + strlen("/tmp/"), NULL);
	free(home->saved_path);
	free(home);
	return r;
}

static char *path_in(const struct home *home, const char *name)
{
	struct str path = STR_MAX(4096);
	str_addf(&path, "%s/%s", home->path, name);
	return str_take(&path);
}

/* Write NAME (with its directories) below the home. */
static void put(const struct home *home, const char *name, mode_t mode, const char *text)
{
	auto_free char *path = path_in(home, name);
	for (char *p = path + strlen(home->path) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(path, 0700);
		*p = '/';
	}
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, text, strlen(text), NULL), 0);
}

static void expect(struct creds *creds, const char *host, const char *name, const char *username,
		   const char *password)
{
	struct credential found = { 0 };
	struct err err = { 0 };
	assert_int_equal(creds_find(&found, creds, NULL, host, name, &err), 0);
	assert_true(str_equal(found.username, username));
	assert_true(str_equal(found.password, password));
	assert_int_equal(found.source != NULL, username != NULL);
	credential_release(&found);
}

static void test_base64_goes_both_ways(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xff\xfe:\x01", "//46AQ==" },
	};
	for (size_t i = 0; i < N_ELEMENTS(pairs); i++) {
		auto_secret *text = base64_encode(pairs[i][0], strlen(pairs[i][0]));
		assert_string_equal(text, pairs[i][1]);
		auto_secret *bytes = NULL;
		size_t size = 0;
		assert_int_equal(base64_decode(&bytes, &size, pairs[i][1], NULL), 0);
		assert_int_equal(size, strlen(pairs[i][0]));
		assert_string_equal(bytes, pairs[i][0]);
	}
	static const char *const bad[] = {
		"A", "Zm9vY", "Zm 9v", "Zm9v\n", "Z=9v", "====", "Zm9-"
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		auto_secret *bytes = NULL;
		size_t size = 0;
		assert_int_equal(base64_decode(&bytes, &size, bad[i], NULL), -EBADMSG);
	}
	auto_secret *bytes = NULL;
	size_t size = 0;
	assert_int_equal(base64_decode(&bytes, &size, "Zm8", NULL), 0);
	assert_string_equal(bytes, "fo");
}

static void test_creds_fixed_serves_every_host_or_none(void **state)
{
	(void)state;
	AUTO(creds) both = creds_fixed("u", "p", "source.username");
	expect(both, "ghcr.io", "a/b", "u", "p");
	expect(both, "docker.io", "library/x", "u", "p");
	AUTO(creds) half = creds_fixed("u", "", "source.username");
	expect(half, "ghcr.io", "a/b", NULL, NULL);
	AUTO(creds) none = creds_fixed(NULL, NULL, NULL);
	expect(none, "ghcr.io", "a/b", NULL, NULL);
	expect(NULL, "ghcr.io", "a/b", NULL, NULL);
}

static void test_creds_files_reads_docker_config(void **state)
{
	put(*state, ".docker/config.json", 0600,
	    "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"aHViOnNlY3JldA==\"},"
	    "\"ghcr.io\":{\"auth\":\"dTpwOndpdGg6Y29sb25z\"},"
	    "\"https://old.example/v2/\":{\"username\":\"n\",\"password\":\"m\"},"
	    "\"id.example\":{\"auth\":\"dTo=\",\"identitytoken\":\"idtok\"},"
	    "\"reg.example:5000\":{\"registrytoken\":\"regtok\"},"
	    "\"empty.example\":{},\"bad.example\":{\"auth\":\"%%%\"}}}");
	AUTO(creds) creds = NULL;
	assert_int_equal(creds_files(&creds, NULL, NULL), 0);
	expect(creds, "docker.io", "library/busybox", "hub", "secret");
	expect(creds, "registry-1.docker.io", "library/busybox", "hub", "secret");
	expect(creds, "ghcr.io", "a/b", "u", "p:with:colons");
	expect(creds, "old.example", "a", "n", "m");
	expect(creds, "empty.example", "a", NULL, NULL);
	expect(creds, "ghcr.io:5000", "a", NULL, NULL);
	expect(creds, "ghcr.io.evil.net", "a", NULL, NULL);
	expect(creds, "io", "a", NULL, NULL);

	struct credential found = { 0 };
	assert_int_equal(creds_find(&found, creds, NULL, "id.example", "a", NULL), 0);
	assert_string_equal(found.identity_token, "idtok");
	assert_null(found.password);
	assert_string_equal(found.source, "~/.docker/config.json");
	credential_release(&found);
	assert_int_equal(creds_find(&found, creds, NULL, "reg.example:5000", "a", NULL), 0);
	assert_string_equal(found.registry_token, "regtok");
	credential_release(&found);

	struct err err = { 0 };
	assert_int_equal(creds_find(&found, creds, NULL, "bad.example", "a", &err), -EACCES);
	assert_non_null(strstr(err_text(&err), "bad.example"));
	assert_null(strstr(err_text(&err), "%%%"));
}

static void test_creds_files_matches_paths_from_specific_to_general(void **state)
{
	setenv("XDG_RUNTIME_DIR", ((struct home *)*state)->path, 1);
	put(*state, "containers/auth.json", 0600,
	    "{\"auths\":{\"quay.io\":{\"auth\":\"YTph\"},\"quay.io/team\":{\"auth\":\"Yjpi\"},"
	    "\"quay.io/team/app\":{\"auth\":\"Yzpj\"},\"docker.io/library\":{\"auth\":\"ZDpk\"}}}");
	AUTO(creds) creds = NULL;
	assert_int_equal(creds_files(&creds, NULL, NULL), 0);
	expect(creds, "quay.io", "team/app", "c", "c");
	expect(creds, "quay.io", "team/app/part", "c", "c");
	expect(creds, "quay.io", "team/application", "b", "b");
	expect(creds, "quay.io", "team", "b", "b");
	expect(creds, "quay.io", "teams/app", "a", "a");
	expect(creds, "docker.io", "library/busybox", "d", "d");
	expect(creds, "docker.io", "other/busybox", NULL, NULL);
}

static void test_creds_files_keeps_their_order(void **state)
{
	const struct home *home = *state;
	auto_free char *config = path_in(home, "cfg"), *docker = path_in(home, "dck");
	setenv("XDG_RUNTIME_DIR", home->path, 1);
	setenv("XDG_CONFIG_HOME", config, 1);
	setenv("DOCKER_CONFIG", docker, 1);
	put(home, ".dockercfg", 0600, "{\"https://h/v1/\":{\"auth\":\"ZTpl\"}}");
	AUTO(creds) legacy = NULL;
	assert_int_equal(creds_files(&legacy, NULL, NULL), 0);
	expect(legacy, "h", "a", "e", "e");
	put(home, "cfg/containers/auth.json", 0600, "{\"auths\":{\"h\":{\"auth\":\"ZDpk\"}}}");
	AUTO(creds) user = NULL;
	assert_int_equal(creds_files(&user, NULL, NULL), 0);
	expect(user, "h", "a", "d", "d");
	put(home, "containers/auth.json", 0600, "{\"auths\":{\"h\":{\"auth\":\"Yzpj\"}}}");
	AUTO(creds) runtime = NULL;
	assert_int_equal(creds_files(&runtime, NULL, NULL), 0);
	expect(runtime, "h", "a", "c", "c");
	put(home, "dck/config.json", 0600, "{\"auths\":{\"h\":{\"auth\":\"Yjpi\"}}}");
	AUTO(creds) own = NULL;
	assert_int_equal(creds_files(&own, NULL, NULL), 0);
	expect(own, "h", "a", "b", "b");
	put(home, "auth.json", 0600, "{\"auths\":{\"h\":{\"auth\":\"YTph\"}}}");
	auto_free char *authfile = path_in(home, "auth.json");
	AUTO(creds) given = NULL;
	assert_int_equal(creds_files(&given, authfile, NULL), 0);
	expect(given, "h", "a", "a", "a");
	setenv("REGISTRY_AUTH_FILE", authfile, 1);
	AUTO(creds) named = NULL;
	assert_int_equal(creds_files(&named, NULL, NULL), 0);
	expect(named, "h", "a", "a", "a");
}

static void test_creds_files_says_which_file_is_wrong(void **state)
{
	const struct home *home = *state;
	static const struct {
		const char *text;
		int code;
	} cases[] = {
		{ "{", -EBADMSG },
		{ "[]", -EBADMSG },
		{ "{\"auths\":[]}", -EBADMSG },
		{ "{\"credHelpers\":{\"h\":\"../../bin/sh\"}}", -EBADMSG },
		{ "{\"credHelpers\":{\"h\":7}}", -EBADMSG },
		{ "{\"credsStore\":\"a/b\"}", -EBADMSG },
		{ "{\"auths\":{}} x", -EBADMSG },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		put(home, ".docker/config.json", 0600, cases[i].text);
		struct creds *creds = NULL;
		struct err err = { 0 };
		assert_int_equal(creds_files(&creds, NULL, &err), cases[i].code);
		assert_non_null(strstr(err_text(&err), "~/.docker/config.json"));
		assert_null(creds);
	}
	auto_free char *missing = path_in(home, "none.json");
	put(home, ".docker/config.json", 0600, "{}");
	struct creds *creds = NULL;
	struct err err = { 0 };
	assert_int_equal(creds_files(&creds, missing, &err), -ENOENT);
	assert_non_null(strstr(err_text(&err), "none.json"));
}

/* A helper that answers by what it is asked, and leaves a trace of the question. */
static const char helper[] =
	"#!/bin/sh\nread -r url\nprintf '%s %s\\n' \"$1\" \"$url\" >>\"$HOME/asked\"\n"
	"case $url in\n"
	"good.example) echo '{\"ServerURL\":\"x\",\"Username\":\"hu\",\"Secret\":\"hs\"}';;\n"
	"token.example) echo '{\"Username\":\"<token>\",\"Secret\":\"idt\"}';;\n"
	"https://index.docker.io/v1/) echo '{\"Username\":\"hub\",\"Secret\":\"hs\"}';;\n"
	"none.example) echo 'credentials not found in native keychain'; exit 1;;\n"
	"nojson.example) echo hello;;\n"
	"*) echo 'the vault is locked'; exit 3;;\n"
	"esac\n";

static void use_helper(struct home *home)
{
	put(home, "bin/docker-credential-fake", 0700, helper);
	auto_str path = STR_MAX(8192);
	str_addf(&path, "%s/bin:%s", home->path, home->saved_path);
	setenv("PATH", str_text(&path), 1);
}

static void expect_failure(struct creds *creds, const char *host, const char *why)
{
	struct credential found = { 0 };
	struct err err = { 0 };
	assert_int_equal(creds_find(&found, creds, NULL, host, "a", &err), -EACCES);
	assert_non_null(strstr(err_text(&err), why));
	assert_non_null(strstr(err_text(&err), "docker-credential-"));
}

static void test_creds_find_asks_helpers(void **state)
{
	struct home *home = *state;
	use_helper(home);
	put(home, ".docker/config.json", 0600,
	    "{\"auths\":{\"good.example\":{\"auth\":\"YTph\"},\"none.example\":{\"auth\":\"YTph\"}}"
	    ","
	    "\"credHelpers\":{\"good.example\":\"fake\",\"token.example\":\"fake\","
	    "\"none.example\":\"fake\",\"locked.example\":\"fake\",\"nojson.example\":\"fake\","
	    "\"absent.example\":\"not-there\",\"https://index.docker.io/v1/\":\"fake\"}}");
	AUTO(creds) creds = NULL;
	assert_int_equal(creds_files(&creds, NULL, NULL), 0);
	expect(creds, "good.example", "a", "hu", "hs");
	expect(creds, "docker.io", "library/a", "hub", "hs");
	expect(creds, "none.example", "a", NULL, NULL);
	struct credential found = { 0 };
	assert_int_equal(creds_find(&found, creds, NULL, "token.example", "a", NULL), 0);
	assert_string_equal(found.identity_token, "idt");
	assert_null(found.username);
	assert_string_equal(found.source, "docker-credential-fake");
	credential_release(&found);
	expect_failure(creds, "locked.example", "the vault is locked");
	expect_failure(creds, "nojson.example", "JSON");
	expect_failure(creds, "absent.example", "not-there");

	auto_free char *asked = NULL, *trace = path_in(home, "asked");
	size_t size = 0;
	assert_int_equal(io_read_file(AT_FDCWD, trace, 65536, &asked, &size, NULL), 0);
	assert_true(str_starts(asked, "get good.example\nget https://index.docker.io/v1/\n"));
}

static void test_creds_find_falls_from_store_to_auths(void **state)
{
	struct home *home = *state;
	use_helper(home);
	put(home, ".docker/config.json", 0600,
	    "{\"auths\":{\"none.example\":{\"auth\":\"YTph\"},\"good.example\":{\"auth\":\"YTph\"}}"
	    ","
	    "\"credsStore\":\"fake\"}");
	AUTO(creds) creds = NULL;
	assert_int_equal(creds_files(&creds, NULL, NULL), 0);
	expect(creds, "good.example", "a", "hu", "hs");
	expect(creds, "none.example", "a", "a", "a");
	expect_failure(creds, "locked.example", "the vault is locked");
}

static void test_certs_find_reads_a_directory(void **state)
{
	const struct home *home = *state;
	auto_free char *dir = path_in(home, "certs.d");
	setenv("ROOTLET_CERTS_DIR", dir, 1);
	put(home, "certs.d/reg:5000/a.crt", 0600, "PEM-A");
	put(home, "certs.d/reg:5000/b.crt", 0600, "PEM-B");
	put(home, "certs.d/reg:5000/notes.txt", 0600, "no");
	put(home, "certs.d/reg:5000/client.cert", 0600, "CERT");
	put(home, "certs.d/reg:5000/client.key", 0600, "KEY");
	put(home, "certs.d/half/client.cert", 0600, "CERT");
	struct certs certs = { 0 };
	assert_int_equal(certs_find(&certs, "reg:5000", NULL), 0);
	assert_string_equal(certs.ca_pem, "PEM-A\nPEM-B\n");
	assert_true(str_ends(certs.client_cert, "/certs.d/reg:5000/client.cert"));
	assert_true(str_ends(certs.client_key, "/certs.d/reg:5000/client.key"));
	certs_release(&certs);
	assert_int_equal(certs_find(&certs, "reg", NULL), 0);
	assert_int_equal(certs_find(&certs, "../certs.d/reg:5000", NULL), 0);
	assert_null(certs.ca_pem);
	assert_null(certs.client_cert);
	struct err err = { 0 };
	assert_int_equal(certs_find(&certs, "half", &err), -EINVAL);
	assert_non_null(strstr(err_text(&err), "client.key"));
	certs_release(&certs);
}

#define AT_HOME(test) cmocka_unit_test_setup_teardown(test, home_make, home_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64_goes_both_ways),
		cmocka_unit_test(test_creds_fixed_serves_every_host_or_none),
		AT_HOME(test_creds_files_reads_docker_config),
		AT_HOME(test_creds_files_matches_paths_from_specific_to_general),
		AT_HOME(test_creds_files_keeps_their_order),
		AT_HOME(test_creds_files_says_which_file_is_wrong),
		AT_HOME(test_creds_find_asks_helpers),
		AT_HOME(test_creds_find_falls_from_store_to_auths),
		AT_HOME(test_certs_find_reads_a_directory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
