/* "rootlet cache ls|stat|prune|verify|clear": what mounts keep on this machine. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/esc.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cache/cache.h"
#include "cmd/begin.h"
#include "cmd/cmd.h"
#include "term/report.h"

struct cache_args {
	const char *cache;
	uint64_t size;
	bool json, help;
};

#define MEMBER(name) offsetof(struct cache_args, name)
static const struct opt options[] = {
	{ "cache", OPT_TEXT, MEMBER(cache), "DIR",
	  "where it is; default: $ROOTLET_CACHE, else /var/cache/rootlet or ~/.cache/rootlet" },
	{ "size", OPT_SIZE, MEMBER(size), "SIZE",
	  "prune: keep at most this; default: the cache's quota" },
	{ "json", OPT_FLAG, MEMBER(json), NULL, "print JSON: ls an object a line, else one" },
	{ "help", OPT_FLAG, MEMBER(help), NULL, "show this text" },
};

static const char *kind_name(enum cache_kind kind)
{
	static const char *const names[] = {
		[CACHE_TABLE] = "table",       [CACHE_ROOTFS] = "rootfs", [CACHE_RECORD] = "record",
		[CACHE_DOCUMENT] = "document", [CACHE_NAME] = "name",	  [CACHE_KINDS] = "layer",
	};
	return kind <= CACHE_KINDS ? names[kind] : "?";
}

static void print_item_json(const struct cache_item *item)
{
	printf("{\"kind\":\"%s\",\"digest\":\"%s\",\"disk_bytes\":%" PRIu64 ",\"spans\":%" PRIu64
	       ",\"spans_present\":%" PRIu64 ",\"used\":%" PRId64 ",\"in_use\":%s}\n",
	       kind_name(item->kind), digest_show(&item->digest), item->disk_bytes, item->spans,
	       item->spans_present, item->used_s, item->in_use ? "true" : "false");
}

static int print_item(void *arg, const struct cache_item *item, struct err *err)
{
	const struct cache_args *args = arg;
	(void)err;
	if (args->json) {
		print_item_json(item);
		return 0;
	}
	char used[32] = "-", spans[48] = "";
	time_t when = (time_t)item->used_s;
	struct tm tm;
	if (localtime_r(&when, &tm))
		(void)strftime(used, sizeof(used), "%F %T", &tm);
	if (item->kind == CACHE_KINDS)
		(void)snprintf(spans, sizeof(spans), " %" PRIu64 "/%" PRIu64 " spans",
			       item->spans_present, item->spans);
	printf("%-8s %.19s %10s  %s%s%s\n", kind_name(item->kind), digest_show(&item->digest),
	       report_size(item->disk_bytes).text, used, item->in_use ? " in use" : "", spans);
	return 0;
}

static int list(struct cache *cache, struct cache_args *args, struct err *err)
{
	return cache_list(cache, print_item, args, err);
}

static int show_stat(struct cache *cache, struct cache_args *args, struct err *err)
{
	struct cache_stat stat;
	int r = cache_stat(cache, &stat, err);
	if (r < 0)
		return r;
	bool writable = cache_writable(cache);
	if (args->json) {
		auto_str path = STR_MAX(16384);
		json_add_string(&path, cache_path(cache));
		printf("{\"path\":%s,\"disk_bytes\":%" PRIu64 ",\"quota_bytes\":%" PRIu64
		       ",\"layers\":%" PRIu64 ",\"files\":%" PRIu64 ",\"writable\":%s}\n",
		       str_text(&path), stat.disk_bytes, stat.quota_bytes, stat.layers, stat.files,
		       writable ? "true" : "false");
		return 0;
	}
	printf("%s: %s of %s, %" PRIu64 " layers, %" PRIu64 " files%s%s\n", esc(cache_path(cache)),
	       report_size(stat.disk_bytes).text, report_size(stat.quota_bytes).text, stat.layers,
	       stat.files,
	       writable ? "" : "; nothing is kept: ", writable ? "" : cache_trouble(cache));
	return 0;
}

static int print_freed(const struct cache_args *args, uint64_t freed)
{
	if (args->json)
		printf("{\"freed_bytes\":%" PRIu64 "}\n", freed);
	else
		printf("%s freed\n", report_size(freed).text);
	return 0;
}

static int prune(struct cache *cache, struct cache_args *args, struct err *err)
{
	struct cache_stat stat;
	uint64_t freed = 0;
	int r = cache_stat(cache, &stat, err);
	if (r == 0)
		r = cache_evict(cache, args->size ? args->size : stat.quota_bytes, &freed, err);
	return r < 0 ? r : print_freed(args, freed);
}

static int verify(struct cache *cache, struct cache_args *args, struct err *err)
{
	uint64_t checked = 0, dropped = 0;
	int r = cache_verify(cache, &checked, &dropped, err);
	if (r < 0)
		return r;
	if (args->json)
		printf("{\"checked\":%" PRIu64 ",\"dropped\":%" PRIu64 "}\n", checked, dropped);
	else
		printf("%" PRIu64 " files and spans checked, %" PRIu64 " dropped\n", checked,
		       dropped);
	return 0;
}

static int clear(struct cache *cache, struct cache_args *args, struct err *err)
{
	uint64_t freed = 0;
	int r = cache_clear(cache, &freed, err);
	return r < 0 ? r : print_freed(args, freed);
}

static const struct verb {
	const char *name;
	int (*run)(struct cache *cache, struct cache_args *args, struct err *err);
} verbs[] = {
	{ "ls", list },	      { "stat", show_stat }, { "prune", prune },
	{ "verify", verify }, { "clear", clear },
};

static const struct verb *find_verb(const char *name, struct err *err)
{
	for (size_t i = 0; i < N_ELEMENTS(verbs); i++) {
		if (str_equal(verbs[i].name, name))
			return &verbs[i];
	}
	(void)err_set(err, EINVAL, "wants ls, stat, prune, verify or clear, not '%s'", esc(name));
	return NULL;
}

static int run(int argc, char **argv)
{
	struct cache_args args = { 0 };
	struct err err = { 0 };
	int operands, status;
	if (!begin_command(&cmd_cache, &args, &args.help, argc, argv, 1, 1, &operands, &status))
		return status;
	const struct verb *verb = find_verb(argv[1], &err);
	if (!verb)
		return cmd_usage(cmd_cache.name, &err);
	AUTO(cache) cache = NULL;
	struct cache_options cache_options = { .path = args.cache };
	int r = cache_open(&cache, &cache_options, &err);
	if (r == 0)
		r = verb->run(cache, &args, &err);
	return r < 0 ? cmd_fail(r, &err) : cmd_finish_stdout();
}

const struct command cmd_cache = {
	.name = "cache",
	.operands = "ls|stat|prune|verify|clear",
	.summary = "look after what mounts keep on disk",
	.about = "ls      what is kept, a line each\n"
		 "stat    how much, and how much may be\n"
		 "prune   remove what was unused longest until the quota is kept\n"
		 "verify  read all of it, and drop what is damaged\n"
		 "clear   remove all that nobody uses right now\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
