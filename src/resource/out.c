/* The put step, which this release does not have: it says so. */
#include <errno.h>

#include "resource/resource.h"
#include "resource/session.h"

int resource_out(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	struct err err = { 0 };
	int r = err_set(&err, EOPNOTSUPP, "out: pushing images is not part of this release");
	return session_fail(r, &err);
}
