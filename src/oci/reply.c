/* Bodies and errors.  An error's body is a courtesy: whatever goes wrong with it is ignored. */
#include "oci/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/str.h"
#include "net/http.h"
#include "oci/ratelimit.h"

#define SHOWN_MAX_BYTES 200u

int reply_body(char **out, size_t *size, struct http_transfer *transfer, size_t max_bytes,
	       struct err *err)
{
	uint64_t announced = http_content_length(transfer);
	if (announced != UINT64_MAX && announced > max_bytes)
		return err_set(err, E2BIG, "%llu bytes (at most %zu)",
			       (unsigned long long)announced, max_bytes);
	auto_str body = STR_MAX(max_bytes);
	for (;;) {
		const void *piece = NULL;
		size_t n = 0;
		int r = http_next(transfer, &piece, &n, err);
		if (r < 0)
			return r;
		if (n == 0)
			break;
		str_addn(&body, piece, n);
		if (body.failed)
			return err_set(err, E2BIG, "more than %zu bytes", max_bytes);
	}
	*size = body.length;
	*out = str_take(&body);
	return 0;
}

static int code_of(int status)
{
	switch (status) {
	case 401:
	case 403:
		return EACCES;
	case 404:
		return ENOENT;
	case 408:
	case 425:
	case 429:
		return EAGAIN;
	default:
		return status >= 500 ? EAGAIN : EPROTO;
	}
}

static void add_shown(struct str *out, const char *text)
{
	size_t length = strlen(text);
	esc_add(out, text, length < SHOWN_MAX_BYTES ? length : SHOWN_MAX_BYTES);
}

static void add_json_reason(struct str *out, const char *body, size_t size)
{
	AUTO(json) json = NULL;
	if (json_parse(&json, body, size, 0, NULL) < 0)
		return;
	const struct json_value *root = json_root(json);
	const struct json_value *errors = json_get(root, "errors");
	const struct json_value *first = json_type(errors) == JSON_ARRAY && json_count(errors) > 0
						 ? json_at(errors, 0)
						 : NULL;
	const char *code = json_string(json_get(first, "code"));
	const char *message = json_string(json_get(first, "message"));
	if (!message && !code)
		message = json_string(json_get(root, "details"));
	if (code) {
		str_add(out, ": ");
		add_shown(out, code);
	}
	if (message && *message && !str_equal(code, message)) {
		str_add(out, ": ");
		add_shown(out, message);
	}
}

/* What stands between <NAME> and the next tag. */
static void add_element(struct str *out, const char *body, const char *name)
{
	const char *at = strstr(body, name);
	size_t length = at ? strcspn(at + strlen(name), "<") : 0;
	if (length == 0)
		return;
	str_add(out, ": ");
	esc_add(out, at + strlen(name), length < SHOWN_MAX_BYTES ? length : SHOWN_MAX_BYTES);
}

/* S3, Azure and Google. */
static void add_store_reason(struct str *out, const char *body)
{
	if (!strstr(body, "<Error>"))
		return;
	add_element(out, body, "<Code>");
	add_element(out, body, "<Message>");
}

void reply_reason(struct str *out, const char *body, size_t size)
{
	add_json_reason(out, body, size);
	add_store_reason(out, body);
}

/* Who has used a limit up wants to know when it is over. */
static void add_limit(struct str *out, const struct http_transfer *transfer)
{
	auto_str text = STR_MAX(SHOWN_MAX_BYTES);
	ratelimit_describe(&text, transfer, (int64_t)time(NULL));
	if (text.length > 0)
		str_addf(out, " (rate limit: %s)", str_text(&text));
}

int reply_error(struct http_transfer *transfer, const char *host, struct err *err)
{
	auto_str reason = STR_MAX(16 * SHOWN_MAX_BYTES);
	auto_free char *body = NULL;
	size_t size = 0;
	if (reply_body(&body, &size, transfer, REPLY_ERROR_MAX_BYTES, NULL) == 0 && body)
		reply_reason(&reason, body, size);
	int status = http_status(transfer);
	if (status == 429)
		add_limit(&reason, transfer);
	return err_set(err, code_of(status), "'%s' answered %d%s", esc(host), status,
		       str_text(&reason));
}
