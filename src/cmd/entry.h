/*
 * One entry of an image as ls, tree, find and stat show it: the columns of ls -l, and the JSON
 * object that docs/look.md describes.
 */
#pragma once

#include "base/str.h"
#include "image/rootfs.h"

struct entry_text {
	char text[64];
};
/* The mode as lstat(2) has it of what an unpack makes: Linux keeps none of symbolic links. */
uint32_t entry_mode_of(uint32_t mode);
/* "-rwsr-xr-t" of such a mode */
struct entry_text entry_mode(uint32_t mode);
/* "2023-11-14 22:13" in the local time zone ($TZ), as ls --time-style=long-iso. */
struct entry_text entry_time(const struct rootfs_inode *inode);
/* "2023-11-14T22:13:20Z", with nanoseconds where they are not zero; UTC. */
struct entry_text entry_time_utc(int64_t seconds, uint32_t nanoseconds);
/* "file", "directory", "symlink", "char", "block", "fifo" */
const char *entry_type(uint32_t mode);
/* The target of a symbolic link; NULL for what is none. */
const char *entry_target(const struct rootfs *rootfs, const struct rootfs_inode *inode);
/* Is there an access control list? */
bool entry_has_acl(const struct rootfs *rootfs, const struct rootfs_inode *inode);

#define ENTRY_JSON_MAX_BYTES (16u * 1024 * 1024)
/* The members of the object, without its braces. */
void entry_json(struct str *out, const struct rootfs *rootfs, const char *path, uint32_t number);
