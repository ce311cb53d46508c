/*
 * Certificates for one host, as docker and podman lay them out (containers-certs.d(5)):
 *
 *	/etc/docker/certs.d/HOST[:PORT]/ and /etc/containers/certs.d/HOST[:PORT]/
 *		*.crt		authorities trusted besides the system's
 *		*.cert, *.key	what we show when the server asks who we are (same name before the
 *dot)
 *
 * ROOTLET_CERTS_DIR, when set, is looked in instead of both.
 */
#pragma once

#include "base/err.h"

#define CERTS_FILE_MAX_BYTES (1024u * 1024)
#define CERTS_FILES_MAX 64 /* in one directory */

struct certs {
	char *ca_pem;	   /* owned: all *.crt one after the other, or NULL */
	char *client_cert; /* owned: path, or NULL */
	char *client_key;  /* owned: path, or NULL */
};

/*
 * Add what there is for HOST ("ghcr.io", "10.0.0.1:5000"; never a path) to OUT, zeroed before the
 * first call.  Nothing there is fine; the first client pair found is kept.  -EINVAL a .cert without
 * its .key; -E2BIG too many or too large; else the kernel's code.
 */
MUST_USE int certs_find(struct certs *out, const char *host, struct err *err);
void certs_release(struct certs *certs);
