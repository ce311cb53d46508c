/*
 * A place that holds images: a registry repository, an OCI layout, an archive.  One small vtable,
 * so that what stands above does not know which.  The struct is the first member of each
 * implementation. All calls block and may be made from several threads at once.
 */
#pragma once

#include "base/err.h"
#include "base/input.h"
#include "base/stream.h"
#include "oci/manifest.h"
#include "oci/ref.h"
#include "oci/tags.h"

struct repo;

/* What a repo has cost the network so far; all zero for one on disk. */
struct repo_counts {
	uint64_t requests; /* sent, or tried to: also for tokens and to where redirects led */
	uint64_t retries;  /* tries after a failed one */
	uint64_t bytes;	   /* of bodies, also those that were of no use */
};

enum repo_blob_flags {
	REPO_BLOB_FRESH =
		1u << 0, /* the last bytes were bad: do not reuse a redirect or a connection */
};

struct repo_ops {
	int (*resolve)(struct repo *, const struct ref *, struct document *, struct err *);
	int (*head)(struct repo *, const struct ref *, struct descriptor *, struct err *);
	int (*manifest)(struct repo *, const struct descriptor *, struct document *, struct err *);
	int (*blob)(struct repo *, const struct descriptor *, unsigned, struct stream **,
		    struct err *);
	int (*range)(struct repo *, const struct descriptor *, uint64_t, uint64_t, unsigned,
		     struct stream **, struct err *);
	void (*free)(struct repo *);
	int (*tags)(struct repo *, struct tags *, struct err *);
	/* Optional: a shorter way to a blob's bytes, or NULL: that over range will do. */
	struct input *(*input)(struct repo *, const struct descriptor *);
	/* Optional: a repo that waits for nobody has none of them. */
	void (*abort)(struct repo *);
	bool (*pause)(struct repo *, unsigned ms);
	void (*hurry)(struct repo *, bool);
	void (*expect)(struct repo *, unsigned);
	struct repo_counts (*counts)(struct repo *);
};

struct repo {
	const struct repo_ops *ops; /* borrowed, static */
	char *name;		    /* owned: for messages, "127.0.0.1:5000/app", "oci:/path" */
};

/*
 * What REF's tag or digest names, with its bytes: for a registry one GET.  A digest in REF is
 * verified. -ENOENT unknown; -EACCES refused; -EBADMSG bytes do not match; the rest as net/http.h.
 */
MUST_USE int repo_resolve(struct repo *repo, const struct ref *ref, struct document *out,
			  struct err *err);

/* Only digest (and type) of what REF names: HEAD, or GET where HEAD does not serve. */
MUST_USE int repo_head(struct repo *repo, const struct ref *ref, struct descriptor *out,
		       struct err *err);

/*
 * All tags, in the order of who lists them (a registry's is lexical).  Of an archive or layout the
 * names in it; a mirror that cannot list, or lists nothing, is from then on not asked for anything.
 * -ENOENT a registry has no such repository; the rest as oci/tags.h.
 */
MUST_USE int repo_tags(struct repo *repo, struct tags *out, struct err *err);

/* The manifest or index of a descriptor; size and digest are verified. */
MUST_USE int repo_manifest(struct repo *repo, const struct descriptor *d, struct document *out,
			   struct err *err);

/*
 * A blob's bytes from the start: resumed by Range inside when the connection breaks, retried, token
 * and signed URL renewed.  Never more than descriptor.size + 1 bytes.  The caller verifies the
 * digest.
 */
MUST_USE int repo_blob(struct repo *repo, const struct descriptor *d, unsigned flags,
		       struct stream **out, struct err *err);

/*
 * [offset, offset+length) of a blob of known size (length > 0, inside it): exactly these bytes,
 * then the end; resumed, retried and renewed as repo_blob.  Where the redirect of a blob led is
 * kept and used again.  Nothing is verified.  A range that is the whole blob needs no server that
 * does ranges.
 *
 * -EOPNOTSUPP: who serves the blob does not do ranges as it should (200, 400, 416, 501, another
 * Content-Range); remembered, later calls for this repo fail at once.  Or the size is not known.
 * -EBADMSG: [offset, offset+length) is not inside the blob.  The rest as repo_blob.
 */
MUST_USE int repo_range(struct repo *repo, const struct descriptor *d, uint64_t offset,
			uint64_t length, unsigned flags, struct stream **out, struct err *err);
/* The same as bytes at any offset (any thread); D and REPO are borrowed and must outlive it. */
struct input *repo_input(struct repo *repo, const struct descriptor *d);

/* A whole small blob, verified (config). */
MUST_USE int repo_blob_bytes(struct repo *repo, const struct descriptor *d, size_t max_bytes,
			     char **out, size_t *size, struct err *err);

/*
 * End all calls in flight, on this repo and its streams, with -ECANCELED, soon and without waiting
 * for them, and let later ones fail at once; there is no way back.  Any thread.  What is on disk is
 * read on; a credential helper that runs is waited for (its time is bounded).
 */
void repo_abort(struct repo *repo);
/*
 * Wait MS for something that was pushed just now; afterwards a mirror, which may remember that it
 * is not there, is not asked any more.  False where waiting is of no use: on disk, or after
 * repo_abort.
 */
bool repo_pause(struct repo *repo, unsigned ms);
void repo_counts(struct repo *repo, struct repo_counts *out);
/*
 * From now on, or no longer: the caller has something else to go by, so when nobody answers at all
 * manifests are not asked for again and again.
 */
void repo_hurry(struct repo *repo, bool on);
/*
 * Behind the next request others will come, so many at once: their connections are opened with its
 * own.  A hint, and once.
 */
void repo_expect(struct repo *repo, unsigned requests);

void repo_free(struct repo *repo);
DEFINE_AUTO(repo)

struct http;
struct creds;

struct repo_options {
	struct http *http;   /* borrowed; needed for registries */
	struct creds *creds; /* borrowed; who we are for which host; NULL: anonymous */
	bool insecure; /* plain http may be tried, for any host (registry-image's "insecure") */
	bool skip_tls_verify; /* --tls-verify=false: certificates unchecked, http allowed */
	const char *ca_pem;   /* borrowed; more trusted certificates, or NULL */
	/* borrowed; certificate and key shown to the registry (not to a mirror), or NULL */
	const char *client_pem, *client_key_pem;
	const char
		*mirror; /* borrowed; mirror host or URL asked first, or NULL (Docker Hub only) */
	struct creds *mirror_creds; /* borrowed, or NULL: anonymous */
	/* A word for the user (a mirror failed ...); may be NULL.  TEXT is escaped. */
	void (*warn)(void *arg, const char *text);
	void *warn_arg;
};

/* Opens the kind of repo that REF names. */
MUST_USE int repo_open(struct repo **out, const struct ref *ref, const struct repo_options *options,
		       struct err *err);

/* The implementations, for repo_open and tests. */
MUST_USE int registry_open(struct repo **out, const struct ref *ref,
			   const struct repo_options *options, struct err *err);
MUST_USE int layout_open(struct repo **out, const struct ref *ref, struct err *err);
MUST_USE int oci_archive_open(struct repo **out, const struct ref *ref, struct err *err);
MUST_USE int docker_archive_open(struct repo **out, const struct ref *ref, struct err *err);
