/* What the sources have in common: keeping, renewing, and asking only once at a time. */
#include "oci/creds-source.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/http-group.h"
#include "oci/creds.h"

struct creds_keep {
	pthread_mutex_t mutex; /* guards all that follows */
	pthread_cond_t landed; /* an ask ended */
	bool flying;
	struct credential kept; /* owned; source NULL: none */
	uint64_t renew_ms;	/* monotonic: from then on it is not given any more */
	uint64_t end_ms;
	uint64_t failed_flights;
	struct err failure; /* of the last failed one */
};

static uint64_t now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void creds_source_init(struct creds_source *source, const struct creds_source_ops *ops)
{
	source->ops = ops;
	source->keep = mem_make(struct creds_keep, .flying = false);
	pthread_mutex_init(&source->keep->mutex, NULL);
	pthread_cond_init(&source->keep->landed, NULL);
}

void creds_source_free(struct creds_source *source)
{
	if (!source)
		return;
	struct creds_keep *keep = source->keep;
	source->ops->free(source);
	credential_release(&keep->kept);
	pthread_cond_destroy(&keep->landed);
	pthread_mutex_destroy(&keep->mutex);
	free(keep);
}

/* Under the lock: is what is kept of use?  OUT stays empty when it is another host's. */
static bool give(const struct creds_keep *keep, const char *host, struct credential *out)
{
	const struct credential *kept = &keep->kept;
	uint64_t now = now_ms();
	if (!kept->source || now >= keep->renew_ms)
		return false;
	if (host && !str_equal_nocase(host, kept->host))
		return true;
	*out = (struct credential){
		.username = mem_strdup(kept->username),
		.password = mem_strdup(kept->password),
		.source = mem_strdup(kept->source),
		.host = mem_strdup(kept->host),
		.lives_ms = keep->end_ms - now,
		.serial = kept->serial,
	};
	return true;
}

/* Under the lock: ANSWER, asked for at ASKED_MS, is the one from now on. */
static void put(struct creds_keep *keep, struct credential *answer, uint64_t asked_ms)
{
	uint64_t serial = keep->kept.serial + 1;
	uint64_t lives = answer->lives_ms ? answer->lives_ms : CREDS_LIFE_DEFAULT_MS;
	uint64_t margin = lives / 4 < CREDS_MARGIN_MAX_MS ? lives / 4 : CREDS_MARGIN_MAX_MS;
	credential_release(&keep->kept);
	keep->kept = *answer;
	*answer = (struct credential){ 0 };
	keep->kept.serial = serial;
	keep->end_ms = asked_ms + lives;
	keep->renew_ms = keep->end_ms - margin;
}

/* This thread is the one that asks. */
static int fly(struct creds_source *source, const struct creds_net *net, const char *host,
	       struct credential *out, struct err *err)
{
	struct creds_keep *keep = source->keep;
	struct credential answer = { 0 };
	struct err why = { 0 };
	uint64_t asked_ms = now_ms();
	int r = source->ops->ask(source, net, host, &answer, &why);
	if (r == -ENOENT)
		r = -EACCES; /* something is missing on the way to it, not what was asked for */
	{
		LOCKED(&keep->mutex);
		keep->flying = false;
		if (r == 0) {
			put(keep, &answer, asked_ms);
			(void)give(keep, host, out);
			out->fresh = true;
		} else if (r != -ECANCELED) {
			keep->failed_flights++;
			keep->failure = why;
			keep->failure.code = r;
		}
		pthread_cond_broadcast(&keep->landed);
	}
	credential_release(&answer);
	return r < 0 ? err_set(err, -r, "%s", err_text(&why)) : 0;
}

/* 0 with what is kept, or leave to fly: 1.  Waits while another flies; its failure is ours. */
static int find_kept(struct creds_keep *keep, const struct creds_net *net, const char *host,
		     struct credential *out, struct err *err)
{
	LOCKED(&keep->mutex);
	uint64_t failed = keep->failed_flights;
	for (;;) {
		if (give(keep, host, out) || !net)
			return 0;
		if (keep->failed_flights != failed)
			return err_set(err, -keep->failure.code, "%s", err_text(&keep->failure));
		if (!keep->flying)
			break;
		pthread_cond_wait(&keep->landed, &keep->mutex);
	}
	if (http_group_aborted(net->group))
		return err_set(err, ECANCELED, "given up before credentials were asked for");
	keep->flying = true;
	return 1;
}

int creds_source_find(struct creds_source *source, const struct creds_net *net, const char *host,
		      struct credential *out, struct err *err)
{
	struct credential found = { 0 };
	int r = find_kept(source->keep, net, host, &found, err);
	if (r > 0)
		r = fly(source, net, host, &found, err);
	if (r == 0)
		*out = found;
	return r;
}

void creds_source_drop(struct creds_source *source, uint64_t serial)
{
	LOCKED(&source->keep->mutex);
	if (source->keep->kept.serial == serial)
		source->keep->renew_ms = 0;
}
