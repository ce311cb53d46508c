/* Images in tar archives: oci-archive, and docker-archive in every form that is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "gzip-build.h"
#include "image-build.h"
#include "oci/config.h"
#include "oci/repo.h"

static const char *const ONE[] = { "layer one", NULL };
static const char *const TWO[] = { "layer one", "layer two", NULL };

/* TAR as the file "a.tar" in the place, opened as KIND. */
static int open_tar(struct repo **out, const struct place *place, enum ref_kind kind,
		    const void *tar, size_t size, struct err *err)
{
	auto_str path = STR_MAX(256);
	str_addf(&path, "%s/a.tar", place->path);
	auto_ref ref = { .kind = kind, .path = mem_strdup(str_text(&path)) };
	assert_int_equal(io_write_file(place->fd, "a.tar", tar, size, 0600, NULL), 0);
	return repo_open(out, &ref, &(const struct repo_options){ 0 }, err);
}

static int open_str(struct repo **out, const struct place *place, enum ref_kind kind,
		    struct str *tar, struct err *err)
{
	add_end(tar);
	return open_tar(out, place, kind, str_text(tar), tar->length, err);
}

static int resolve(struct repo *repo, const char *name, struct document *out, struct err *err)
{
	auto_ref ref = { .kind = REF_DOCKER_ARCHIVE, .tag = mem_strdup(name) };
	return repo_resolve(repo, &ref, out, err);
}

static char *read_blob(struct repo *repo, const struct descriptor *d, struct err *err)
{
	AUTO(stream) stream = NULL;
	char *text = NULL;
	size_t size = 0;
	if (repo_blob(repo, d, 0, &stream, err) < 0 ||
	    stream_read_all(stream, 1u << 20, &text, &size, err) < 0)
		return NULL;
	return text;
}

/* Every part of a blob of few bytes, as a stream and at an offset. */
static void assert_parts(struct repo *repo, const struct descriptor *d, const char *expected)
{
	AUTO(input) input = repo_input(repo, d);
	AUTO(stream) none = NULL;
	assert_int_equal(input->size, d->size);
	for (uint64_t from = 0; from < d->size; from++) {
		for (uint64_t n = 1; n <= d->size - from; n++) {
			AUTO(stream) stream = NULL;
			auto_free char *text = NULL, *read = mem_new(n);
			size_t size = 0;
			assert_int_equal(repo_range(repo, d, from, n, 0, &stream, NULL), 0);
			assert_int_equal(stream_read_all(stream, n, &text, &size, NULL), 0);
			assert_int_equal(size, n);
			assert_memory_equal(text, expected + from, n);
			assert_int_equal(input_read(input, read, n, from, NULL), 0);
			assert_memory_equal(read, expected + from, n);
		}
	}
	assert_int_equal(repo_range(repo, d, d->size, 1, 0, &none, NULL), -EBADMSG);
	assert_int_equal(repo_range(repo, d, 1, d->size, 0, &none, NULL), -EBADMSG);
}

/* What REPO says the image NAME is: the layers' bytes, each read through its descriptor. */
static void assert_image(struct repo *repo, const char *name, const char *const *layers)
{
	auto_document document = { 0 }, again = { 0 };
	auto_manifest manifest = { 0 };
	auto_config config = { 0 };
	auto_free char *bytes = NULL;
	struct err err = { 0 };
	size_t size = 0;
	if (resolve(repo, name, &document, &err) < 0)
		fail_msg("%s: %s", name, err_text(&err));
	assert_string_equal(digest_show(&document.descriptor.digest),
			    digest_text_of(document.bytes).text);
	assert_int_equal(repo_manifest(repo, &document.descriptor, &again, NULL), 0);
	assert_string_equal(again.bytes, document.bytes);
	assert_int_equal(manifest_parse(&manifest, document.descriptor.media_type, document.bytes,
					document.size, NULL),
			 0);
	assert_int_equal(
		repo_blob_bytes(repo, &manifest.config, CONFIG_MAX_BYTES, &bytes, &size, NULL), 0);
	assert_int_equal(config_parse(&config, bytes, size, NULL), 0);
	assert_int_equal(config.diff_id_count, manifest.layer_count);
	for (size_t i = 0; i < manifest.layer_count; i++) {
		auto_free char *layer = read_blob(repo, &manifest.layers[i], &err);
		if (!layer)
			fail_msg("%s: layer %zu: %s", name, i, err_text(&err));
		assert_string_equal(layer, layers[i]);
		assert_string_equal(digest_show(&manifest.layers[i].digest),
				    digest_text_of(layer).text);
		assert_int_equal(manifest.layers[i].size, strlen(layer));
		assert_parts(repo, &manifest.layers[i], layer);
	}
	assert_null(layers[manifest.layer_count]);
}

