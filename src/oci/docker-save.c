/* manifest.json of docker save: read strictly, chosen from by the names that Docker reads alike. */
#include "oci/docker-save.h"

#include <errno.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/str.h"
#include "oci/manifest.h"
#include "oci/ref.h"

#define IMAGES_MAX 1000
#define TAGS_MAX 1000
#define LISTED_MAX 20

static int take_names(struct docker_names *out, const struct json_value *object, const char *key,
		      size_t max, struct err *err)
{
	const struct json_value *array = json_get(object, key);
	if (!array)
		return 0;
	size_t count = json_count(array);
	if (json_type(array) != JSON_ARRAY)
		return err_set(err, EBADMSG, "'%s' is %s, not an array", key,
			       json_type_name(array));
	if (count > max)
		return err_set(err, E2BIG, "'%s' has %zu members, %zu are allowed", key, count,
			       max);
	void *items = NULL;
	int r = mem_try(&items, count, sizeof(*out->items), err);
	if (r < 0)
		return r;
	out->items = items;
	for (size_t i = 0; i < count; i++) {
		const char *text = json_string(json_at(array, i));
		if (!text)
			return err_set(err, EBADMSG, "member %zu of '%s' is no string", i + 1, key);
		out->items[out->count++] = mem_strdup(text);
	}
	return 0;
}

static int take_image(struct docker_image *out, const struct json_value *object, struct err *err)
{
	const char *config = json_string(json_get(object, "Config"));
	if (!config)
		return err_set(err, EBADMSG, "'Config' is missing or no string");
	out->config = mem_strdup(config);
	int r = take_names(&out->tags, object, "RepoTags", TAGS_MAX, err);
	if (r == 0)
		r = take_names(&out->layers, object, "Layers", LAYERS_MAX, err);
	return r;
}

static void move(struct docker_save *out, struct docker_save *save)
{
	*out = *save;
	*save = (struct docker_save){ 0 };
}

int docker_save_parse(struct docker_save *out, const void *bytes, size_t size, struct err *err)
{
	AUTO(json) json = NULL;
	auto_docker_save save = { 0 };
	int r = json_parse(&json, bytes, size, 0, err);
	if (r < 0)
		return r;
	const struct json_value *root = json_root(json);
	size_t count = json_count(root);
	if (json_type(root) != JSON_ARRAY)
		return err_set(err, EBADMSG, "it is %s, not an array", json_type_name(root));
	if (count > IMAGES_MAX)
		return err_set(err, E2BIG, "%zu images, %d are allowed", count, IMAGES_MAX);
	void *images = NULL;
	r = mem_try(&images, count, sizeof(*save.images), err);
	if (r < 0)
		return r;
	save.images = images;
	for (size_t i = 0; i < count; i++) {
		save.count++;
		r = take_image(&save.images[i], json_at(root, i), err);
		if (r < 0)
			return err_wrap(err, r, "image %zu", i + 1);
	}
	move(out, &save);
	return 0;
}

static void names_release(struct docker_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(names->items);
}

void docker_save_release(struct docker_save *save)
{
	for (size_t i = 0; i < save->count; i++) {
		free(save->images[i].config);
		names_release(&save->images[i].tags);
		names_release(&save->images[i].layers);
	}
	free(save->images);
	*save = (struct docker_save){ 0 };
}

/* TAG, as an archive has it, is the image that WANTED names. */
static bool is_same(const char *tag, const struct ref *wanted)
{
	auto_str text = STR_MAX(8192);
	auto_ref ref = { .kind = REF_REGISTRY };
	str_addf(&text, "docker://%s", tag);
	return !text.failed && ref_parse(&ref, str_text(&text), NULL) == 0 &&
	       str_equal(ref.host, wanted->host) && str_equal(ref.name, wanted->name) &&
	       str_equal(ref.tag, wanted->tag);
}

static const struct docker_image *find(const struct docker_save *save, const struct ref *wanted)
{
	for (size_t i = 0; i < save->count; i++) {
		const struct docker_names *tags = &save->images[i].tags;
		for (size_t t = 0; t < tags->count; t++) {
			if (is_same(tags->items[t], wanted))
				return &save->images[i];
		}
	}
	return NULL;
}

static void list_names(struct str *out, const struct docker_save *save)
{
	size_t listed = 0;
	for (size_t i = 0; i < save->count; i++) {
		const struct docker_names *tags = &save->images[i].tags;
		for (size_t t = 0; t < tags->count && listed++ < LISTED_MAX; t++)
			str_addf(out, "%s'%s'", listed > 1 ? ", " : "", esc(tags->items[t]));
	}
	if (listed == 0)
		str_add(out, "none with a name");
	if (listed > LISTED_MAX)
		str_add(out, ", ...");
}

int docker_save_choose(const struct docker_image **out, const struct docker_save *save,
		       const char *name, struct err *err)
{
	auto_str there = STR_MAX(ERR_TEXT_MAX_BYTES / 2);
	list_names(&there, save);
	if (save->count == 0)
		return err_set(err, ENOENT, "the archive holds no image");
	if (!name && save->count > 1)
		return err_set(err, EINVAL,
			       "the archive holds %zu images, choose one by 'FILE:NAME:TAG': %s",
			       save->count, str_text(&there));
	if (!name) {
		*out = &save->images[0];
		return 0;
	}
	auto_str text = STR_MAX(8192);
	auto_ref wanted = { .kind = REF_REGISTRY };
	str_addf(&text, "docker://%s", name);
	int r = ref_parse(&wanted, str_text(&text), err);
	if (r < 0)
		return r;
	*out = find(save, &wanted);
	if (!*out)
		return err_set(err, ENOENT, "the archive holds no '%s'; there are: %s", esc(name),
			       str_text(&there));
	return 0;
}
