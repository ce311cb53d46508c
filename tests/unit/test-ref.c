/* References: what is accepted, what is filled in, what is refused and how it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/str.h"
#include "oci/ref.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX64
#define A255                                                                                    \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define T128                                                               \
	"_234567890123456789012345678901234567890123456789012345678901234" \
	"5678901234567890123456789012345678901234567890123456789012345678"

static void test_parse_fills_defaults(void **state)
{
	(void)state;
	static const struct {
		const char *in, *host, *name, *tag, *digest;
	} cases[] = {
		{ "alpine", "docker.io", "library/alpine", "latest", NULL },
		{ "a", "docker.io", "library/a", "latest", NULL },
		{ "alpine:3", "docker.io", "library/alpine", "3", NULL },
		{ "docker://alpine:3", "docker.io", "library/alpine", "3", NULL },
		{ "docker.io/alpine", "docker.io", "library/alpine", "latest", NULL },
		{ "Docker.IO/alpine", "docker.io", "library/alpine", "latest", NULL },
		{ "index.docker.io/alpine", "docker.io", "library/alpine", "latest", NULL },
		{ "index.docker.io/a/b", "docker.io", "a/b", "latest", NULL },
		{ "docker.io/library/alpine", "docker.io", "library/alpine", "latest", NULL },
		{ "library/alpine", "docker.io", "library/alpine", "latest", NULL },
		{ "user/app:v1", "docker.io", "user/app", "v1", NULL },
		{ "ghcr.io/a/b:1", "ghcr.io", "a/b", "1", NULL },
		{ "ghcr.io/a", "ghcr.io", "a", "latest", NULL },
		{ "localhost/a", "localhost", "a", "latest", NULL },
		{ "localhost:5000", "docker.io", "library/localhost", "5000", NULL },
		{ "localhost:5000/a", "localhost:5000", "a", "latest", NULL },
		{ "localhost:5000/a:b", "localhost:5000", "a", "b", NULL },
		{ "LOCAL.Host/a", "LOCAL.Host", "a", "latest", NULL },
		{ "127.0.0.1:5000/a/b/c", "127.0.0.1:5000", "a/b/c", "latest", NULL },
		{ "[::1]/a", "[::1]", "a", "latest", NULL },
		{ "[fe80::A:1]:443/a:b", "[fe80::A:1]:443", "a", "b", NULL },
		{ "host:65535/a", "host:65535", "a", "latest", NULL },
		{ "a-b.c-d/e", "a-b.c-d", "e", "latest", NULL },
		{ "my-registry/app", "docker.io", "my-registry/app", "latest", NULL },
		{ "a__b/c_d/e.f/g--h---i", "docker.io", "a__b/c_d/e.f/g--h---i", "latest", NULL },
		{ "a@" DIGEST, "docker.io", "library/a", NULL, DIGEST },
		{ "a:t@" DIGEST, "docker.io", "library/a", "t", DIGEST },
		{ "h:1/a@" DIGEST, "h:1", "a", NULL, DIGEST },
		{ "h:1/a:T.-_9@" DIGEST, "h:1", "a", "T.-_9", DIGEST },
		{ "a@sha512:" HEX64 HEX64, "docker.io", "library/a", NULL, "sha512:" HEX64 HEX64 },
		{ "a:" T128, "docker.io", "library/a", T128, NULL },
		{ "h.x/" A255, "h.x", A255, "latest", NULL },
		{ "h.x/" HEX64, "h.x", HEX64, "latest", NULL },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_ref ref = { .kind = REF_OCI };
		struct err err = { 0 };
		if (ref_parse(&ref, cases[i].in, &err) < 0)
			fail_msg("%s: %s", cases[i].in, err_text(&err));
		assert_int_equal(ref.kind, REF_REGISTRY);
		assert_string_equal(ref.host, cases[i].host);
		assert_string_equal(ref.name, cases[i].name);
		assert_true(str_equal(ref.tag, cases[i].tag));
		assert_int_equal(digest_known(&ref.digest), cases[i].digest != NULL);
		if (cases[i].digest)
			assert_string_equal(digest_show(&ref.digest), cases[i].digest);
		assert_null(ref.path);
	}
}

static void test_parse_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *in, *says;
	} cases[] = {
		{ "", "is empty" },
		{ "docker://", "is no repository name" },
		{ "/a", "is no repository name" },
		{ "a/", "is no repository name" },
		{ "a//b", "is no repository name" },
		{ "h.x/", "is no repository name" },
		{ ":t", "is no repository name" },
		{ "@" DIGEST, "is no repository name" },
		{ "a_", "is no repository name" },
		{ "a._b", "is no repository name" },
		{ "a..b", "is no repository name" },
		{ "a___b", "is no repository name" },
		{ "-a", "is no repository name" },
		{ "a b", "is no repository name" },
		{ "a\x1b[2J", "'a\\x1b[2J'" },
		{ "h.x/" A255 "a", "repository name of 256 bytes" },
		{ "Alpine", "did you mean 'alpine'?" },
		{ "Foo/bar", "did you mean 'foo/bar'?" },
		{ "ghcr.io/Foo/Bar:x", "did you mean 'foo/bar'?" },
		{ "a:", "'' is no tag" },
		{ "a:-x", "'-x' is no tag" },
		{ "a:.x", "'.x' is no tag" },
		{ "a:x/y:z", "'a:x' is no registry host" },
		{ "a:x y", "is no tag" },
		{ "a:" T128 "9", "is no tag" },
		{ "a@", "behind the '@'" },
		{ "a@sha256:abc", "behind the '@'" },
		{ "a@md5:" HEX64, "behind the '@'" },
		{ "a@sha256:ABCDEF6789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		  "behind the '@'" },
		{ "a@" DIGEST "@" DIGEST, "behind the '@'" },
		{ HEX64, "is an image id" },
		{ "h:0/a", "is no registry host" },
		{ "h:65536/a", "is no registry host" },
		{ "h:/a", "is no registry host" },
		{ "h:80x/a", "is no registry host" },
		{ "-h.x/a", "is no registry host" },
		{ "h-.x/a", "is no registry host" },
		{ "h..x/a", "is no registry host" },
		{ ".x/a", "is no registry host" },
		{ "x./a", "is no registry host" },
		{ "h_x.y/a", "is no registry host" },
		{ "[::1/a", "is no registry host" },
		{ "[]:1/a", "is no registry host" },
		{ "[::g]:1/a", "is no registry host" },
		{ "[::1]x:1/a", "is no registry host" },
		{ "[fe80::1%eth0]:1/a", "is no registry host" },
		{ "https://h.x/a", "without 'http://'" },
		{ "http://h.x/a", "without 'http://'" },
		{ "oci:", "a path is missing" },
		{ "docker-archive:", "a path is missing" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct ref ref = { .kind = REF_OCI_ARCHIVE };
		struct err err = { 0 };
		int r = ref_parse(&ref, cases[i].in, &err);
		if (r != -EINVAL || !strstr(err_text(&err), cases[i].says))
			fail_msg("'%s': %d, %s", cases[i].in, r, err_text(&err));
		assert_int_equal(ref.kind, REF_OCI_ARCHIVE); /* untouched */
	}
}

