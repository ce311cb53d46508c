/*
 * The import system's search, in short (importlib's path finder): a package is a directory with an
 * __init__, a module is an extension, else source, of which what counts is the compiled file in
 * __pycache__; directories of sys.path one after the other.  sys.path is guessed: the directory
 * above the topmost package of a file that is loaded, and what the interpreters of the image have.
 */
#include "image/module-python.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "image/module-names.h"

#define ROOTS_MAX 48u
#define DEPTH_MAX 32u
#define DIRECTORY_MAX 4096u
#define PATH_BYTES 4096u
#define FOUND_MAX 4096u /* names of one file */
#define FROZEN_SINCE 311u

/* A directory of sys.path, of interpreters of one version (311) or of all (0). */
struct root {
	uint32_t dir;
	unsigned version;
	bool library; /* the interpreter's own modules */
};

struct module_python {
	const struct rootfs *rootfs;	  /* borrowed */
	const struct rootfs_names *names; /* borrowed */
	struct module_wants wants;
	struct root roots[ROOTS_MAX];
	size_t root_count;
	unsigned version; /* of the last compiled file that was looked into */
};

/* Where a part of a dotted name is: a file, a directory for what is below it, or both. */
struct found {
	uint32_t file, dir;
};

/* The file being looked into. */
struct importer {
	struct module_python *python;
	uint32_t dir; /* that its siblings are in */
	unsigned version, left;
	/* the module that was looked for last: one call a name comes for each "from" */
	char last[MODULE_NAME_MAX_BYTES];
	unsigned last_level;
	struct found last_found;
};

struct module_python *module_python_new(const struct rootfs *rootfs,
					const struct rootfs_names *names,
					const struct module_wants *wants)
{
	return mem_make(struct module_python, .rootfs = rootfs, .names = names, .wants = *wants);
}

void module_python_free(struct module_python *python)
{
	free(python);
}

/* ---- one directory */

/* "3.11" -> 311; 0 for anything else. */
static unsigned parse_version(const char *text)
{
	char *end = NULL;
	if (text[0] != '3' || text[1] != '.' || text[2] < '0' || text[2] > '9')
		return 0;
	unsigned long minor = strtoul(text + 2, &end, 10);
	return *end == '\0' && minor < 100 ? 300 + (unsigned)minor : 0;
}

/* "x.cpython-311.pyc" -> 311; 0: it has none. */
static unsigned tag_of(const char *name)
{
	const char *tag = strstr(name, ".cpython-3");
	unsigned long minor = tag ? strtoul(tag + strlen(".cpython-3"), NULL, 10) : 0;
	return minor > 0 && minor < 100 ? 300 + (unsigned)minor : 0;
}

/* A file of DIR that is named PREFIX...SUFFIX, the one of that version if there is one. */
static uint32_t tagged(const struct module_python *py, uint32_t dir, const char *prefix,
		       const char *suffix, unsigned version)
{
	const struct rootfs_inode *at = rootfs_inode(py->rootfs, dir);
	uint32_t found = ROOTFS_NONE;
	for (uint32_t i = rootfs_names_from(py->names, dir, prefix); i < at->b; i++) {
		const struct rootfs_child *child = rootfs_child(py->rootfs, at, i);
		const char *name = rootfs_string(py->rootfs, child->name);
		if (!str_starts(name, prefix))
			break;
		if (!str_ends(name, suffix) || strstr(name, ".opt-"))
			continue;
		if (version && tag_of(name) == version)
			return child->inode;
		found = version && tag_of(name) ? found : child->inode;
	}
	return found;
}

static uint32_t file_in(const struct module_python *py, uint32_t dir, const char *name,
			const char *suffix)
{
	auto_str path = STR_MAX(PATH_BYTES);
	str_addf(&path, "%s%s", name, suffix);
	return path.failed ? ROOTFS_NONE : rootfs_names_file(py->names, dir, str_text(&path));
}

