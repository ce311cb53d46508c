/* Descriptors, manifests and indexes: the type comes from outside, the bytes may only agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/manifest.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "\"digest\":\"sha256:" HEX "\""
#define HELLO \
	"\"digest\":\"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\""
#define TYPE(t) "\"mediaType\":\"application/vnd." t "\""
#define CONFIG "\"config\":{" TYPE("oci.image.config.v1+json") "," DIGEST ",\"size\":3}"
#define LAYER(t) "{" TYPE(t) "," DIGEST ",\"size\":7}"
#define TAR LAYER("oci.image.layer.v1.tar+gzip")
#define HEAD "{\"schemaVersion\":2,"
#define OCI MEDIA_OCI_MANIFEST
#define DOCKER MEDIA_DOCKER_MANIFEST

static int parse(const char *media_type, const char *text, struct err *err)
{
	auto_manifest m = { 0 };
	return manifest_parse(&m, media_type, text, strlen(text), err);
}

static void test_media_kind_knows_the_types(void **state)
{
	(void)state;
	static const struct {
		const char *type;
		enum media_kind kind;
	} cases[] = {
		{ MEDIA_OCI_INDEX, MEDIA_INDEX },
		{ MEDIA_DOCKER_LIST "; charset=utf-8", MEDIA_INDEX },
		{ MEDIA_OCI_MANIFEST, MEDIA_MANIFEST },
		{ MEDIA_DOCKER_MANIFEST ";x", MEDIA_MANIFEST },
		{ "application/vnd.docker.distribution.manifest.v1+json", MEDIA_SCHEMA1 },
		{ "application/vnd.docker.distribution.manifest.v1+prettyjws", MEDIA_SCHEMA1 },
		{ "application/vnd.oci.image.layer.v1.tar", MEDIA_LAYER },
		{ "application/vnd.oci.image.layer.v1.tar+zstd", MEDIA_LAYER },
		{ "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", MEDIA_LAYER },
		{ "application/vnd.docker.image.rootfs.diff.tar.gzip", MEDIA_LAYER },
		{ "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", MEDIA_LAYER },
		{ "application/vnd.docker.container.image.v1+json", MEDIA_CONFIG },
		{ "application/vnd.oci.image.layer.v1.tar+xz", MEDIA_UNKNOWN },
		{ "application/vnd.oci.image.layer.v1.tar+gzip+encrypted", MEDIA_UNKNOWN },
		{ "application/json", MEDIA_UNKNOWN },
		{ "", MEDIA_UNKNOWN },
		{ NULL, MEDIA_UNKNOWN },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(media_kind(cases[i].type), cases[i].kind);
}

static void test_manifest_is_read(void **state)
{
	(void)state;
	static const char text[] =
		HEAD TYPE("oci.image.manifest.v1+json") "," CONFIG ",\"layers\":[{" TYPE(
			"oci.image.layer.v1.tar+gzip") "," DIGEST ",\"size\":9223372036854775807,"
						       "\"annotations\":{\"b\":\"2\",\"a\":\"1\"},"
						       "\"urls\":[\"http://x/\"],\"new\":[1]}," TAR
						       "],\"annotations\":{\"k\":\"v\"},"
						       "\"subject\":{}}";
	auto_manifest m = { 0 };
	assert_int_equal(manifest_parse(&m, OCI, text, strlen(text), NULL), 0);
	assert_int_equal(m.layer_count, 2);
	assert_true(m.layers[0].size == INT64_MAX);
	assert_string_equal(m.layers[0].annotations_json, "{\"b\":\"2\",\"a\":\"1\"}");
	assert_null(m.layers[1].annotations_json);
	assert_string_equal(m.annotations_json, "{\"k\":\"v\"}");
	assert_int_equal(m.config.size, 3);
	auto_descriptor copy = { 0 };
	descriptor_copy(&copy, &m.layers[0]);
	auto_free char *a = descriptor_annotation(&copy, "a"),
		       *c = descriptor_annotation(&copy, "c");
	assert_string_equal(a, "1");
	assert_null(c);
}

static void test_manifest_is_accepted(void **state)
{
	(void)state;
	static const struct {
		const char *type, *text;
	} cases[] = {
		{ OCI, HEAD CONFIG ",\"layers\":[]}" },
		{ OCI "; charset=utf-8",
		  HEAD TYPE("oci.image.manifest.v1+json") "," CONFIG ",\"layers\":[" TAR "]}" },
		{ NULL, HEAD CONFIG ",\"layers\":[" TAR "]}" },
		{ NULL, HEAD TYPE("oci.image.manifest.v1+json") "," CONFIG ",\"layers\":[]}" },
		{ OCI, HEAD CONFIG ",\"manifests\":null,\"layers\":[]}" },
		{ DOCKER, HEAD CONFIG
		  ",\"layers\":[" LAYER("docker.image.rootfs.foreign.diff.tar.gzip") "]}" },
		{ DOCKER, HEAD "\"config\":{\"mediaType\":\"application/octet-stream\"," DIGEST
			       ",\"size\":3},\"layers\":[]}" },
		{ OCI, HEAD CONFIG ",\"layers\":[{" TYPE(
			       "oci.image.layer.v1.tar") "," HELLO
							 ",\"size\":5,\"data\":\"aGVsbG8=\"}]}" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct err err = { 0 };
		if (parse(cases[i].type, cases[i].text, &err) < 0)
			fail_msg("case %zu: %s", i, err_text(&err));
	}
}

static void test_manifest_is_refused(void **state)
{
	(void)state;
#define ONE_LAYER(members) HEAD CONFIG ",\"layers\":[{" TYPE("oci.image.layer.v1.tar") members "}]}"
	static const struct {
		const char *type, *text;
		int code;
		const char *says;
	} cases[] = {
		{ OCI, "", EBADMSG, "image manifest" },
		{ OCI, "null", EBADMSG, "null, not an object" },
		{ OCI, "[]", EBADMSG, "not an object" },
		{ OCI, HEAD CONFIG ",\"layers\":[]}{}", EBADMSG, "follows" },
		{ OCI, "{" CONFIG ",\"layers\":[]}", EBADMSG, "'schemaVersion' is not 2" },
		{ OCI, "{\"schemaVersion\":3," CONFIG ",\"layers\":[]}", EBADMSG, "is not 2" },
		{ OCI, "{\"schemaVersion\":\"2\"," CONFIG ",\"layers\":[]}", EBADMSG, "is not 2" },
		{ OCI, "{\"schemaVersion\":2.0e0," CONFIG ",\"layers\":[]}", EBADMSG, "is not 2" },
		{ DOCKER, "{\"schemaVersion\":1,\"fsLayers\":[]}", EOPNOTSUPP, "schema 1" },
		{ "application/vnd.docker.distribution.manifest.v1+prettyjws", "{}", EOPNOTSUPP,
		  "schema 1" },
		{ "text/html", "<html>", EOPNOTSUPP, "'text/html'" },
		{ MEDIA_OCI_INDEX, HEAD CONFIG ",\"layers\":[]}", EBADMSG,
		  "where an image manifest" },
		{ OCI,
		  HEAD TYPE("docker.distribution.manifest.v2+json") "," CONFIG ",\"layers\":[]}",
		  EBADMSG, "calls itself" },
		{ OCI, HEAD TYPE("oci.image.manifest.v1+json-x") "," CONFIG ",\"layers\":[]}",
		  EBADMSG, "calls itself" },
		{ NULL, HEAD TYPE("oci.image.index.v1+json") "," CONFIG ",\"layers\":[]}", EBADMSG,
		  "where an image manifest" },
		{ OCI, HEAD "\"mediaType\":7," CONFIG ",\"layers\":[]}", EBADMSG, "not a string" },
		{ OCI, HEAD CONFIG ",\"layers\":[],\"manifests\":[]}", EBADMSG, "'manifests' and" },
		{ OCI, HEAD CONFIG ",\"LAYERS\":[]}", EBADMSG, "without 'layers'" },
		{ OCI, HEAD CONFIG ",\"layers\":null}", EBADMSG, "without 'layers'" },
		{ OCI, HEAD CONFIG ",\"layers\":[],\"layers\":[]}", EBADMSG, "twice" },
		{ OCI, HEAD CONFIG ",\"layers\":{}}", EBADMSG, "not an array" },
		{ OCI, HEAD CONFIG ",\"layers\":[" TAR ",null]}", EBADMSG, "layer 2" },
		{ OCI, HEAD CONFIG ",\"layers\":[\"x\"]}", EBADMSG, "not an object" },
		{ OCI, HEAD "\"layers\":[]}", EBADMSG, "without 'config'" },
		{ OCI,
		  HEAD "\"config\":{" TYPE("oci.empty.v1+json") "," DIGEST
								",\"size\":2},\"layers\":[]}",
		  EOPNOTSUPP, "an artifact" },
		{ OCI,
		  HEAD "\"config\":{\"mediaType\":\"application/octet-stream\"," DIGEST
		       ",\"size\":2},\"layers\":[]}",
		  EOPNOTSUPP, "an artifact" },
		{ OCI, HEAD CONFIG ",\"layers\":[" LAYER("oci.image.layer.v1.tar+xz") "]}",
		  EOPNOTSUPP, "tar+xz" },
		{ OCI,
		  HEAD CONFIG ",\"layers\":[" LAYER("oci.image.layer.v1.tar+gzip+encrypted") "]}",
		  EOPNOTSUPP, "it is encrypted" },
		{ OCI, HEAD CONFIG ",\"layers\":[{" DIGEST ",\"size\":1}]}", EBADMSG,
		  "without 'mediaType'" },
		{ OCI, ONE_LAYER(",\"size\":1"), EBADMSG, "'digest'" },
		{ OCI, ONE_LAYER(",\"digest\":7,\"size\":1"), EBADMSG, "'digest'" },
		{ OCI, ONE_LAYER(",\"digest\":\"\",\"size\":1"), EBADMSG, "is not a sha256" },
		{ OCI, ONE_LAYER(",\"digest\":\"sha256:" HEX "\\u0000\",\"size\":1"), EBADMSG,
		  "'digest'" },
		{ OCI, ONE_LAYER(",\"digest\":\"sha256:../../x\",\"size\":1"), EBADMSG,
		  "is not a sha256" },
		{ OCI, ONE_LAYER("," DIGEST), EBADMSG, "size of" },
		{ OCI, ONE_LAYER("," DIGEST ",\"size\":-1"), EBADMSG, "'-1'" },
		{ OCI, ONE_LAYER("," DIGEST ",\"size\":\"7\""), EBADMSG, "size of" },
		{ OCI, ONE_LAYER("," DIGEST ",\"size\":1.5"), EBADMSG, "size of" },
		{ OCI, ONE_LAYER("," DIGEST ",\"size\":1e3"), EBADMSG, "size of" },
		{ OCI, ONE_LAYER("," DIGEST ",\"size\":9223372036854775808"), EBADMSG, "size of" },
		{ OCI, ONE_LAYER("," DIGEST ",\"size\":18446744073709551615"), EBADMSG, "size of" },
		{ OCI, ONE_LAYER("," HELLO ",\"size\":5,\"data\":\"aGVsbG9v\""), EBADMSG,
		  "other bytes" },
		{ OCI, ONE_LAYER("," HELLO ",\"size\":5,\"data\":\"aGVsbG4=\""), EBADMSG,
		  "other bytes" },
		{ OCI, ONE_LAYER("," HELLO ",\"size\":6,\"data\":\"aGVsbG8=\""), EBADMSG,
		  "other bytes" },
		{ OCI, ONE_LAYER("," HELLO ",\"size\":5,\"data\":\"****\""), EBADMSG,
		  "not base64" },
		{ OCI, ONE_LAYER("," HELLO ",\"size\":5,\"data\":{}"), EBADMSG, "not base64" },
		{ OCI, ONE_LAYER("," DIGEST ",\"size\":1,\"annotations\":[]"), EBADMSG,
		  "'annotations'" },
		{ OCI, ONE_LAYER("," DIGEST ",\"size\":1,\"platform\":1"), EBADMSG, "'platform'" },
		{ OCI, HEAD CONFIG ",\"layers\":[],\"annotations\":{\"a\":1}}", EBADMSG,
		  "annotation 'a'" },
		{ OCI, HEAD CONFIG ",\"layers\":[],\"annotations\":{\"\\u001b\":null}}", EBADMSG,
		  "annotation '\\x1b'" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct err err = { 0 };
		int r = parse(cases[i].type, cases[i].text, &err);
		if (r != -cases[i].code || !strstr(err_text(&err), cases[i].says))
			fail_msg("%s: %d, %s", cases[i].text, r, err_text(&err));
	}
}

static void test_counts_and_sizes_are_capped(void **state)
{
	(void)state;
	auto_str layers = STR_MAX(1u << 22), entries = STR_MAX(1u << 22);
	struct err err = { 0 };
	str_add(&layers, HEAD CONFIG ",\"layers\":[" TAR);
	for (int i = 0; i < LAYERS_MAX; i++)
		str_add(&layers, "," TAR);
	str_add(&layers, "]}");
	assert_int_equal(parse(OCI, str_text(&layers), &err), -E2BIG);

	str_add(&entries, HEAD "\"manifests\":[" TAR);
	for (int i = 0; i < INDEX_ENTRIES_MAX; i++)
		str_add(&entries, "," TAR);
	str_add(&entries, "]}");
	struct index index;
	assert_int_equal(
		index_parse(&index, MEDIA_OCI_INDEX, str_text(&entries), entries.length, &err),
		-E2BIG);

	auto_free char *blanks = mem_new(MANIFEST_MAX_BYTES + 1);
	memset(blanks, ' ', MANIFEST_MAX_BYTES + 1);
	struct manifest m;
	assert_int_equal(manifest_parse(&m, OCI, blanks, MANIFEST_MAX_BYTES + 1, &err), -E2BIG);
}

/* An entry: its media type's end, its number (in the size) and more members. */
#define ENTRY(type, number, more) "{" TYPE(type) "," DIGEST ",\"size\":" #number more "}"
#define IMAGE(number, os, arch, variant) \
	ENTRY("oci.image.manifest.v1+json", number, PLATFORM(os, arch, variant))
