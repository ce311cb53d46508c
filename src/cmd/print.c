/*
 * The stream is one of our own over descriptor 1, because what stdio remembers of a failed write
 * says nothing about why.
 */
#include "cmd/print.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/utf8.h"
#include "oci/base64.h"

#define BUFFER_BYTES (64u * 1024)
#define NAME_MAX_BYTES (16u * 1024 * 1024) /* escaped; a path has no limit of its own */
#define COLUMNS_DEFAULT 80u
#define COLUMNS_MAX 10000u

struct print {
	FILE *out; /* owned */
	bool raw, terminal;
	int error; /* errno of the first write that failed */
	char buffer[BUFFER_BYTES];
};

/* Nobody reads any more: end as if SIGPIPE had never been ignored. */
static void end_by_pipe(void)
{
	(void)signal(SIGPIPE, SIG_DFL);
	(void)raise(SIGPIPE);
}

static ssize_t write_out(void *cookie, const char *data, size_t size)
{
	struct print *print = cookie;
	for (size_t done = 0; done < size && print->error == 0;) {
		ssize_t n = write(STDOUT_FILENO, data + done, size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EPIPE)
			end_by_pipe();
		if (n < 0)
			print->error = errno;
		else
			done += (size_t)n;
	}
	return print->error == 0 ? (ssize_t)size : 0;
}

struct print *print_new(bool raw)
{
	struct print *print = mem_make(struct print, .raw = raw);
	print->terminal = isatty(STDOUT_FILENO) == 1;
	print->out = fopencookie(print, "w", (cookie_io_functions_t){ .write = write_out });
	if (!print->out)
		abort(); /* a few hundred bytes: memory is gone */
	(void)setvbuf(print->out, print->buffer, print->terminal ? _IOLBF : _IOFBF,
		      sizeof(print->buffer));
	return print;
}

void print_free(struct print *print)
{
	if (!print)
		return;
	(void)fclose(print->out);
	free(print);
}

FILE *print_file(struct print *print)
{
	return print->out;
}

bool print_is_terminal(const struct print *print)
{
	return print->terminal;
}