static void test_parse_keeps_passwords_out_of_messages(void **state)
{
	(void)state;
	struct ref ref;
	struct err err = { 0 };
	assert_int_equal(ref_parse(&ref, "user:secret@h.x/a", &err), -EINVAL);
	assert_null(strstr(err_text(&err), "secret"));
}

static void test_parse_bounds_the_length(void **state)
{
	(void)state;
	auto_free char *text = mem_new(6000);
	memset(text, 'a', 5999);
	struct ref ref;
	assert_int_equal(ref_parse(&ref, text, NULL), -EINVAL);
	memcpy(text, "oci:", 4);
	assert_int_equal(ref_parse(&ref, text, NULL), -EINVAL);
}

static void test_text_reads_back(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "alpine", "docker.io/library/alpine:latest" },
		{ "a:t@" DIGEST, "docker.io/library/a:t@" DIGEST },
		{ "h:1/a@" DIGEST, "h:1/a@" DIGEST },
		{ "oci:/no such", "oci:/no such" },
		{ "oci-archive:x:y", "oci-archive:x:y" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_ref ref = { 0 }, again = { 0 }, copy = { 0 };
		assert_int_equal(ref_parse(&ref, cases[i].in, NULL), 0);
		ref_copy(&copy, &ref);
		auto_free char *text = ref_text(&copy);
		assert_string_equal(text, cases[i].out);
		assert_int_equal(ref_parse(&again, text, NULL), 0);
		assert_true(str_equal(again.name, ref.name) && str_equal(again.tag, ref.tag));
	}
}