/* Module NAME of DIR as Python code: compiled if it is, else source. */
static uint32_t find_code(const struct module_python *py, uint32_t dir, const char *name,
			  unsigned version)
{
	auto_str prefix = STR_MAX(PATH_BYTES);
	str_addf(&prefix, "%s.cpython-", name);
	uint32_t cache = rootfs_names_dir(py->names, dir, "__pycache__");
	uint32_t found = cache && !prefix.failed
				 ? tagged(py, cache, str_text(&prefix), ".pyc", version)
				 : ROOTFS_NONE;
	found = found ? found : file_in(py, dir, name, ".py");
	return found ? found : file_in(py, dir, name, ".pyc");
}

static uint32_t find_extension(const struct module_python *py, uint32_t dir, const char *name,
			       unsigned version)
{
	auto_str prefix = STR_MAX(PATH_BYTES);
	str_addf(&prefix, "%s.cpython-", name);
	uint32_t found = prefix.failed ? ROOTFS_NONE
				       : tagged(py, dir, str_text(&prefix), ".so", version);
	found = found ? found : file_in(py, dir, name, ".abi3.so");
	return found ? found : file_in(py, dir, name, ".so");
}

static bool has_prefix(const struct module_python *py, uint32_t dir, const char *prefix)
{
	const struct rootfs_inode *at = rootfs_inode(py->rootfs, dir);
	uint32_t i = dir ? rootfs_names_from(py->names, dir, prefix) : 0;
	return dir && i < at->b &&
	       str_starts(rootfs_string(py->rootfs, rootfs_child(py->rootfs, at, i)->name), prefix);
}

static struct found find_in(const struct module_python *py, uint32_t dir, const char *name,
			    unsigned version)
{
	/* most names are no modules: that is soon known */
	if (!has_prefix(py, dir, name) &&
	    !has_prefix(py, rootfs_names_dir(py->names, dir, "__pycache__"), name))
		return (struct found){ 0 };
	struct found found = { .dir = rootfs_names_dir(py->names, dir, name) };
	if (found.dir)
		found.file = find_code(py, found.dir, "__init__", version);
	if (found.file)
		return found;
	found.file = find_extension(py, dir, name, version);
	if (!found.file)
		found.file = find_code(py, dir, name, version);
	if (found.file)
		found.dir = ROOTFS_NONE;
	return found;
}

/* ---- sys.path */

static void add_root(struct module_python *py, uint32_t dir, unsigned version, bool library,
		     bool front)
{
	for (size_t i = 0; i < py->root_count; i++)
		if (py->roots[i].dir == dir)
			return;
	if (!dir || py->root_count == ROOTS_MAX)
		return;
	size_t at = front ? 0 : py->root_count;
	memmove(&py->roots[at + 1], &py->roots[at], (py->root_count - at) * sizeof(*py->roots));
	py->roots[at] = (struct root){ dir, version, library };
	py->root_count++;
}

/* LIB/python3.N, or LIB/python3, where Debian's packages for all versions are. */
static void add_library(struct module_python *py, uint32_t dir, const char *version_text)
{
	static const char *const packages[] = { "lib-dynload", "site-packages", "dist-packages" };
	unsigned version = parse_version(version_text);
	if (rootfs_names_file(py->names, dir, "os.py"))
		add_root(py, dir, version, true, false);
	for (size_t i = 0; i < N_ELEMENTS(packages); i++)
		add_root(py, rootfs_names_dir(py->names, dir, packages[i]), version, false, false);
}

static void add_libraries(struct module_python *py, uint32_t lib)
{
	static const char prefix[] = "python3";
	const struct rootfs_inode *dir = rootfs_inode(py->rootfs, lib);
	for (uint32_t i = rootfs_names_from(py->names, lib, prefix); i < dir->b; i++) {
		const char *name = rootfs_string(py->rootfs,
						 rootfs_child(py->rootfs, dir, i)->name);
		if (!str_starts(name, prefix))
			break;
		uint32_t found = rootfs_names_dir(py->names, lib, name);
		if (found)
			add_library(py, found, name + strlen(prefix) - 1);
	}
}

/* Call EACH with the directories between the colons. */
static void split(struct module_python *py, const char *directories,
		  void (*each)(struct module_python *py, const char *directory))
{
	while (*directories) {
		size_t length = strcspn(directories, ":");
		auto_str path = STR_MAX(PATH_BYTES);
		str_addn(&path, directories, length);
		if (!path.failed && length > 0)
			each(py, str_text(&path));
		directories += length + (directories[length] == ':');
	}
}

