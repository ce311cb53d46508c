/*
 * The option table.  A parser of our own rather than getopt_long: no abbreviations (which break
 * when an option is added), errors as values, and the nearest name for a mistyped one.
 */
#include "cmd/opts.h"

#include <errno.h>
#include <string.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"

#define OPTIONS_MAX 64
#define HELP_WIDTH 80
#define HELP_INDENT 28

char opt_letter(const struct opt *opt)
{
	return opt->name[1] == ',' ? opt->name[0] : '\0';
}

const char *opt_word(const struct opt *opt)
{
	return opt_letter(opt) ? opt->name + 2 : opt->name;
}

static const struct opt *find(const struct opt *list, size_t count, const char *name, size_t length)
{
	for (size_t i = 0; i < count && length > 0; i++) {
		const char *word = opt_word(&list[i]);
		if (strlen(word) == length && memcmp(word, name, length) == 0)
			return &list[i];
	}
	return NULL;
}

static const struct opt *find_letter(const struct opt *list, size_t count, char letter)
{
	for (size_t i = 0; i < count && letter; i++) {
		if (opt_letter(&list[i]) == letter)
			return &list[i];
	}
	return letter == 'h' ? find(list, count, "help", strlen("help")) : NULL;
}

struct shown {
	char text[64];
};

/* As people write it: "--long", or "-l" when that is all. */
static struct shown show(const struct opt *opt)
{
	struct shown shown;
	const char *word = opt_word(opt);
	if (*word)
		(void)snprintf(shown.text, sizeof(shown.text), "--%s", word);
	else
		(void)snprintf(shown.text, sizeof(shown.text), "-%c", opt_letter(opt));
	return shown;
}

/* One that begins with WORD, or is spelled nearly like it; or NULL. */
static const char *nearest(const struct opt *list, size_t count, const char *word)
{
	const char *names[OPTIONS_MAX];
	size_t n = 0;
	for (; n < count && n < OPTIONS_MAX; n++) {
		names[n] = opt_word(&list[n]);
		if (*word && str_starts(names[n], word))
			return names[n];
	}
	return str_nearest(word, names, n);
}

static int unknown(const struct opt *list, size_t count, const char *arg, struct err *err)
{
	size_t dashes = strspn(arg, "-");
	auto_free char *word = mem_strndup(arg + dashes, strcspn(arg + dashes, "="));
	const char *near = nearest(list, count, word);
	if (!near)
		return err_set(err, EINVAL, "unknown option '%s'", esc(arg));
	return err_set(err, EINVAL, "unknown option '%s': did you mean '--%s'?", esc(arg), near);
}

bool opts_parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	size_t digits = strspn(text, "0123456789");
	auto_free char *number = mem_strndup(text, digits);
	unsigned long long value;
	if (!str_parse_u64(number, &value) || value == 0)
		return false;
	const char *unit = text + digits;
	uint64_t size = value;
	if (*unit) {
		const char *found = strchr(units, *unit);
		if (!found || unit[1])
			return false;
		if (!mul_ok(size, (uint64_t)1 << 10 * (found - units + 1), &size))
			return false;
	}
	*out = size;
	return true;
}

static int set_bool(bool *out, const struct opt *opt, const char *value, struct err *err)
{
	if (str_equal(value, "true") || str_equal(value, "false")) {
		*out = str_equal(value, "true");
		return 0;
	}
	return err_set(err, EINVAL, "'%s' wants true or false, not '%s'", show(opt).text,
		       esc(value));
}

static int set_count(unsigned *out, const struct opt *opt, const char *value, struct err *err)
{
	unsigned long long number;
	if (!str_parse_u64(value, &number) || number < 1 || number > OPT_COUNT_MAX)
		return err_set(err, EINVAL, "'%s' wants a number from 1 to %d, not '%s'",
			       show(opt).text, OPT_COUNT_MAX, esc(value));
	*out = (unsigned)number;
	return 0;
}

static int set(void *into, const struct opt *opt, const char *value, struct err *err)
{
	void *member = (char *)into + opt->offset;
	switch (opt->kind) {
	case OPT_FLAG:
		*(bool *)member = true;
		return 0;
	case OPT_BOOL:
		return set_bool(member, opt, value ? value : "true", err);
	case OPT_TEXT:
		if (!*value)
			return err_set(err, EINVAL, "'%s' wants %s, not nothing", show(opt).text,
				       opt->value);
		*(const char **)member = value;
		return 0;
	case OPT_COUNT:
		return set_count(member, opt, value, err);
	case OPT_SIZE:
		if (opts_parse_size(value, member))
			return 0;
		return err_set(err, EINVAL, "'%s' wants a size like 500M or 10G, not '%s'",
			       show(opt).text, esc(value));
	}
	return err_set(err, EINVAL, "'%s' has no kind", show(opt).text);
}

