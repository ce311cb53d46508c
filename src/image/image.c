/*
 * From a reference to an image whose parts fit together: what the reference names is fetched, each
 * index on the way is asked for the platform, then manifest and config are read.  Opened by the
 * commands and the Concourse steps; unpack and export take it from there.
 *
 * From the first answer on everything is asked for by digest, so a tag that moves meanwhile does
 * not matter (docs/formats.md).
 */
#include "image/image.h"

#include <errno.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/log.h"

#define LOOK_AGAIN_MS 250u
#define LOOKS_MAX 4u

static void document_copy(struct document *out, const struct document *document)
{
	descriptor_copy(&out->descriptor, &document->descriptor);
	out->bytes = mem_new(document->size + 1);
	memcpy(out->bytes, document->bytes, document->size);
	out->size = document->size;
}

/* One step down: the child of the index in DOCUMENT for PLATFORM takes its place. */
static int descend(struct image *image, const struct platform *platform, struct err *err)
{
	auto_index index = { 0 };
	struct document *document = &image->document;
	int r = index_parse(&index, document->descriptor.media_type, document->bytes,
			    document->size, err);
	if (r < 0)
		return r;

	const struct descriptor *child = NULL;
	r = index_choose(&child, &index, platform, err);
	if (r < 0)
		return r;

	struct document next = { 0 };
	r = repo_manifest(image->repo, child, &next, err);
	if (r < 0)
		return r;
	log_debug("index %s: chose %s", digest_show(&document->descriptor.digest),
		  digest_show(&next.descriptor.digest));
	document_release(document);
	*document = next;
	return 0;
}

/* Down through the indexes.  A chain is walked, so INDEX_DEPTH_MAX bounds the fetches too. */
static int find_manifest(struct image *image, const struct platform *platform, struct err *err)
{
	_Static_assert(INDEX_DEPTH_MAX < MANIFEST_FETCHES_MAX, "a chain of indexes fits");
	document_copy(&image->document, &image->top);
	for (int depth = 0; media_kind(image->document.descriptor.media_type) == MEDIA_INDEX;
	     depth++) {
		if (depth == INDEX_DEPTH_MAX)
			return err_set(err, E2BIG, "more than %d indexes inside each other",
				       INDEX_DEPTH_MAX);
		int r = descend(image, platform, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * An image for another operating system is of no use anywhere here.  Another architecture is not
 * refused: a manifest that no index led to is taken as it is, as docker and registry-image do.
 */
static int check_os(const struct image *image, const struct platform *wanted, struct err *err)
{
	const struct platform *have = &image->config.platform;
	if (!have->os[0] || strcmp(have->os, wanted->os) == 0)
		return 0;
	return err_set(err, ENOENT, "it is for '%s', not for '%s'", esc(platform_format(have).text),
		       esc(platform_format(wanted).text));
}

static int read_config(struct image *image, const struct platform *wanted, unsigned flags,
		       struct err *err)
{
	int r = repo_blob_bytes(image->repo, &image->manifest.config, CONFIG_MAX_BYTES,
				&image->config_bytes, &image->config_size, err);
	if (r == 0)
		r = config_parse(&image->config, image->config_bytes, image->config_size, err);
	if (r < 0)
		return err_wrap(err, r, "config");
	if (image->config.diff_id_count != image->manifest.layer_count)
		return err_set(err, EBADMSG, "the manifest has %zu layers, the config %zu diffIDs",
			       image->manifest.layer_count, image->config.diff_id_count);
	return flags & IMAGE_ANY_OS ? 0 : check_os(image, wanted, err);
}

/*
 * Registries of many machines take a moment until all of them know a manifest that one was given.
 * Only that is waited for: a few seconds, in growing steps.
 */
static int find_top(struct image *image, unsigned flags, struct err *err)
{
	struct err why = { 0 };
	int r = repo_resolve(image->repo, &image->ref, &image->top, &why);
	for (unsigned looks = 0; r == -ENOENT && (flags & IMAGE_WAIT) && looks < LOOKS_MAX;
	     looks++) {
		if (!repo_pause(image->repo, LOOK_AGAIN_MS << looks))
			break;
		r = repo_resolve(image->repo, &image->ref, &image->top, &why);
	}
	if (r < 0)
		return err_set(err, -r, "%s", err_text(&why));
	image->is_index = media_kind(image->top.descriptor.media_type) == MEDIA_INDEX;
	return r;
}

static struct platform wanted_platform(const struct image_options *options)
{
	struct platform wanted;
	platform_host(&wanted);
	if (options->platform)
		wanted = *options->platform;
	return wanted;
}

static int read_image(struct image *image, const struct image_options *options, unsigned flags,
		      struct err *err)
{
	if (flags & IMAGE_NO_PLATFORM)
		return 0;
	const struct platform wanted = wanted_platform(options);
	int r = find_manifest(image, &wanted, err);
	if (r < 0)
		return r;
	r = manifest_parse(&image->manifest, image->document.descriptor.media_type,
			   image->document.bytes, image->document.size, err);
	if (r < 0 || (flags & IMAGE_NO_CONFIG))
		return r;
	return read_config(image, &wanted, flags, err);
}

/* What failed with R; NAMED: what registries say names the image already. */
static int name_it(int r, const struct ref *ref, bool named, struct err *err)
{
	if (named && ref->kind == REF_REGISTRY)
		return r;
	auto_free char *name = ref_text(ref);
	return err_wrap(err, r, "image '%s'", esc(name));
}

int image_open_in(struct image **out, struct repo *repo, const struct ref *ref,
		  const struct image_options *options, unsigned flags, struct err *err)
{
	AUTO(image)
	image = mem_make(struct image, .repo = repo, .borrowed = flags & IMAGE_BORROW_REPO);
	ref_copy(&image->ref, ref);
	int r = find_top(image, flags, err);
	if (r < 0)
		return name_it(r, ref, true, err);
	r = read_image(image, options, flags, err);
	if (r < 0)
		return name_it(r, ref, false, err);
	*out = TAKE(image);
	return 0;
}

int image_read_config(struct image *image, const struct image_options *options, unsigned flags,
		      struct err *err)
{
	const struct platform wanted = wanted_platform(options);
	int r = read_config(image, &wanted, flags, err);
	return r < 0 ? name_it(r, &image->ref, false, err) : 0;
}

int image_open(struct image **out, const struct ref *ref, const struct image_options *options,
	       unsigned flags, struct err *err)
{
	struct repo *repo = NULL;
	int r = repo_open(&repo, ref, &options->repo, err);
	if (r < 0)
		return name_it(r, ref, true, err);
	return image_open_in(out, repo, ref, options, flags, err);
}

void image_progress(const struct image *image, struct progress *out)
{
	progress_init(out, image->manifest.layer_count);
	for (size_t i = 0; i < out->layer_count; i++) {
		out->layers[i].digest = image->manifest.layers[i].digest;
		out->layers[i].total_bytes = image->manifest.layers[i].size;
	}
}

void image_free(struct image *image)
{
	if (!image)
		return;
	if (!image->borrowed)
		repo_free(image->repo);
	ref_release(&image->ref);
	document_release(&image->top);
	document_release(&image->document);
	manifest_release(&image->manifest);
	config_release(&image->config);
	free(image->config_bytes);
	free(image);
}
