/*
 * The redirect rules.  A registry may send us anywhere for a blob, since the digest decides what
 * counts; but not from https to http, not in circles, and a public one not to an address of the
 * network we stand in (a name that leads there gets a GET without credentials and nothing else).
 */
#include "oci/redirect.h"

#include <errno.h>
#include <string.h>

#include "base/esc.h"
#include "oci/request.h"

void trail_release(struct trail *trail)
{
	while (trail->count > 0)
		url_release(&trail->hops[--trail->count]);
}

const struct url *trail_last(const struct trail *trail)
{
	return &trail->hops[trail->count - 1];
}

void trail_begin(struct trail *trail, struct url *url)
{
	trail->hops[0] = *url;
	trail->count = 1;
	*url = (struct url){ 0 };
}

static int check(const struct trail *trail, const struct url *next, struct err *err)
{
	const struct url *last = trail_last(trail);
	const struct url *first = &trail->hops[0];
	if (next->userinfo)
		return err_set(err, EPROTO, "'%s' redirects to a URL with a password",
			       esc(last->host));
	if (last->https && !next->https)
		return err_set(err, EPROTO, "'%s' redirects from https to http ('%s'): refused",
			       esc(last->host), esc(next->host));
	if (url_host_is_private(next->host) && !url_host_is_private(first->host) &&
	    !url_host_allows_http(first->host))
		return err_set(err, EPROTO,
			       "'%s' redirects to '%s', an address of a private network: refused",
			       esc(last->host), esc(next->host));
	return 0;
}

static int check_circle(const struct trail *trail, const struct url *next, struct err *err)
{
	for (unsigned i = 0; i < trail->count; i++)
		if (strcmp(trail->hops[i].text, next->text) == 0)
			return err_set(err, EPROTO, "'%s' redirects in a circle",
				       esc(trail_last(trail)->host));
	return 0;
}

static int go_on(struct trail *trail, const char *location, bool may_return, struct err *err)
{
	const struct url *last = trail_last(trail);
	if (!location)
		return err_set(err, EPROTO, "'%s' redirects without a Location", esc(last->host));
	if (trail->count > REDIRECTS_MAX)
		return err_set(err, EPROTO, "more than %d redirects, the last from '%s'",
			       REDIRECTS_MAX, esc(last->host));
	struct url next = { 0 };
	int r = url_resolve(&next, last, location, err);
	if (r < 0)
		return err_wrap(err, -EPROTO, "'%s' redirects", esc(last->host));
	r = check(trail, &next, err);
	if (r == 0 && !may_return)
		r = check_circle(trail, &next, err);
	if (r < 0) {
		url_release(&next);
		return r;
	}
	trail->hops[trail->count++] = next;
	return 0;
}

int trail_follow(struct trail *trail, const char *location, struct err *err)
{
	return go_on(trail, location, false, err);
}

int trail_onward(struct trail *trail, const char *location, struct err *err)
{
	return go_on(trail, location, true, err);
}