#define PLATFORM(os, arch, variant) \
	",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\"" variant "}"
#define VARIANT(v) ",\"variant\":\"" v "\""
#define BARE(number) ENTRY("oci.image.manifest.v1+json", number, "")
#define NESTED(number) ENTRY("oci.image.index.v1+json", number, "")

/* The size of the entry chosen from ENTRIES for WANTED, or the error. */
static int choose(const char *entries, const char *wanted, struct err *err)
{
	auto_index index = { 0 };
	auto_str text = STR_MAX(1u << 20);
	struct platform platform;
	const struct descriptor *chosen = NULL;
	str_addf(&text, HEAD "\"manifests\":[%s]}", entries);
	assert_int_equal(index_parse(&index, MEDIA_OCI_INDEX, str_text(&text), text.length, err),
			 0);
	assert_int_equal(platform_parse(&platform, wanted, err), 0);
	int r = index_choose(&chosen, &index, &platform, err);
	return r < 0 ? r : (int)chosen->size;
}

static void test_choose_takes_the_best(void **state)
{
	(void)state;
	static const struct {
		const char *entries, *wanted;
		int number;
	} cases[] = {
		{ IMAGE(1, "linux", "arm64", "") "," IMAGE(2, "linux", "amd64", ""), "linux/amd64",
		  2 },
		{ IMAGE(1, "linux", "amd64", "") "," IMAGE(2, "linux", "amd64", ""), "linux/amd64",
		  1 },
		{ IMAGE(1, "linux", "arm", VARIANT("v5")) "," IMAGE(2, "linux", "arm",
								    VARIANT("v7")),
		  "linux/arm/v7", 2 },
		{ IMAGE(1, "linux", "arm", VARIANT("v7")) "," IMAGE(2, "linux", "arm",
								    VARIANT("v5")),
		  "linux/arm/v6", 2 },
		{ IMAGE(1, "unknown", "unknown", "") "," IMAGE(2, "linux", "arm64", VARIANT("v8")),
		  "linux/arm64", 2 },
		{ ENTRY("oci.image.manifest.v1+json", 1,
			PLATFORM("linux", "amd64",
				 "") ",\"artifactType\":\"x\"") "," IMAGE(2, "linux", "amd64", ""),
		  "linux/amd64", 2 },
		{ ENTRY("oci.artifact", 1, PLATFORM("linux", "amd64", "")) "," BARE(2),
		  "linux/amd64", 2 },
		{ BARE(1) "," IMAGE(2, "linux", "amd64", ""), "linux/amd64", 2 },
		{ IMAGE(1, "linux", "arm64", "") "," NESTED(2) "," BARE(3), "linux/s390x", 2 },
		{ ENTRY("oci.image.index.v1+json", 1, PLATFORM("linux", "s390x", "")),
		  "linux/s390x", 1 },
		{ ENTRY("docker.distribution.manifest.v1+json", 1, PLATFORM("linux", "amd64", "")),
		  "linux/amd64", 1 },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct err err = { 0 };
		int number = choose(cases[i].entries, cases[i].wanted, &err);
		if (number != cases[i].number)
			fail_msg("case %zu: %d, %s", i, number, err_text(&err));
	}
}

