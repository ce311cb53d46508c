/*
 * The resuming blob stream.
 *
 *	at		where in the blob we are; all decisions are made on it
 *	stop		where we end: the blob's size, or the end of a range
 *	opened body	begins at AT, or at 0 with SKIP bytes to pass over
 *
 * Everything is bounded: five tries without progress (64 KiB since the last failure, or half of
 * what is left), a total that grows with the blob's size, one body that ends early though it looks
 * whole, and no second life for a server that does no ranges, since there each try costs the whole
 * blob.
 *
 * A part of a blob is never taken out of the whole: a source that does no ranges is left, for good.
 * Redirects of ranges are kept in the endpoint, so that each costs one request.
 */
#include "oci/blob-stream.h"

#include <errno.h>
#include <stdlib.h>

#include "base/digest.h"
#include "base/esc.h"
#include "base/log.h"
#include "base/str.h"
#include "oci/endpoint.h"
#include "oci/places.h"
#include "oci/reply.h"
#include "oci/request.h"
#include "oci/resume.h"
#include "oci/tries.h"

#define PROGRESS_BYTES (64u * 1024)
#define TOTAL_TRIES_BASE 64u
#define TOTAL_TRIES_BYTES (16u * 1024 * 1024) /* one more try for each of these */
#define SHORT_RANGES_MAX 1024u		      /* 206 answers that end early, as they may */

struct blob_stream {
	struct stream base;
	struct blob_options options;		    /* sources points to the next member */
	struct endpoint *sources[BLOB_SOURCES_MAX]; /* borrowed */
	unsigned source;			    /* the one in use */
	struct digest digest;
	uint64_t size; /* RESUME_SIZE_UNKNOWN when not known */
	uint64_t stop;
	bool exact; /* a range: not a byte beyond STOP */
	bool part;  /* a range that is not the whole blob */
	char *path; /* owned: "v2/NAME/blobs/DIGEST" */
	char *kept; /* owned or NULL: where the last redirect led */

	struct answer answer; /* answer.transfer NULL: no body is open */
	uint64_t at;
	uint64_t skip;	       /* bytes of this body to pass over */
	uint64_t end;	       /* of this body by its Content-Range, or unknown */
	uint64_t at_failure;   /* AT at the last failure */
	bool no_ranges;	       /* Range is not sent any more */
	unsigned short_ranges; /* 206 answers that went on for less than asked */
	unsigned short_bodies; /* whole answers that ended early */
	bool over;	       /* the body went on beyond its end: what follows is not wanted */
	bool ended;
	struct tries tries;
};

static struct endpoint *source_of(const struct blob_stream *b)
{
	return b->sources[b->source];
}

static void close_body(struct blob_stream *b)
{
	answer_release(&b->answer);
	b->over = false;
}

/* The first of the sources from FROM on that is worth asking, or their count. */
static unsigned next_worth(const struct blob_stream *b, unsigned from)
{
	unsigned last = b->options.source_count - 1;
	for (unsigned i = from; i <= last; i++) {
		struct endpoint *source = b->sources[i];
		bool useless = b->part && atomic_load(&source->no_ranges);
		bool lacks = b->exact && i < last && places_lacks(source->places, &b->digest);
		if (!useless && !lacks)
			return i;
	}
	return last + 1;
}

static void set_path(struct blob_stream *b)
{
	struct str path = STR_MAX(1024);
	str_addf(&path, "v2/%s/blobs/%s", source_of(b)->name, digest_show(&b->digest));
	free(b->path);
	b->path = str_take(&path);
}

/* A new row of tries at the source in use. */
static void begin_source(struct blob_stream *b)
{
	uint64_t more = b->stop == RESUME_SIZE_UNKNOWN ? 0 : (b->stop - b->at) / TOTAL_TRIES_BYTES;
	unsigned total = TOTAL_TRIES_BASE + (unsigned)(more < 100000 ? more : 100000);
	tries_init(&b->tries, source_of(b)->tries_max, total, source_of(b)->wait_base_ms);
	b->tries.group = source_of(b)->group;
	free(TAKE(b->kept));
	b->no_ranges = false;
	b->short_bodies = 0;
	b->at_failure = b->at;
	set_path(b);
}

/* This source is given up.  Returns 0 when there is another, else R with the blob's name in front.
 */
