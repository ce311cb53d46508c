/* The first lines of a command, and the last ones of one that looks into an image. */
#include "cmd/begin.h"

#include <errno.h>

bool begin_command(const struct command *command, void *args, const bool *help, int argc,
		   char **argv, int least, int most, int *operands, int *status)
{
	struct err err = { 0 };
	int r = opts_parse(args, command->options, command->option_count, argc, argv, operands,
			   &err);
	if (r == 0 && *help) {
		help_command(stdout, command);
		*status = cmd_finish_stdout();
		return false;
	}
	if (r == 0 && (*operands < least || *operands > most))
		r = err_set(&err, EINVAL, "wants %s, not %d operands", command->operands,
			    *operands);
	if (r < 0)
		*status = cmd_usage(command->name, &err);
	return r == 0;
}

bool begin_look(const struct command *command, struct look_args *args, int argc, char **argv,
		int least, int most, int *operands, int *status)
{
	args->tls_verify = true;
	return begin_command(command, args, &args->help, argc, argv, least, most, operands, status);
}

int end_look(const struct look *look, struct print *print, int r, struct err *err)
{
	if (r == 0)
		r = print_finish(print, err);
	if (r < 0)
		return cmd_fail(r, err);
	look_say_cost(look);
	return 0;
}
