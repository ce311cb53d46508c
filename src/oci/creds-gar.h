/* What the ways to a token of Google Cloud have in common. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define GAR_SCOPE "https://www.googleapis.com/auth/cloud-platform"

struct cloud_answer;
struct creds_net;
struct json_value;

struct gar_token {
	char *token;	   /* owned secret */
	uint64_t lives_ms; /* 0: unknown */
};

/* {"access_token","expires_in"} of WHO's answer. */
MUST_USE int gar_read_token(struct gar_token *out, const struct cloud_answer *answer,
			    const char *who, struct err *err);

/* -EINVAL when URL, named by WHAT, is none of Google's services. */
MUST_USE int gar_check_url(const char *url, const char *what, struct err *err);

/*
 * creds-gar-external.c: ACCOUNT is an "external_account" (AIP-4117).  Its subject token is given as
 * TOKEN, or in the file that it names.
 */
MUST_USE int gar_check_external(const struct json_value *account, bool has_token, struct err *err);
MUST_USE int gar_external_token(struct gar_token *out, const struct json_value *account,
				const char *token, const struct creds_net *net, struct err *err);
