/*
 * Asking clouds.  Their errors come in five shapes; a short reason is taken from each.  AWS answers
 * a wrong signature with all that was signed, session token included, so what follows the first
 * line of a reason is cut off, and a line that holds a secret all the same is not shown.
 */
#include "oci/creds-http.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/http.h"
#include "net/url.h"
#include "oci/creds-source.h"
#include "oci/reply.h"
#include "oci/secret.h"
#include "oci/tries.h"

#define REASON_MAX_BYTES 300u
#define LIFE_MAX_S (7.0 * 24 * 60 * 60)
#define LIFE_MIN_S 1.0
#define LIFE_UNLIKELY_MS 60000u /* a clock that is wrong must not make us ask for each request */

void cloud_answer_release(struct cloud_answer *answer)
{
	http_transfer_free(answer->transfer);
	if (answer->body)
		explicit_bzero(answer->body, answer->size);
	free(answer->body);
	*answer = (struct cloud_answer){ 0 };
}

/* --- what an error says --- */

static bool holds_secret(const char *text, const struct cloud_request *request)
{
	for (size_t i = 0; i < N_ELEMENTS(request->secrets); i++) {
		const char *secret = request->secrets[i];
		if (secret && *secret && strstr(text, secret))
			return true;
	}
	return false;
}

/* The first line of TEXT, cut, unless a secret is in it. */
static void add_reason(struct str *out, const char *text, const struct cloud_request *request)
{
	if (!text || !*text)
		return;
	size_t length = strcspn(text, "\r\n");
	auto_secret *line = mem_strndup(text, length);
	if (holds_secret(line, request))
		return;
	str_add(out, ": ");
	esc_add(out, line, length < REASON_MAX_BYTES ? length : REASON_MAX_BYTES);
}

/* {"__type","message"} (AWS), {"error","error_description"} (OAuth), {"error":{"message"}}. */
static bool add_json_reason(struct str *out, const struct cloud_answer *answer,
			    const struct cloud_request *request)
{
	AUTO(json) json = NULL;
	if (json_parse(&json, answer->body, answer->size, 0, NULL) < 0)
		return false;
	const struct json_value *root = json_root(json);
	const struct json_value *error = json_get(root, "error");
	const char *const said[] = {
		json_string(json_get(root, "__type")),
		json_string(error),
		json_string(json_get(root, "message")),
		json_string(json_get(root, "Message")),
		json_string(json_get(root, "error_description")),
		json_string(json_get(error, "message")),
	};
	for (size_t i = 0; i < N_ELEMENTS(said); i++)
		add_reason(out, said[i], request);
	return true;
}

/* The text of XML's first <NAME>, up to the next tag; for errors of STS. */
static void add_element(struct str *out, const char *body, const char *name,
			const struct cloud_request *request)
{
	const char *at = strstr(body, name);
	size_t length = at ? strcspn(at + strlen(name), "<") : 0;
	auto_secret *text = length > 0 ? mem_strndup(at + strlen(name), length) : NULL;
	add_reason(out, text, request);
}

static int code_of(int status)
{
	if (status == 400 || status == 401 || status == 403)
		return EACCES;
	if (status == 404)
		return ENOENT;
	return status == 408 || status == 429 || status >= 500 ? EAGAIN : EPROTO;
}

static int refused(const struct cloud_answer *answer, const struct cloud_request *request,
		   const char *who, struct err *err)
{
	int status = http_status(answer->transfer);
	auto_str reason = STR_MAX(16 * REASON_MAX_BYTES);
	if (!add_json_reason(&reason, answer, request)) {
		add_element(&reason, answer->body, "<Code>", request);
		add_element(&reason, answer->body, "<Message>", request);
	}
	return err_set(err, code_of(status), "%s answered %d%s", who, status, str_text(&reason));
}

/* --- asking --- */

static void log_request(const struct cloud_request *request, int status)
{
	size_t shown = strcspn(request->url, "?");
	log_debug("%s %s%s: %d", request->method, esc_n(request->url, shown),
		  request->url[shown] ? "?..." : "", status);
}

static int read_body(struct cloud_answer *out, struct err *err)
{
	int r = reply_body(&out->body, &out->size, out->transfer, CLOUD_ANSWER_MAX_BYTES, err);
	return r == -E2BIG ? err_set(err, EPROTO, "the answer has more than %u bytes",
				     CLOUD_ANSWER_MAX_BYTES)
			   : r;
}

