/*
 * Node's search, in short (nodejs.org, "Modules: CommonJS modules", "Modules: Packages"): a path is
 * a file, the file with an extension, or a directory with an index; any other name is a package in
 * the node_modules of this directory or of one above it, and its package.json says which file.
 * That one has to be there first: it is asked for with a question ("r/lib/x": required, the
 * package's lib/x), which comes back with its bytes.
 */
#include "image/module-node.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/mem.h"
#include "image/module-names.h"

#define PATH_BYTES 4096u
#define FOUND_MAX 4096u /* names of one file */
#define NESTING_MAX 8u	/* of conditions in "exports" */
#define GUESS_MAX_BYTES (16u * 1024)

struct module_node {
	const struct rootfs *rootfs;	  /* borrowed */
	const struct rootfs_names *names; /* borrowed */
	struct module_wants wants;
	bool production;
};

struct importer {
	struct module_node *node;
	uint32_t dir;
	unsigned left;
};

struct module_node *module_node_new(const struct rootfs *rootfs, const struct rootfs_names *names,
				    const struct module_wants *wants, bool production)
{
	return mem_make(struct module_node, .rootfs = rootfs, .names = names, .wants = *wants,
			.production = production);
}

void module_node_free(struct module_node *node)
{
	free(node);
}

/* ---- paths */

static bool want(const struct module_node *node, uint32_t inode)
{
	if (inode)
		node->wants.want(node->wants.arg, inode);
	return inode != ROOTFS_NONE;
}

/* PATH as a file, with or without its extension. */
static bool want_file(const struct module_node *node, uint32_t dir, const char *path)
{
	static const char *const suffixes[] = { "", ".js", ".json", ".node", ".mjs", ".cjs" };
	for (size_t i = 0; i < N_ELEMENTS(suffixes); i++) {
		auto_str name = STR_MAX(PATH_BYTES);
		str_addf(&name, "%s%s", path, suffixes[i]);
		if (!name.failed &&
		    want(node, rootfs_names_file(node->names, dir, str_text(&name))))
			return true;
	}
	return false;
}

static void want_index(const struct module_node *node, uint32_t dir)
{
	if (dir)
		(void)want_file(node, dir, "index");
}

static void ask_package(const struct module_node *node, uint32_t package, bool statement,
			const char *rest);

/* PATH as a file or as a directory. */
static void want_path(const struct module_node *node, uint32_t dir, const char *path)
{
	if (want_file(node, dir, path))
		return;
	uint32_t found = rootfs_names_dir(node->names, dir, path);
	if (found && rootfs_names_file(node->names, found, "package.json"))
		ask_package(node, found, false, "");
	else if (found)
		want_index(node, found);
}

/* ---- packages */

/* REST: "" or "/lib/x". */
static void ask_package(const struct module_node *node, uint32_t package, bool statement,
			const char *rest)
{
	uint32_t json = rootfs_names_file(node->names, package, "package.json");
	auto_str question = STR_MAX(PATH_BYTES);
	str_addf(&question, "%c%s", statement ? 'i' : 'r', rest);
	if (json && !question.failed) {
		node->wants.ask(node->wants.arg, json, str_text(&question));
		/* nearly always it says so, and this saves a round trip */
		uint32_t index = rootfs_names_file(node->names, package, "index.js");
		if (*rest == '\0' && index &&
		    rootfs_inode(node->rootfs, index)->size <= GUESS_MAX_BYTES)
			(void)want(node, index);
	} else if (*rest) {
		want_path(node, package, rest + 1);
	} else {
		want_index(node, package);
	}
}

