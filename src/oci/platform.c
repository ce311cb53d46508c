/*
 * Platforms.  Spellings are brought to one form where they come in from people; what an image says
 * is kept as it is and brought to that form only to compare.  A variant becomes a level ("v8.2" is
 * 802), so that "older and compatible" is "not above".
 *
 * The host's platform never has an amd64 variant: every worker must get the same tree for the same
 * digest, whatever its processor can do (Docker and podman choose the same way).
 */
#include "oci/platform.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"

#define OS_DEFAULT "linux"

static const struct {
	const char *spelling, *architecture, *variant;
} spellings[] = {
	{ "x86_64", "amd64", "" },    { "x86-64", "amd64", "" },   { "aarch64", "arm64", "" },
	{ "armhf", "arm", "v7" },     { "armv7l", "arm", "v7" },   { "armel", "arm", "v6" },
	{ "armv6l", "arm", "v6" },    { "armv5tel", "arm", "v5" }, { "armv8l", "arm", "v8" },
	{ "i386", "386", "" },	      { "i486", "386", "" },	   { "i586", "386", "" },
	{ "i686", "386", "" },	      { "x86", "386", "" },	   { "loongarch64", "loong64", "" },
	{ "ppc64el", "ppc64le", "" },
};

static const char *const known_os[] = { "linux",  "windows", "darwin", "freebsd",
					"netbsd", "openbsd", "solaris" };

