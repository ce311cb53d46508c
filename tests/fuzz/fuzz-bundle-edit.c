/* A manifest of any bytes with annotations set: what comes out is JSON with these, or an error. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "image/bundle-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char set[] = "{\"k\":\"<&>\"}";
	const struct bundle_edit edit = { .annotations = set, .to_oci = true };
	struct digest digest;
	struct err err = { 0 };
	auto_document document = { .bytes = mem_new(size + 1), .size = size };
	if (size > 0)
		memcpy(document.bytes, data, size);
	document.descriptor.media_type = mem_strdup(MEDIA_DOCKER_LIST);
	if (bundle_edit_document(&document, &edit, &err) < 0) {
		assert(err.code < 0 && err.text[0]);
		return 0;
	}
	AUTO(json) json = NULL;
	(void)!json_parse(&json, document.bytes, document.size, 0, NULL);
	assert(json);
	const struct json_value *k = json_get(json_get(json_root(json), "annotations"), "k");
	assert(json_string(k) && strcmp(json_string(k), "<&>") == 0);
	digest_of(&digest, DIGEST_SHA256, document.bytes, document.size);
	assert(digest_equal(&digest, &document.descriptor.digest));
	return 0;
}
