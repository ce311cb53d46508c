/* Digests through OpenSSL's EVP; rs256.c is the other place that includes it. */
#include "base/digest.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/str.h"

struct algorithm {
	const char *name;
	size_t bytes;
};

static const struct algorithm algorithms[] = {
	[DIGEST_NONE] = { "none", 0 },
	[DIGEST_SHA256] = { "sha256", 32 },
	[DIGEST_SHA512] = { "sha512", 64 },
};

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_parse(uint8_t *out, size_t bytes, const char *hex)
{
	if (strlen(hex) != 2 * bytes)
		return false;
	for (size_t i = 0; i < bytes; i++) {
		int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

int digest_parse(struct digest *out, const char *text, struct err *err)
{
	for (int a = DIGEST_SHA256; text && a <= DIGEST_SHA512; a++) {
		size_t n = strlen(algorithms[a].name);
		struct digest d = { .algorithm = (enum digest_algorithm)a };
		if (strncmp(text, algorithms[a].name, n) == 0 && text[n] == ':' &&
		    hex_parse(d.bytes, algorithms[a].bytes, text + n + 1)) {
			*out = d;
			return 0;
		}
	}
	return err_set(err, EINVAL, "'%s' is not a sha256 or sha512 digest", esc(text));
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return a->algorithm == b->algorithm && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

int digest_compare(const struct digest *a, const struct digest *b)
{
	if (a->algorithm != b->algorithm)
		return a->algorithm < b->algorithm ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool digest_known(const struct digest *d)
{
	return d->algorithm != DIGEST_NONE;
}

const char *digest_algorithm_name(const struct digest *d)
{
	return algorithms[d->algorithm].name;
}

struct digest_text digest_hex(const struct digest *d)
{
	struct digest_text t = { "" };
	for (size_t i = 0; i < algorithms[d->algorithm].bytes; i++)
		(void)snprintf(t.text + 2 * i, 3, "%02x", d->bytes[i]);
	return t;
}

struct digest_text digest_format(const struct digest *d)
{
	struct digest_text t, hex = digest_hex(d);
	(void)snprintf(t.text, sizeof(t.text), "%s:%.*s", algorithms[d->algorithm].name,
		       2 * DIGEST_BYTES_MAX, hex.text);
	return t;
}

struct hasher {
	EVP_MD_CTX *context; /* owned */
	enum digest_algorithm algorithm;
};

struct hasher *hasher_new(enum digest_algorithm algorithm)
{
	struct hasher *h = mem_make(struct hasher, .context = EVP_MD_CTX_new(),
				    .algorithm = algorithm);
	const EVP_MD *md = algorithm == DIGEST_SHA512 ? EVP_sha512() : EVP_sha256();
	if (!h->context || EVP_DigestInit_ex(h->context, md, NULL) != 1)
		abort();
	return h;
}

void hasher_add(struct hasher *hasher, const void *data, size_t size)
{
	if (EVP_DigestUpdate(hasher->context, data, size) != 1)
		abort();
}

void hasher_finish(struct hasher *hasher, struct digest *out)
{
	struct digest d = { .algorithm = hasher->algorithm };
	if (EVP_DigestFinal_ex(hasher->context, d.bytes, NULL) != 1)
		abort();
	*out = d;
}

void hasher_free(struct hasher *hasher)
{
	if (!hasher)
		return;
	EVP_MD_CTX_free(hasher->context);
	free(hasher);
}

void digest_of(struct digest *out, enum digest_algorithm algorithm, const void *data, size_t size)
{
	AUTO(hasher) h = hasher_new(algorithm);
	hasher_add(h, data, size);
	hasher_finish(h, out);
}

void digest_hmac(struct digest *out, const void *key, size_t key_size, const void *data,
		 size_t size)
{
	struct digest d = { .algorithm = DIGEST_SHA256 };
	assert(key_size <= INT_MAX);
	if (!HMAC(EVP_sha256(), key, (int)key_size, data, size, d.bytes, NULL))
		abort();
	*out = d;
}