static bool wants_value(const struct opt *opt)
{
	return opt->kind != OPT_FLAG && opt->kind != OPT_BOOL;
}

/* VALUE, or the next word when it is NULL and one is wanted. */
static int take_value(void *into, const struct opt *opt, const char *value, int argc, char **argv,
		      int *at, struct err *err)
{
	if (wants_value(opt) && !value) {
		if (*at + 1 >= argc)
			return err_set(err, EINVAL, "'%s' wants %s", show(opt).text, opt->value);
		value = argv[++*at];
	}
	return set(into, opt, value, err);
}

/* -xyz, -xVALUE: letters up to the first that wants a value. */
static int take_letters(void *into, const struct opt *list, size_t count, int argc, char **argv,
			int *at, struct err *err)
{
	const char *arg = argv[*at];
	for (const char *letter = arg + 1; *letter; letter++) {
		const struct opt *opt = find_letter(list, count, *letter);
		if (!opt)
			return unknown(list, count, arg, err);
		bool wants = wants_value(opt);
		const char *value = wants && letter[1] ? letter + 1 : NULL;
		int r = take_value(into, opt, value, argc, argv, at, err);
		if (r < 0 || wants)
			return r;
	}
	return 0;
}

/* One option at argv[*at]; *at moves past the value it took. */
static int take(void *into, const struct opt *list, size_t count, int argc, char **argv, int *at,
		struct err *err)
{
	const char *arg = argv[*at];
	if (arg[1] != '-')
		return take_letters(into, list, count, argc, argv, at, err);
	const char *name = arg + 2;
	size_t length = strcspn(name, "=");
	const struct opt *opt = find(list, count, name, length);
	if (!opt)
		return unknown(list, count, arg, err);
	const char *value = name[length] == '=' ? name + length + 1 : NULL;
	if (opt->kind == OPT_FLAG && value)
		return err_set(err, EINVAL, "'%s' takes no value", show(opt).text);
	return take_value(into, opt, value, argc, argv, at, err);
}

int opts_parse(void *into, const struct opt *list, size_t count, int argc, char **argv,
	       int *operands, struct err *err)
{
	int n = 0;
	bool ended = false;
	for (int i = 1; i < argc; i++) {
		if (!ended && str_equal(argv[i], "--")) {
			ended = true;
		} else if (ended || argv[i][0] != '-' || !argv[i][1]) {
			argv[++n] = argv[i];
		} else {
			int r = take(into, list, count, argc, argv, &i, err);
			if (r < 0)
				return r;
		}
	}
	*operands = n;
	return 0;
}

/* HELP broken at spaces, each line from column HELP_INDENT on. */
static void show_folded(FILE *out, const char *help)
{
	const size_t width = HELP_WIDTH - HELP_INDENT;
	while (strlen(help) > width) {
		size_t cut = width;
		while (cut > 1 && help[cut] != ' ')
			cut--;
		fprintf(out, "%.*s\n%*s", (int)cut, help, HELP_INDENT, "");
		help += cut + 1;
	}
	fprintf(out, "%s\n", help);
}

/* "  -l, --long" */
static void add_names(struct str *out, const struct opt *opt)
{
	char letter = opt_letter(opt);
	const char *word = opt_word(opt);
	str_add(out, "  ");
	if (letter)
		str_addf(out, "-%c", letter);
	if (*word)
		str_addf(out, "%s--%s", letter ? ", " : "", word);
}

void opts_show(FILE *out, const struct opt *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		auto_str left = STR_MAX(HELP_WIDTH);
		add_names(&left, &list[i]);
		if (list[i].kind == OPT_BOOL)
			str_addf(&left, "[=%s]", list[i].value);
		else if (list[i].value)
			str_addf(&left, " %s", list[i].value);
		fprintf(out, "%-*s", HELP_INDENT, str_text(&left));
		if (left.length >= HELP_INDENT)
			fprintf(out, "\n%*s", HELP_INDENT, "");
		show_folded(out, list[i].help);
	}
}
