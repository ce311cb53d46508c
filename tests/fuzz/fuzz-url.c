/* URLs and Locations: what is accepted reads back to the same parts. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct url *url)
{
	struct url again = { 0 };
	if (!url->host[0] || url->port == 0 || strpbrk(url->text, " \r\n\t\\#"))
		abort();
	if (url_parse(&again, url->text, NULL) < 0 || !url_same_origin(url, &again) ||
	    strcmp(url->text, again.text) != 0 || again.userinfo != url->userinfo)
		abort();
	url_release(&again);
	(void)url_host_is_private(url->host);
	(void)url_host_allows_http(url->host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = mem_strndup((const char *)data, size);
	struct url base = { 0 }, url = { 0 };
	struct err err = { 0 };
	if (url_parse(&url, text, &err) == 0)
		check(&url);
	url_release(&url);
	if (url_parse(&base, "https://registry:5000/v2/a/blobs/1?x=y", NULL) < 0)
		abort();
	if (url_resolve(&url, &base, text, &err) == 0)
		check(&url);
	url_release(&url);
	url_release(&base);
	return 0;
}
