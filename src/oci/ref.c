/*
 * References: the text is split from its ends (digest, tag, then the first component as the host),
 * every part is checked by a scanner of its own, and what Docker fills in is filled in.  The
 * grammar is distribution's "reference" package; a one-letter repository is fine, as it is there.
 */
#include "oci/ref.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"

#define HUB "docker.io"
#define HUB_ALIAS "index.docker.io"
#define HUB_API_HOST "registry-1.docker.io"

#define REFERENCE_MAX_BYTES 4096
#define NAME_MAX_BYTES 255
#define TAG_MAX_BYTES 128
#define LOWER_DIGITS "0123456789abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static const struct {
	const char *prefix;
	enum ref_kind kind;
} transports[] = {
	{ "docker://", REF_REGISTRY },
	{ "oci:", REF_OCI },
	{ "oci-archive:", REF_OCI_ARCHIVE },
	{ "docker-archive:", REF_DOCKER_ARCHIVE },
};

static bool tag_ok(const char *tag)
{
	size_t n = strlen(tag);
	return n >= 1 && n <= TAG_MAX_BYTES && strspn(tag, LOWER_DIGITS UPPER "_.-") == n &&
	       tag[0] != '.' && tag[0] != '-';
}

/* [a-z0-9]+ joined by ".", "_", "__" or any number of "-". */
static bool component_ok(const char *p, size_t size)
{
	size_t i = 0;
	while (i < size) {
		size_t word = strspn(p + i, LOWER_DIGITS);
		if (word == 0)
			return false;
		i += word;
		if (i >= size)
			return true;
		char joint = p[i];
		size_t joints = strspn(p + i, (const char[]){ joint, '\0' });
		if (joint == '.' ? joints != 1 : joint == '_' ? joints > 2 : joint != '-')
			return false;
		i += joints;
	}
	return false; /* empty, or a joint at the end */
}

static int check_name(const char *name, struct err *err)
{
	if (name[strcspn(name, UPPER)]) {
		auto_free char *lower = mem_strdup(name);
		for (char *p = lower; *p; p++)
			*p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
		return err_set(err, EINVAL,
			       "repository name '%s' must be lower case: did you mean '%s'?",
			       esc(name), esc(lower));
	}
	size_t length = strlen(name);
	if (length > NAME_MAX_BYTES)
		return err_set(err, EINVAL, "repository name of %zu bytes, %d are allowed", length,
			       NAME_MAX_BYTES);
	for (const char *p = name;; p++) {
		size_t size = strcspn(p, "/");
		if (!component_ok(p, size))
			return err_set(err, EINVAL, "'%s' is no repository name", esc(name));
		p += size;
		if (!*p)
			return 0;
	}
}

/* Length of a dotted name at the start of TEXT, 0 when there is none. */
static size_t scan_domain(const char *text)
{
	const char *p = text;
	for (;;) {
		size_t label = strspn(p, LOWER_DIGITS UPPER "-");
		if (label == 0 || p[0] == '-' || p[label - 1] == '-')
			return 0;
		p += label;
		if (*p != '.')
			return (size_t)(p - text);
		p++;
	}
}

static size_t scan_ipv6(const char *text)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr parsed;
	size_t n = strcspn(text, "]");
	if (text[n] != ']' || n < 2 || n - 1 >= sizeof(address))
		return 0;
	memcpy(address, text + 1, n - 1);
	address[n - 1] = '\0';
	return inet_pton(AF_INET6, address, &parsed) == 1 ? n + 1 : 0;
}

static int check_host(const char *host, struct err *err)
{
	size_t n = host[0] == '[' ? scan_ipv6(host) : scan_domain(host);
	unsigned long long port = 1;
	bool ok = n > 0 && (host[n] == '\0' || host[n] == ':');
	if (ok && host[n] == ':')
		ok = str_parse_u64(host + n + 1, &port) && port >= 1 && port <= 65535;
	if (!ok)
		return err_set(err, EINVAL, "'%s' is no registry host", esc(host));
	return 0;
}

