/*
 * What people see while an image is fetched.  On a terminal: one line a layer and a total with rate
 * and time left, redrawn at most ten times a second.  Without one (Concourse): a plain line a layer
 * when it is done and one every few seconds.  Nothing when quiet.  All on stderr.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "image/progress.h"

enum report_mode {
	REPORT_AUTO, /* a terminal or plain, by isatty(2) and TERM */
	REPORT_QUIET,
	REPORT_LOG, /* --debug, source.debug: log lines instead of progress */
};

struct report;
/* Starts a thread that watches PROGRESS (borrowed) until report_free. */
struct report *report_new(struct progress *progress, enum report_mode mode);
/* Draws the last state; the lines of a terminal stay as they are. */
void report_free(struct report *report);
DEFINE_AUTO(report)

/* "1.3 MiB", "12.1 s": small helpers for final lines. */
struct report_text {
	char text[32];
};
struct report_text report_size(uint64_t bytes);
struct report_text report_seconds(double seconds);

/* A line on stderr that does not tear a progress display; a newline is added. */
void report_line(const char *format, ...) PRINTF_LIKE(1, 2);
/* Sends log_debug to stderr as lines with the seconds since start. */
void report_log_to_stderr(void);
