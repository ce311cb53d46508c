/*
 * A compressed archive decoded once into a file without a name, because its members are read in
 * another order than they lie in it, and some twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/str.h"
#include "codec/decoder.h"
#include "oci/store.h"

#define PIECE_BYTES (256 * 1024)
/* Tars compress 3:1 to 20:1; beyond this an archive is a bomb, not an image. */
#define BOMB_FLOOR_BYTES ((uint64_t)1 << 30)
#define BOMB_RATIO 500

/* A temporary file that is gone with its descriptor, also where O_TMPFILE is not known (overlayfs
 * before 6.6, NFS). */
int spool_open(struct err *err)
{
	const char *dir = getenv("TMPDIR");
	if (!dir || !*dir)
		dir = "/var/tmp";
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	auto_str path = STR_MAX(4096);
	str_addf(&path, "%s/rootlet-XXXXXX", dir);
	if (path.failed)
		return err_set(err, EINVAL, "TMPDIR is too long");
	fd = mkostemp(path.data, O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "create a temporary file in '%s'", esc(dir));
	(void)unlink(path.data);
	return fd;
}

int spool_decoded(int *out, int fd, uint64_t size, struct err *err)
{
	auto_close int spool = spool_open(err);
	if (spool < 0)
		return spool;
	int input = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (input < 0)
		return err_sys(err, "duplicate a descriptor");
	AUTO(stream) stream = decoder_stream(stream_of_fd(input, 0, size), PIECE_BYTES);
	for (uint64_t total = 0;;) {
		const void *data = NULL;
		size_t n = 0;
		int r = stream_next(stream, &data, &n, err);
		if (r == 0 && n > 0)
			r = io_write_all(spool, data, n, err);
		if (r < 0)
			return err_wrap(err, r, "decode into a temporary file");
		if (n == 0)
			break;
		total += n;
		if (total > BOMB_FLOOR_BYTES && total / BOMB_RATIO > size)
			return err_set(err, E2BIG, "it decodes to more than %d times its size",
				       BOMB_RATIO);
	}
	*out = TAKE_FD(spool);
	return 0;
}
