/*
 * Image indexes and the choice of a platform.
 *
 * An entry says its platform or it does not.  One that does not is taken only when no other serves:
 * an image then counts as linux/amd64, as registry-image reads it, and a nested index as something
 * worth looking into for whatever is wanted.  Artifacts (artifactType, unknown/unknown as BuildKit
 * marks attestations, types that are no image) are never taken.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/descriptor.h"

#define LISTED_MAX 20

static void move(struct index *out, struct index *index)
{
	*out = *index;
	*index = (struct index){ 0 };
}

int index_parse(struct index *out, const char *media_type, const void *bytes, size_t size,
		struct err *err)
{
	AUTO(json) json = NULL;
	auto_index index = { 0 };
	int r = document_open(&json, media_type, MEDIA_INDEX, bytes, size, err);
	if (r < 0)
		return r;
	const struct json_value *array = json_get(json_root(json), "manifests");
	if (json_type(array) != JSON_ARRAY)
		return err_set(err, EBADMSG, "'manifests' is %s, not an array",
			       json_type_name(array));
	size_t count = json_count(array);
	if (count > INDEX_ENTRIES_MAX)
		return err_set(err, E2BIG, "index of %zu entries, %d are allowed", count,
			       INDEX_ENTRIES_MAX);
	void *entries = NULL;
	r = mem_try(&entries, count, sizeof(*index.entries), err);
	if (r < 0)
		return r;
	index.entries = entries;
	for (size_t i = 0; i < count; i++) {
		r = descriptor_parse(&index.entries[i], json_at(array, i), err);
		if (r < 0)
			return err_wrap(err, r, "entry %zu of the index", i + 1);
		index.count++;
	}
	move(out, &index);
	return 0;
}

void index_release(struct index *index)
{
	for (size_t i = 0; i < index->count; i++)
		descriptor_release(&index->entries[i]);
	free(index->entries);
	*index = (struct index){ 0 };
}

bool index_entry_is_image(const struct descriptor *entry)
{
	enum media_kind kind = media_kind(entry->media_type);
	bool unknown = entry->has_platform && (str_equal(entry->platform.os, "unknown") ||
					       str_equal(entry->platform.architecture, "unknown"));
	return !entry->artifact_type && !unknown &&
	       (kind == MEDIA_MANIFEST || kind == MEDIA_INDEX || kind == MEDIA_SCHEMA1);
}

/* 0 never; 1 as a last resort; more the better its platform serves. */
static int rank(const struct descriptor *entry, const struct platform *wanted)
{
	static const struct platform unsaid = { .os = "linux", .architecture = "amd64" };
	if (!index_entry_is_image(entry))
		return 0;
	if (entry->has_platform) {
		int match = platform_match(&entry->platform, wanted);
		return match > 0 ? 1 + match : 0;
	}
	bool serves = media_kind(entry->media_type) == MEDIA_INDEX ||
		      platform_match(&unsaid, wanted) > 0;
	return serves ? 1 : 0;
}

static int not_found(const struct index *index, const struct platform *wanted, struct err *err)
{
	auto_str there = STR_MAX(ERR_TEXT_MAX_BYTES / 2);
	size_t images = 0;
	for (size_t i = 0; i < index->count; i++) {
		const struct descriptor *entry = &index->entries[i];
		if (!index_entry_is_image(entry) || images++ >= LISTED_MAX)
			continue;
		str_add(&there, images > 1 ? ", " : "");
		str_add(&there, entry->has_platform ? esc(platform_format(&entry->platform).text)
						    : "one without platform");
	}
	if (images == 0)
		return err_set(err, ENOENT, "the index holds no image");
	return err_set(err, ENOENT, "no image for '%s'; there are: %s%s",
		       esc(platform_format(wanted).text), str_text(&there),
		       images > LISTED_MAX || there.failed ? ", ..." : "");
}

int index_choose(const struct descriptor **out, const struct index *index,
		 const struct platform *wanted, struct err *err)
{
	const struct descriptor *best = NULL;
	int best_rank = 0;
	for (size_t i = 0; i < index->count; i++) {
		int r = rank(&index->entries[i], wanted);
		if (r > best_rank) {
			best = &index->entries[i];
			best_rank = r;
		}
	}
	if (!best)
		return not_found(index, wanted, err);
	*out = best;
	return 0;
}
