/*
 * An OCI image layout made from a registry: registry-image's format "oci-layout".
 *
 * First all manifests are read, depth first, and written; they name the blobs, kept in a table so
 * that each is copied once however many platforms share it.  Then the blobs are copied, several at
 * a time.  All of it happens in a private directory that gets its name at the end.
 *
 * Manifests are read here for nothing but the digests and sizes of what they list: an index also
 * lists attestations and signatures, whose layers are no tars and which oci/manifest.h refuses.
 */
#include "image/export.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/json.h"
#include "base/siphash.h"
#include "base/str.h"
#include "image/copy.h"
#include "oci/descriptor.h"

#define HASH_FUNCTION(key, length, value) (value) = (unsigned)siphash((key), (length))
#include <uthash.h>

#define LAYOUT_NAME "oci"
#define LAYOUT_PART_NAME ".rootlet-oci"
#define LAYOUT_BLOBS_MAX 65536
#define LAYOUT_MANIFESTS_MAX 1000
#define LAYOUT_INDEX_MAX_BYTES 4096
#define THREADS_MAX 64

/* Modes as registry-image leaves them under umask 022. */
enum layout_mode {
	MODE_INDEX = 0755, /* indexes, oci-layout, single-image-digest */
	MODE_MANIFEST = 0644,
	MODE_CONFIG = 0644,
	MODE_LAYER = 0600,
};

struct blob {
	struct digest digest; /* the key */
	uint64_t size;
	enum layout_mode mode;
	bool written; /* a manifest or index: already there */
	UT_hash_handle hh;
};

struct layout_export {
	struct image *image;	      /* borrowed */
	int parent;		      /* borrowed: the destination */
	int dirfd;		      /* owned: the private directory */
	int blobs[DIGEST_SHA512 + 1]; /* owned: directories by algorithm, -1 */
	struct blob *table;	      /* owned, in order of addition */
	size_t manifests;
	bool is_single;
	bool done;
};

/* --- what there is --- */

static int blob_add(struct layout_export *layout, const struct digest *digest, uint64_t size,
		    enum layout_mode mode, struct blob **out, struct err *err)
{
	struct blob *blob = NULL;
	HASH_FIND(hh, layout->table, digest, sizeof(*digest), blob);
	*out = NULL;
	if (blob && blob->size != size)
		return err_set(err, EBADMSG, "%s is listed with two sizes", digest_show(digest));
	if (blob)
		return 0;
	if (HASH_COUNT(layout->table) >= LAYOUT_BLOBS_MAX)
		return err_set(err, E2BIG, "more than %d blobs", LAYOUT_BLOBS_MAX);
	blob = mem_make(struct blob, .digest = *digest, .size = size, .mode = mode);
	HASH_ADD(hh, layout->table, digest, sizeof(blob->digest), blob);
	*out = blob;
	return 0;
}

static int add_listed(struct layout_export *layout, const struct json_value *value,
		      enum layout_mode mode, struct err *err)
{
	auto_descriptor d = { 0 };
	int r = descriptor_parse(&d, value, err);
	if (r < 0)
		return r;
	struct blob *blob;
	return blob_add(layout, &d.digest, d.size, mode, &blob, err);
}

static int add_manifest(struct layout_export *layout, const struct document *document,
			struct err *err)
{
	AUTO(json) json = NULL;
	int r = document_open(&json, document->descriptor.media_type, MEDIA_MANIFEST,
			      document->bytes, document->size, err);
	if (r < 0)
		return r;
	const struct json_value *layers = json_get(json_root(json), "layers");
	if (json_type(layers) != JSON_ARRAY)
		return err_set(err, EBADMSG, "'layers' is %s, not an array",
			       json_type_name(layers));
	r = add_listed(layout, json_get(json_root(json), "config"), MODE_CONFIG, err);
	for (size_t i = 0; r == 0 && i < json_count(layers); i++)
		r = add_listed(layout, json_at(layers, i), MODE_LAYER, err);
	return r;
}

