/* Base64 as HTTP Basic and docker's config.json use it (RFC 4648 section 4). */
#pragma once

#include <stddef.h>

#include "base/err.h"

/* SIZE bytes as text with padding, to be freed (they are secrets: secret_free). */
char *base64_encode(const void *data, size_t size);

/*
 * The bytes of TEXT, NUL-terminated behind *size, yours to free.  Padding may be missing, the URL
 * alphabet is not read.  -EBADMSG for anything else; the text is not repeated in the message.
 */
MUST_USE int base64_decode(char **out, size_t *size, const char *text, struct err *err);
