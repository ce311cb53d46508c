/*
 * What "image" may name (docs/concourse.md):
 *
 *	directory with single-image-digest	the image it names (what `in` left)
 *	directory with index.json		that index, as it is; a chain of indexes of one
 *						index each is passed through (BuildKit)
 *	file with manifest.json			docker save's archive of one image
 *	file with index.json			an OCI archive: its one image or index
 */
#include "resource/out-image.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/json.h"
#include "base/str.h"
#include "oci/descriptor.h"

#define PATTERN_MAX_BYTES 8192
#define MARKER "single-image-digest"
#define LISTED_MAX 10

struct out_image {
	struct repo **repos; /* owned: one an image */
	size_t count;
	struct bundle *bundle; /* owned */
};

/* --- finding the file --- */

/* The directory is no pattern, only what the user wrote. */
static void add_literal(struct str *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("*?[\\", *text))
			str_addc(out, '\\');
		str_addc(out, *text);
	}
}

static int several(const glob_t *found, const char *pattern, struct err *err)
{
	auto_str list = STR_MAX(ERR_TEXT_MAX_BYTES / 2);
	for (size_t i = 0; i < found->gl_pathc && i < LISTED_MAX; i++)
		str_addf(&list, "%s'%s'", i > 0 ? ", " : "", esc(found->gl_pathv[i]));
	return err_set(err, EINVAL, "too many files/directories match glob '%s': %s%s",
		       esc(pattern), str_text(&list),
		       found->gl_pathc > LISTED_MAX || list.failed ? ", ..." : "");
}

static int find_path(char **out, const char *sources, const char *pattern, struct err *err)
{
	auto_str whole = STR_MAX(PATTERN_MAX_BYTES);
	add_literal(&whole, sources);
	str_addc(&whole, '/');
	str_add(&whole, pattern);
	if (whole.failed)
		return err_set(err, EINVAL, "the pattern '%s' is too long", esc(pattern));
	glob_t found = { 0 };
	int r = 0;
	int code = glob(str_text(&whole), GLOB_ERR, NULL, &found);
	if (code == GLOB_ABORTED)
		r = err_set(err, EIO, "cannot read directories for '%s'", esc(pattern));
	else if (code != 0)
		r = err_set(err, EINVAL, "no files match glob '%s'", esc(pattern));
	else if (found.gl_pathc > 1)
		r = several(&found, pattern, err);
	else
		*out = mem_strdup(found.gl_pathv[0]);
	assert(r < 0 || *out);
	globfree(&found);
	return r;
}

/* --- a layout's directory --- */

/* True when DIR has the marker; REF is then at its digest. */
static int read_marker(struct ref *ref, bool *found, struct err *err)
{
	auto_str path = STR_MAX(PATTERN_MAX_BYTES);
	auto_free char *text = NULL;
	size_t size = 0;
	str_addf(&path, "%s/" MARKER, ref->path);
	int r = io_read_file(AT_FDCWD, str_text(&path), DIGEST_TEXT_MAX + 2, &text, &size, err);
	*found = r == 0;
	if (r == -ENOENT)
		return 0;
	if (r == 0) {
		text[strcspn(text, "\r\n")] = '\0';
		r = digest_parse(&ref->digest, text, err);
	}
	return r < 0 ? err_wrap(err, r, "'%s'", MARKER) : 0;
}

/* index.json as a document: it is what is pushed. */
static int read_index(const char *dir, struct document *out, struct err *err)
{
	AUTO(json) json = NULL;
	auto_str path = STR_MAX(PATTERN_MAX_BYTES);
	str_addf(&path, "%s/index.json", dir);
	int r = io_read_file(AT_FDCWD, str_text(&path), MANIFEST_MAX_BYTES, &out->bytes, &out->size,
			     err);
	if (r == 0)
		r = json_parse(&json, out->bytes, out->size, 0, err);
	if (r < 0)
		return r;
	const char *type = json_string(json_get(json_root(json), "mediaType"));
	out->descriptor.media_type = mem_strdup(type ? type : MEDIA_OCI_INDEX);
	out->descriptor.size = out->size;
	digest_of(&out->descriptor.digest, DIGEST_SHA256, out->bytes, out->size);
	return 0;
}

/* While the index names nothing but one other index, that one takes its place. */
static int unwrap(struct repo *repo, struct document *document, struct err *err)
{
	for (int depth = 0; depth < INDEX_DEPTH_MAX; depth++) {
		auto_index index = { 0 };
		struct document inner = { 0 };
		int r = index_parse(&index, document->descriptor.media_type, document->bytes,
				    document->size, err);
		if (r < 0)
			return r;
		if (index.count != 1 || media_kind(index.entries[0].media_type) != MEDIA_INDEX)
			return 0;
		r = repo_manifest(repo, &index.entries[0], &inner, err);
		if (r < 0)
			return r;
		document_release(document);
		*document = inner;
	}
	return 0;
}

