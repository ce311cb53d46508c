/* Header lines of answers: limits hold, and what is kept can be read back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct headers *headers)
{
	uint64_t length = 0;
	if (headers->lines > HEADERS_MAX_LINES || headers->bytes > HEADERS_MAX_BYTES)
		abort();
	for (size_t i = 0; headers_get(headers, "X-A", i); i++) {
		if (i > HEADERS_MAX_LINES)
			abort();
	}
	if (headers_content_length(headers, &length) && length > INT64_MAX && length != UINT64_MAX)
		abort();
	(void)headers_is_identity(headers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct headers headers;
	const char *at = (const char *)data, *problem = NULL;
	headers_init(&headers);
	while (size > 0 && !problem) {
		const char *end = memchr(at, '\n', size);
		size_t n = end ? (size_t)(end + 1 - at) : size;
		problem = headers_add(&headers, at, n);
		at += n;
		size -= n;
	}
	if (!problem)
		check(&headers);
	headers_release(&headers);
	return 0;
}
