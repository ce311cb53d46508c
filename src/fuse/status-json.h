/* The object of a mount's status from values, so that it can be tested without a mount. */
#pragma once

#include "base/str.h"
#include "fuse/errlog.h"
#include "fuse/fs.h"

struct status_values {
	const char *image, *directory; /* all borrowed */
	struct digest digest, manifest;
	pid_t daemon, supervisor; /* 0: nobody */
	unsigned restarts;
	int64_t started_s, now_s;
	const char *trust_wanted, *fill;
	uint64_t files, file_bytes;
	double open_seconds;
	uint64_t open_bytes, open_requests;
	int64_t stale_since_s; /* 0: not stale */
	const char *cache_path, *cache_trouble;
	const struct fs_counters *counters;
	const struct lazy_layer_status *layers;
	size_t layer_count;
	const struct errlog_line *errors;
	size_t error_count;
};

/* One line without a newline; OUT's maximum is the caller's. */
void status_write(struct str *out, const struct status_values *values);

/*
 * Upper bound in milliseconds of what the fraction Q (0.5, 0.99) of misses took, from a histogram
 * of lazy_layer_status; negative when there were none.
 */
double status_quantile(const uint64_t *latency, double q);
#define STATUS_BUCKETS 16
