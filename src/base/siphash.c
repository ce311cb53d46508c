/*
 * SipHash, as its authors describe it: c rounds for every 8 bytes, d rounds at the end.
 *
 * Tables keyed by names from an image use it with a key nobody outside can know, so that a
 * crafted layer cannot make every name collide.
 */
#include "base/siphash.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/cursor.h"

struct state {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void rounds(struct state *s, int count)
{
	for (int i = 0; i < count; i++) {
		s->v0 += s->v1;
		s->v1 = rotate(s->v1, 13) ^ s->v0;
		s->v0 = rotate(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = rotate(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = rotate(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = rotate(s->v1, 17) ^ s->v2;
		s->v2 = rotate(s->v2, 32);
	}
}

static inline void add_word(struct state *s, uint64_t word, int c)
{
	s->v3 ^= word;
	rounds(s, c);
	s->v0 ^= word;
}

uint64_t siphash_keyed(const void *data, size_t size, uint64_t k0, uint64_t k1, int c, int d)
{
	/* "somepseudorandomlygeneratedbytes", the constants of the paper */
	struct state s = { k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
			   k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573 };
	struct cursor in = cursor_of(data, size);
	while (in.left >= 8)
		add_word(&s, cursor_le64(&in), c);
	add_word(&s, (uint64_t)size << 56 | cursor_le(&in, in.left), c);
	s.v2 ^= 0xff;
	rounds(&s, d);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* Written once before its first use, by siphash() alone. */
static uint64_t process_key[2];
static pthread_once_t process_key_once = PTHREAD_ONCE_INIT;

static void make_process_key(void)
{
	if (getrandom(process_key, sizeof(process_key), 0) != sizeof(process_key))
		abort();
}

uint64_t siphash(const void *data, size_t size)
{
	pthread_once(&process_key_once, make_process_key);
	return siphash_keyed(data, size, process_key[0], process_key[1], 1, 3);
}
