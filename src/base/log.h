/*
 * Debug lines, off unless a sink is set.  The floors below term/ say nothing else.
 * Text from outside goes through esc() first; secrets never get here.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* Set once by the program before threads start; NULL turns debug lines off.  LINE has no newline.
 */
void log_set_sink(void (*sink)(void *arg, const char *line), void *arg);
bool log_enabled(void);
void log_debug(const char *format, ...) PRINTF_LIKE(1, 2);
