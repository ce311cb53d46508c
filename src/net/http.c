/*
 * The thread that runs all transfers, and its mailbox.  It sleeps in curl_multi_poll until a socket
 * has something, a clock runs out, or an owner asks for something (curl_multi_wakeup).  Owners are
 * in http-transfer.c.
 */
#include "net/http.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "net/http-internal.h"

#define CONNECT_TIMEOUT_MS 10000u
#define LOW_SPEED_SECONDS 20u
#define CONNECTIONS_KEPT 32L /* idle ones, of all hosts: one for each of many threads */
#define IDLE_MS 60000u	     /* the longest sleep; any would do, the thread is woken */

uint64_t http_now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void http_ask(struct http *http, struct http_transfer *transfer, enum http_wish wish)
{
	{
		LOCKED(&http->mutex);
		if (!transfer->wishes) {
			transfer->next_asked = http->asked;
			http->asked = transfer;
		}
		transfer->wishes |= wish;
	}
	(void)curl_multi_wakeup(http->multi);
}

/* The next transfer that wants something, or NULL. */
static struct http_transfer *take_asked(struct http *http, unsigned *wishes)
{
	LOCKED(&http->mutex);
	struct http_transfer *transfer = http->asked;
	if (!transfer)
		return NULL;
	http->asked = transfer->next_asked;
	*wishes = transfer->wishes;
	transfer->wishes = 0;
	return transfer;
}

static void attach(struct http *http, struct http_transfer *transfer)
{
	stall_start(&transfer->stall, transfer->low_speed_ms, http_now_ms());
	if (curl_multi_add_handle(http->multi, transfer->easy) != CURLM_OK) {
		http_finish(transfer, CURLE_FAILED_INIT);
		return;
	}
	transfer->attached = true;
	transfer->next = http->active;
	if (http->active)
		http->active->previous = transfer;
	http->active = transfer;
}

static void detach(struct http *http, struct http_transfer *transfer)
{
	if (!transfer->attached)
		return;
	transfer->attached = false;
	if (transfer->previous)
		transfer->previous->next = transfer->next;
	else
		http->active = transfer->next;
	if (transfer->next)
		transfer->next->previous = transfer->previous;
	(void)curl_multi_remove_handle(http->multi, transfer->easy);
}

static void end(struct http *http, struct http_transfer *transfer, CURLcode code)
{
	detach(http, transfer);
	http_finish(transfer, code);
}

/* The owner frees the transfer as soon as it sees "gone". */
static void drop(struct http *http, struct http_transfer *transfer)
{
	detach(http, transfer);
	LOCKED(&transfer->mutex);
	transfer->gone = true;
	pthread_cond_signal(&transfer->changed);
}

static void resume(struct http *http, struct http_transfer *transfer)
{
	if (!transfer->attached)
		return;
	stall_resume(&transfer->stall, http_now_ms());
	CURLcode code = curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
	if (code != CURLE_OK)
		end(http, transfer, code);
}

static void fulfil_wishes(struct http *http)
{
	unsigned wishes = 0;
	struct http_transfer *transfer;
	while ((transfer = take_asked(http, &wishes))) {
		if (wishes & HTTP_START)
			attach(http, transfer);
		if (wishes & HTTP_DROP)
			drop(http, transfer);
		else if (wishes & HTTP_RESUME)
			resume(http, transfer);
	}
}

/* Once more with the whole bundle, if it was only the directory that did not know the server. */
static bool widen(struct http *http, struct http_transfer *transfer, CURLcode code)
{
	if (code != CURLE_PEER_FAILED_VERIFICATION || !transfer->by_directory)
		return false;
	transfer->by_directory = false;
	detach(http, transfer);
	if (curl_easy_setopt(transfer->easy, CURLOPT_CAPATH, NULL) != CURLE_OK ||
	    curl_easy_setopt(transfer->easy, CURLOPT_CAINFO, trust_widen(&http->trust)) != CURLE_OK)
		return false;
	attach(http, transfer);
	return true;
}

