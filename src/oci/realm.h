/*
 * May a token be asked for at the realm that a registry named?  A realm is a URL chosen by the
 * server: it is how a hostile one makes a client call internal services, or hand its password to a
 * stranger.  Pure rules; token.c obeys them.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "net/url.h"

enum realm_trust {
	REALM_OWN,     /* the registry itself: scheme, host and port */
	REALM_SIBLING, /* same registrable domain: may have the credentials */
	REALM_FOREIGN, /* anonymous requests only */
};

/*
 * Judge REALM as named by the registry at REGISTRY (the URL spoken to).  -EPROTO when it is no
 * absolute http(s) URL, has a user or a fragment, is http while the registry is https, or is an
 * address literal of a private network other than the registry itself.  Messages name the realm.
 */
MUST_USE int realm_judge(struct url *out, enum realm_trust *trust, const char *realm,
			 const struct url *registry, struct err *err);

/*
 * Two host names belong to one owner: equal, or the same last two labels, three below suffixes
 * where two are everybody's (co.uk, azurecr.io ...).  Addresses only match themselves.
 */
bool realm_same_domain(const char *a, const char *b);
