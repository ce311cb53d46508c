/* Runs a fuzz target over the files of a directory: the corpus as an ordinary test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
	int count = 0;
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
		if (e->d_name[0] == '.')
			continue;
		auto_free char *data = NULL;
		size_t size = 0;
		struct err err = { 0 };
		if (io_read_file(dirfd(dir), e->d_name, 64u << 20, &data, &size, &err) < 0) {
			fprintf(stderr, "%s: %s\n", e->d_name, err_text(&err));
			return 1;
		}
		/* an exact copy, so that a sanitizer sees a read behind the end */
		auto_free uint8_t *copy = malloc(size ? size : 1);
		memcpy(copy, data, size);
		(void)LLVMFuzzerTestOneInput(copy, size);
		count++;
	}
	if (dir)
		closedir(dir);
	if (count == 0)
		fprintf(stderr, "no corpus in %s\n", argc == 2 ? argv[1] : "(no directory given)");
	return count == 0;
}
