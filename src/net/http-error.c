/*
 * What ended a transfer, as an error: libcurl's codes become ours by one table, with the host in
 * front.  A URL never appears, for its query may be a signature.
 */
#include <errno.h>
#include <string.h>

#include "base/esc.h"
#include "net/http-internal.h"

/* Not in the oldest libcurl that we build with: CURLE_TOO_LARGE (8.6). */
#define CODE_TOO_LARGE 100

struct meaning {
	int curl;	  /* CURLcode */
	int code;	  /* ours */
	const char *what; /* "'host:port' WHAT" */
	bool detail;	  /* put libcurl's words behind it */
};

static const struct meaning meanings[] = {
	{ CURLE_UNSUPPORTED_PROTOCOL, EPROTO, "sent no HTTP", false },
	{ CURLE_WEIRD_SERVER_REPLY, EPROTO, "sent no valid HTTP", true },
	{ CURLE_BAD_CONTENT_ENCODING, EPROTO, "sent an unknown transfer encoding", false },
	{ CODE_TOO_LARGE, EPROTO, "sent a header that is too long", false },
	{ CURLE_URL_MALFORMAT, EINVAL, "is no host", true },
	{ CURLE_COULDNT_RESOLVE_PROXY, EAGAIN, "has a proxy whose name cannot be resolved", false },
	{ CURLE_GOT_NOTHING, EAGAIN, "closed the connection without an answer", false },
	{ CURLE_PARTIAL_FILE, EAGAIN, "broke off in the middle of an answer", false },
	{ CURLE_SEND_ERROR, EAGAIN, "broke the connection", true },
	{ CURLE_RECV_ERROR, EAGAIN, "broke the connection", true },
	{ CURLE_SEND_FAIL_REWIND, EAGAIN, "broke the connection", false },
	{ CURLE_AGAIN, EAGAIN, "broke the connection", false },
	{ CURLE_PROXY, EAGAIN, "is not reached through the proxy", true },
	{ CURLE_PEER_FAILED_VERIFICATION, EPROTO, "has a certificate that is not trusted", true },
	{ CURLE_SSL_ISSUER_ERROR, EPROTO, "has a certificate that is not trusted", true },
	{ CURLE_SSL_INVALIDCERTSTATUS, EPROTO, "has a certificate that is not trusted", true },
	{ CURLE_SSL_CIPHER, EPROTO, "does not speak our TLS", true },
	{ CURLE_SSL_CERTPROBLEM, EINVAL, "does not get our client certificate", true },
	{ CURLE_SSL_CACERT_BADFILE, EINVAL, "cannot be verified with these certificates", true },
	{ CURLE_OUT_OF_MEMORY, ENOMEM, "needs more memory than there is", false },
};

/*
 * libcurl's words, without what the subject already says.  Those about a proxy may quote it with
 * its password; nothing else that it says has an at sign.
 */
static const char *detail_of(const struct http_transfer *t)
{
	static const char certificate[] = "SSL certificate problem: ";
	const char *text = t->curl_text;
	if (!text[0] || strchr(text, '@'))
		text = curl_easy_strerror(t->end.code);
	return str_starts(text, certificate) ? text + strlen(certificate) : text;
}

static int raise_meaning(const struct http_transfer *t, const struct meaning *meaning,
			 struct err *err)
{
	if (!meaning->detail)
		return err_set(err, meaning->code, "'%s' %s", t->host, meaning->what);
	return err_set(err, meaning->code, "'%s' %s: %s", t->host, meaning->what,
		       esc(detail_of(t)));
}

static int raise_by_table(const struct http_transfer *t, CURLcode code, struct err *err)
{
	for (size_t i = 0; i < N_ELEMENTS(meanings); i++) {
		if (meanings[i].curl == (int)code)
			return raise_meaning(t, &meanings[i], err);
	}
	return err_set(err, EIO, "'%s': %s (libcurl %d)", t->host, esc(detail_of(t)), (int)code);
}

static int raise_connect(const struct http_transfer *t, struct err *err)
{
	if (t->end.refused.text[0])
		return err_set(err, EPROTO, "'%s' is at the private address '%s', refused", t->host,
			       t->end.refused.text);
	if (t->end.os_errno == 0)
		return err_set(err, EAGAIN, "cannot connect to '%s': %s", t->host,
			       esc(detail_of(t)));
	char buf[128];
	return err_set(err, EAGAIN, "cannot connect to '%s': %s", t->host,
		       strerror_r((int)t->end.os_errno, buf, sizeof(buf)));
}

static int raise_resolve(const struct http_transfer *t, struct err *err)
{
	int length = (int)(strrchr(t->host, ':') - t->host);
	return err_set(err, EAGAIN, "cannot resolve '%.*s'", length, t->host);
}

static int raise_late(const struct http_transfer *t, struct err *err)
{
	if (!t->sent)
		return err_set(err, ETIMEDOUT, "cannot connect to '%s' in time", t->host);
	return err_set(err, ETIMEDOUT, "'%s' did not finish in %u ms, %llu bytes came", t->host,
		       t->total_timeout_ms, (unsigned long long)t->body.received);
}

static int raise_stall(const struct http_transfer *t, struct err *err)
{
	unsigned seconds = t->low_speed_ms / 1000;
	if (!t->answered)
		return err_set(err, ETIMEDOUT, "'%s' did not answer within %u s", t->host, seconds);
	return err_set(err, ETIMEDOUT, "'%s' stalled: under %u bytes/s for %u s", t->host,
		       STALL_BYTES_PER_SECOND, seconds);
}

/* Bad framing is RECV_ERROR to libcurl, as is a reset; only its words tell them apart. */
static int raise_receive(const struct http_transfer *t, struct err *err)
{
	if (strstr(t->curl_text, "chunk"))
		return err_set(err, EPROTO, "'%s' sent a broken chunk", t->host);
	if (strstr(t->curl_text, "Too large response headers"))
		return raise_by_table(t, CODE_TOO_LARGE, err);
	return raise_by_table(t, t->end.code, err);
}

/* Likewise a failed handshake: OpenSSL's own complaints are about what the server said. */
static int raise_handshake(const struct http_transfer *t, struct err *err)
{
	bool nonsense = strstr(t->curl_text, "routines:") != NULL;
	return err_set(err, nonsense ? EPROTO : EAGAIN, "'%s' refused TLS: %s", t->host,
		       esc(detail_of(t)));
}

int http_fail(const struct http_transfer *t, struct err *err)
{
	const struct http_end *end = &t->end;
	if (end->aborted)
		return err_set(err, ECANCELED, "'%s' was given up", t->host);
	if (end->problem)
		return err_set(err, EPROTO, "'%s' %s", t->host, end->problem);
	if (end->stalled)
		return raise_stall(t, err);
	if (end->code == CURLE_COULDNT_CONNECT || end->code == CURLE_ABORTED_BY_CALLBACK)
		return raise_connect(t, err);
	if (end->code == CURLE_COULDNT_RESOLVE_HOST)
		return raise_resolve(t, err);
	if (end->code == CURLE_OPERATION_TIMEDOUT)
		return raise_late(t, err);
	if (end->code == CURLE_SSL_CONNECT_ERROR)
		return raise_handshake(t, err);
	if (end->code == CURLE_RECV_ERROR)
		return raise_receive(t, err);
	/* a line beyond libcurl's limit of 100 KiB; before 8.6 that was OUT_OF_MEMORY */
	if (end->code == CURLE_OUT_OF_MEMORY && t->sent && !t->headers.complete)
		return raise_by_table(t, CODE_TOO_LARGE, err);
	return raise_by_table(t, end->code, err);
}
