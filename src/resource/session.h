/*
 * What every step needs: its request, and the way to the repository that it names.
 */
#pragma once

#include "base/err.h"
#include "base/mem.h"
#include "image/image.h"
#include "resource/source.h"

struct session {
	struct request request;
	struct ref ref;		     /* source.repository, with the tag that check looks at */
	struct platform platform;    /* asked for */
	struct http *http;	     /* owned */
	struct creds *creds;	     /* owned or NULL */
	struct creds *mirror_creds;  /* owned or NULL */
	struct image_options images; /* borrows from the above */
};

/*
 * Read stdin for STEP and prepare; nothing is asked of the network yet, but by a source with
 * aws_region and no aws_account_id, whose registry only ECR knows.  As request_parse.
 */
MUST_USE int session_open(struct session **out, enum source_step step, struct err *err);
void session_free(struct session *session);
DEFINE_AUTO(session)

/* Between the two the process has no thread of ours: it may fork. */
void session_close_http(struct session *session);
MUST_USE int session_open_http(struct session *session, struct err *err);

/* The repository at DIGEST; release with ref_release. */
void session_ref_at(const struct session *session, const struct digest *digest, struct ref *out);

/* Print "rootlet: TEXT" on stderr; the exit status for R. */
int session_fail(int r, const struct err *err);

/* TEXT and a newline on stdout, whole or -EIO. */
MUST_USE int session_answer(const char *text, struct err *err);
