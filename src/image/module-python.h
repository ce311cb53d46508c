/*
 * Python's modules in an image: which files an import reads, found as the interpreter would find
 * them.  Over the tree alone; one thread.
 */
#pragma once

#include "image/module-wants.h"
#include "image/rootfs-names.h"

struct module_python;

/* ROOTFS, NAMES and what WANTS has are borrowed. */
struct module_python *module_python_new(const struct rootfs *rootfs,
					const struct rootfs_names *names,
					const struct module_wants *wants);
void module_python_free(struct module_python *python);
DEFINE_AUTO(module_python)

/*
 * Where modules are: DIRECTORIES (with colons between them) themselves, as PYTHONPATH says; or what
 * belongs to the interpreters in them (bin -> lib/python3.N and its packages).
 */
void module_python_path(struct module_python *python, const char *directories);
void module_python_programs(struct module_python *python, const char *directories);

/* Is it a file whose imports can be read?  By its name. */
bool module_python_is(const char *name);
/* INODE, whose bytes are DATA, is going to be loaded: want what it imports. */
void module_python_look(struct module_python *python, uint32_t inode, const void *data,
			size_t size);
/* An interpreter named so ("python3.11") starts: want what it imports by itself. */
void module_python_start(struct module_python *python, const char *name);
