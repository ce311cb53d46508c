/* Compiled and source files of interpreters: names are strings of a limited length. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "image/module-names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void found(void *arg, const struct module_name *name)
{
	(void)arg;
	assert(strlen(name->module) < MODULE_NAME_MAX_BYTES);
	assert(!name->name || strlen(name->name) < MODULE_NAME_MAX_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct module_names names = { found, NULL };
	(void)module_names_pyc(data, size, &names);
	module_names_python((const char *)data, size, &names);
	module_names_javascript((const char *)data, size, &names);
	return 0;
}
