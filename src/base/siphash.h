/*
 * SipHash-1-3 with a random key per process, for tables keyed by names that images choose
 * (J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF").
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const void *data, size_t size);
/* The same with a given key, for the published test vectors; C rounds and D rounds. */
uint64_t siphash_keyed(const void *data, size_t size, uint64_t k0, uint64_t k1, int c, int d);
