/*
 * Azure Container Registry: the identity that Azure gave to this machine (or that a Kubernetes
 * cluster vouches for) gets a token for Azure's resource manager; the registry takes that in
 * exchange for a refresh token of its own, which docker clients use as password.
 *
 *	managed identity	$IDENTITY_ENDPOINT (App Service, Container Apps), else the instance
 *				metadata service, whose host $AZURE_POD_IDENTITY_AUTHORITY_HOST may
 *				replace
 *	workload identity	$AZURE_FEDERATED_TOKEN_FILE, $AZURE_CLIENT_ID, $AZURE_TENANT_ID, at
 *				$AZURE_AUTHORITY_HOST or the cloud's own
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/http.h"
#include "net/url.h"
#include "oci/base64.h"
#include "oci/creds-cloud.h"
#include "oci/creds-http.h"
#include "oci/creds-source.h"
#include "oci/creds.h"
#include "oci/secret.h"

#define USER "00000000-0000-0000-0000-000000000000" /* "what follows is a token" */
#define METADATA_URL "http://169.254.169.254"
#define METADATA "the Azure instance metadata"
#define LOGIN "Microsoft Entra"
#define FORM_MAX_BYTES (4u * CLOUD_SECRET_MAX_BYTES)
#define URL_MAX_BYTES 4096u
#define TENANT_MAX_BYTES 128u

struct cloud {
	const char *name, *suffix, *resource, *login;
};

static const struct cloud clouds[] = {
	{ "AzurePublic", ".azurecr.io", "https://management.azure.com/",
	  "https://login.microsoftonline.com/" },
	{ "AzureGovernment", ".azurecr.us", "https://management.usgovcloudapi.net/",
	  "https://login.microsoftonline.us/" },
	{ "AzureChina", ".azurecr.cn", "https://management.chinacloudapi.cn/",
	  "https://login.chinacloudapi.cn/" },
};

struct acr {
	struct creds_source base;
	char *client_id, *tenant_id; /* owned or NULL */
	const struct cloud *cloud;   /* static; NULL: by the registry's name */
	bool workload;
};

static void acr_free(struct creds_source *source)
{
	struct acr *acr = (struct acr *)source;
	free(acr->client_id);
	free(acr->tenant_id);
	free(acr);
}

static const char *given(const char *name)
{
	const char *value = getenv(name);
	return value && *value ? value : NULL;
}

/* --- which cloud --- */

static size_t name_length(const char *host)
{
	return strcspn(host, ":");
}

static const struct cloud *cloud_of_host(const char *host)
{
	size_t length = name_length(host);
	for (size_t i = 0; i < N_ELEMENTS(clouds); i++) {
		size_t n = strlen(clouds[i].suffix);
		if (length > n && strncasecmp(host + length - n, clouds[i].suffix, n) == 0)
			return &clouds[i];
	}
	return NULL;
}

static bool is_loopback(const char *host)
{
	auto_free char *name = mem_strndup(host, name_length(host));
	return url_host_is_loopback(name);
}

/*
 * The token for the resource manager is worth more than the registry: it goes to Microsoft's own
 * names, or where the user has said which cloud a name of theirs belongs to.
 */
static int find_cloud(const struct cloud **out, const struct acr *acr, const char *host,
		      struct err *err)
{
	*out = acr->cloud ? acr->cloud : cloud_of_host(host);
	if (!*out && is_loopback(host))
		*out = &clouds[0];
	if (!*out)
		return err_set(
			err, EINVAL,
			"'%s' is no name of Azure's registries: for a name of your own set "
			"source.azure_environment, or the identity's token is not sent there",
			esc(host));
	return 0;
}

/* --- a token for the resource manager --- */

static int read_token(char **out, const struct cloud_answer *answer, const char *member,
		      const char *who, struct err *err)
{
	AUTO(json) json = NULL;
	if (json_parse(&json, answer->body, answer->size, 0, NULL) < 0)
		return err_set(err, EPROTO, "%s answered with no JSON", who);
	const char *token = json_string(json_get(json_root(json), member));
	int r = cloud_check_secret(token, "a token", who, err);
	if (r == 0)
		*out = mem_strdup(token);
	return r;
}

