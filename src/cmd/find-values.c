/* Small strict parsers: a value that is only nearly right is refused, not guessed. */
#include "cmd/find-values.h"

#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"

bool find_parse_number(struct find_number *out, const char *text)
{
	struct find_number number = { .unit = 1 };
	unsigned long long value;
	if (*text == '+' || *text == '-')
		number.order = *text++ == '+' ? FIND_MORE : FIND_LESS;
	if (!str_parse_u64(text, &value))
		return false;
	number.value = value;
	*out = number;
	return true;
}

static uint64_t unit_of(char letter)
{
	switch (letter) {
	case 'c':
		return 1;
	case 'w':
		return 2;
	case 'b':
		return 512;
	case 'k':
		return 1024;
	case 'M':
		return 1024 * 1024;
	case 'G':
		return 1024 * 1024 * 1024;
	default:
		return 0;
	}
}

bool find_parse_size(struct find_number *out, const char *text)
{
	size_t length = strlen(text);
	uint64_t unit = length > 0 ? unit_of(text[length - 1]) : 0;
	auto_free char *number = mem_strndup(text, length - (unit > 0));
	if (!find_parse_number(out, number))
		return false;
	out->unit = unit > 0 ? unit : 512;
	return true;
}

bool find_number_holds(const struct find_number *number, uint64_t value)
{
	value = value / number->unit + (value % number->unit != 0);
	switch (number->order) {
	case FIND_MORE:
		return value > number->value;
	case FIND_LESS:
		return value < number->value;
	case FIND_EXACT:
	default:
		return value == number->value;
	}
}

static bool parse_octal(uint32_t *out, const char *text)
{
	uint32_t bits = 0;
	if (!*text || strlen(text) > 5 || strspn(text, "01234567") != strlen(text))
		return false;
	for (; *text; text++)
		bits = bits << 3 | (uint32_t)(*text - '0');
	*out = bits;
	return bits <= 07777;
}

static uint32_t who_mask(char letter)
{
	return letter == 'u' ? 04700 : letter == 'g' ? 02070 : letter == 'o' ? 01007 : 07777;
}

static uint32_t what_bits(char letter)
{
	switch (letter) {
	case 'r':
		return 0444;
	case 'w':
		return 0222;
	case 'x':
		return 0111;
	case 's':
		return 06000;
	case 't':
		return 01000;
	default:
		return 0;
	}
}

/* One of "u+s,g=rx"; *text moves behind it.  From nothing, + and = are the same. */
static bool parse_clause(uint32_t *bits, const char **text)
{
	size_t who = strspn(*text, "ugoa");
	uint32_t mask = who > 0 ? 0 : 07777;
	for (size_t i = 0; i < who; i++)
		mask |= who_mask((*text)[i]);
	*text += who;
	char operation = **text;
	if (operation != '+' && operation != '=' && operation != '-')
		return false;
	++*text;
	size_t what = strspn(*text, "rwxst");
	uint32_t given = 0;
	for (size_t i = 0; i < what; i++)
		given |= what_bits((*text)[i]);
	*text += what;
	/* +t is for all, whoever is named */
	given &= mask | (strchr(*text - what, 't') ? 01000 : 0);
	if (operation == '-')
		*bits &= ~given;
	else
		*bits = operation == '=' ? (*bits & ~mask) | given : *bits | given;
	return true;
}

static bool parse_symbolic(uint32_t *out, const char *text)
{
	uint32_t bits = 0;
	bool good = parse_clause(&bits, &text);
	while (good && *text == ',') {
		text++;
		good = parse_clause(&bits, &text);
	}
	*out = bits;
	return good && *text == '\0';
}

bool find_parse_perm(struct find_perm *out, const char *text)
{
	struct find_perm perm = { FIND_PERM_EXACT, 0 };
	if (*text == '-' || *text == '/')
		perm.kind = *text++ == '-' ? FIND_PERM_ALL : FIND_PERM_ANY;
	if (!parse_octal(&perm.bits, text) && !parse_symbolic(&perm.bits, text))
		return false;
	*out = perm;
	return true;
}

bool find_perm_holds(const struct find_perm *perm, uint32_t mode)
{
	mode &= 07777;
	switch (perm->kind) {
	case FIND_PERM_ALL:
		return (mode & perm->bits) == perm->bits;
	case FIND_PERM_ANY:
		return perm->bits == 0 || (mode & perm->bits) != 0;
	case FIND_PERM_EXACT:
	default:
		return mode == perm->bits;
	}
}

bool find_parse_time(int64_t *seconds, const char *text)
{
	static const char *const formats[] = { "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M",
					       "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M" };
	unsigned long long number;
	if (*text == '@') {
		if (!str_parse_u64(text + 1, &number) || number > INT64_MAX)
			return false;
		*seconds = (int64_t)number;
		return true;
	}
	for (size_t i = 0; i < N_ELEMENTS(formats); i++) {
		struct tm tm = { .tm_isdst = -1 };
		const char *end = strptime(text, formats[i], &tm);
		if (!end || (*end && !str_equal(end, "Z")))
			continue;
		*seconds = *end ? timegm(&tm) : mktime(&tm);
		return true;
	}
	return false;
}
