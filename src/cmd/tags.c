/*
 * "rootlet tags REPOSITORY": as the registry lists them, or sorted.  By version the newest is last,
 * nearest to the prompt; what is no version comes first.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/begin.h"

#define LINE_MAX_BYTES 4096
#define NUMBERS 3

struct tags_args {
	struct look_args look;
	const char *sort;
};

static const struct opt options[] = {
	{ "sort", OPT_TEXT, offsetof(struct tags_args, sort), "name|semver",
	  "default: in the order of the registry" },
	LOOK_OPTIONS("print a JSON object a line"),
};

/* "v1.2.3-rc.1+b": up to three numbers, what is missing is 0. */
struct version {
	const char *tag; /* borrowed */
	bool is_one;
	unsigned long long numbers[NUMBERS];
	const char *prerelease; /* borrowed; "" when none */
};

/* A number at *AT, which moves behind it; false when there is none, or one too large. */
static bool take_number(const char **at, unsigned long long *out)
{
	size_t n = strspn(*at, "0123456789");
	auto_free char *digits = mem_strndup(*at, n);
	*at += n;
	return str_parse_u64(digits, out);
}

static void read_version(struct version *out, const char *tag)
{
	const char *at = tag + (*tag == 'v');
	*out = (struct version){ .tag = tag, .prerelease = "" };
	for (size_t i = 0; i < NUMBERS; i++) {
		if (!take_number(&at, &out->numbers[i]))
			return;
		if (*at != '.' || i + 1 == NUMBERS)
			break;
		at++;
	}
	if (*at && *at != '-' && *at != '+')
		return;
	out->is_one = true;
	if (*at == '-')
		out->prerelease = at + 1;
}

static int compare_numbers(unsigned long long a, unsigned long long b)
{
	return (a > b) - (a < b);
}

/* One identifier of a prerelease: numbers by value and before words (semver 2.0 section 11). */
static int compare_identifier(const char *a, size_t a_size, const char *b, size_t b_size)
{
	unsigned long long x, y;
	auto_free char *left = mem_strndup(a, a_size);
	auto_free char *right = mem_strndup(b, b_size);
	bool a_number = str_parse_u64(left, &x), b_number = str_parse_u64(right, &y);
	if (a_number && b_number)
		return compare_numbers(x, y);
	if (a_number != b_number)
		return a_number ? -1 : 1;
	return strcmp(left, right);
}

static int compare_prerelease(const char *a, const char *b)
{
	if (!*a || !*b)
		return (*a == '\0') - (*b == '\0');
	while (*a && *b) {
		size_t m = strcspn(a, ".+"), n = strcspn(b, ".+");
		int r = compare_identifier(a, m, b, n);
		if (r != 0)
			return r;
		a += m + (a[m] != '\0');
		b += n + (b[n] != '\0');
	}
	return (*a != '\0') - (*b != '\0');
}

static int by_version(const void *x, const void *y)
{
	const struct version *a = x, *b = y;
	int r = (int)a->is_one - (int)b->is_one;
	for (size_t i = 0; r == 0 && a->is_one && i < NUMBERS; i++)
		r = compare_numbers(a->numbers[i], b->numbers[i]);
	if (r == 0 && a->is_one)
		r = compare_prerelease(a->prerelease, b->prerelease);
	return r ? r : strcmp(a->tag, b->tag);
}

static int by_name(const void *x, const void *y)
{
	return strcmp(((const struct version *)x)->tag, ((const struct version *)y)->tag);
}

static void print_tag(struct print *print, const char *tag, bool json)
{
	if (!json) {
		print_text(print, tag);
		print_end(print);
		return;
	}
	auto_str line = STR_MAX(LINE_MAX_BYTES);
	str_add(&line, "{\"tag\":");
	print_json_text(&line, tag);
	str_addc(&line, '}');
	print_line(print, &line);
}

static int print_tags(struct print *print, const struct tags *tags, const struct tags_args *args,
		      struct err *err)
{
	void *memory = NULL;
	int r = mem_try(&memory, tags->count + 1, sizeof(struct version), err);
	auto_free struct version *versions = memory;
	if (r < 0)
		return r;
	for (size_t i = 0; i < tags->count; i++)
		read_version(&versions[i], tags->names[i]);
	if (args->sort)
		qsort(versions, tags->count, sizeof(*versions),
		      str_equal(args->sort, "semver") ? by_version : by_name);
	for (size_t i = 0; i < tags->count; i++)
		print_tag(print, versions[i].tag, args->look.json);
	return 0;
}

static int list(struct look *look, struct print *print, const char *name,
		const struct tags_args *args, struct err *err)
{
	struct repo *repo;
	auto_tags tags = { 0 };
	int r = look_repository(look, name, &repo, err);
	if (r == 0)
		r = repo_tags(repo, &tags, err);
	return r < 0 ? r : print_tags(print, &tags, args, err);
}

static int run(int argc, char **argv)
{
	struct tags_args args = { .look = LOOK_DEFAULTS };
	struct err err = { 0 };
	int operands, status;
	if (!begin_look(&cmd_tags, &args.look, argc, argv, 1, 1, &operands, &status))
		return status;
	if (args.sort && !str_equal(args.sort, "name") && !str_equal(args.sort, "semver")) {
		(void)err_set(&err, EINVAL, "'--sort' wants name or semver");
		return cmd_usage(cmd_tags.name, &err);
	}
	AUTO(look) look = NULL;
	AUTO(print) print = print_new(false);
	int r = look_new(&look, &args.look, &err);
	if (r == 0)
		r = list(look, print, argv[1], &args, &err);
	return end_look(look, print, r, &err);
}

const struct command cmd_tags = {
	.name = "tags",
	.operands = "REPOSITORY",
	.summary = "list the tags of a repository",
	.about = "Prints the tags of REPOSITORY, HOST/NAME without a tag (or of a layout or an\n"
		 "archive), a line each.  --sort=semver has versions at the end, the newest\n"
		 "last.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
