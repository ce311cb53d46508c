/* What clouds answer: STS's XML, and times; what comes out fits into a line and is bounded. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "oci/creds-aws.h"
#include "oci/creds-http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WEEK_MS ((uint64_t)7 * 24 * 60 * 60 * 1000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = mem_new(size + 1);
	memcpy(text, data, size);
	auto_free char *id = aws_xml_credential(text, "AccessKeyId");
	if (id && (strpbrk(id, "<&") || strlen(id) > size))
		abort();
	if (cloud_check_secret(id, "it", "who", NULL) == 0 &&
	    (strpbrk(id, " \r\n\t") || strlen(id) > CLOUD_SECRET_MAX_BYTES))
		abort();
	if (cloud_until_ms(text) > WEEK_MS)
		abort();
	return 0;
}
