/*
 * Connections that are opened before anybody asks for them, so that requests which are known to
 * follow need not wait a round trip for theirs.  Only TCP: TLS begins when one is taken.  Used by
 * the http thread alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define SPARES_MAX 10u
#define SPARES_MAX_AGE_MS 5000u /* servers close connections on which nothing comes */

struct spare {
	int fd; /* owned */
	uint64_t opened_ms;
	struct sockaddr_storage addr;
	socklen_t addr_size;
};

struct spares {
	struct spare all[SPARES_MAX];
	unsigned count;
};

/* Begin COUNT connections to ADDR; what cannot be opened is left out. */
void spares_open(struct spares *spares, unsigned count, const struct sockaddr *addr, socklen_t size,
		 uint64_t now_ms);
/* A connection to ADDR that is ready, which is then the caller's; -1 when there is none. */
int spares_take(struct spares *spares, const struct sockaddr *addr, socklen_t size,
		uint64_t now_ms);
/* Close what is too old; *wait_ms becomes the time until the next one is, if that is less. */
void spares_expire(struct spares *spares, uint64_t now_ms, uint64_t *wait_ms);
void spares_release(struct spares *spares);