/* --- oci-archive --- */

static void add_link(struct str *tar, char type, const char *name, const char *target)
{
	add_raw(tar, &(const struct raw){ .name = name, .link = target, .type = type });
}

static void add_oci_image(struct files *files, const char *const *layers)
{
	auto_free char *manifest = files_add_image(files, layers);
	auto_free char *entry = describe(MEDIA_OCI_MANIFEST, manifest, "");
	auto_free char *index = make_index((const char *const[]){ entry, NULL });
	files_add_layout(files, index);
}

static void test_oci_archive_is_read(void **state)
{
	AUTO(repo) repo = NULL;
	auto_files files = { .count = 0 };
	auto_str tar = STR_MAX(1u << 20);
	add_oci_image(&files, TWO);
	files_tar(&files, &tar);
	assert_int_equal(open_str(&repo, *state, REF_OCI_ARCHIVE, &tar, NULL), 0);
	assert_image(repo, NULL, TWO);
}

static void test_the_last_of_two_members_counts(void **state)
{
	AUTO(repo) repo = NULL;
	auto_files files = { .count = 0 }, before = { .count = 0 };
	auto_str tar = STR_MAX(1u << 20);
	files_add(&before, "index.json", "not this");
	add_link(&tar, '2', "./oci-layout", "/etc/passwd");
	files_tar(&before, &tar);
	add_oci_image(&files, TWO);
	files_tar(&files, &tar);
	assert_int_equal(open_str(&repo, *state, REF_OCI_ARCHIVE, &tar, NULL), 0);
	assert_image(repo, NULL, TWO);
}

static void test_names_are_cleaned_and_links_followed_inside(void **state)
{
	AUTO(repo) repo = NULL;
	auto_files files = { .count = 0 };
	auto_str tar = STR_MAX(1u << 20);
	add_oci_image(&files, ONE);
	for (size_t i = 0; i < files.count; i++) {
		auto_str name = STR_MAX(256), link = STR_MAX(256);
		str_addf(&name, i % 2 ? "./x//%zu" : "/x/y/../%zu", i);
		add_file(&tar, str_text(&name), files.data[i]);
		bool symbolic = i % 2;
		bool deep = strchr(files.names[i], '/');
		str_addf(&link, "%sx/%zu", symbolic && deep ? "../.././" : "", i);
		add_link(&tar, symbolic ? '2' : '1', files.names[i], str_text(&link));
	}
	assert_int_equal(open_str(&repo, *state, REF_OCI_ARCHIVE, &tar, NULL), 0);
	assert_image(repo, NULL, ONE);
}

static void test_links_lead_nowhere_else(void **state)
{
	static const char *const targets[] = { "/etc/passwd", "../../../etc/passwd",
					       "..",	      "oci-layout",
					       "nowhere",     "loop" };
	for (size_t i = 0; i < N_ELEMENTS(targets); i++) {
		AUTO(repo) repo = NULL;
		auto_str tar = STR_MAX(1u << 20);
		struct err err = { 0 };
		add_link(&tar, '2', "oci-layout", targets[i]);
		add_link(&tar, '2', "loop", "pool");
		add_link(&tar, '1', "pool", "loop");
		int r = open_str(&repo, *state, REF_OCI_ARCHIVE, &tar, &err);
		if (r != -ENOENT && r != -EBADMSG)
			fail_msg("%s: %d, %s", targets[i], r, err_text(&err));
	}
}

