/* What stage.c and stage-commit.c share. */
#pragma once

#include <pthread.h>
#include <uthash.h>

#include "image/stage.h"

#define STAGE_COMMIT_SUFFIX ".commit"

struct stage_dir {
	char *path; /* owned, the key */
	uint32_t number;
	UT_hash_handle hh;
};

struct stage {
	int destfd;			     /* borrowed */
	char name[sizeof(STAGE_PREFIX) + 8]; /* of the private directory; "" when there is none */
	/* the list of moved names when it lies beside the private directory; "" until then */
	char commit[sizeof(STAGE_PREFIX) + 8 + sizeof(STAGE_COMMIT_SUFFIX)];
	int privatefd, rootfd, sparefd, commitfd; /* owned */
	pthread_mutex_t mutex;			  /* guards all below */
	struct stage_dir *by_path;		  /* owned */
	struct stage_dir **dirs;		  /* owned array; by number */
	size_t dir_count, dir_capacity;
	struct stage_content *contents; /* owned */
	size_t content_count, content_capacity;
	char *strings; /* owned */
	size_t strings_used, strings_room;
};

/* The number of a directory, made when new.  Call with the mutex held. */
uint32_t stage_dir_number(struct stage *stage, const char *path);

/* Remove what killed runs left in DESTFD; -EINVAL when there is anything else. */
MUST_USE int stage_clear_leftovers(int destfd, struct err *err);