static void add_path(struct module_python *py, const char *directory)
{
	add_root(py, rootfs_names_dir(py->names, ROOTFS_ROOT, directory), 0, false, false);
}

static void add_programs(struct module_python *py, const char *directory)
{
	uint32_t bin = rootfs_names_dir(py->names, ROOTFS_ROOT, directory);
	uint32_t lib = bin ? rootfs_names_dir(py->names, bin, "../lib") : ROOTFS_NONE;
	if (lib)
		add_libraries(py, lib);
}

void module_python_path(struct module_python *py, const char *directories)
{
	split(py, directories, add_path);
}

void module_python_programs(struct module_python *py, const char *directories)
{
	split(py, directories, add_programs);
}

/* ---- importing */

/* Is NAME, up to its first dot, in the list? */
static bool is_one_of(const char *name, const char *const *list, size_t count)
{
	size_t length = strcspn(name, ".");
	for (size_t i = 0; i < count; i++)
		if (strlen(list[i]) == length && memcmp(list[i], name, length) == 0)
			return true;
	return false;
}

/* Is DIR the library of an interpreter that has some of it inside? */
static bool is_partly_frozen(const struct module_python *py, uint32_t dir)
{
	for (size_t i = 0; i < py->root_count; i++)
		if (py->roots[i].dir == dir)
			return py->roots[i].library && py->roots[i].version >= FROZEN_SINCE;
	return false;
}

/* Modules that 3.11 and later have inside the interpreter. */
static bool is_frozen(const struct module_python *py, uint32_t inode)
{
	static const char *const modules[] = {
		"_collections_abc",
		"_sitebuiltins",
		"abc",
		"codecs",
		"genericpath",
		"io",
		"ntpath",
		"os",
		"posixpath",
		"runpy",
		"site",
		"stat",
		"zipimport",
	};
	static const char *const below_importlib[] = { "_bootstrap", "_bootstrap_external",
						       "machinery", "util" };
	const char *name = rootfs_names_name(py->names, inode);
	uint32_t dir = rootfs_names_parent(py->names, inode);
	if (strcmp(rootfs_names_name(py->names, dir), "__pycache__") == 0)
		dir = rootfs_names_parent(py->names, dir);
	if (is_partly_frozen(py, dir))
		return is_one_of(name, modules, N_ELEMENTS(modules));
	return strcmp(rootfs_names_name(py->names, dir), "importlib") == 0 &&
	       is_partly_frozen(py, rootfs_names_parent(py->names, dir)) &&
	       is_one_of(name, below_importlib, N_ELEMENTS(below_importlib));
}

static void want(const struct module_python *py, uint32_t inode)
{
	const struct rootfs_inode *file = rootfs_inode(py->rootfs, inode);
	if (file && S_ISREG(file->mode) && !is_frozen(py, inode))
		py->wants.want(py->wants.arg, inode);
}

/* Want all of MODULE ("a.b.c", perhaps "") below DIR; what its last part is. */
static struct found want_below(const struct importer *by, uint32_t dir, const char *module)
{
	struct found found = { .dir = dir };
	while (*module) {
		size_t length = strcspn(module, ".");
		char name[MODULE_NAME_MAX_BYTES];
		if (length == 0 || length >= sizeof(name) || !found.dir)
			return (struct found){ 0 };
		memcpy(name, module, length);
		name[length] = '\0';
		found = find_in(by->python, found.dir, name, by->version);
		want(by->python, found.file);
		module += length + (module[length] == '.');
	}
	return found;
}

static bool has_first(const struct importer *by, const struct root *root, const char *module,
		      bool *namespace)
{
	char name[MODULE_NAME_MAX_BYTES];
	size_t length = strcspn(module, ".");
	if ((root->version && by->version && root->version != by->version) ||
	    length >= sizeof(name))
		return false;
	memcpy(name, module, length);
	name[length] = '\0';
	struct found found = find_in(by->python, root->dir, name, by->version);
	*namespace = !found.file && found.dir;
	return found.file != ROOTFS_NONE || *namespace;
}

