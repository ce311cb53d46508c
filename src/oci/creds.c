/*
 * Credentials: a list of files in the order of creds.h, or one user for all hosts.  A host is
 * looked for from its most specific key to its least ("quay.io/team/app", "quay.io/team",
 * "quay.io"), in the first file that knows it.  Used by auth.c each time a token is wanted, so a
 * helper whose secret expires is asked again.
 */
#include "oci/creds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "oci/creds-file.h"
#include "oci/creds-source.h"
#include "oci/secret.h"

#define HELPER_TIMEOUT_MS 60000u
#define HUB_KEY "https://index.docker.io/v1/" /* docker login's name for Docker Hub */
#define FILES_MAX 8
#define NAME_MAX_BYTES 1024

struct creds {
	char *username, *password, *source;  /* owned; of creds_fixed, else NULL */
	struct creds_file *files[FILES_MAX]; /* owned, best first */
	size_t file_count;
	struct creds_source *live; /* owned or NULL: then the rest is empty */
};

void credential_release(struct credential *c)
{
	free(c->username);
	secret_free(c->password);
	secret_free(c->identity_token);
	secret_free(c->registry_token);
	free(c->source);
	free(c->host);
	*c = (struct credential){ 0 };
}

struct creds *creds_fixed(const char *username, const char *password, const char *source)
{
	if (!username || !password || !*username || !*password)
		return mem_make(struct creds, .username = NULL);
	return mem_make(struct creds, .username = mem_strdup(username),
			.password = mem_strdup(password), .source = mem_strdup(source));
}

struct creds *creds_of_source(struct creds_source *source)
{
	return mem_make(struct creds, .live = source);
}

void creds_free(struct creds *creds)
{
	if (!creds)
		return;
	creds_source_free(creds->live);
	for (size_t i = 0; i < creds->file_count; i++)
		creds_file_free(creds->files[i]);
	free(creds->username);
	secret_free(creds->password);
	free(creds->source);
	free(creds);
}

static int parse_into(struct creds *creds, const char *label, const char *bytes, size_t size,
		      bool legacy, struct err *err)
{
	struct creds_file *file = NULL;
	int r = creds_file_parse(&file, label, bytes, size, legacy, err);
	if (r < 0)
		return r;
	creds->files[creds->file_count++] = file;
	return 0;
}

/* MUST: the user named this file, so its absence is an error. */
static int add_file(struct creds *creds, const char *path, const char *label, bool must,
		    struct err *err)
{
	auto_secret *bytes = NULL;
	size_t size = 0;
	struct err why = { 0 };
	int r = io_read_file(AT_FDCWD, path, CREDS_FILE_MAX_BYTES, &bytes, &size, &why);
	if (r < 0 && must)
		return err_set(err, -r, "read %s: %s", esc(label), err_text(&why));
	if (r < 0) {
		log_debug("no credentials in %s: %s", esc(label), err_text(&why));
		return 0;
	}
	if (size == 0 && !must)
		return 0;
	return parse_into(creds, label, bytes, size, str_ends(path, "/.dockercfg"), err);
}

/* DIR/TAIL; in messages "~/MIDDLE/TAIL" when it is below the home directory. */
static int add_below(struct creds *creds, const char *dir, const char *tail, struct err *err)
{
	if (!dir || !*dir)
		return 0;
	const char *home = getenv("HOME");
	auto_str path = STR_MAX(NAME_MAX_BYTES * 4);
	str_addf(&path, "%s/%s", dir, tail);
	if (path.failed)
		return 0;
	auto_str label = STR_MAX(NAME_MAX_BYTES * 4);
	size_t cut = home && str_starts(str_text(&path), home) ? strlen(home) : 0;
	bool below = cut > 1 && str_text(&path)[cut] == '/';
	str_addf(&label, "%s%s", below ? "~" : "", str_text(&path) + (below ? cut : 0));
	return add_file(creds, str_text(&path), str_text(&label), false, err);
}

