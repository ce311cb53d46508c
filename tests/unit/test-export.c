/* Exports from a repository in memory: what is written, and that bad bytes leave nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/str.h"
#include "codec/tar.h"
#include "image/copy.h"
#include "image/export.h"

/* --- a repository in memory --- */

#define BLOBS_MAX 16
#define TEXT_MAX_BYTES 8192

struct memory_blob {
	struct digest digest;
	char *bytes; /* owned */
	size_t size;
	atomic_uint bad;     /* so many times they come with a wrong byte */
	atomic_uint fetches; /* so many times they were asked for */
	atomic_uint fresh;   /* ... with REPO_BLOB_FRESH */
};

struct memory_repo {
	struct repo base;
	struct memory_blob blobs[BLOBS_MAX];
	size_t count;
	char *spoilt; /* owned: the last wrong copy */
};

static struct memory_blob *blob_find(struct memory_repo *repo, const struct digest *digest)
{
	for (size_t i = 0; i < repo->count; i++) {
		if (digest_equal(&repo->blobs[i].digest, digest))
			return &repo->blobs[i];
	}
	return NULL;
}

static int memory_blob(struct repo *base, const struct descriptor *d, unsigned flags,
		       struct stream **out, struct err *err)
{
	struct memory_repo *repo = (struct memory_repo *)base;
	struct memory_blob *blob = blob_find(repo, &d->digest);
	if (!blob)
		return err_set(err, ENOENT, "no such blob");
	atomic_fetch_add(&blob->fetches, 1);
	if (flags & REPO_BLOB_FRESH)
		atomic_fetch_add(&blob->fresh, 1);
	if (atomic_load(&blob->bad) == 0) {
		*out = stream_of_memory(blob->bytes, blob->size);
		return 0;
	}
	atomic_fetch_sub(&blob->bad, 1);
	free(repo->spoilt);
	repo->spoilt = mem_copy(blob->bytes, blob->size);
	repo->spoilt[blob->size / 2] ^= 1;
	*out = stream_of_memory(repo->spoilt, blob->size);
	return 0;
}

static int memory_manifest(struct repo *base, const struct descriptor *d, struct document *out,
			   struct err *err)
{
	const struct memory_blob *blob = blob_find((struct memory_repo *)base, &d->digest);
	if (!blob)
		return err_set(err, ENOENT, "no such manifest");
	descriptor_copy(&out->descriptor, d);
	out->bytes = mem_strndup(blob->bytes, blob->size);
	out->size = blob->size;
	return 0;
}

static const struct repo_ops memory_ops = { .manifest = memory_manifest, .blob = memory_blob };

static void memory_release(struct memory_repo *repo)
{
	for (size_t i = 0; i < repo->count; i++)
		free(repo->blobs[i].bytes);
	free(repo->spoilt);
}
#define auto_repo __attribute__((cleanup(memory_release))) struct memory_repo

static struct memory_blob *blob_put(struct memory_repo *repo, const char *text)
{
	assert_true(repo->count < BLOBS_MAX);
	struct memory_blob *blob = &repo->blobs[repo->count++];
	blob->size = strlen(text);
	blob->bytes = mem_strdup(text);
	digest_of(&blob->digest, DIGEST_SHA256, text, blob->size);
	return blob;
}

static void add_descriptor(struct str *out, const char *type, const struct memory_blob *blob,
			   size_t size)
{
	str_addf(out, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}", type,
		 digest_show(&blob->digest), size);
}

#define CONFIG_TYPE "application/vnd.oci.image.config.v1+json"
#define LAYER_TYPE "application/vnd.oci.image.layer.v1.tar+gzip"
#define ATTESTATION_TYPE "application/vnd.in-toto+json"

static struct memory_blob *manifest_put(struct memory_repo *repo, const struct memory_blob *config,
					const char *layer_type, struct memory_blob *const *layers)
{
	auto_str text = STR_MAX(TEXT_MAX_BYTES);
	str_add(&text, "{\"schemaVersion\":2,\"config\":");
	add_descriptor(&text, CONFIG_TYPE, config, config->size);
	str_add(&text, ",\"layers\":[");
	for (size_t i = 0; layers[i]; i++) {
		str_add(&text, i ? "," : "");
		add_descriptor(&text, layer_type, layers[i], layers[i]->size);
	}
	str_add(&text, "]}");
	return blob_put(repo, str_text(&text));
}