static void reap(struct http *http)
{
	int left = 0;
	CURLMsg *message;
	while ((message = curl_multi_info_read(http->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		CURLcode code = message->data.result; /* the message dies in end() */
		char *transfer = NULL;
		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		struct http_transfer *ended = (struct http_transfer *)(void *)transfer;
		if (!widen(http, ended, code))
			end(http, ended, code);
	}
}

/* End what does not get on or is not wanted any more; returns how long to sleep at most. */
static int check_active(struct http *http)
{
	uint64_t wait_ms = IDLE_MS;
	if (!http->active && http->spares.count == 0)
		return (int)wait_ms;
	uint64_t now = http_now_ms();
	spares_expire(&http->spares, now, &wait_ms);
	struct http_transfer *next;
	for (struct http_transfer *t = http->active; t; t = next) {
		next = t->next;
		bool aborted = http_group_aborted(t->group);
		if (!aborted && !stall_check(&t->stall, now, &wait_ms))
			continue;
		detach(http, t);
		LOCKED(&t->mutex);
		t->end.aborted = aborted;
		t->end.stalled = !aborted;
		t->done = true;
		pthread_cond_signal(&t->changed);
	}
	return (int)wait_ms;
}

static void end_all(struct http *http)
{
	while (http->active)
		end(http, http->active, CURLE_FAILED_INIT);
}

static bool is_stopped(struct http *http)
{
	LOCKED(&http->mutex);
	return http->stop;
}

static void *run(void *arg)
{
	struct http *http = arg;
	while (!is_stopped(http)) {
		int running = 0;
		fulfil_wishes(http);
		CURLMcode code = curl_multi_perform(http->multi, &running);
		reap(http);
		int wait_ms = check_active(http);
		if (code == CURLM_OK)
			code = curl_multi_poll(http->multi, NULL, 0, wait_ms, NULL);
		if (code != CURLM_OK)
			end_all(http);
	}
	return NULL;
}

/* Signals are for the program's own threads; libcurl's resolver threads inherit the mask. */
static int start_thread(struct http *http)
{
	sigset_t all, before;
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	int code = pthread_create(&http->thread, NULL, run, http);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return code;
}

static void release(struct http *http)
{
	spares_release(&http->spares);
	curl_multi_cleanup(http->multi);
	curl_global_cleanup();
	pthread_mutex_destroy(&http->mutex);
	trust_release(&http->trust);
	proxy_release(&http->proxy);
	free(http->user_agent);
	free(http);
}

int http_new(struct http **out, const struct http_options *options, struct err *err)
{
	static const struct http_options none = { 0 };
	options = options ? options : &none;
	unsigned connect_ms = options->connect_timeout_ms, slow = options->low_speed_seconds;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, EIO, "cannot start the HTTP library");
	struct http *http = mem_make(struct http, .connect_timeout_ms = CONNECT_TIMEOUT_MS,
				     .low_speed_ms = 1000 * (slow ? slow : LOW_SPEED_SECONDS));
	if (connect_ms)
		http->connect_timeout_ms = connect_ms;
	const char *agent = options->user_agent;
	http->user_agent = mem_strdup(agent ? agent : "rootlet/" ROOTLET_VERSION);
	pthread_mutex_init(&http->mutex, NULL);
	proxy_init(&http->proxy);
	trust_init(&http->trust);
	http->multi = curl_multi_init();
	if (http->multi)
		(void)curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
	int code = http->multi ? start_thread(http) : ENOMEM;
	if (code != 0) {
		release(http);
		return err_errno(err, code, "cannot start the HTTP thread");
	}
	*out = http;
	return 0;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	{
		LOCKED(&http->mutex);
		http->stop = true;
	}
	(void)curl_multi_wakeup(http->multi);
	(void)pthread_join(http->thread, NULL);
	release(http);
}

uint64_t http_requests(const struct http *http)
{
	return atomic_load_explicit(&http->requests, memory_order_relaxed);
}

uint64_t http_bytes(const struct http *http)
{
	return atomic_load_explicit(&http->bytes, memory_order_relaxed);
}
