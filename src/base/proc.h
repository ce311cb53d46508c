/* Running a helper program: exec without a shell, input on stdin, bounded output, a deadline. */
#pragma once

#include <stddef.h>

#include "base/err.h"

#define PROC_OUTPUT_MAX_BYTES (1024 * 1024)

struct proc_result {
	int status;   /* exit status, or 128 + signal */
	char *output; /* owned: stdout, NUL-terminated */
	size_t size;  /* of output */
};

/*
 * Run argv[0] (searched in PATH) with INPUT on stdin; stderr is discarded.
 * -ENOENT no such program; -ETIMEDOUT it ran longer than timeout_ms (it is killed); -E2BIG it
 * printed more than PROC_OUTPUT_MAX_BYTES.  A non-zero exit is not an error here.
 */
MUST_USE int proc_run(struct proc_result *out, const char *const *argv, const void *input,
		      size_t input_size, unsigned timeout_ms, struct err *err);
void proc_result_release(struct proc_result *result);
