/* The sink is the one global below term/: written before threads start, read-only afterwards. */
#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static void (*log_sink)(void *arg, const char *line);
static void *log_arg;

void log_set_sink(void (*sink)(void *arg, const char *line), void *arg)
{
	log_sink = sink;
	log_arg = arg;
}

bool log_enabled(void)
{
	return log_sink != NULL;
}

void log_debug(const char *format, ...)
{
	if (!log_sink)
		return;
	char line[ERR_TEXT_MAX_BYTES];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	log_sink(log_arg, line);
}
