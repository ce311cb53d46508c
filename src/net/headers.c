/*
 * Header lines of HTTP answers.  Fed by the header callback in the http thread until "complete",
 * read by the owner of the transfer afterwards; a flat text of lines, for there are few.
 */
#include "net/headers.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

void headers_init(struct headers *headers)
{
	*headers = (struct headers){ .text = STR_MAX(HEADERS_MAX_BYTES + HEADERS_MAX_LINES) };
}

void headers_release(struct headers *headers)
{
	str_release(&headers->text);
}

/* "HTTP/1.1 200 OK", "HTTP/2 200 " */
static int parse_status(const char *line, size_t size)
{
	const char *space = memchr(line, ' ', size);
	if (size < 5 || memcmp(line, "HTTP/", 5) != 0 || !space || line + size - space < 4)
		return -1;
	int status = 0;
	for (size_t i = 1; i <= 3; i++) {
		if (!isdigit((unsigned char)space[i]))
			return -1;
		status = status * 10 + (space[i] - '0');
	}
	return status >= 100 ? status : -1;
}

static const char *begin(struct headers *headers, const char *line, size_t size)
{
	headers->status = parse_status(line, size);
	if (headers->status < 0)
		return "sent no HTTP";
	if (headers->status < 200 && ++headers->informational > HEADERS_MAX_INFORMATIONAL)
		return "sent too many informational answers";
	str_reset(&headers->text);
	headers->inside = true;
	return NULL;
}

static const char *end(struct headers *headers)
{
	headers->inside = false;
	headers->complete = headers->status >= 200;
	return NULL;
}

/* RFC 9112 section 5.2: a line that begins with white space goes on with the one before. */
static const char *unfold(struct headers *headers, const char *line, size_t size)
{
	if (headers->text.length == 0)
		return NULL;
	headers->text.length--; /* its NUL */
	str_addn(&headers->text, line, size);
	str_addc(&headers->text, '\0');
	return NULL;
}

const char *headers_add(struct headers *headers, const char *line, size_t size)
{
	headers->bytes += size;
	headers->lines++;
	if (headers->bytes > HEADERS_MAX_BYTES || headers->lines > HEADERS_MAX_LINES)
		return "sent too many headers";
	if (headers->complete)
		return NULL; /* a trailer */
	while (size > 0 && isspace((unsigned char)line[size - 1]))
		size--;
	if (!headers->inside)
		return begin(headers, line, size);
	if (size == 0)
		return end(headers);
	if (memchr(line, '\0', size))
		return "sent a header with a NUL byte";
	if (*line == ' ' || *line == '\t')
		return unfold(headers, line, size);
	if (memchr(line, ':', size)) {
		str_addn(&headers->text, line, size);
		str_addc(&headers->text, '\0');
	}
	return headers->text.failed ? "sent too many headers" : NULL;
}

const char *headers_get(const struct headers *headers, const char *name, size_t i)
{
	size_t length = strlen(name);
	for (size_t at = 0; at < headers->text.length;) {
		const char *line = headers->text.data + at;
		if (strncasecmp(line, name, length) == 0 && line[length] == ':' && i-- == 0)
			return line + length + 1 + strspn(line + length + 1, " \t");
		at += strlen(line) + 1;
	}
	return NULL;
}

bool headers_content_length(const struct headers *headers, uint64_t *out)
{
	*out = UINT64_MAX;
	if (headers_get(headers, "Transfer-Encoding", 0))
		return true;
	unsigned long long length = UINT64_MAX;
	const char *value;
	for (size_t i = 0; (value = headers_get(headers, "Content-Length", i)); i++) {
		unsigned long long other;
		if (!str_parse_u64(value, &other) || (i > 0 && other != length) ||
		    other > INT64_MAX)
			return false;
		length = other;
	}
	*out = length;
	return true;
}

bool headers_is_identity(const struct headers *headers)
{
	const char *value;
	for (size_t i = 0; (value = headers_get(headers, "Content-Encoding", i)); i++) {
		if (*value && strcasecmp(value, "identity") != 0)
			return false;
	}
	return true;
}