static struct memory_blob *index_put(struct memory_repo *repo, const char *type,
				     struct memory_blob *const *children)
{
	auto_str text = STR_MAX(TEXT_MAX_BYTES);
	str_add(&text, "{\"schemaVersion\":2,\"manifests\":[");
	for (size_t i = 0; children[i]; i++) {
		str_add(&text, i ? "," : "");
		add_descriptor(&text, type, children[i], children[i]->size);
	}
	str_add(&text, "]}");
	return blob_put(repo, str_text(&text));
}

/* An image whose top is BLOB. */
static void image_at(struct image *out, struct memory_repo *repo, const struct memory_blob *blob,
		     const char *type)
{
	repo->base.ops = &memory_ops;
	*out = (struct image){ .repo = &repo->base };
	out->top.descriptor = (struct descriptor){ .media_type = mem_strdup(type),
						   .digest = blob->digest,
						   .size = blob->size };
	out->top.bytes = mem_strndup(blob->bytes, blob->size);
	out->top.size = blob->size;
}

static void image_done(struct image *image)
{
	document_release(&image->top);
	manifest_release(&image->manifest);
}

/* --- a directory --- */

struct directory {
	char path[64];
	int fd;
};

static int set_up(void **state)
{
	struct directory *d = mem_new(sizeof(*d));
	(void)snprintf(d->path, sizeof(d->path), "%s", "/tmp/rootlet-export-XXXXXX");
	if (!mkdtemp(d->path))
		return -1;
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = d;
	return d->fd < 0;
}

static int tear_down(void **state)
{
	struct directory *d = *state;
	int r = io_remove_tree(d->fd, "oci", NULL);
	(void)unlinkat(d->fd, "image.tar", 0);
	(void)close(d->fd);
	r |= rmdir(d->path); /* nothing else may be there */
	free(d);
	return r;
}

static void assert_file(const struct directory *d, const char *name, mode_t mode, const char *text)
{
	struct stat st;
	if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		fail_msg("no '%s'", name);
	if ((st.st_mode & 07777) != mode)
		fail_msg("'%s' has mode %o", name, (unsigned)st.st_mode & 07777);
	auto_free char *found = NULL;
	size_t size;
	assert_int_equal(io_read_file(d->fd, name, 1u << 20, &found, &size, NULL), 0);
	assert_string_equal(found, text);
}

static void assert_blob(const struct directory *d, const struct memory_blob *blob, mode_t mode)
{
	auto_str name = STR_MAX(200);
	str_addf(&name, "oci/blobs/sha256/%s", digest_hex(&blob->digest).text);
	assert_file(d, str_text(&name), mode, blob->bytes);
}

static void assert_empty(const struct directory *d)
{
	DIR *dir = opendir(d->path);
	for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		if (e->d_name[0] != '.' || str_starts(e->d_name, ".rootlet"))
			fail_msg("'%s' was left", e->d_name);
	}
	(void)closedir(dir);
}

static int export_layout(struct image *image, const struct directory *d, unsigned jobs,
			 struct err *err)
{
	AUTO(layout_export) layout = NULL;
	int r = layout_export_open(&layout, image, d->fd, err);
	if (r < 0)
		return r;
	struct progress progress __attribute__((cleanup(progress_release))) = { 0 };
	layout_export_progress(layout, &progress);
	struct export_options options = { .jobs = jobs, .progress = &progress };
	r = layout_export_run(layout, &options, err);
	for (size_t i = 0; r == 0 && i < progress.layer_count; i++) {
		assert_int_equal(progress.layers[i].state, LAYER_DONE);
		assert_int_equal(progress.layers[i].fetched_bytes, progress.layers[i].total_bytes);
	}
	return r;
}

/* --- oci-layout --- */

