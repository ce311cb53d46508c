/*
 * How a blob goes on where it broke off: pure arithmetic on what the server answered (RFC 9110
 * sections 14.4, 15.3.7, 15.5.17).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RESUME_SIZE_UNKNOWN UINT64_MAX

struct resume_question {
	uint64_t at;   /* bytes we have */
	uint64_t size; /* of the blob, by its descriptor; RESUME_SIZE_UNKNOWN */
	bool ranged;   /* "Range: bytes=AT-" was sent */
};

struct resume_answer {
	int status;
	const char *content_range; /* or NULL */
	const char *content_type;  /* or NULL */
};

enum resume_verdict {
	RESUME_GO,	/* the body begins with the byte wanted */
	RESUME_SKIP,	/* it begins with the first byte of the blob: pass over AT */
	RESUME_RESTART, /* the server does not do ranges as it should: ask without */
	RESUME_REFUSE,	/* no body of this blob */
};

/* *end: with RESUME_GO on a 206, the offset behind its last byte; else RESUME_SIZE_UNKNOWN. */
enum resume_verdict resume_judge(const struct resume_question *question,
				 const struct resume_answer *answer, uint64_t *end);

/*
 * The same where only [AT, STOP) is wanted and "Range: bytes=AT-" up to there was sent: the whole
 * blob, or a byte from STOP on, is RESUME_RESTART.
 */
enum resume_verdict resume_judge_part(const struct resume_question *question, uint64_t stop,
				      const struct resume_answer *answer, uint64_t *end);
