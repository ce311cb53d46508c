/* What people read before and after things go wrong: help, version, and how commands end. */
#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "cmd/cmd.h"
#include "codec/decoder.h"
#include "net/http.h"
#include "term/report.h"

int cmd_fail(int r, const struct err *err)
{
	report_line("rootlet: %s", err_text(err));
	return err_exit_status(r);
}

int cmd_usage(const char *command, const struct err *err)
{
	report_line("rootlet: %s", err_text(err));
	report_line("try 'rootlet %s%s--help'", command ? command : "", command ? " " : "");
	return err_exit_status(-EINVAL);
}

int cmd_finish_stdout(void)
{
	struct err err = { 0 };
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	(void)err_sys(&err, "write to standard output");
	return cmd_fail(-EIO, &err);
}

const char help_images[] =
	"  [docker://]HOST/NAME[:TAG][@DIGEST]    in a registry; short names are\n"
	"                                         Docker Hub's\n"
	"  oci:DIR[:TAG]                          an OCI image layout\n"
	"  oci-archive:FILE[:TAG]                 the same in a tar file\n"
	"  docker-archive:FILE[:NAME:TAG]         docker save, podman save\n";

const struct command *cmd_find(const struct commands *commands, const char *name)
{
	for (size_t i = 0; i < commands->count; i++) {
		if (str_equal(commands->all[i]->name, name))
			return commands->all[i];
	}
	return NULL;
}

void help_all(FILE *out, const struct commands *commands)
{
	fprintf(out, "Usage: rootlet COMMAND [OPTIONS] ...\n\n"
		     "Gives the root filesystem of a container image, straight from a registry.\n\n"
		     "Commands:\n");
	for (size_t i = 0; i < commands->count; i++)
		fprintf(out, "  %-10s %s\n", commands->all[i]->name, commands->all[i]->summary);
	fprintf(out,
		"\n"
		"  rootlet help COMMAND, or rootlet COMMAND --help, tells more.\n"
		"  rootlet --version shows the version and the libraries in use.\n\n"
		"An image is one of\n"
		"%s\n"
		"Exit status: 0 done, 2 wrong usage, 3 not found, 4 denied, 5 network,\n"
		"6 corrupt or hostile, 7 not supported, 1 anything else.\n",
		help_images);
}

void help_command(FILE *out, const struct command *command)
{
	const char *options = command->option_count > 0 ? " [OPTIONS]" : "";
	const char *space = *command->operands ? " " : "";
	fprintf(out, "Usage: rootlet %s%s%s%s\n\n%s", command->name, options, space,
		command->operands, command->about);
	if (command->option_count == 0)
		return;
	fprintf(out, "\nOptions:\n");
	opts_show(out, command->options, command->option_count);
}

void help_version(FILE *out)
{
	fprintf(out, "rootlet " ROOTLET_VERSION "\n%s\ninflate: %s\n", http_library().text,
		codec_gzip_library());
}
