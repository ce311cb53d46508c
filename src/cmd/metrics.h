/* The status of mounts as metrics, in Prometheus' text format 0.0.4. */
#pragma once

#include <stddef.h>

struct json;

/* To stdout: each metric once with its type, with a sample of each mount or layer. */
void metrics_print(struct json *const *mounts, size_t count);
