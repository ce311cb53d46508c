/*
 * "rootlet history IMAGE": the steps that made the image, bottom first, each with its layer and
 * what that weighs.  What the config says of them is free text; where it does not go with the
 * layers, the layers are shown all the same.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/esc.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/begin.h"
#include "cmd/command-text.h"
#include "term/report.h"

#define LINE_MAX_BYTES (16u * 1024 * 1024)
#define COMMAND_COLUMN 36 /* where commands begin */

struct history_args {
	struct look_args look;
	bool whole;
};

static const struct opt options[] = {
	{ "whole", OPT_FLAG, offsetof(struct history_args, whole), NULL,
	  "do not cut commands to the terminal's width" },
	LOOK_OPTIONS("print a JSON object a line"),
};

/* One line: a step, its layer, or both. */
struct row {
	const struct config_step *step; /* borrowed, or NULL */
	const struct descriptor *layer; /* borrowed, or NULL */
	size_t number;			/* of the layer, from 1 */
};

static void print_json(struct print *print, const struct row *row)
{
	auto_str line = STR_MAX(LINE_MAX_BYTES);
	if (row->layer)
		str_addf(&line, "{\"layer\":%zu", row->number);
	else
		str_add(&line, "{\"layer\":null");
	if (row->layer && row->layer->size != UINT64_MAX)
		str_addf(&line, ",\"size\":%" PRIu64, row->layer->size);
	else
		str_add(&line, ",\"size\":null");
	if (row->layer && digest_known(&row->layer->digest))
		str_addf(&line, ",\"digest\":\"%s\"", digest_show(&row->layer->digest));
	else
		str_add(&line, ",\"digest\":null");
	str_add(&line, ",\"created\":");
	if (row->step && row->step->created)
		print_json_text(&line, row->step->created);
	else
		str_add(&line, "null");
	str_add(&line, ",\"command\":");
	print_json_text(&line, row->step ? row->step->created_by : "");
	str_add(&line, ",\"comment\":");
	print_json_text(&line, row->step ? row->step->comment : "");
	str_addc(&line, '}');
	print_line(print, &line);
}

static void print_row(struct print *print, const struct row *row, bool whole)
{
	char number[24] = "-";
	struct report_text size = { "" };
	if (row->layer) {
		(void)snprintf(number, sizeof(number), "%zu", row->number);
		if (row->layer->size != UINT64_MAX)
			size = report_size(row->layer->size);
	}
	const char *created = row->step && row->step->created ? row->step->created : "-";
	unsigned columns = print_columns(print);
	size_t room = columns > COMMAND_COLUMN + 1 ? columns - COMMAND_COLUMN - 1 : 1;
	auto_str command = STR_MAX(LINE_MAX_BYTES);
	command_text(&command, row->step);
	if (print_is_terminal(print) && !whole)
		command_cut(&command, room);
	fprintf(print_file(print), "%5s %10s  %-16.10s ", number, size.text, esc(created));
	fprintf(print_file(print), "%s\n", command.length ? str_text(&command) : "-");
}

static void print_rows(struct print *print, const struct image *image,
		       const struct history_args *args)
{
	const struct config *config = &image->config;
	const struct manifest *manifest = &image->manifest;
	size_t layers = 0;
	if (!args->look.json)
		fprintf(print_file(print), "LAYER       SIZE  CREATED          COMMAND\n");
	for (size_t i = 0; i < config->history_count || layers < manifest->layer_count; i++) {
		struct row row = { 0 };
		if (i < config->history_count)
			row.step = &config->history[i];
		if ((!row.step || !row.step->empty_layer) && layers < manifest->layer_count) {
			row.layer = &manifest->layers[layers++];
			row.number = layers;
		}
		if (args->look.json)
			print_json(print, &row);
		else
			print_row(print, &row, args->whole);
	}
}

static int run(int argc, char **argv)
{
	struct history_args args = { .look = LOOK_DEFAULTS };
	struct err err = { 0 };
	int operands, status;
	if (!begin_look(&cmd_history, &args.look, argc, argv, 1, 1, &operands, &status))
		return status;
	AUTO(look) look = NULL;
	AUTO(print) print = print_new(false);
	const struct image *image = NULL;
	int r = look_new(&look, &args.look, &err);
	if (r == 0)
		r = look_image(look, argv[1], 0, &image, &err);
	if (r == 0)
		print_rows(print, image, &args);
	return end_look(look, print, r, &err);
}

const struct command cmd_history = {
	.name = "history",
	.operands = "IMAGE",
	.summary = "show the commands that made an image, and their layers",
	.about = "Prints a line for each step that made IMAGE, the oldest first: the number of\n"
		 "its layer (none for steps that made none), the layer's compressed size, when\n"
		 "and by which command it was made.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
