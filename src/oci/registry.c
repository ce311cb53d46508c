/*
 * A repository in a registry, perhaps behind a mirror: struct repo over endpoints.  The mirror is
 * asked first for everything; whatever it cannot give, the origin gives.  Bytes are verified by
 * digest, so it does not matter who sent them; a tag is believed to whom the user named.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/str.h"
#include "net/http-group.h"
#include "net/retry.h"
#include "oci/blob-stream.h"
#include "oci/endpoint.h"
#include "oci/fetch.h"
#include "oci/repo.h"

#define MIRROR_TRIES 2u /* the origin is there */

struct registry {
	struct repo base;
	struct endpoint *endpoints[BLOB_SOURCES_MAX]; /* owned: mirror if any, then origin */
	unsigned count;
	struct http_group *group;   /* owned: all our requests */
	atomic_bool mirror_down;    /* it could not be reached: not asked again */
	pthread_mutex_t warn_mutex; /* one warning at a time */
	void (*warn)(void *arg, const char *text);
	void *warn_arg; /* borrowed */
};

static struct registry *registry_of(struct repo *repo)
{
	return (struct registry *)repo;
}

/* SOURCE, a mirror, failed with WHY. */
static void mirror_failed(void *arg, struct endpoint *source, const struct err *why)
{
	struct registry *registry = arg;
	int code = why->code;
	if (code == -EAGAIN || code == -ETIMEDOUT || code == -EPROTO)
		atomic_store(&registry->mirror_down, true);
	if (!registry->warn)
		return;
	auto_str text = STR_MAX(2 * ERR_TEXT_MAX_BYTES);
	str_addf(&text, "mirror '%s' does not serve '%s': %s; asking '%s'", esc(source->host),
		 esc(source->name), err_text(why),
		 esc(registry->endpoints[registry->count - 1]->shown));
	LOCKED(&registry->warn_mutex);
	registry->warn(registry->warn_arg, str_text(&text));
}

static unsigned first_endpoint(struct registry *registry)
{
	bool skip = registry->count > 1 && atomic_load(&registry->mirror_down);
	return skip ? 1 : 0;
}

/* What is asked of each endpoint in turn; the outputs are that of the kind of question. */
struct question {
	const char *reference;
	const struct digest *wanted; /* or NULL */
	const char *media_type;	     /* or NULL */
	struct document *document;   /* GET */
	struct descriptor *head;     /* HEAD; exactly one of the two */
};

static int ask_one(const struct question *q, struct endpoint *endpoint, struct err *err)
{
	if (q->head)
		return fetch_head(q->head, endpoint, q->reference, err);
	return fetch_manifest(q->document, endpoint, q->reference, q->wanted, q->media_type, err);
}

static int ask(struct registry *registry, const struct question *q, struct err *err)
{
	for (unsigned i = first_endpoint(registry);; i++) {
		struct err why = { 0 };
		int r = ask_one(q, registry->endpoints[i], &why);
		if (r == 0)
			return 0;
		if (i + 1 == registry->count || r == -ENOMEM || r == -ECANCELED)
			return err_set(err, -r, "%s", err_text(&why));
		mirror_failed(registry, registry->endpoints[i], &why);
	}
}

static const char *reference_of(const struct ref *ref, struct digest_text *digest)
{
	if (!digest_known(&ref->digest))
		return ref->tag ? ref->tag : "latest";
	*digest = digest_format(&ref->digest);
	return digest->text;
}

static int registry_resolve(struct repo *repo, const struct ref *ref, struct document *out,
			    struct err *err)
{
	struct digest_text text;
	const struct question q = {
		.reference = reference_of(ref, &text),
		.wanted = digest_known(&ref->digest) ? &ref->digest : NULL,
		.document = out,
	};
	return ask(registry_of(repo), &q, err);
}

static int registry_head(struct repo *repo, const struct ref *ref, struct descriptor *out,
			 struct err *err)
{
	struct digest_text text;
	struct descriptor found = { 0 };
	const struct question q = { .reference = reference_of(ref, &text), .head = &found };
	int r = ask(registry_of(repo), &q, err);
	if (r < 0)
		return r;
	if (digest_known(&ref->digest) && !digest_equal(&found.digest, &ref->digest)) {
		r = err_set(err, EBADMSG, "'%s' names '%s' when asked for '%s'", esc(repo->name),
			    digest_show(&found.digest), q.reference);
		descriptor_release(&found);
		return r;
	}
	*out = found;
	return 0;
}