/* --- files --- */

static int make_directory(int parent, const char *name, struct err *err)
{
	if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
		return err_sys(err, "make directory '%s'", name);
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "open directory '%s'", name) : fd;
}

/* blobs/ALGORITHM, made when it is first needed; a borrowed descriptor. */
static int blobs_of(struct layout_export *layout, const struct digest *digest, struct err *err)
{
	int *fd = &layout->blobs[digest->algorithm];
	if (*fd >= 0)
		return *fd;
	auto_close int all = make_directory(layout->dirfd, "blobs", err);
	if (all < 0)
		return all;
	*fd = make_directory(all, digest_algorithm_name(digest), err);
	return *fd;
}

static int write_document(struct layout_export *layout, const struct document *document,
			  enum layout_mode mode, struct err *err)
{
	int fd = blobs_of(layout, &document->descriptor.digest, err);
	if (fd < 0)
		return fd;
	return io_write_file(fd, digest_hex(&document->descriptor.digest).text, document->bytes,
			     document->size, mode, err);
}

/* --- reading the manifests --- */

static int add_document(struct layout_export *layout, const struct document *document, int depth,
			struct err *err);

static int add_child(struct layout_export *layout, const struct descriptor *child, int depth,
		     struct err *err)
{
	enum media_kind kind = media_kind(child->media_type ? child->media_type : "");
	bool is_index = kind == MEDIA_INDEX, is_document = is_index || kind == MEDIA_MANIFEST;
	enum layout_mode mode = is_index ? MODE_INDEX : is_document ? MODE_MANIFEST : MODE_LAYER;
	struct blob *blob;
	int r = blob_add(layout, &child->digest, child->size, mode, &blob, err);
	if (r < 0 || !blob || !is_document)
		return r;
	if (++layout->manifests > LAYOUT_MANIFESTS_MAX)
		return err_set(err, E2BIG, "more than %d manifests", LAYOUT_MANIFESTS_MAX);

	auto_document document = { 0 };
	r = repo_manifest(layout->image->repo, child, &document, err);
	if (r == 0)
		r = write_document(layout, &document, mode, err);
	blob->written = true;
	return r < 0 ? r : add_document(layout, &document, depth, err);
}

static int add_index(struct layout_export *layout, const struct document *document, int depth,
		     struct err *err)
{
	if (depth == INDEX_DEPTH_MAX)
		return err_set(err, E2BIG, "more than %d indexes inside each other",
			       INDEX_DEPTH_MAX);
	auto_index index = { 0 };
	int r = index_parse(&index, document->descriptor.media_type, document->bytes,
			    document->size, err);
	for (size_t i = 0; r == 0 && i < index.count; i++)
		r = add_child(layout, &index.entries[i], depth + 1, err);
	return r;
}

/* DEPTH: the indexes around this document. */
static int add_document(struct layout_export *layout, const struct document *document, int depth,
			struct err *err)
{
	int r;
	if (media_kind(document->descriptor.media_type) == MEDIA_INDEX)
		r = add_index(layout, document, depth, err);
	else
		r = add_manifest(layout, document, err);
	return r < 0 ? err_wrap(err, r, "%s", digest_show(&document->descriptor.digest)) : 0;
}

static int add_top(struct layout_export *layout, struct err *err)
{
	const struct document *top = &layout->image->top;
	enum media_kind kind = media_kind(top->descriptor.media_type);
	layout->is_single = kind == MEDIA_MANIFEST;
	if (kind != MEDIA_MANIFEST && kind != MEDIA_INDEX)
		return err_set(err, EOPNOTSUPP, "unsupported media type '%s'",
			       esc(top->descriptor.media_type));
	if (!layout->is_single)
		return add_document(layout, top, 0, err);
	struct blob *blob;
	int r = blob_add(layout, &top->descriptor.digest, top->size, MODE_MANIFEST, &blob, err);
	if (r == 0)
		r = write_document(layout, top, MODE_MANIFEST, err);
	if (r < 0)
		return r;
	blob->written = true;
	return add_document(layout, top, 0, err);
}