static int open_directory(struct repo **repo, struct ref *ref, struct document *top,
			  struct err *err)
{
	bool marked = false;
	ref->kind = REF_OCI;
	int r = layout_open(repo, ref, err);
	if (r == 0)
		r = read_marker(ref, &marked, err);
	if (r < 0)
		return r;
	if (marked)
		return repo_resolve(*repo, ref, top, err);
	r = read_index(ref->path, top, err);
	return r < 0 ? r : unwrap(*repo, top, err);
}

/* --- one image --- */

static int open_path(struct repo **repo, const char *path, struct document *top, struct err *err)
{
	auto_ref ref = { .path = mem_strdup(path) };
	struct stat st;
	int r;
	if (stat(path, &st) < 0)
		return err_sys(err, "stat '%s'", esc(path));
	if (S_ISDIR(st.st_mode)) {
		r = open_directory(repo, &ref, top, err);
	} else {
		ref.kind = REF_DOCKER_ARCHIVE;
		r = docker_archive_open(repo, &ref, err);
		if (r == 0)
			r = repo_resolve(*repo, &ref, top, err);
	}
	return r;
}

/* Named was the directory of a get, meant is what the get made in it. */
static int suggest(int r, const char *path, const char *pattern, struct err *err)
{
	static const char *const made[][2] = { { "oci", "oci/index.json" },
					       { "image.tar", "image.tar" } };
	struct err why = err ? *err : (struct err){ 0 };
	for (size_t i = 0; r == -ENOENT && i < N_ELEMENTS(made); i++) {
		auto_str inside = STR_MAX(PATTERN_MAX_BYTES);
		str_addf(&inside, "%s/%s", path, made[i][1]);
		if (access(str_text(&inside), F_OK) == 0)
			return err_set(err, ENOENT, "%s; it holds '%s/%s'", err_text(&why),
				       esc(pattern), made[i][0]);
	}
	return r;
}

static int add_image(struct out_image *image, const char *sources, const char *pattern,
		     struct bundle **out, struct err *err)
{
	auto_free char *path = NULL;
	auto_document top = { 0 };
	struct repo *repo = NULL;
	int r = find_path(&path, sources, pattern, err);
	if (r < 0)
		return r;
	assert(path); /* the analyser does not know glob() */
	r = suggest(open_path(&repo, path, &top, err), path, pattern, err);
	if (repo)
		image->repos[image->count++] = repo;
	if (r == 0)
		r = bundle_read(out, repo, &top, err);
	return r < 0 ? err_wrap(err, r, "image '%s'", esc(path)) : 0;
}

/* --- all of it --- */

static int assemble(struct out_image *image, const char *sources, const struct field_texts *images,
		    struct err *err)
{
	struct bundle **parts = mem_new((images->count + 1) * sizeof(struct bundle *));
	int r = 0;
	for (size_t i = 0; r == 0 && i < images->count; i++)
		r = add_image(image, sources, images->items[i], &parts[i], err);
	if (r == 0)
		r = bundle_assemble(&image->bundle, parts, images->count, err);
	for (size_t i = 0; i < images->count; i++)
		bundle_free(parts[i]);
	free(parts);
	return r;
}

static int find(struct out_image *image, const char *sources, const struct source_put *put,
		struct err *err)
{
	if (put->images.count > 0)
		return assemble(image, sources, &put->images, err);
	int r = add_image(image, sources, put->image ? put->image : ".", &image->bundle, err);
	return r < 0 && !put->image ? err_wrap(err, r, "params.image is missing") : r;
}

static int change(struct bundle *bundle, const struct source_put *put, const atomic_bool *cancel,
		  struct err *err)
{
	int r = 0;
	if (put->compression != COMPRESSION_KEEP)
		r = bundle_compress(bundle,
				    put->compression == COMPRESSION_GZIP ? CODEC_GZIP : CODEC_ZSTD,
				    cancel, err);
	if (r == 0 && put->annotations)
		r = bundle_annotate(bundle, put->annotations, err);
	return r;
}

int out_image_open(struct out_image **out, const char *sources, const struct source_put *put,
		   const atomic_bool *cancel, struct err *err)
{
	AUTO(out_image) image = mem_make(struct out_image, .count = 0);
	image->repos = mem_new((put->images.count + 1) * sizeof(struct repo *));
	int r = find(image, sources, put, err);
	if (r == 0)
		r = change(image->bundle, put, cancel, err);
	if (r < 0)
		return r;
	*out = TAKE(image);
	return 0;
}

struct bundle *out_image_bundle(struct out_image *image)
{
	return image->bundle;
}

void out_image_free(struct out_image *image)
{
	if (!image)
		return;
	bundle_free(image->bundle);
	for (size_t i = 0; i < image->count; i++)
		repo_free(image->repos[i]);
	free(image->repos);
	free(image);
}
