/*
 * The ring of pieces of body.h.  One copy a byte: libcurl lends at most 16 KiB at a time, here they
 * become pieces worth waking a reader for.
 */
#include "net/body.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void body_release(struct body *body)
{
	for (size_t i = 0; i < BODY_PIECES_MAX; i++)
		free(body->pieces[i]);
	*body = (struct body){ 0 };
}

/* The piece that is being filled, or BODY_PIECES_MAX: a lent one is not filled further. */
static unsigned filling(const struct body *body)
{
	if (body->used == 0 || (body->used == 1 && body->lent))
		return BODY_PIECES_MAX;
	unsigned last = (body->first + body->used - 1) % BODY_PIECES_MAX;
	return body->sizes[last] < BODY_PIECE_BYTES ? last : BODY_PIECES_MAX;
}

size_t body_room(const struct body *body)
{
	unsigned last = filling(body);
	size_t rest = last < BODY_PIECES_MAX ? BODY_PIECE_BYTES - body->sizes[last] : 0;
	return rest + (size_t)(BODY_PIECES_MAX - body->used) * BODY_PIECE_BYTES;
}

static unsigned next_piece(struct body *body)
{
	unsigned i = (body->first + body->used++) % BODY_PIECES_MAX;
	body->sizes[i] = 0;
	if (!body->pieces[i])
		body->pieces[i] = mem_new(BODY_PIECE_BYTES);
	return i;
}

bool body_add(struct body *body, const void *data, size_t size)
{
	if (size > body_room(body))
		return false;
	const uint8_t *from = data;
	body->waiting += size;
	body->received += size;
	while (size > 0) {
		unsigned i = filling(body);
		if (i == BODY_PIECES_MAX)
			i = next_piece(body);
		size_t rest = BODY_PIECE_BYTES - body->sizes[i];
		size_t n = size < rest ? size : rest;
		memcpy(body->pieces[i] + body->sizes[i], from, n);
		body->sizes[i] += n;
		from += n;
		size -= n;
	}
	return true;
}

bool body_lend(struct body *body, const void **data, size_t *size)
{
	if (body->lent || body->used == 0)
		return false;
	body->lent = true;
	body->waiting -= body->sizes[body->first];
	*data = body->pieces[body->first];
	*size = body->sizes[body->first];
	return true;
}

void body_return(struct body *body)
{
	if (!body->lent)
		return;
	body->lent = false;
	body->first = (body->first + 1) % BODY_PIECES_MAX;
	body->used--;
}
