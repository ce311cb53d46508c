/*
 * Signals belong to the process, so their state is process-wide too: set by the handler, read by
 * anyone.  main.c installs and finishes; the commands hand the flag down.
 */
#include "term/cancel.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

static atomic_bool cancelled;
static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	if (atomic_exchange(&cancelled, true))
		_exit(128 + number);
	caught = number;
}

void cancel_on_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	(void)sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct sigaction old;
		/* what the caller ignores (nohup) stays ignored */
		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN)
			continue;
		(void)sigaction(numbers[i], &action, NULL);
	}
}

const atomic_bool *cancel_flag(void)
{
	return &cancelled;
}

void cancel_finish(void)
{
	int number = caught;
	if (!number)
		return;
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}
