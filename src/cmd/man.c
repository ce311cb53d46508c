/*
 * Manual pages.  Help texts are plain lines; here those that are laid out (two blanks in a row, or
 * one in front) stay as they are, and the others are filled.  Called by "rootlet help --man".
 */
#include "cmd/man.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* TEXT of N bytes as troff shows it literally. */
static void put_text(FILE *out, const char *text, size_t n)
{
	if (n > 0 && (text[0] == '.' || text[0] == '\''))
		fputs("\\&", out);
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\\')
			fputs("\\e", out);
		else if (text[i] == '-')
			fputs("\\-", out);
		else if (text[i] == '\'')
			fputs("\\(aq", out);
		else
			fputc(text[i], out);
	}
}

static void put(FILE *out, const char *text)
{
	put_text(out, text, strlen(text));
}

static void put_bold(FILE *out, const char *text)
{
	fputs("\\fB", out);
	put(out, text);
	fputs("\\fR", out);
}

static void put_title(FILE *out, const char *name)
{
	fputs(".TH \"", out);
	for (const char *c = name; *c; c++)
		fputc(toupper((unsigned char)*c), out);
	fputs("\" 1 \"\" \"rootlet " ROOTLET_VERSION "\" \"User Commands\"\n", out);
}

static bool is_laid_out(const char *line, size_t n)
{
	return n > 0 && (line[0] == ' ' || memmem(line, n, "  ", 2));
}

/* Lines ended by \n, an empty one between paragraphs. */
static void put_lines(FILE *out, const char *text)
{
	bool kept = false;
	while (*text) {
		size_t n = strcspn(text, "\n");
		bool keep = is_laid_out(text, n);
		if (keep != kept)
			fputs(keep ? ".nf\n" : ".fi\n", out);
		kept = keep;
		if (n == 0)
			fputs(".PP", out);
		put_text(out, text, n);
		fputc('\n', out);
		text += n + (text[n] == '\n');
	}
	if (kept)
		fputs(".fi\n", out);
}

static void put_option(FILE *out, const struct opt *opt)
{
	char letter[] = { '-', opt_letter(opt), '\0' };
	const char *word = opt_word(opt);
	fputs(".TP\n", out);
	if (letter[1])
		put_bold(out, letter);
	if (*word) {
		fputs(letter[1] ? ", \\fB\\-\\-" : "\\fB\\-\\-", out);
		put(out, word);
		fputs("\\fR", out);
	}
	if (opt->value) {
		fputs(opt->kind == OPT_BOOL ? "[=\\fI" : " \\fI", out);
		put(out, opt->value);
		fputs(opt->kind == OPT_BOOL ? "\\fR]" : "\\fR", out);
	}
	fputc('\n', out);
	put(out, opt->help);
	fputc('\n', out);
}

static void put_statuses(FILE *out)
{
	static const char *const statuses[][2] = {
		{ "0", "done" },
		{ "1", "anything that is not below" },
		{ "2", "wrong usage" },
		{ "3", "not found" },
		{ "4", "denied" },
		{ "5", "network" },
		{ "6", "corrupt or hostile" },
		{ "7", "not supported" },
	};
	fputs(".SH EXIT STATUS\n", out);
	for (size_t i = 0; i < N_ELEMENTS(statuses); i++)
		fprintf(out, ".TP\n%s\n%s\n", statuses[i][0], statuses[i][1]);
}

void man_command(FILE *out, const struct command *command)
{
	auto_str name = STR_MAX(256);
	str_addf(&name, "rootlet-%s", command->name);
	put_title(out, str_text(&name));
	fputs(".SH NAME\n", out);
	put(out, str_text(&name));
	fputs(" \\- ", out);
	put(out, command->summary);
	fputs("\n.SH SYNOPSIS\n", out);
	put_bold(out, "rootlet ");
	put_bold(out, command->name);
	fputs(command->option_count > 0 ? " [OPTIONS]" : "", out);
	fputs(*command->operands ? " " : "", out);
	put(out, command->operands);
	fputs("\n.SH DESCRIPTION\n", out);
	put_lines(out, command->about);
	if (command->option_count > 0)
		fputs(".SH OPTIONS\n", out);
	for (size_t i = 0; i < command->option_count; i++)
		put_option(out, &command->options[i]);
	put_statuses(out);
	fputs(".SH SEE ALSO\n.BR rootlet (1)\n", out);
}

static void put_variables(FILE *out)
{
	static const char *const variables[][2] = {
		{ "ROOTLET_CACHE", "where tables and fetched bytes are kept" },
		{ "REGISTRY_AUTH_FILE, DOCKER_CONFIG", "where credentials are" },
		{ "HTTP_PROXY, HTTPS_PROXY, NO_PROXY", "proxies, as curl reads them" },
		{ "NO_COLOR, LS_COLORS", "colours on a terminal" },
	};
	fputs(".SH ENVIRONMENT\n", out);
	for (size_t i = 0; i < N_ELEMENTS(variables); i++) {
		fputs(".TP\n", out);
		put_bold(out, variables[i][0]);
		fprintf(out, "\n%s\n", variables[i][1]);
	}
}

void man_all(FILE *out, const struct commands *commands)
{
	put_title(out, "rootlet");
	fputs(".SH NAME\nrootlet \\- root filesystems of container images\n.SH SYNOPSIS\n", out);
	fputs("\\fBrootlet\\fR COMMAND [OPTIONS] ...\n.SH DESCRIPTION\n", out);
	fputs("Gives the root filesystem of a container image, straight from a registry:\n"
	      "unpacked, mounted with its bytes fetched when they are read, or looked into.\n",
	      out);
	fputs(".SH COMMANDS\n", out);
	for (size_t i = 0; i < commands->count; i++) {
		const struct command *command = commands->all[i];
		fputs(".TP\n", out);
		put_bold(out, command->name);
		fputs(" ", out);
		put(out, command->operands);
		fputc('\n', out);
		put(out, command->summary);
		fputc('\n', out);
	}
	fputs(".SH IMAGES\n", out);
	put_lines(out, help_images);
	put_statuses(out);
	put_variables(out);
	fputs(".SH SEE ALSO\n", out);
	for (size_t i = 0; i < commands->count; i++)
		fprintf(out, ".BR rootlet\\-%s (1)%s\n", commands->all[i]->name,
			i + 1 < commands->count ? "," : "");
}
