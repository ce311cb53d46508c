/* The loop around request_try for what is asked and told in one go: all but blobs. */
#include "oci/ask.h"

#include "oci/endpoint.h"
#include "oci/reply.h"
#include "oci/tries.h"

static bool is_wanted(const int *wanted, int status)
{
	while (*wanted && *wanted != status)
		wanted++;
	return *wanted != 0;
}

/* One try; *status is the answer's when it is the reason of failure. */
static int ask_once(struct answer *answer, struct endpoint *endpoint, const struct request *request,
		    const int *wanted, int *status, struct err *err)
{
	int r = request_try(answer, endpoint, request, err);
	if (r < 0 || is_wanted(wanted, http_status(answer->transfer)))
		return r;
	*status = http_status(answer->transfer);
	return reply_error(answer->transfer, answer->host, err);
}

int ask_endpoint(struct answer *out, struct endpoint *endpoint, const struct request *request,
		 const int *wanted, struct err *err)
{
	struct tries tries;
	struct request now = *request;
	tries_init(&tries, endpoint->tries_max, RETRY_TRIES_MAX, endpoint->wait_base_ms);
	tries.group = endpoint->group;
	tries.hurried = &endpoint->hurried;
	for (;;) {
		struct answer answer = { 0 };
		struct err why = { 0 };
		int status = 0;
		int r = ask_once(&answer, endpoint, &now, wanted, &status, &why);
		if (r == 0) {
			*out = answer;
			return 0;
		}
		int64_t after = tries_after(answer.transfer);
		bool final = answer.final;
		answer_release(&answer);
		if (!final)
			r = tries_again(&tries, r, status, after, &why);
		if (r < 0)
			return err_set(err, -r, "%s", err_text(&why));
		now.new_connection = true;
	}
}
