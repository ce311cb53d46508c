/*
 * A request's body on its way from the owner's stream to libcurl: the ring of body.h, the other way
 * round.  The owner fills it inside http_open, the thread takes from it and is paused while it is
 * empty.  For the files http*.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/body.h"

struct http_request;
struct http_transfer;
struct stream;

struct upload {
	uint64_t size; /* constant */

	/* guarded by the transfer's mutex */
	struct body pieces;
	const uint8_t *at; /* in the lent piece: what libcurl did not take yet */
	size_t left;
	bool waiting;	/* the thread found nothing and is paused */
	bool complete;	/* the owner has put in everything */
	bool abandoned; /* the owner puts in no more */
};

/* Tell libcurl that a body of the request's stream_size comes; called by the owner. */
MUST_USE bool upload_setup(struct http_transfer *transfer, const struct http_request *request);

/* The owner: hand STREAM over until its end or until the server has answered. */
MUST_USE int upload_feed(struct http_transfer *transfer, struct stream *stream, struct err *err);
