/* JSON: what is accepted can be written, and what was written reads back to the same text. */
#include <stdlib.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_compare(const struct json *json)
{
	auto_str first = STR_MAX(1u << 24), second = STR_MAX(1u << 24);
	json_add_value(&first, json_root(json));
	AUTO(json) again = NULL;
	if (first.failed || json_parse(&again, first.data, first.length, 0, NULL) < 0)
		abort();
	json_add_value(&second, json_root(again));
	if (!str_equal(str_text(&first), str_text(&second)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(json) whole = NULL;
	AUTO(json) first = NULL;
	struct err err = { 0 };
	if (json_parse(&first, data, size, JSON_ALLOW_TRAILING, &err) == 0)
		write_and_compare(first);
	else if (err.code == 0 || err.text[0] == '\0')
		abort();
	if (json_parse(&whole, data, size, 0, NULL) == 0 && !first)
		abort();
	return 0;
}
