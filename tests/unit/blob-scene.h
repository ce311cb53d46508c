/*
 * One blob in a registry, perhaps behind a redirect to a storage host, whose servers do what a plan
 * says: the first answer to the first request, the last to all that follow.
 */
#pragma once

#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "net/http.h"
#include "oci/endpoint.h"
#include "oci/repo.h"
#include "script-server.h"

#define BLOB_BYTES 300000u
#define LOG_MAX 1024u

typedef bool answer_fn(struct script_client *client);

/* What one server was asked for, and what it is to answer. */
struct stage {
	struct script_server *server;	/* owned */
	answer_fn *const *_Atomic plan; /* borrowed; ends with NULL */
	_Atomic unsigned asked;
	_Atomic uint64_t from[LOG_MAX], to[LOG_MAX]; /* of each Range; both 0 without one */
};

static struct scene {
	uint8_t bytes[BLOB_BYTES];
	struct descriptor d;
	char target[256]; /* path of the blob */
	struct script registry_scripts[4], storage_scripts[2];
	struct stage registry, storage;
	_Atomic unsigned signatures; /* given out */
	_Atomic unsigned tokens;     /* likewise */
	struct http *http;
} scene;

static inline struct stage *stage_of(const struct script_client *c)
{
	return c->server == scene.storage.server ? &scene.storage : &scene.registry;
}

/* "Range: bytes=A-B" of the request; false when it has none. */
static inline bool range_of(const struct script_client *c, uint64_t *from, uint64_t *to)
{
	unsigned long long first = 0, last = BLOB_BYTES - 1;
	const char *range = strstr(c->request, "\r\nRange: bytes=");
	bool ranged = range && sscanf(range, "\r\nRange: bytes=%llu-%llu", &first, &last) >= 1;
	*from = first;
	*to = last + 1;
	return ranged;
}

static inline bool serve_plan(struct script_client *c)
{
	struct stage *stage = stage_of(c);
	uint64_t from = 0, to = 0;
	bool ranged = range_of(c, &from, &to);
	unsigned i = atomic_fetch_add(&stage->asked, 1);
	if (i >= LOG_MAX)
		abort();
	stage->from[i] = ranged ? from : 0;
	stage->to[i] = ranged ? to : 0;
	answer_fn *const *plan = stage->plan;
	while (i-- > 0 && plan[1])
		plan++;
	return (*plan)(c);
}

/* A 206 that says [FROM, TO) of TOTAL, of which SENT bytes follow; false: the rest never comes. */
static inline bool say_range(struct script_client *c, uint64_t from, uint64_t to, uint64_t total,
			     size_t sent)
{
	auto_str head = STR_MAX(512);
	str_addf(&head,
		 "HTTP/1.1 206 part\r\nContent-Length: %llu\r\n"
		 "Content-Range: bytes %llu-%llu/%llu\r\n\r\n",
		 (unsigned long long)(to - from), (unsigned long long)from,
		 (unsigned long long)(to - 1), (unsigned long long)total);
	return script_say(c, str_text(&head)) && script_send(c, scene.bytes + from, sent) &&
	       sent == to - from;
}

static inline bool say_status(struct script_client *c, const char *status)
{
	auto_str head = STR_MAX(512);
	str_addf(&head, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", status);
	return script_say(c, str_text(&head));
}

/* As it should be: the range, or without one the blob. */
static inline bool serve_good(struct script_client *c)
{
	uint64_t from = 0, to = 0;
	if (range_of(c, &from, &to))
		return say_range(c, from, to, BLOB_BYTES, (size_t)(to - from));
	auto_str head = STR_MAX(512);
	str_addf(&head, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", BLOB_BYTES);
	return script_say(c, str_text(&head)) && script_send(c, scene.bytes, BLOB_BYTES);
}

static inline bool serve_redirect(struct script_client *c)
{
	auto_str head = STR_MAX(512);
	str_addf(&head,
		 "HTTP/1.1 307 there\r\nContent-Length: 0\r\n"
		 "Location: http://127.0.0.1:%u/signed?signature=%u\r\n\r\n",
		 scene.storage.server->port, ++scene.signatures);
	return script_say(c, str_text(&head));
}

static inline bool serve_token(struct script_client *c)
{
	auto_str body = STR_MAX(128), head = STR_MAX(512);
	str_addf(&body, "{\"token\":\"t%u\",\"expires_in\":300}", ++scene.tokens);
	str_addf(&head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", body.length,
		 str_text(&body));
	return script_say(c, str_text(&head));
}

static answer_fn *const good_plan[] = { serve_good, NULL };

static inline int scene_begin(void **state)
{
	(void)state;
	uint32_t x = 1;
	for (size_t i = 0; i < BLOB_BYTES; i++) {
		x = x * 1664525u + 1013904223u;
		scene.bytes[i] = (uint8_t)(x >> 24);
	}
	scene.d = (struct descriptor){ .size = BLOB_BYTES };
	digest_of(&scene.d.digest, DIGEST_SHA256, scene.bytes, BLOB_BYTES);
	(void)snprintf(scene.target, sizeof(scene.target), "/v2/app/blobs/%s",
		       digest_show(&scene.d.digest));
	scene.registry_scripts[0] = (struct script){ scene.target, serve_plan };
	scene.registry_scripts[1] = (struct script){ "/token", serve_token };
	scene.registry_scripts[2] = (struct script){ "/stall", script_wait };
	scene.storage_scripts[0] = (struct script){ "/signed", serve_plan };
	struct stage *const stages[] = { &scene.registry, &scene.storage };
	for (size_t i = 0; i < N_ELEMENTS(stages); i++) {
		*stages[i] = (struct stage){ .plan = good_plan };
		stages[i]->server = script_start(i ? scene.storage_scripts
						   : scene.registry_scripts);
		stages[i]->server->hangs_up_on_tls = true;
	}
	scene.signatures = scene.tokens = 0;
	return http_new(&scene.http, NULL, NULL);
}

static inline int scene_end(void **state)
{
	(void)state;
	http_free(TAKE(scene.http));
	script_stop(TAKE(scene.registry.server));
	script_stop(TAKE(scene.storage.server));
	return 0;
}

/* A repo over the registry. */
static inline struct repo *scene_repo(void)
{
	struct repo *repo = NULL;
	auto_str host = STR_MAX(64);
	str_addf(&host, "127.0.0.1:%u", scene.registry.server->port);
	auto_ref ref = { .kind = REF_REGISTRY,
			 .host = mem_strdup(str_text(&host)),
			 .name = mem_strdup("app") };
	const struct repo_options options = { .http = scene.http };
	if (repo_open(&repo, &ref, &options, NULL) < 0)
		abort();
	return repo;
}

/* All of [OFFSET, OFFSET+LENGTH) is read and right, else why not. */
static inline int read_range(struct repo *repo, uint64_t offset, uint64_t length, unsigned flags,
			     struct err *err)
{
	AUTO(stream) stream = NULL;
	auto_free char *bytes = NULL;
	size_t size = 0;
	int r = repo_range(repo, &scene.d, offset, length, flags, &stream, err);
	if (r == 0)
		r = stream_read_all(stream, BLOB_BYTES, &bytes, &size, err);
	if (r == 0 && (size != length || memcmp(bytes, scene.bytes + offset, size) != 0))
		r = err_set(err, EBADMSG, "%zu bytes, or wrong ones", size);
	return r;
}
