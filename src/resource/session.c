/*
 * Setting a step up: the request becomes options for oci/repo.h.  The user's files (docker's
 * config.json) are not read: who we are comes from the request alone, as with registry-image.
 */
#include "resource/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "net/http.h"
#include "oci/creds-cloud.h"
#include "oci/creds-source.h"
#include "oci/creds.h"
#include "oci/tries.h"
#include "term/report.h"

#define TAG_DEFAULT "latest"

static int read_request(struct request *out, enum source_step step, struct err *err)
{
	auto_free char *text = NULL;
	size_t size;
	int r = io_read_all(STDIN_FILENO, REQUEST_MAX_BYTES, &text, &size, err);
	if (r < 0)
		return err_wrap(err, r, "read the request on stdin");
	r = request_parse(out, step, text, size, err);
	explicit_bzero(text, size); /* it may hold a password */
	return r;
}

/* Layouts and archives are this resource's own addition, for images that are already here. */
static bool is_local(const char *repository)
{
	return str_starts(repository, "oci:") || str_starts(repository, "oci-archive:") ||
	       str_starts(repository, "docker-archive:");
}

static int find_ref(struct session *session, struct err *err)
{
	const struct source *source = &session->request.source;
	bool local = is_local(source->repository);
	int r = local ? ref_parse(&session->ref, source->repository, err)
		      : ref_parse_repository(&session->ref, source->repository, err);
	if (r < 0)
		return err_wrap(err, r, "source.repository");
	/* a layout's only image needs no tag */
	const char *tag = source->tag ? source->tag : local ? NULL : TAG_DEFAULT;
	r = tag ? ref_set_tag(&session->ref, tag, err) : 0;
	return r < 0 ? err_wrap(err, r, "source.tag") : 0;
}

static void warn(void *arg, const char *text)
{
	(void)arg;
	report_line("rootlet: warning: %s", text);
}

static struct creds *creds_of(const char *username, const char *password, const char *source)
{
	return username && password ? creds_fixed(username, password, source) : NULL;
}

void session_close_http(struct session *session)
{
	http_free(TAKE(session->http));
	session->images.repo.http = NULL;
}

int session_open_http(struct session *session, struct err *err)
{
	int r = http_new(&session->http, &(struct http_options){ 0 }, err);
	session->images.repo.http = session->http;
	return r;
}

/* ECR's repositories are named without their host: it is found, and stands in what we answer. */
static int find_ecr_host(struct session *session, const struct creds_aws *aws, struct err *err)
{
	struct source *source = &session->request.source;
	if (!aws->region || creds_ecr_names_host(source->repository))
		return 0;
	const struct http_tls tls = { .ca_pem = source->ca_pem };
	const struct creds_net net = { .http = session->http,
				       .own = &tls,
				       .others = &tls,
				       .wait_base_ms = tries_wait_base_ms() };
	auto_free char *host = NULL;
	int r = creds_ecr_host(&host, aws, session->creds, &net, err);
	if (r < 0)
		return r;
	auto_str name = STR_MAX(2048);
	str_addf(&name, "%s/%s", host, source->repository);
	free(source->repository);
	source->repository = str_take(&name);
	return 0;
}

/* A cloud's credentials come before a user and password. */
static int find_creds(struct session *session, struct err *err)
{
	const struct source *source = &session->request.source;
	const struct creds_cloud cloud = source_cloud_settings(&source->cloud);
	const char *idle;
	for (unsigned i = 0; (idle = source_cloud_idle(&source->cloud, i)); i++)
		warn(NULL, idle);
	session->mirror_creds = creds_of(source->mirror.username, source->mirror.password,
					 "source.registry_mirror.username");
	if (!creds_cloud_is_set(&cloud)) {
		session->creds = creds_of(source->username, source->password, "source.username");
		return 0;
	}
	int r = creds_cloud_open(&session->creds, &cloud, err);
	return r < 0 ? r : find_ecr_host(session, &cloud.aws, err);
}

static int prepare(struct session *session, struct err *err)
{
	const struct source *source = &session->request.source;
	int r = request_platform(&session->request, &session->platform, err);
	if (r == 0)
		r = session_open_http(session, err);
	if (r == 0)
		r = find_creds(session, err);
	if (r == 0)
		r = find_ref(session, err);
	if (r < 0)
		return r;

	log_debug("platform %s, %s", platform_format(&session->platform).text,
		  session->creds ? "credentials of the source" : "anonymous");
	session->images = (struct image_options){
		.repo = {
			.http = session->http,
			.creds = session->creds,
			.insecure = source->insecure,
			.ca_pem = source->ca_pem,
			.client_pem = source->cloud.client_cert,
			.client_key_pem = source->cloud.client_key,
			.mirror = source->mirror.host,
			.mirror_creds = session->mirror_creds,
			.warn = warn,
		},
		.platform = &session->platform,
	};
	return 0;
}

int session_open(struct session **out, enum source_step step, struct err *err)
{
	AUTO(session) session = mem_make(struct session, .http = NULL);
	int r = read_request(&session->request, step, err);
	if (r < 0)
		return r;
	if (session->request.source.debug)
		report_log_to_stderr();
	r = prepare(session, err);
	if (r < 0)
		return r;
	*out = TAKE(session);
	return 0;
}

void session_free(struct session *session)
{
	if (!session)
		return;
	http_free(session->http);
	creds_free(session->creds);
	creds_free(session->mirror_creds);
	ref_release(&session->ref);
	request_release(&session->request);
	free(session);
}

void session_ref_at(const struct session *session, const struct digest *digest, struct ref *out)
{
	ref_copy(out, &session->ref);
	free(out->tag);
	out->tag = NULL;
	out->digest = *digest;
}

int session_fail(int r, const struct err *err)
{
	report_line("rootlet: %s", err_text(err));
	return err_exit_status(r);
}

int session_answer(const char *text, struct err *err)
{
	if (puts(text) == EOF || fflush(stdout) == EOF)
		return err_sys(err, "write the answer to stdout");
	return 0;
}
