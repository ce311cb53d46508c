/*
 * Bytes of a body between the http thread and its reader: a ring of large pieces.
 *
 *	   lent      full       being filled
 *	[ reader ][ waiting ][ waiting..|    ]      at most BODY_PIECES_MAX, the rest not allocated
 *
 * Both sides hold the transfer's mutex while they call.  The reader reads its lent piece without.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BODY_PIECE_BYTES (256u * 1024)
#define BODY_PIECES_MAX 4u
#define BODY_MAX_BYTES (BODY_PIECE_BYTES * BODY_PIECES_MAX)

struct body {
	uint8_t *pieces[BODY_PIECES_MAX]; /* owned, or NULL */
	size_t sizes[BODY_PIECES_MAX];
	unsigned first;	   /* index of the oldest piece in use */
	unsigned used;	   /* pieces lent, waiting or being filled */
	bool lent;	   /* the oldest is with the reader */
	size_t waiting;	   /* bytes, without the lent piece */
	uint64_t received; /* bytes added so far */
};

void body_release(struct body *body);

/* Take DATA whole, or nothing of it (false) when there is no room. */
bool body_add(struct body *body, const void *data, size_t size);
/* Bytes that body_add would take. */
size_t body_room(const struct body *body);

/* Lend the oldest piece, which may be half full; false when nothing waits. */
bool body_lend(struct body *body, const void **data, size_t *size);
/* Give the lent piece back, if there is one. */
void body_return(struct body *body);
