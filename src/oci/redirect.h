/* Where a redirect may lead.  Pure: URLs in, a verdict out; request.c sends. */
#pragma once

#include "base/err.h"
#include "net/url.h"

#define REDIRECT_SEEN_MAX 8

/* The URLs of one request so far, the first being the registry's. */
struct trail {
	struct url hops[REDIRECT_SEEN_MAX]; /* owned */
	unsigned count;
};
void trail_release(struct trail *trail);
const struct url *trail_last(const struct trail *trail);

/* Begin at URL (taken over). */
void trail_begin(struct trail *trail, struct url *url);

/*
 * Go on to what LOCATION (NULL: the answer had none) names, seen from the last hop.  -EPROTO
 * without Location, to no http(s) URL, with a user in it, from https to http, back to where we
 * were, after REDIRECTS_MAX hops, or into a private network from outside.  Signatures are not
 * shown.
 */
MUST_USE int trail_follow(struct trail *trail, const char *location, struct err *err);
/* The same for the place of an upload, which may well be where we are. */
MUST_USE int trail_onward(struct trail *trail, const char *location, struct err *err);
