/*
 * Uploading a blob: a row of steps that can break at each point.
 *
 *	nothing ──POST──> place ──PATCH──> place, some bytes ──PUT──> done
 *	                    ^                    │ broken
 *	                    └── GET: how many? <─┘        (no answer that helps: from the start)
 *
 * Registries differ in what they tell, so nothing but the PUT's success counts; and after a PUT
 * without an answer the blob is looked for, since it may have come.
 */
#include "oci/upload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "oci/ask.h"
#include "oci/endpoint.h"
#include "oci/reply.h"
#include "oci/tries.h"
#include "oci/upload-part.h"

#define PATH_MAX_BYTES 2048
#define ANSWER_TIMEOUT_MS 120000u
#define SEND_PATIENCE_SECONDS 60u   /* the registry may have to store what it got */
#define CLOSE_PATIENCE_SECONDS 300u /* .. and to read all of it again for the digest */
#define PROGRESS_BYTES 65536u
#define TRIES_TOTAL_MAX 50u
#define RESTARTS_MAX 3u
/* For servers that take no body as large as a layer (413): most take this. */
#define CHUNK_BYTES (32u * 1024 * 1024)

#define OCTETS "application/octet-stream"

struct upload {
	struct endpoint *endpoint;    /* borrowed */
	const struct sink_blob *blob; /* borrowed */
	char *url;		      /* owned: the place, or NULL */
	uint64_t offset;	      /* bytes the registry has */
	uint64_t chunk;		      /* at most so many in a request; 0: all */
	bool broken;		      /* it is not known what the registry has */
	bool closing;		      /* a PUT was sent */
	unsigned restarts;
	struct part part;
	enum sink_outcome outcome;
};

/* What became of one try, for tries_again. */
struct verdict {
	int status;
	int64_t after;
	bool final;
};

static void drop_place(struct upload *up)
{
	free(TAKE(up->url));
	up->offset = 0;
	up->broken = false;
	up->closing = false;
}

static void judge(struct verdict *verdict, const struct answer *answer)
{
	verdict->final = answer->final;
	verdict->status = answer->transfer ? http_status(answer->transfer) : 0;
	verdict->after = tries_after(answer->transfer);
}

int upload_find(struct endpoint *endpoint, const struct digest *digest, bool *there,
		struct err *err)
{
	static const int wanted[] = { 200, 206, 404, 400, 405, 416, 0 };
	auto_str path = STR_MAX(PATH_MAX_BYTES);
	str_addf(&path, "v2/%s/blobs/%s", endpoint->name, digest_show(digest));
	const struct request request = {
		.method = "HEAD",
		.path = str_text(&path),
		.timeout_ms = ANSWER_TIMEOUT_MS,
	};
	struct answer answer = { 0 };
	int r = ask_endpoint(&answer, endpoint, &request, wanted, err);
	/* a store behind a redirect may refuse HEAD with 403: then nobody knows */
	*there = r == 0 && http_status(answer.transfer) == 200;
	answer_release(&answer);
	return r == -EACCES ? 0 : r;
}

/* --- the steps --- */

/* POST.  201: the blob was mounted. */
static int begin(struct upload *up, struct err *err)
{
	static const int wanted[] = { 202, 201, 0 };
	static const struct request_body nothing = { .size = 0 };
	const struct digest *digest = &up->blob->d->digest;
	auto_str path = STR_MAX(PATH_MAX_BYTES);
	str_addf(&path, "v2/%s/blobs/uploads/", up->endpoint->name);
	bool mounts = up->blob->mount_from && up->restarts == 0;
	if (mounts) {
		str_addf(&path, "?mount=%s&from=", digest_show(digest));
		url_add_encoded(&path, up->blob->mount_from);
	}
	const struct request request = {
		.method = "POST",
		.path = str_text(&path),
		.body = &nothing,
		.timeout_ms = ANSWER_TIMEOUT_MS,
	};
	struct answer answer = { 0 };
	int r = ask_endpoint(&answer, up->endpoint, &request, wanted, err);
	if (r < 0)
		return r;
	if (http_status(answer.transfer) == 201 && mounts)
		up->outcome = SINK_MOUNTED;
	else
		r = request_location(&up->url, &answer, up->endpoint, &request, err);
	answer_release(&answer);
	return r;
}