static int next_source(struct blob_stream *b, int r, struct err *why, struct err *err)
{
	struct endpoint *source = source_of(b);
	unsigned next = next_worth(b, b->source + 1);
	close_body(b);
	/* one that does no ranges is left: there the blob can be had, but not so */
	if (next == b->options.source_count && b->source + 1 < next && r != -ECANCELED)
		r = -EOPNOTSUPP;
	if (next == b->options.source_count || r == -ENOMEM || r == -ECANCELED)
		return err_set(err, -r, "fetch blob '%s' of '%s/%s': %s", digest_show(&b->digest),
			       esc(source_of(b)->shown), esc(source_of(b)->name), err_text(why));
	/* ranges are many, and one of them is enough to know */
	if (!b->exact || places_set_lacking(source->places, &b->digest))
		b->options.failed(b->options.arg, source, why);
	b->source = next;
	begin_source(b);
	return 0;
}

/* 64 KiB, or of what is less than twice that, half. */
static bool has_progress(const struct blob_stream *b)
{
	uint64_t got = b->at - b->at_failure;
	uint64_t left = b->stop == RESUME_SIZE_UNKNOWN ? UINT64_MAX : b->stop - b->at_failure;
	return !b->no_ranges && got > 0 && (got >= PROGRESS_BYTES || got >= left / 2);
}

/* A try failed: wait for the next one, or turn to the next source, or give up. */
static int failed(struct blob_stream *b, int r, int status, int64_t after, struct err *why,
		  struct err *err)
{
	bool final = b->answer.final;
	close_body(b);
	if (has_progress(b))
		tries_progress(&b->tries);
	b->at_failure = b->at;
	if (!final)
		r = tries_again(&b->tries, r, status, after, why);
	return r < 0 ? next_source(b, r, why, err) : 0;
}

/* A part was asked for, and what came is none. */
static int no_ranges(struct blob_stream *b, struct err *err)
{
	atomic_store(&source_of(b)->no_ranges, true);
	b->answer.final = true;
	return err_set(err, EOPNOTSUPP, "'%s' does no ranges as it should (it answered %d to one)",
		       esc(b->answer.host), http_status(b->answer.transfer));
}

static enum resume_verdict judge(struct blob_stream *b, bool ranged)
{
	const struct http_transfer *transfer = b->answer.transfer;
	const struct resume_question question = { b->at, b->size, ranged };
	const struct resume_answer answer = {
		.status = http_status(transfer),
		.content_range = http_header(transfer, "Content-Range", 0),
		.content_type = http_header(transfer, "Content-Type", 0),
	};
	enum resume_verdict verdict = b->part ? resume_judge_part(&question, b->stop, &answer,
								  &b->end)
					      : resume_judge(&question, &answer, &b->end);
	uint64_t length = http_content_length(transfer);
	bool contradicts = b->end != RESUME_SIZE_UNKNOWN && length != UINT64_MAX &&
			   length != b->end - b->at;
	return contradicts ? RESUME_RESTART : verdict;
}

/* The answer is here: which of its bytes are wanted? */
static int use_answer(struct blob_stream *b, bool ranged, struct err *err)
{
	b->skip = 0;
	enum resume_verdict verdict = judge(b, ranged);
	if (b->part && (verdict == RESUME_SKIP || verdict == RESUME_RESTART))
		return no_ranges(b, err);
	switch (verdict) {
	case RESUME_GO:
		return 0;
	case RESUME_SKIP:
		log_debug("'%s' answered a range with the whole blob", esc(b->answer.host));
		b->no_ranges = true;
		b->skip = b->at;
		return 0;
	case RESUME_RESTART:
		b->no_ranges = true;
		close_body(b);
		return 0;
	case RESUME_REFUSE:
		break;
	}
	return reply_error(b->answer.transfer, b->answer.host, err);
}

/* One request, with the redirect that is kept, by the endpoint for ranges. */
static int ask(struct blob_stream *b, const struct request *request, struct err *err)
{
	struct endpoint *source = source_of(b);
	if (!b->exact)
		return request_try(&b->answer, source, request, err);
	auto_free char *before = places_find(source->places, &b->digest);
	free(b->kept);
	b->kept = mem_strdup(before);
	int r = request_try(&b->answer, source, request, err);
	places_put(source->places, &b->digest, before, b->kept);
	return r;
}

/* Who the redirect led to has trouble: the next try asks the registry, which may know another. */
static void forget_kept(struct blob_stream *b)
{
	if (b->exact)
		places_put(source_of(b)->places, &b->digest, b->kept, NULL);
	free(TAKE(b->kept));
}

/* One try to open the body at AT.  May return 0 without one: then the next try is due at once. */
static int open_body(struct blob_stream *b, struct err *err)
{
	bool ranged = b->part || (b->at > 0 && !b->no_ranges);
	const struct request request = {
		.method = "GET",
		.path = b->path,
		.from = ranged ? b->at : 0,
		.to = b->part ? b->stop : 0,
		.fresh = b->options.fresh,
		.new_connection = b->tries.made > 0,
		.kept = &b->kept,
	};
	struct err why = { 0 };
	int r = ask(b, &request, &why);
	if (r < 0)
		return failed(b, r, 0, -1, &why, err);
	int status = http_status(b->answer.transfer);
	int64_t after = tries_after(b->answer.transfer);
	if (status >= 500)
		forget_kept(b);
	r = use_answer(b, ranged, &why);
	return r < 0 ? failed(b, r, status, after, &why, err) : 0;
}

