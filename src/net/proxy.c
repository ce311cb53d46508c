/*
 * Proxies from the environment.  libcurl would read it too, but it does not tell whether a
 * connection leads to a proxy, and refusing private addresses must know: behind a proxy it is the
 * proxy that connects.  no_proxy is read as curl 7.86 and Go read it: names match with their
 * subdomains, addresses exactly or by CIDR block, a star everything.
 */
#include "net/proxy.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/addr.h"
#include "net/url.h"

static char *from_environment(const char *lower, const char *upper, const char *otherwise)
{
	const char *value = getenv(lower);
	if ((!value || !*value) && upper)
		value = getenv(upper);
	if (!value || !*value)
		value = otherwise;
	return mem_strdup(value);
}

void proxy_init(struct proxy *proxy)
{
	auto_free char *all = from_environment("all_proxy", "ALL_PROXY", NULL);
	*proxy = (struct proxy){
		.http = from_environment("http_proxy", NULL, all),
		.https = from_environment("https_proxy", "HTTPS_PROXY", all),
		.none = from_environment("no_proxy", "NO_PROXY", NULL),
	};
}

void proxy_release(struct proxy *proxy)
{
	free(proxy->http);
	free(proxy->https);
	free(proxy->none);
	*proxy = (struct proxy){ 0 };
}

/* The bytes of an address: 4 or 16, 0 when TEXT is a name. */
static size_t address_bytes(const char *text, uint8_t out[16])
{
	struct sockaddr_storage addr;
	if (!addr_parse(&addr, text))
		return 0;
	if (addr.ss_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, &addr, sizeof(in));
		memcpy(out, &in.sin_addr, 4);
		return 4;
	}
	struct sockaddr_in6 in6;
	memcpy(&in6, &addr, sizeof(in6));
	memcpy(out, &in6.sin6_addr, 16);
	return 16;
}

/* ENTRY is ADDRESS or ADDRESS/BITS, ADDRESS perhaps in brackets; it is changed. */
static bool matches_block(char *entry, const uint8_t *host, size_t host_bytes)
{
	unsigned long long bits = 8 * host_bytes;
	char *slash = strchr(entry, '/');
	if (slash) {
		*slash = '\0';
		if (!str_parse_u64(slash + 1, &bits) || bits > 8 * host_bytes)
			return false;
	}
	size_t length = strlen(entry);
	if (length > 1 && entry[0] == '[' && entry[length - 1] == ']') {
		entry[length - 1] = '\0';
		entry++;
	}
	uint8_t network[16] = { 0 };
	if (address_bytes(entry, network) != host_bytes)
		return false;
	size_t whole = bits / 8;
	if (memcmp(network, host, whole) != 0)
		return false;
	return bits % 8 == 0 || (network[whole] ^ host[whole]) >> (8 - bits % 8) == 0;
}

static bool matches_name(const char *entry, const char *host)
{
	if (str_starts(entry, "*."))
		entry++;
	while (*entry == '.')
		entry++;
	size_t n = strlen(entry), m = strlen(host);
	if (n == 0 || n > m || strcasecmp(host + m - n, entry) != 0)
		return false;
	return n == m || host[m - n - 1] == '.';
}

static bool matches(char *entry, const char *host, const uint8_t *address, size_t address_size)
{
	if (strcmp(entry, "*") == 0)
		return true;
	return address_size ? matches_block(entry, address, address_size)
			    : matches_name(entry, host);
}

static bool is_excepted(const char *none, const char *host)
{
	uint8_t address[16] = { 0 };
	size_t address_size = address_bytes(host, address);
	static const char separators[] = ", \t";
	for (const char *at = none ? none : ""; *(at += strspn(at, separators));) {
		size_t length = strcspn(at, separators);
		auto_free char *entry = mem_strndup(at, length);
		if (matches(entry, host, address, address_size))
			return true;
		at += length;
	}
	return false;
}

const char *proxy_for(const struct proxy *proxy, const struct url *url)
{
	const char *chosen = url->https ? proxy->https : proxy->http;
	if (!chosen || url_host_is_loopback(url->host) || is_excepted(proxy->none, url->host))
		return NULL;
	return chosen;
}
