/*
 * Sending a bundle.  In order:
 *
 *	1  what the tags name: when it is this image, nothing is to be done
 *	2  which documents are there: their blobs are, too
 *	3  which of the other blobs are there
 *	4  the rest of the blobs, several at once
 *	5  documents, what is listed before what lists it; the top under its tags
 *	6  what the first tag names now
 *
 * So an interrupted push leaves blobs without a name, which the next one finds.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/esc.h"
#include "image/bundle-internal.h"
#include "oci/tries.h"

#define THREADS_MAX 16u
#define READ_BACK_TRIES 6u
#define READ_BACK_WAIT_MS 100u /* doubled each time */

struct sending {
	struct bundle *bundle;		      /* borrowed */
	struct sink *sink;		      /* borrowed */
	const struct bundle_options *options; /* borrowed */
	bool distrust; /* the registry said of a blob that it is there, and it was not */
	int (*work)(struct sending *, struct bundle_blob *, struct err *);
	atomic_bool stop;	  /* someone failed */
	pthread_mutex_t mutex;	  /* guards what follows */
	struct bundle_blob *next; /* borrowed: the next to be worked on */
	int failed;
	struct err err;
	struct bundle_result *result; /* borrowed */
};

/* --- several blobs at once --- */

static struct bundle_blob *take(struct sending *s)
{
	LOCKED(&s->mutex);
	struct bundle_blob *blob = s->next;
	while (blob && (!blob->wanted || blob->there))
		blob = blob->hh.next;
	s->next = blob ? blob->hh.next : NULL;
	return s->failed ? NULL : blob;
}

static void *work(void *arg)
{
	struct sending *s = arg;
	struct bundle_blob *blob;
	while ((blob = take(s))) {
		struct err err = { 0 };
		int r = s->work(s, blob, &err);
		if (r >= 0)
			continue;
		LOCKED(&s->mutex);
		if (!s->failed) {
			s->failed = r;
			s->err = err;
		}
		atomic_store(&s->stop, true);
	}
	return NULL;
}

static int each_blob(struct sending *s,
		     int (*each)(struct sending *, struct bundle_blob *, struct err *),
		     struct err *err)
{
	pthread_t threads[THREADS_MAX];
	unsigned made = 0, jobs = s->sink->jobs < THREADS_MAX ? s->sink->jobs : THREADS_MAX;
	s->work = each;
	s->next = s->bundle->blobs;
	s->failed = 0;
	atomic_store(&s->stop, false);
	/* this thread works too: fewer threads than wanted only take longer */
	while (made + 1 < jobs && made + 1 < HASH_COUNT(s->bundle->blobs) &&
	       pthread_create(&threads[made], NULL, work, s) == 0)
		made++;
	(void)work(s);
	for (unsigned i = 0; i < made; i++)
		(void)pthread_join(threads[i], NULL);
	if (s->failed && err)
		*err = s->err;
	return s->failed;
}

/* --- what is there --- */

static int look_for_blob(struct sending *s, struct bundle_blob *blob, struct err *err)
{
	return sink_has_blob(s->sink, &blob->d, &blob->there, err);
}

static int want_blob(void *arg, const struct descriptor *d, struct err *err)
{
	struct bundle_blob *blob = bundle_find_blob(arg, &d->digest);
	if (!blob)
		return err_set(err, EBADMSG, "blob %s is missing", digest_show(&d->digest));
	blob->wanted = true;
	return 0;
}

/* An index may list blobs that are no documents. */
static int want_listed(struct bundle *bundle, const struct document *document, struct err *err)
{
	auto_index index = { 0 };
	if (media_kind(document->descriptor.media_type) != MEDIA_INDEX)
		return bundle_each_blob(document, want_blob, bundle, err);
	int r = index_parse(&index, document->descriptor.media_type, document->bytes,
			    document->size, err);
	for (size_t i = 0; r == 0 && i < index.count; i++) {
		struct bundle_blob *blob = bundle_find_blob(bundle, &index.entries[i].digest);
		if (blob)
			blob->wanted = true;
	}
	return r;
}

