/* Bundles between layouts on disk: what is read, changed and written, and what bad bytes leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "image-build.h"
#include "image/bundle.h"
#include "image/bundle-internal.h"

static const char *const TWO[] = { "layer one", "layer two", NULL };

/* A layout of one image in an index, opened, and its index as a bundle. */
struct scene {
	struct place *place; /* borrowed */
	char *manifest;	     /* owned: bytes */
	struct repo *repo;   /* owned */
	struct bundle *bundle;
};

static void scene_release(struct scene *scene)
{
	bundle_free(scene->bundle);
	repo_free(scene->repo);
	free(scene->manifest);
}
#define auto_scene __attribute__((cleanup(scene_release))) struct scene

static int open_layout(struct repo **out, const char *path)
{
	auto_ref ref = { .kind = REF_OCI, .path = mem_strdup(path) };
	return repo_open(out, &ref, &(const struct repo_options){ 0 }, NULL);
}

static void scene_make(struct scene *scene, struct place *place)
{
	auto_files files = { .count = 0 };
	scene->place = place;
	scene->manifest = files_add_image(&files, TWO);
	auto_str more = STR_MAX(1000);
	str_addf(&more, ",\"annotations\":{\"about\":\"%s\",\"keep\":\"me\"}",
		 digest_text_of(scene->manifest).text);
	auto_free char *entry = describe(MEDIA_OCI_MANIFEST, scene->manifest, str_text(&more));
	auto_free char *inner = make_index((const char *const[]){ entry, NULL });
	auto_free char *top = describe(MEDIA_OCI_INDEX, inner, "");
	auto_free char *index = make_index((const char *const[]){ top, NULL });
	files_add_blob(&files, inner);
	files_add_layout(&files, index);
	files_write(&files, place->fd);
	assert_int_equal(open_layout(&scene->repo, place->path), 0);
	auto_ref ref = { .kind = REF_OCI };
	auto_document document = { 0 };
	assert_int_equal(repo_resolve(scene->repo, &ref, &document, NULL), 0);
	assert_int_equal(bundle_read(&scene->bundle, scene->repo, &document, NULL), 0);
}

static char *target_path(const struct place *place)
{
	auto_str path = STR_MAX(100);
	str_addf(&path, "%s/target", place->path);
	return str_take(&path);
}

static int send(struct scene *scene, const char *const *tags, size_t count,
		struct bundle_result *result, struct err *err)
{
	AUTO(sink) sink = NULL;
	auto_ref ref = { .kind = REF_OCI, .path = target_path(scene->place) };
	assert_int_equal(sink_open(&sink, &ref, &(const struct sink_options){ 0 }, NULL), 0);
	const struct bundle_options options = { .tags = tags, .tag_count = count };
	return bundle_send(scene->bundle, sink, &options, result, err);
}

static void test_what_is_written_is_what_was_read(void **state)
{
	auto_scene scene = { 0 };
	struct bundle_result result;
	scene_make(&scene, *state);
	assert_int_equal(send(&scene, (const char *const[]){ "a", "b" }, 2, &result, NULL), 0);
	assert_int_equal(result.sent, 3); /* config and two layers */
	assert_int_equal(send(&scene, (const char *const[]){ "b" }, 1, &result, NULL), 0);
	assert_int_equal(result.sent, 0);
	assert_int_equal(result.there, 3);

	auto_free char *path = target_path(scene.place);
	AUTO(repo) repo = NULL;
	assert_int_equal(open_layout(&repo, path), 0);
	for (const char *tag = "a"; tag; tag = *tag == 'a' ? "b" : NULL) {
		auto_ref ref = { .kind = REF_OCI, .tag = mem_strdup(tag) };
		auto_document document = { 0 };
		AUTO(bundle) again = NULL;
		assert_int_equal(repo_resolve(repo, &ref, &document, NULL), 0);
		assert_true(digest_equal(&document.descriptor.digest,
					 &bundle_top(scene.bundle)->descriptor.digest));
		assert_int_equal(bundle_read(&again, repo, &document, NULL), 0);
	}
}