static void test_choose_lists_what_there_is(void **state)
{
	(void)state;
	static const struct {
		const char *entries, *wanted, *says;
	} cases[] = {
		{ "", "linux/amd64", "the index holds no image" },
		{ IMAGE(1, "unknown", "unknown", ""), "linux/amd64", "the index holds no image" },
		{ IMAGE(1, "linux", "s390x", "") "," IMAGE(2, "plan9", "amd64", "") "," BARE(3),
		  "linux/arm64",
		  "no image for 'linux/arm64'; there are: linux/s390x, plan9/amd64, one without "
		  "platform" },
		{ IMAGE(1, "li\\nn\\u001b[2J", "x", ""), "linux/amd64", "li\\x0an\\x1b[2J/x" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct err err = { 0 };
		assert_int_equal(choose(cases[i].entries, cases[i].wanted, &err), -ENOENT);
		if (!strstr(err_text(&err), cases[i].says))
			fail_msg("case %zu: %s", i, err_text(&err));
	}
	auto_str many = STR_MAX(1u << 20);
	struct err err = { 0 };
	for (int i = 0; i < 30; i++)
		str_addf(&many, "%s" IMAGE(1, "linux", "a%d", ""), i ? "," : "", i);
	assert_int_equal(choose(str_text(&many), "linux/amd64", &err), -ENOENT);
	assert_true(strstr(err_text(&err), "linux/a19, ...") && !strstr(err_text(&err), "a20"));
}

static void test_index_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ HEAD "\"layers\":[]}", "without 'manifests'" },
		{ HEAD "\"manifests\":{}}", "not an array" },
		{ HEAD "\"manifests\":[1]}", "entry 1" },
		{ HEAD CONFIG ",\"manifests\":[]}", "'manifests' and" },
		{ HEAD
		  "\"manifests\":[" IMAGE(1, "0123456789012345678901234567890", "x", "") "," IMAGE(
			  2, "01234567890123456789012345678901", "x", "") "]}",
		  "entry 2 of the index: platform os" },
		{ HEAD "\"manifests\":[" ENTRY("x", 1, ",\"platform\":{\"os\":1}") "]}", "'os'" },
		{ HEAD "\"manifests\":[" ENTRY("x", 1, ",\"artifactType\":1") "]}",
		  "'artifactType'" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct err err = { 0 };
		struct index index;
		int r = index_parse(&index, MEDIA_OCI_INDEX, cases[i].text, strlen(cases[i].text),
				    &err);
		if (r != -EBADMSG || !strstr(err_text(&err), cases[i].says))
			fail_msg("case %zu: %d, %s", i, r, err_text(&err));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_media_kind_knows_the_types),
		cmocka_unit_test(test_manifest_is_read),
		cmocka_unit_test(test_manifest_is_accepted),
		cmocka_unit_test(test_manifest_is_refused),
		cmocka_unit_test(test_counts_and_sizes_are_capped),
		cmocka_unit_test(test_choose_takes_the_best),
		cmocka_unit_test(test_choose_lists_what_there_is),
		cmocka_unit_test(test_index_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
