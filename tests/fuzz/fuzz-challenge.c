/* WWW-Authenticate: whatever a server sends, what is kept is bounded and has no control characters.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "oci/challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *member)
{
	for (const char *p = member ? member : ""; *p; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			abort();
	if (member && strlen(member) > CHALLENGE_VALUE_MAX_BYTES)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct challenges list = { 0 };
	auto_free char *value = mem_new(size + 1);
	memcpy(value, data, size);
	bool good = challenges_add(&list, value, NULL) == 0;
	if (list.count > CHALLENGES_MAX || (!good && list.count > 0))
		abort();
	for (size_t i = 0; i < list.count; i++) {
		check(list.items[i].realm);
		check(list.items[i].service);
		check(list.items[i].scope);
		check(list.items[i].error);
	}
	challenges_release(&list);
	return 0;
}