static void test_bad_bytes_leave_no_name(void **state)
{
	auto_scene scene = { 0 };
	struct bundle_result result;
	scene_make(&scene, *state);
	auto_free char *path = blob_path("layer two");
	auto_close int fd = openat(scene.place->fd, path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(io_write_all(fd, "LAYER two", 9, NULL), 0);
	assert_int_equal(send(&scene, (const char *const[]){ "a" }, 1, &result, NULL), -EBADMSG);
	auto_str there = STR_MAX(300);
	str_addf(&there, "target/%s", path);
	assert_int_equal(faccessat(scene.place->fd, str_text(&there), F_OK, 0), -1);
	assert_int_equal(faccessat(scene.place->fd, "target/index.json", F_OK, 0), -1);
}

static void test_compressing_changes_all_that_names_a_layer(void **state)
{
	auto_scene scene = { 0 };
	struct bundle_result result;
	scene_make(&scene, *state);
	assert_int_equal(bundle_compress(scene.bundle, CODEC_ZSTD, NULL, NULL), 0);
	assert_int_equal(send(&scene, (const char *const[]){ "a" }, 1, &result, NULL), 0);
	const struct document *manifest = &scene.bundle->nodes[0].document;
	const struct document *top = bundle_top(scene.bundle);
	assert_non_null(strstr(manifest->bytes, "tar+zstd"));
	assert_null(strstr(manifest->bytes, digest_text_of("layer one").text));
	/* the index names the new manifest, also where an annotation does, and keeps the rest */
	assert_null(strstr(top->bytes, digest_text_of(scene.manifest).text));
	const char *first = strstr(top->bytes, digest_show(&manifest->descriptor.digest));
	assert_non_null(first);
	assert_non_null(strstr(first + 1, digest_show(&manifest->descriptor.digest)));
	assert_non_null(strstr(top->bytes, "\"keep\":\"me\""));
	/* it is all there, under the new digests, and a second time nothing changes */
	struct digest before = top->descriptor.digest;
	assert_int_equal(bundle_compress(scene.bundle, CODEC_ZSTD, NULL, NULL), 0);
	assert_true(digest_equal(&before, &bundle_top(scene.bundle)->descriptor.digest));
}

static void test_annotations_go_over_those_there(void **state)
{
	(void)state;
	static const struct {
		const char *bytes, *annotations, *want;
	} cases[] = {
		{ "{\"a\":1,\"manifests\":[]}", "{\"k\":\"v\"}",
		  "{\"a\":1,\"manifests\":[],\"annotations\":{\"k\":\"v\"}}" },
		{ "{\"annotations\":{\"k\":\"old\",\"l\":\"m\"},\"manifests\":[]}", "{\"k\":\"v\"}",
		  "{\"annotations\":{\"l\":\"m\",\"k\":\"v\"},\"manifests\":[]}" },
		{ "{\"annotations\":null,\"manifests\":[]}", "{\"k\":\"v\"}",
		  "{\"annotations\":{\"k\":\"v\"},\"manifests\":[]}" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_document document = { .bytes = mem_strdup(cases[i].bytes),
					   .size = strlen(cases[i].bytes) };
		document.descriptor.media_type = mem_strdup(MEDIA_OCI_INDEX);
		const struct bundle_edit edit = { .annotations = cases[i].annotations };
		assert_int_equal(bundle_edit_document(&document, &edit, NULL), 0);
		assert_string_equal(document.bytes, cases[i].want);
		assert_string_equal(digest_show(&document.descriptor.digest),
				    digest_text_of(cases[i].want).text);
	}
}

static void test_a_manifest_that_is_not_there_is_named(void **state)
{
	auto_scene scene = { 0 };
	scene_make(&scene, *state);
	auto_free char *path = blob_path(scene.manifest);
	assert_int_equal(unlinkat(scene.place->fd, path, 0), 0);
	AUTO(bundle) bundle = NULL;
	struct err err = { 0 };
	assert_int_equal(bundle_read(&bundle, scene.repo, bundle_top(scene.bundle), &err), -ENOENT);
	assert_non_null(strstr(err_text(&err), digest_text_of(scene.manifest).text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_written_is_what_was_read, place_make,
						place_remove),
		cmocka_unit_test_setup_teardown(test_bad_bytes_leave_no_name, place_make,
						place_remove),
		cmocka_unit_test_setup_teardown(test_compressing_changes_all_that_names_a_layer,
						place_make, place_remove),
		cmocka_unit_test(test_annotations_go_over_those_there),
		cmocka_unit_test_setup_teardown(test_a_manifest_that_is_not_there_is_named,
						place_make, place_remove),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
