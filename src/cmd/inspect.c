/*
 * "rootlet inspect IMAGE": a page for people, or the same as one object.  What the config holds
 * beyond oci/config.h (ports, volumes ...) is only shown, so it is read here and leniently.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/esc.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/begin.h"
#include "cmd/command-text.h"
#include "image/layer-index.h"
#include "term/report.h"

#define LINE_MAX_BYTES (64u * 1024 * 1024)

static const struct opt options[] = { LOOK_OPTIONS("print one JSON object") };

struct page {
	struct print *print;	     /* borrowed */
	const struct image *image;   /* borrowed */
	struct layer_index *indexes; /* owned; one a layer */
	struct json *config;	     /* owned */
	struct index platforms;	     /* empty when the image is no index */
	char *name;		     /* owned */
};

static void page_release(struct page *page)
{
	free(page->indexes);
	json_free(page->config);
	index_release(&page->platforms);
	free(page->name);
}

static const struct json_value *run_member(const struct page *page, const char *key)
{
	return json_get(json_get(json_root(page->config), "config"), key);
}

static const char *kind_name(const struct layer_index *index)
{
	return index->known ? table_kind_name(index->kind) : "none";
}

/* --- for people --- */

static void put_label(const struct page *page, const char *label)
{
	fprintf(print_file(page->print), "%-12s", label);
}

static void put_line(const struct page *page, const char *label, const char *text)
{
	put_label(page, label);
	print_text(page->print, text && *text ? text : "-");
	print_end(page->print);
}

/* ["a","b"] as it would be written in a Dockerfile. */
static void put_words(const struct page *page, const char *label, const struct config_list *list)
{
	auto_str line = STR_MAX(LINE_MAX_BYTES);
	for (size_t i = 0; i < list->count; i++) {
		str_add(&line, i == 0 ? "[" : ", ");
		print_json_text(&line, list->items[i]);
	}
	if (list->count > 0)
		str_addc(&line, ']');
	put_label(page, label);
	fprintf(print_file(page->print), "%s\n", line.length > 0 ? str_text(&line) : "-");
}

static void put_list(const struct page *page, const char *label, const struct config_list *list)
{
	if (list->count == 0)
		put_line(page, label, NULL);
	for (size_t i = 0; i < list->count; i++)
		put_line(page, i == 0 ? label : "", list->items[i]);
}

/* The names in an object like ExposedPorts. */
static void put_keys(const struct page *page, const char *label, const char *key)
{
	auto_str line = STR_MAX(LINE_MAX_BYTES);
	for (json_member(m, run_member(page, key)))
		str_addf(&line, "%s%s", line.length > 0 ? ", " : "", m.key);
	put_line(page, label, str_text(&line));
}

static void put_labels(const struct page *page)
{
	const struct config *config = &page->image->config;
	if (config->label_count == 0)
		put_line(page, "Labels", NULL);
	for (size_t i = 0; i < config->label_count; i++) {
		put_label(page, i == 0 ? "Labels" : "");
		print_text(page->print, config->labels[i].key);
		fputs("=", print_file(page->print));
		print_text(page->print, config->labels[i].value);
		print_end(page->print);
	}
}

static void put_platforms(const struct page *page)
{
	auto_str line = STR_MAX(LINE_MAX_BYTES);
	const char *mine = platform_format(&page->image->config.platform).text;
	str_add(&line, mine);
	for (size_t i = 0; i < page->platforms.count; i++) {
		const struct descriptor *entry = &page->platforms.entries[i];
		if (!index_entry_is_image(entry) || !entry->has_platform)
			continue;
		str_addf(&line, "%s%s", i == 0 ? " of " : ", ",
			 platform_format(&entry->platform).text);
	}
	put_line(page, "Platform", str_text(&line));
}

static struct report_text size_text(bool known, uint64_t bytes)
{
	return known && bytes != UINT64_MAX ? report_size(bytes) : (struct report_text){ "-" };
}

