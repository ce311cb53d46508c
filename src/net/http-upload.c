/*
 * Sending a body.  libcurl asks for bytes in the http thread, which serves all transfers and must
 * not wait for a disk or another server; so the owner, who waits for the answer anyhow, reads the
 * stream and puts its bytes into a ring.  One copy a byte more than needed, and no way to deadlock.
 */
#include "net/http-upload.h"

#include <errno.h>
#include <string.h>

#include "base/stream.h"
#include "net/http-internal.h"

#define SLICE_BYTES BODY_PIECE_BYTES
#define SEND_BUFFER_BYTES (256L * 1024)

#define SET(easy, option, value) (curl_easy_setopt((easy), (option), (value)) == CURLE_OK)

/* Under the lock. */
static size_t take(struct upload *up, char *buf, size_t room)
{
	const void *data = NULL;
	if (up->left == 0) {
		body_return(&up->pieces);
		if (!body_lend(&up->pieces, &data, &up->left))
			return 0;
		up->at = data;
	}
	size_t n = up->left < room ? up->left : room;
	memcpy(buf, up->at, n);
	up->at += n;
	up->left -= n;
	return n;
}

static size_t on_read(char *buf, size_t one, size_t count, void *arg)
{
	struct http_transfer *t = arg;
	struct upload *up = &t->upload;
	uint64_t now = http_now_ms();
	LOCKED(&t->mutex);
	size_t n = take(up, buf, one * count);
	if (n > 0) {
		stall_add(&t->stall, n, now);
		pthread_cond_signal(&t->changed);
		return n;
	}
	if (up->complete)
		return 0;
	if (up->abandoned)
		return CURL_READFUNC_ABORT;
	up->waiting = true;
	stall_pause(&t->stall, now);
	return CURL_READFUNC_PAUSE;
}

bool upload_setup(struct http_transfer *t, const struct http_request *request)
{
	t->upload.size = request->stream_size;
	return request->stream_size <= INT64_MAX && SET(t->easy, CURLOPT_UPLOAD, 1L) &&
	       SET(t->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->stream_size) &&
	       SET(t->easy, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER_BYTES) &&
	       SET(t->easy, CURLOPT_READFUNCTION, on_read) && SET(t->easy, CURLOPT_READDATA, t) &&
	       SET(t->easy, CURLOPT_CUSTOMREQUEST, request->method);
}

/* Until there is room for SIZE bytes; false when nothing more is wanted. */
static bool wait_for_room(struct http_transfer *t, size_t size)
{
	while (!t->answered && !t->done && body_room(&t->upload.pieces) < size)
		pthread_cond_wait(&t->changed, &t->mutex);
	return !t->answered && !t->done;
}

/* Under the lock: the thread has to be told that there is something for it. */
static bool take_waiting(struct upload *up)
{
	bool waiting = up->waiting;
	up->waiting = false;
	return waiting;
}

/* SIZE is at most SLICE_BYTES; false when nothing more is wanted. */
static bool put(struct http_transfer *t, const void *data, size_t size)
{
	bool wake;
	{
		LOCKED(&t->mutex);
		if (!wait_for_room(t, size))
			return false;
		(void)body_add(&t->upload.pieces, data, size);
		wake = take_waiting(&t->upload);
	}
	if (wake)
		http_ask(t->http, t, HTTP_RESUME);
	return true;
}

static void end(struct http_transfer *t, bool complete)
{
	bool wake;
	{
		LOCKED(&t->mutex);
		t->upload.complete = complete;
		t->upload.abandoned = !complete;
		wake = take_waiting(&t->upload);
	}
	if (wake)
		http_ask(t->http, t, HTTP_RESUME);
}

/* 1: all of it was put; 0: the server answered, or the transfer ended, before. */
static int feed(struct http_transfer *t, struct stream *stream, struct err *err)
{
	uint64_t left = t->upload.size;
	while (left > 0) {
		const void *data = NULL;
		size_t size = 0;
		int r = stream_next(stream, &data, &size, err);
		if (r < 0)
			return r;
		if (size == 0 || size > left)
			return err_set(err, EBADMSG, "what is to be sent has %s than %llu bytes",
				       size ? "more" : "fewer", (unsigned long long)t->upload.size);
		left -= size;
		const char *at = data;
		for (size_t n; size > 0; at += n, size -= n) {
			n = size < SLICE_BYTES ? size : SLICE_BYTES;
			if (!put(t, at, n))
				return 0;
		}
	}
	return 1;
}

int upload_feed(struct http_transfer *t, struct stream *stream, struct err *err)
{
	int r = feed(t, stream, err);
	end(t, r > 0);
	return r < 0 ? r : 0;
}
