/* RSA signatures as JWTs carry them: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, "RS256"). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RS256_BYTES_MAX 1024u /* a key of 8192 bits */

/*
 * The signature of DATA by the private key in PEM (PKCS#8 or PKCS#1, not encrypted), to be freed.
 * -EINVAL PEM holds no such key, or one of fewer than 2048 bits or more than 8192; its text is
 * never shown.
 */
MUST_USE int rs256_sign(uint8_t **out, size_t *size, const char *pem, const void *data,
			size_t data_size, struct err *err);