int layout_export_open(struct layout_export **out, struct image *image, int dirfd, struct err *err)
{
	AUTO(layout_export)
	layout = mem_make(struct layout_export, .image = image, .parent = dirfd, .dirfd = -1,
			  .blobs = { -1, -1, -1 });
	int r = io_remove_tree(dirfd, LAYOUT_PART_NAME, err);
	if (r < 0)
		return r;
	layout->dirfd = make_directory(dirfd, LAYOUT_PART_NAME, err);
	if (layout->dirfd < 0)
		return layout->dirfd;
	r = add_top(layout, err);
	if (r < 0)
		return r;
	*out = TAKE(layout);
	return 0;
}

/* --- copying the blobs --- */

void layout_export_progress(const struct layout_export *layout, struct progress *out)
{
	size_t count = 0;
	for (const struct blob *b = layout->table; b; b = b->hh.next)
		count += b->mode == MODE_LAYER;
	progress_init(out, count);
	struct layer_progress *layer = out->layers;
	for (const struct blob *b = layout->table; b; b = b->hh.next) {
		if (b->mode != MODE_LAYER)
			continue;
		layer->digest = b->digest;
		layer->total_bytes = b->size;
		layer++;
	}
}

struct work {
	struct layout_export *layout;	      /* borrowed */
	const struct export_options *options; /* borrowed */
	pthread_mutex_t mutex;		      /* guards what follows */
	struct blob *next;		      /* borrowed from layout */
	size_t next_layer;		      /* of the progress */
	int failed;
	struct err err;
	atomic_bool stop; /* someone failed; not guarded */
};

static int file_put(void *arg, const void *data, size_t size, struct err *err)
{
	return io_write_all(*(const int *)arg, data, size, err);
}

static int file_restart(void *arg, struct err *err)
{
	int fd = *(const int *)arg;
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, "start a blob anew");
	return 0;
}

static int copy_file(struct work *work, const struct blob *blob, struct layer_progress *progress,
		     struct err *err)
{
	auto_close int fd = openat(work->layout->blobs[blob->digest.algorithm],
				   digest_hex(&blob->digest).text,
				   O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)blob->mode);
	if (fd < 0)
		return err_sys(err, "create blob '%s'", digest_hex(&blob->digest).text);
	struct descriptor d = { .digest = blob->digest, .size = blob->size };
	struct copy_sink sink = { file_put, file_restart, &fd };
	struct copy_options options = {
		.progress = progress,
		.cancel = work->options->cancel,
		.stop = &work->stop,
	};
	return copy_blob(work->layout->image->repo, &d, &sink, &options, err);
}

/* The next blob to copy, or NULL; *PROGRESS is its layer's, if it is one. */
static struct blob *take(struct work *work, struct layer_progress **progress)
{
	LOCKED(&work->mutex);
	struct blob *blob = work->next;
	while (blob && blob->written)
		blob = blob->hh.next;
	work->next = blob ? blob->hh.next : NULL;
	*progress = NULL;
	if (blob && blob->mode == MODE_LAYER && work->options->progress)
		*progress = &work->options->progress->layers[work->next_layer++];
	return atomic_load(&work->stop) ? NULL : blob;
}

static void *copy_some(void *arg)
{
	struct work *work = arg;
	struct layer_progress *progress;
	struct blob *blob;
	while ((blob = take(work, &progress))) {
		struct err err = { 0 };
		int r = copy_file(work, blob, progress, &err);
		if (r == 0)
			continue;
		LOCKED(&work->mutex);
		if (!work->failed) {
			work->failed = r;
			work->err = err;
		}
		atomic_store(&work->stop, true);
	}
	return NULL;
}

