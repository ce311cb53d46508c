/* Deflate streams where Meson found no ISA-L: by zlib. */
#include "codec/gzip.h"

const struct gzip_inflate *const gzip_inflate_best = &gzip_inflate_zlib;