static void put_layer(const struct page *page, size_t i)
{
	const struct layer_index *index = &page->indexes[i];
	const struct descriptor *d = &page->image->manifest.layers[i];
	auto_str command = STR_MAX(LINE_MAX_BYTES);
	command_text(&command, config_layer_step(&page->image->config, i));
	if (print_is_terminal(page->print))
		command_cut(&command,
			    print_columns(page->print) > 62 ? print_columns(page->print) - 62 : 1);
	fprintf(print_file(page->print), "%5zu %-12.12s %10s %10s %-12s  %s\n", i + 1,
		digest_known(&d->digest) ? digest_hex(&d->digest).text : "-",
		size_text(true, d->size).text, size_text(index->known, index->unpacked_bytes).text,
		kind_name(index), str_text(&command));
}

static void put_layers(const struct page *page)
{
	const struct manifest *manifest = &page->image->manifest;
	uint64_t packed = 0, unpacked = 0;
	bool all = true;
	fprintf(print_file(page->print), "\n%5s %-12s %10s %10s %-12s  %s\n", "LAYER", "DIGEST",
		"SIZE", "UNPACKED", "INDEX", "COMMAND");
	for (size_t i = 0; i < manifest->layer_count; i++) {
		put_layer(page, i);
		uint64_t size = manifest->layers[i].size;
		packed += size == UINT64_MAX ? 0 : size;
		all = all && page->indexes[i].known;
		unpacked += page->indexes[i].unpacked_bytes;
	}
	fprintf(print_file(page->print), "%5s %-12s %10s %10s\n", "all", "",
		report_size(packed).text, size_text(all, unpacked).text);
}

static void print_page(const struct page *page)
{
	const struct image *image = page->image;
	const struct digest *top = &image->top.descriptor.digest;
	const struct digest *manifest = &image->document.descriptor.digest;
	put_line(page, "Name", page->name);
	put_line(page, "Digest", digest_known(top) ? digest_show(top) : NULL);
	if (image->is_index)
		put_line(page, "Manifest", digest_show(manifest));
	put_platforms(page);
	put_line(page, "Created", image->config.created);
	put_line(page, "User", image->config.user);
	put_line(page, "Directory", image->config.working_dir);
	put_words(page, "Entrypoint", &image->config.entrypoint);
	put_words(page, "Command", &image->config.cmd);
	put_list(page, "Env", &image->config.env);
	put_keys(page, "Ports", "ExposedPorts");
	put_keys(page, "Volumes", "Volumes");
	put_line(page, "Stop signal", json_string(run_member(page, "StopSignal")));
	put_labels(page);
	put_layers(page);
}

/* --- as JSON --- */

static void add_key(struct str *out, const char *key)
{
	str_addf(out, "%s\"%s\":", out->length > 1 ? "," : "", key);
}

static void add_text(struct str *out, const char *key, const char *text)
{
	add_key(out, key);
	if (text)
		print_json_text(out, text);
	else
		str_add(out, "null");
}

static void add_digest(struct str *out, const char *key, const struct digest *digest)
{
	add_text(out, key, digest_known(digest) ? digest_show(digest) : NULL);
}

static void add_list(struct str *out, const char *key, const struct config_list *list)
{
	add_key(out, key);
	if (!list->present) {
		str_add(out, "null");
		return;
	}
	str_addc(out, '[');
	for (size_t i = 0; i < list->count; i++) {
		str_add(out, i > 0 ? "," : "");
		print_json_text(out, list->items[i]);
	}
	str_addc(out, ']');
}

static void add_keys(struct str *out, const struct page *page, const char *key, const char *member)
{
	bool first = true;
	add_key(out, key);
	str_addc(out, '[');
	for (json_member(m, run_member(page, member))) {
		str_add(out, first ? "" : ",");
		print_json_text(out, m.key);
		first = false;
	}
	str_addc(out, ']');
}

static void add_labels(struct str *out, const struct config *config)
{
	add_key(out, "labels");
	str_addc(out, '{');
	for (size_t i = 0; i < config->label_count; i++) {
		str_add(out, i > 0 ? "," : "");
		print_json_text(out, config->labels[i].key);
		str_addc(out, ':');
		print_json_text(out, config->labels[i].value);
	}
	str_addc(out, '}');
}

static void add_platforms(struct str *out, const struct page *page)
{
	bool first = true;
	add_text(out, "platform", platform_format(&page->image->config.platform).text);
	add_key(out, "platforms");
	str_addc(out, '[');
	for (size_t i = 0; i < page->platforms.count; i++) {
		const struct descriptor *entry = &page->platforms.entries[i];
		if (!index_entry_is_image(entry) || !entry->has_platform)
			continue;
		str_add(out, first ? "" : ",");
		print_json_text(out, platform_format(&entry->platform).text);
		first = false;
	}
	str_addc(out, ']');
}

