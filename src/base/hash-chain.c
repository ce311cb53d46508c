/*
 * The places lie in OpenSSL's SHA256_CTX, which EVP does not show: its chaining value, what has not
 * filled a block yet, and how much there was.  Used by what cuts a layer's stream and by what
 * verifies the pieces.
 */
#define OPENSSL_API_COMPAT 0x10100000L /* SHA256_CTX is still there, but frowned upon since 3.0 */

#include "base/hash-chain.h"

#include <openssl/sha.h>
#include <stdlib.h>

struct hash_chain {
	SHA256_CTX sha;
};

_Static_assert(sizeof(((SHA256_CTX *)0)->h) == HASH_CHAIN_BYTES, "eight words");
_Static_assert(SHA256_CBLOCK == HASH_REST_BYTES, "a block");

static uint64_t size_of(const SHA256_CTX *sha)
{
	return ((uint64_t)sha->Nh << 32 | sha->Nl) / 8;
}

struct hash_chain *hash_chain_new(const struct hash_place *place)
{
	struct hash_chain *c = mem_new(sizeof(*c));
	if (SHA256_Init(&c->sha) != 1)
		abort();
	if (!place)
		return c;
	uint64_t whole = place->size / HASH_REST_BYTES * HASH_REST_BYTES;
	if (whole > 0)
		memcpy(c->sha.h, place->chain, HASH_CHAIN_BYTES);
	c->sha.Nl = (SHA_LONG)(whole * 8);
	c->sha.Nh = (SHA_LONG)(whole * 8 >> 32);
	hash_chain_add(c, place->rest, (size_t)(place->size - whole));
	return c;
}

void hash_chain_free(struct hash_chain *chain)
{
	free(chain);
}

void hash_chain_add(struct hash_chain *chain, const void *data, size_t size)
{
	if (SHA256_Update(&chain->sha, data, size) != 1)
		abort();
}

void hash_chain_place(const struct hash_chain *chain, struct hash_place *out)
{
	struct hash_place place = { .size = size_of(&chain->sha) };
	memcpy(place.chain, chain->sha.h, HASH_CHAIN_BYTES);
	memcpy(place.rest, chain->sha.data, chain->sha.num);
	*out = place;
}

bool hash_place_equal(const struct hash_place *a, const struct hash_place *b)
{
	return a->size == b->size && memcmp(a->chain, b->chain, sizeof(a->chain)) == 0 &&
	       memcmp(a->rest, b->rest, sizeof(a->rest)) == 0;
}

void hash_chain_finish(struct hash_chain *chain, struct digest *out)
{
	struct digest digest = { .algorithm = DIGEST_SHA256 };
	if (SHA256_Final(digest.bytes, &chain->sha) != 1)
		abort();
	*out = digest;
}
