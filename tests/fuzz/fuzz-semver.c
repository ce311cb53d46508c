/* Versions and constraints, "CONSTRAINT\nVERSION\nVERSION": the order is one, and nothing is read
 * past its end. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "resource/semver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_order(const struct semver *a, const struct semver *b)
{
	int forth = semver_compare(a, b), back = semver_compare(b, a);
	if ((forth > 0) != (back < 0) || (forth == 0) != (back == 0) || semver_compare(a, a) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = mem_strndup((const char *)data, size);
	char *rest = text, *lines[3];
	for (size_t i = 0; i < N_ELEMENTS(lines); i++)
		lines[i] = rest ? strsep(&rest, "\n") : text;
	AUTO(constraint) constraint = NULL;
	auto_semver a = { 0 }, b = { 0 };
	struct err err = { 0 };
	int r = constraint_parse(&constraint, lines[0], &err);
	if (r < 0 && err.text[0] == '\0')
		abort();
	bool first = semver_parse(&a, lines[1]), second = semver_parse(&b, lines[2]);
	if (first && second)
		check_order(&a, &b);
	/* what is equal is judged equally */
	if (first && second && r == 0 && semver_compare(&a, &b) == 0 &&
	    constraint_allows(constraint, &a) != constraint_allows(constraint, &b))
		abort();
	return 0;
}
