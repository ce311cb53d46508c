/*
 * Messages between the processes of one mount, over a socketpair: whole ones, of one program, so
 * they are structs; with a descriptor where that is needed (SCM_RIGHTS).
 *
 *	daemon -> supervisor	READY the image is open; FAILED it cannot be; SERVING
 *	supervisor -> daemon	SERVE on this descriptor, beginning with this FUSE_INIT
 *	supervisor -> command	MOUNTED, or FAILED
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

#define INIT_MAX_BYTES 1024 /* the kernel's FUSE_INIT has 104 */

enum message_kind {
	MESSAGE_READY,
	MESSAGE_FAILED,
	MESSAGE_SERVE,
	MESSAGE_SERVING,
	MESSAGE_MOUNTED,
};

struct message {
	enum message_kind kind;
	struct err err;		      /* FAILED */
	struct digest top, manifest;  /* READY: what the reference named; the platform's */
	uint32_t inodes;	      /* READY: how many the tree has */
	uint32_t init_size;	      /* SERVE */
	uint8_t init[INIT_MAX_BYTES]; /* SERVE */
};

/* Two ends of whole messages. */
MUST_USE int channel_pair(int ends[2], struct err *err);

/* FD is -1 when there is none to send. */
MUST_USE int channel_send(int socket, const struct message *message, int fd, struct err *err);

/*
 * Bytes and perhaps a descriptor (*fd, else -1; FD may be NULL); the number of bytes, 0 when the
 * other side is gone, -ETIMEDOUT; timeout_ms -1 waits without end.
 */
MUST_USE int channel_receive(int socket, void *buf, size_t size, int *fd, int timeout_ms,
			     struct err *err);
