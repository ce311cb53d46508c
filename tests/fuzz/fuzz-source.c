/* The stdin of check, in and out: any bytes are read or refused with a word. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "resource/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum source_step steps[] = { STEP_CHECK, STEP_IN, STEP_OUT };
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct request request = { 0 };
		struct err err = { 0 };
		if (request_parse(&request, steps[i], data, size, &err) < 0) {
			assert(err.code < 0 && err.text[0] && !request.source.repository);
			continue;
		}
		assert(request.source.repository && request.source.repository[0]);
		struct platform platform;
		(void)!request_platform(&request, &platform, &err);
		request_release(&request);
	}
	return 0;
}
