/*
 * One try of one logical request to an endpoint: the token it needs, the redirects it takes.
 * Whether to try again is the caller's (tries.h), because only the caller knows if the body came
 * whole.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "net/http.h"

#define REDIRECTS_MAX 5

struct endpoint;
struct stream;

/* A body that can be read as often as it has to be sent (after a 401, after a redirect). */
struct request_body {
	const void *bytes; /* borrowed, or NULL: a stream */
	uint64_t size;
	const char *type;  /* Content-Type */
	const char *range; /* Content-Range, "0-1023", or NULL */
	/* Opens the stream anew each time, to be freed with stream_free. */
	int (*open)(void *arg, struct stream **out, struct err *err);
	void *arg; /* borrowed */
};

struct request {
	const char *method; /* "GET", "HEAD"; with a body "POST", "PUT", "PATCH" */
	const char *path;   /* below the root: "v2/library/busybox/manifests/latest" */
	/*
	 * Instead of PATH a whole URL that the endpoint has named (the Location of an upload),
	 * as request_location() gave it.  Authorization goes along only where it is the endpoint's.
	 */
	const char *url;
	const struct request_body *body; /* or NULL */
	unsigned low_speed_seconds;	 /* 0: as usual */
	const char *accept;		 /* media types, or NULL */
	uint64_t from, to;   /* of a blob: "Range: bytes=FROM-", up to TO unless 0; both 0: none */
	bool fresh;	     /* the last bytes were bad: caches on the way are to look again */
	bool new_connection; /* the last try failed: what is left of its connection is not used */
	unsigned timeout_ms; /* 0: none but the low-speed limit */
	/*
	 * A redirect's target, kept by the caller for resuming; NULL when it keeps none.  Used
	 * first when there is one, replaced by a new one, dropped when it no longer serves.
	 */
	char **kept; /* *kept owned by the caller */
};

struct answer {
	struct http_transfer *transfer; /* owned; NULL when the try failed before an answer */
	char *host;			/* owned: who answered, for messages */
	bool elsewhere;			/* it came from another host than the endpoint's */
	bool final;			/* with an error: trying again is of no use */
	bool refused;			/* final for a 401 or 403 of the endpoint itself */
};
void answer_release(struct answer *answer);

/*
 * Send REQUEST.  0 with the final answer, whatever its status, except a 401 or 403 of the endpoint
 * and a 3xx, which become errors here.  An error leaves only FINAL and REFUSED set in OUT.
 *
 * -EACCES refused (the text says by whom and with which credential); -EPROTO redirects without
 * end, place or sense; the rest as http_open.
 */
MUST_USE int request_try(struct answer *out, struct endpoint *endpoint,
			 const struct request *request, struct err *err);

/*
 * The URL that ANSWER's Location names, seen from where REQUEST was sent, to be freed; under the
 * rules for redirects.  -EPROTO without one, or when it leads where it may not.
 */
MUST_USE int request_location(char **out, const struct answer *answer,
			      const struct endpoint *endpoint, const struct request *request,
			      struct err *err);
