/*
 * An error as a plain value: a code and a text.
 *
 * The thrower writes it once, each caller may put what it was doing in front.  Functions that can
 * fail return 0 or a negative code and take "struct err *err" last; NULL means "I don't care".
 * Codes are negated errno values; those we raise ourselves are listed in docs/style.md.
 */
#pragma once

#include <stddef.h>

#define ERR_TEXT_MAX_BYTES 1024

struct err {
	int code; /* 0 = no error, else a negative code */
	char text[ERR_TEXT_MAX_BYTES];
};

#define MUST_USE __attribute__((warn_unused_result))
/* Call something MUST_USE and ignore its result on purpose: IGNORE(io_remove_tree(...)); */
#define IGNORE(call)                   \
	do {                           \
		int ignored_ = (call); \
		(void)ignored_;        \
	} while (0)
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* Raise CODE (positive errno) with a text; returns -CODE. */
int err_set(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Raise the current errno; the text becomes "WHAT: strerror"; returns -errno. */
int err_sys(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Like err_sys for an errno kept in a variable (posix_fallocate, pthread_*). */
int err_errno(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Put what the caller was doing in front of what is there; returns R unchanged (R < 0). */
int err_wrap(struct err *err, int r, const char *format, ...) PRINTF_LIKE(3, 4);

/*
 * What these return is negative.  Said here, in the callers' sight, so that compilers and analyzers
 * know that an output is set wherever the result is 0; and a wrong code of ours ends right there.
 */
static inline int err_negative(int r)
{
	if (r >= 0)
		__builtin_trap();
	return r;
}
#define err_set(...) err_negative((err_set)(__VA_ARGS__))
#define err_sys(...) err_negative((err_sys)(__VA_ARGS__))
#define err_errno(...) err_negative((err_errno)(__VA_ARGS__))
#define err_wrap(...) err_negative((err_wrap)(__VA_ARGS__))

/* The text, escaped where it was made; never NULL. */
const char *err_text(const struct err *err);

/* Exit status of the commands for a negative code (docs/exit-status.md). */
int err_exit_status(int r);