/* "0-N": N+1 bytes are there.  Registries say 0-0 of nothing as well as of one byte. */
static uint64_t range_end(const char *range)
{
	unsigned long long last = 0;
	if (!range)
		return 0;
	if (str_starts(range, "bytes="))
		range += strlen("bytes=");
	if (!str_starts(range, "0-") || !str_parse_u64(range + 2, &last) || last == 0 ||
	    last >= UINT64_MAX - 1)
		return 0;
	return last + 1;
}

/* The next place, if the answer names one. */
static void move_on(struct upload *up, const struct answer *answer, const struct request *request)
{
	char *next = NULL;
	if (!http_header(answer->transfer, "Location", 0) ||
	    request_location(&next, answer, up->endpoint, request, NULL) < 0)
		return;
	free(up->url);
	up->url = next;
}

/* Ask how much is there.  A place that is gone is left; whether it can be asked decides nothing. */
static void find_out(struct upload *up)
{
	const struct request request = {
		.method = "GET",
		.url = up->url,
		.new_connection = true,
		.timeout_ms = ANSWER_TIMEOUT_MS,
	};
	struct answer answer = { 0 };
	uint64_t end = 0;
	int r = request_try(&answer, up->endpoint, &request, NULL);
	int status = r == 0 ? http_status(answer.transfer) : 0;
	if (status == 204 || status == 202 || status == 200)
		end = range_end(http_header(answer.transfer, "Range", 0));
	if (end > 0 && end <= up->blob->d->size) {
		move_on(up, &answer, &request);
		log_debug("upload of %s goes on at %llu", digest_show(&up->blob->d->digest),
			  (unsigned long long)end);
		up->offset = end;
		up->broken = false;
	} else {
		drop_place(up);
	}
	answer_release(&answer);
}

/* 1: once more at once, in another way; else R. */
static int send_otherwise(struct upload *up, const struct verdict *verdict, int r)
{
	if (verdict->status == 413 && up->chunk == 0 && up->blob->d->size > CHUNK_BYTES) {
		up->chunk = CHUNK_BYTES;
		drop_place(up);
		return 1;
	}
	bool lost = verdict->status == 404 || verdict->status == 416 || verdict->status == 410;
	if (lost && up->restarts < RESTARTS_MAX) {
		up->restarts++;
		/* a PUT sent twice, as libcurl does on a connection that was dead: it may be done
		 */
		if (!up->closing)
			drop_place(up);
		return 1;
	}
	return r;
}

static int request_sent(struct upload *up, const struct request *request, struct verdict *verdict,
			struct err *err)
{
	struct answer answer = { 0 };
	up->broken = true;
	int r = request_try(&answer, up->endpoint, request, err);
	judge(verdict, &answer);
	bool good = verdict->status >= 200 && verdict->status < 300;
	if (r == 0 && !good)
		r = reply_error(answer.transfer, answer.host, err);
	if (r == 0 && !up->closing)
		move_on(up, &answer, request);
	answer_release(&answer);
	up->broken = r < 0;
	return r;
}

/* One PATCH. */
static int send_some(struct upload *up, struct verdict *verdict, struct err *err)
{
	uint64_t size = up->blob->d->size, left = size - up->offset;
	up->part.offset = up->offset;
	up->part.length = up->chunk && up->chunk < left ? up->chunk : left;
	up->part.failed = false;
	auto_str range = STR_MAX(64);
	str_addf(&range, "%llu-%llu", (unsigned long long)up->offset,
		 (unsigned long long)(up->offset + up->part.length - 1));
	bool whole = up->part.length == size;
	const struct request_body body = {
		.size = up->part.length,
		.type = OCTETS,
		.range = whole ? NULL : str_text(&range),
		.open = part_open,
		.arg = &up->part,
	};
	const struct request request = {
		.method = "PATCH",
		.url = up->url,
		.body = &body,
		.low_speed_seconds = SEND_PATIENCE_SECONDS,
	};
	int r = request_sent(up, &request, verdict, err);
	if (r == 0)
		up->offset += up->part.length;
	if (r < 0 && up->part.failed)
		verdict->final = true;
	return r < 0 && !verdict->final ? send_otherwise(up, verdict, r) : r;
}