static int ask_token(char **out, const struct creds_net *net, const struct cloud_request *request,
		     const char *member, const char *who, struct err *err)
{
	struct cloud_answer answer = { 0 };
	int r = cloud_ask(&answer, net, request, who, err);
	if (r == 0)
		r = read_token(out, &answer, member, who, err);
	cloud_answer_release(&answer);
	return r;
}

static void add_trimmed(struct str *out, const char *url)
{
	size_t length = strlen(url);
	while (length > 0 && url[length - 1] == '/')
		length--;
	str_addn(out, url, length);
}

static int managed_url(struct str *url, const struct acr *acr, const struct cloud *cloud,
		       const char *endpoint, struct err *err)
{
	const char *host = given("AZURE_POD_IDENTITY_AUTHORITY_HOST");
	if (endpoint) {
		str_addf(url, "%s%capi-version=2019-08-01", endpoint,
			 strchr(endpoint, '?') ? '&' : '?');
	} else {
		add_trimmed(url, host ? host : METADATA_URL);
		str_add(url, "/metadata/identity/oauth2/token?api-version=2018-02-01");
	}
	str_add(url, "&resource=");
	url_add_encoded(url, cloud->resource);
	if (acr->client_id) {
		str_add(url, "&client_id=");
		url_add_encoded(url, acr->client_id);
	}
	if (url->failed)
		return err_set(err, EINVAL, "the URL of %s is too long", METADATA);
	return endpoint ? cloud_check_url(str_text(url), "$IDENTITY_ENDPOINT", err) : 0;
}

static int managed_token(char **out, const struct acr *acr, const struct cloud *cloud,
			 const struct creds_net *net, struct err *err)
{
	const char *secret = given("IDENTITY_HEADER");
	const char *endpoint = secret ? given("IDENTITY_ENDPOINT") : NULL;
	auto_str url = STR_MAX(URL_MAX_BYTES);
	struct str line = STR_MAX(CLOUD_SECRET_MAX_BYTES);
	if (endpoint)
		str_addf(&line, "X-IDENTITY-HEADER: %s", secret);
	else
		str_add(&line, "Metadata: true");
	auto_secret *header = str_take(&line);
	int r = managed_url(&url, acr, cloud, endpoint, err);
	if (r < 0)
		return r;
	const struct cloud_request request = {
		.method = "GET",
		.url = str_text(&url),
		.headers = { header },
		.metadata = true,
		.secrets = { secret },
	};
	return ask_token(out, net, &request, "access_token", METADATA, err);
}

static int workload_url(struct str *url, const struct cloud *cloud, const char *tenant,
			struct err *err)
{
	const char *authority = given("AZURE_AUTHORITY_HOST");
	add_trimmed(url, authority ? authority : cloud->login);
	str_addc(url, '/');
	url_add_encoded(url, tenant);
	str_add(url, "/oauth2/v2.0/token");
	return cloud_check_url(str_text(url), "$AZURE_AUTHORITY_HOST", err);
}

