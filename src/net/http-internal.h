/*
 * What the files http*.c share.  One thread runs all transfers; their owners ask it to start, go on
 * with or drop one, and wait on the transfer's condition.
 *
 *	owner:  open ──start──> thread      next ──resume──> thread      free ──drop──> thread
 *	thread: headers -> answered    body -> pieces, paused when full    end -> done    drop ->
 *gone
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>

#include "net/addr.h"
#include "net/body.h"
#include "net/headers.h"
#include "net/http-group.h"
#include "net/http.h"
#include "net/http-upload.h"
#include "net/proxy.h"
#include "net/spares.h"
#include "net/stall.h"
#include "net/trust.h"

enum http_wish {
	HTTP_START = 1u << 0,
	HTTP_RESUME = 1u << 1,
	HTTP_DROP = 1u << 2,
};

struct http {
	CURLM *multi;		     /* owned; used by the thread, others only wake it */
	struct trust trust;	     /* locks by itself */
	struct proxy proxy;	     /* constant */
	char *user_agent;	     /* owned; constant */
	unsigned connect_timeout_ms; /* constant */
	unsigned low_speed_ms;	     /* constant */
	pthread_t thread;
	struct http_transfer *active; /* the thread's: list of transfers that run */
	struct spares spares;	      /* the thread's */

	pthread_mutex_t mutex;	     /* guards asked and stop, and wishes of transfers */
	struct http_transfer *asked; /* borrowed: list of transfers with wishes, newest first */
	bool stop;

	_Atomic uint64_t requests;
	_Atomic uint64_t bytes;
};

struct http_group {
	struct http *http; /* borrowed */
	atomic_bool aborted;
	_Atomic uint64_t requests, retries, bytes;
	pthread_mutex_t mutex; /* guards nothing but the wait on changed */
	pthread_cond_t changed;
};

/* Why the thread ended a transfer. */
struct http_end {
	CURLcode code;
	const char *problem;	  /* static: what the server did; raised as EPROTO */
	bool stalled;		  /* the stall clock ended it */
	bool aborted;		  /* its group was aborted */
	struct addr_text refused; /* the private address that was refused, or "" */
	long os_errno;		  /* of a failed connect, or 0 */
};

struct http_transfer {
	struct http *http;	   /* borrowed */
	struct http_group *group;  /* borrowed or NULL; constant */
	CURL *easy;		   /* owned; the thread's from start to done */
	struct curl_slist *lines;  /* owned: request headers */
	struct str blob;	   /* trusted certificates, when there is no file of them */
	char *host;		   /* owned: "host:port" escaped for messages; constant */
	bool direct_public;	   /* refuse private addresses at connecting; constant */
	bool is_head;		   /* constant */
	unsigned total_timeout_ms; /* constant; 0: none */
	unsigned low_speed_ms;	   /* constant */

	/* guarded by http->mutex */
	unsigned wishes;
	struct http_transfer *next_asked; /* borrowed */

	/* the thread's */
	struct http_transfer *next, *previous; /* borrowed: neighbours in http->active */
	bool attached;
	unsigned spares;   /* connections to open with its first one */
	int spare_fd;	   /* the connection that was open already, or -1; libcurl's */
	bool by_directory; /* it trusts what the system's directory has, not yet the bundle */
	struct stall stall;
	char curl_text[CURL_ERROR_SIZE]; /* also the owner's, once done */
	bool sent;			 /* a connection was ready for the request; likewise */

	/* the thread's until answered, then constant */
	struct headers headers;
	uint64_t content_length;

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t changed;
	struct body body;
	struct upload upload;
	size_t wanted; /* the owner waits until so many bytes are here; 0: it does not wait */
	bool answered; /* the headers are complete */
	bool paused;   /* the body was full, the thread waits for a resume */
	bool done;     /* nothing more will come; "end" says why */
	bool gone;     /* the thread has forgotten the transfer */
	struct http_end end;
};

uint64_t http_now_ms(void);

/* Any thread: have the thread fulfil a wish. */
void http_ask(struct http *http, struct http_transfer *transfer, enum http_wish wish);

/* http-setup.c: everything about the request that libcurl must know.  Called by the owner. */
MUST_USE int http_setup(struct http_transfer *transfer, const struct http_request *request,
			struct err *err);

/* http-callbacks.c: what libcurl calls in the thread; http_callbacks sets them. */
MUST_USE bool http_callbacks(struct http_transfer *transfer);
/* The thread is done with it; it must not be attached any more. */
void http_finish(struct http_transfer *transfer, CURLcode code);

/* http-error.c: raise what ended a transfer that is done. */
int http_fail(const struct http_transfer *transfer, struct err *err);