/* The PUT that makes a blob of it. */
static int finish(struct upload *up, struct verdict *verdict, struct err *err)
{
	static const struct request_body nothing = { .type = OCTETS };
	auto_str url = STR_MAX(4 * PATH_MAX_BYTES);
	str_addf(&url, "%s%cdigest=", up->url, strchr(up->url, '?') ? '&' : '?');
	url_add_encoded(&url, digest_show(&up->blob->d->digest));
	if (url.failed)
		return err_set(err, EPROTO, "the place of an upload has a name that is too long");
	const struct request request = {
		.method = "PUT",
		.url = str_text(&url),
		.body = &nothing,
		.low_speed_seconds = CLOSE_PATIENCE_SECONDS,
	};
	up->closing = true;
	int r = request_sent(up, &request, verdict, err);
	return r < 0 && !verdict->final ? send_otherwise(up, verdict, r) : r;
}

/* What is known after something broke: 1 when the blob is there after all. */
static int recover(struct upload *up)
{
	bool there = false;
	if (up->closing && upload_find(up->endpoint, &up->blob->d->digest, &there, NULL) == 0 &&
	    there)
		return 1;
	up->closing = false;
	find_out(up);
	return 0;
}

/* As far as it goes: 0 done, 1 once more at once. */
static int advance(struct upload *up, struct verdict *verdict, struct err *err)
{
	int r = 0;
	if (up->url && up->broken && recover(up) > 0)
		return 0;
	if (!up->url) {
		r = begin(up, err);
		/* it was tried as often as it makes sense */
		verdict->final = r < 0;
		if (r < 0 || up->outcome == SINK_MOUNTED)
			return r;
	}
	while (r == 0 && up->offset < up->blob->d->size)
		r = send_some(up, verdict, err);
	if (r == 0) {
		r = part_verify(&up->part, err);
		verdict->final = r < 0;
	}
	return r == 0 ? finish(up, verdict, err) : r;
}

/* The bytes were wrong, here or on their way: once more from the source. */
static bool starts_anew(struct upload *up, int r, const struct verdict *verdict)
{
	bool wrong = r == -EBADMSG || (verdict->status == 400 && up->closing);
	if (!wrong || up->part.flags & REPO_BLOB_FRESH)
		return false;
	up->part.flags |= REPO_BLOB_FRESH;
	drop_place(up);
	return true;
}

static int run(struct upload *up, struct err *err)
{
	struct tries tries;
	uint64_t before = 0;
	tries_init(&tries, up->endpoint->tries_max, TRIES_TOTAL_MAX, up->endpoint->wait_base_ms);
	tries.group = up->endpoint->group;
	for (;;) {
		struct verdict verdict = { .after = -1 };
		struct err why = { 0 };
		int r = advance(up, &verdict, &why);
		if (r == 0)
			return 0;
		if (r > 0 || starts_anew(up, r, &verdict))
			continue;
		if (up->offset >= before + PROGRESS_BYTES)
			tries_progress(&tries);
		before = up->offset;
		if (!verdict.final)
			r = tries_again(&tries, r, verdict.status, verdict.after, &why);
		if (r < 0)
			return err_set(err, -r, "%s", err_text(&why));
	}
}

int upload_blob(struct endpoint *endpoint, const struct sink_blob *blob, enum sink_outcome *outcome,
		struct err *err)
{
	struct upload up = { .endpoint = endpoint, .blob = blob, .part = { .blob = blob } };
	int r = run(&up, err);
	if (r == 0)
		*outcome = up.outcome;
	part_release(&up.part);
	free(up.url);
	return r;
}
