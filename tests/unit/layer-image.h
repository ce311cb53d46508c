/*
 * Images of real layers for tests: tars of files with bytes, compressed, in an OCI layout; and a
 * private directory that has the layout and a cache side by side.
 */
#pragma once

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"
#include "cache/cache.h"
#include "gzip-build.h"
#include "oci/ref.h"
#include "tar-build.h"

enum squeeze {
	SQUEEZE_NONE,
	SQUEEZE_GZIP,
	SQUEEZE_ZSTD,
};

struct image_layer {
	struct bytes tar, blob; /* owned */
};

static inline void image_layer_release(struct image_layer *layer)
{
	free(layer->tar.data);
	free(layer->blob.data);
	*layer = (struct image_layer){ 0 };
}

/* The tar's bytes, compressed as HOW says. */
static inline struct image_layer image_layer_of(const struct str *tar, enum squeeze how)
{
	struct image_layer layer = { 0 };
	bytes_add(&layer.tar, tar->data, tar->length);
	if (how == SQUEEZE_GZIP)
		add_member(&layer.blob, &layer.tar, &(const struct member){ .level = 6 });
	else if (how == SQUEEZE_ZSTD)
		add_frame(&layer.blob, &layer.tar, 3, 1);
	else
		bytes_add(&layer.blob, tar->data, tar->length);
	return layer;
}

static inline void add_bytes_file(struct str *tar, const char *name, const struct bytes *data)
{
	add_raw(tar, &(const struct raw){ .name = name, .data_size = data->size });
	add_data(tar, data->data, data->size);
}

static inline void write_blob(int dirfd, const void *data, size_t size, struct digest *digest)
{
	digest_of(digest, DIGEST_SHA256, data, size);
	auto_str path = STR_MAX(256);
	str_addf(&path, "blobs/sha256/%s", digest_hex(digest).text);
	auto_close int fd = openat(dirfd, str_text(&path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
				   0600);
	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, data, size, NULL), 0);
}

static inline void write_text(int dirfd, const char *name, const struct str *text)
{
	assert_int_equal(io_write_file(dirfd, name, text->data, text->length, 0600, NULL), 0);
}

/* The layout's only image; ANNOTATIONS[i] is "" or ",\"annotations\":{...}" (or NULL for all "").
 */
static inline void write_layout(int dirfd, const struct image_layer *layers, size_t count,
				const char *const *annotations)
{
	auto_str config = STR_MAX(1u << 20), manifest = STR_MAX(1u << 20), index = STR_MAX(4096),
		 version = STR_MAX(100);
	struct digest digest;
	(void)mkdirat(dirfd, "blobs", 0700);
	(void)mkdirat(dirfd, "blobs/sha256", 0700);
	str_add(&config, "{\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
	for (size_t i = 0; i < count; i++) {
		digest_of(&digest, DIGEST_SHA256, layers[i].tar.data, layers[i].tar.size);
		str_addf(&config, "%s\"%s\"", i ? "," : "", digest_show(&digest));
	}
	str_add(&config, "]}}");
	write_blob(dirfd, config.data, config.length, &digest);
	str_addf(&manifest,
		 "{\"schemaVersion\":2,\"config\":{\"mediaType\":"
		 "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},"
		 "\"layers\":[",
		 digest_show(&digest), config.length);
	for (size_t i = 0; i < count; i++) {
		write_blob(dirfd, layers[i].blob.data, layers[i].blob.size, &digest);
		str_addf(&manifest,
			 "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\","
			 "\"digest\":\"%s\",\"size\":%zu%s}",
			 i ? "," : "", digest_show(&digest), layers[i].blob.size,
			 annotations ? annotations[i] : "");
	}
	str_add(&manifest, "]}");
	write_blob(dirfd, manifest.data, manifest.length, &digest);
	str_addf(&index,
		 "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
		 "\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\",\"size\":%zu}]}",
		 digest_show(&digest), manifest.length);
	str_add(&version, "{\"imageLayoutVersion\":\"1.0.0\"}");
	write_text(dirfd, "index.json", &index);
	write_text(dirfd, "oci-layout", &version);
}

/* --- a private directory: DIR/layout and DIR/cache --- */

struct lab {
	char path[40];
	char layout[48], cache_path[48];
	int dirfd, layout_fd;
	struct cache *cache; /* owned */
};

static inline struct ref lab_ref(const struct lab *lab)
{
	struct ref ref;
	auto_str name = STR_MAX(200);
	str_addf(&name, "oci:%s", lab->layout);
	assert_int_equal(ref_parse(&ref, str_text(&name), NULL), 0);
	return ref;
}

static inline void lab_open_cache(struct lab *lab)
{
	const struct cache_options options = { .path = lab->cache_path };
	assert_int_equal(cache_open(&lab->cache, &options, NULL), 0);
}

static inline int lab_make(void **state)
{
	struct lab *lab = mem_make(struct lab, .path = "/tmp/test-lazy-XXXXXX");
	if (!mkdtemp(lab->path))
		return -1;
	(void)snprintf(lab->layout, sizeof(lab->layout), "%s/l", lab->path);
	(void)snprintf(lab->cache_path, sizeof(lab->cache_path), "%s/c", lab->path);
	(void)mkdir(lab->layout, 0700);
	lab->dirfd = open(lab->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	lab->layout_fd = open(lab->layout, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	lab_open_cache(lab);
	*state = lab;
	return 0;
}

static inline int lab_remove(void **state)
{
	struct lab *lab = *state;
	cache_free(lab->cache);
	mem_close_fd(&lab->dirfd);
	mem_close_fd(&lab->layout_fd);
	auto_close int parent = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = io_remove_tree(parent, lab->path + strlen("/tmp/"), NULL);
	free(lab);
	return r;
}
