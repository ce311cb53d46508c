/* A small hash; entries whose pause is over go when somebody looks, or when room is needed. */
#include "image/fetch-trouble.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

struct trouble {
	uint64_t key;
	uint64_t until_ms; /* 0: suspect */
	int code;
	char *text; /* owned */
	UT_hash_handle hh;
};

struct fetch_troubles {
	struct trouble *all; /* owned, a hash */
};

struct fetch_troubles *fetch_troubles_new(void)
{
	return mem_make(struct fetch_troubles, .all = NULL);
}

static void drop(struct fetch_troubles *troubles, struct trouble *t)
{
	HASH_DEL(troubles->all, t);
	free(t->text);
	free(t);
}

void fetch_troubles_free(struct fetch_troubles *troubles)
{
	if (!troubles)
		return;
	while (troubles->all)
		drop(troubles, troubles->all);
	free(troubles);
}

static struct trouble *find(const struct fetch_troubles *troubles, uint64_t key)
{
	struct trouble *t = NULL;
	HASH_FIND(hh, troubles->all, &key, sizeof(key), t);
	return t;
}

enum fetch_trouble fetch_troubles_look(struct fetch_troubles *troubles, uint64_t key,
				       uint64_t now_ms, struct err *err)
{
	struct trouble *t = find(troubles, key);
	if (!t)
		return FETCH_TROUBLE_NONE;
	if (t->until_ms > now_ms) {
		if (err)
			(void)err_set(err, -t->code, "%s", t->text);
		return FETCH_TROUBLE_PAUSED;
	}
	if (t->until_ms && t->code != -EBADMSG) {
		drop(troubles, t);
		return FETCH_TROUBLE_NONE;
	}
	return FETCH_TROUBLE_SUSPECT;
}

/* A new entry, when there is room or what is old can go. */
static struct trouble *add(struct fetch_troubles *troubles, uint64_t key, uint64_t now_ms)
{
	if (HASH_COUNT(troubles->all) >= FETCH_TROUBLES_MAX) {
		struct trouble *t = NULL, *next = NULL;
		HASH_ITER(hh, troubles->all, t, next)
		if (t->until_ms && t->until_ms <= now_ms)
			drop(troubles, t);
	}
	if (HASH_COUNT(troubles->all) >= FETCH_TROUBLES_MAX)
		return NULL;
	struct trouble *t = mem_make(struct trouble, .key = key);
	HASH_ADD(hh, troubles->all, key, sizeof(t->key), t);
	return t;
}

bool fetch_troubles_suspect(struct fetch_troubles *troubles, uint64_t key)
{
	return !find(troubles, key) && add(troubles, key, 0);
}

void fetch_troubles_pause(struct fetch_troubles *troubles, uint64_t key, uint64_t now_ms,
			  uint64_t until_ms, const struct err *err)
{
	struct trouble *t = find(troubles, key);
	if (!t)
		t = add(troubles, key, now_ms);
	if (!t)
		return;
	free(t->text);
	t->text = mem_strdup(err_text(err));
	t->code = err->code;
	t->until_ms = until_ms;
}

void fetch_troubles_clear(struct fetch_troubles *troubles, uint64_t key)
{
	struct trouble *t = find(troubles, key);
	if (t)
		drop(troubles, t);
}
