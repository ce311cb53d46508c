/*
 * Modules of interpreters that will be read, told from the files that import them (module-python.h,
 * module-node.h) and fetched ahead: the whole closure in as many round trips as it is deep.  Part
 * of lazy-ahead.c, which owns it.
 */
#pragma once

#include <stdint.h>

struct lazy;
struct lazy_modules;

/* Starts a thread; LAZY is borrowed.  NULL when it cannot. */
struct lazy_modules *lazy_modules_new(struct lazy *lazy);
/* INODE is read, or will be.  Any thread; NULL does nothing, here and below. */
void lazy_modules_enter(struct lazy_modules *modules, uint32_t inode);
void lazy_modules_stop(struct lazy_modules *modules); /* it begins nothing more */
void lazy_modules_join(struct lazy_modules *modules);
void lazy_modules_free(struct lazy_modules *modules); /* after the fetcher: reads may go on */
