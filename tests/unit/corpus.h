/* Running something over the files of tests/fuzz/corpus/NAME. */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"

/* The number of files; aborts when one cannot be read. */
static inline size_t corpus_each(const char *corpus,
				 int (*each)(const char *name, const void *data, size_t size,
					     void *arg),
				 void *arg)
{
	size_t count = 0;
	auto_str path = STR_MAX(4096);
	const char *source = getenv("ROOTLET_SOURCE_DIR");
	str_addf(&path, "%s/tests/fuzz/corpus/%s", source ? source : ".", corpus);
	DIR *dir = opendir(str_text(&path));
	for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
		auto_free char *data = NULL;
		size_t size = 0;
		if (e->d_name[0] == '.')
			continue;
		if (io_read_file(dirfd(dir), e->d_name, 64u << 20, &data, &size, NULL) < 0)
			abort();
		(void)each(e->d_name, data, size, arg);
		count++;
	}
	if (dir)
		closedir(dir);
	return count;
}