/* Built-in modules that packages exist of, too. */
static bool is_builtin(const char *name)
{
	static const char *const names[] = {
		"assert",      "async_hooks", "buffer", "child_process",
		"cluster",     "console",     "crypto", "dgram",
		"dns",	       "domain",      "events", "fs",
		"http",	       "http2",	      "https",	"inspector",
		"module",      "net",	      "os",	"path",
		"perf_hooks",  "process",     "stream", "punycode",
		"querystring", "readline",    "repl",	"string_decoder",
		"timers",      "tls",	      "tty",	"url",
		"util",	       "v8",	      "vm",	"worker_threads",
		"zlib",	       "constants",   "sys",	"diagnostics_channel",
		"fs/promises", "path/posix",
	};
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* The package NAME of LENGTH bytes as a file there in DIR/node_modules. */
static uint32_t find_package(const struct module_node *node, uint32_t dir, const char *name,
			     size_t length)
{
	auto_str path = STR_MAX(PATH_BYTES);
	str_add(&path, "node_modules/");
	str_addn(&path, name, length);
	return path.failed ? ROOTFS_NONE : rootfs_names_dir(node->names, dir, str_text(&path));
}

/* "name", "name/lib/x", "@scope/name/lib/x" */
static void want_package(const struct importer *by, const struct module_name *name)
{
	const struct module_node *node = by->node;
	size_t length = strcspn(name->module, "/");
	if (name->module[0] == '@' && name->module[length] == '/')
		length += 1 + strcspn(name->module + length + 1, "/");
	uint32_t found = ROOTFS_NONE;
	for (uint32_t dir = by->dir;; dir = rootfs_names_parent(node->names, dir)) {
		found = find_package(node, dir, name->module, length);
		if (found || dir == ROOTFS_ROOT)
			break;
	}
	if (!found) { /* where Debian's node looks at last */
		auto_str path = STR_MAX(PATH_BYTES);
		str_add(&path, "/usr/share/nodejs/");
		str_addn(&path, name->module, length);
		found = rootfs_names_dir(node->names, ROOTFS_ROOT, str_text(&path));
	}
	if (found)
		ask_package(node, found, name->statement, name->module + length);
}

/* ---- what package.json says */

/* The path that the conditions lead to; NULL: none. */
static const char *choose(const struct json_value *value, bool statement, unsigned depth)
{
	const char *found = json_string(value);
	if (found || depth == NESTING_MAX)
		return found;
	for (size_t i = 0; !found && json_type(value) == JSON_ARRAY && i < json_count(value); i++)
		found = choose(json_at(value, i), statement, depth + 1);
	if (json_type(value) != JSON_OBJECT)
		return found;
	for (json_member(m, value)) {
		if (strcmp(m.key, "node") == 0 || strcmp(m.key, "default") == 0 ||
		    strcmp(m.key, statement ? "import" : "require") == 0)
			found = choose(m.value, statement, depth + 1);
		if (found)
			return found;
	}
	return NULL;
}

/* PATTERN ("./a/" "*" ".js") fits NAME: what stands for the star, in *LENGTH bytes; else NULL. */
static const char *match(const char *pattern, const char *name, size_t *length)
{
	const char *star = strchr(pattern, '*');
	size_t before = star ? (size_t)(star - pattern) : 0, all = strlen(name);
	if (!star || all < before || strncmp(pattern, name, before) != 0)
		return NULL;
	size_t after = strlen(star + 1);
	if (all < before + after || strcmp(name + all - after, star + 1) != 0)
		return NULL;
	*length = all - before - after;
	return name + before;
}

/* A path of "exports", in which a star stands for TEXT. */
static void want_export(const struct module_node *node, uint32_t package, const char *path,
			const char *text, size_t length)
{
	auto_str target = STR_MAX(PATH_BYTES);
	for (; *path; path++) {
		if (*path == '*' && text)
			str_addn(&target, text, length);
		else
			str_addc(&target, *path);
	}
	if (!target.failed && target.length > 0)
		(void)want(node, rootfs_names_file(node->names, package, str_text(&target)));
}

/* True: "exports" had something to say about REST. */
static bool want_exports(const struct module_node *node, uint32_t package,
			 const struct json_value *exports, const char *rest, bool statement)
{
	auto_str name = STR_MAX(PATH_BYTES);
	str_addf(&name, ".%s", rest);
	bool by_path = false;
	if (!exports || name.failed)
		return false;
	for (json_member(m, exports)) {
		size_t length = 0;
		by_path = by_path || m.key[0] == '.';
		const char *text = match(m.key, str_text(&name), &length);
		if (!text && strcmp(m.key, str_text(&name)) != 0)
			continue;
		const char *path = choose(m.value, statement, 0);
		if (path)
			want_export(node, package, path, text, length);
		return true;
	}
	if (by_path || *rest)
		return false;
	const char *path = choose(exports, statement, 0);
	if (path)
		want_export(node, package, path, NULL, 0);
	return path != NULL;
}

static void answer(const struct module_node *node, uint32_t package, const char *question,
		   const void *data, size_t size)
{
	AUTO(json) json = NULL;
	const char *rest = question + 1;
	if (json_parse(&json, data, size, 0, NULL) < 0)
		return;
	const struct json_value *root = json_root(json);
	if (want_exports(node, package, json_get(root, "exports"), rest, *question == 'i'))
		return;
	const char *main = json_string(json_get(root, "main"));
	if (*rest)
		want_path(node, package, rest + 1);
	else if (!main || !*main)
		want_index(node, package);
	else if (!want_file(node, package, main))
		want_index(node, rootfs_names_dir(node->names, package, main));
}

/* ---- files */

/* A build for other circumstances. */
static bool is_other_build(const struct module_node *node, const char *name)
{
	return strstr(name, node->production ? ".development." : ".production.") != NULL;
}

static void import(void *arg, const struct module_name *name)
{
	struct importer *by = arg;
	const char *module = name->module;
	if (by->left == 0 || is_other_build(by->node, module))
		return;
	by->left--;
	if (module[0] == '/' || strcmp(module, ".") == 0 || strcmp(module, "..") == 0 ||
	    str_starts(module, "./") || str_starts(module, "../"))
		want_path(by->node, by->dir, module);
	else if (!strchr(module, ':') && module[0] != '#' && !is_builtin(module))
		want_package(by, name);
}

/* The package.json above a file says what kind of module it is. */
static void want_scope(const struct module_node *node, uint32_t dir)
{
	while (!want(node, rootfs_names_file(node->names, dir, "package.json"))) {
		if (dir == ROOTFS_ROOT)
			return;
		dir = rootfs_names_parent(node->names, dir);
	}
}

bool module_node_is(const char *name)
{
	return str_ends(name, ".js") || str_ends(name, ".cjs") || str_ends(name, ".mjs");
}

void module_node_look(struct module_node *node, uint32_t inode, const char *question,
		      const void *data, size_t size)
{
	struct importer by = { node, rootfs_names_parent(node->names, inode), FOUND_MAX };
	const struct module_names names = { import, &by };
	if (question) {
		answer(node, by.dir, question, data, size);
		return;
	}
	want_scope(node, by.dir);
	module_names_javascript(data, size, &names);
}