static int look_for_nodes(struct sending *s, struct err *err)
{
	struct bundle *bundle = s->bundle;
	struct bundle_node *top = &bundle->nodes[bundle->count - 1];
	int r = 0;
	if (!s->distrust)
		r = sink_has_document(s->sink, &top->document.descriptor.digest, &top->there, err);
	for (size_t i = 0; r == 0 && i < bundle->count; i++) {
		struct bundle_node *node = &bundle->nodes[i];
		if (node != top && top->there)
			node->there = true;
		else if (node != top && !s->distrust)
			r = sink_has_document(s->sink, &node->document.descriptor.digest,
					      &node->there, err);
		if (r == 0 && !node->there)
			r = want_listed(bundle, &node->document, err);
	}
	return r;
}

/* How many tags name something else. */
static int look_for_tags(struct sending *s, bool *all_there, struct err *err)
{
	const struct bundle_options *options = s->options;
	const struct digest *ours = &bundle_top(s->bundle)->descriptor.digest;
	s->result->tags_there = 0;
	for (size_t i = 0; i < options->tag_count; i++) {
		struct digest found;
		int r = sink_tagged(s->sink, options->tags[i], &found, err);
		if (r < 0)
			return r;
		s->result->tags_there += digest_equal(&found, ours);
	}
	*all_there = options->tag_count > 0 && s->result->tags_there == options->tag_count;
	return 0;
}

/* --- sending --- */

static void count(struct sending *s, const struct bundle_blob *blob, enum sink_outcome outcome)
{
	LOCKED(&s->mutex);
	s->result->sent += outcome == SINK_SENT;
	s->result->mounted += outcome == SINK_MOUNTED;
	s->result->there += outcome == SINK_THERE;
	if (outcome == SINK_SENT)
		s->result->sent_bytes += blob->d.size;
}

static int send_blob(struct sending *s, struct bundle_blob *blob, struct err *err)
{
	struct layer_progress *progress = blob->progress;
	const struct sink_blob what = {
		.d = &blob->d,
		.open = bundle_blob_open,
		.arg = blob,
		.sent = progress ? &progress->fetched_bytes : NULL,
		.cancel = s->options->cancel,
		.stop = &s->stop,
		.mount_from = blob->spool < 0 ? s->options->mount_from : NULL,
	};
	enum sink_outcome outcome = SINK_SENT;
	if (progress)
		atomic_store(&progress->state, LAYER_RUNNING);
	int r = sink_put_blob(s->sink, &what, &outcome, err);
	if (progress)
		atomic_store(&progress->state, r < 0 ? LAYER_FAILED : LAYER_DONE);
	if (r < 0)
		return r;
	blob->there = true;
	count(s, blob, outcome);
	return 0;
}

static void make_progress(struct sending *s, struct progress *progress)
{
	size_t missing = 0;
	struct bundle_blob *blob;
	for (blob = s->bundle->blobs; blob; blob = blob->hh.next)
		missing += blob->wanted && !blob->there;
	progress_init(progress, missing);
	struct layer_progress *layer = progress->layers;
	for (blob = s->bundle->blobs; blob; blob = blob->hh.next) {
		blob->progress = NULL;
		if (!blob->wanted || blob->there)
			continue;
		layer->digest = blob->digest;
		layer->total_bytes = blob->d.size;
		blob->progress = layer++;
	}
}

static int send_blobs(struct sending *s, struct err *err)
{
	const struct bundle_options *options = s->options;
	__attribute__((cleanup(progress_release))) struct progress progress = { 0 };
	make_progress(s, &progress);
	if (progress.layer_count > 0 && options->started)
		options->started(options->arg, &progress);
	int r = each_blob(s, send_blob, err);
	if (progress.layer_count > 0 && options->finished)
		options->finished(options->arg);
	return r;
}