static void test_compressed_archives_are_decoded_once(void **state)
{
	struct place *place = *state;
	auto_files files = { .count = 0 };
	auto_str tar = STR_MAX(1u << 20);
	add_oci_image(&files, TWO);
	files_tar(&files, &tar);
	add_end(&tar);
	const struct bytes plain = { .data = (uint8_t *)tar.data, .size = tar.length };
	auto_bytes gzip = { .data = NULL };
	add_member(&gzip, &plain, &(const struct member){ .level = 6 });
	AUTO(repo) repo = NULL;
	AUTO(repo) cut = NULL;
	assert_int_equal(setenv("TMPDIR", place->path, 1), 0);
	assert_int_equal(open_tar(&repo, place, REF_OCI_ARCHIVE, gzip.data, gzip.size, NULL), 0);
	assert_image(repo, NULL, TWO);

	struct err err = { 0 };
	assert_int_equal(open_tar(&cut, place, REF_OCI_ARCHIVE, gzip.data, gzip.size - 20, &err),
			 -EBADMSG);
	assert_int_equal(setenv("TMPDIR", "/nowhere", 1), 0);
	assert_int_equal(open_tar(&cut, place, REF_OCI_ARCHIVE, gzip.data, gzip.size, &err),
			 -ENOENT);
	assert_non_null(strstr(err_text(&err), "'/nowhere'"));
	assert_int_equal(unsetenv("TMPDIR"), 0);
	/* only the archive is there */
	assert_int_equal(unlinkat(place->fd, "a.tar", 0), 0);
	assert_int_equal(unlinkat(AT_FDCWD, place->path, AT_REMOVEDIR), 0);
	assert_int_equal(mkdir(place->path, 0700), 0);
}

static void test_archives_that_are_none_are_refused(void **state)
{
	static const enum ref_kind kinds[] = { REF_OCI_ARCHIVE, REF_DOCKER_ARCHIVE };
	for (size_t i = 0; i < N_ELEMENTS(kinds); i++) {
		AUTO(repo) repo = NULL;
		char noise[1536];
		memset(noise, 'n', sizeof(noise));
		assert_int_equal(open_tar(&repo, *state, kinds[i], noise, sizeof(noise), NULL),
				 -EBADMSG);
		auto_str tar = STR_MAX(1u << 20);
		add_file(&tar, "x", "y");
		int r = open_str(&repo, *state, kinds[i], &tar, NULL);
		assert_int_equal(r, kinds[i] == REF_OCI_ARCHIVE ? -ENOENT : -EOPNOTSUPP);
		auto_ref ref = { .kind = kinds[i], .path = mem_strdup("/dev/null") };
		assert_int_equal(repo_open(&repo, &ref, &(const struct repo_options){ 0 }, NULL),
				 -EINVAL);
	}
}

static void test_the_other_kind_is_suggested(void **state)
{
	AUTO(repo) repo = NULL;
	auto_str tar = STR_MAX(1u << 20);
	struct err err = { 0 };
	add_file(&tar, "manifest.json", "[]");
	assert_int_equal(open_str(&repo, *state, REF_OCI_ARCHIVE, &tar, &err), -ENOENT);
	assert_non_null(strstr(err_text(&err), "docker-archive:FILE"));
}

/* --- docker-archive, without an OCI layout --- */

/* One element of manifest.json. */
static char *make_entry(const char *config, const char *tags, const char *const *layers)
{
	auto_str text = STR_MAX(1u << 16);
	str_addf(&text, "{\"Config\":\"%s\",\"RepoTags\":%s,\"Layers\":[", config, tags);
	for (size_t i = 0; layers[i]; i++)
		str_addf(&text, "%s\"%s\"", i ? "," : "", layers[i]);
	str_add(&text, "]}");
	return str_take(&text);
}

/* "HEX.json" of a config. */
static char *config_name(const char *config)
{
	auto_str name = STR_MAX(256);
	str_addf(&name, "%s.json", digest_text_of(config).text + strlen("sha256:"));
	return str_take(&name);
}