static unsigned thread_count(const struct layout_export *layout, unsigned jobs)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned wanted = jobs ? jobs : cores > 0 ? (unsigned)cores : 1;
	unsigned blobs = HASH_COUNT(layout->table);
	if (wanted > THREADS_MAX)
		wanted = THREADS_MAX;
	return wanted > blobs ? blobs : wanted;
}

static int copy_all(struct layout_export *layout, const struct export_options *options,
		    struct err *err)
{
	struct work work = {
		.layout = layout,
		.options = options,
		.mutex = PTHREAD_MUTEX_INITIALIZER,
		.next = layout->table,
	};
	/* The directories are made here, so that the threads only read their descriptors. */
	for (const struct blob *b = layout->table; b; b = b->hh.next) {
		int fd = blobs_of(layout, &b->digest, err);
		if (fd < 0)
			return fd;
	}
	pthread_t threads[THREADS_MAX];
	unsigned wanted = thread_count(layout, options->jobs), made = 0;
	/* This thread works too: fewer threads than wanted only take longer. */
	while (made + 1 < wanted && pthread_create(&threads[made], NULL, copy_some, &work) == 0)
		made++;
	copy_some(&work);
	for (unsigned i = 0; i < made; i++)
		(void)pthread_join(threads[i], NULL);
	if (work.failed && err)
		*err = work.err;
	return work.failed;
}

/* --- the files that make it a layout --- */

/* The compact index that ggcr's mutate package writes for one image, key for key. */
static int add_single(struct layout_export *layout, struct str *out, struct err *err)
{
	const struct descriptor *d = &layout->image->top.descriptor;
	str_add(out, "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\",\"manifests\":["
		     "{\"mediaType\":");
	json_add_string(out, d->media_type);
	str_addf(out, ",\"size\":%llu,\"digest\":\"%s\"}]}",
		 (unsigned long long)layout->image->top.size, digest_show(&d->digest));
	if (out->failed)
		return err_set(err, E2BIG, "index.json is too large");
	return io_write_file(layout->dirfd, "single-image-digest", digest_show(&d->digest),
			     strlen(digest_show(&d->digest)), MODE_INDEX, err);
}

static int finish(struct layout_export *layout, struct err *err)
{
	static const char version[] = "{\n    \"imageLayoutVersion\": \"1.0.0\"\n}";
	const struct document *top = &layout->image->top;
	auto_str single = STR_MAX(LAYOUT_INDEX_MAX_BYTES);
	int r = 0;
	if (layout->is_single)
		r = add_single(layout, &single, err);
	if (r == 0)
		r = io_write_file(layout->dirfd, "oci-layout", version, strlen(version), MODE_INDEX,
				  err);
	if (r == 0)
		r = io_write_file(layout->dirfd, "index.json",
				  layout->is_single ? str_text(&single) : top->bytes,
				  layout->is_single ? single.length : top->size, MODE_INDEX, err);
	if (r < 0)
		return r;
	if (renameat(layout->parent, LAYOUT_PART_NAME, layout->parent, LAYOUT_NAME) < 0)
		return err_sys(err, "rename '%s'", LAYOUT_NAME);
	layout->done = true;
	return 0;
}

int layout_export_run(struct layout_export *layout, const struct export_options *options,
		      struct err *err)
{
	int r = copy_all(layout, options, err);
	return r < 0 ? r : finish(layout, err);
}

void layout_export_free(struct layout_export *layout)
{
	if (!layout)
		return;
	struct blob *blob, *next;
	HASH_ITER(hh, layout->table, blob, next)
	{
		HASH_DELETE(hh, layout->table, blob);
		free(blob);
	}
	for (size_t i = 0; i < N_ELEMENTS(layout->blobs); i++)
		mem_close_fd(&layout->blobs[i]);
	if (layout->dirfd >= 0 && !layout->done)
		(void)!io_remove_tree(layout->parent, LAYOUT_PART_NAME, NULL);
	mem_close_fd(&layout->dirfd);
	free(layout);
}
