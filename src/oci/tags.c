/*
 * Listing tags (distribution-spec "Listing tags").  Each page names the next in its Link header; a
 * registry behind a proxy often has its own idea of scheme and port there, so of the same host only
 * path and query are taken, and credentials stay where they belong.
 */
#include "oci/tags.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/ask.h"
#include "oci/endpoint.h"
#include "oci/reply.h"

#define PATH_MAX_BYTES 8192
#define PAGE_TIMEOUT_MS 120000u
#define PAGE_TAGS "n=1000"

void tags_release(struct tags *tags)
{
	for (size_t i = 0; i < tags->count; i++)
		free(tags->names[i]);
	free(tags->names);
	*tags = (struct tags){ 0 };
}

int tags_add(struct tags *tags, const char *name, struct err *err)
{
	if (tags->count == TAGS_MAX)
		return err_set(err, E2BIG, "more than %u tags", TAGS_MAX);
	tags->names = mem_grow(tags->names, &tags->capacity, tags->count, sizeof(char *));
	tags->names[tags->count++] = mem_strdup(name);
	return 0;
}

/* --- one page --- */

static int read_names(struct tags *tags, const char *body, size_t size, struct err *err)
{
	AUTO(json) json = NULL;
	if (json_parse(&json, body, size, 0, err) < 0)
		return -EPROTO;
	const struct json_value *root = json_root(json);
	const struct json_value *names = json_get(root, "tags");
	if (json_type(root) != JSON_OBJECT || (names && json_type(names) != JSON_ARRAY))
		return err_set(err, EPROTO, "the answer is no list of tags");
	int r = 0;
	for (size_t i = 0; r == 0 && i < json_count(names); i++) {
		const char *name = json_string(json_at(names, i));
		if (name && *name)
			r = tags_add(tags, name, err);
	}
	return r;
}

/* The target of the Link with rel=next, to be freed, or NULL. */
static char *next_link(const struct answer *answer)
{
	for (size_t i = 0;; i++) {
		const char *value = http_header(answer->transfer, "Link", i);
		if (!value)
			return NULL;
		/* <target>; rel="next", <other>; rel=prev */
		for (const char *from = strchr(value, '<'); from; from = strchr(from + 1, '<')) {
			size_t length = strcspn(from + 1, ">");
			const char *parameters = from + 1 + length;
			auto_free char *told = mem_strndup(parameters, strcspn(parameters, "<"));
			if (strstr(told, "next"))
				return mem_strndup(from + 1, length);
		}
	}
}

/* Path and query of LINK, seen from PATH, when it stays at this host; to be freed, else NULL. */
static char *path_of_link(const struct endpoint *endpoint, const char *path, const char *link)
{
	auto_str text = STR_MAX(PATH_MAX_BYTES);
	struct url base = { 0 }, next = { 0 };
	char *found = NULL;
	str_addf(&text, "%s%s", endpoint_root(endpoint)->text, path);
	if (!text.failed && url_parse(&base, str_text(&text), NULL) == 0 &&
	    url_resolve(&next, &base, link, NULL) == 0 && !next.userinfo &&
	    str_equal(base.host, next.host)) {
		const char *authority = strstr(next.text, "://") + strlen("://");
		const char *slash = strchr(authority, '/');
		found = mem_strdup(slash ? slash + 1 : "");
	}
	url_release(&base);
	url_release(&next);
	return found;
}

/* The page at *PATH; *path becomes the next one's, or NULL. */
static int read_page(struct endpoint *endpoint, char **path, struct tags *tags, struct err *err)
{
	static const int wanted[] = { 200, 0 };
	const struct request request = {
		.method = "GET",
		.path = *path,
		.timeout_ms = PAGE_TIMEOUT_MS,
	};
	struct answer answer = { 0 };
	auto_free char *body = NULL;
	size_t size = 0;
	int r = ask_endpoint(&answer, endpoint, &request, wanted, err);
	if (r < 0)
		return r;
	auto_free char *link = next_link(&answer);
	r = reply_body(&body, &size, answer.transfer, TAGS_PAGE_MAX_BYTES, err);
	answer_release(&answer);
	if (r == 0)
		r = read_names(tags, body, size, err);
	if (r < 0)
		return r;
	auto_free char *before = *path;
	*path = link ? path_of_link(endpoint, before, link) : NULL;
	if (link && !*path)
		return err_set(err, EPROTO, "the list goes on at '%s', another place", esc(link));
	if (str_equal(*path, before))
		return err_set(err, EPROTO, "the list goes on where it was");
	return 0;
}

/* --- all --- */

static int read_pages(struct endpoint *endpoint, const char *query, struct tags *tags,
		      struct err *err)
{
	auto_str text = STR_MAX(PATH_MAX_BYTES);
	str_addf(&text, "v2/%s/tags/list%s", endpoint->name, query);
	auto_free char *path = str_take(&text);
	for (unsigned pages = 0; path; pages++) {
		if (pages == TAGS_PAGES_MAX)
			return err_set(err, E2BIG, "more than %u pages of tags", TAGS_PAGES_MAX);
		int r = read_page(endpoint, &path, tags, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int tags_fetch(struct tags *out, struct endpoint *endpoint, struct err *err)
{
	auto_tags tags = { 0 };
	struct err why = { 0 };
	int r = read_pages(endpoint, "?" PAGE_TAGS, &tags, &why);
	/* some have a lower maximum and refuse what is above it (400 PAGINATION_NUMBER_INVALID) */
	if (r == -EPROTO && strstr(err_text(&why), "PAGINATION_NUMBER_INVALID")) {
		tags_release(&tags);
		r = read_pages(endpoint, "", &tags, &why);
	}
	if (r < 0) {
		(void)err_set(err, -r, "%s", err_text(&why));
		return err_wrap(err, r, "list the tags of '%s/%s'", esc(endpoint->shown),
				esc(endpoint->name));
	}
	*out = tags;
	tags = (struct tags){ 0 };
	return 0;
}
