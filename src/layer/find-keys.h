/* Annotations of a layer's descriptor that name its table of contents. */
#pragma once

/* eStargz and its dialect of zstd:chunked: sha256 of the JSON */
#define FIND_TOC_DIGEST "containerd.io/snapshot/stargz/toc.digest"

/*
 * zstd:chunked: sha256 of the compressed JSON, and "offset:compressed:uncompressed:1".  Since 2022
 * containers/storage writes the first prefix; before, and stargz-snapshotter still, the second.
 */
#define FIND_ZSTD_CHECKSUM "io.github.containers.zstd-chunked.manifest-checksum"
#define FIND_ZSTD_POSITION "io.github.containers.zstd-chunked.manifest-position"
#define FIND_OLD_ZSTD_CHECKSUM "io.containers.zstd-chunked.manifest-checksum"
#define FIND_OLD_ZSTD_POSITION "io.containers.zstd-chunked.manifest-position"