static void add_number(struct str *out, const char *key, bool known, uint64_t value)
{
	if (known && value != UINT64_MAX)
		str_addf(out, ",\"%s\":%" PRIu64, key, value);
	else
		str_addf(out, ",\"%s\":null", key);
}

static void add_layer(struct str *out, const struct page *page, size_t i)
{
	const struct layer_index *index = &page->indexes[i];
	const struct descriptor *d = &page->image->manifest.layers[i];
	const struct config_step *step = config_layer_step(&page->image->config, i);
	str_addf(out, "%s{\"layer\":%zu", i > 0 ? "," : "", i + 1);
	add_digest(out, "digest", &d->digest);
	add_text(out, "media_type", d->media_type);
	add_number(out, "size", true, d->size);
	add_number(out, "unpacked_bytes", index->known, index->unpacked_bytes);
	add_number(out, "entries", index->known, index->entries);
	add_text(out, "index", index->known ? table_kind_name(index->kind) : NULL);
	add_text(out, "trust", index->known ? trust_name(index->trust) : NULL);
	add_text(out, "command", step ? step->created_by : NULL);
	str_addc(out, '}');
}

static void print_json(const struct page *page)
{
	const struct image *image = page->image;
	const struct config *config = &image->config;
	auto_str out = STR_MAX(LINE_MAX_BYTES);
	str_addc(&out, '{');
	add_text(&out, "image", page->name);
	add_digest(&out, "digest", &image->top.descriptor.digest);
	add_digest(&out, "manifest", &image->document.descriptor.digest);
	add_platforms(&out, page);
	add_text(&out, "created", config->created);
	add_text(&out, "user", config->user);
	add_text(&out, "working_dir", config->working_dir);
	add_list(&out, "env", &config->env);
	add_list(&out, "entrypoint", &config->entrypoint);
	add_list(&out, "cmd", &config->cmd);
	add_keys(&out, page, "ports", "ExposedPorts");
	add_keys(&out, page, "volumes", "Volumes");
	add_text(&out, "stop_signal", json_string(run_member(page, "StopSignal")));
	add_labels(&out, config);
	add_key(&out, "layers");
	str_addc(&out, '[');
	for (size_t i = 0; i < image->manifest.layer_count; i++)
		add_layer(&out, page, i);
	str_add(&out, "]}");
	print_line(page->print, &out);
}

static int gather(struct page *page, struct look *look, const char *name, struct err *err)
{
	struct cache *cache = NULL;
	int r = look_image(look, name, 0, &page->image, err);
	if (r == 0)
		r = look_cache(look, &cache, err);
	if (r == 0)
		r = layer_indexes(&page->indexes, page->image, cache, err);
	if (r == 0)
		r = json_parse(&page->config, page->image->config_bytes, page->image->config_size,
			       0, err);
	const struct document *top = r == 0 ? &page->image->top : NULL;
	if (top && page->image->is_index)
		r = index_parse(&page->platforms, top->descriptor.media_type, top->bytes, top->size,
				err);
	if (r == 0)
		page->name = ref_text(&page->image->ref);
	return r;
}

static int run(int argc, char **argv)
{
	struct look_args args = LOOK_DEFAULTS;
	struct err err = { 0 };
	int operands, status;
	if (!begin_look(&cmd_inspect, &args, argc, argv, 1, 1, &operands, &status))
		return status;
	AUTO(look) look = NULL;
	AUTO(print) print = print_new(false);
	__attribute__((cleanup(page_release))) struct page page = { .print = print };
	int r = look_new(&look, &args, &err);
	if (r == 0)
		r = gather(&page, look, argv[1], &err);
	if (r == 0 && args.json)
		print_json(&page);
	else if (r == 0)
		print_page(&page);
	return end_look(look, print, r, &err);
}

const struct command cmd_inspect = {
	.name = "inspect",
	.operands = "IMAGE",
	.summary = "show what an image is",
	.about = "Prints a page about IMAGE: its digest and platform, what it runs, its labels,\n"
		 "and each layer with its compressed and unpacked size and the kind of index it\n"
		 "has.  No layer is fetched: what only that could tell is shown as '-'.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
