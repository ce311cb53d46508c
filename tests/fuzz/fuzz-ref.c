/* References: what was understood can be written, and reads back to the same. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/platform.h"
#include "oci/ref.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = mem_strndup((const char *)data, size);
	auto_ref ref = { 0 }, again = { 0 }, repository = { 0 };
	struct err err = { 0 };
	struct platform p;
	if (ref_parse(&ref, text, &err) == 0) {
		auto_free char *written = ref_text(&ref);
		if (ref_parse(&again, written, NULL) < 0 || !str_equal(ref.host, again.host) ||
		    !str_equal(ref.name, again.name) || !str_equal(ref.path, again.path) ||
		    !str_equal(ref.tag, again.tag) || !digest_equal(&ref.digest, &again.digest))
			abort();
	} else if (err.text[0] == '\0') {
		abort();
	}
	if (ref_parse_repository(&repository, text, NULL) == 0 && repository.tag)
		abort();
	if (platform_parse(&p, text, NULL) == 0 && platform_match(&p, &p) <= 0)
		abort();
	return 0;
}
