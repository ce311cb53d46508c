/*
 * Where the inodes of a rootfs are: the tree knows its directories' parents, this the files' too.
 * Made once, four bytes an inode; immutable, any thread.
 */
#pragma once

#include "base/str.h"
#include "image/rootfs.h"

struct rootfs_names;
/* ROOTFS (borrowed) must outlive it; NULL when memory is gone. */
struct rootfs_names *rootfs_names_new(const struct rootfs *rootfs);
void rootfs_names_free(struct rootfs_names *names);
DEFINE_AUTO(rootfs_names)

/* A directory that has INODE; the root's is itself; of several (hard links) the first. */
uint32_t rootfs_names_parent(const struct rootfs_names *names, uint32_t inode);
/* Its name there, borrowed from the rootfs; the root's is "". */
const char *rootfs_names_name(const struct rootfs_names *names, uint32_t inode);
/* "/usr/bin/env"; the root's is "". */
void rootfs_names_path(const struct rootfs_names *names, uint32_t inode, struct str *out);
/*
 * What PATH names, looked at from directory DIR ("/x" from the root); links are followed inside the
 * image.  ROOTFS_NONE when there is nothing, or DIR is ROOTFS_NONE.
 */
uint32_t rootfs_names_walk(const struct rootfs_names *names, uint32_t dir, const char *path);
/* The same, when it is a directory, or a regular file; else ROOTFS_NONE. */
uint32_t rootfs_names_dir(const struct rootfs_names *names, uint32_t dir, const char *path);
uint32_t rootfs_names_file(const struct rootfs_names *names, uint32_t dir, const char *path);
/* The index of the first child of DIR whose name is not less than NAME. */
uint32_t rootfs_names_from(const struct rootfs_names *names, uint32_t dir, const char *name);