/* distribution's splitDockerDomain, less its rule that a capital letter makes a host. */
static bool is_host(const char *component, size_t size)
{
	return memchr(component, '.', size) || memchr(component, ':', size) ||
	       (size == strlen("localhost") && memcmp(component, "localhost", size) == 0);
}

/* HOST/NAME without tag and digest. */
static int fill_name(struct ref *out, const char *text, struct err *err)
{
	size_t first = strcspn(text, "/");
	bool named = text[first] == '/' && is_host(text, first);
	auto_free char *host = named ? mem_strndup(text, first) : mem_strdup(HUB);
	const char *name = named ? text + first + 1 : text;

	int r = check_host(host, err);
	if (r == 0)
		r = check_name(name, err);
	if (r < 0)
		return r;
	bool hub = str_equal_nocase(host, HUB) || str_equal_nocase(host, HUB_ALIAS);
	out->host = hub ? mem_strdup(HUB) : TAKE(host);
	if (!hub || strchr(name, '/')) {
		out->name = mem_strdup(name);
		return 0;
	}
	auto_str official = STR_MAX(NAME_MAX_BYTES + 16);
	str_addf(&official, "library/%s", name);
	out->name = str_take(&official);
	return 0;
}

static int set_tag(char **tag, const char *text, struct err *err)
{
	if (!tag_ok(text))
		return err_set(err, EINVAL,
			       "'%s' is no tag (1 to 128 of A-Z a-z 0-9 _ . -, not starting with "
			       ". or -)",
			       esc(text));
	free(*tag);
	*tag = mem_strdup(text);
	return 0;
}

static int parse_registry(struct ref *out, const char *text, struct err *err)
{
	if (strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64)
		return err_set(err, EINVAL, "'%s' is an image id, not a repository", esc(text));

	auto_free char *rest = mem_strdup(text);
	char *at = strchr(rest, '@');
	if (at) {
		/* The text before an '@' is not shown: people write user:password there. */
		int r = digest_parse(&out->digest, at + 1, err);
		if (r < 0)
			return err_wrap(err, r, "behind the '@'");
		*at = '\0';
	}
	char *last = strrchr(rest, '/');
	char *colon = strchr(last ? last : rest, ':');
	if (colon) {
		int r = set_tag(&out->tag, colon + 1, err);
		if (r < 0)
			return r;
		*colon = '\0';
	}
	int r = fill_name(out, rest, err);
	if (r == 0 && !out->tag && !digest_known(&out->digest))
		out->tag = mem_strdup("latest");
	return r;
}

/* The first SIZE bytes of TEXT name something that is there: a directory, or anything else. */
static bool is_there(const char *text, size_t size, bool directory)
{
	auto_free char *path = mem_strndup(text, size);
	struct stat st;
	return size > 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode) == directory;
}

static bool image_name_ok(const char *text)
{
	auto_ref ignored = { .kind = REF_REGISTRY };
	return parse_registry(&ignored, text, NULL) == 0;
}

/*
 * Where PATH ends and what selects an image begins: the last ':' before a tag of a layout, the
 * first
 * ':' before a name of a docker archive, and only where the path before it exists; else there is no
 * selection.  So a path with ':' works, and "DIR:x/" is the directory when both DIR and DIR:x
 * exist.
 */
static const char *find_selection(const char *text, enum ref_kind kind)
{
	const char *colon = kind == REF_DOCKER_ARCHIVE ? strchr(text, ':') : strrchr(text, ':');
	while (colon) {
		bool legal = kind == REF_DOCKER_ARCHIVE ? image_name_ok(colon + 1)
							: tag_ok(colon + 1);
		if (legal && is_there(text, (size_t)(colon - text), kind == REF_OCI))
			return colon;
		colon = kind == REF_DOCKER_ARCHIVE ? strchr(colon + 1, ':') : NULL;
	}
	return NULL;
}

static int parse_path(struct ref *out, const char *text, struct err *err)
{
	const char *colon = find_selection(text, out->kind);
	size_t length = colon ? (size_t)(colon - text) : strlen(text);
	if (length == 0)
		return err_set(err, EINVAL, "a path is missing");
	out->path = mem_strndup(text, length);
	out->tag = mem_strdup(colon ? colon + 1 : NULL);
	return 0;
}