static void test_repository_takes_no_tag(void **state)
{
	(void)state;
	auto_ref ref = { 0 };
	assert_int_equal(ref_parse_repository(&ref, "h:5000/a/b", NULL), 0);
	assert_string_equal(ref.host, "h:5000");
	assert_string_equal(ref.name, "a/b");
	assert_null(ref.tag);
	assert_false(digest_known(&ref.digest));
	static const char *const bad[] = {
		"",	 "a:b", "h:5000/a:b", "a@" DIGEST,   "A",     "docker://a",
		"oci:x", "a/",	"http:b",     "https://h/a", "h/a b", "localhost:5000"
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct ref out;
		if (ref_parse_repository(&out, bad[i], NULL) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	}
}

static void test_set_tag_checks(void **state)
{
	(void)state;
	auto_ref ref = { 0 };
	assert_int_equal(ref_parse(&ref, "a:x", NULL), 0);
	assert_int_equal(ref_set_tag(&ref, "42.1", NULL), 0);
	assert_string_equal(ref.tag, "42.1");
	assert_int_equal(ref_set_tag(&ref, "a+b", NULL), -EINVAL);
	assert_string_equal(ref.tag, "42.1");
}

static void test_api_host_of_the_hub(void **state)
{
	(void)state;
	auto_ref hub = { 0 }, other = { 0 };
	assert_int_equal(ref_parse(&hub, "index.docker.io/a", NULL), 0);
	assert_string_equal(ref_api_host(&hub), "registry-1.docker.io");
	assert_int_equal(ref_parse(&other, "h.x:1/a", NULL), 0);
	assert_string_equal(ref_api_host(&other), "h.x:1");
}

/* A directory with the directory "d", the directory "d:e", the files "f" and "f:g". */
static int make_places(void **state)
{
	char template[] = "/tmp/test-ref-XXXXXX";
	char *dir = mem_strdup(mkdtemp(template));
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = mkdirat(fd, "d", 0700) == 0 && mkdirat(fd, "d:e", 0700) == 0 &&
		  io_write_file(fd, "f", "", 0, 0600, NULL) == 0 &&
		  io_write_file(fd, "f:g", "", 0, 0600, NULL) == 0;
	(void)close(fd);
	*state = dir;
	return ok ? 0 : -1;
}

static int remove_places(void **state)
{
	auto_free char *dir = *state;
	auto_close int parent = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return io_remove_tree(parent, dir + strlen("/tmp/"), NULL);
}

static void test_paths_end_where_something_is(void **state)
{
	static const struct {
		const char *kind, *in, *path, *tag;
	} cases[] = {
		{ "oci", "d", "d", NULL },
		{ "oci", "d:t", "d", "t" },
		{ "oci", "d:e", "d", "e" },
		{ "oci", "d:e/", "d:e/", NULL },
		{ "oci", "d:e:t", "d:e", "t" },
		{ "oci", "d:not legal", "d:not legal", NULL },
		{ "oci", "f:t", "f:t", NULL },
		{ "oci", "x:t", "x:t", NULL },
		{ "oci-archive", "f:t", "f", "t" },
		{ "oci-archive", "f:g:t", "f:g", "t" },
		{ "oci-archive", "d:t", "d:t", NULL },
		{ "docker-archive", "f", "f", NULL },
		{ "docker-archive", "f:a", "f", "a" },
		{ "docker-archive", "f:a:t", "f", "a:t" },
		{ "docker-archive", "f:h.x:5000/a:t", "f", "h.x:5000/a:t" },
		{ "docker-archive", "f:g:h.x:5000/a:t", "f:g", "h.x:5000/a:t" },
		{ "docker-archive", "f:A", "f:A", NULL },
		{ "docker-archive", "x:a:t", "x:a:t", NULL },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_str text = STR_MAX(4096), path = STR_MAX(4096);
		auto_ref ref = { 0 };
		str_addf(&text, "%s:%s/%s", cases[i].kind, (char *)*state, cases[i].in);
		str_addf(&path, "%s/%s", (char *)*state, cases[i].path);
		assert_int_equal(ref_parse(&ref, str_text(&text), NULL), 0);
		if (strcmp(ref.path, str_text(&path)) != 0 || !str_equal(ref.tag, cases[i].tag))
			fail_msg("%s:%s is '%s' '%s'", cases[i].kind, cases[i].in, ref.path,
				 ref.tag);
		assert_null(ref.host);
		assert_null(ref.name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_fills_defaults),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_parse_keeps_passwords_out_of_messages),
		cmocka_unit_test(test_parse_bounds_the_length),
		cmocka_unit_test(test_text_reads_back),
		cmocka_unit_test(test_repository_takes_no_tag),
		cmocka_unit_test(test_set_tag_checks),
		cmocka_unit_test(test_api_host_of_the_hub),
		cmocka_unit_test_setup_teardown(test_paths_end_where_something_is, make_places,
						remove_places),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
