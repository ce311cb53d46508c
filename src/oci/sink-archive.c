/*
 * An archive as a sink: an OCI layout in a tar; for docker-archive: with the manifest.json that
 * "docker load" and "podman load" read beside it, as docker save writes since version 25.
 *
 *	blobs/sha256/HEX ...	in the order they come
 *	manifest.json		docker-archive only
 *	index.json, oci-layout
 *
 * One blob at a time.  The file has a name of its own until it is whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/str.h"
#include "codec/tar-write.h"
#include "oci/sink.h"

#define ENTRY_MODE 0644
#define NAME_MAX_BYTES 256
#define LAYOUT_VERSION "{\"imageLayoutVersion\":\"1.0.0\"}"

struct archive_sink {
	struct sink base;
	bool docker;
	char *path, *part;	   /* owned: its name, and that until it is whole */
	pthread_mutex_t mutex;	   /* guards what follows; held while a blob is written */
	int fd;			   /* owned */
	struct tar_writer *writer; /* owned */
	struct digest *written;	   /* owned: what is in it */
	size_t count, capacity;
	char *index;	/* owned: index.json so far, or NULL */
	char *manifest; /* owned: manifest.json, or NULL */
};

static struct archive_sink *archive_of(struct sink *sink)
{
	return (struct archive_sink *)sink;
}

/* Under the lock. */
static bool is_written(const struct archive_sink *archive, const struct digest *digest)
{
	for (size_t i = 0; i < archive->count; i++)
		if (digest_equal(&archive->written[i], digest))
			return true;
	return false;
}

static void note_written(struct archive_sink *archive, const struct digest *digest)
{
	archive->written = mem_grow(archive->written, &archive->capacity, archive->count,
				    sizeof(*archive->written));
	archive->written[archive->count++] = *digest;
}

static int has_blob(struct sink *sink, const struct descriptor *d, bool *there, struct err *err)
{
	(void)err;
	LOCKED(&archive_of(sink)->mutex);
	*there = is_written(archive_of(sink), &d->digest);
	return 0;
}

static int has_document(struct sink *sink, const struct digest *digest, bool *there,
			struct err *err)
{
	(void)sink;
	(void)digest;
	(void)err;
	*there = false;
	return 0;
}

static void add_name(struct str *out, const struct digest *digest)
{
	str_addf(out, "blobs/%s/%s", digest_algorithm_name(digest), digest_hex(digest).text);
}

struct entry {
	struct archive_sink *archive;
	const char *name;
	uint64_t size;
	off_t start;
};

static int entry_put(void *arg, const void *data, size_t size, struct err *err)
{
	return tar_writer_data(((struct entry *)arg)->archive->writer, data, size, err);
}

static int entry_restart(void *arg, struct err *err)
{
	const struct entry *e = arg;
	struct archive_sink *archive = e->archive;
	if (ftruncate(archive->fd, e->start) < 0 || lseek(archive->fd, e->start, SEEK_SET) < 0)
		return err_sys(err, "cut '%s'", esc(archive->path));
	tar_writer_free(archive->writer);
	archive->writer = tar_writer_new(archive->fd);
	return tar_writer_file(archive->writer, e->name, ENTRY_MODE, e->size, err);
}

static int put_blob(struct sink *sink, const struct sink_blob *blob, enum sink_outcome *outcome,
		    struct err *err)
{
	struct archive_sink *archive = archive_of(sink);
	LOCKED(&archive->mutex);
	auto_str name = STR_MAX(NAME_MAX_BYTES);
	add_name(&name, &blob->d->digest);
	*outcome = SINK_THERE;
	if (is_written(archive, &blob->d->digest))
		return 0;
	struct entry entry = { archive, str_text(&name), blob->d->size,
			       lseek(archive->fd, 0, SEEK_CUR) };
	int r = tar_writer_file(archive->writer, entry.name, ENTRY_MODE, entry.size, err);
	if (r == 0)
		r = sink_pour(blob, entry_put, entry_restart, &entry, err);
	if (r < 0)
		return r;
	note_written(archive, &blob->d->digest);
	*outcome = SINK_SENT;
	return 0;
}

static int add_bytes(struct archive_sink *archive, const char *name, const void *data, size_t size,
		     struct err *err)
{
	int r = tar_writer_file(archive->writer, name, ENTRY_MODE, size, err);
	return r < 0 || size == 0 ? r : tar_writer_data(archive->writer, data, size, err);
}

