/* What the finders of modules (module-python.h, module-node.h) ask of who loads files for them. */
#pragma once

#include <stdint.h>

struct module_wants {
	/* This file will be read soon; may be called again for the same. */
	void (*want)(void *arg, uint32_t inode);
	/* The same, and it is to be looked into with QUESTION (borrowed, a string). */
	void (*ask)(void *arg, uint32_t inode, const char *question);
	void *arg;
};