static int registry_manifest(struct repo *repo, const struct descriptor *d, struct document *out,
			     struct err *err)
{
	struct document document = { 0 };
	const struct digest_text text = digest_format(&d->digest);
	const struct question q = {
		.reference = text.text,
		.wanted = &d->digest,
		.media_type = d->media_type,
		.document = &document,
	};
	if (d->size != UINT64_MAX && d->size > MANIFEST_MAX_BYTES)
		return err_set(err, E2BIG, "manifest '%s' of '%s' has %llu bytes (at most %u)",
			       text.text, esc(repo->name), (unsigned long long)d->size,
			       MANIFEST_MAX_BYTES);
	int r = ask(registry_of(repo), &q, err);
	if (r < 0)
		return r;
	if (d->size != UINT64_MAX && document.size != d->size) {
		r = err_set(err, EBADMSG, "manifest '%s' of '%s' has %zu bytes, not %llu",
			    text.text, esc(repo->name), document.size, (unsigned long long)d->size);
		document_release(&document);
		return r;
	}
	*out = document;
	return 0;
}

static int registry_tags(struct repo *repo, struct tags *out, struct err *err)
{
	struct registry *registry = registry_of(repo);
	struct endpoint *origin = registry->endpoints[registry->count - 1];
	struct endpoint *mirror = first_endpoint(registry) + 1 < registry->count
					  ? registry->endpoints[0]
					  : NULL;
	struct err why = { 0 };
	int r = mirror ? tags_fetch(out, mirror, &why) : 0;
	if (mirror && r == 0 && out->count > 0)
		return 0;
	if (mirror) {
		if (r == 0)
			(void)err_set(&why, ENOENT, "it lists no tags");
		mirror_failed(registry, mirror, &why);
		atomic_store(&registry->mirror_down, true);
	}
	return tags_fetch(out, origin, err);
}

/* [OFFSET, OFFSET+LENGTH), or the whole blob when LENGTH is 0. */
static int open_blob(struct registry *registry, const struct descriptor *d, uint64_t offset,
		     uint64_t length, unsigned flags, struct stream **out, struct err *err)
{
	unsigned first = first_endpoint(registry);
	/* bad bytes of a mirror are no reason to fail while the origin has good ones */
	if ((flags & REPO_BLOB_FRESH) && first + 1 < registry->count) {
		struct err why = { 0 };
		(void)err_set(&why, EBADMSG, "the bytes of blob '%s' were wrong",
			      digest_show(&d->digest));
		mirror_failed(registry, registry->endpoints[first], &why);
		first = registry->count - 1;
	}
	const struct blob_options options = {
		.sources = registry->endpoints + first,
		.source_count = registry->count - first,
		.fresh = flags & REPO_BLOB_FRESH,
		.offset = offset,
		.length = length,
		.failed = mirror_failed,
		.arg = registry,
	};
	return blob_stream_open(out, d, &options, err);
}

static int registry_blob(struct repo *repo, const struct descriptor *d, unsigned flags,
			 struct stream **out, struct err *err)
{
	return open_blob(registry_of(repo), d, 0, 0, flags, out, err);
}

static int registry_range(struct repo *repo, const struct descriptor *d, uint64_t offset,
			  uint64_t length, unsigned flags, struct stream **out, struct err *err)
{
	return open_blob(registry_of(repo), d, offset, length, flags, out, err);
}

static void registry_abort(struct repo *repo)
{
	http_group_abort(registry_of(repo)->group);
}

static bool registry_pause(struct repo *repo, unsigned ms)
{
	struct registry *registry = registry_of(repo);
	unsigned base_ms = registry->endpoints[0]->wait_base_ms;
	atomic_store(&registry->mirror_down, true);
	return http_group_pause(registry->group, ms * base_ms / RETRY_BASE_MS);
}

static void registry_hurry(struct repo *repo, bool on)
{
	struct registry *registry = registry_of(repo);
	for (unsigned i = 0; i < registry->count; i++)
		atomic_store(&registry->endpoints[i]->hurried, on);
}

static void registry_expect(struct repo *repo, unsigned requests)
{
	struct registry *registry = registry_of(repo);
	struct endpoint *endpoint = registry->endpoints[first_endpoint(registry)];
	/* the one that finds out whether it is http costs a connection */
	bool unknown = atomic_load(&endpoint->scheme) == ENDPOINT_UNKNOWN;
	atomic_store(&endpoint->expected, requests + unknown);
}