unsigned print_columns(const struct print *print)
{
	const char *text = getenv("COLUMNS");
	unsigned long long asked = 0;
	struct winsize size = { 0 };
	if (text && str_parse_u64(text, &asked) && asked > 0 && asked <= COLUMNS_MAX)
		return (unsigned)asked;
	if (print->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return COLUMNS_DEFAULT;
}

/* Most names have nothing to hide. */
static bool is_plain(const char *name)
{
	const unsigned char *p = (const unsigned char *)name;
	while (*p >= 0x20 && *p < 0x7f && *p != '\\')
		p++;
	return *p == '\0';
}

void print_text(struct print *print, const char *text)
{
	if (is_plain(text)) {
		(void)fputs(text, print->out);
		return;
	}
	auto_str shown = STR_MAX(NAME_MAX_BYTES);
	esc_add(&shown, text, strlen(text));
	(void)fputs(str_text(&shown), print->out);
}

void print_name(struct print *print, const char *name)
{
	if (print->raw)
		(void)fputs(name, print->out);
	else
		print_text(print, name);
}

void print_end(struct print *print)
{
	(void)fputc(print->raw ? '\0' : '\n', print->out);
}

void print_line(struct print *print, const struct str *line)
{
	if (line->failed && print->error == 0)
		print->error = EFBIG; /* half a line is worse than none */
	else
		fprintf(print->out, "%s\n", str_text(line));
}

int print_check(struct print *print, struct err *err)
{
	if (print->error == 0)
		return 0;
	return err_errno(err, print->error, "write to standard output");
}

int print_finish(struct print *print, struct err *err)
{
	if (fflush(print->out) != 0 && print->error == 0)
		print->error = EIO;
	return print_check(print, err);
}

/* East Asian wide and fullwidth characters, and emoji: the large blocks of UAX 11. */
static bool is_wide(uint32_t c)
{
	return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf && c != 0x303f) ||
	       (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
	       (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
	       (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1faff) ||
	       (c >= 0x20000 && c <= 0x3fffd);
}

/* Those that stand on the character before them: the blocks of combining marks. */
static bool is_combining(uint32_t c)
{
	return (c >= 0x300 && c <= 0x36f) || (c >= 0x1ab0 && c <= 0x1aff) ||
	       (c >= 0x1dc0 && c <= 0x1dff) || (c >= 0x20d0 && c <= 0x20ff) ||
	       (c >= 0xfe00 && c <= 0xfe0f) || (c >= 0xfe20 && c <= 0xfe2f);
}

size_t print_width(const char *name)
{
	if (is_plain(name))
		return strlen(name);
	auto_str shown = STR_MAX(NAME_MAX_BYTES);
	esc_add(&shown, name, strlen(name));
	size_t width = 0;
	for (size_t i = 0; i < shown.length;) {
		uint32_t c = 0;
		size_t n = utf8_decode(shown.data + i, shown.length - i, &c);
		width += is_combining(c) ? 0 : is_wide(c) ? 2 : 1;
		i += n > 0 ? n : 1;
	}
	return width;
}

static void add_json_char(struct str *out, uint32_t c, const char *bytes, size_t n)
{
	if (c == '"' || c == '\\')
		str_addf(out, "\\%c", (int)c);
	else if (!esc_hides(c))
		str_addn(out, bytes, n);
	else if (c > 0xffff)
		str_addf(out, "\\u%04x\\u%04x", 0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
	else
		str_addf(out, "\\u%04x", c);
}

/* Was all of it UTF-8? */
static bool add_json(struct str *out, const char *text, size_t left)
{
	bool valid = true;
	str_addc(out, '"');
	while (left > 0) {
		uint32_t c = 0;
		size_t n = utf8_decode(text, left, &c);
		if (n == 0) {
			valid = false;
			n = 1;
			str_add(out, "\\ufffd");
		} else {
			add_json_char(out, c, text, n);
		}
		text += n;
		left -= n;
	}
	str_addc(out, '"');
	return valid;
}

void print_json_text(struct str *out, const char *text)
{
	(void)add_json(out, text, strlen(text));
}

void print_json_bytes(struct str *out, const char *key, const char *data, size_t size)
{
	str_addf(out, "\"%s\":", key);
	if (add_json(out, data, size))
		return;
	auto_free char *bytes = base64_encode(data, size);
	str_addf(out, ",\"%s_base64\":\"", key);
	str_add(out, bytes);
	str_addc(out, '"');
}

void print_json_name(struct str *out, const char *key, const char *name)
{
	print_json_bytes(out, key, name, strlen(name));
}

struct print_size print_human(uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	struct print_size shown;
	if (bytes < 1024) {
		(void)snprintf(shown.text, sizeof(shown.text), "%u", (unsigned)bytes);
		return shown;
	}
	size_t unit = 0;
	unsigned shift = 10; /* 2^shift bytes are one UNIT */
	while (unit + 1 < sizeof(units) - 1 && bytes >> shift >= 1024) {
		unit++;
		shift += 10;
	}
	uint64_t whole = bytes >> shift, rest = bytes & (((uint64_t)1 << shift) - 1);
	/* tenths, rounded up; REST is below 2^60, so this does not overflow */
	uint64_t tenths = whole * 10 +
			  (rest * 10 + ((uint64_t)1 << shift) - 1) / ((uint64_t)1 << shift);
	if (tenths < 100) {
		(void)snprintf(shown.text, sizeof(shown.text), "%u.%u%c", (unsigned)(tenths / 10),
			       (unsigned)(tenths % 10), units[unit]);
		return shown;
	}
	whole += rest > 0;
	if (whole == 1024 && unit + 1 < sizeof(units) - 1)
		(void)snprintf(shown.text, sizeof(shown.text), "1.0%c", units[unit + 1]);
	else
		(void)snprintf(shown.text, sizeof(shown.text), "%u%c", (unsigned)whole,
			       units[unit]);
	return shown;
}
