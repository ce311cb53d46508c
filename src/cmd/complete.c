/*
 * What may stand at the end of a command line, read from the options' and operands' tables: a
 * command, an option, one of an option's or an operand's few words, a path in an image.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cmd/completion.h"

#define OPERAND_MAX_BYTES 64
#define LINE_MAX_BYTES 4096

/* A command line up to the word that is being written. */
struct line {
	FILE *out;		       /* borrowed */
	const struct command *command; /* borrowed */
	const char *last;	       /* borrowed: the unfinished word */
	const char *const *words;      /* borrowed: those between command and last */
	size_t count;
	const struct opt *wants;      /* borrowed: LAST is this option's value; or NULL */
	bool ended;		      /* "--" was there: only operands follow */
	size_t operands;	      /* before LAST */
	const char *image;	      /* borrowed: the first operand that is an IMAGE, or NULL */
	const char *cache, *platform; /* borrowed: values of these options, or NULL */
};

/* WORD, when it begins with what was typed. */
static void offer(const struct line *line, const char *word, const char *description)
{
	if (str_starts(word, line->last))
		fprintf(line->out, description ? "%s\t%s\n" : "%s\n", word, description);
}

/* --- operands: "IMAGE [PATH]", "ls|stat", "PATTERN IMAGE [PATH]", "IMAGE DEST..." --- */

/* Operand number N as usage names it, without brackets and dots; the last may be repeated. */
static void operand_name(const struct command *command, size_t n, char out[OPERAND_MAX_BYTES])
{
	const char *at = command->operands;
	bool repeats = false;
	out[0] = '\0';
	for (size_t i = 0; *at; i++) {
		at += strspn(at, " []");
		size_t length = strcspn(at, " []");
		if (length == 0)
			return;
		size_t plain = strcspn(at, " [].");
		repeats = plain < length && at[plain] == '.';
		if ((i == n || (repeats && n > i)) && plain < OPERAND_MAX_BYTES) {
			memcpy(out, at, plain);
			out[plain] = '\0';
		}
		if (i == n)
			return;
		at += length;
	}
}

static bool names_image(const char *operand)
{
	return str_equal(operand, "IMAGE") || str_starts(operand, "IMAGE_");
}

/* --- reading the line --- */

static bool wants_word(const struct opt *opt)
{
	return opt->kind != OPT_FLAG && opt->kind != OPT_BOOL;
}

static const struct opt *find_option(const struct command *command, const char *word)
{
	bool is_long = word[1] == '-';
	size_t length = strcspn(word + 2, "=");
	for (size_t i = 0; i < command->option_count; i++) {
		const struct opt *opt = &command->options[i];
		const char *name = opt_word(opt);
		if (is_long ? strlen(name) == length && memcmp(name, word + 2, length) == 0
			    : opt_letter(opt) == word[strlen(word) - 1])
			return opt;
	}
	return NULL;
}

static void take_value(struct line *line, const struct opt *opt, const char *value)
{
	if (str_equal(opt_word(opt), "cache"))
		line->cache = value;
	if (str_equal(opt_word(opt), "platform"))
		line->platform = value;
}

/* An option at words[i]; where its value is. */
static size_t read_option(struct line *line, size_t i)
{
	const char *word = line->words[i];
	const struct opt *opt = find_option(line->command, word);
	const char *value = word[1] == '-' ? strchr(word, '=') : NULL;
	if (!opt || !wants_word(opt))
		return i;
	if (value) {
		take_value(line, opt, value + 1);
		return i;
	}
	if (i + 1 == line->count)
		line->wants = opt;
	else
		take_value(line, opt, line->words[i + 1]);
	return i + 1;
}

static void read_line(struct line *line)
{
	for (size_t i = 0; i < line->count; i++) {
		const char *word = line->words[i];
		if (!line->ended && str_equal(word, "--")) {
			line->ended = true;
		} else if (!line->ended && word[0] == '-' && word[1]) {
			i = read_option(line, i);
		} else {
			char operand[OPERAND_MAX_BYTES];
			operand_name(line->command, line->operands++, operand);
			if (!line->image && names_image(operand))
				line->image = word;
		}
	}
}

/* --- answers --- */

static const char *kind_of(const char *name)
{
	if (strstr(name, "DIR"))
		return ":dirs";
	return strstr(name, "FILE") || strstr(name, "DEST") ? ":files" : ":words";
}

