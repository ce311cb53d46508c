/*
 * The realm rules.  Docker Hub's pair (registry-1.docker.io, auth.docker.io) is one domain and
 * needs no exception.  The whole public suffix list is 300 KiB and changes weekly; a wrong guess
 * here only matters when a registry names a realm of a stranger who shares its suffix, so the short
 * list holds the suffixes under which registries are found.
 */
#include "oci/realm.h"

#include <errno.h>
#include <string.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"

static const char *const shared_suffixes[] = {
	"co.uk",
	"org.uk",
	"ac.uk",
	"gov.uk",
	"com.cn",
	"net.cn",
	"org.cn",
	"com.au",
	"net.au",
	"org.au",
	"com.br",
	"co.jp",
	"ne.jp",
	"or.jp",
	"co.kr",
	"co.in",
	"co.nz",
	"co.za",
	"com.tr",
	"com.tw",
	"com.hk",
	"com.sg",
	"com.mx",
	"com.ar",
	"com.pl",
	"com.ua",
	"co.il",
	"eu.org",
	"github.io",
	"gitlab.io",
	"azurecr.io",
	"azurecr.cn",
	"azurecr.us",
	"azurewebsites.net",
	"amazonaws.com",
	"pkg.dev",
	"run.app",
	"web.app",
	"appspot.com",
	"cloudfront.net",
	"herokuapp.com",
	"fly.dev",
	"workers.dev",
	"pages.dev",
	"ngrok.io",
	"ngrok.app",
	"vercel.app",
	"netlify.app",
	"jfrog.io",
	"duckdns.org",
	"nip.io",
	"sslip.io",
	"windows.net",
	"azure.com",
	"scw.cloud",
	"ondigitalocean.app",
	"digitaloceanspaces.com",
	"aliyuncs.com",
};

/* The last LABELS labels of HOST, or NULL when it has fewer. */
static const char *last_labels(const char *host, int labels)
{
	const char *at = host + strlen(host);
	while (at > host) {
		if (at[-1] == '.' && --labels == 0)
			return at;
		at--;
	}
	return labels == 1 ? host : NULL;
}

static const char *registrable(const char *host)
{
	const char *two = last_labels(host, 2);
	for (size_t i = 0; two && i < N_ELEMENTS(shared_suffixes); i++)
		if (str_equal_nocase(two, shared_suffixes[i]))
			return last_labels(host, 3);
	return two;
}

bool realm_same_domain(const char *a, const char *b)
{
	if (str_equal_nocase(a, b))
		return true;
	if (url_host_is_ip(a) || url_host_is_ip(b))
		return false;
	const char *domain = registrable(a);
	return domain && str_equal_nocase(domain, registrable(b));
}

static int check(const struct url *url, const char *realm, const struct url *registry,
		 struct err *err)
{
	if (url->userinfo || url->fragment)
		return err_set(err, EPROTO, "realm '%s' has a user or a fragment: refused",
			       esc(realm));
	if (!url->https && registry->https)
		return err_set(err, EPROTO,
			       "realm '%s' is not https while the registry is: refused",
			       esc(realm));
	if (!url_same_origin(url, registry) && url_host_is_private(url->host))
		return err_set(err, EPROTO,
			       "realm '%s' is an address of a private network and not the "
			       "registry: refused",
			       esc(realm));
	return 0;
}

int realm_judge(struct url *out, enum realm_trust *trust, const char *realm,
		const struct url *registry, struct err *err)
{
	struct url url = { 0 };
	int r = url_parse(&url, realm, err);
	if (r < 0)
		return err_wrap(err, r, "realm '%s'", esc(realm));
	r = check(&url, realm, registry, err);
	if (r < 0) {
		url_release(&url);
		return r;
	}
	if (url_same_origin(&url, registry))
		*trust = REALM_OWN;
	else if (realm_same_domain(url.host, registry->host))
		*trust = REALM_SIBLING;
	else
		*trust = REALM_FOREIGN;
	*out = url;
	return 0;
}
