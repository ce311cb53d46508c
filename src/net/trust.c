/*
 * Certificates for TLS.  Parsing the system's bundle takes 20 ms, most of a short run, so a
 * directory whose links are named by hash comes first: of it only the certificates in question are
 * read.  What it cannot verify is tried with the bundle: whoever adds certificates by hand may have
 * missed one of the two.  libcurl keeps the parsed store of a bundle file between connections, but
 * parses a blob anew for each, so a file is named whenever nothing is added to it.
 */
#include "net/trust.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/mem.h"
#include "net/http.h"

#define SYSTEM_DIR "/etc/ssl/certs"

/* Has the directory a link as OpenSSL looks for, eight hex digits and ".0"? */
static bool is_hashed(const char *path)
{
	bool found = false;
	DIR *dir = opendir(path);
	for (struct dirent *e = dir ? readdir(dir) : NULL; e && !found; e = readdir(dir))
		found = strspn(e->d_name, "0123456789abcdef") == 8 &&
			str_equal(e->d_name + 8, ".0");
	if (dir)
		closedir(dir);
	return found;
}

void trust_init(struct trust *trust)
{
	*trust = (struct trust){ .mutex = PTHREAD_MUTEX_INITIALIZER };
	const char *bundle = curl_version_info(CURLVERSION_NOW)->cainfo;
	if (bundle && access(bundle, R_OK) == 0)
		trust->bundle = mem_strdup(bundle);
	trust->hashed = trust->bundle && is_hashed(SYSTEM_DIR);
}

const char *trust_widen(struct trust *trust)
{
	atomic_store(&trust->whole, true);
	return trust->bundle;
}

void trust_release(struct trust *trust)
{
	free(trust->bundle);
	free(trust->system);
	pthread_mutex_destroy(&trust->mutex);
}

static int add_pem(struct str *out, const char *text, struct err *err)
{
	if (!strstr(text, "-----BEGIN "))
		return err_set(err, EINVAL, "there is no PEM certificate in it");
	str_add(out, text);
	str_addc(out, '\n');
	return 0;
}

static int add_file(struct str *out, int dirfd, const char *name, struct err *err)
{
	auto_free char *text = NULL;
	size_t size = 0;
	int r = io_read_file(dirfd, name, TRUST_FILE_MAX_BYTES, &text, &size, err);
	if (r < 0)
		return r;
	return add_pem(out, text, err);
}

/* Without a bundle: every PEM file of the directory.  Hashed links name the same files again. */
static void add_directory(struct str *out)
{
	DIR *dir = opendir(SYSTEM_DIR);
	for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
		if (str_ends(e->d_name, ".pem") || str_ends(e->d_name, ".crt"))
			(void)add_file(out, dirfd(dir), e->d_name, NULL);
	}
	if (dir)
		closedir(dir);
}

static const char *loaded_system(struct trust *trust)
{
	LOCKED(&trust->mutex);
	return trust->system;
}

/* Read outside the lock: two threads may both read, the first one's text is kept. */
static const char *load_system(struct trust *trust)
{
	const char *loaded = loaded_system(trust);
	if (loaded)
		return loaded;
	auto_str text = STR_MAX(TRUST_MAX_BYTES);
	if (!trust->bundle || add_file(&text, AT_FDCWD, trust->bundle, NULL) < 0)
		add_directory(&text);
	LOCKED(&trust->mutex);
	if (!trust->system)
		trust->system = str_take(&text);
	return trust->system;
}

int trust_for(struct trust *trust, const struct http_tls *tls, struct trusted *out,
	      struct str *blob, struct err *err)
{
	*out = (struct trusted){ 0 };
	bool more = tls && (tls->ca_pem || tls->ca_file);
	if (!more && trust->hashed && !atomic_load(&trust->whole)) {
		out->dir = SYSTEM_DIR;
		return 0;
	}
	if (!more && trust->bundle) {
		out->file = trust->bundle;
		return 0;
	}
	str_add(blob, load_system(trust));
	int r = more && tls->ca_pem ? add_pem(blob, tls->ca_pem, err) : 0;
	if (r < 0)
		return err_wrap(err, r, "certificates given as text");
	r = more && tls->ca_file ? add_file(blob, AT_FDCWD, tls->ca_file, err) : 0;
	if (r < 0)
		return err_wrap(err, r, "certificates '%s'", esc(tls->ca_file));
	if (blob->failed)
		return err_set(err, E2BIG, "certificates of more than %u bytes", TRUST_MAX_BYTES);
	return 0;
}