static int send_documents(struct sending *s, struct err *err)
{
	static const char *const unnamed[] = { "" };
	const struct bundle *bundle = s->bundle;
	const struct bundle_options *options = s->options;
	const char *const *tags = options->tag_count > 0 ? options->tags : unnamed;
	size_t count = options->tag_count > 0 ? options->tag_count : 1;
	int r = 0;
	for (size_t i = 0; r == 0 && i + 1 < bundle->count; i++)
		if (!bundle->nodes[i].there)
			r = sink_put_document(s->sink, &bundle->nodes[i].document, NULL, err);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = sink_put_document(s->sink, bundle_top(bundle), tags[i], err);
	return r;
}

static size_t count_there(const struct bundle *bundle)
{
	size_t there = 0;
	for (const struct bundle_blob *blob = bundle->blobs; blob; blob = blob->hh.next)
		there += blob->wanted && blob->there;
	return there;
}

static int send_all(struct sending *s, struct err *err)
{
	int r = look_for_nodes(s, err);
	if (r == 0 && !s->distrust)
		r = each_blob(s, look_for_blob, err);
	if (r < 0)
		return r;
	s->result->whole_there = s->bundle->nodes[s->bundle->count - 1].there;
	s->result->there = count_there(s->bundle);
	r = send_blobs(s, err);
	return r < 0 ? r : send_documents(s, err);
}

/* What was found out about a sink. */
static void forget(struct bundle *bundle)
{
	for (struct bundle_blob *blob = bundle->blobs; blob; blob = blob->hh.next) {
		blob->there = false;
		blob->wanted = false;
	}
	for (size_t i = 0; i < bundle->count; i++)
		bundle->nodes[i].there = false;
}

/* All over, without believing what is said to be there. */
static int send_again(struct sending *s, struct err *err)
{
	forget(s->bundle);
	s->distrust = true;
	return send_all(s, err);
}

/* --- reading back --- */

static void wait_ms(unsigned ms)
{
	const struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };
	(void)nanosleep(&t, NULL);
}

/* Some registries show what they were sent only after a moment. */
static int read_back(struct sending *s, struct err *err)
{
	const struct digest *ours = &bundle_top(s->bundle)->descriptor.digest;
	const char *tag = s->options->tag_count > 0 ? s->options->tags[0] : NULL;
	struct digest found = { 0 };
	bool there = false;
	if (!s->sink->ops->tagged)
		return 0;
	for (unsigned i = 0; i < READ_BACK_TRIES; i++) {
		int r = tag ? sink_tagged(s->sink, tag, &found, err) : 0;
		if (r == 0 && tag && digest_equal(&found, ours))
			return 0;
		if (r == 0)
			r = sink_has_document(s->sink, ours, &there, err);
		if (r < 0)
			return err_wrap(err, r, "read back what was pushed");
		s->result->moved = tag && there && digest_known(&found);
		if (there && (!tag || s->result->moved))
			return 0;
		wait_ms((READ_BACK_WAIT_MS << i) * tries_wait_base_ms() / RETRY_BASE_MS);
	}
	if (digest_known(&found))
		return err_set(err, EBADMSG, "'%s' was pushed as %s, '%s' has %s",
			       tag ? esc(tag) : "", digest_show(ours), esc(s->sink->name),
			       digest_show(&found));
	return err_set(err, EAGAIN, "'%s' does not show %s, which was pushed", esc(s->sink->name),
		       digest_show(ours));
}

int bundle_send(struct bundle *bundle, struct sink *sink, const struct bundle_options *options,
		struct bundle_result *result, struct err *err)
{
	*result = (struct bundle_result){ 0 };
	struct sending s = {
		.bundle = bundle,
		.sink = sink,
		.options = options,
		.mutex = PTHREAD_MUTEX_INITIALIZER,
		.result = result,
	};
	bool all_there = false;
	forget(bundle);
	int r = look_for_tags(&s, &all_there, err);
	if (r < 0 || all_there) {
		result->whole_there = all_there;
		return r;
	}
	r = send_all(&s, err);
	/* "unknown blob" of one that was there: a cache before the registry, or its cleaning */
	if ((r == -EPROTO || r == -ENOENT) && result->there > 0)
		r = send_again(&s, err);
	if (r == 0)
		r = sink_finish(sink, err);
	return r < 0 ? r : read_back(&s, err);
}