static void test_layout_of_one_image(void **state)
{
	const struct directory *d = *state;
	auto_repo repo = { 0 };
	struct memory_blob *config = blob_put(&repo, "{\"config\":1}");
	struct memory_blob *one = blob_put(&repo, "layer one"), *two = blob_put(&repo, "layer 2");
	struct memory_blob *manifest = manifest_put(
		&repo, config, LAYER_TYPE, (struct memory_blob *[]){ one, two, one, NULL });
	struct image image __attribute__((cleanup(image_done)));
	image_at(&image, &repo, manifest, MEDIA_OCI_MANIFEST);
	assert_int_equal(export_layout(&image, d, 1, NULL), 0);

	assert_file(d, "oci/oci-layout", 0755, "{\n    \"imageLayoutVersion\": \"1.0.0\"\n}");
	assert_file(d, "oci/single-image-digest", 0755, digest_show(&manifest->digest));
	auto_str index = STR_MAX(TEXT_MAX_BYTES);
	str_addf(&index,
		 "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
		 "\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		 "\"size\":%zu,\"digest\":\"%s\"}]}",
		 manifest->size, digest_show(&manifest->digest));
	assert_file(d, "oci/index.json", 0755, str_text(&index));
	assert_blob(d, manifest, 0644);
	assert_blob(d, config, 0644);
	assert_blob(d, one, 0600);
	assert_blob(d, two, 0600);
	assert_int_equal(one->fetches, 1);
}

/* Two platforms that share a layer, an attestation and something unheard of. */
static void test_layout_of_an_index(void **state)
{
	const struct directory *d = *state;
	auto_repo repo = { 0 };
	struct memory_blob *shared = blob_put(&repo, "shared"), *own = blob_put(&repo, "own");
	struct memory_blob *claim = blob_put(&repo, "{\"claim\":true}");
	struct memory_blob *config1 = blob_put(&repo, "{\"config\":1}");
	struct memory_blob *config2 = blob_put(&repo, "{\"config\":2}");
	struct memory_blob *image1 = manifest_put(&repo, config1, LAYER_TYPE,
						  (struct memory_blob *[]){ shared, NULL });
	struct memory_blob *image2 = manifest_put(&repo, config2, LAYER_TYPE,
						  (struct memory_blob *[]){ shared, own, NULL });
	struct memory_blob *attestation = manifest_put(&repo, config1, ATTESTATION_TYPE,
						       (struct memory_blob *[]){ claim, NULL });
	struct memory_blob *images = index_put(
		&repo, MEDIA_OCI_MANIFEST,
		(struct memory_blob *[]){ image2, attestation, image2, NULL });
	auto_str text = STR_MAX(TEXT_MAX_BYTES);
	struct memory_blob *other = blob_put(&repo, "unheard of");
	str_add(&text, "{\"schemaVersion\":2,\"manifests\":[");
	add_descriptor(&text, MEDIA_OCI_MANIFEST, image1, image1->size);
	str_addc(&text, ',');
	add_descriptor(&text, MEDIA_OCI_INDEX, images, images->size);
	str_addc(&text, ',');
	add_descriptor(&text, "application/vnd.test", other, other->size);
	str_add(&text, "]}");
	struct memory_blob *top = blob_put(&repo, str_text(&text));
	for (unsigned jobs = 1; jobs <= 5; jobs += 4) {
		struct image image __attribute__((cleanup(image_done)));
		image_at(&image, &repo, top, MEDIA_OCI_INDEX);
		assert_int_equal(export_layout(&image, d, jobs, NULL), 0);
		assert_file(d, "oci/index.json", 0755, top->bytes);
		assert_int_equal(faccessat(d->fd, "oci/single-image-digest", F_OK, 0), -1);
		assert_blob(d, images, 0755);
		struct memory_blob *const manifests[] = { image1, image2, attestation, config1,
							  config2 };
		for (size_t i = 0; i < N_ELEMENTS(manifests); i++)
			assert_blob(d, manifests[i], 0644);
		struct memory_blob *const layers[] = { shared, own, claim, other };
		for (size_t i = 0; i < N_ELEMENTS(layers); i++)
			assert_blob(d, layers[i], 0600);
		assert_int_equal(atomic_exchange(&shared->fetches, 0), 1);
		assert_int_equal(io_remove_tree(d->fd, "oci", NULL), 0);
	}
}

