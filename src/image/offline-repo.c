/* A repo whose every answer is "away"; lazy-open.c puts it where the network may not be asked. */
#include "image/offline-repo.h"

#include <errno.h>
#include <stdlib.h>

static int away(const struct repo *repo, struct err *err)
{
	return err_set(err, EAGAIN, "'%s' is not asked", repo->name);
}

static int offline_resolve(struct repo *repo, const struct ref *ref, struct document *out,
			   struct err *err)
{
	(void)ref;
	(void)out;
	return away(repo, err);
}

static int offline_head(struct repo *repo, const struct ref *ref, struct descriptor *out,
			struct err *err)
{
	(void)ref;
	(void)out;
	return away(repo, err);
}

static int offline_manifest(struct repo *repo, const struct descriptor *d, struct document *out,
			    struct err *err)
{
	(void)d;
	(void)out;
	return away(repo, err);
}

static int offline_blob(struct repo *repo, const struct descriptor *d, unsigned flags,
			struct stream **out, struct err *err)
{
	(void)d;
	(void)flags;
	(void)out;
	return away(repo, err);
}

static int offline_range(struct repo *repo, const struct descriptor *d, uint64_t offset,
			 uint64_t length, unsigned flags, struct stream **out, struct err *err)
{
	(void)d;
	(void)offset;
	(void)length;
	(void)flags;
	(void)out;
	return away(repo, err);
}

static int offline_tags(struct repo *repo, struct tags *out, struct err *err)
{
	(void)out;
	return away(repo, err);
}

static void offline_free(struct repo *repo)
{
	free(repo->name);
	free(repo);
}

struct repo *offline_repo_new(const struct ref *ref)
{
	static const struct repo_ops ops = {
		.resolve = offline_resolve,
		.head = offline_head,
		.manifest = offline_manifest,
		.blob = offline_blob,
		.range = offline_range,
		.free = offline_free,
		.tags = offline_tags,
	};
	return mem_make(struct repo, &ops, ref_text(ref));
}
