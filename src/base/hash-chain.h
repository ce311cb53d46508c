/*
 * SHA-256 of a stream in parts.  A place says where it stands after some bytes; who goes on from
 * there over the bytes that follow comes to the place behind them.  So parts of a stream that was
 * hashed once as a whole can be verified alone: other bytes that lead from one place to the next
 * would be a collision of SHA-256.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/mem.h"

#define HASH_CHAIN_BYTES 32
#define HASH_REST_BYTES 64

struct hash_place {
	uint64_t size; /* of the stream so far */
	/* Of all whole blocks of 64 bytes; in the machine's order of bytes. */
	uint8_t chain[HASH_CHAIN_BYTES];
	uint8_t rest[HASH_REST_BYTES]; /* the bytes behind them, zeros behind those */
};

struct hash_chain;
/* From PLACE on; NULL: from the beginning. */
struct hash_chain *hash_chain_new(const struct hash_place *place);
void hash_chain_free(struct hash_chain *chain);
DEFINE_AUTO(hash_chain)
void hash_chain_add(struct hash_chain *chain, const void *data, size_t size);
void hash_chain_place(const struct hash_chain *chain, struct hash_place *out);
bool hash_place_equal(const struct hash_place *a, const struct hash_place *b);
/* The digest of all; the chain can only be freed afterwards. */
void hash_chain_finish(struct hash_chain *chain, struct digest *out);