static void test_layout_fetches_bad_blobs_again(void **state)
{
	const struct directory *d = *state;
	for (unsigned bad = 0; bad <= 3; bad++) {
		auto_repo repo = { 0 };
		struct memory_blob *config = blob_put(&repo, "{\"config\":1}");
		struct memory_blob *one = blob_put(&repo, "layer one");
		struct memory_blob *manifest = manifest_put(&repo, config, LAYER_TYPE,
							    (struct memory_blob *[]){ one, NULL });
		one->bad = bad;
		struct image image __attribute__((cleanup(image_done)));
		image_at(&image, &repo, manifest, MEDIA_OCI_MANIFEST);
		struct err err = { 0 };
		int r = export_layout(&image, d, 1, &err);
		assert_int_equal(r, bad < COPY_TRIES_MAX ? 0 : -EBADMSG);
		assert_int_equal(one->fetches, bad < COPY_TRIES_MAX ? bad + 1 : COPY_TRIES_MAX);
		assert_int_equal(one->fresh, one->fetches - 1);
		if (r == 0)
			assert_blob(d, one, 0600);
		else
			assert_empty(d);
		assert_int_equal(io_remove_tree(d->fd, "oci", NULL), 0);
	}
}

static void test_layout_refuses_what_does_not_fit(void **state)
{
	const struct directory *d = *state;
	for (int delta = -1; delta <= 1; delta += 2) {
		auto_repo repo = { 0 };
		auto_str text = STR_MAX(TEXT_MAX_BYTES);
		struct memory_blob *config = blob_put(&repo, "{\"config\":1}");
		str_add(&text, "{\"schemaVersion\":2,\"layers\":[],\"config\":");
		add_descriptor(&text, CONFIG_TYPE, config, config->size + (size_t)delta);
		str_add(&text, "}");
		struct memory_blob *manifest = blob_put(&repo, str_text(&text));
		struct image image __attribute__((cleanup(image_done)));
		image_at(&image, &repo, manifest, MEDIA_OCI_MANIFEST);
		assert_int_equal(export_layout(&image, d, 1, NULL), -EBADMSG);
		assert_empty(d);
	}
}

static void test_layout_refuses_two_sizes_for_a_digest(void **state)
{
	const struct directory *d = *state;
	auto_repo repo = { 0 };
	auto_str text = STR_MAX(TEXT_MAX_BYTES);
	struct memory_blob *config = blob_put(&repo, "{\"config\":1}");
	str_add(&text, "{\"schemaVersion\":2,\"config\":");
	add_descriptor(&text, CONFIG_TYPE, config, config->size);
	str_add(&text, ",\"layers\":[");
	add_descriptor(&text, LAYER_TYPE, config, config->size + 1);
	str_add(&text, "]}");
	struct memory_blob *manifest = blob_put(&repo, str_text(&text));
	struct image image __attribute__((cleanup(image_done)));
	image_at(&image, &repo, manifest, MEDIA_OCI_MANIFEST);
	assert_int_equal(export_layout(&image, d, 1, NULL), -EBADMSG);
	assert_int_equal(config->fetches, 0);
	assert_empty(d);
}

static void test_layout_bounds_the_depth(void **state)
{
	const struct directory *d = *state;
	auto_repo repo = { 0 };
	struct memory_blob *config = blob_put(&repo, "{\"config\":1}");
	struct memory_blob *at = manifest_put(&repo, config, LAYER_TYPE,
					      (struct memory_blob *[]){ NULL });
	for (int depth = 1; depth <= INDEX_DEPTH_MAX + 1; depth++) {
		at = index_put(&repo, depth == 1 ? MEDIA_OCI_MANIFEST : MEDIA_OCI_INDEX,
			       (struct memory_blob *[]){ at, NULL });
		struct image image __attribute__((cleanup(image_done)));
		image_at(&image, &repo, at, MEDIA_OCI_INDEX);
		assert_int_equal(export_layout(&image, d, 1, NULL),
				 depth > INDEX_DEPTH_MAX ? -E2BIG : 0);
		assert_int_equal(io_remove_tree(d->fd, "oci", NULL), 0);
		assert_empty(d);
	}
}

