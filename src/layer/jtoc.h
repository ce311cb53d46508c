/*
 * One entry of the JSON of eStargz and zstd:chunked (formats.md sections 1.3 and 2.3): what a tar
 * entry says, and where a file's bytes are.  The two formats differ in few members:
 *
 *	innerOffset		eStargz: bytes to pass over in the member at "offset"
 *	endOffset, chunkType	zstd:chunked: where the last chunk ends; "zeros" for a hole
 *
 * Member names are matched exactly.  User and group names, access and change times are ignored.
 */
#pragma once

#include "base/digest.h"
#include "base/json.h"
#include "codec/tar.h"

struct jtoc_entry {
	struct tar_entry tar; /* borrowed from the JSON and from what follows */
	bool chunk;	      /* a further chunk of the file before it; TAR is empty but for
				 the path, which may be "" */
	uint64_t offset, inner_offset;	   /* of the blob; of what is decoded there */
	uint64_t end_offset;		   /* 0: not said */
	uint64_t chunk_offset, chunk_size; /* size 0: up to the file's end */
	bool zeros;
	struct digest digest, chunk_digest; /* of file and chunk; sha256 or not there */
	struct tar_xattr *xattrs;	    /* owned */
	char *values;			    /* owned */
};

/*
 * *OUT is released by jtoc_entry_release, and lives as long as VALUE.  -EBADMSG a member of a wrong
 * type or value, and a name that JSON cannot hold: writers put U+FFFD where a name is no UTF-8, and
 * under such a name nobody would find the file.  -E2BIG, -EOPNOTSUPP.
 */
MUST_USE int jtoc_parse(struct jtoc_entry *out, const struct json_value *value, struct err *err);
void jtoc_entry_release(struct jtoc_entry *entry);

/* RFC 3339 with or without a fraction, "2006-01-02T15:04:05.999Z"; false when it is none. */
bool jtoc_time(int64_t *seconds, uint32_t *nanoseconds, const char *text);
