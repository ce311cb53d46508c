/*
 * A tiny TCP server inside a test: one thread a connection, each runs the script that the path of
 * its request names.  Scripts write what they like, HTTP or not.
 */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define SCRIPT_CONNECTIONS_MAX 512
#define SCRIPT_REQUEST_MAX 65536

struct script_server;

struct script_client {
	struct script_server *server; /* borrowed */
	int fd;
	pthread_t thread;
	size_t size;
	char request[SCRIPT_REQUEST_MAX]; /* the last request, with its body, NUL-terminated */
};

struct script {
	const char *path;
	/* True: wait for the next request on this connection; false: close it. */
	bool (*serve)(struct script_client *client);
};

struct script_server {
	int fd;
	uint16_t port;
	pthread_t thread;
	const struct script *scripts; /* borrowed; ends with a NULL path */
	atomic_bool hangs_up_on_tls;  /* at once, instead of waiting for a line of HTTP */
	_Atomic unsigned connections;
	_Atomic unsigned requests;
	struct script_client *clients[SCRIPT_CONNECTIONS_MAX]; /* owned */
};

static inline bool script_send(struct script_client *client, const void *data, size_t size)
{
	const char *from = data;
	while (size > 0) {
		ssize_t n = send(client->fd, from, size, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		from += n;
		size -= (size_t)n;
	}
	return true;
}

static inline bool script_say(struct script_client *client, const char *text)
{
	return script_send(client, text, strlen(text));
}

/* End the connection with a reset: connecting to nowhere does that (tcp(7), connect(2)). */
static inline bool script_reset(struct script_client *client)
{
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	(void)connect(client->fd, &nowhere, sizeof(nowhere));
	return false;
}

/* Wait until the client goes away. */
static inline bool script_wait(struct script_client *client)
{
	char waste[4096];
	while (recv(client->fd, waste, sizeof(waste), 0) > 0)
		;
	return false;
}

/* Bytes of the request including its body, or 0 when it is not complete. */
static inline size_t script_request_bytes(const struct script_client *client)
{
	const char *end = strstr(client->request, "\r\n\r\n");
	const char *length = strstr(client->request, "Content-Length: ");
	if (!end)
		return 0;
	size_t body = length && length < end ? strtoul(length + 16, NULL, 10) : 0;
	size_t all = (size_t)(end + 4 - client->request) + body;
	return all <= client->size ? all : 0;
}

static inline bool script_read(struct script_client *client)
{
	client->size = 0;
	client->request[0] = '\0';
	while (script_request_bytes(client) == 0) {
		size_t room = sizeof(client->request) - 1 - client->size;
		ssize_t n = recv(client->fd, client->request + client->size, room, 0);
		if (n <= 0)
			return false;
		if (client->request[0] == 0x16 && client->server->hangs_up_on_tls)
			return false;
		client->size += (size_t)n;
		client->request[client->size] = '\0';
	}
	return true;
}

static inline const struct script *script_find(const struct script_client *client)
{
	const char *target = strchr(client->request, ' ') + 1;
	for (const struct script *s = client->server->scripts; s->path; s++) {
		size_t n = strlen(s->path);
		if (strncmp(target, s->path, n) == 0 && strchr(" ?", target[n]))
			return s;
	}
	return NULL;
}

static inline void *script_run_client(void *arg)
{
	struct script_client *client = arg;
	bool more = true;
	while (more && script_read(client)) {
		client->server->requests++;
		const struct script *script = script_find(client);
		more = script ? script->serve(client)
			      : script_say(client, "HTTP/1.1 404 no\r\nContent-Length: 0\r\n\r\n");
	}
	(void)shutdown(client->fd, SHUT_RDWR); /* the descriptor is closed by script_stop */
	return NULL;
}

static inline void *script_run(void *arg)
{
	struct script_server *server = arg;
	int fd;
	while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
		unsigned i = server->connections;
		if (i >= SCRIPT_CONNECTIONS_MAX)
			abort();
		server->clients[i] = mem_make(struct script_client, .server = server, .fd = fd);
		server->connections++; /* before anything is answered */
		pthread_create(&server->clients[i]->thread, NULL, script_run_client,
			       server->clients[i]);
	}
	return NULL;
}

static inline struct script_server *script_start(const struct script *scripts)
{
	struct script_server *server = mem_make(struct script_server, .scripts = scripts);
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(addr);
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(server->fd, 64) < 0 ||
	    getsockname(server->fd, (struct sockaddr *)&addr, &size) < 0)
		abort();
	server->port = ntohs(addr.sin_port);
	pthread_create(&server->thread, NULL, script_run, server);
	return server;
}

static inline void script_stop(struct script_server *server)
{
	(void)shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	for (unsigned i = 0; i < server->connections; i++) {
		struct script_client *client = server->clients[i];
		(void)shutdown(client->fd, SHUT_RDWR);
		pthread_join(client->thread, NULL);
		mem_close_fd(&client->fd);
		free(client);
	}
	(void)close(server->fd);
	free(server);
}
