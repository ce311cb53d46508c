/* Signing through OpenSSL's EVP.  Used for the assertions of Google's service accounts. */
#include "base/rs256.h"

#include <errno.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/mem.h"

#define KEY_BITS_MIN 2048

static void free_key(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
	ERR_clear_error();
}

static void free_context(EVP_MD_CTX **context)
{
	EVP_MD_CTX_free(*context);
}

/* No passphrase: without this OpenSSL would ask for one on the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static EVP_PKEY *read_key(const char *pem)
{
	size_t length = strlen(pem);
	BIO *bio = length <= INT_MAX ? BIO_new_mem_buf(pem, (int)length) : NULL;
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	return key;
}

int rs256_sign(uint8_t **out, size_t *size, const char *pem, const void *data, size_t data_size,
	       struct err *err)
{
	__attribute__((cleanup(free_key))) EVP_PKEY *key = read_key(pem);
	if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA ||
	    EVP_PKEY_get_bits(key) < KEY_BITS_MIN || EVP_PKEY_get_size(key) > (int)RS256_BYTES_MAX)
		return err_set(err, EINVAL,
			       "no RSA private key in PEM of 2048 to 8192 bits, without a "
			       "passphrase");

	__attribute__((cleanup(free_context))) EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t length = RS256_BYTES_MAX;
	auto_free uint8_t *signature = mem_new(length);
	if (!context || EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(context, signature, &length, data, data_size) != 1)
		return err_set(err, EINVAL, "the private key cannot be signed with");
	*out = TAKE(signature);
	*size = length;
	return 0;
}