static void test_layout_that_lacks_a_blob_leaves_nothing(void **state)
{
	const struct directory *d = *state;
	auto_repo repo = { 0 };
	struct memory_blob *config = blob_put(&repo, "{\"config\":1}");
	struct memory_blob *gone = blob_put(&repo, "gone"), *there = blob_put(&repo, "there");
	struct memory_blob *manifest = manifest_put(&repo, config, LAYER_TYPE,
						    (struct memory_blob *[]){ gone, there, NULL });
	gone->digest.bytes[0] ^= 1;
	for (unsigned jobs = 1; jobs <= 3; jobs += 2) {
		struct image image __attribute__((cleanup(image_done)));
		image_at(&image, &repo, manifest, MEDIA_OCI_MANIFEST);
		assert_int_equal(export_layout(&image, d, jobs, NULL), -ENOENT);
		assert_empty(d);
		if (jobs == 1)
			assert_int_equal(there->fetches, 0);
	}
}

static void test_layout_stops_when_cancelled(void **state)
{
	const struct directory *d = *state;
	auto_repo repo = { 0 };
	struct memory_blob *config = blob_put(&repo, "{\"config\":1}");
	struct memory_blob *manifest = manifest_put(&repo, config, LAYER_TYPE,
						    (struct memory_blob *[]){ NULL });
	struct image image __attribute__((cleanup(image_done)));
	image_at(&image, &repo, manifest, MEDIA_OCI_MANIFEST);
	AUTO(layout_export) layout = NULL;
	assert_int_equal(layout_export_open(&layout, &image, d->fd, NULL), 0);
	const atomic_bool cancel = true;
	struct export_options options = { .cancel = &cancel };
	assert_int_equal(layout_export_run(layout, &options, NULL), -ECANCELED);
	layout_export_free(TAKE(layout));
	assert_empty(d);
}

/* --- docker archive --- */

/* An opened image over repo: manifest and config as image_open leaves them. */
static void image_open_at(struct image *out, struct memory_repo *repo,
			  const struct memory_blob *config, const struct memory_blob *manifest)
{
	image_at(out, repo, manifest, MEDIA_OCI_MANIFEST);
	assert_int_equal(manifest_parse(&out->manifest, MEDIA_OCI_MANIFEST, manifest->bytes,
					manifest->size, NULL),
			 0);
	out->config_bytes = config->bytes; /* borrowed here */
	out->config_size = config->size;
}

static void assert_entry(struct tar *tar, const char *name, const char *text)
{
	const struct tar_entry *entry;
	assert_int_equal(tar_next(tar, &entry, NULL), 1);
	assert_string_equal(entry->path, name);
	assert_int_equal(entry->mode, 0644);
	assert_int_equal(entry->mtime_s, 0);
	assert_int_equal(entry->size, strlen(text));
	auto_str found = STR_MAX(TEXT_MAX_BYTES);
	const void *data;
	size_t size;
	uint64_t offset;
	while (tar_data(tar, &data, &size, &offset, NULL) == 0 && size > 0)
		str_addn(&found, data, size);
	assert_string_equal(str_text(&found), text);
}

