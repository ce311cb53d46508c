/*
 * What libcurl calls in the http thread: header lines, pieces of the body, sockets about to be
 * opened, connections about to be used.  A callback that is not content notes why in "end" and
 * makes libcurl give up; http-error.c tells the owner.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "net/http-internal.h"
#include "net/url.h"

static void note_problem(struct http_transfer *t, const char *problem)
{
	LOCKED(&t->mutex);
	t->end.problem = problem;
}

static void answer(struct http_transfer *t)
{
	LOCKED(&t->mutex);
	t->answered = true;
	pthread_cond_signal(&t->changed);
}

static size_t on_header(char *line, size_t one, size_t size, void *arg)
{
	(void)one;
	struct http_transfer *t = arg;
	bool before = t->headers.complete;
	const char *problem = headers_add(&t->headers, line, size);
	stall_add(&t->stall, size, http_now_ms());
	bool complete = t->headers.complete && !before;
	if (!problem && complete && !headers_content_length(&t->headers, &t->content_length))
		problem = "sent a Content-Length that is none";
	if (problem) {
		note_problem(t, problem);
		return CURL_WRITEFUNC_ERROR;
	}
	if (complete)
		answer(t);
	return size;
}

/* Hand the bytes over, or be paused for want of room; true when the owner waits for this much. */
static bool hand_over(struct http_transfer *t, const char *data, size_t size)
{
	uint64_t now = http_now_ms();
	LOCKED(&t->mutex);
	t->paused = !body_add(&t->body, data, size);
	if (t->paused)
		stall_pause(&t->stall, now);
	else
		stall_add(&t->stall, size, now);
	return t->wanted && t->body.waiting >= t->wanted;
}

static size_t on_body(char *data, size_t one, size_t size, void *arg)
{
	(void)one;
	struct http_transfer *t = arg;
	if (!t->headers.complete) {
		note_problem(t, "sent no complete answer"); /* what follows a 101 */
		return CURL_WRITEFUNC_ERROR;
	}
	if (hand_over(t, data, size))
		pthread_cond_signal(&t->changed); /* unlocked: it would only wait for us */
	if (t->stall.paused)
		return CURL_WRITEFUNC_PAUSE;
	atomic_fetch_add_explicit(&t->http->bytes, size, memory_order_relaxed);
	if (t->group)
		atomic_fetch_add_explicit(&t->group->bytes, size, memory_order_relaxed);
	return size;
}

static void note_refused(struct http_transfer *t, const struct sockaddr *addr, size_t size)
{
	LOCKED(&t->mutex);
	t->end.refused = addr_show(addr, size);
}

/* libcurl's own way of opening a socket leaves it to programs that we start. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *addr)
{
	(void)purpose;
	struct http_transfer *t = arg;
	if (t->direct_public && addr_is_private(&addr->addr, addr->addrlen)) {
		note_refused(t, &addr->addr, addr->addrlen);
		return CURL_SOCKET_BAD;
	}
	struct spares *spares = &t->http->spares;
	uint64_t now = http_now_ms();
	t->spare_fd = spares_take(spares, &addr->addr, addr->addrlen, now);
	spares_open(spares, t->spares, &addr->addr, addr->addrlen, now);
	t->spares = 0;
	if (t->spare_fd >= 0)
		return t->spare_fd;
	return socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
}

static int on_opened(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	(void)purpose;
	const struct http_transfer *t = arg;
	return fd == t->spare_fd ? CURL_SOCKOPT_ALREADY_CONNECTED : CURL_SOCKOPT_OK;
}

/*
 * A connection is ready and the request about to be sent: waiting for the answer begins.  The
 * address is judged again, for a connection that is reused was opened by another request.
 */
static int on_ready(void *arg, char *remote, char *local, int remote_port, int local_port)
{
	(void)local;
	(void)remote_port;
	(void)local_port;
	struct http_transfer *t = arg;
	stall_start(&t->stall, t->low_speed_ms, http_now_ms());
	t->sent = true;
	struct sockaddr_storage addr;
	if (!t->direct_public)
		return CURL_PREREQFUNC_OK;
	if (!addr_parse(&addr, remote))
		addr.ss_family = AF_UNSPEC;
	const struct sockaddr *judged = (const struct sockaddr *)&addr;
	if (!addr_is_private(judged, sizeof(addr)))
		return CURL_PREREQFUNC_OK;
	note_refused(t, judged, sizeof(addr));
	return CURL_PREREQFUNC_ABORT;
}

bool http_callbacks(struct http_transfer *t)
{
	CURL *easy = t->easy;
	return curl_easy_setopt(easy, CURLOPT_PRIVATE, t) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->curl_text) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HEADERDATA, t) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_WRITEDATA, t) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_opened) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, t) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_ready) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PREREQDATA, t) == CURLE_OK;
}

/* libcurl compares too, but takes what ends in the headers for an answer. */
static bool is_short(const struct http_transfer *t)
{
	int status = t->headers.status;
	bool has_body = !t->is_head && status != 204 && status != 304;
	return has_body && t->content_length != UINT64_MAX && t->body.received < t->content_length;
}

void http_finish(struct http_transfer *t, CURLcode code)
{
	long os_errno = 0;
	(void)curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
	LOCKED(&t->mutex);
	t->end.os_errno = os_errno;
	t->end.code = code;
	if (code == CURLE_OK && (!t->headers.complete || is_short(t)))
		t->end.code = CURLE_PARTIAL_FILE;
	t->done = true;
	pthread_cond_signal(&t->changed);
}
