/*
 * Signing a request for AWS.  libcurl can do this too, but which headers it signs, and whether the
 * session token is among them, depends on its release; and a signature that is computed here can be
 * held against AWS's published examples.
 */
#include "oci/sigv4.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/secret.h"

#define CANONICAL_MAX_BYTES (64u * 1024)
#define SCOPE_MAX_BYTES 512u
#define ADDED_HEADERS 3u /* host, x-amz-date, x-amz-security-token */

struct stamp {
	char date[sizeof("20150830T123600Z")];
	char day[sizeof("20150830")];
};

void sigv4_lines_release(struct sigv4_lines *lines)
{
	free(lines->authorization);
	free(lines->date);
	secret_free(lines->session_token);
	*lines = (struct sigv4_lines){ 0 };
}

static struct stamp stamp_of(time_t when)
{
	struct stamp stamp = { "", "" };
	struct tm tm;
	if (gmtime_r(&when, &tm)) {
		(void)strftime(stamp.date, sizeof(stamp.date), "%Y%m%dT%H%M%SZ", &tm);
		(void)strftime(stamp.day, sizeof(stamp.day), "%Y%m%d", &tm);
	}
	return stamp;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct sigv4_header *)a)->name,
		      ((const struct sigv4_header *)b)->name);
}

/* All headers that are signed, in their order. */
static size_t collect(struct sigv4_header *out, const struct sigv4_request *request,
		      const struct sigv4_keys *keys, const struct stamp *stamp)
{
	size_t count = 0;
	for (size_t i = 0; i < request->header_count; i++)
		out[count++] = request->headers[i];
	out[count++] = (struct sigv4_header){ "host", request->host };
	out[count++] = (struct sigv4_header){ "x-amz-date", stamp->date };
	if (keys->session_token)
		out[count++] = (struct sigv4_header){ "x-amz-security-token", keys->session_token };
	qsort(out, count, sizeof(*out), by_name);
	return count;
}

static void add_names(struct str *out, const struct sigv4_header *headers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		str_addf(out, "%s%s", i > 0 ? ";" : "", headers[i].name);
}

static int hash_request(struct digest *out, const struct sigv4_request *request,
			const struct sigv4_header *headers, size_t count, struct err *err)
{
	struct str text = STR_MAX(CANONICAL_MAX_BYTES);
	str_addf(&text, "%s\n%s\n%s\n", request->method, request->path, request->query);
	for (size_t i = 0; i < count; i++)
		str_addf(&text, "%s:%s\n", headers[i].name, headers[i].value);
	str_addc(&text, '\n');
	add_names(&text, headers, count);
	struct digest body;
	digest_of(&body, DIGEST_SHA256, request->body, request->body_size);
	str_addf(&text, "\n%s", digest_hex(&body).text);
	bool failed = text.failed;
	auto_secret *canonical = str_take(&text);
	if (failed)
		return err_set(err, E2BIG, "the headers to be signed have more than %u bytes",
			       CANONICAL_MAX_BYTES);
	digest_of(out, DIGEST_SHA256, canonical, strlen(canonical));
	return 0;
}

static void step(struct digest *key, const char *text)
{
	digest_hmac(key, key->bytes, 32, text, strlen(text));
}

static void derive(struct digest *key, const struct sigv4_request *request, const char *secret,
		   const char *day)
{
	size_t size = strlen("AWS4") + strlen(secret);
	auto_secret *first = mem_new(size + 1);
	memcpy(first, "AWS4", 4);
	memcpy(first + 4, secret, strlen(secret));
	digest_hmac(key, first, size, day, strlen(day));
	step(key, request->region);
	step(key, request->service);
	step(key, "aws4_request");
}

static void sign(struct digest *out, const struct sigv4_request *request, const char *secret,
		 const struct stamp *stamp, const char *scope, const struct digest *hash)
{
	auto_str text = STR_MAX(SCOPE_MAX_BYTES + 256);
	str_addf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", stamp->date, scope, digest_hex(hash).text);
	struct digest key;
	derive(&key, request, secret, stamp->day);
	digest_hmac(out, key.bytes, 32, str_text(&text), text.length);
	explicit_bzero(&key, sizeof(key));
}

static char *line(const char *name, const char *value)
{
	struct str text = STR_MAX(CANONICAL_MAX_BYTES);
	str_addf(&text, "%s: %s", name, value);
	return str_take(&text);
}

int sigv4_sign(struct sigv4_lines *out, const struct sigv4_request *request,
	       const struct sigv4_keys *keys, struct err *err)
{
	struct sigv4_header headers[SIGV4_HEADERS_MAX + ADDED_HEADERS];
	const struct stamp stamp = stamp_of(request->when);
	if (request->header_count > SIGV4_HEADERS_MAX)
		return err_set(err, E2BIG, "more than %u headers to be signed", SIGV4_HEADERS_MAX);
	size_t count = collect(headers, request, keys, &stamp);
	struct digest hash, signature;
	int r = hash_request(&hash, request, headers, count, err);
	if (r < 0)
		return r;

	auto_str scope = STR_MAX(SCOPE_MAX_BYTES);
	str_addf(&scope, "%s/%s/%s/aws4_request", stamp.day, request->region, request->service);
	auto_str text = STR_MAX(CANONICAL_MAX_BYTES);
	str_addf(&text,
		 "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=", keys->id,
		 str_text(&scope));
	add_names(&text, headers, count);
	if (scope.failed || text.failed)
		return err_set(err, E2BIG, "the key's name, region or service is too long");
	sign(&signature, request, keys->secret, &stamp, str_text(&scope), &hash);
	str_addf(&text, ", Signature=%s", digest_hex(&signature).text);
	*out = (struct sigv4_lines){
		.authorization = str_take(&text),
		.date = line("X-Amz-Date", stamp.date),
		.session_token = keys->session_token
					 ? line("X-Amz-Security-Token", keys->session_token)
					 : NULL,
	};
	return 0;
}