static int add_default_files(struct creds *creds, struct err *err)
{
	const char *home = getenv("HOME");
	const char *docker = getenv("DOCKER_CONFIG");
	const char *config = getenv("XDG_CONFIG_HOME");
	bool own_docker = docker && *docker, own_config = config && *config;
	const struct {
		const char *dir, *tail;
	} places[] = {
		{ own_docker ? docker : home, own_docker ? "config.json" : ".docker/config.json" },
		{ getenv("XDG_RUNTIME_DIR"), "containers/auth.json" },
		{ own_config ? config : home,
		  own_config ? "containers/auth.json" : ".config/containers/auth.json" },
		{ home, ".dockercfg" },
	};
	for (size_t i = 0; i < N_ELEMENTS(places); i++) {
		int r = add_below(creds, places[i].dir, places[i].tail, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int creds_files(struct creds **out, const char *authfile, struct err *err)
{
	AUTO(creds) creds = mem_make(struct creds, .username = NULL);
	if (!authfile || !*authfile)
		authfile = getenv("REGISTRY_AUTH_FILE");
	int r = authfile && *authfile ? add_file(creds, authfile, authfile, true, err) : 0;
	if (r == 0)
		r = add_default_files(creds, err);
	if (r < 0)
		return r;
	*out = TAKE(creds);
	return 0;
}

/* KEY is HOST/NAME or leads to it at a "/": the length that matched, 0 when it does not. */
static size_t match_length(const char *key, const char *path)
{
	size_t length = strlen(key);
	if (length == 0 || strncasecmp(path, key, length) != 0)
		return 0;
	return path[length] == '\0' || path[length] == '/' ? length : 0;
}

static const struct creds_auth *best_auth(const struct creds_file *file, const char *path)
{
	const struct creds_auth *best = NULL;
	size_t longest = 0;
	for (size_t i = 0; i < file->auth_count; i++) {
		size_t length = match_length(file->auths[i].key, path);
		if (length <= longest)
			continue;
		longest = length;
		best = &file->auths[i];
	}
	return best;
}

static const char *best_helper(const struct creds_file *file, const char *path)
{
	const char *best = NULL;
	size_t longest = 0;
	for (size_t i = 0; i < file->helper_count; i++) {
		size_t length = match_length(file->helpers[i].key, path);
		if (length <= longest)
			continue;
		longest = length;
		best = file->helpers[i].suffix;
	}
	return best;
}

static bool helper_has_none(const char *output)
{
	return strstr(output, "credentials not found") != NULL;
}

/* The JSON a helper prints: {"ServerURL":..,"Username":..,"Secret":..}. */
static int read_helper_answer(struct credential *out, const char *program,
			      const struct proc_result *result, struct err *err)
{
	AUTO(json) json = NULL;
	if (json_parse(&json, result->output, result->size, JSON_ALLOW_TRAILING, NULL) < 0)
		return err_set(err, EACCES, "'%s' did not answer with JSON", esc(program));
	const char *username = json_string(json_get(json_root(json), "Username"));
	const char *secret = json_string(json_get(json_root(json), "Secret"));
	if (!username || !secret)
		return err_set(err, EACCES, "'%s' answered without Username and Secret",
			       esc(program));
	if (!*secret)
		return 0;
	if (strcmp(username, "<token>") == 0) {
		out->identity_token = mem_strdup(secret);
	} else {
		out->username = mem_strdup(username);
		out->password = mem_strdup(secret);
	}
	out->source = mem_strdup(program);
	return 0;
}

static int ask_helper(struct credential *out, const char *suffix, const char *host, struct err *err)
{
	auto_str program = STR_MAX(NAME_MAX_BYTES);
	str_addf(&program, "docker-credential-%s", suffix);
	const char *name = str_text(&program);
	const char *const argv[] = { name, "get", NULL };
	const char *key = strcmp(host, "docker.io") == 0 ? HUB_KEY : host;
	struct proc_result result = { 0 };
	struct err why = { 0 };
	if (proc_run(&result, argv, key, strlen(key), HELPER_TIMEOUT_MS, &why) < 0)
		return err_set(err, EACCES, "credential helper '%s' for '%s': %s", esc(name),
			       esc(host), err_text(&why));
	int r = 0;
	if (result.status == 0)
		r = read_helper_answer(out, name, &result, err);
	else if (!helper_has_none(result.output))
		r = err_set(err, EACCES, "credential helper '%s' for '%s' ended with %d: %s",
			    esc(name), esc(host), result.status,
			    esc_n(result.output, strcspn(result.output, "\n")));
	if (result.output)
		explicit_bzero(result.output, result.size);
	proc_result_release(&result);
	return r;
}

static int take_auth(struct credential *out, const struct creds_file *file,
		     const struct creds_auth *auth, struct err *err)
{
	if (auth->bad)
		return err_set(err, EACCES, "%s: auth of '%s' is not user:password in base64",
			       esc(file->label), esc(auth->key));
	bool pair = auth->username && *auth->username && auth->password && *auth->password;
	bool identity = auth->identity_token && *auth->identity_token;
	bool bearer = auth->registry_token && *auth->registry_token;
	if (!pair && !identity && !bearer)
		return 0;
	out->username = mem_strdup(pair || identity ? auth->username : NULL);
	out->password = mem_strdup(pair ? auth->password : NULL);
	out->identity_token = mem_strdup(identity ? auth->identity_token : NULL);
	out->registry_token = mem_strdup(bearer ? auth->registry_token : NULL);
	out->source = mem_strdup(file->label);
	return 0;
}

static int find_in_file(struct credential *out, const struct creds_file *file, const char *host,
			const char *path, struct err *err)
{
	const char *helper = best_helper(file, path);
	if (helper)
		return ask_helper(out, helper, host, err);
	if (file->store) {
		int r = ask_helper(out, file->store, host, err);
		if (r < 0 || out->source)
			return r;
	}
	const struct creds_auth *auth = best_auth(file, path);
	return auth ? take_auth(out, file, auth, err) : 0;
}

bool creds_refused(struct creds *creds, const struct credential *credential)
{
	if (!creds || !creds->live || credential->fresh || !credential->source)
		return false;
	creds_source_drop(creds->live, credential->serial);
	return true;
}

int creds_find(struct credential *out, struct creds *creds, const struct creds_net *net,
	       const char *host, const char *name, struct err *err)
{
	struct credential found = { 0 };
	if (creds && creds->live)
		return creds_source_find(creds->live, net, host, out, err);
	if (creds && creds->username) {
		found.username = mem_strdup(creds->username);
		found.password = mem_strdup(creds->password);
		found.source = mem_strdup(creds->source);
	}
	auto_free char *key = creds_key(host);
	auto_str path = STR_MAX(NAME_MAX_BYTES);
	str_addf(&path, "%s%s%s", key, name && *name ? "/" : "", name ? name : "");
	for (size_t i = 0; creds && i < creds->file_count && !found.source; i++) {
		int r = find_in_file(&found, creds->files[i], key, str_text(&path), err);
		if (r < 0)
			return r;
	}
	*out = found;
	return 0;
}
