/*
 * Which modules a file imports when it is loaded: read from the file alone, so that they can be
 * fetched before the interpreter asks.  Pure, over bytes of an image, of which nothing is believed.
 *
 * Only what is imported for certain: at the top of the file, also in the body of a "try", but not
 * in functions, nor where a condition jumps over it.  (Of JavaScript: anywhere, for there modules
 * are as often loaded in a block as not.)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define MODULE_NAME_MAX_BYTES 256u

struct module_name {
	const char *module; /* "a.b", may be "" when LEVEL > 0; JavaScript: "./x", "express" */
	const char *name;   /* Python: "from module import name", may be a module; or NULL */
	unsigned level;	    /* Python: dots in front: 0 is absolute, 1 the same package */
	bool statement;	    /* JavaScript: "import", not require() */
};

/* Called for each; the strings go with the call. */
struct module_names {
	void (*found)(void *arg, const struct module_name *name);
	void *arg;
};

/* A .pyc of CPython 3.8 to 3.13; false when it is none of these. */
bool module_names_pyc(const void *data, size_t size, const struct module_names *names);
/* Python source. */
void module_names_python(const char *text, size_t size, const struct module_names *names);
/* JavaScript source, of either kind of module. */
void module_names_javascript(const char *text, size_t size, const struct module_names *names);
