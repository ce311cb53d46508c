/* Why a version is not there, as far as the repository's tags tell. */
#pragma once

#include "base/err.h"
#include "resource/session.h"

/*
 * A get of REF failed with ERR, -ENOENT.  When the registry does not know the digest, put behind
 * ERR's text what it has: TAG (or NULL) with another digest by now, or the tags closest to it.
 */
void missing_explain(const struct session *session, const struct ref *ref, const char *tag,
		     struct err *err);