static int check_text(const char *text, struct err *err)
{
	if (!*text)
		return err_set(err, EINVAL, "the image reference is empty");
	if (strlen(text) > REFERENCE_MAX_BYTES)
		return err_set(err, EINVAL, "image reference of %zu bytes, %d are allowed",
			       strlen(text), REFERENCE_MAX_BYTES);
	if (str_starts(text, "http://") || str_starts(text, "https://"))
		return err_set(err, EINVAL,
			       "an image reference is HOST/NAME, without 'http://' or 'https://'");
	return 0;
}

int ref_parse(struct ref *out, const char *text, struct err *err)
{
	auto_ref ref = { .kind = REF_REGISTRY };
	int r = check_text(text, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < N_ELEMENTS(transports); i++) {
		if (!str_starts(text, transports[i].prefix))
			continue;
		ref.kind = transports[i].kind;
		text += strlen(transports[i].prefix);
		break;
	}
	r = ref.kind == REF_REGISTRY ? parse_registry(&ref, text, err)
				     : parse_path(&ref, text, err);
	if (r < 0)
		return err_wrap(err, r, "image reference");
	*out = ref;
	ref = (struct ref){ 0 };
	return 0;
}

int ref_parse_new(struct ref *out, const char *text, struct err *err)
{
	int r = ref_parse(out, text, err);
	if (r < 0 || out->kind == REF_REGISTRY || out->tag || access(out->path, F_OK) == 0)
		return r;
	bool docker = out->kind == REF_DOCKER_ARCHIVE;
	char *colon = docker ? strchr(out->path, ':') : strrchr(out->path, ':');
	if (!colon || colon == out->path)
		return 0;
	if (docker ? image_name_ok(colon + 1) : tag_ok(colon + 1)) {
		out->tag = mem_strdup(colon + 1);
		*colon = '\0';
	}
	return 0;
}

int ref_parse_repository(struct ref *out, const char *text, struct err *err)
{
	auto_ref ref = { .kind = REF_REGISTRY };
	int r = check_text(text, err);
	if (r < 0)
		return r;
	const char *last = strrchr(text, '/');
	if (strchr(text, '@') || strchr(last ? last : text, ':'))
		return err_set(err, EINVAL,
			       "a repository is HOST/NAME, without tag, digest or '://'");
	r = fill_name(&ref, text, err);
	if (r < 0)
		return r;
	*out = ref;
	ref = (struct ref){ 0 };
	return 0;
}

int ref_set_tag(struct ref *ref, const char *text, struct err *err)
{
	return set_tag(&ref->tag, text, err);
}

void ref_copy(struct ref *out, const struct ref *ref)
{
	*out = (struct ref){
		.kind = ref->kind,
		.host = mem_strdup(ref->host),
		.name = mem_strdup(ref->name),
		.path = mem_strdup(ref->path),
		.tag = mem_strdup(ref->tag),
		.digest = ref->digest,
	};
}

void ref_release(struct ref *ref)
{
	free(ref->host);
	free(ref->name);
	free(ref->path);
	free(ref->tag);
	*ref = (struct ref){ 0 };
}

const char *ref_api_host(const struct ref *ref)
{
	return str_equal(ref->host, HUB) ? HUB_API_HOST : ref->host;
}

char *ref_text(const struct ref *ref)
{
	auto_str text = STR_MAX(4 * REFERENCE_MAX_BYTES);
	for (size_t i = 0; i < N_ELEMENTS(transports); i++) {
		if (transports[i].kind == ref->kind && ref->kind != REF_REGISTRY)
			str_addf(&text, "%s%s", transports[i].prefix, ref->path);
	}
	if (ref->kind == REF_REGISTRY)
		str_addf(&text, "%s/%s", ref->host, ref->name);
	if (ref->tag)
		str_addf(&text, ":%s", ref->tag);
	if (digest_known(&ref->digest))
		str_addf(&text, "@%s", digest_show(&ref->digest));
	return str_take(&text);
}
