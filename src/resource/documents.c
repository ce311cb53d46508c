/* The documents of `in`, written by hand: four fixed shapes, no need for an encoder. */
#include "resource/documents.h"

#include "base/json.h"
#include "base/mem.h"

#define NAME_MAX_BYTES 2048

static void add_list(struct str *out, const char *key, const struct config_list *list)
{
	str_addf(out, "\"%s\":%s", key, list->present ? "[" : "null");
	for (size_t i = 0; i < list->count; i++) {
		if (i > 0)
			str_addc(out, ',');
		json_add_string(out, list->items[i]);
	}
	str_add(out, list->present ? "]," : ",");
}

void document_metadata(struct str *out, const struct config *config)
{
	str_addc(out, '{');
	add_list(out, "cmd", &config->cmd);
	add_list(out, "entrypoint", &config->entrypoint);
	add_list(out, "env", &config->env);
	str_add(out, "\"user\":");
	json_add_string(out, config->user);
	str_add(out, "}\n");
}

void document_labels(struct str *out, const struct config *config)
{
	str_addc(out, '{');
	for (size_t i = 0; i < config->label_count; i++) {
		if (i > 0)
			str_addc(out, ',');
		json_add_string(out, config->labels[i].key);
		str_addc(out, ':');
		json_add_string(out, config->labels[i].value);
	}
	str_add(out, "}\n");
}

static void add_text(struct str *out, const char *before, const char *text)
{
	str_add(out, before);
	json_add_string(out, text ? text : "");
}

void document_answer(struct str *out, const struct request *request, const char *provided,
		     const struct pairs *pairs)
{
	add_text(out, "{\"version\":{\"tag\":", request->version.tag);
	add_text(out, ",\"digest\":", request->version.digest);
	add_text(out,
		 "},\"metadata\":[{\"name\":\"repository\",\"value\":", request->source.repository);
	add_text(out, "},{\"name\":\"tag\",\"value\":", request->version.tag);
	if (provided)
		add_text(out, "},{\"name\":\"provided\",\"value\":", provided);
	for (size_t i = 0; i < pairs->count; i++) {
		add_text(out, "},{\"name\":", pairs->items[i].name);
		add_text(out, ",\"value\":", pairs->items[i].value);
	}
	str_add(out, "}]}");
}

char *document_repo_tag(const struct ref *ref, const char *tag)
{
	if (ref->kind != REF_REGISTRY || !tag)
		return NULL;
	auto_str text = STR_MAX(NAME_MAX_BYTES);
	str_addf(&text, "%s/%s:%s",
		 str_equal(ref->host, "docker.io") ? "index.docker.io" : ref->host, ref->name, tag);
	return text.failed ? NULL : str_take(&text);
}
