/*
 * manifest.json of a docker-save archive: the images in it, as member names.
 *
 *	[{ "Config": "HEX.json", "RepoTags": ["busybox:latest"], "Layers": ["ID/layer.tar", ...] }]
 *
 * moby image/tarexport; podman, skopeo and go-containerregistry write the same.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

struct docker_names {
	char **items; /* owned */
	size_t count;
};

struct docker_image {
	char *config;		    /* owned: member name */
	struct docker_names tags;   /* as written, may be none */
	struct docker_names layers; /* member names, bottom first */
};

struct docker_save {
	struct docker_image *images; /* owned */
	size_t count;
};

/* -EBADMSG what does not read as above; -E2BIG. */
MUST_USE int docker_save_parse(struct docker_save *out, const void *bytes, size_t size,
			       struct err *err);
void docker_save_release(struct docker_save *save);
#define auto_docker_save __attribute__((cleanup(docker_save_release))) struct docker_save

/*
 * The image called NAME ("busybox", "docker.io/library/busybox:latest" are the same), or the only
 * one when NAME is NULL.  -ENOENT none of that name, -EINVAL several to choose from: both list
 * them.
 */
MUST_USE int docker_save_choose(const struct docker_image **out, const struct docker_save *save,
				const char *name, struct err *err);