static void test_archive_holds_each_layer_once(void **state)
{
	const struct directory *d = *state;
	for (unsigned bad = 0; bad < COPY_TRIES_MAX; bad++) {
		auto_repo repo = { 0 };
		struct memory_blob *config = blob_put(&repo, "{\"config\":1}");
		struct memory_blob *one = blob_put(&repo, "layer one");
		struct memory_blob *two = blob_put(&repo, "layer 2");
		struct memory_blob *manifest = manifest_put(
			&repo, config, LAYER_TYPE, (struct memory_blob *[]){ one, two, one, NULL });
		two->bad = bad;
		struct image image __attribute__((cleanup(image_done)));
		image_open_at(&image, &repo, config, manifest);
		struct export_options options = { 0 };
		assert_int_equal(export_docker_archive(&image, d->fd,
						       bad == 1 ? NULL : "r.test/app:<1>", &options,
						       NULL),
				 0);

		int fd = openat(d->fd, "image.tar", O_RDONLY | O_CLOEXEC);
		struct stat st;
		assert_int_equal(fstat(fd, &st), 0);
		/* config, two layers, manifest.json, a header and a block each; two zero blocks */
		assert_int_equal(st.st_size, 4 * 1024 + 1024);
		assert_int_equal(st.st_mode & 07777, 0644);
		AUTO(stream) stream = stream_of_fd(fd, 0, (uint64_t)st.st_size);
		AUTO(tar) tar = tar_new(stream);
		const struct tar_entry *entry;
		auto_str text = STR_MAX(TEXT_MAX_BYTES);
		assert_entry(tar, digest_show(&config->digest), config->bytes);
		str_addf(&text, "%s.tar.gz", digest_hex(&one->digest).text);
		assert_entry(tar, str_text(&text), one->bytes);
		str_reset(&text);
		str_addf(&text, "%s.tar.gz", digest_hex(&two->digest).text);
		assert_entry(tar, str_text(&text), two->bytes);
		str_reset(&text);
		str_addf(&text,
			 "[{\"Config\":\"%s\",\"RepoTags\":%s,\"Layers\":[\"%s.tar.gz\","
			 "\"%s.tar.gz\",\"%s.tar.gz\"]}]",
			 digest_show(&config->digest),
			 bad == 1 ? "null" : "[\"r.test/app:\\u003c1\\u003e\"]",
			 digest_hex(&one->digest).text, digest_hex(&two->digest).text,
			 digest_hex(&one->digest).text);
		assert_entry(tar, "manifest.json", str_text(&text));
		assert_int_equal(tar_next(tar, &entry, NULL), 0);
	}
}

static void test_archive_with_bad_bytes_is_removed(void **state)
{
	const struct directory *d = *state;
	auto_repo repo = { 0 };
	struct memory_blob *config = blob_put(&repo, "{\"config\":1}");
	struct memory_blob *one = blob_put(&repo, "layer one");
	struct memory_blob *manifest = manifest_put(&repo, config, LAYER_TYPE,
						    (struct memory_blob *[]){ one, NULL });
	one->bad = 9;
	struct image image __attribute__((cleanup(image_done)));
	image_open_at(&image, &repo, config, manifest);
	struct export_options options = { 0 };
	struct err err = { 0 };
	assert_int_equal(export_docker_archive(&image, d->fd, "a:b", &options, &err), -EBADMSG);
	assert_non_null(strstr(err_text(&err), digest_show(&one->digest)));
	assert_non_null(strstr(err_text(&err), "layer 1 of 1"));
	assert_empty(d);
}

static void test_archive_refuses_sizes_that_lie(void **state)
{
	const struct directory *d = *state;
	for (int delta = -1; delta <= 1; delta += 2) {
		auto_repo repo = { 0 };
		struct memory_blob *config = blob_put(&repo, "{\"config\":1}");
		struct memory_blob *one = blob_put(&repo, "layer one");
		struct memory_blob *manifest = manifest_put(&repo, config, LAYER_TYPE,
							    (struct memory_blob *[]){ one, NULL });
		struct image image __attribute__((cleanup(image_done)));
		image_open_at(&image, &repo, config, manifest);
		image.manifest.layers[0].size += (uint64_t)delta;
		struct export_options options = { 0 };
		assert_int_equal(export_docker_archive(&image, d->fd, "a:b", &options, NULL),
				 -EBADMSG);
		assert_empty(d);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_layout_of_one_image),
		TEST(test_layout_of_an_index),
		TEST(test_layout_fetches_bad_blobs_again),
		TEST(test_layout_refuses_what_does_not_fit),
		TEST(test_layout_refuses_two_sizes_for_a_digest),
		TEST(test_layout_bounds_the_depth),
		TEST(test_layout_that_lacks_a_blob_leaves_nothing),
		TEST(test_layout_stops_when_cancelled),
		TEST(test_archive_holds_each_layer_once),
		TEST(test_archive_with_bad_bytes_is_removed),
		TEST(test_archive_refuses_sizes_that_lie),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