static struct repo_counts registry_counts(struct repo *repo)
{
	const struct http_counts counts = http_group_counts(registry_of(repo)->group);
	return (struct repo_counts){ counts.requests, counts.retries, counts.bytes };
}

static void registry_free(struct repo *repo)
{
	struct registry *registry = registry_of(repo);
	for (unsigned i = 0; i < registry->count; i++)
		endpoint_free(registry->endpoints[i]);
	http_group_free(registry->group);
	pthread_mutex_destroy(&registry->warn_mutex);
	free(repo->name);
	free(registry);
}

/* A mirror is HOST[:PORT] or a http(s) URL of nothing more. */
static int read_mirror(struct endpoint_options *out, char **host, const char *mirror,
		       struct err *err)
{
	const char *rest = mirror;
	if (str_starts(mirror, "https://"))
		out->scheme = ENDPOINT_HTTPS;
	else if (str_starts(mirror, "http://"))
		out->scheme = ENDPOINT_HTTP;
	if (out->scheme != ENDPOINT_UNKNOWN)
		rest = strstr(mirror, "://") + 3;
	size_t length = strcspn(rest, "/");
	if (length == 0 || strspn(rest + length, "/") != strlen(rest + length))
		return err_set(err, EINVAL, "mirror '%s' is not a host or a URL without a path",
			       esc(mirror));
	*host = mem_strndup(rest, length);
	return 0;
}

static int open_mirror(struct registry *registry, const struct ref *ref,
		       const struct repo_options *options, struct err *err)
{
	auto_free char *host = NULL;
	struct endpoint_options mirror = {
		.http = options->http,
		.group = registry->group,
		.creds = options->mirror_creds,
		.name = ref->name,
		.insecure = options->insecure,
		.skip_tls_verify = options->skip_tls_verify,
		.ca_pem = options->ca_pem,
		.tries_max = MIRROR_TRIES,
	};
	int r = read_mirror(&mirror, &host, options->mirror, err);
	if (r < 0)
		return r;
	mirror.host = host;
	mirror.shown = host;
	r = endpoint_open(&registry->endpoints[registry->count], &mirror, err);
	if (r == 0)
		registry->count++;
	return r;
}

static int open_origin(struct registry *registry, const struct ref *ref,
		       const struct repo_options *options, struct err *err)
{
	const struct endpoint_options origin = {
		.http = options->http,
		.group = registry->group,
		.creds = options->creds,
		.host = ref_api_host(ref),
		.shown = ref->host,
		.name = ref->name,
		.insecure = options->insecure,
		.skip_tls_verify = options->skip_tls_verify,
		.ca_pem = options->ca_pem,
		.client_pem = options->client_pem,
		.client_key_pem = options->client_key_pem,
		.tries_max = RETRY_TRIES_MAX,
	};
	int r = endpoint_open(&registry->endpoints[registry->count], &origin, err);
	if (r == 0)
		registry->count++;
	return r;
}

int registry_open(struct repo **out, const struct ref *ref, const struct repo_options *options,
		  struct err *err)
{
	static const struct repo_ops ops = {
		.resolve = registry_resolve,
		.head = registry_head,
		.manifest = registry_manifest,
		.blob = registry_blob,
		.range = registry_range,
		.tags = registry_tags,
		.abort = registry_abort,
		.pause = registry_pause,
		.hurry = registry_hurry,
		.expect = registry_expect,
		.counts = registry_counts,
		.free = registry_free,
	};
	struct registry *registry = mem_make(struct registry, .base = { .ops = &ops },
					     .group = http_group_new(options->http),
					     .warn = options->warn, .warn_arg = options->warn_arg);
	AUTO(repo) repo = &registry->base;
	pthread_mutex_init(&registry->warn_mutex, NULL);
	struct str name = STR_MAX(2048);
	str_addf(&name, "%s/%s", ref->host, ref->name);
	repo->name = str_take(&name);
	int r = 0;
	if (options->mirror && strcmp(ref->host, "docker.io") == 0)
		r = open_mirror(registry, ref, options, err);
	if (r == 0)
		r = open_origin(registry, ref, options, err);
	if (r < 0)
		return r;
	*out = TAKE(repo);
	return 0;
}
