/* A list of mounts never leads outside its text; what is found has ends. */
#include <stdlib.h>

#include "base/mem.h"
#include "fuse/mountinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = mem_strndup((const char *)data, size);
	struct mountinfo info;
	if (mountinfo_search(&info, text, "/mnt") &&
	    (strlen(info.type) >= sizeof(info.type) || strlen(info.source) >= sizeof(info.source)))
		abort();
	return 0;
}
