/*
 * A registry repository as a sink (distribution-spec "Pushing").  A mirror has no part in this.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/str.h"
#include "net/http-group.h"
#include "oci/ask.h"
#include "oci/endpoint.h"
#include "oci/fetch.h"
#include "oci/sink.h"
#include "oci/tries.h"
#include "oci/upload.h"

#define JOBS 4u
#define PATH_MAX_BYTES 2048
#define ANSWER_TIMEOUT_MS 120000u
#define DISTURBED_TRIES 4u

struct registry_sink {
	struct sink base;
	struct endpoint *endpoint; /* owned */
	struct http_group *group;  /* owned: all our requests */
};

static struct registry_sink *registry_of(struct sink *sink)
{
	return (struct registry_sink *)sink;
}

static int has_blob(struct sink *sink, const struct descriptor *d, bool *there, struct err *err)
{
	return upload_find(registry_of(sink)->endpoint, &d->digest, there, err);
}

static int put_blob(struct sink *sink, const struct sink_blob *blob, enum sink_outcome *outcome,
		    struct err *err)
{
	return upload_blob(registry_of(sink)->endpoint, blob, outcome, err);
}

/* DIGEST_NONE when there is nothing; who may not look may still be allowed to push. */
static int look(struct registry_sink *registry, const char *reference, struct digest *out,
		struct err *err)
{
	auto_descriptor found = { 0 };
	*out = (struct digest){ 0 };
	int r = fetch_head(&found, registry->endpoint, reference, err);
	if (r == -ENOENT || r == -EACCES)
		return 0;
	if (r == 0)
		*out = found.digest;
	return r;
}

static int has_document(struct sink *sink, const struct digest *digest, bool *there,
			struct err *err)
{
	struct digest found;
	int r = look(registry_of(sink), digest_show(digest), &found, err);
	*there = r == 0 && digest_equal(&found, digest);
	return r;
}

static int tagged(struct sink *sink, const char *tag, struct digest *out, struct err *err)
{
	return look(registry_of(sink), tag, out, err);
}

/* A registry that converts what it gets would break every digest that names it. */
static int check_told(const struct answer *answer, const struct document *document, struct err *err)
{
	const struct digest *ours = &document->descriptor.digest;
	const char *text = http_header(answer->transfer, "Docker-Content-Digest", 0);
	struct digest told;
	if (!text || digest_parse(&told, text, NULL) < 0 || told.algorithm != ours->algorithm ||
	    digest_equal(&told, ours))
		return 0;
	return err_set(err, EBADMSG, "'%s' stored the manifest as %s, it was sent %s",
		       esc(answer->host), digest_show(&told), digest_show(ours));
}

static int put_once(struct sink *sink, const struct document *document, const char *tag,
		    struct err *err)
{
	static const int wanted[] = { 201, 200, 202, 0 };
	struct endpoint *endpoint = registry_of(sink)->endpoint;
	const struct digest_text digest = digest_format(&document->descriptor.digest);
	const char *name = tag && *tag ? tag : digest.text;
	auto_str path = STR_MAX(PATH_MAX_BYTES);
	str_addf(&path, "v2/%s/manifests/%s", endpoint->name, name);
	const struct request_body body = {
		.bytes = document->bytes,
		.size = document->size,
		.type = document->descriptor.media_type,
	};
	const struct request request = {
		.method = "PUT",
		.path = str_text(&path),
		.body = &body,
		.timeout_ms = ANSWER_TIMEOUT_MS,
	};
	struct answer answer = { 0 };
	int r = ask_endpoint(&answer, endpoint, &request, wanted, err);
	if (r == 0)
		r = check_told(&answer, document, err);
	answer_release(&answer);
	return r < 0 ? err_wrap(err, r, "push manifest '%s'", esc(name)) : 0;
}

/*
 * docker-registry keeps links to blobs and tags in files that it writes in place: while another
 * push of the same image writes one, it reads nothing there and takes that for a digest of ours.
 */
static int put_document(struct sink *sink, const struct document *document, const char *tag,
			struct err *err)
{
	struct registry_sink *registry = registry_of(sink);
	for (unsigned tries = 1;; tries++) {
		struct err why = { 0 };
		int r = put_once(sink, document, tag, &why);
		unsigned ms = registry->endpoint->wait_base_ms << tries;
		bool disturbed = r == -EPROTO && strstr(err_text(&why), "DIGEST_INVALID");
		if (r == 0 || !disturbed || tries == DISTURBED_TRIES ||
		    !http_group_pause(registry->group, ms))
			return r < 0 ? err_set(err, -r, "%s", err_text(&why)) : 0;
	}
}

/* A repository that nobody has pushed to yet has none. */
static int list_tags(struct sink *sink, struct tags *out, struct err *err)
{
	int r = tags_fetch(out, registry_of(sink)->endpoint, err);
	return r == -ENOENT ? 0 : r;
}

/* --- the rest --- */

static struct repo_counts registry_counts(struct sink *sink)
{
	const struct http_counts counts = http_group_counts(registry_of(sink)->group);
	return (struct repo_counts){ counts.requests, counts.retries, counts.bytes };
}

static void registry_free(struct sink *sink)
{
	struct registry_sink *registry = registry_of(sink);
	endpoint_free(registry->endpoint);
	http_group_free(registry->group);
	free(sink->name);
	free(registry);
}

int registry_sink_open(struct sink **out, const struct ref *ref, const struct sink_options *options,
		       struct err *err)
{
	static const struct sink_ops ops = {
		.has_blob = has_blob,
		.put_blob = put_blob,
		.has_document = has_document,
		.put_document = put_document,
		.tagged = tagged,
		.tags = list_tags,
		.counts = registry_counts,
		.free = registry_free,
	};
	const struct repo_options *repo = &options->repo;
	struct registry_sink *registry = mem_make(struct registry_sink,
						  .base = { .ops = &ops, .jobs = JOBS },
						  .group = http_group_new(repo->http));
	AUTO(sink) sink = &registry->base;
	struct str name = STR_MAX(PATH_MAX_BYTES);
	str_addf(&name, "%s/%s", ref->host, ref->name);
	sink->name = str_take(&name);
	const struct endpoint_options endpoint = {
		.http = repo->http,
		.group = registry->group,
		.creds = repo->creds,
		.host = ref_api_host(ref),
		.shown = ref->host,
		.name = ref->name,
		.writes = true,
		.mount_from = options->mount_from,
		.insecure = repo->insecure,
		.skip_tls_verify = repo->skip_tls_verify,
		.ca_pem = repo->ca_pem,
		.client_pem = repo->client_pem,
		.client_key_pem = repo->client_key_pem,
		.tries_max = RETRY_TRIES_MAX,
	};
	int r = endpoint_open(&registry->endpoint, &endpoint, err);
	if (r < 0)
		return r;
	*out = TAKE(sink);
	return 0;
}
