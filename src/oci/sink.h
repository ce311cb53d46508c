/*
 * A place that images are written to: a registry repository, an OCI layout, an archive.  The other
 * side of oci/repo.h, as small.  Blobs come first, in any order and from several threads at once;
 * then documents, from one thread, those listed before those that list them; then finish.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/stream.h"
#include "oci/manifest.h"
#include "oci/ref.h"
#include "oci/repo.h"
#include "oci/tags.h"

struct sink;

/* A blob to be written.  All borrowed. */
struct sink_blob {
	const struct descriptor *d; /* digest and size are known */
	/* [OFFSET, OFFSET+LENGTH) of it, never empty; FLAGS are enum repo_blob_flags. */
	int (*open)(void *arg, uint64_t offset, uint64_t length, unsigned flags,
		    struct stream **out, struct err *err);
	void *arg;
	_Atomic uint64_t *sent;	   /* or NULL: bytes that have gone out */
	const atomic_bool *cancel; /* or NULL: true ends it with -ECANCELED at the next piece */
	const atomic_bool *stop;   /* the same, for a sibling's failure */
	const char *mount_from;	   /* or NULL: a repository of the same registry that has it */
};

enum sink_outcome {
	SINK_SENT,
	SINK_THERE,   /* somebody was faster */
	SINK_MOUNTED, /* the registry had it in another repository */
};

struct sink_ops {
	int (*has_blob)(struct sink *, const struct descriptor *, bool *, struct err *);
	int (*put_blob)(struct sink *, const struct sink_blob *, enum sink_outcome *, struct err *);
	int (*has_document)(struct sink *, const struct digest *, bool *, struct err *);
	int (*put_document)(struct sink *, const struct document *, const char *, struct err *);
	/* Optional: a sink without it has no tags that could be asked for. */
	int (*tagged)(struct sink *, const char *, struct digest *, struct err *);
	int (*tags)(struct sink *, struct tags *, struct err *);
	/* Optional. */
	int (*finish)(struct sink *, struct err *);
	struct repo_counts (*counts)(struct sink *);
	void (*free)(struct sink *);
};

struct sink {
	const struct sink_ops *ops; /* borrowed, static */
	char *name;		    /* owned: for messages */
	unsigned jobs;		    /* blobs that may be written at once */
};

/* Is the blob there, whole?  When in doubt, no. */
MUST_USE int sink_has_blob(struct sink *sink, const struct descriptor *d, bool *there,
			   struct err *err);
/*
 * Write a blob: retried, resumed where the other side can.  What was written has the digest, or it
 * fails with -EBADMSG and nothing is left.  -EACCES, -EAGAIN .. as oci/repo.h.
 */
MUST_USE int sink_put_blob(struct sink *sink, const struct sink_blob *blob,
			   enum sink_outcome *outcome, struct err *err);
/* A manifest or index of that digest is there, so all that it needs is, too. */
MUST_USE int sink_has_document(struct sink *sink, const struct digest *digest, bool *there,
			       struct err *err);
/*
 * Write a document; its bytes are its descriptor's.  TAG NULL: another document lists it; "": it is
 * the image, without a name; else it is the image and called so.
 */
MUST_USE int sink_put_document(struct sink *sink, const struct document *document, const char *tag,
			       struct err *err);
/* What TAG names now; DIGEST_NONE: nothing, or nobody can tell. */
MUST_USE int sink_tagged(struct sink *sink, const char *tag, struct digest *out, struct err *err);
/* All tags there are; none when the place is new. */
MUST_USE int sink_list_tags(struct sink *sink, struct tags *out, struct err *err);
/* Everything was written; without it a file does not appear. */
MUST_USE int sink_finish(struct sink *sink, struct err *err);
void sink_counts(struct sink *sink, struct repo_counts *out);
void sink_free(struct sink *sink);
DEFINE_AUTO(sink)

struct sink_options {
	struct repo_options repo;
	const char *mount_from; /* borrowed or NULL: a repository that blobs may be mounted from */
};

/*
 * The kind of sink that REF names; nothing is asked of the network yet.  A layout's directory is
 * made, an archive must not exist (-EINVAL).
 */
MUST_USE int sink_open(struct sink **out, const struct ref *ref, const struct sink_options *options,
		       struct err *err);

/* The implementations, for sink_open and tests. */
MUST_USE int registry_sink_open(struct sink **out, const struct ref *ref,
				const struct sink_options *options, struct err *err);
MUST_USE int layout_sink_open(struct sink **out, const struct ref *ref, struct err *err);
/* REF's kind decides whether manifest.json is in it, for docker load. */
MUST_USE int archive_sink_open(struct sink **out, const struct ref *ref, struct err *err);

/* Helpers of the implementations. */
bool sink_blob_canceled(const struct sink_blob *blob);
struct hasher;
/*
 * The whole of BLOB piece by piece, counted, verified and asked for once more when its bytes were
 * bad; RESTART forgets what PUT took.
 */
MUST_USE int sink_pour(const struct sink_blob *blob,
		       int (*put)(void *arg, const void *data, size_t size, struct err *err),
		       int (*restart)(void *arg, struct err *err), void *arg, struct err *err);
/* INDEX (bytes or NULL) with an entry for DOCUMENT called TAG, instead of the one called so. */
MUST_USE int sink_index_with(struct str *out, const char *index, size_t size,
			     const struct document *document, const char *tag, struct err *err);
