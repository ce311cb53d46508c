/* The operations of the file system. */
#define FUSE_USE_VERSION 314
#include "fuse/fs.h"

#include <fuse_lowlevel.h>

const struct fuse_lowlevel_ops *fs_ops(void)
{
	static const struct fuse_lowlevel_ops ops = { 0 };
	return &ops;
}
