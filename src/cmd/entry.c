/* How an inode is written for people and for programs; called by whatever lists an image. */
#include "cmd/entry.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "cmd/print.h"

static char type_letter(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFCHR:
		return 'c';
	case S_IFBLK:
		return 'b';
	case S_IFIFO:
		return 'p';
	default:
		return '-';
	}
}

uint32_t entry_mode_of(uint32_t mode)
{
	return S_ISLNK(mode) ? S_IFLNK | 0777u : mode;
}

struct entry_text entry_mode(uint32_t mode)
{
	mode = entry_mode_of(mode);
	static const char letters[] = "rwxrwxrwx";
	struct entry_text out = { { type_letter(mode) } };
	for (unsigned i = 0; i < 9; i++)
		out.text[i + 1] = mode & (0400u >> i) ? letters[i] : '-';
	if (mode & S_ISUID)
		out.text[3] = mode & S_IXUSR ? 's' : 'S';
	if (mode & S_ISGID)
		out.text[6] = mode & S_IXGRP ? 's' : 'S';
	if (mode & S_ISVTX)
		out.text[9] = mode & S_IXOTH ? 't' : 'T';
	out.text[10] = '\0';
	return out;
}

/* A year that no calendar holds: the seconds, as ls does. */
static struct entry_text seconds_text(int64_t seconds)
{
	struct entry_text out;
	(void)snprintf(out.text, sizeof(out.text), "%" PRId64, seconds);
	return out;
}

struct entry_text entry_time(const struct rootfs_inode *inode)
{
	struct entry_text out;
	struct tm tm;
	time_t seconds = (time_t)inode->mtime_s;
	if (!localtime_r(&seconds, &tm) ||
	    strftime(out.text, sizeof(out.text), "%Y-%m-%d %H:%M", &tm) == 0)
		return seconds_text(inode->mtime_s);
	return out;
}

struct entry_text entry_time_utc(int64_t seconds, uint32_t nanoseconds)
{
	struct entry_text out;
	struct tm tm;
	char fraction[16] = "";
	time_t t = (time_t)seconds;
	if (!gmtime_r(&t, &tm))
		return seconds_text(seconds);
	if (nanoseconds > 0)
		(void)snprintf(fraction, sizeof(fraction), ".%09u", nanoseconds);
	(void)snprintf(out.text, sizeof(out.text), "%04lld-%02d-%02dT%02d:%02d:%02d%sZ",
		       tm.tm_year + 1900LL, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		       tm.tm_sec, fraction);
	return out;
}

const char *entry_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFCHR:
		return "char";
	case S_IFBLK:
		return "block";
	case S_IFIFO:
		return "fifo";
	default:
		return "file";
	}
}

const char *entry_target(const struct rootfs *rootfs, const struct rootfs_inode *inode)
{
	return S_ISLNK(inode->mode) ? rootfs_string(rootfs, inode->a) : NULL;
}

bool entry_has_acl(const struct rootfs *rootfs, const struct rootfs_inode *inode)
{
	size_t count = rootfs_xattrs(rootfs, inode, NULL, 0);
	if (count == 0)
		return false;
	auto_free struct toc_xattr *list = mem_new(count * sizeof(*list));
	(void)rootfs_xattrs(rootfs, inode, list, count);
	for (size_t i = 0; i < count; i++) {
		if (str_starts(list[i].name, "system.posix_acl_"))
			return true;
	}
	return false;
}

void entry_json(struct str *out, const struct rootfs *rootfs, const char *path, uint32_t number)
{
	const struct rootfs_inode *inode = rootfs_inode(rootfs, number);
	print_json_name(out, "path", path);
	str_addf(out,
		 ",\"type\":\"%s\",\"mode\":\"%04o\",\"uid\":%u,\"gid\":%u,\"size\":%" PRIu64
		 ",\"mtime\":\"%s\",\"nlink\":%u,\"inode\":%u,\"layer\":%u",
		 entry_type(inode->mode), entry_mode_of(inode->mode) & 07777, inode->uid,
		 inode->gid, inode->size, entry_time_utc(inode->mtime_s, inode->mtime_ns).text,
		 inode->nlink, number, inode->layer + 1u);
	const char *target = entry_target(rootfs, inode);
	if (target) {
		str_addc(out, ',');
		print_json_name(out, "target", target);
	}
	if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode))
		str_addf(out, ",\"major\":%u,\"minor\":%u", inode->a, inode->b);
}