/* One try; *status is that of the answer when it is the reason of failure. */
static int ask_once(struct cloud_answer *out, const struct creds_net *net,
		    const struct cloud_request *request, const char *who, bool again, int *status,
		    struct err *err)
{
	const struct http_request sent = {
		.method = request->method,
		.url = request->url,
		.headers = request->headers,
		.body = request->body,
		.body_size = request->body ? strlen(request->body) : 0,
		.tls = request->tls ? request->tls : net->others,
		.direct = request->metadata,
		.fresh_connection = again,
		.total_timeout_ms = request->metadata ? METADATA_TIMEOUT_MS : CLOUD_TIMEOUT_MS,
		.group = net->group,
	};
	struct err why = { 0 };
	int r = http_open(&out->transfer, net->http, &sent, &why);
	if (r == 0)
		r = read_body(out, &why);
	if (r < 0)
		return err_set(err, -r, "%s: %s", who, err_text(&why));
	int code = http_status(out->transfer);
	log_request(request, code);
	if (request->any_status || (code >= 200 && code < 300))
		return 0;
	*status = code;
	return refused(out, request, who, err);
}

int cloud_ask(struct cloud_answer *out, const struct creds_net *net,
	      const struct cloud_request *request, const char *who, struct err *err)
{
	struct tries tries;
	unsigned max = request->metadata ? METADATA_TRIES_MAX : RETRY_TRIES_MAX;
	tries_init(&tries, max, max, net->wait_base_ms);
	tries.group = net->group;
	for (;;) {
		struct cloud_answer answer = { 0 };
		struct err why = { 0 };
		int status = 0;
		int r = ask_once(&answer, net, request, who, tries.made > 0, &status, &why);
		if (r == 0) {
			*out = answer;
			return 0;
		}
		int64_t after = tries_after(answer.transfer);
		cloud_answer_release(&answer);
		r = tries_again(&tries, r, status, after, &why);
		if (r < 0)
			return err_set(err, -r, "%s", err_text(&why));
	}
}

/* --- what comes in and goes out --- */

static bool is_local(const struct url *url)
{
	if (url_host_is_loopback(url->host))
		return true;
	return url_host_is_ip(url->host) &&
	       (str_starts(url->host, "169.254.") || str_starts(url->host, "fd00:ec2:"));
}

int cloud_check_url(const char *text, const char *what, struct err *err)
{
	struct url url = { 0 };
	struct err why = { 0 };
	if (url_parse(&url, text, &why) < 0)
		return err_set(err, EINVAL, "%s: %s", what, err_text(&why));
	bool good = !url.userinfo && !url.fragment && (url.https || is_local(&url));
	int r = good ? 0
		     : err_set(err, EINVAL,
			       "%s: '%s' is not https, or has a user or a fragment: credentials "
			       "are not sent there",
			       what, esc(url.host));
	url_release(&url);
	return r;
}

int cloud_check_secret(const char *text, const char *what, const char *who, struct err *err)
{
	if (!text || !*text)
		return err_set(err, EPROTO, "%s answered without %s", who, what);
	if (strlen(text) > CLOUD_SECRET_MAX_BYTES)
		return err_set(err, EPROTO, "%s answered with %s of more than %u bytes", who, what,
			       CLOUD_SECRET_MAX_BYTES);
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~')
			return err_set(err, EPROTO,
				       "%s answered with %s that has characters no header may have",
				       who, what);
	return 0;
}

/* A clock that is wrong, on either side, gives a life that is none: then a short one. */
static uint64_t life_ms(double seconds)
{
	if (!isfinite(seconds) || seconds < LIFE_MIN_S)
		return LIFE_UNLIKELY_MS;
	return (uint64_t)((seconds < LIFE_MAX_S ? seconds : LIFE_MAX_S) * 1000);
}

uint64_t cloud_seconds_ms(const struct json_value *value)
{
	auto_free char *text = value ? json_scalar_text(value) : NULL;
	if (!text || !*text)
		return 0;
	char *end = NULL;
	double seconds = strtod(text, &end);
	return *end == '\0' && seconds > 0 ? life_ms(seconds) : 0;
}

uint64_t cloud_until_ms(const char *when)
{
	if (!when || !*when)
		return 0;
	struct tm tm = { 0 };
	char *end = NULL;
	double at;
	if (strptime(when, "%Y-%m-%dT%H:%M:%S", &tm)) {
		at = (double)timegm(&tm);
	} else {
		at = strtod(when, &end);
		if (*end != '\0')
			return 0;
	}
	return life_ms(at - (double)time(NULL));
}

int cloud_read_token(char **out, const char *path, const char *what, struct err *err)
{
	auto_secret *text = NULL;
	size_t size = 0;
	int r = io_read_file(AT_FDCWD, path, CLOUD_SECRET_MAX_BYTES, &text, &size, err);
	if (r < 0)
		return err_wrap(err, r, "read %s '%s'", what, esc(path));
	const char *from = text + strspn(text, " \t\r\n");
	size_t length = strcspn(from, " \t\r\n");
	if (length == 0 || from[length + strspn(from + length, " \t\r\n")] != '\0')
		return err_set(err, EINVAL, "%s '%s' is not one word", what, esc(path));
	*out = mem_strndup(from, length);
	return 0;
}
