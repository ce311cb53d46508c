/* Labels and annotations by expression.  Used by in.c. */
#include "resource/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/regex.h"
#include "base/str.h"

struct picker {
	struct regex *labels;	   /* owned or NULL */
	struct regex *annotations; /* owned or NULL */
};

void pairs_release(struct pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		free(pairs->items[i].name);
		free(pairs->items[i].value);
	}
	free(pairs->items);
	*pairs = (struct pairs){ 0 };
}

void picker_free(struct picker *picker)
{
	if (!picker)
		return;
	regex_free(picker->labels);
	regex_free(picker->annotations);
	free(picker);
}

int picker_new(struct picker **out, const struct source *source, struct err *err)
{
	AUTO(picker) picker = mem_make(struct picker, .labels = NULL);
	if (source->label_regex) {
		int r = regex_new(&picker->labels, source->label_regex, err);
		if (r < 0)
			return err_wrap(err, r, "source.label_regex");
	}
	if (source->annotation_regex) {
		int r = regex_new(&picker->annotations, source->annotation_regex, err);
		if (r < 0)
			return err_wrap(err, r, "source.annotation_regex");
	}
	*out = TAKE(picker);
	return 0;
}

bool picker_wants_config(const struct picker *picker)
{
	return picker->labels;
}

bool picker_wants_any(const struct picker *picker)
{
	return picker->labels || picker->annotations;
}

static int add_found(struct regex *regex, const char *name, const char *value, struct pairs *pairs,
		     struct err *err)
{
	bool found = false;
	int r = regex_search(regex, name, &found, err);
	if (r < 0 || !found)
		return r;
	pairs->items = mem_grow(pairs->items, &pairs->capacity, pairs->count,
				sizeof(*pairs->items));
	pairs->items[pairs->count++] = (struct pair){ mem_strdup(name), mem_strdup(value) };
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pair *)a)->name, ((const struct pair *)b)->name);
}

static int add_labels(struct picker *picker, const struct config *config, struct pairs *pairs,
		      struct err *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && picker->labels && i < config->label_count; i++)
		r = add_found(picker->labels, config->labels[i].key, config->labels[i].value, pairs,
			      err);
	return r;
}

static int add_annotations(struct picker *picker, const char *annotations, struct pairs *pairs,
			   struct err *err)
{
	AUTO(json) json = NULL;
	size_t before = pairs->count;
	if (!picker->annotations || !annotations)
		return 0;
	int r = json_parse(&json, annotations, strlen(annotations), 0, err);
	if (r < 0)
		return err_wrap(err, r, "annotations");
	for (json_member(m, json_root(json))) {
		const char *value = json_string(m.value);
		if (r == 0 && value)
			r = add_found(picker->annotations, m.key, value, pairs, err);
	}
	if (pairs->count > before)
		qsort(pairs->items + before, pairs->count - before, sizeof(*pairs->items), by_name);
	return r;
}

int picker_add(struct picker *picker, const struct image *image, struct pairs *pairs,
	       struct err *err)
{
	int r = add_labels(picker, &image->config, pairs, err);
	return r < 0 ? r : add_annotations(picker, image->manifest.annotations_json, pairs, err);
}
