/* Opening an image of a layout on disk: down the indexes, and what must fit together. */
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
#include "image/image.h"

#define TEXT_MAX_BYTES 8192
#define CONFIG_TYPE "application/vnd.oci.image.config.v1+json"
#define LAYER_TYPE "application/vnd.oci.image.layer.v1.tar+gzip"
#define SOME_DIGEST "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* --- a layout --- */

struct layout {
	char path[64];
	int fd, blobs;
};

struct text {
	char text[512];
};

static int set_up(void **state)
{
	struct layout *l = mem_new(sizeof(*l));
	(void)snprintf(l->path, sizeof(l->path), "%s", "/tmp/rootlet-image-XXXXXX");
	if (!mkdtemp(l->path))
		return -1;
	l->fd = open(l->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)mkdirat(l->fd, "blobs", 0755);
	(void)mkdirat(l->fd, "blobs/sha256", 0755);
	l->blobs = openat(l->fd, "blobs/sha256", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = l;
	static const char version[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	return io_write_file(l->fd, "oci-layout", version, strlen(version), 0644, NULL);
}

static int tear_down(void **state)
{
	struct layout *l = *state;
	(void)close(l->fd);
	(void)close(l->blobs);
	auto_close int parent = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = io_remove_tree(parent, strrchr(l->path, '/') + 1, NULL);
	free(l);
	return r;
}

/* A descriptor of TEXT, which becomes a blob.  MORE: further members, ",...". */
static struct text blob(const struct layout *l, const char *type, const char *text,
			const char *more)
{
	struct digest digest;
	struct text out;
	digest_of(&digest, DIGEST_SHA256, text, strlen(text));
	assert_int_equal(
		io_write_file(l->blobs, digest_hex(&digest).text, text, strlen(text), 0644, NULL),
		0);
	(void)snprintf(out.text, sizeof(out.text),
		       "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu%s}", type,
		       digest_show(&digest), strlen(text), more);
	return out;
}

static struct text config(const struct layout *l, int diff_ids)
{
	auto_str text = STR_MAX(TEXT_MAX_BYTES);
	str_add(&text, "{\"architecture\":\"s390x\",\"os\":\"linux\",\"config\":{\"User\":\"u\"},"
		       "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
	for (int i = 0; i < diff_ids; i++)
		str_addf(&text, "%s\"%s\"", i ? "," : "", SOME_DIGEST);
	str_add(&text, "]}}");
	return blob(l, CONFIG_TYPE, str_text(&text), "");
}

static struct text manifest(const struct layout *l, int layers, int diff_ids, const char *more)
{
	auto_str text = STR_MAX(TEXT_MAX_BYTES);
	str_addf(&text, "{\"schemaVersion\":2,\"config\":%s,\"layers\":[",
		 config(l, diff_ids).text);
	for (int i = 0; i < layers; i++)
		str_addf(&text, "%s%s", i ? "," : "", blob(l, LAYER_TYPE, "layer", "").text);
	str_add(&text, "]}");
	return blob(l, MEDIA_OCI_MANIFEST, str_text(&text), more);
}

static struct text index_of(const struct layout *l, const char *entries)
{
	auto_str text = STR_MAX(TEXT_MAX_BYTES);
	str_addf(&text, "{\"schemaVersion\":2,\"manifests\":[%s]}", entries);
	return blob(l, MEDIA_OCI_INDEX, str_text(&text), "");
}

static void name_it(const struct layout *l, struct text top)
{
	auto_str text = STR_MAX(TEXT_MAX_BYTES);
	str_addf(&text, "{\"schemaVersion\":2,\"manifests\":[%s]}", top.text);
	assert_int_equal(
		io_write_file(l->fd, "index.json", str_text(&text), text.length, 0644, NULL), 0);
}

#define PLATFORM(arch) ",\"platform\":{\"os\":\"linux\",\"architecture\":\"" arch "\"}"

static int open_image(struct image **out, const struct layout *l, unsigned flags, struct err *err)
{
	struct platform platform;
	assert_int_equal(platform_parse(&platform, "linux/s390x", NULL), 0);
	auto_str name = STR_MAX(200);
	str_addf(&name, "oci:%s", l->path);
	auto_ref ref = { 0 };
	assert_int_equal(ref_parse(&ref, str_text(&name), NULL), 0);
	const struct image_options options = { .platform = &platform };
	return image_open(out, &ref, &options, flags, err);
}

/* --- tests --- */

static void test_image_of_a_manifest(void **state)
{
	const struct layout *l = *state;
	name_it(l, manifest(l, 2, 2, ""));
	AUTO(image) image = NULL;
	assert_int_equal(open_image(&image, l, 0, NULL), 0);
	assert_false(image->is_index);
	assert_string_equal(image->top.bytes, image->document.bytes);
	assert_int_equal(image->manifest.layer_count, 2);
	assert_string_equal(image->config.user, "u");
	assert_int_equal(image->config_size, strlen(image->config_bytes));

	struct progress progress __attribute__((cleanup(progress_release)));
	image_progress(image, &progress);
	assert_int_equal(progress.layer_count, 2);
	assert_int_equal(progress.layers[1].total_bytes, strlen("layer"));
	assert_int_equal(progress.layers[1].state, LAYER_WAITING);
	assert_true(digest_equal(&progress.layers[1].digest, &image->manifest.layers[1].digest));
}

static void test_image_of_an_index_in_an_index(void **state)
{
	const struct layout *l = *state;
	auto_str inner = STR_MAX(TEXT_MAX_BYTES), outer = STR_MAX(TEXT_MAX_BYTES);
	str_addf(&inner, "%s,%s", manifest(l, 1, 1, PLATFORM("amd64")).text,
		 manifest(l, 2, 2, PLATFORM("s390x")).text);
	str_addf(&outer, "%s,%s", manifest(l, 0, 0, PLATFORM("arm64")).text,
		 index_of(l, str_text(&inner)).text);
	name_it(l, index_of(l, str_text(&outer)));
	AUTO(image) image = NULL;
	assert_int_equal(open_image(&image, l, 0, NULL), 0);
	assert_true(image->is_index);
	assert_int_equal(image->manifest.layer_count, 2);
	assert_string_not_equal(image->top.bytes, image->document.bytes);
	assert_false(
		digest_equal(&image->top.descriptor.digest, &image->document.descriptor.digest));
}

static void test_image_open_bounds_the_depth(void **state)
{
	const struct layout *l = *state;
	struct text at = manifest(l, 1, 1, PLATFORM("s390x"));
	for (int depth = 1; depth <= INDEX_DEPTH_MAX + 1; depth++) {
		at = index_of(l, at.text);
		name_it(l, at);
		AUTO(image) image = NULL;
		assert_int_equal(open_image(&image, l, 0, NULL),
				 depth > INDEX_DEPTH_MAX ? -E2BIG : 0);
		assert_int_equal(!image, depth > INDEX_DEPTH_MAX);
	}
}

static void test_image_without_the_platform_lists_those_there_are(void **state)
{
	const struct layout *l = *state;
	name_it(l, index_of(l, manifest(l, 1, 1, PLATFORM("amd64")).text));
	AUTO(image) image = NULL;
	struct err err = { 0 };
	assert_int_equal(open_image(&image, l, 0, &err), -ENOENT);
	assert_non_null(strstr(err_text(&err), "linux/s390x"));
	assert_non_null(strstr(err_text(&err), "linux/amd64"));
	assert_non_null(strstr(err_text(&err), l->path));
	/* who does not ask for a platform gets what the name stands for */
	assert_int_equal(open_image(&image, l, IMAGE_NO_PLATFORM, NULL), 0);
	assert_true(image->is_index);
	assert_null(image->document.bytes);
}

static void test_image_counts_layers_and_diff_ids(void **state)
{
	const struct layout *l = *state;
	for (int diff_ids = 0; diff_ids <= 3; diff_ids++) {
		name_it(l, manifest(l, 2, diff_ids, ""));
		AUTO(image) image = NULL;
		assert_int_equal(open_image(&image, l, 0, NULL), diff_ids == 2 ? 0 : -EBADMSG);
		/* without the config nobody can know */
		image_free(TAKE(image));
		assert_int_equal(open_image(&image, l, IMAGE_NO_CONFIG, NULL), 0);
		assert_int_equal(image->manifest.layer_count, 2);
		assert_null(image->config_bytes);
	}
}

static void test_image_with_a_tampered_config(void **state)
{
	const struct layout *l = *state;
	name_it(l, manifest(l, 1, 1, ""));
	AUTO(image) image = NULL;
	assert_int_equal(open_image(&image, l, 0, NULL), 0);
	struct digest digest = image->manifest.config.digest;
	image_free(TAKE(image));
	auto_free char *bytes = NULL;
	size_t size;
	assert_int_equal(io_read_file(l->blobs, digest_hex(&digest).text, TEXT_MAX_BYTES, &bytes,
				      &size, NULL),
			 0);
	bytes[size / 2] ^= 1;
	assert_int_equal(io_write_file(l->blobs, digest_hex(&digest).text, bytes, size, 0644, NULL),
			 0);
	struct err err = { 0 };
	assert_int_equal(open_image(&image, l, 0, &err), -EBADMSG);
	assert_non_null(strstr(err_text(&err), "config"));
	assert_non_null(strstr(err_text(&err), l->path));
}

static void test_image_that_is_not_there(void **state)
{
	const struct layout *l = *state;
	AUTO(image) image = NULL;
	struct err err = { 0 };
	assert_int_equal(open_image(&image, l, 0, &err), -ENOENT);
	assert_non_null(strstr(err_text(&err), l->path));
	assert_null(image);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_image_of_a_manifest),
		TEST(test_image_of_an_index_in_an_index),
		TEST(test_image_open_bounds_the_depth),
		TEST(test_image_without_the_platform_lists_those_there_are),
		TEST(test_image_counts_layers_and_diff_ids),
		TEST(test_image_with_a_tampered_config),
		TEST(test_image_that_is_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
