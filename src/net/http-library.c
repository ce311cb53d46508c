/* Which library speaks HTTP, for --version. */
#include "net/http.h"

#include <stdio.h>

#include <curl/curl.h>

struct http_library_text http_library(void)
{
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
	struct http_library_text out;
	(void)snprintf(out.text, sizeof(out.text), "libcurl/%s %s", info->version,
		       info->ssl_version ? info->ssl_version : "without TLS");
	return out;
}
