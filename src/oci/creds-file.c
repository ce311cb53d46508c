/*
 * Credentials files.  They were written by several programs over ten years, so keys come as host,
 * URL or path, and an entry may be empty (its secret is with a helper).  What cannot be read for
 * one host must not stand in the way of another: such an entry is kept, marked.
 */
#include "oci/creds-file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/str.h"
#include "oci/base64.h"
#include "oci/secret.h"

#define KEY_MAX_BYTES 1024

char *creds_key(const char *text)
{
	static const char *const hub[] = { "index.docker.io", "registry-1.docker.io",
					   "registry.hub.docker.com", "registry.docker.io" };
	if (str_starts(text, "https://"))
		text += strlen("https://");
	else if (str_starts(text, "http://"))
		text += strlen("http://");
	auto_free char *key = mem_strdup(text);
	size_t length = strlen(key);
	while (length > 0 && key[length - 1] == '/')
		key[--length] = '\0';
	if (str_ends(key, "/v1") || str_ends(key, "/v2"))
		key[length - 3] = '\0';
	for (size_t i = 0; i < N_ELEMENTS(hub); i++)
		if (str_equal_nocase(key, hub[i]))
			return mem_strdup("docker.io");
	return TAKE(key);
}

/* "user:password" in base64; docker strips the NULs that some writers left behind it. */
static bool read_auth(struct creds_auth *auth, const char *text)
{
	auto_secret *pair = NULL;
	size_t size = 0;
	if (base64_decode(&pair, &size, text, NULL) < 0)
		return false;
	char *colon = strchr(pair, ':');
	if (!colon)
		return false;
	auth->username = mem_strndup(pair, (size_t)(colon - pair));
	auth->password = mem_strdup(colon + 1);
	return true;
}

static void add_auth(struct creds_file *file, const char *key, const struct json_value *value)
{
	struct creds_auth auth = { .key = creds_key(key) };
	const char *text = json_string(json_get(value, "auth"));
	const char *username = json_string(json_get(value, "username"));
	const char *password = json_string(json_get(value, "password"));
	if (text && *text) {
		auth.bad = !read_auth(&auth, text);
	} else if (username && *username && password) {
		auth.username = mem_strdup(username);
		auth.password = mem_strdup(password);
	}
	auth.identity_token = mem_strdup(json_string(json_get(value, "identitytoken")));
	auth.registry_token = mem_strdup(json_string(json_get(value, "registrytoken")));
	file->auths = mem_grow(file->auths, &file->auth_capacity, file->auth_count,
			       sizeof(*file->auths));
	file->auths[file->auth_count++] = auth;
}

/* SUFFIX becomes part of a program's name: one component, nothing that a shell or path would mean.
 */
static bool good_suffix(const char *suffix)
{
	return suffix && *suffix && strlen(suffix) <= 128 && !strchr(suffix, '/');
}

static int add_helper(struct creds_file *file, const char *key, const struct json_value *value,
		      struct err *err)
{
	const char *suffix = json_string(value);
	if (suffix && !*suffix)
		return 0;
	if (!good_suffix(suffix))
		return err_set(err, EBADMSG, "%s: credHelpers of '%s' is no helper's name",
			       esc(file->label), esc(key));
	file->helpers = mem_grow(file->helpers, &file->helper_capacity, file->helper_count,
				 sizeof(*file->helpers));
	file->helpers[file->helper_count++] = (struct creds_helper){ creds_key(key),
								     mem_strdup(suffix) };
	return 0;
}

static int member_object(const struct json_value **out, const struct creds_file *file,
			 const struct json_value *root, const char *name, struct err *err)
{
	const struct json_value *value = json_get(root, name);
	if (value && json_type(value) != JSON_OBJECT)
		return err_set(err, EBADMSG, "%s: '%s' is %s, not an object", esc(file->label),
			       name, json_type_name(value));
	if (json_count(value) > CREDS_ENTRIES_MAX)
		return err_set(err, E2BIG, "%s: more than %d hosts in '%s'", esc(file->label),
			       CREDS_ENTRIES_MAX, name);
	*out = value;
	return 0;
}

static int read_store(struct creds_file *file, const struct json_value *root, struct err *err)
{
	const struct json_value *value = json_get(root, "credsStore");
	const char *store = json_string(value);
	if (!value || (store && !*store))
		return 0;
	if (!good_suffix(store))
		return err_set(err, EBADMSG, "%s: credsStore is no helper's name",
			       esc(file->label));
	file->store = mem_strdup(store);
	return 0;
}

static int read_modern(struct creds_file *file, const struct json_value *root, struct err *err)
{
	const struct json_value *auths = NULL, *helpers = NULL;
	int r = member_object(&auths, file, root, "auths", err);
	if (r == 0)
		r = member_object(&helpers, file, root, "credHelpers", err);
	if (r == 0)
		r = read_store(file, root, err);
	if (r < 0)
		return r;
	for (json_member(m, auths))
		add_auth(file, m.key, m.value);
	for (json_member(m, helpers)) {
		r = add_helper(file, m.key, m.value, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int creds_file_parse(struct creds_file **out, const char *label, const char *bytes, size_t size,
		     bool legacy, struct err *err)
{
	AUTO(creds_file) file = mem_make(struct creds_file, .label = mem_strdup(label));
	AUTO(json) json = NULL;
	int r = json_parse(&json, bytes, size, 0, err);
	if (r < 0)
		return err_wrap(err, -EBADMSG, "read %s", esc(label));
	const struct json_value *root = json_root(json);
	if (json_type(root) != JSON_OBJECT)
		return err_set(err, EBADMSG, "read %s: it holds %s, not an object", esc(label),
			       json_type_name(root));
	if (!legacy) {
		r = read_modern(file, root, err);
		if (r < 0)
			return r;
	}
	for (json_member(m, legacy ? root : NULL))
		if (file->auth_count < CREDS_ENTRIES_MAX)
			add_auth(file, m.key, m.value);
	*out = TAKE(file);
	return 0;
}

void creds_file_free(struct creds_file *file)
{
	if (!file)
		return;
	for (size_t i = 0; i < file->auth_count; i++) {
		free(file->auths[i].key);
		free(file->auths[i].username);
		secret_free(file->auths[i].password);
		secret_free(file->auths[i].identity_token);
		secret_free(file->auths[i].registry_token);
	}
	for (size_t i = 0; i < file->helper_count; i++) {
		free(file->helpers[i].key);
		free(file->helpers[i].suffix);
	}
	free(file->auths);
	free(file->helpers);
	free(file->store);
	free(file->label);
	free(file);
}
