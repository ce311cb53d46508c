/*
 * Making images on disk for tests: a list of named files that becomes a directory or a tar, and the
 * JSON that an image is made of.  Text only; layers need not be tars for what reads no layer.
 */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/manifest.h"
#include "tar-build.h"

#define FILES_MAX 64
#define LAYER_TYPE "application/vnd.oci.image.layer.v1.tar"
#define CONFIG_TYPE "application/vnd.oci.image.config.v1+json"

struct files {
	char *names[FILES_MAX], *data[FILES_MAX]; /* owned */
	size_t count;
};

static inline void files_release(struct files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		free(files->names[i]);
		free(files->data[i]);
	}
	files->count = 0;
}
#define auto_files __attribute__((cleanup(files_release))) struct files

static inline void files_add(struct files *files, const char *name, const char *data)
{
	if (files->count == FILES_MAX)
		abort();
	files->names[files->count] = mem_strdup(name);
	files->data[files->count++] = mem_strdup(data);
}

static inline struct digest_text digest_text_of(const char *data)
{
	struct digest digest;
	digest_of(&digest, DIGEST_SHA256, data, strlen(data));
	return digest_format(&digest);
}

static inline char *blob_path(const char *data)
{
	auto_str path = STR_MAX(256);
	str_addf(&path, "blobs/sha256/%s", digest_text_of(data).text + strlen("sha256:"));
	return str_take(&path);
}

static inline void files_add_blob(struct files *files, const char *data)
{
	auto_free char *path = blob_path(data);
	files_add(files, path, data);
}

/* A descriptor of DATA; MORE is "" or ",\"key\":value". */
static inline char *describe(const char *type, const char *data, const char *more)
{
	auto_str text = STR_MAX(1u << 20);
	str_addf(&text, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu%s}", type,
		 digest_text_of(data).text, strlen(data), more);
	return str_take(&text);
}

/* The config of layers whose tars are TARS (NULL-terminated). */
static inline char *make_config(const char *const *tars)
{
	auto_str text = STR_MAX(1u << 20);
	str_add(&text, "{\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
	for (size_t i = 0; tars[i]; i++)
		str_addf(&text, "%s\"%s\"", i ? "," : "", digest_text_of(tars[i]).text);
	str_add(&text, "]}}");
	return str_take(&text);
}

static inline char *make_manifest(const char *config, const char *const *layers)
{
	auto_str text = STR_MAX(1u << 20);
	auto_free char *described = describe(CONFIG_TYPE, config, "");
	str_addf(&text, "{\"schemaVersion\":2,\"config\":%s,\"layers\":[", described);
	for (size_t i = 0; layers[i]; i++) {
		auto_free char *layer = describe(LAYER_TYPE, layers[i], "");
		str_addf(&text, "%s%s", i ? "," : "", layer);
	}
	str_add(&text, "]}");
	return str_take(&text);
}

/* Config, layers and manifest as blobs; the manifest's bytes, to be freed. */
static inline char *files_add_image(struct files *files, const char *const *layers)
{
	auto_free char *config = make_config(layers);
	char *manifest = make_manifest(config, layers);
	for (size_t i = 0; layers[i]; i++)
		files_add_blob(files, layers[i]);
	files_add_blob(files, config);
	files_add_blob(files, manifest);
	return manifest;
}

static inline char *make_index(const char *const *entries)
{
	auto_str text = STR_MAX(1u << 20);
	str_add(&text, "{\"schemaVersion\":2,\"manifests\":[");
	for (size_t i = 0; entries[i]; i++)
		str_addf(&text, "%s%s", i ? "," : "", entries[i]);
	str_add(&text, "]}");
	return str_take(&text);
}

static inline char *named(const char *name)
{
	auto_str text = STR_MAX(4096);
	str_addf(&text, ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"%s\"}", name);
	return str_take(&text);
}

static inline void files_add_layout(struct files *files, const char *index)
{
	files_add(files, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	files_add(files, "index.json", index);
}

/* Below DIRFD, with the directories that the names need. */
static inline void files_write(const struct files *files, int dirfd)
{
	(void)mkdirat(dirfd, "blobs", 0700);
	(void)mkdirat(dirfd, "blobs/sha256", 0700);
	for (size_t i = 0; i < files->count; i++) {
		auto_close int fd = openat(dirfd, files->names[i],
					   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0 || io_write_all(fd, files->data[i], strlen(files->data[i]), NULL) < 0)
			abort();
	}
}

static inline void files_tar(const struct files *files, struct str *out)
{
	for (size_t i = 0; i < files->count; i++)
		add_file(out, files->names[i], files->data[i]);
}

/* A private directory: path and descriptor. */
struct place {
	char path[32];
	int fd;
};

static inline int place_make(void **state)
{
	struct place *place = mem_make(struct place, .path = "/tmp/test-image-XXXXXX");
	if (!mkdtemp(place->path))
		return -1;
	place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = place;
	return place->fd < 0 ? -1 : 0;
}

static inline int place_remove(void **state)
{
	auto_free struct place *place = *state;
	mem_close_fd(&place->fd);
	auto_close int parent = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return io_remove_tree(parent, place->path + strlen("/tmp/"), NULL);
}