/* "a|b|c", each with BEFORE in front; or names on disk. */
static void offer_values(const struct line *line, const char *before, const char *values)
{
	fprintf(line->out, "%s\n", strchr(values, '|') || *before ? ":words" : kind_of(values));
	for (const char *at = values; strchr(values, '|') && *at;) {
		auto_str word = STR_MAX(LINE_MAX_BYTES);
		size_t length = strcspn(at, "|");
		str_add(&word, before);
		str_addn(&word, at, length);
		offer(line, str_text(&word), NULL);
		at += length + (at[length] == '|');
	}
}

static void offer_option_value(const struct line *line, const char *equals)
{
	const struct opt *opt = find_option(line->command, line->last);
	auto_free char *before = mem_strndup(line->last, (size_t)(equals + 1 - line->last));
	if (opt && opt->value)
		offer_values(line, before, opt->value);
	else
		fprintf(line->out, ":words\n");
}

static void offer_options(const struct line *line)
{
	fprintf(line->out, ":words\n");
	for (size_t i = 0; i < line->command->option_count; i++) {
		const struct opt *opt = &line->command->options[i];
		char word[64];
		if (*opt_word(opt)) {
			(void)snprintf(word, sizeof(word), "--%s", opt_word(opt));
			offer(line, word, opt->help);
		}
		if (opt_letter(opt)) {
			(void)snprintf(word, sizeof(word), "-%c", opt_letter(opt));
			offer(line, word, opt->help);
		}
	}
}

/* cp's "IMAGE:/PATH" is one word. */
static void offer_image_path(const struct line *line)
{
	const char *colon = strstr(line->last, ":/");
	for (const char *next = colon; next; next = strstr(next + 1, ":/"))
		colon = next;
	fprintf(line->out, ":words\n");
	if (!colon)
		return;
	auto_free char *name = mem_strndup(line->last, (size_t)(colon - line->last));
	auto_free char *before = mem_strndup(line->last, (size_t)(colon + 1 - line->last));
	const struct complete_image image = { name, line->cache, line->platform, before };
	complete_paths(line->out, &image, colon + 1);
}

static void offer_operand(const struct line *line)
{
	static const char *const places[] = { "oci:", "oci-archive:", "docker-archive:" };
	char operand[OPERAND_MAX_BYTES];
	operand_name(line->command, line->operands, operand);
	if (str_equal(operand, "IMAGE:PATH")) {
		offer_image_path(line);
	} else if (str_equal(operand, "PATH") && line->image) {
		const struct complete_image image = { line->image, line->cache, line->platform,
						      "" };
		fprintf(line->out, ":words\n");
		complete_paths(line->out, &image, line->last);
	} else if (names_image(operand)) {
		fprintf(line->out, ":words\n");
		for (size_t i = 0; i < N_ELEMENTS(places) && *line->last; i++)
			offer(line, places[i], NULL);
	} else {
		offer_values(line, "", operand);
	}
}

static void offer_commands(struct line *line, const struct commands *commands)
{
	fprintf(line->out, ":words\n");
	for (size_t i = 0; i < commands->count; i++)
		offer(line, commands->all[i]->name, commands->all[i]->summary);
	if (*line->last == '-') {
		offer(line, "--help", "show all commands");
		offer(line, "--version", "show the version and the libraries in use");
	}
}

void complete_words(FILE *out, const struct commands *commands, const char *const *words,
		    size_t count)
{
	struct line line = { .out = out, .last = words[count - 1] };
	bool helped = count == 2 && str_equal(words[0], "help") && *line.last != '-';
	if (count == 1 || helped) {
		offer_commands(&line, commands);
		return;
	}
	line.command = cmd_find(commands, words[0]);
	if (!line.command) {
		fprintf(out, ":words\n");
		return;
	}
	line.words = words + 1;
	line.count = count - 2;
	read_line(&line);
	const char *equals = strchr(line.last, '=');
	if (line.wants)
		offer_values(&line, "", line.wants->value);
	else if (!line.ended && str_starts(line.last, "--") && equals)
		offer_option_value(&line, equals);
	else if (!line.ended && *line.last == '-')
		offer_options(&line);
	else
		offer_operand(&line);
}
