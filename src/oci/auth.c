/*
 * The token of an endpoint.  One set of scopes is asked for (the endpoint's repository), so there
 * is one token.  A fetch is a flight: who finds one under way waits for its end and takes its
 * result, good or bad, so ten layers that meet a dead token cost one request.
 */
#include "oci/auth.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/esc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/http.h"
#include "oci/challenge.h"
#include "oci/secret.h"
#include "oci/token.h"

#define MARGIN_MAX_MS 20000u /* renewed that long before its end, or at 3/4 of its life */

struct auth {
	struct endpoint *endpoint; /* borrowed: our owner */
	pthread_mutex_t mutex;	   /* guards all that follows */
	pthread_cond_t landed;	   /* a flight ended */
	bool challenged;
	struct challenge challenge;
	char *header;	     /* owned secret or NULL */
	char *source;	     /* owned or NULL */
	uint64_t serial;     /* of header; grows */
	uint64_t expires_ms; /* monotonic clock */
	unsigned users;	     /* requests that were given header */
	bool flying;
	uint64_t failed_flights;
	struct err failure; /* of the last failed flight */
};

static uint64_t now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void grant_release(struct grant *grant)
{
	secret_free(grant->header);
	*grant = (struct grant){ 0 };
}

struct auth *auth_new(struct endpoint *endpoint)
{
	struct auth *auth = mem_make(struct auth, .endpoint = endpoint);
	pthread_mutex_init(&auth->mutex, NULL);
	pthread_cond_init(&auth->landed, NULL);
	return auth;
}

void auth_free(struct auth *auth)
{
	if (!auth)
		return;
	challenge_release(&auth->challenge);
	secret_free(auth->header);
	free(auth->source);
	pthread_cond_destroy(&auth->landed);
	pthread_mutex_destroy(&auth->mutex);
	free(auth);
}

bool auth_learn(struct auth *auth, const struct http_transfer *answer)
{
	struct challenges list = { 0 };
	const char *value;
	for (size_t i = 0; (value = http_header(answer, "WWW-Authenticate", i)); i++) {
		struct err why = { 0 };
		if (challenges_add(&list, value, &why) < 0)
			log_debug("%s", err_text(&why));
	}
	const struct challenge *chosen = challenges_choose(&list);
	bool found = chosen != NULL;
	if (found) {
		LOCKED(&auth->mutex);
		challenge_release(&auth->challenge);
		challenge_copy(&auth->challenge, chosen);
		auth->challenged = true;
	}
	challenges_release(&list);
	return found;
}

bool auth_knows(struct auth *auth)
{
	LOCKED(&auth->mutex);
	return auth->challenged;
}

/* Under the lock: what is kept becomes GRANT's. */
static void give(struct auth *auth, struct grant *grant, bool own)
{
	grant_release(grant);
	grant->header = mem_strdup(auth->header);
	grant->serial = auth->serial;
	grant->own = own;
	auth->users++;
}

static uint64_t expiry_of(const struct token *token, uint64_t asked_ms)
{
	uint64_t margin = token->lives_ms / 4 < MARGIN_MAX_MS ? token->lives_ms / 4 : MARGIN_MAX_MS;
	uint64_t end;
	return add_ok(asked_ms, token->lives_ms - margin, &end) ? end : UINT64_MAX;
}

/* Under the lock: TOKEN is the one from now on. */
static void keep(struct auth *auth, struct token *token, uint64_t asked_ms)
{
	secret_free(auth->header);
	free(auth->source);
	auth->expires_ms = expiry_of(token, asked_ms);
	auth->header = TAKE(token->header);
	auth->source = TAKE(token->source);
	auth->serial++;
	auth->users = 0;
}

static int fetch(struct auth *auth, struct token *out, struct err *err)
{
	struct challenge challenge = { 0 };
	bool refused;
	{
		LOCKED(&auth->mutex);
		challenge_copy(&challenge, &auth->challenge);
		refused = auth->header && now_ms() < auth->expires_ms;
	}
	int r = token_get(out, auth->endpoint, &challenge, refused, err);
	challenge_release(&challenge);
	return r;
}

/* This thread is the one that asks. */
static int fly(struct auth *auth, struct grant *grant, struct err *err)
{
	struct token token = { 0 };
	struct err why = { 0 };
	uint64_t asked_ms = now_ms();
	int r = fetch(auth, &token, &why);
	{
		LOCKED(&auth->mutex);
		auth->flying = false;
		if (r == 0) {
			keep(auth, &token, asked_ms);
			give(auth, grant, true);
		} else {
			auth->failed_flights++;
			auth->failure = why;
		}
		pthread_cond_broadcast(&auth->landed);
	}
	token_release(&token);
	return r < 0 ? err_set(err, -r, "%s", err_text(&why)) : 0;
}

/* A newer grant than SERIAL, or leave to fly: 1.  Waits while another flies. */
static int wait_for_newer(struct auth *auth, struct grant *grant, struct err *err)
{
	LOCKED(&auth->mutex);
	uint64_t failed = auth->failed_flights;
	while (auth->flying)
		pthread_cond_wait(&auth->landed, &auth->mutex);
	if (auth->failed_flights != failed)
		return err_set(err, -auth->failure.code, "%s", err_text(&auth->failure));
	if (auth->serial > grant->serial && auth->header && now_ms() < auth->expires_ms) {
		give(auth, grant, false);
		return 0;
	}
	auth->flying = true;
	return 1;
}

/* A token for this request only; what the others use is left to them. */
static int fetch_alone(struct auth *auth, struct grant *grant, struct err *err)
{
	struct token token = { 0 };
	int r = fetch(auth, &token, err);
	if (r < 0)
		return r;
	grant_release(grant);
	grant->header = TAKE(token.header);
	grant->own = true;
	{
		LOCKED(&auth->mutex);
		grant->serial = auth->serial;
	}
	token_release(&token);
	return 0;
}

int auth_renew(struct auth *auth, struct grant *grant, bool alone, struct err *err)
{
	if (alone)
		return fetch_alone(auth, grant, err);
	int r = wait_for_newer(auth, grant, err);
	return r > 0 ? fly(auth, grant, err) : r;
}

int auth_current(struct auth *auth, struct grant *out, struct err *err)
{
	{
		LOCKED(&auth->mutex);
		if (!auth->header)
			return 0;
		if (now_ms() < auth->expires_ms) {
			give(auth, out, false);
			return 0;
		}
		out->serial = auth->serial;
	}
	return auth_renew(auth, out, false, err);
}

bool auth_shared(struct auth *auth, const struct grant *grant)
{
	LOCKED(&auth->mutex);
	return auth->serial != grant->serial || auth->users > 1;
}

char *auth_describe(struct auth *auth)
{
	LOCKED(&auth->mutex);
	struct str text = STR_MAX(1024);
	if (auth->source)
		str_addf(&text, "credential from '%s'", esc(auth->source));
	else
		str_add(&text, "anonymous");
	return str_take(&text);
}