/* As podman writes it: files by digest, ID/layer.tar linked to one of them. */
static void add_podman_images(struct str *tar)
{
	auto_free char *one = make_config(ONE), *two = make_config(TWO);
	auto_free char *one_name = config_name(one), *two_name = config_name(two);
	auto_free char *first = make_entry(one_name, "[\"docker.io/library/busybox:1\",\"x/y:z\"]",
					   (const char *const[]){ "id/layer.tar", NULL });
	auto_free char *second = make_entry(two_name, "[\"localhost/two:2\"]",
					    (const char *const[]){ "l1.tar", "l2.tar", NULL });
	auto_free char *third = make_entry(two_name, "null",
					   (const char *const[]){ "l1.tar", "l2.tar", NULL });
	auto_str list = STR_MAX(1u << 16);
	str_addf(&list, "[%s,%s,%s]", first, second, third);
	add_file(tar, "l1.tar", TWO[0]);
	add_link(tar, '2', "id/layer.tar", "../l1.tar");
	add_file(tar, "l2.tar", TWO[1]);
	add_file(tar, one_name, one);
	add_file(tar, two_name, two);
	add_file(tar, "manifest.json", str_text(&list));
	add_file(tar, "repositories", "{}");
}

static void test_docker_archive_chooses_by_name(void **state)
{
	static const struct {
		const char *name;
		const char *const *layers;
		int code;
		const char *says;
	} cases[] = {
		{ "busybox:1", ONE, 0, NULL },
		{ "docker.io/library/busybox:1", ONE, 0, NULL },
		{ "x/y:z", ONE, 0, NULL },
		{ "localhost/two:2", TWO, 0, NULL },
		{ "two:2", NULL, ENOENT,
		  "holds no 'two:2'; there are: 'docker.io/library/busybox:1', 'x/y:z', "
		  "'localhost/two:2'" },
		{ "quay.io/x/y:z", NULL, ENOENT, "holds no 'quay.io/x/y:z'" },
		{ "busybox", NULL, ENOENT, "holds no 'busybox'" },
		{ "Busybox", NULL, EINVAL, "lower case" },
		{ NULL, NULL, EINVAL, "3 images, choose one by 'FILE:NAME:TAG': 'docker.io/" },
	};
	AUTO(repo) repo = NULL;
	auto_str tar = STR_MAX(1u << 20);
	add_podman_images(&tar);
	assert_int_equal(open_str(&repo, *state, REF_DOCKER_ARCHIVE, &tar, NULL), 0);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_document document = { 0 };
		struct err err = { 0 };
		if (cases[i].code == 0) {
			assert_image(repo, cases[i].name, cases[i].layers);
			continue;
		}
		int r = resolve(repo, cases[i].name, &document, &err);
		if (r != -cases[i].code || !strstr(err_text(&err), cases[i].says))
			fail_msg("%s: %d, %s", cases[i].name, r, err_text(&err));
	}
}

/* The archive of one image with that config (NAME in it) and one layer. */
static int open_one(struct repo **out, const struct place *place, const char *name,
		    const char *config, const char *layer, struct err *err)
{
	auto_str tar = STR_MAX(1u << 20), list = STR_MAX(1u << 16);
	auto_free char *entry = make_entry(name, "null",
					   (const char *const[]){ "layer.tar", NULL });
	str_addf(&list, "[%s]", entry);
	add_file(&tar, name, config);
	add_file(&tar, "manifest.json", str_text(&list));
	if (layer)
		add_file(&tar, "layer.tar", layer);
	return open_str(out, place, REF_DOCKER_ARCHIVE, &tar, err);
}

static void test_docker_archive_finds_its_own_manifest(void **state)
{
	AUTO(repo) repo = NULL;
	auto_document document = { 0 };
	auto_free char *config = make_config(ONE);
	assert_int_equal(open_one(&repo, *state, "c.json", config, ONE[0], NULL), 0);
	assert_image(repo, NULL, ONE);
	assert_int_equal(resolve(repo, NULL, &document, NULL), 0);
	/* the same bytes whenever and wherever: tools compare the digest */
	auto_str expected = STR_MAX(4096);
	auto_free char *c = describe(CONFIG_TYPE, config, ""),
		       *l = describe(LAYER_TYPE, ONE[0], "");
	str_addf(&expected,
		 "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST
		 "\",\"config\":%s,\"layers\":[%s]}",
		 c, l);
	assert_string_equal(document.bytes, str_text(&expected));
	struct descriptor unknown = document.descriptor;
	unknown.digest.bytes[0] ^= 1;
	struct document none;
	AUTO(stream) stream = NULL;
	assert_int_equal(repo_manifest(repo, &unknown, &none, NULL), -ENOENT);
	assert_int_equal(repo_blob(repo, &unknown, 0, &stream, NULL), -ENOENT);
}

