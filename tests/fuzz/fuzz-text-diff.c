/* Two texts, the second behind the first NUL: their difference never leaves them. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/text-diff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_line(void *arg, char mark, const char *text, size_t size)
{
	size_t *lines = arg;
	if (!strchr("@ -+\\", mark) || (size > 0 && memchr(text, '\n', size)))
		abort();
	*lines += mark == '-' || mark == '+';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const uint8_t *nul = memchr(data, 0, size);
	size_t first = nul ? (size_t)(nul - data) : size, rest = nul ? first + 1 : size, lines = 0;
	const struct text a = { (const char *)data, first };
	const struct text b = { (const char *)data + rest, size - rest };
	const struct text_diff_options options = { take_line, &lines };
	if (text_diff(&a, &b, &options, NULL) < 0)
		abort();
	if ((lines == 0) != (a.size == b.size && memcmp(a.data, b.data, a.size) == 0))
		abort();
	return 0;
}