/* [{"Config":..,"RepoTags":[..],"Layers":[..]}] */
static int describe(struct archive_sink *archive, const struct document *document, const char *tag,
		    struct err *err)
{
	auto_manifest manifest = { 0 };
	auto_str out = STR_MAX(MANIFEST_MAX_BYTES);
	if (media_kind(document->descriptor.media_type) != MEDIA_MANIFEST)
		return err_set(err, EOPNOTSUPP,
			       "a docker archive holds the image of one platform: choose one, or "
			       "write an 'oci-archive'");
	int r = manifest_parse(&manifest, document->descriptor.media_type, document->bytes,
			       document->size, err);
	if (r < 0)
		return r;
	str_add(&out, "[{\"Config\":\"");
	add_name(&out, &manifest.config.digest);
	str_add(&out, "\",\"RepoTags\":[");
	if (*tag)
		json_add_string(&out, tag);
	str_add(&out, "],\"Layers\":[");
	for (size_t i = 0; i < manifest.layer_count; i++) {
		str_add(&out, i > 0 ? ",\"" : "\"");
		add_name(&out, &manifest.layers[i].digest);
		str_addc(&out, '"');
	}
	str_add(&out, "]}]");
	if (out.failed)
		return err_set(err, E2BIG, "manifest.json is too large");
	free(archive->manifest);
	archive->manifest = str_take(&out);
	return 0;
}

/* TAG NULL: not the top; "": the top, without a name. */
static int put_document(struct sink *sink, const struct document *document, const char *tag,
			struct err *err)
{
	struct archive_sink *archive = archive_of(sink);
	LOCKED(&archive->mutex);
	auto_str name = STR_MAX(NAME_MAX_BYTES);
	auto_str index = STR_MAX(MANIFEST_MAX_BYTES);
	const struct digest *digest = &document->descriptor.digest;
	int r = 0;
	add_name(&name, digest);
	if (!is_written(archive, digest)) {
		r = add_bytes(archive, str_text(&name), document->bytes, document->size, err);
		note_written(archive, digest);
	}
	if (r < 0 || !tag)
		return r;
	if (archive->docker)
		r = describe(archive, document, tag, err);
	if (r == 0)
		r = sink_index_with(&index, archive->index,
				    archive->index ? strlen(archive->index) : 0, document,
				    *tag ? tag : NULL, err);
	if (r < 0)
		return r;
	free(archive->index);
	archive->index = str_take(&index);
	return 0;
}

static int finish(struct sink *sink, struct err *err)
{
	struct archive_sink *archive = archive_of(sink);
	LOCKED(&archive->mutex);
	const struct {
		const char *name, *text;
	} files[] = {
		{ "manifest.json", archive->manifest },
		{ "index.json", archive->index },
		{ "oci-layout", LAYOUT_VERSION },
	};
	int r = 0;
	for (size_t i = 0; r == 0 && i < N_ELEMENTS(files); i++)
		if (files[i].text)
			r = add_bytes(archive, files[i].name, files[i].text, strlen(files[i].text),
				      err);
	if (r == 0)
		r = tar_writer_finish(archive->writer, err);
	if (r < 0)
		return r;
	if (rename(archive->part, archive->path) < 0)
		return err_sys(err, "rename to '%s'", esc(archive->path));
	free(TAKE(archive->part));
	return 0;
}

static void archive_free(struct sink *sink)
{
	struct archive_sink *archive = archive_of(sink);
	if (archive->fd >= 0 && archive->part)
		(void)unlink(archive->part);
	tar_writer_free(archive->writer);
	mem_close_fd(&archive->fd);
	pthread_mutex_destroy(&archive->mutex);
	free(archive->written);
	free(archive->index);
	free(archive->manifest);
	free(archive->path);
	free(archive->part);
	free(sink->name);
	free(archive);
}

int archive_sink_open(struct sink **out, const struct ref *ref, struct err *err)
{
	static const struct sink_ops ops = {
		.has_blob = has_blob,
		.put_blob = put_blob,
		.has_document = has_document,
		.put_document = put_document,
		.finish = finish,
		.free = archive_free,
	};
	if (access(ref->path, F_OK) == 0)
		return err_set(err, EINVAL, "'%s' exists: archives are not added to",
			       esc(ref->path));
	struct archive_sink *archive = mem_make(
		struct archive_sink, .base = { .ops = &ops, .jobs = 1, .name = ref_text(ref) },
		.docker = ref->kind == REF_DOCKER_ARCHIVE, .path = mem_strdup(ref->path), .fd = -1,
		.mutex = PTHREAD_MUTEX_INITIALIZER);
	AUTO(sink) sink = &archive->base;
	struct str part = STR_MAX(8192);
	str_addf(&part, "%s.part.%d", ref->path, (int)getpid());
	archive->part = str_take(&part);
	archive->fd = open(archive->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (archive->fd < 0)
		return err_sys(err, "create '%s'", esc(archive->part));
	archive->writer = tar_writer_new(archive->fd);
	*out = TAKE(sink);
	return 0;
}
