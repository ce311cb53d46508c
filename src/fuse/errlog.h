/*
 * What went wrong under a mount: the last lines in memory for the status, all of them in ID.log,
 * which starts anew when it gets large.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "fuse/run-dir.h"

#define ERRLOG_KEPT 20
#define ERRLOG_LINE_BYTES 512
#define ERRLOG_FILE_MAX_BYTES (1024u * 1024)

struct errlog;

struct errlog_line {
	int64_t time_s; /* Unix time */
	char text[ERRLOG_LINE_BYTES];
};

/* ECHO (may be NULL) is shown each line too.  Without a file lines are kept in memory all the same.
 */
struct errlog *errlog_new(const struct run_dir *run, const char *id,
			  void (*echo)(void *arg, const char *text), void *arg);
void errlog_free(struct errlog *log);
DEFINE_AUTO(errlog)

/* Any thread.  TEXT was escaped where it was made. */
void errlog_add(struct errlog *log, const char *text);
void errlog_addf(struct errlog *log, const char *format, ...) PRINTF_LIKE(2, 3);

/* The last lines, oldest first, into OUT (ERRLOG_KEPT of them); how many. */
size_t errlog_last(struct errlog *log, struct errlog_line *out);

/* Standard error goes into the file from now on: what a library says before it aborts. */
void errlog_take_stderr(struct errlog *log);
/* Starts the file anew when what went in by stderr made it large. */
void errlog_trim(struct errlog *log);