/* The directory of sys.path that has MODULE, or NULL. */
static const struct root *find_root(const struct importer *by, const char *module)
{
	const struct module_python *py = by->python;
	const struct root *second = NULL; /* without an __init__: only when nobody has one */
	for (size_t i = 0; i < py->root_count; i++) {
		bool namespace = false;
		const struct root *root = &py->roots[i];
		if (!has_first(by, root, module, &namespace))
			continue;
		if (!namespace)
			return root;
		second = second ? second : root;
	}
	return second;
}

/* Want the module NAME is from. */
static struct found import_module(const struct importer *by, const struct module_name *name)
{
	uint32_t dir = by->dir;
	if (name->level == 0) {
		const struct root *root = find_root(by, name->module);
		if (!root)
			return (struct found){ 0 };
		dir = root->dir;
	}
	for (unsigned i = 1; i < name->level; i++)
		dir = rootfs_inode(by->python->rootfs, dir)->parent;
	return want_below(by, dir, name->module);
}

static void import(struct importer *by, const struct module_name *name)
{
	const struct module_python *py = by->python;
	if (by->left == 0 || name->level > DEPTH_MAX ||
	    strlen(name->module) >= MODULE_NAME_MAX_BYTES)
		return;
	by->left--;
	if (!name->name || name->level != by->last_level || strcmp(name->module, by->last) != 0) {
		by->last_found = import_module(by, name);
		by->last_level = name->level;
		memcpy(by->last, name->module, strlen(name->module) + 1);
	}
	if (name->name && by->last_found.dir)
		want(py, find_in(py, by->last_found.dir, name->name, by->version).file);
}

static void import_found(void *arg, const struct module_name *name)
{
	import(arg, name);
}

static bool is_package(const struct module_python *py, uint32_t dir)
{
	return rootfs_names_file(py->names, dir, "__init__.py") ||
	       find_code(py, dir, "__init__", 0);
}

/* The directory above the topmost package that DIR is in. */
static uint32_t top_of(const struct module_python *py, uint32_t dir)
{
	while (dir != ROOTFS_ROOT && is_package(py, dir))
		dir = rootfs_inode(py->rootfs, dir)->parent;
	return dir;
}

bool module_python_is(const char *name)
{
	return str_ends(name, ".pyc") || str_ends(name, ".py");
}

void module_python_look(struct module_python *py, uint32_t inode, const void *data, size_t size)
{
	const char *name = rootfs_names_name(py->names, inode);
	struct importer by = { .python = py,
			       .dir = rootfs_names_parent(py->names, inode),
			       .version = tag_of(name),
			       .left = FOUND_MAX };
	const struct module_names names = { import_found, &by };
	if (strcmp(rootfs_names_name(py->names, by.dir), "__pycache__") == 0)
		by.dir = rootfs_inode(py->rootfs, by.dir)->parent;
	py->version = by.version ? by.version : py->version;
	by.version = py->version;
	add_root(py, top_of(py, by.dir), 0, false, true);
	if (!module_names_pyc(data, size, &names) && !str_ends(name, ".pyc"))
		module_names_python(data, size, &names);
}

/* The .pth files of a directory. */
static void want_path_files(const struct module_python *py, const struct root *root)
{
	const struct rootfs_inode *dir = rootfs_inode(py->rootfs, root->dir);
	if (root->library || (root->version && py->version && root->version != py->version))
		return;
	for (uint32_t i = 0; i < dir->b && i < DIRECTORY_MAX; i++) {
		const struct rootfs_child *child = rootfs_child(py->rootfs, dir, i);
		if (str_ends(rootfs_string(py->rootfs, child->name), ".pth"))
			want(py, child->inode);
	}
}

void module_python_start(struct module_python *py, const char *name)
{
	/* the last but one is what a frozen module imports, the last what setuptools' .pth does */
	static const char *const modules[] = { "encodings.aliases", "encodings.utf_8",
					       "sitecustomize", "importlib._abc",
					       "_distutils_hack" };
	unsigned version = strlen(name) > 6 ? parse_version(name + 6) : 0;
	struct importer by = { .python = py, .left = FOUND_MAX };
	py->version = version ? version : py->version;
	by.version = py->version;
	for (size_t i = 0; i < N_ELEMENTS(modules); i++)
		import(&by, &(struct module_name){ .module = modules[i] });
	for (size_t i = 0; i < py->root_count; i++)
		want_path_files(py, &py->roots[i]);
}
