/*
 * A request seen by its owner: open, headers, pieces of the body, free.  The owner only ever waits
 * on the transfer's condition; the thread of http.c does the rest.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "net/http-internal.h"

/* Fewer bytes wait so long for more: fewer wake-ups, and no delay that one notices. */
#define GATHER_BYTES (2 * BODY_PIECE_BYTES)
#define GATHER_MS 5
/* A paused transfer goes on when so much is free: one wake-up for many pieces. */
#define RESUME_ROOM_BYTES (BODY_MAX_BYTES / 2)

static void release(struct http_transfer *t)
{
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->lines);
	str_release(&t->blob);
	headers_release(&t->headers);
	body_release(&t->body);
	body_release(&t->upload.pieces);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->mutex);
	free(t->host);
	free(t);
}

static struct http_transfer *make(struct http *http, struct http_group *group)
{
	struct http_transfer *t = mem_make(struct http_transfer, .http = http, .group = group,
					   .spare_fd = -1, .blob = STR_MAX(TRUST_MAX_BYTES));
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&t->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&t->mutex, NULL);
	headers_init(&t->headers);
	t->easy = curl_easy_init();
	return t;
}

static int wait_for_answer(struct http_transfer *t, struct err *err)
{
	LOCKED(&t->mutex);
	while (!t->answered && !t->done)
		pthread_cond_wait(&t->changed, &t->mutex);
	return t->answered ? 0 : http_fail(t, err);
}

int http_open(struct http_transfer **out, struct http *http, const struct http_request *request,
	      struct err *err)
{
	if (http_group_aborted(request->group))
		return err_set(err, ECANCELED, "the request was given up");
	struct http_transfer *t = make(http, request->group);
	int r = t->easy ? http_setup(t, request, err)
			: err_set(err, ENOMEM, "out of memory for a request");
	if (r < 0) {
		release(t); /* the thread does not know it */
		return r;
	}
	atomic_fetch_add_explicit(&http->requests, 1, memory_order_relaxed);
	if (t->group)
		atomic_fetch_add_explicit(&t->group->requests, 1, memory_order_relaxed);
	http_ask(http, t, HTTP_START);
	if (request->stream)
		r = upload_feed(t, request->stream, err);
	if (r == 0)
		r = wait_for_answer(t, err);
	if (r < 0)
		http_transfer_free(t);
	else
		*out = t;
	return r;
}

void http_transfer_free(struct http_transfer *t)
{
	if (!t)
		return;
	http_ask(t->http, t, HTTP_DROP);
	{
		LOCKED(&t->mutex);
		while (!t->gone)
			pthread_cond_wait(&t->changed, &t->mutex);
	}
	release(t);
}

int http_status(const struct http_transfer *t)
{
	return t->headers.status;
}

const char *http_header(const struct http_transfer *t, const char *name, size_t i)
{
	return headers_get(&t->headers, name, i);
}

uint64_t http_content_length(const struct http_transfer *t)
{
	return t->content_length;
}

/* True when the thread must be told that there is room again. */
static bool return_piece(struct http_transfer *t)
{
	LOCKED(&t->mutex);
	body_return(&t->body);
	if (!t->paused || body_room(&t->body) < RESUME_ROOM_BYTES)
		return false;
	t->paused = false;
	return true;
}

static struct timespec gather_deadline(void)
{
	struct timespec at;
	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec += GATHER_MS * 1000000L;
	if (at.tv_nsec >= 1000000000L) {
		at.tv_nsec -= 1000000000L;
		at.tv_sec++;
	}
	return at;
}

/* Until whole pieces are here, or the end, or after GATHER_MS anything. */
static void wait_for_bytes(struct http_transfer *t)
{
	if (t->done || t->body.waiting >= BODY_PIECE_BYTES)
		return;
	t->wanted = GATHER_BYTES;
	struct timespec deadline = gather_deadline();
	while (!t->done && t->body.waiting < t->wanted) {
		if (t->wanted == 1)
			pthread_cond_wait(&t->changed, &t->mutex);
		else if (pthread_cond_timedwait(&t->changed, &t->mutex, &deadline) == ETIMEDOUT)
			t->wanted = 1;
	}
}

int http_next(struct http_transfer *t, const void **data, size_t *size, struct err *err)
{
	if (!headers_is_identity(&t->headers))
		return err_set(err, EPROTO, "'%s' sent a Content-Encoding that was not asked for",
			       t->host);
	if (http_group_aborted(t->group))
		return err_set(err, ECANCELED, "'%s' was given up", t->host);
	if (return_piece(t))
		http_ask(t->http, t, HTTP_RESUME);
	LOCKED(&t->mutex);
	wait_for_bytes(t);
	t->wanted = 0;
	if (body_lend(&t->body, data, size))
		return 0;
	if (t->end.code != CURLE_OK || t->end.problem || t->end.stalled || t->end.aborted)
		return http_fail(t, err);
	*data = NULL;
	*size = 0;
	return 0;
}
