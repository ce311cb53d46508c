/*
 * One pass over a layer: its blob is downloaded and checked while it is decoded, and whoever wants
 * the decoded bytes reads them on the way.  Unpacking and scanning are such passes.
 *
 *	caller's thread   blob bytes -> size, digest -> decode -> ring
 *	hash thread       ring -> diffID, unless the reader makes it
 *	reader's thread   ring -> read
 *
 * Where the decoded bytes are at hand (COPY) they take the place of blob and decoder.
 *
 * What was read counts only when pass_run returned 0: then size, digest and diffID were right; of
 * copied bytes the diffID, which the config has and so the image's own digest.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "codec/decoder.h"
#include "image/image.h"
#include "image/progress.h"

struct pass {
	struct image *image; /* borrowed */
	size_t layer;
	struct layer_progress *progress; /* borrowed or NULL */
	const atomic_bool *cancel;	 /* borrowed or NULL: the user wants to stop */
	const atomic_bool *stop;	 /* borrowed or NULL: another layer failed */
	bool allow_bomb;

	/* How to decode: begin is told the codec, run is as decoder_run.  The caller's thread. */
	int (*begin)(void *arg, enum codec codec, struct err *err);
	int (*run)(void *arg, struct decoder_io *io, bool input_ended, struct err *err);
	/*
	 * Instead of them, when set: the next decoded bytes, up to ROOM; 0 at the end.  When it
	 * fails, or its bytes are wrong, *again.
	 */
	int (*copy)(void *arg, void *out, size_t room, size_t *size, struct err *err);
	/* Reads the decoded stream (borrowed) to its end, on a thread of its own. */
	int (*read)(void *arg, struct stream *stream, struct err *err);
	/*
	 * It hashes what it reads by this algorithm (0: it does not) and stores the digest; where
	 * the diffID is of that, there is no hash thread.
	 */
	enum digest_algorithm read_hashes;
	struct digest read_digest;
	/* The reader is at least so much behind the decoder, until that is at the end. */
	unsigned read_lag_bytes;
	void *arg; /* borrowed */

	/* counted, also when it fails; by the caller's thread */
	uint64_t fetched_bytes, decoded_bytes;
};

bool pass_is_stopped(const struct pass *pass);

/*
 * FLAGS of enum repo_blob_flags.  *again: the blob came with other bytes than its digest says, once
 * more from its source may help.  -EBADMSG, -E2BIG hostile or corrupt; -ECANCELED; what READ
 * returned; the rest as repo_blob.
 */
MUST_USE int pass_run(struct pass *pass, unsigned flags, bool *again, struct err *err);

/*
 * ATTEMPT, which runs a pass over this layer, and where that may help ATTEMPT again; keeps the
 * progress's state and names the layer in errors.
 */
MUST_USE int pass_layer(struct pass *pass,
			int (*attempt)(void *arg, unsigned flags, bool *again, struct err *err),
			void *arg, struct err *err);
