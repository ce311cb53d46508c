/*
 * The image configuration.  What decides what is unpacked (diff_ids, rootfs type) and what is
 * handed to other programs (env, entrypoint, cmd, user, labels) is read strictly; the rest
 * (healthcheck, ports ...) is passed over; the history is only shown and read leniently.
 */
#include "oci/config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/str.h"
#include "oci/manifest.h"

#define LIST_ITEMS_MAX 65536

static int take_text(char **out, const struct json_value *object, const char *key,
		     const char *fallback, struct err *err)
{
	const struct json_value *value = json_get(object, key);
	const char *text = json_string(value);
	if (value && !text)
		return err_set(err, EBADMSG, "'%s' is %s where a string is expected", key,
			       json_type_name(value));
	*out = mem_strdup(text ? text : fallback);
	return 0;
}

static int take_part(char out[32], const struct json_value *object, const char *key,
		     struct err *err)
{
	auto_free char *text = NULL;
	int r = take_text(&text, object, key, "", err);
	if (r < 0)
		return r;
	if (strlen(text) >= 32)
		return err_set(err, EBADMSG, "%s '%s' is longer than 31 bytes", key, esc(text));
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int take_platform(struct platform *out, const struct json_value *root, struct err *err)
{
	int r = take_part(out->os, root, "os", err);
	if (r == 0)
		r = take_part(out->architecture, root, "architecture", err);
	if (r == 0)
		r = take_part(out->variant, root, "variant", err);
	return r;
}

/* An array of at most MAX members, or -EBADMSG, -E2BIG. */
static int check_array(const struct json_value *array, const char *key, size_t max, struct err *err)
{
	if (json_type(array) != JSON_ARRAY)
		return err_set(err, EBADMSG, "'%s' is %s, not an array", key,
			       json_type_name(array));
	if (json_count(array) > max)
		return err_set(err, E2BIG, "'%s' has %zu members, %zu are allowed", key,
			       json_count(array), max);
	return 0;
}

/* Go writes an empty list that was never filled as null: an image without layers. */
static bool is_null_member(const struct json_value *object, const char *key)
{
	for (json_member(m, object)) {
		if (str_equal(m.key, key))
			return json_type(m.value) == JSON_NULL;
	}
	return false;
}

static int take_diff_ids(struct config *out, const struct json_value *root, struct err *err)
{
	const struct json_value *rootfs = json_get(root, "rootfs");
	const struct json_value *type = json_get(rootfs, "type");
	const struct json_value *array = json_get(rootfs, "diff_ids");
	if (json_type(rootfs) != JSON_OBJECT || (!array && !is_null_member(rootfs, "diff_ids")))
		return err_set(err, EBADMSG, "no 'rootfs.diff_ids': this is no image config");
	if (type && !str_equal(json_string(type), "layers"))
		return err_set(err, EBADMSG, "'rootfs.type' is not 'layers'");
	int r = array ? check_array(array, "rootfs.diff_ids", LAYERS_MAX, err) : 0;
	if (r < 0)
		return r;
	void *ids = NULL;
	r = mem_try(&ids, json_count(array), sizeof(*out->diff_ids), err);
	if (r < 0)
		return r;
	out->diff_ids = ids;
	for (size_t i = 0; i < json_count(array); i++) {
		struct err why = { 0 };
		const char *text = json_string(json_at(array, i));
		if (digest_parse(&out->diff_ids[i], text, &why) < 0)
			return err_set(err, EBADMSG, "diff_id %zu: %s", i + 1, why.text);
		out->diff_id_count++;
	}
	return 0;
}

static int take_list(struct config_list *out, const struct json_value *object, const char *key,
		     struct err *err)
{
	const struct json_value *array = json_get(object, key);
	if (!array)
		return 0;
	int r = check_array(array, key, LIST_ITEMS_MAX, err);
	if (r < 0)
		return r;
	void *items = NULL;
	r = mem_try(&items, json_count(array), sizeof(*out->items), err);
	if (r < 0)
		return r;
	out->items = items;
	out->present = true;
	for (size_t i = 0; i < json_count(array); i++) {
		const struct json_value *value = json_at(array, i);
		if (!json_string(value))
			return err_set(err, EBADMSG,
				       "member %zu of '%s' is %s where a string without NUL is "
				       "expected",
				       i + 1, key, json_type_name(value));
		out->items[out->count++] = mem_strdup(json_string(value));
	}
	return 0;
}

/* A newline in a variable would make two of it wherever an environment is written to a file. */
static int check_env(const struct config_list *env, struct err *err)
{
	for (size_t i = 0; i < env->count; i++) {
		if (strchr(env->items[i], '\n'))
			return err_set(err, EBADMSG, "'Env' has a newline in '%s'",
				       esc(env->items[i]));
	}
	return 0;
}

static int compare_labels(const void *a, const void *b)
{
	return strcmp(((const struct config_label *)a)->key, ((const struct config_label *)b)->key);
}

static int take_labels(struct config *out, const struct json_value *object, struct err *err)
{
	if (!object)
		return 0;
	size_t count = json_count(object);
	if (json_type(object) != JSON_OBJECT)
		return err_set(err, EBADMSG, "'Labels' is %s, not an object",
			       json_type_name(object));
	if (count > LIST_ITEMS_MAX)
		return err_set(err, E2BIG, "%zu labels, %d are allowed", count, LIST_ITEMS_MAX);
	void *labels = NULL;
	int r = mem_try(&labels, count, sizeof(*out->labels), err);
	if (r < 0)
		return r;
	out->labels = labels;
	for (json_member(m, object)) {
		const char *value = json_string(m.value);
		if (!value)
			return err_set(err, EBADMSG,
				       "label '%s' is %s where a string without NUL is expected",
				       esc(m.key), json_type_name(m.value));
		out->labels[out->label_count].key = mem_strdup(m.key);
		out->labels[out->label_count++].value = mem_strdup(value);
	}
	if (count > 0)
		qsort(out->labels, out->label_count, sizeof(*out->labels), compare_labels);
	return 0;
}

static int take_run(struct config *out, const struct json_value *run, struct err *err)
{
	if (run && json_type(run) != JSON_OBJECT)
		return err_set(err, EBADMSG, "'config' is %s, not an object", json_type_name(run));
	int r = take_list(&out->env, run, "Env", err);
	if (r == 0)
		r = check_env(&out->env, err);
	if (r == 0)
		r = take_list(&out->entrypoint, run, "Entrypoint", err);
	if (r == 0)
		r = take_list(&out->cmd, run, "Cmd", err);
	if (r == 0)
		r = take_text(&out->user, run, "User", "", err);
	if (r == 0)
		r = take_text(&out->working_dir, run, "WorkingDir", "", err);
	if (r == 0)
		r = take_labels(out, json_get(run, "Labels"), err);
	return r;
}

static char *any_text(const struct json_value *object, const char *key, const char *fallback)
{
	const char *text = json_string(json_get(object, key));
	return mem_strdup(text ? text : fallback);
}

/* Nothing depends on it but what people are shown: what makes no sense is left out. */
static int take_history(struct config *out, const struct json_value *root, struct err *err)
{
	const struct json_value *array = json_get(root, "history");
	if (json_type(array) != JSON_ARRAY || json_count(array) == 0)
		return 0;
	void *steps = NULL;
	int r = mem_try(&steps, json_count(array), sizeof(*out->history), err);
	if (r < 0)
		return r;
	out->history = steps;
	for (size_t i = 0; i < json_count(array); i++) {
		const struct json_value *from = json_at(array, i);
		if (json_type(from) != JSON_OBJECT)
			continue;
		struct config_step *step = &out->history[out->history_count++];
		step->created = any_text(from, "created", NULL);
		step->created_by = any_text(from, "created_by", "");
		step->comment = any_text(from, "comment", "");
		if (!json_bool(json_get(from, "empty_layer"), &step->empty_layer))
			step->empty_layer = false;
	}
	return 0;
}

const struct config_step *config_layer_step(const struct config *config, size_t layer)
{
	const struct config_step *found = NULL;
	size_t layers = 0;
	for (size_t i = 0; i < config->history_count; i++) {
		if (config->history[i].empty_layer)
			continue;
		if (layers++ == layer)
			found = &config->history[i];
	}
	return layers == config->diff_id_count ? found : NULL;
}

int config_parse(struct config *out, const void *bytes, size_t size, struct err *err)
{
	AUTO(json) json = NULL;
	auto_config config = { 0 };
	if (size > CONFIG_MAX_BYTES)
		return err_set(err, E2BIG, "image config of %zu bytes, %u are allowed", size,
			       CONFIG_MAX_BYTES);
	int r = json_parse(&json, bytes, size, 0, err);
	if (r < 0)
		return err_wrap(err, r, "image config");
	const struct json_value *root = json_root(json);
	if (json_type(root) != JSON_OBJECT)
		return err_set(err, EBADMSG, "image config is %s, not an object",
			       json_type_name(root));
	r = take_platform(&config.platform, root, err);
	if (r == 0)
		r = take_diff_ids(&config, root, err);
	if (r == 0)
		r = take_text(&config.created, root, "created", NULL, err);
	if (r == 0)
		r = take_run(&config, json_get(root, "config"), err);
	if (r == 0)
		r = take_history(&config, root, err);
	if (r < 0)
		return err_wrap(err, r, "image config");
	*out = config;
	config = (struct config){ 0 };
	return 0;
}

static void list_release(struct config_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
}

void config_release(struct config *config)
{
	list_release(&config->env);
	list_release(&config->entrypoint);
	list_release(&config->cmd);
	for (size_t i = 0; i < config->label_count; i++) {
		free(config->labels[i].key);
		free(config->labels[i].value);
	}
	free(config->labels);
	for (size_t i = 0; i < config->history_count; i++) {
		free(config->history[i].created);
		free(config->history[i].created_by);
		free(config->history[i].comment);
	}
	free(config->history);
	free(config->diff_ids);
	free(config->user);
	free(config->working_dir);
	free(config->created);
	*config = (struct config){ 0 };
}