static void test_docker_archive_hashes_compressed_layers(void **state)
{
	AUTO(repo) repo = NULL;
	auto_document document = { 0 };
	auto_manifest manifest = { 0 };
	auto_free char *config = make_config(ONE);
	/* gzip's magic, and no NUL for the text helpers; nothing decodes it here */
	static const char layer[] = "\x1f\x8b\x08\x01 compressed";
	assert_int_equal(open_one(&repo, *state, "c.json", config, layer, NULL), 0);
	assert_int_equal(resolve(repo, NULL, &document, NULL), 0);
	assert_int_equal(manifest_parse(&manifest, NULL, document.bytes, document.size, NULL), 0);
	assert_string_equal(manifest.layers[0].media_type, LAYER_TYPE "+gzip");
	assert_string_equal(digest_show(&manifest.layers[0].digest), digest_text_of(layer).text);
	auto_free char *read = read_blob(repo, &manifest.layers[0], NULL);
	assert_string_equal(read, layer);
}

static void test_docker_archive_refuses(void **state)
{
	auto_free char *config = make_config(ONE), *two = make_config(TWO);
	auto_free char *right = config_name(config);
	const struct {
		const char *name, *config, *layer;
		int code;
		const char *says;
	} cases[] = {
		{ right, config, ONE[0], 0, "" },
		{ right, two, ONE[0], EBADMSG, "has the digest" },
		{ "c.json", two, ONE[0], EBADMSG, "1 layers, the config 2" },
		{ "c.json", "{}", ONE[0], EBADMSG, "diff_ids" },
		{ "c.json", config, NULL, ENOENT, "no 'layer.tar'" },
		{ "../c.json", config, ONE[0], ENOENT, "no '../c.json'" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(repo) repo = NULL;
		auto_document document = { 0 };
		struct err err = { 0 };
		assert_int_equal(open_one(&repo, *state, cases[i].name, cases[i].config,
					  cases[i].layer, NULL),
				 0);
		int r = resolve(repo, NULL, &document, &err);
		if (r != -cases[i].code || !strstr(err_text(&err), cases[i].says))
			fail_msg("case %zu: %d, %s", i, r, err_text(&err));
	}
}

static void test_docker_archive_refuses_a_bad_list(void **state)
{
	static const char *const lists[] = { "{}",
					     "[1]",
					     "[{}]",
					     "[{\"Config\":1}]",
					     "[{\"Config\":\"c\",\"Layers\":{}}]",
					     "[{\"Config\":\"c\",\"Layers\":[1]}]",
					     "[{\"Config\":\"c\",\"RepoTags\":[null]}]",
					     "[{\"Config\":\"c\",\"RepoTags\":\"x\"}]",
					     "[" };
	for (size_t i = 0; i < N_ELEMENTS(lists); i++) {
		AUTO(repo) repo = NULL;
		auto_str tar = STR_MAX(1u << 20);
		add_file(&tar, "manifest.json", lists[i]);
		if (open_str(&repo, *state, REF_DOCKER_ARCHIVE, &tar, NULL) != -EBADMSG)
			fail_msg("%s was taken", lists[i]);
	}
	AUTO(repo) repo = NULL;
	auto_str tar = STR_MAX(1u << 20);
	struct document document;
	add_file(&tar, "manifest.json", "[]");
	assert_int_equal(open_str(&repo, *state, REF_DOCKER_ARCHIVE, &tar, NULL), 0);
	assert_int_equal(resolve(repo, NULL, &document, NULL), -ENOENT);
}

/* --- docker-archive that is an OCI layout too --- */

/* TWO behind an index that also names an image for s390x; WHOLE: whose manifest is there too. */
static char *add_docker25(struct files *files, bool whole)
{
	auto_free char *manifest = files_add_image(files, TWO);
	auto_free char *other = make_manifest("{}", (const char *const[]){ NULL });
	auto_free char *mine = describe(
		MEDIA_OCI_MANIFEST, manifest,
		",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}");
	auto_free char *theirs = describe(
		MEDIA_OCI_MANIFEST, other,
		",\"platform\":{\"os\":\"linux\",\"architecture\":\"s390x\"}");
	auto_free char *attestation = describe(
		MEDIA_OCI_MANIFEST, "gone",
		",\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}");
	char *platforms = make_index((const char *const[]){ attestation, theirs, mine, NULL });
	auto_free char *top = describe(MEDIA_OCI_INDEX, platforms, "");
	auto_free char *index = make_index((const char *const[]){ top, NULL });
	if (whole)
		files_add_blob(files, other);
	files_add_blob(files, platforms);
	files_add_layout(files, index);
	return platforms;
}

static void add_docker25_list(struct files *files)
{
	auto_free char *config = make_config(TWO), *path = blob_path(config);
	auto_free char *l1 = blob_path(TWO[0]), *l2 = blob_path(TWO[1]);
	auto_free char *entry = make_entry(path, "[\"two:2\"]",
					   (const char *const[]){ l1, l2, NULL });
	auto_str list = STR_MAX(1u << 16);
	str_addf(&list, "[%s]", entry);
	files_add(files, "manifest.json", str_text(&list));
}

static void test_docker_archive_uses_the_layout_inside(void **state)
{
	for (int whole = 0; whole <= 1; whole++) {
		AUTO(repo) repo = NULL;
		auto_files files = { .count = 0 };
		auto_str tar = STR_MAX(1u << 20);
		auto_document document = { 0 };
		auto_free char *platforms = add_docker25(&files, whole);
		add_docker25_list(&files);
		files_tar(&files, &tar);
		assert_int_equal(open_str(&repo, *state, REF_DOCKER_ARCHIVE, &tar, NULL), 0);
		assert_int_equal(resolve(repo, "two:2", &document, NULL), 0);
		auto_free char *config = make_config(TWO), *manifest = make_manifest(config, TWO);
		assert_string_equal(document.bytes, whole ? platforms : manifest);
		assert_string_equal(document.descriptor.media_type,
				    whole ? MEDIA_OCI_INDEX : MEDIA_OCI_MANIFEST);
		if (!whole)
			assert_image(repo, NULL, TWO);
	}
}

static void test_docker_archive_goes_without_a_layout_for_the_image(void **state)
{
	AUTO(repo) repo = NULL;
	auto_files files = { .count = 0 };
	auto_str tar = STR_MAX(1u << 20);
	auto_free char *empty = make_index((const char *const[]){ NULL });
	free(files_add_image(&files, TWO));
	add_docker25_list(&files);
	files_add_layout(&files, empty);
	files_tar(&files, &tar);
	assert_int_equal(open_str(&repo, *state, REF_DOCKER_ARCHIVE, &tar, NULL), 0);
	assert_image(repo, NULL, TWO);
}

static void test_docker_archive_may_be_a_layout_only(void **state)
{
	AUTO(repo) repo = NULL;
	auto_files files = { .count = 0 };
	auto_str tar = STR_MAX(1u << 20);
	add_oci_image(&files, TWO);
	files_tar(&files, &tar);
	assert_int_equal(open_str(&repo, *state, REF_DOCKER_ARCHIVE, &tar, NULL), 0);
	assert_image(repo, NULL, TWO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_oci_archive_is_read),
		TEST(test_the_last_of_two_members_counts),
		TEST(test_names_are_cleaned_and_links_followed_inside),
		TEST(test_links_lead_nowhere_else),
		TEST(test_compressed_archives_are_decoded_once),
		TEST(test_archives_that_are_none_are_refused),
		TEST(test_the_other_kind_is_suggested),
		TEST(test_docker_archive_chooses_by_name),
		TEST(test_docker_archive_finds_its_own_manifest),
		TEST(test_docker_archive_hashes_compressed_layers),
		TEST(test_docker_archive_refuses),
		TEST(test_docker_archive_refuses_a_bad_list),
		TEST(test_docker_archive_uses_the_layout_inside),
		TEST(test_docker_archive_goes_without_a_layout_for_the_image),
		TEST(test_docker_archive_may_be_a_layout_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
