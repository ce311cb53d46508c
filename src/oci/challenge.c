/*
 * WWW-Authenticate by its grammar.  The one difficulty: a comma ends both a parameter and a
 * challenge, so after a comma "name =" goes on with parameters and "name" alone or "name x" begins
 * the next scheme.
 */
#include "oci/challenge.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static bool is_token_char(char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	return c != '\0' && strchr("!#$%&'*+-.^_`|~", c);
}

static const char *skip_blank(const char *at)
{
	return at + strspn(at, " \t");
}

static const char *skip_separators(const char *at)
{
	return at + strspn(at, " \t,");
}

static size_t token_length(const char *at)
{
	size_t n = 0;
	while (is_token_char(at[n]))
		n++;
	return n;
}

/* AT stands on a parameter: a name, "=", and a value that is a token or quoted. */
static bool is_parameter(const char *at)
{
	size_t n = token_length(at);
	const char *sign = skip_blank(at + n);
	if (n == 0 || *sign != '=')
		return false;
	const char *value = skip_blank(sign + 1);
	return *value == '"' || is_token_char(*value);
}

/* "Negotiate abc==": letters, digits and -._~+/ followed by any number of "=". */
static const char *skip_token68(const char *at)
{
	size_t n = 0;
	while (is_token_char(at[n]) || at[n] == '/')
		n++;
	return n > 0 ? at + n + strspn(at + n, "=") : at;
}

/* The text between quotes; *at moves behind the closing one.  False when there is none. */
static bool quoted(struct str *out, const char **at)
{
	const char *p = *at + 1;
	for (; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
		if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
			return false;
		str_addc(out, *p);
	}
	*at = p + 1;
	return *p == '"';
}

static char **member_of(struct challenge *challenge, const char *name, size_t length)
{
	const struct {
		const char *name;
		char **member;
	} known[] = {
		{ "realm", &challenge->realm },
		{ "service", &challenge->service },
		{ "scope", &challenge->scope },
		{ "error", &challenge->error },
	};
	for (size_t i = 0; i < N_ELEMENTS(known); i++)
		if (strlen(known[i].name) == length &&
		    strncasecmp(known[i].name, name, length) == 0)
			return known[i].member;
	return NULL;
}

/* One parameter; a second realm is refused, so that nobody can read another one than we do. */
static bool parameter(struct challenge *challenge, const char **at)
{
	const char *name = *at;
	size_t length = token_length(name);
	const char *p = skip_blank(skip_blank(name + length) + 1);
	auto_str value = STR_MAX(CHALLENGE_VALUE_MAX_BYTES);
	if (*p == '"') {
		if (!quoted(&value, &p))
			return false;
	} else {
		str_addn(&value, p, token_length(p));
		p += token_length(p);
	}
	*at = skip_blank(p);

	char **member = member_of(challenge, name, length);
	if (member == &challenge->realm && *member)
		return false;
	if (member && !*member)
		*member = mem_strdup(str_text(&value));
	return **at == ',' || **at == '\0';
}

static enum challenge_scheme scheme_of(const char *name, size_t length)
{
	if (length == 6 && strncasecmp(name, "bearer", length) == 0)
		return CHALLENGE_BEARER;
	if (length == 5 && strncasecmp(name, "basic", length) == 0)
		return CHALLENGE_BASIC;
	return CHALLENGE_OTHER;
}

/* One scheme with what belongs to it; *at moves to the next scheme or the end. */
static bool one(struct challenge *out, const char **at)
{
	size_t length = token_length(*at);
	if (length == 0)
		return false;
	out->scheme = scheme_of(*at, length);
	const char *p = *at + length;
	if (*p != '\0' && *p != ',' && *p != ' ' && *p != '\t')
		return false;
	p = skip_blank(p);
	if (*p != '\0' && *p != ',' && !is_parameter(p))
		p = skip_blank(skip_token68(p));
	else if (*p != ',' && *p != '\0' && !parameter(out, &p))
		return false;
	if (*p != '\0' && *p != ',')
		return false;
	p = skip_separators(p);
	while (is_parameter(p)) {
		if (!parameter(out, &p))
			return false;
		p = skip_separators(p);
	}
	*at = p;
	return true;
}

int challenges_add(struct challenges *list, const char *value, struct err *err)
{
	if (strlen(value) > CHALLENGE_VALUE_MAX_BYTES)
		return err_set(err, EPROTO, "WWW-Authenticate of %zu bytes", strlen(value));
	size_t before = list->count;
	const char *at = skip_separators(value);
	while (*at) {
		struct challenge challenge = { 0 };
		bool good = one(&challenge, &at);
		if (good && list->count < CHALLENGES_MAX)
			list->items[list->count++] = challenge;
		else
			challenge_release(&challenge);
		if (good)
			continue;
		while (list->count > before)
			challenge_release(&list->items[--list->count]);
		return err_set(err, EPROTO, "WWW-Authenticate breaks its grammar");
	}
	return 0;
}

const struct challenge *challenges_choose(const struct challenges *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].scheme == CHALLENGE_BEARER && list->items[i].realm)
			return &list->items[i];
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].scheme == CHALLENGE_BASIC)
			return &list->items[i];
	return NULL;
}

void challenges_release(struct challenges *list)
{
	while (list->count > 0)
		challenge_release(&list->items[--list->count]);
}

void challenge_copy(struct challenge *out, const struct challenge *from)
{
	*out = (struct challenge){
		.scheme = from->scheme,
		.realm = mem_strdup(from->realm),
		.service = mem_strdup(from->service),
		.scope = mem_strdup(from->scope),
		.error = mem_strdup(from->error),
	};
}

void challenge_release(struct challenge *challenge)
{
	free(challenge->realm);
	free(challenge->service);
	free(challenge->scope);
	free(challenge->error);
	*challenge = (struct challenge){ 0 };
}
