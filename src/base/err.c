/*
 * Error values.  Texts are cut, never overflowed: a cut text ends in "...".  The names in
 * parentheses are the functions behind the macros of the header.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static void mark_cut(char *text, int wanted)
{
	if (wanted >= ERR_TEXT_MAX_BYTES)
		memcpy(text + utf8_cut(text, ERR_TEXT_MAX_BYTES - 4), "...", 4);
}

PRINTF_LIKE(4, 0)
static int throw_text(struct err *err, int code, const char *reason, const char *format,
		      va_list args)
{
	if (!err)
		return -code;
	err->code = -code;
	int n = vsnprintf(err->text, sizeof(err->text), format, args);
	mark_cut(err->text, n);
	size_t used = strlen(err->text);
	if (reason)
		mark_cut(err->text, (int)used + snprintf(err->text + used, sizeof(err->text) - used,
							 ": %s", reason));
	return -code;
}

int(err_set)(struct err *err, int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int r = throw_text(err, code, NULL, format, args);
	va_end(args);
	return r;
}

int(err_errno)(struct err *err, int code, const char *format, ...)
{
	char buf[128];
	va_list args;
	va_start(args, format);
	int r = throw_text(err, code, strerror_r(code, buf, sizeof(buf)), format, args);
	va_end(args);
	return r;
}

int(err_sys)(struct err *err, const char *format, ...)
{
	int code = errno ? errno : EIO;
	char buf[128];
	va_list args;
	va_start(args, format);
	int r = throw_text(err, code, strerror_r(code, buf, sizeof(buf)), format, args);
	va_end(args);
	return r;
}

int(err_wrap)(struct err *err, int r, const char *format, ...)
{
	if (!err)
		return r;
	char inner[ERR_TEXT_MAX_BYTES];
	memcpy(inner, err->text, sizeof(inner));
	va_list args;
	va_start(args, format);
	throw_text(err, -r, inner, format, args);
	va_end(args);
	return r;
}

const char *err_text(const struct err *err)
{
	return err && err->text[0] ? err->text : "unknown error";
}

int err_exit_status(int r)
{
	switch (-r) {
	case 0:
		return 0;
	case EINVAL:
		return 2;
	case ENOENT:
		return 3;
	case EACCES:
	case EPERM:
		return 4;
	case EAGAIN:
	case ETIMEDOUT:
	case EPROTO:
		return 5;
	case EBADMSG:
	case E2BIG:
		return 6;
	case EOPNOTSUPP:
		return 7;
	default:
		return 1;
	}
}
