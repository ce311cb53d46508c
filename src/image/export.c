/*
 * The docker-save style archive that registry-image calls format "oci".
 *
 * Entries are written in one pass.  When a layer's bytes turn out bad, the file is cut back to the
 * entry's start and the entry written anew.  Called by the Concourse `in`.
 */
#include "image/export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/str.h"
#include "codec/tar-write.h"
#include "image/copy.h"

#define ARCHIVE_NAME "image.tar"
#define ARCHIVE_PART_NAME ".rootlet-image.tar"
#define ARCHIVE_MANIFEST_MAX_BYTES (LAYERS_MAX * 256u)
#define ENTRY_MODE 0644

struct archive {
	int fd;			   /* borrowed */
	struct tar_writer *writer; /* owned */
	char name[DIGEST_TEXT_MAX + 8];
	uint64_t size;
	off_t start; /* of the entry being written */
};

static void archive_release(struct archive *archive)
{
	tar_writer_free(archive->writer);
}

static int entry_begin(struct archive *archive, struct err *err)
{
	return tar_writer_file(archive->writer, archive->name, ENTRY_MODE, archive->size, err);
}

/* The writer pads an entry as its last byte comes, so the next one starts where the file ends. */
static int entry_at(struct archive *archive, struct err *err)
{
	archive->start = lseek(archive->fd, 0, SEEK_CUR);
	if (archive->start < 0)
		return err_sys(err, "seek in '%s'", ARCHIVE_NAME);
	return entry_begin(archive, err);
}

static int entry_put(void *arg, const void *data, size_t size, struct err *err)
{
	struct archive *archive = arg;
	return tar_writer_data(archive->writer, data, size, err);
}

static int entry_restart(void *arg, struct err *err)
{
	struct archive *archive = arg;
	if (ftruncate(archive->fd, archive->start) < 0 ||
	    lseek(archive->fd, archive->start, SEEK_SET) < 0)
		return err_sys(err, "cut '%s'", ARCHIVE_NAME);
	tar_writer_free(archive->writer);
	archive->writer = tar_writer_new(archive->fd);
	return entry_begin(archive, err);
}

static int add_bytes(struct archive *archive, const char *name, const void *data, size_t size,
		     struct err *err)
{
	(void)snprintf(archive->name, sizeof(archive->name), "%s", name);
	archive->size = size;
	int r = entry_at(archive, err);
	return r < 0 ? r : tar_writer_data(archive->writer, data, size, err);
}

static bool is_repeated(const struct manifest *manifest, size_t layer)
{
	for (size_t i = 0; i < layer; i++) {
		if (digest_equal(&manifest->layers[i].digest, &manifest->layers[layer].digest))
			return true;
	}
	return false;
}

static int add_layer(struct archive *archive, struct image *image, size_t i,
		     const struct export_options *options, struct err *err)
{
	const struct descriptor *layer = &image->manifest.layers[i];
	struct layer_progress *progress = options->progress ? &options->progress->layers[i] : NULL;
	if (is_repeated(&image->manifest, i)) {
		if (progress)
			atomic_store(&progress->state, LAYER_DONE);
		return 0;
	}
	(void)snprintf(archive->name, sizeof(archive->name), "%s.tar.gz",
		       digest_hex(&layer->digest).text);
	archive->size = layer->size;
	int r = entry_at(archive, err);
	if (r < 0)
		return r;
	struct copy_sink sink = { entry_put, entry_restart, archive };
	struct copy_options copy = { .progress = progress, .cancel = options->cancel };
	r = copy_blob(image->repo, layer, &sink, &copy, err);
	return r < 0 ? err_wrap(err, r, "layer %zu of %zu", i + 1, image->manifest.layer_count) : 0;
}

static int add_manifest(struct archive *archive, struct image *image, const char *repo_tag,
			struct err *err)
{
	auto_str text = STR_MAX(ARCHIVE_MANIFEST_MAX_BYTES);
	str_addf(&text,
		 "[{\"Config\":\"%s\",\"RepoTags\":", digest_show(&image->manifest.config.digest));
	if (repo_tag) {
		str_addc(&text, '[');
		json_add_string(&text, repo_tag);
		str_addc(&text, ']');
	} else {
		str_add(&text, "null");
	}
	str_add(&text, ",\"Layers\":[");
	for (size_t i = 0; i < image->manifest.layer_count; i++)
		str_addf(&text, "%s\"%s.tar.gz\"", i ? "," : "",
			 digest_hex(&image->manifest.layers[i].digest).text);
	str_add(&text, "]}]");
	if (text.failed)
		return err_set(err, E2BIG, "manifest.json of '%s' is too large", ARCHIVE_NAME);
	return add_bytes(archive, "manifest.json", str_text(&text), text.length, err);
}

static int write_archive(int fd, struct image *image, const char *repo_tag,
			 const struct export_options *options, struct err *err)
{
	struct archive archive __attribute__((cleanup(archive_release))) = {
		.fd = fd,
		.writer = tar_writer_new(fd),
	};
	int r = add_bytes(&archive, digest_show(&image->manifest.config.digest),
			  image->config_bytes, image->config_size, err);
	for (size_t i = 0; r == 0 && i < image->manifest.layer_count; i++)
		r = add_layer(&archive, image, i, options, err);
	if (r == 0)
		r = add_manifest(&archive, image, repo_tag, err);
	return r < 0 ? r : tar_writer_finish(archive.writer, err);
}

int export_docker_archive(struct image *image, int dirfd, const char *repo_tag,
			  const struct export_options *options, struct err *err)
{
	int r = io_remove_tree(dirfd, ARCHIVE_PART_NAME, err);
	if (r < 0)
		return r;
	auto_close int fd = openat(dirfd, ARCHIVE_PART_NAME,
				   O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, ENTRY_MODE);
	if (fd < 0)
		return err_sys(err, "create '%s'", ARCHIVE_PART_NAME);

	r = write_archive(fd, image, repo_tag, options, err);
	if (r == 0 && renameat(dirfd, ARCHIVE_PART_NAME, dirfd, ARCHIVE_NAME) < 0)
		r = err_sys(err, "rename '%s'", ARCHIVE_NAME);
	if (r < 0) {
		(void)unlinkat(dirfd, ARCHIVE_PART_NAME, 0);
		return err_wrap(err, r, "write '%s'", ARCHIVE_NAME);
	}
	return 0;
}
