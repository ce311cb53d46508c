/*
 * Where the asking thread runs is field 39 of its stat file.  To read that costs as much as a few
 * requests, so it is looked at rarely; what is bound wrongly meanwhile is only slower.
 *
 * Where cores are idle the scheduler wakes the other one elsewhere although we came to it: then we
 * would go after each other for ever.  So each time it has gone we wait twice as long.
 */
#include "fuse/near.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define LOOK_EACH 32u
#define ROW_MAX 64u
#define STAT_MAX_BYTES 1024
#define FIELD_CORE 39
#define FIELD_BEHIND_NAME 3 /* the name may have spaces and brackets, what follows has none */

static int core_of(pid_t thread)
{
	char path[64], text[STAT_MAX_BYTES];
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)thread);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	const char *at = strrchr(text, ')');
	for (int field = FIELD_BEHIND_NAME - 1; at && field < FIELD_CORE; field++)
		at = strchr(at + 1, ' ');
	return at ? (int)strtol(at, NULL, 10) : -1;
}

static void bind_to(struct near *near, int core)
{
	if (near->bound == core)
		return;
	cpu_set_t one = near->all;
	if (core >= 0) {
		CPU_ZERO(&one);
		CPU_SET((size_t)core, &one);
	}
	near->bound = sched_setaffinity(0, sizeof(one), &one) == 0 ? core : -1;
}

void near_init(struct near *near, const cpu_set_t *all)
{
	*near = (struct near){ .all = *all, .seen = -1, .bound = -1, .wanted = 1 };
}

/* Who asks was seen on CORE, or nobody knows where (-1). */
static void see(struct near *near, int core)
{
	near->row = core == near->seen ? near->row + 1 : 0;
	near->seen = core;
	if (near->bound >= 0 && near->bound == core) {
		near->wanted = 1;
		return;
	}
	if (near->bound >= 0) {
		bind_to(near, -1);
		near->wanted = near->wanted < ROW_MAX / 2 ? 2 * near->wanted : ROW_MAX;
	} else if (core >= 0 && near->row >= near->wanted) {
		bind_to(near, core);
	}
}

void near_request(struct near *near, pid_t asker, bool bulky)
{
	if (bulky) {
		near->seen = -1;
		bind_to(near, -1);
		return;
	}
	if (++near->count < LOOK_EACH || asker <= 0)
		return;
	near->count = 0;
	int core = core_of(asker);
	bool ours = core >= 0 && core < CPU_SETSIZE && CPU_ISSET((size_t)core, &near->all);
	see(near, ours ? core : -1);
}
