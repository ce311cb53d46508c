/* What the files bundle*.c share. */
#pragma once

#include <stdbool.h>

#include "image/bundle.h"

#define HASH_FUNCTION(key, length, value) (value) = (unsigned)siphash((key), (length))
#include "base/siphash.h"

#include <uthash.h>

#define BUNDLE_BLOBS_MAX 65536
#define BUNDLE_NODES_MAX 1000

struct bundle_blob {
	struct digest digest; /* the key */
	struct descriptor d;
	struct repo *repo;		 /* borrowed: where it is read from, unless spool is */
	int spool;			 /* owned: a file with its bytes, or -1 */
	bool wanted;			 /* some document that is to be sent needs it */
	bool there;			 /* the sink has it */
	struct layer_progress *progress; /* borrowed, while it is sent */
	UT_hash_handle hh;
};

struct bundle_node {
	struct document document;
	bool there; /* the sink has it */
};

struct bundle {
	struct bundle_node *nodes; /* owned: what is listed comes before what lists it */
	size_t count, capacity;
	struct bundle_blob *blobs; /* owned */
};

/* Add or find; its repo is REPO when it is new. */
MUST_USE int bundle_add_blob(struct bundle *bundle, struct repo *repo, const struct descriptor *d,
			     struct bundle_blob **out, struct err *err);
struct bundle_blob *bundle_find_blob(struct bundle *bundle, const struct digest *digest);
/* Takes DOCUMENT over. */
void bundle_add_node(struct bundle *bundle, struct document *document);
void bundle_copy_document(struct document *out, const struct document *document);

/* Each blob that the manifest in DOCUMENT names and that is pushed: config, then layers. */
MUST_USE int bundle_each_blob(const struct document *document,
			      int (*each)(void *arg, const struct descriptor *d, struct err *err),
			      void *arg, struct err *err);

/* bundle-source.c: for struct sink_blob; ARG is the bundle_blob. */
int bundle_blob_open(void *arg, uint64_t offset, uint64_t length, unsigned flags,
		     struct stream **out, struct err *err);

/* bundle-edit.c: a descriptor took the place of another. */
struct bundle_change {
	struct digest from;
	struct descriptor to; /* owned: type, digest and size */
};

struct bundle_edit {
	const struct bundle_change *changes; /* borrowed */
	size_t count;
	bool to_oci;		 /* Docker's types become OCI's */
	const char *annotations; /* borrowed: a JSON object to be merged in, or NULL */
};
/* The type in OCI's words; borrowed. */
const char *bundle_oci_type(const char *type);
/* DOCUMENT as EDIT wants it; a document that EDIT does not touch keeps its bytes. */
MUST_USE int bundle_edit_document(struct document *document, const struct bundle_edit *edit,
				  struct err *err);
