/* Opening, and ending in the one right order: the answer is out before its cost is said. */
#include "cmd/view.h"

#include <errno.h>

int view_open(struct view *out, const struct look_args *args, bool raw, const char *name,
	      struct err *err)
{
	int r = look_new(&out->look, args, err);
	if (r == 0)
		r = look_tree(out->look, name, &out->lazy, err);
	if (r < 0)
		return r;
	out->rootfs = lazy_rootfs(out->lazy);
	out->print = print_new(raw);
	return 0;
}

void view_release(struct view *view)
{
	print_free(view->print);
	look_free(view->look);
}

int view_end(struct view *view, int r, const struct err *err, int status)
{
	struct err why = { 0 };
	int printed = view->print ? print_finish(view->print, &why) : 0;
	if (r < 0)
		return cmd_fail(r, err);
	if (printed < 0)
		return cmd_fail(-EIO, &why);
	look_say_cost(view->look);
	return status;
}