/* One part of what a person wrote, lower-case, checked. */
static int set_part(char out[32], const char *text, size_t size, const char *what, struct err *err)
{
	static const char legal[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
	char part[32];
	if (size == 0 || size >= sizeof(part))
		return err_set(err, EINVAL, "platform %s '%s' is empty or too long", what,
			       esc_n(text, size));
	for (size_t i = 0; i < size; i++)
		part[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
	part[size] = '\0';
	if (strspn(part, legal) != size)
		return err_set(err, EINVAL, "platform %s '%s' has a character that none has", what,
			       esc_n(text, size));
	memcpy(out, part, size + 1);
	return 0;
}

/* Usual names for other spellings; a "7" becomes "v7". */
static void normalise(struct platform *p)
{
	if (strcmp(p->os, "macos") == 0)
		(void)snprintf(p->os, sizeof(p->os), "darwin");
	for (size_t i = 0; i < N_ELEMENTS(spellings); i++) {
		if (strcmp(p->architecture, spellings[i].spelling) != 0)
			continue;
		(void)snprintf(p->architecture, sizeof(p->architecture), "%s",
			       spellings[i].architecture);
		if (!p->variant[0])
			(void)snprintf(p->variant, sizeof(p->variant), "%s", spellings[i].variant);
		break;
	}
	size_t n = strlen(p->variant);
	if (n > 0 && n + 2 < sizeof(p->variant) && strspn(p->variant, "0123456789.") == n) {
		memmove(p->variant + 1, p->variant, n + 1);
		p->variant[0] = 'v';
	}
}

/* ARCH or ARCH/VARIANT. */
static int set_architecture(struct platform *p, const char *text, struct err *err)
{
	size_t size = strcspn(text, "/");
	int r = set_part(p->architecture, text, size, "architecture", err);
	if (r < 0 || !text[size])
		return r;
	return set_part(p->variant, text + size + 1, strlen(text + size + 1), "variant", err);
}

static bool is_known_os(const char *text)
{
	for (size_t i = 0; i < N_ELEMENTS(known_os); i++) {
		if (str_equal_nocase(text, known_os[i]))
			return true;
	}
	return false;
}

/* "/v8": behind the first slash comes a variant, so before it stands no os. */
static bool is_variant(const char *text)
{
	return text[0] == '/' && text[1] == 'v' && text[2] >= '0' && text[2] <= '9' &&
	       !strchr(text + 1, '/');
}

int platform_parse(struct platform *out, const char *text, struct err *err)
{
	struct platform p;
	platform_host(&p);
	size_t size = strcspn(text, "/");
	int r = 0;
	if (is_known_os(text)) {
		r = set_part(p.os, text, strlen(text), "os", err);
	} else {
		bool has_os = text[size] && !is_variant(text + size);
		p.variant[0] = '\0';
		if (has_os)
			r = set_part(p.os, text, size, "os", err);
		if (r == 0)
			r = set_architecture(&p, has_os ? text + size + 1 : text, err);
	}
	if (r < 0)
		return err_wrap(err, r, "platform '%s' is not os/arch[/variant]", esc(text));
	normalise(&p);
	*out = p;
	return 0;
}

/* VARIANT beside an architecture; FIXED when that has brought its own. */
static int add_variant(struct platform *p, const char *variant, bool fixed, struct err *err)
{
	struct platform given = *p;
	int r = set_part(given.variant, variant, strlen(variant), "variant", err);
	if (r < 0)
		return r;
	normalise(&given);
	if (fixed && strcmp(p->variant, given.variant) != 0)
		return err_set(err, EINVAL, "platform has two variants, '%s' and '%s'", p->variant,
			       given.variant);
	*p = given;
	return 0;
}

int platform_from(struct platform *out, const char *os, const char *architecture,
		  const char *variant, const struct platform *fallback, struct err *err)
{
	struct platform p = *fallback;
	int r = 0;
	if (os && *os)
		r = set_part(p.os, os, strlen(os), "os", err);
	if (r == 0 && architecture && *architecture) {
		/* another architecture's variant means nothing here */
		p.variant[0] = '\0';
		r = set_architecture(&p, architecture, err);
	}
	if (r < 0)
		return r;
	normalise(&p);
	if (variant && *variant)
		r = add_variant(&p, variant, architecture && strchr(architecture, '/'), err);
	if (r < 0)
		return r;
	*out = p;
	return 0;
}

void platform_host(struct platform *out)
{
	struct utsname host;
	struct platform p = { .os = OS_DEFAULT };
	if (uname(&host) == 0)
		(void)snprintf(p.architecture, sizeof(p.architecture), "%.31s", host.machine);
	normalise(&p);
	*out = p;
}

/* "v8" 800, "v8.2" 802, "" what the architecture starts from; -1 when it is no level. */
static int level_of(const struct platform *p)
{
	bool arm = strcmp(p->architecture, "arm") == 0;
	bool arm64 = strcmp(p->architecture, "arm64") == 0;
	if (!arm && !arm64 && strcmp(p->architecture, "amd64") != 0)
		return -1;
	if (!p->variant[0])
		return arm ? 700 : arm64 ? 800 : 100;

	char number[32];
	(void)snprintf(number, sizeof(number), "%s", p->variant + 1);
	char *dot = strchr(number, '.');
	if (dot)
		*dot = '\0';
	unsigned long long major = 0, minor = 0;
	bool ok = p->variant[0] == 'v' && str_parse_u64(number, &major) && major < 100 &&
		  (!dot || (str_parse_u64(dot + 1, &minor) && minor < 100));
	return ok ? (int)(100 * major + minor) : -1;
}

int platform_match(const struct platform *have, const struct platform *wanted)
{
	struct platform h = *have, w = *wanted;
	normalise(&h);
	normalise(&w);
	if (strcmp(h.os, w.os) != 0 || strcmp(h.architecture, w.architecture) != 0)
		return 0;
	int have_level = level_of(&h), wanted_level = level_of(&w);
	if (have_level >= 0 && wanted_level >= 0)
		return have_level <= wanted_level ? 1 + have_level : 0;
	/* variants without an order (riscv64's profiles, arm's "soft"): equal, or the plain one */
	if (strcmp(h.variant, w.variant) == 0)
		return 2;
	return h.variant[0] ? 0 : 1;
}

struct platform_text platform_format(const struct platform *p)
{
	struct platform_text t;
	(void)snprintf(t.text, sizeof(t.text), "%s/%s%s%s", p->os, p->architecture,
		       p->variant[0] ? "/" : "", p->variant);
	return t;
}
