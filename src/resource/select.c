/* Filtering, naming and ordering of versions.  Used by check-semver.c. */
#include "resource/select.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

void selection_release(struct selection *selection)
{
	for (size_t i = 0; i < selection->count; i++)
		semver_release(&selection->items[i].version);
	free(selection->items);
	*selection = (struct selection){ 0 };
}

const char *selection_bare(const struct source *source)
{
	return source->variant ? source->variant : "latest";
}

/* --- which tags are versions --- */

static bool is_prerelease_wanted(const struct source *source, const char *text)
{
	static const char *const usual[] = { "alpha", "beta", "rc" };
	const struct field_texts *more = &source->pre_release_prefixes;
	if (!source->pre_releases)
		return false;
	/* "1.2.3-rc1-slim": not a prerelease of ours but somebody's variant */
	if (more->count == 0 && strchr(text, '-'))
		return false;
	for (size_t i = 0; i < N_ELEMENTS(usual); i++) {
		if (str_starts(text, usual[i]))
			return true;
	}
	for (size_t i = 0; i < more->count; i++) {
		if (str_starts(text, more->items[i]))
			return true;
	}
	return false;
}

/* TAG without "-VARIANT", to be freed; NULL when it is of another variant. */
static char *without_variant(const char *tag, const char *variant)
{
	size_t length = strlen(tag), ending = variant ? strlen(variant) + 1 : 0;
	if (!variant)
		return mem_strdup(tag);
	if (length < ending || tag[length - ending] != '-' || !str_ends(tag, variant))
		return NULL;
	return mem_strndup(tag, length - ending);
}

static size_t count_dots(const char *text)
{
	size_t dots = 0;
	for (; *text; text++)
		dots += *text == '.';
	return dots;
}

static bool read_candidate(struct candidate *out, const char *tag, const struct source *source,
			   const struct constraint *constraint)
{
	auto_free char *text = NULL;
	auto_semver version = { 0 };
	if (strcmp(tag, selection_bare(source)) == 0)
		return false;
	text = without_variant(tag, source->variant);
	if (!text || !semver_parse(&version, text) ||
	    (constraint && !constraint_allows(constraint, &version)) ||
	    (version.prerelease && !is_prerelease_wanted(source, version.prerelease)))
		return false;
	*out = (struct candidate){
		.look = { .tag = tag },
		.version = version,
		.dots = count_dots(text),
	};
	version = (struct semver){ 0 };
	return true;
}

int selection_make(struct selection *out, const struct tags *tags, const struct source *source,
		   const struct constraint *constraint, struct err *err)
{
	struct selection selection = { 0 };
	void *items = NULL;
	int r = mem_try(&items, tags->count + 1, sizeof(*selection.items), err);
	if (r < 0)
		return r;
	selection.items = items;
	for (size_t i = 0; i < tags->count; i++) {
		struct candidate *next = &selection.items[selection.count];
		if (!read_candidate(next, tags->names[i], source, constraint))
			continue;
		next->place = i + 1;
		selection.count++;
	}
	*out = selection;
	return 0;
}

/* --- the cursor --- */

struct candidate *selection_find(const struct selection *selection, const char *tag)
{
	for (size_t i = 0; i < selection->count; i++) {
		if (strcmp(selection->items[i].look.tag, tag) == 0)
			return &selection->items[i];
	}
	return NULL;
}

void selection_pass(struct selection *selection, struct candidate *cursor)
{
	cursor->place = 0;
	for (size_t i = 0; i < selection->count; i++) {
		struct candidate *item = &selection->items[i];
		item->passed = item != cursor &&
			       semver_compare(&item->version, &cursor->version) <= 0;
	}
}

/* --- one name for each digest --- */

/* By digest, the best name first. */
static int by_digest(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int order = digest_compare(&x->look.digest, &y->look.digest);
	bool x_final = !x->version.prerelease, y_final = !y->version.prerelease;
	if (order)
		return order;
	if (x_final != y_final)
		return x_final ? -1 : 1;
	if (x->dots != y->dots)
		return x->dots > y->dots ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

static int by_version(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int order = semver_compare(&x->version, &y->version);
	if (order)
		return order;
	if (x->dots != y->dots)
		return x->dots < y->dots ? -1 : 1;
	return strcmp(x->look.tag, y->look.tag);
}

/* Drop what KEEP does not want. */
static void filter(struct selection *selection,
		   bool (*keep)(const struct candidate *item, const struct candidate *kept))
{
	size_t count = 0;
	for (size_t i = 0; i < selection->count; i++) {
		struct candidate *item = &selection->items[i];
		if (keep(item, count > 0 ? &selection->items[count - 1] : NULL))
			selection->items[count++] = *item;
		else
			semver_release(&item->version);
	}
	selection->count = count;
}

static bool is_there(const struct candidate *item, const struct candidate *kept)
{
	(void)kept;
	return item->look.there && !item->passed;
}

static bool is_new(const struct candidate *item, const struct candidate *kept)
{
	return !kept || !digest_equal(&item->look.digest, &kept->look.digest);
}

void selection_best(struct selection *selection)
{
	filter(selection, is_there);
	qsort(selection->items, selection->count, sizeof(*selection->items), by_digest);
	filter(selection, is_new);
	qsort(selection->items, selection->count, sizeof(*selection->items), by_version);
}
