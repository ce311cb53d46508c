/* certs.d: files are read in the order of their names, so that a run is like the one before. */
#include "oci/certs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"

#define PATH_MAX_BYTES 4096
#define PEM_MAX_BYTES (4u * 1024 * 1024)

static char *join(const char *dir, const char *name)
{
	struct str path = STR_MAX(PATH_MAX_BYTES);
	str_addf(&path, "%s/%s", dir, name);
	return str_take(&path);
}

static int add_authority(struct str *pem, const char *dir, const char *name, struct err *err)
{
	auto_free char *path = join(dir, name);
	auto_free char *text = NULL;
	size_t size = 0;
	int r = io_read_file(AT_FDCWD, path, CERTS_FILE_MAX_BYTES, &text, &size, err);
	if (r < 0)
		return err_wrap(err, r, "read certificate '%s'", esc(path));
	str_addn(pem, text, size);
	str_addc(pem, '\n');
	if (pem->failed)
		return err_set(err, E2BIG, "more than %u bytes of certificates in '%s'",
			       PEM_MAX_BYTES, esc(dir));
	return 0;
}

static int add_client(struct certs *out, const char *dir, const char *name, struct err *err)
{
	if (out->client_cert)
		return 0;
	auto_free char *cert = join(dir, name);
	auto_free char *key = mem_strndup(cert, strlen(cert) - strlen(".cert"));
	struct str key_path = STR_MAX(PATH_MAX_BYTES);
	str_addf(&key_path, "%s.key", key);
	auto_free char *key_file = str_take(&key_path);
	if (access(key_file, R_OK) < 0)
		return err_set(err, EINVAL, "certificate '%s' has no readable key '%s'", esc(cert),
			       esc(key_file));
	out->client_cert = TAKE(cert);
	out->client_key = TAKE(key_file);
	return 0;
}

static int is_certificate(const struct dirent *entry)
{
	return str_ends(entry->d_name, ".crt") || str_ends(entry->d_name, ".cert");
}

static int add_file(struct certs *out, struct str *pem, const char *dir, const char *name,
		    struct err *err)
{
	if (str_ends(name, ".crt"))
		return add_authority(pem, dir, name, err);
	return add_client(out, dir, name, err);
}

static int add_directory(struct certs *out, struct str *pem, const char *dir, struct err *err)
{
	struct dirent **entries = NULL;
	int count = scandir(dir, &entries, is_certificate, alphasort);
	if (count < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
		return 0;
	if (count < 0)
		return err_sys(err, "read '%s'", esc(dir));
	int r = 0;
	if (count > CERTS_FILES_MAX)
		r = err_set(err, E2BIG, "more than %d certificates in '%s'", CERTS_FILES_MAX,
			    esc(dir));
	for (int i = 0; i < count; i++) {
		if (r == 0)
			r = add_file(out, pem, dir, entries[i]->d_name, err);
		free(entries[i]);
	}
	free(entries);
	return r;
}

int certs_find(struct certs *out, const char *host, struct err *err)
{
	const char *own = getenv("ROOTLET_CERTS_DIR");
	const char *roots[] = { own ? own : "/etc/docker/certs.d",
				own ? NULL : "/etc/containers/certs.d" };
	if (strchr(host, '/') || host[0] == '.')
		return 0;
	auto_str pem = STR_MAX(PEM_MAX_BYTES);
	if (out->ca_pem)
		str_add(&pem, out->ca_pem);
	for (size_t i = 0; i < N_ELEMENTS(roots) && roots[i]; i++) {
		auto_free char *dir = join(roots[i], host);
		int r = add_directory(out, &pem, dir, err);
		if (r < 0)
			return r;
	}
	if (pem.length > 0) {
		free(out->ca_pem);
		out->ca_pem = str_take(&pem);
	}
	return 0;
}

void certs_release(struct certs *certs)
{
	free(certs->ca_pem);
	free(certs->client_cert);
	free(certs->client_key);
	*certs = (struct certs){ 0 };
}
