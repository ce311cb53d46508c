/*
 * Manifests.  The first request to a registry is already the one that matters: no ping, a challenge
 * is met when it comes.
 */
#include "oci/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/str.h"
#include "oci/endpoint.h"
#include "oci/reply.h"
#include "oci/request.h"
#include "oci/tries.h"

#define MANIFEST_TIMEOUT_MS 120000u
#define HEAD_TIMEOUT_MS 60000u
#define HEAD_TRIES 2u
#define HEAD_TRIES_BUSY 3u /* 429 */
#define CORRUPT_TRIES 2u   /* a manifest whose digest is wrong is asked for once more */

#define ACCEPTED \
	MEDIA_OCI_INDEX ", " MEDIA_OCI_MANIFEST ", " MEDIA_DOCKER_LIST ", " MEDIA_DOCKER_MANIFEST

struct wanted {
	const char *path;
	const struct digest *digest; /* or NULL */
	const char *media_type;	     /* or NULL */
	bool any_json;		     /* only the digest is wanted: a type need not be known */
};

/* The type alone, lower case, without "; charset=...". */
static char *bare_type(const char *content_type)
{
	const char *from = content_type ? content_type + strspn(content_type, " \t") : "";
	char *type = mem_strndup(from, strcspn(from, "; \t"));
	for (char *p = type; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return type;
}

static bool is_manifest_type(const char *type)
{
	enum media_kind kind = media_kind(type);
	return kind == MEDIA_INDEX || kind == MEDIA_MANIFEST || kind == MEDIA_SCHEMA1;
}

/* Names that servers give to anything, or no names at all ("dummy"): the body has to tell. */
static bool says_nothing(const char *type)
{
	static const char *const general[] = { "application/json", "application/octet-stream",
					       "binary/octet-stream", "text/plain" };
	for (size_t i = 0; i < N_ELEMENTS(general); i++)
		if (strcmp(type, general[i]) == 0)
			return true;
	return !strchr(type, '/');
}

/* What the body calls itself, or what its shape says; NULL when it is neither. */
static char *type_of_body(const void *bytes, size_t size)
{
	AUTO(json) json = NULL;
	if (json_parse(&json, bytes, size, 0, NULL) < 0)
		return NULL;
	const struct json_value *root = json_root(json);
	const char *named = json_string(json_get(root, "mediaType"));
	if (named)
		return is_manifest_type(named) ? mem_strdup(named) : NULL;
	if (json_get(root, "manifests"))
		return mem_strdup(MEDIA_OCI_INDEX);
	if (json_get(root, "layers"))
		return mem_strdup(MEDIA_OCI_MANIFEST);
	if (json_get(root, "fsLayers"))
		return mem_strdup("application/vnd.docker.distribution.manifest.v1+json");
	return NULL;
}

int fetch_media_type(char **out, const char *content_type, const void *bytes, size_t size,
		     struct err *err)
{
	auto_free char *type = bare_type(content_type);
	if (is_manifest_type(type)) {
		*out = TAKE(type);
		return 0;
	}
	char *named = says_nothing(type) ? type_of_body(bytes, size) : NULL;
	if (!named)
		return err_set(err, EPROTO, "the answer is no manifest: its type is '%s'",
			       *type ? esc(type) : "(none)");
	*out = named;
	return 0;
}

static char *path_of(const struct endpoint *endpoint, const char *reference)
{
	struct str path = STR_MAX(2048);
	str_addf(&path, "v2/%s/manifests/%s", endpoint->name, reference);
	return str_take(&path);
}

/* Docker-Content-Digest: false when there is none; -EBADMSG when it is none. */
static int told_digest(bool *told, struct digest *out, const struct answer *answer, struct err *err)
{
	const char *text = http_header(answer->transfer, "Docker-Content-Digest", 0);
	*told = text != NULL;
	if (text && digest_parse(out, text, NULL) < 0)
		return err_set(err, EBADMSG, "'%s' names the digest '%s', which is none",
			       esc(answer->host), esc(text));
	return 0;
}

static int check_digest(struct digest *out, const struct document *document,
			const struct digest *expected, const char *who, struct err *err)
{
	struct digest actual = { 0 };
	digest_of(&actual, expected->algorithm, document->bytes, document->size);
	if (!digest_equal(&actual, expected))
		return err_set(err, EBADMSG, "%s is '%s', but its bytes have '%s'", who,
			       digest_show(expected), digest_show(&actual));
	*out = actual;
	return 0;
}

static int check_digests(struct document *document, const struct wanted *wanted,
			 const struct answer *answer, struct err *err)
{
	bool told = false;
	struct digest header = { 0 };
	struct digest *digest = &document->descriptor.digest;
	int r = told_digest(&told, &header, answer, err);
	if (r == 0 && told)
		r = check_digest(digest, document, &header, "its Docker-Content-Digest", err);
	if (r == 0 && wanted->digest)
		r = check_digest(digest, document, wanted->digest, "the digest asked for", err);
	if (r == 0 && !told && !wanted->digest)
		digest_of(digest, DIGEST_SHA256, document->bytes, document->size);
	return r;
}

/* An answer of status 200 becomes a document. */
static int read_document(struct document *out, const struct wanted *wanted, struct answer *answer,
			 struct err *err)
{
	const char *type = http_header(answer->transfer, "Content-Type", 0);
	int r = reply_body(&out->bytes, &out->size, answer->transfer, MANIFEST_MAX_BYTES, err);
	if (r < 0)
		return r;
	out->descriptor.size = out->size;
	r = check_digests(out, wanted, answer, err);
	if (r < 0)
		return r;
	if (wanted->media_type) {
		out->descriptor.media_type = mem_strdup(wanted->media_type);
		return 0;
	}
	r = fetch_media_type(&out->descriptor.media_type, type, out->bytes, out->size, err);
	auto_free char *bare = bare_type(type);
	if (r < 0 && wanted->any_json && says_nothing(bare))
		return 0;
	/* what came whole and is no manifest will not be one the next time */
	answer->final = r < 0;
	return r;
}

/* One try, AGAIN or the first; *status is the answer's when it is the reason of failure. */
static int fetch_once(struct document *out, struct answer *answer, struct endpoint *endpoint,
		      const struct wanted *wanted, bool again, int *status, struct err *err)
{
	const struct request request = {
		.method = "GET",
		.path = wanted->path,
		.accept = ACCEPTED,
		.new_connection = again,
		.timeout_ms = MANIFEST_TIMEOUT_MS,
	};
	int r = request_try(answer, endpoint, &request, err);
	if (r < 0)
		return r;
	if (http_status(answer->transfer) != 200) {
		*status = http_status(answer->transfer);
		return reply_error(answer->transfer, answer->host, err);
	}
	struct document document = { 0 };
	r = read_document(&document, wanted, answer, err);
	if (r < 0)
		document_release(&document);
	else
		*out = document;
	return r;
}

static int fetch(struct document *out, struct endpoint *endpoint, const struct wanted *wanted,
		 struct err *err)
{
	struct tries tries;
	unsigned corrupt = 0;
	tries_init(&tries, endpoint->tries_max, RETRY_TRIES_MAX, endpoint->wait_base_ms);
	tries.group = endpoint->group;
	for (;;) {
		struct answer answer = { 0 };
		struct err why = { 0 };
		int status = 0;
		int r = fetch_once(out, &answer, endpoint, wanted, corrupt > 0 || tries.made > 0,
				   &status, &why);
		int64_t after = tries_after(answer.transfer);
		bool final = answer.final || r == -E2BIG;
		answer_release(&answer);
		if (r == 0)
			return 0;
		if (r == -EBADMSG && ++corrupt < CORRUPT_TRIES)
			continue;
		if (!final)
			r = tries_again(&tries, r, status, after, &why);
		if (r < 0)
			return err_set(err, -r, "%s", err_text(&why));
	}
}

int fetch_manifest(struct document *out, struct endpoint *endpoint, const char *reference,
		   const struct digest *wanted, const char *media_type, struct err *err)
{
	auto_free char *path = path_of(endpoint, reference);
	const struct wanted what = { .path = path, .digest = wanted, .media_type = media_type };
	int r = fetch(out, endpoint, &what, err);
	return r < 0 ? err_wrap(err, r, "fetch manifest '%s' of '%s/%s'", esc(reference),
				esc(endpoint->shown), esc(endpoint->name))
		     : 0;
}

/* Does the answer to HEAD say enough?  A page for browsers never does, whatever its headers. */
static bool read_head(struct descriptor *out, const struct answer *answer)
{
	struct descriptor d = { .size = http_content_length(answer->transfer) };
	bool told = false;
	if (http_status(answer->transfer) != 200 || d.size == UINT64_MAX ||
	    d.size > MANIFEST_MAX_BYTES || told_digest(&told, &d.digest, answer, NULL) < 0 || !told)
		return false;
	auto_free char *type = bare_type(http_header(answer->transfer, "Content-Type", 0));
	if (!is_manifest_type(type) && !says_nothing(type))
		return false;
	d.media_type = is_manifest_type(type) ? TAKE(type) : NULL;
	*out = d;
	return true;
}

/* For a digest the bytes count, whatever JSON they are; but a login page is no manifest. */
static int head_by_get(struct descriptor *out, struct endpoint *endpoint, const char *path,
		       struct err *err)
{
	const struct wanted what = { .path = path, .any_json = true };
	auto_document document = { 0 };
	int r = fetch(&document, endpoint, &what, err);
	if (r < 0)
		return r;
	*out = document.descriptor;
	document.descriptor = (struct descriptor){ 0 };
	return 0;
}

enum head_result {
	HEAD_FOUND,
	HEAD_ABSENT,
	HEAD_AGAIN,   /* tries_again has waited */
	HEAD_USELESS, /* GET may do better */
	HEAD_FAILED,  /* and so will GET */
};

/* Many registries count a GET against a limit and a HEAD not: who is busy is asked by HEAD again.
 */
static enum head_result head_once(struct descriptor *out, struct endpoint *endpoint,
				  const char *path, struct tries *tries, struct err *err)
{
	const struct request request = {
		.method = "HEAD",
		.path = path,
		.accept = ACCEPTED,
		.new_connection = tries->made > 0,
		.timeout_ms = HEAD_TIMEOUT_MS,
	};
	struct answer answer = { 0 };
	int r = request_try(&answer, endpoint, &request, err);
	if (r < 0 && answer.final)
		return answer.refused ? HEAD_USELESS : HEAD_FAILED;
	int status = r < 0 ? 0 : http_status(answer.transfer);
	bool found = r == 0 && read_head(out, &answer);
	bool may_pass = r < 0 || status == 429 || status >= 500;
	int64_t after = tries_after(answer.transfer);
	if (r == 0 && !found)
		r = reply_error(answer.transfer, answer.host, err);
	answer_release(&answer);
	if (found)
		return HEAD_FOUND;
	if (status == 404)
		return HEAD_ABSENT;
	if (!may_pass)
		return HEAD_USELESS;
	if (status == 429 && endpoint->tries_max >= HEAD_TRIES_BUSY)
		tries->max = HEAD_TRIES_BUSY;
	if (tries_again(tries, r, status, after, err) == 0)
		return HEAD_AGAIN;
	return r == -ECANCELED || after > RETRY_AFTER_MAX_MS / 1000 ? HEAD_FAILED : HEAD_USELESS;
}

static int head(struct descriptor *out, struct endpoint *endpoint, const char *reference,
		struct err *err)
{
	auto_free char *path = path_of(endpoint, reference);
	struct tries tries;
	enum head_result result;
	struct err why = { 0 };
	tries_init(&tries, HEAD_TRIES, HEAD_TRIES_BUSY, endpoint->wait_base_ms);
	tries.group = endpoint->group;
	do {
		result = head_once(out, endpoint, path, &tries, &why);
	} while (result == HEAD_AGAIN);
	if (result == HEAD_FOUND)
		return 0;
	if (result == HEAD_ABSENT)
		return err_set(err, ENOENT, "'%s/%s' has no '%s'", esc(endpoint->shown),
			       esc(endpoint->name), esc(reference));
	if (result == HEAD_FAILED)
		return err_set(err, -why.code, "%s", err_text(&why));
	return head_by_get(out, endpoint, path, err);
}

int fetch_head(struct descriptor *out, struct endpoint *endpoint, const char *reference,
	       struct err *err)
{
	int r = head(out, endpoint, reference, err);
	return r < 0 && r != -ENOENT ? err_wrap(err, r, "look for '%s' in '%s/%s'", esc(reference),
						esc(endpoint->shown), esc(endpoint->name))
				     : r;
}
