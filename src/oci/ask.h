/* A request with a small answer, tried until it has an answer that means something. */
#pragma once

#include "base/err.h"
#include "oci/request.h"

/*
 * Send REQUEST until its answer has one of the statuses WANTED (ends with 0); OUT is that answer,
 * released by the caller.  Any other is an error as reply_error has it, tried again where that may
 * help.
 */
MUST_USE int ask_endpoint(struct answer *out, struct endpoint *endpoint,
			  const struct request *request, const int *wanted, struct err *err);
