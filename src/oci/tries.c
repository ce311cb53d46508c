/* One row of tries.  Sleeping is bounded by retry.h (10 s, or 60 s when the server asks for it). */
#include "oci/tries.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/str.h"
#include "net/http-group.h"
#include "net/http.h"

unsigned tries_wait_base_ms(void)
{
	const char *base = getenv("ROOTLET_RETRY_BASE_MS");
	const char *test = getenv("TEST");
	unsigned long long ms = RETRY_BASE_MS;
	if (base && str_parse_u64(base, &ms))
		return ms < RETRY_BASE_MS ? (unsigned)ms : RETRY_BASE_MS;
	return test && str_equal(test, "true") ? 1 : RETRY_BASE_MS;
}

void tries_init(struct tries *tries, unsigned max, unsigned total_max, unsigned wait_base_ms)
{
	*tries = (struct tries){ .max = max, .total_max = total_max, .wait_base_ms = wait_base_ms };
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	retry_init(&tries->retry, (uint64_t)now.tv_nsec ^ (uint64_t)(uintptr_t)tries);
}

/* A moment's trouble is passed over, a network that is away is not waited for. */
#define HURRIED_TRIES 2u
#define HURRIED_WAIT_MS 5u

static int give_up(const struct tries *tries, int r, struct err *err)
{
	if (!err || tries->made < 2)
		return r;
	struct err before = *err;
	return err_set(err, -r, "%s (%u tries)", before.text, tries->made);
}

int tries_again(struct tries *tries, int r, int status, int64_t after, struct err *err)
{
	struct retry_result result = { .code = status ? 0 : r,
				       .status = status,
				       .retry_after = after };
	unsigned ms = 0;
	bool hurried = status == 0 && tries->hurried && atomic_load(tries->hurried);
	tries->made++;
	enum retry_verdict verdict = retry_next(&tries->retry, &result, &ms);
	if (verdict == RETRY_TOO_LATE && err) {
		struct err before = *err;
		return err_set(err, -r, "%s (Retry-After: %lld s, more than the %u s we wait)",
			       before.text, (long long)after, RETRY_AFTER_MAX_MS / 1000);
	}
	if (verdict != RETRY_AGAIN || tries->retry.tries >= tries->max ||
	    tries->made >= tries->total_max)
		return give_up(tries, r, err);
	if (hurried && tries->made >= HURRIED_TRIES)
		return give_up(tries, r, err);
	if (hurried)
		ms = HURRIED_WAIT_MS;
	if (after <= 0 || ms > (uint64_t)after * 1000)
		ms = (unsigned)((uint64_t)ms * tries->wait_base_ms / RETRY_BASE_MS);
	log_debug("try %u failed (%s), again in %u ms", tries->made, err_text(err), ms);
	if (!http_group_pause(tries->group, ms))
		return err_set(err, ECANCELED, "given up while waiting for another try");
	return 0;
}

void tries_progress(struct tries *tries)
{
	retry_progress(&tries->retry);
}

int64_t tries_after(const struct http_transfer *transfer)
{
	const char *value = transfer ? http_header(transfer, "Retry-After", 0) : NULL;
	return value ? retry_after_parse(value, (int64_t)time(NULL)) : -1;
}