/* The body is over and its framing was right.  Is the blob? */
static int body_ended(struct blob_stream *b, struct err *err)
{
	bool as_announced = b->end != RESUME_SIZE_UNKNOWN && b->at == b->end;
	close_body(b);
	if (b->stop == RESUME_SIZE_UNKNOWN || b->at >= b->stop) {
		b->ended = true;
		return 0;
	}
	if (as_announced && ++b->short_ranges <= SHORT_RANGES_MAX)
		return 0;
	if (!as_announced && ++b->short_bodies <= 1)
		return 0;
	struct err why = { 0 };
	int r = err_set(&why, EBADMSG, "'%s' ends it after %llu of %llu bytes",
			esc(source_of(b)->host), (unsigned long long)b->at,
			(unsigned long long)b->stop);
	return next_source(b, r, &why, err);
}

/* A piece came: what of it is handed out?  0 bytes when it was all known already. */
static size_t take_piece(struct blob_stream *b, const void **data, size_t size)
{
	const char *piece = *data;
	size_t known = b->skip < size ? (size_t)b->skip : size;
	b->skip -= known;
	size -= known;
	*data = piece + known;
	uint64_t limit = b->end != RESUME_SIZE_UNKNOWN ? b->end : b->stop;
	b->over = limit != RESUME_SIZE_UNKNOWN && size > limit - b->at;
	if (b->over) {
		size = (size_t)(limit - b->at);
		/* one byte more than there should be tells a blob that is too long */
		size += !b->exact && limit == b->size ? 1 : 0;
	}
	b->at += size;
	return size;
}

static int body_broke(struct blob_stream *b, int r, struct err *why, struct err *err)
{
	if (b->at == b->stop) {
		/* only the end of the framing is missing: the digest will tell */
		close_body(b);
		b->ended = true;
		return 0;
	}
	struct err said = *why;
	r = err_set(why, -r, "at byte %llu: %s", (unsigned long long)b->at, said.text);
	return failed(b, r, 0, -1, why, err);
}

static int blob_next(struct stream *stream, const void **data, size_t *size, struct err *err)
{
	struct blob_stream *b = (struct blob_stream *)stream;
	*size = 0;
	while (!b->ended) {
		struct err why = { 0 };
		size_t n = 0;
		int r;
		if (!b->answer.transfer) {
			r = open_body(b, err);
		} else if (b->over) {
			r = body_ended(b, err);
		} else {
			r = http_next(b->answer.transfer, data, &n, &why);
			if (r < 0)
				r = body_broke(b, r, &why, err);
			else if (n == 0)
				r = body_ended(b, err);
			else
				*size = take_piece(b, data, n);
		}
		if (r < 0 || *size > 0)
			return r;
	}
	return 0;
}

static void blob_free(struct stream *stream)
{
	struct blob_stream *b = (struct blob_stream *)stream;
	close_body(b);
	free(b->path);
	free(b->kept);
	free(b);
}

static struct blob_stream *make(const struct descriptor *d, const struct blob_options *options)
{
	static const struct stream_ops ops = { blob_next, NULL, blob_free };
	struct blob_stream *b = mem_make(struct blob_stream, .base = { &ops }, .options = *options,
					 .digest = d->digest, .size = d->size, .stop = d->size);
	for (unsigned i = 0; i < options->source_count; i++) {
		b->sources[i] = options->sources[i];
		if (options->fresh)
			places_drop(b->sources[i]->places, &b->digest);
	}
	if (options->length > 0) {
		b->at = options->offset;
		b->stop = options->offset + options->length;
		b->exact = true;
		b->part = options->length < d->size;
	}
	return b;
}

int blob_stream_open(struct stream **out, const struct descriptor *d,
		     const struct blob_options *options, struct err *err)
{
	struct blob_stream *b = make(d, options);
	AUTO(stream) stream = &b->base;
	b->source = next_worth(b, 0);
	if (b->source == options->source_count)
		return err_set(err, EOPNOTSUPP, "'%s' does no ranges as it should",
			       esc(b->sources[b->source - 1]->host));
	begin_source(b);
	while (!b->answer.transfer) {
		int r = open_body(b, err);
		if (r < 0)
			return r;
	}
	*out = TAKE(stream);
	return 0;
}
