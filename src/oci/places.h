/*
 * Where the blobs of one endpoint lie: the URL that its redirect led to, so that a range costs one
 * request, and whether it lacks them.  A small table shared by threads; the oldest entry goes.
 */
#pragma once

#include <stdbool.h>

#include "base/digest.h"
#include "base/mem.h"

#define PLACES_MAX 256u

struct places;

struct places *places_new(void);
void places_free(struct places *places);
DEFINE_AUTO(places)

/* A copy of the URL, to be freed, or NULL. */
char *places_find(struct places *places, const struct digest *digest);
/*
 * A request that began with BEFORE (NULL: without a URL) ended with NOW (NULL: BEFORE does not
 * serve any more).  What another thread has put in BEFORE's place stays when there is nothing new.
 */
void places_put(struct places *places, const struct digest *digest, const char *before,
		const char *now);
/* Forget the URL, whichever it is. */
void places_drop(struct places *places, const struct digest *digest);

/* The endpoint failed for this blob, do not ask it again; true when that is news. */
bool places_set_lacking(struct places *places, const struct digest *digest);
bool places_lacks(struct places *places, const struct digest *digest);
