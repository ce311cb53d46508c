/*
 * A row of digests that is searched from the front: an image has a few dozen blobs, and a search
 * comes with an HTTP request.
 */
#include "oci/places.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/str.h"

struct place {
	struct digest digest;
	char *url; /* owned or NULL; its query may be a signature */
	bool lacking;
};

struct places {
	pthread_mutex_t mutex; /* guards all that follows */
	struct place places[PLACES_MAX];
	unsigned count;
	unsigned next; /* the place to be taken next, once all are */
};

struct places *places_new(void)
{
	struct places *places = mem_new(sizeof(*places));
	pthread_mutex_init(&places->mutex, NULL);
	return places;
}

void places_free(struct places *places)
{
	if (!places)
		return;
	for (unsigned i = 0; i < places->count; i++)
		free(places->places[i].url);
	pthread_mutex_destroy(&places->mutex);
	free(places);
}

/* Under the lock. */
static struct place *find(struct places *places, const struct digest *digest)
{
	for (unsigned i = 0; i < places->count; i++) {
		if (digest_equal(&places->places[i].digest, digest))
			return &places->places[i];
	}
	return NULL;
}

/* Under the lock. */
static struct place *find_or_add(struct places *places, const struct digest *digest)
{
	struct place *place = find(places, digest);
	if (place)
		return place;
	if (places->count < PLACES_MAX) {
		place = &places->places[places->count++];
	} else {
		place = &places->places[places->next];
		places->next = (places->next + 1) % PLACES_MAX;
		free(place->url);
	}
	*place = (struct place){ .digest = *digest };
	return place;
}

char *places_find(struct places *places, const struct digest *digest)
{
	LOCKED(&places->mutex);
	const struct place *place = find(places, digest);
	return place ? mem_strdup(place->url) : NULL;
}

void places_put(struct places *places, const struct digest *digest, const char *before,
		const char *now)
{
	if (str_equal(before, now))
		return;
	LOCKED(&places->mutex);
	struct place *place = now ? find_or_add(places, digest) : find(places, digest);
	if (!place || (!now && !str_equal(place->url, before)))
		return;
	free(place->url);
	place->url = mem_strdup(now);
}

void places_drop(struct places *places, const struct digest *digest)
{
	LOCKED(&places->mutex);
	struct place *place = find(places, digest);
	if (place)
		free(TAKE(place->url));
}

bool places_set_lacking(struct places *places, const struct digest *digest)
{
	LOCKED(&places->mutex);
	struct place *place = find_or_add(places, digest);
	bool before = place->lacking;
	place->lacking = true;
	return !before;
}

bool places_lacks(struct places *places, const struct digest *digest)
{
	LOCKED(&places->mutex);
	const struct place *place = find(places, digest);
	return place && place->lacking;
}
