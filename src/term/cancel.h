/*
 * SIGINT, SIGTERM and SIGHUP ask the program to stop: the first sets a flag that whoever works
 * looks at, undoes what was begun and fails with -ECANCELED; the second ends the program at once.
 */
#pragma once

#include <stdatomic.h>

/* Install the handlers; once, before threads start. */
void cancel_on_signals(void);

/* Becomes true at the first signal; never freed. */
const atomic_bool *cancel_flag(void);

/* After everything was undone: die of the signal that was caught, so that a calling shell knows.
 * Returns when there was none. */
void cancel_finish(void);