static char *workload_form(const char *client, const char *assertion, const struct cloud *cloud)
{
	struct str form = STR_MAX(FORM_MAX_BYTES);
	str_add(&form, "grant_type=client_credentials&client_assertion_type=");
	url_add_encoded(&form, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
	str_add(&form, "&client_id=");
	url_add_encoded(&form, client);
	str_add(&form, "&scope=");
	url_add_encoded(&form, cloud->resource);
	str_add(&form, ".default&client_assertion=");
	url_add_encoded(&form, assertion);
	return str_take(&form);
}

static int workload_token(char **out, const struct acr *acr, const struct cloud *cloud,
			  const struct creds_net *net, struct err *err)
{
	const char *file = given("AZURE_FEDERATED_TOKEN_FILE"), *tenant = given("AZURE_TENANT_ID");
	const char *client = acr->client_id ? acr->client_id : given("AZURE_CLIENT_ID");
	if (!file || !tenant || !client)
		return err_set(err, EACCES,
			       "source.azure_auth_type is workload_identity, but one of "
			       "$AZURE_FEDERATED_TOKEN_FILE, $AZURE_TENANT_ID and $AZURE_CLIENT_ID "
			       "is not set");
	auto_secret *assertion = NULL;
	int r = cloud_read_token(&assertion, file, "the federated token", err);
	auto_str url = STR_MAX(URL_MAX_BYTES);
	if (r == 0)
		r = workload_url(&url, cloud, tenant, err);
	if (r < 0)
		return r;
	auto_secret *form = workload_form(client, assertion, cloud);
	const struct cloud_request request = {
		.method = "POST",
		.url = str_text(&url),
		.headers = { "Content-Type: application/x-www-form-urlencoded" },
		.body = form,
		.secrets = { assertion },
	};
	return ask_token(out, net, &request, "access_token", LOGIN, err);
}

/* --- the registry's own --- */

/* A request to the registry: by https, or on this machine by http where that is what it speaks. */
static int ask_registry(struct cloud_answer *out, const struct creds_net *net, const char *host,
			const char *path, struct cloud_request *request, struct err *err)
{
	bool loopback = is_loopback(host);
	for (int i = 0;; i++) {
		auto_str url = STR_MAX(URL_MAX_BYTES);
		str_addf(&url, "%s://%s/%s", i == 0 ? "https" : "http", host, path);
		request->url = str_text(&url);
		request->tls = net->own;
		auto_str who = STR_MAX(512);
		str_addf(&who, "'%s'", esc(host));
		struct err why = { 0 };
		int r = cloud_ask(out, net, request, str_text(&who), &why);
		request->url = NULL;
		if (r == 0)
			return 0;
		bool no_answer = r != -EACCES && r != -ENOENT && r != -ECANCELED;
		if (i > 0 || !loopback || !no_answer)
			return err_set(err, -r, "%s", err_text(&why));
	}
}

/* "tenant=" of the challenge's realm, or "common". */
static char *tenant_of(const char *challenge)
{
	const char *at = challenge && str_starts(challenge, "Bearer") ? strstr(challenge, "tenant=")
								      : NULL;
	size_t length = at ? strcspn(at + strlen("tenant="), "\"&, ") : 0;
	if (length == 0 || length > TENANT_MAX_BYTES)
		return mem_strdup("common");
	return mem_strndup(at + strlen("tenant="), length);
}

static int find_tenant(char **out, const struct acr *acr, const struct creds_net *net,
		       const char *host, struct err *err)
{
	if (acr->tenant_id) {
		*out = mem_strdup(acr->tenant_id);
		return 0;
	}
	struct cloud_answer answer = { 0 };
	struct cloud_request request = { .method = "GET", .any_status = true };
	int r = ask_registry(&answer, net, host, "v2/", &request, err);
	if (r == 0)
		*out = tenant_of(http_header(answer.transfer, "WWW-Authenticate", 0));
	cloud_answer_release(&answer);
	return r;
}

static int exchange(char **out, const char *access_token, const char *tenant,
		    const struct creds_net *net, const char *host, struct err *err)
{
	struct str text = STR_MAX(FORM_MAX_BYTES);
	str_add(&text, "grant_type=access_token&service=");
	url_add_encoded(&text, host);
	str_add(&text, "&tenant=");
	url_add_encoded(&text, tenant);
	str_add(&text, "&access_token=");
	url_add_encoded(&text, access_token);
	auto_secret *form = str_take(&text);
	struct cloud_request request = {
		.method = "POST",
		.headers = { "Content-Type: application/x-www-form-urlencoded" },
		.body = form,
		.secrets = { access_token },
	};
	struct cloud_answer answer = { 0 };
	int r = ask_registry(&answer, net, host, "oauth2/exchange", &request, err);
	if (r == 0)
		r = read_token(out, &answer, "refresh_token", "the registry", err);
	cloud_answer_release(&answer);
	return r < 0 ? err_wrap(err, r, "exchange the identity's token at the registry") : 0;
}

/* When a JWT ends, by its own word ("exp"); 0 when it does not say. */
static uint64_t token_life_ms(const char *token)
{
	const char *from = token ? strchr(token, '.') : NULL;
	size_t length = from ? strcspn(from + 1, ".") : 0;
	auto_free char *part = length > 0 ? mem_strndup(from + 1, length) : mem_strdup("");
	for (char *p = part; *p; p++) {
		if (*p == '-')
			*p = '+';
		if (*p == '_')
			*p = '/';
	}
	auto_secret *text = NULL;
	size_t size = 0;
	AUTO(json) json = NULL;
	if (base64_decode(&text, &size, part, NULL) < 0 ||
	    json_parse(&json, text, size, 0, NULL) < 0)
		return 0;
	const struct json_value *end = json_get(json_root(json), "exp");
	auto_free char *when = end ? json_scalar_text(end) : NULL;
	return cloud_until_ms(when);
}

static int acr_ask(struct creds_source *source, const struct creds_net *net, const char *host,
		   struct credential *out, struct err *err)
{
	const struct acr *acr = (const struct acr *)source;
	const struct cloud *cloud = NULL;
	if (!host)
		return err_set(err, EINVAL, "no registry of Azure is named");
	int r = find_cloud(&cloud, acr, host, err);
	if (r < 0)
		return r;
	auto_secret *access = NULL, *refresh = NULL;
	auto_free char *tenant = NULL;
	r = acr->workload ? workload_token(&access, acr, cloud, net, err)
			  : managed_token(&access, acr, cloud, net, err);
	if (r == 0)
		r = find_tenant(&tenant, acr, net, host, err);
	if (r == 0)
		r = exchange(&refresh, access, tenant, net, host, err);
	if (r < 0)
		return err_wrap(err, r, "source.azure_acr");
	*out = (struct credential){
		.username = mem_strdup(USER),
		.lives_ms = token_life_ms(refresh),
		.source = mem_strdup(acr->workload ? "Azure workload identity"
						   : "Azure managed identity"),
		.host = mem_strdup(host),
	};
	out->password = TAKE(refresh);
	return 0;
}

/* --- making one --- */

/* " Workload_Identity " is taken as people write it. */
static int read_auth_type(bool *workload, const char *text, struct err *err)
{
	static const char *const names[] = { "managed_identity", "workload_identity" };
	const char *from = text ? text + strspn(text, " ") : names[0];
	auto_free char *word = mem_strndup(from, strcspn(from, " "));
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		if (str_equal_nocase(word, names[i])) {
			*workload = i == 1;
			return 0;
		}
	}
	return err_set(err, EINVAL,
		       "source.azure_auth_type '%s' is neither 'managed_identity' nor "
		       "'workload_identity'",
		       esc(text));
}

static int read_environment(const struct cloud **out, const char *text, struct err *err)
{
	for (size_t i = 0; text && i < N_ELEMENTS(clouds); i++) {
		if (str_equal_nocase(text, clouds[i].name)) {
			*out = &clouds[i];
			return 0;
		}
	}
	if (!text)
		return 0;
	return err_set(err, EINVAL,
		       "source.azure_environment '%s' is none of 'AzurePublic', 'AzureGovernment' "
		       "and 'AzureChina'",
		       esc(text));
}

int creds_acr_open(struct creds **out, const struct creds_azure *azure, struct err *err)
{
	static const struct creds_source_ops ops = { acr_ask, acr_free };
	const struct cloud *cloud = NULL;
	bool workload = false;
	int r = read_environment(&cloud, azure->environment, err);
	if (r == 0)
		r = read_auth_type(&workload, azure->auth_type, err);
	if (r < 0)
		return r;
	struct acr *acr = mem_make(struct acr, .client_id = mem_strdup(azure->client_id),
				   .tenant_id = mem_strdup(azure->tenant_id), .cloud = cloud,
				   .workload = workload);
	creds_source_init(&acr->base, &ops);
	*out = creds_of_source(&acr->base);
	return 0;
}
