/* Which tags are versions, and which of them are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/str.h"
#include "resource/select.h"

/* "TAG=N TAG=N": tags and a number for the digest; 0: it is not there. */
static void read_tags(struct tags *out, const char *text)
{
	auto_free char *copy = mem_strdup(text);
	char *rest = copy;
	for (char *word; (word = strsep(&rest, " "));)
		assert_int_equal(tags_add(out, word, NULL), 0);
}

/* Cuts "=N" off a candidate's tag and lets it name that digest. */
static void look(struct selection *selection, struct tags *tags, const struct source *source,
		 const struct constraint *constraint)
{
	auto_free unsigned char *numbers = mem_new(tags->count + 1);
	for (size_t i = 0; i < tags->count; i++) {
		char *sign = strchr(tags->names[i], '=');
		numbers[i] = (unsigned char)sign[1];
		*sign = '\0';
	}
	assert_int_equal(selection_make(selection, tags, source, constraint, NULL), 0);
	for (size_t i = 0; i < selection->count; i++) {
		struct candidate *item = &selection->items[i];
		unsigned char number = numbers[item->place - 1];
		item->look.there = number != '0';
		digest_of(&item->look.digest, DIGEST_SHA256, &number, 1);
	}
}

static char *join(const struct selection *selection)
{
	struct str text = STR_MAX(1024);
	for (size_t i = 0; i < selection->count; i++)
		str_addf(&text, "%s%s", i > 0 ? " " : "", selection->items[i].look.tag);
	return str_take(&text);
}

static void test_selection_tells_the_best_tag_of_each_image(void **state)
{
	(void)state;
	char slim[] = "slim", dev[] = "dev", *prefixes[] = { dev };
	static const struct source plain;
	const struct source pre = { .pre_releases = true };
	const struct source variant = { .variant = slim };
	const struct source more = { .pre_releases = true,
				     .pre_release_prefixes = { prefixes, 1 } };
	const struct {
		const char *tags;
		const struct source *source;
		const char *constraint, *cursor, *told;
	} cases[] = {
		{ "1.10=a 1.9=b 1.9.1=0 x=c latest=d", &plain, NULL, NULL, "1.9 1.10" },
		{ "1=a 1.2=a 1.2.3=a", &plain, NULL, NULL, "1.2.3" },
		{ "1.2.3=a v1.2.3=a 1.2.4=a", &plain, NULL, NULL, "1.2.3" },
		{ "1.2.4=a v1.2.3=a 1.2.3=a", &plain, NULL, NULL, "1.2.4" },
		{ "1.2.3-rc.1=a 1=a", &pre, NULL, NULL, "1" },
		{ "1.0.0=a 1.0=b 1=c v1.0.0=d", &plain, NULL, NULL, "1 1.0 1.0.0 v1.0.0" },
		{ "1-rc=a 1-rc-x=b 1-dev=c 1-alpha.2=d", &pre, NULL, NULL, "1-alpha.2 1-rc" },
		{ "1-rc=a 1-rc-x=b 1-dev=c 1-nightly=d", &more, NULL, NULL, "1-dev 1-rc 1-rc-x" },
		{ "1-rc=a 1=b", &plain, NULL, NULL, "1" },
		{ "1-slim=a 2=b slim=c 3slim=d -slim=e 1.1-slim=f", &variant, NULL, NULL,
		  "1-slim 1.1-slim" },
		{ "1.0=a 1.5=b 2.0=c", &plain, "<2", NULL, "1.0 1.5" },
		/* a cursor: what is not greater is passed over, it keeps its name */
		{ "1.0=a 1.5=b 1.5.0=c 2.0=d", &plain, NULL, "1.5", "1.5 2.0" },
		{ "1.1=a 1.2.0=b 1.2.1=b 1.3=c", &plain, NULL, "1.2.1", "1.2.1 1.3" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_tags tags = { 0 };
		auto_selection selection = { 0 };
		AUTO(constraint) constraint = NULL;
		read_tags(&tags, cases[i].tags);
		if (cases[i].constraint)
			assert_int_equal(constraint_parse(&constraint, cases[i].constraint, NULL),
					 0);
		look(&selection, &tags, cases[i].source, constraint);
		if (cases[i].cursor)
			selection_pass(&selection, selection_find(&selection, cases[i].cursor));
		selection_best(&selection);
		auto_free char *told = join(&selection);
		if (strcmp(told, cases[i].told) != 0)
			fail_msg("'%s' gives '%s'", cases[i].tags, told);
	}
}

static void test_the_bare_tag_is_the_variant_or_latest(void **state)
{
	(void)state;
	char slim[] = "slim";
	assert_string_equal(selection_bare(&(struct source){ .variant = slim }), "slim");
	assert_string_equal(selection_bare(&(struct source){ 0 }), "latest");
	auto_selection none = { 0 };
	assert_null(selection_find(&none, "1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_selection_tells_the_best_tag_of_each_image),
		cmocka_unit_test(test_the_bare_tag_is_the_variant_or_latest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
