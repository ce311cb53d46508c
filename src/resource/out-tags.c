/* Tags of a put, by the rules of registry-image (docs/concourse.md). */
#include "resource/out-tags.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"

#define TAGS_FILE_MAX_BYTES (1024u * 1024)
#define TAG_MAX_BYTES 128
#define VERSION_MAX_BYTES SEMVER_MAX_BYTES
#define SPACE " \t\r\n\v\f"

void out_names_release(struct out_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(names->items);
	*names = (struct out_names){ 0 };
}

int out_names_add(struct out_names *names, char *text, struct err *err)
{
	auto_free char *tag = text;
	auto_ref ref = { 0 };
	int r = ref_set_tag(&ref, tag, err);
	if (r < 0)
		return r;
	names->items = mem_grow(names->items, &names->capacity, names->count, sizeof(char *));
	names->items[names->count++] = TAKE(tag);
	return 0;
}

/* --- versions --- */

int out_version_parse(struct semver *out, const char *text, struct err *err)
{
	if (strchr(text, '+'))
		return err_set(err, EINVAL,
			       "version '%s' has build metadata ('+'), which no tag can hold",
			       esc(text));
	if (!semver_parse(out, text))
		return err_set(err, EINVAL, "invalid semantic version: '%s'", esc(text));
	return 0;
}

static char *with_variant(const char *text, const char *variant)
{
	struct str out = STR_MAX(4 * VERSION_MAX_BYTES);
	str_add(&out, text);
	if (variant)
		str_addf(&out, "-%s", variant);
	return str_take(&out);
}

char *out_version_tag(const struct semver *version, const char *variant)
{
	auto_str text = STR_MAX(2 * VERSION_MAX_BYTES);
	str_addf(&text, "%llu.%llu.%llu", version->major, version->minor, version->patch);
	if (version->prerelease)
		str_addf(&text, "-%s", version->prerelease);
	return with_variant(str_text(&text), variant);
}

/* --- aliases --- */

struct aliases {
	bool latest, major, minor; /* may be moved */
};

/* The version in TAG, when it is one of this variant and no prerelease. */
static bool version_of_tag(struct semver *out, const char *tag, const char *variant)
{
	auto_free char *bare = mem_strdup(tag);
	if (variant) {
		auto_str ending = STR_MAX(VERSION_MAX_BYTES);
		str_addf(&ending, "-%s", variant);
		if (!str_ends(tag, str_text(&ending)))
			return false;
		bare[strlen(bare) - ending.length] = '\0';
	}
	auto_semver version = { 0 };
	if (!semver_parse(&version, bare) || version.prerelease || version.build)
		return false;
	*out = version;
	return true;
}

static void respect(struct aliases *aliases, const struct semver *ours, const struct semver *other)
{
	bool same_major = other->major == ours->major;
	bool same_minor = same_major && other->minor == ours->minor;
	bool newer_patch = same_minor && other->patch > ours->patch;
	bool newer_minor = same_major && other->minor > ours->minor;
	if (other->major > ours->major || newer_minor || newer_patch)
		aliases->latest = false;
	if (newer_minor || newer_patch)
		aliases->major = false;
	if (newer_patch)
		aliases->minor = false;
}

static int add_alias(struct out_names *names, bool may, const char *text, const char *variant,
		     struct err *err)
{
	return may ? out_names_add(names, with_variant(text, variant), err) : 0;
}

int out_names_add_aliases(struct out_names *names, const struct semver *version,
			  const char *variant, const struct tags *there, struct err *err)
{
	struct aliases aliases = { true, true, true };
	if (version->prerelease)
		return 0;
	for (size_t i = 0; i < there->count; i++) {
		struct semver other;
		if (version_of_tag(&other, there->names[i], variant))
			respect(&aliases, version, &other);
	}
	auto_str major = STR_MAX(VERSION_MAX_BYTES), minor = STR_MAX(VERSION_MAX_BYTES);
	str_addf(&major, "%llu", version->major);
	str_addf(&minor, "%llu.%llu", version->major, version->minor);
	int r = add_alias(names, aliases.latest, variant ? variant : "latest", NULL, err);
	if (r == 0)
		r = add_alias(names, aliases.major, str_text(&major), variant, err);
	if (r == 0)
		r = add_alias(names, aliases.minor, str_text(&minor), variant, err);
	return r;
}

/* --- the file --- */

int out_names_add_file(struct out_names *names, const char *path, const char *prefix, size_t *count,
		       struct err *err)
{
	auto_free char *text = NULL;
	size_t size = 0;
	*count = 0;
	int r = io_read_file(AT_FDCWD, path, TAGS_FILE_MAX_BYTES, &text, &size, err);
	if (r < 0)
		return err_wrap(err, r, "params.additional_tags");
	for (const char *at = text; at += strspn(at, SPACE), r == 0 && *at;) {
		size_t length = strcspn(at, SPACE);
		struct str tag = STR_MAX(VERSION_MAX_BYTES);
		str_add(&tag, prefix ? prefix : "");
		str_addn(&tag, at, length);
		bool failed = tag.failed;
		char *taken = str_take(&tag);
		r = failed ? out_names_add(names, mem_strndup(at, TAG_MAX_BYTES + 1), err)
			   : out_names_add(names, taken, err);
		if (failed)
			free(taken);
		at += length;
		++*count;
	}
	return r < 0 ? err_wrap(err, r, "params.additional_tags") : 0;
}
