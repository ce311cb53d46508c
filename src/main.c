/*
 * The program: sets the process up, finds the command by the name it was called with (check, in and
 * out are links in Concourse's /opt/resource) or by its first argument, and runs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/completion.h"
#include "cmd/man.h"
#include "resource/resource.h"
#include "term/cancel.h"

#define COMMANDS_MAX 64

static int run_help(int argc, char **argv);
static int run_completion(int argc, char **argv);

static const struct command cmd_check = {
	.name = "check",
	.operands = "",
	.summary = "Concourse: find an image's versions",
	.about = "Reads {\"source\": ..., \"version\": ...} on standard input, prints the\n"
		 "versions that are new as a JSON array.  docs/concourse.md has the fields.\n",
	.run = resource_check,
};

static const struct command cmd_in = {
	.name = "in",
	.operands = "DIR",
	.summary = "Concourse: fetch one version into a directory",
	.about = "Reads {\"source\": ..., \"version\": ..., \"params\": ...} on standard\n"
		 "input, fills DIR, prints the version and its metadata as JSON.  The fields\n"
		 "and the files made are in docs/concourse.md.\n",
	.run = resource_in,
};

static const struct command cmd_out = {
	.name = "out",
	.operands = "DIR",
	.summary = "Concourse: push an image from a directory",
	.about = "Reads {\"source\": ..., \"params\": ...} on standard input, pushes the image\n"
		 "that params.image names below DIR, prints its version and metadata as JSON.\n"
		 "docs/concourse.md has the fields.\n",
	.run = resource_out,
};

struct help_args {
	bool man, help;
};

static const struct opt help_options[] = {
	{ "man", OPT_FLAG, offsetof(struct help_args, man), NULL, "write a manual page (troff)" },
	{ "help", OPT_FLAG, offsetof(struct help_args, help), NULL, "show this text" },
};

static const struct command cmd_help = {
	.name = "help",
	.operands = "[COMMAND]",
	.summary = "show this text, or a command's",
	.about = "Shows all commands, or how one is used.\n",
	.options = help_options,
	.option_count = N_ELEMENTS(help_options),
	.run = run_help,
};

static const struct opt completion_options[] = { COMPLETION_OPTIONS };

static const struct command cmd_completion = {
	.name = "completion",
	.operands = "bash|zsh|fish",
	.summary = "print a shell's completion script",
	.about = COMPLETION_ABOUT,
	.options = completion_options,
	.option_count = N_ELEMENTS(completion_options),
	.run = run_completion,
};

static const struct command *const list[] = {
	/* clang-format off */
	&cmd_unpack, &cmd_mount, &cmd_umount, &cmd_status, &cmd_cache,
	&cmd_ls, &cmd_tree, &cmd_cat, &cmd_cp, &cmd_stat, &cmd_find_files, &cmd_grep, &cmd_du,
	&cmd_diff, &cmd_explore, &cmd_history, &cmd_inspect,
	&cmd_digest, &cmd_manifest, &cmd_config, &cmd_platforms, &cmd_tags,
	&cmd_push, &cmd_copy, &cmd_tag,
	&cmd_check, &cmd_in, &cmd_out,
	&cmd_completion, &cmd_help,
	/* clang-format on */
};
static const struct commands commands = { list, N_ELEMENTS(list) };

static const struct command *find(const char *name)
{
	return cmd_find(&commands, name);
}

static int unknown(const char *name)
{
	const char *names[COMMANDS_MAX];
	for (size_t i = 0; i < commands.count; i++)
		names[i] = commands.all[i]->name; /* NOLINT(clang-analyzer-core.*) */
	const char *near = str_nearest(name, names, commands.count);
	struct err err = { 0 };
	const char *what = name[0] == '-' ? "option" : "command";
	if (near)
		(void)err_set(&err, EINVAL, "unknown %s '%s': did you mean '%s'?", what, esc(name),
			      near);
	else
		(void)err_set(&err, EINVAL, "unknown %s '%s'", what, esc(name));
	return cmd_usage(NULL, &err);
}

static int show_help(const struct command *command)
{
	if (command)
		help_command(stdout, command);
	else
		help_all(stdout, &commands);
	return cmd_finish_stdout();
}

static bool asks_help(const char *word)
{
	return str_equal(word, "--help") || str_equal(word, "-h");
}

static int show_man(const struct command *command)
{
	if (command)
		man_command(stdout, command);
	else
		man_all(stdout, &commands);
	return cmd_finish_stdout();
}

static int run_help(int argc, char **argv)
{
	struct help_args args = { 0 };
	struct err err = { 0 };
	int operands;
	if (opts_parse(&args, help_options, N_ELEMENTS(help_options), argc, argv, &operands, &err) <
	    0)
		return cmd_usage(cmd_help.name, &err);
	if (args.help)
		return show_help(&cmd_help);
	const struct command *command = operands > 0 ? find(argv[1]) : NULL;
	if (operands > 0 && !command)
		return unknown(argv[1]);
	return args.man ? show_man(command) : show_help(command);
}

static int run_completion(int argc, char **argv)
{
	return completion_run(&cmd_completion, &commands, argc, argv);
}

static int run_command(const struct command *command, int argc, char **argv)
{
	/* commands with options parse --help themselves: it may be an option's value */
	if (command->option_count == 0 && argc == 2 && asks_help(argv[1]))
		return show_help(command);
	return command->run(argc, argv);
}

static int dispatch(int argc, char **argv)
{
	const char *called = argc > 0 ? basename(argv[0]) : "rootlet";
	if (str_equal(called, "check") || str_equal(called, "in") || str_equal(called, "out"))
		return run_command(find(called), argc, argv);
	if (argc < 2) {
		help_all(stderr, &commands);
		return err_exit_status(-EINVAL);
	}
	if (asks_help(argv[1]))
		return show_help(NULL);
	if (str_equal(argv[1], "--version")) {
		help_version(stdout);
		return cmd_finish_stdout();
	}
	const struct command *command = find(argv[1]);
	return command ? run_command(command, argc - 1, argv + 1) : unknown(argv[1]);
}

/* A file opened later must not become standard error. */
static void fill_standard_files(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			_exit(1);
	}
}

static void set_up_process(void)
{
	fill_standard_files();
	/* credentials are in memory: no core, no ptrace by others of this user */
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	/* a reader that went away is an error of write(2), not our end */
	(void)signal(SIGPIPE, SIG_IGN);
	/* so is the file size limit */
	(void)signal(SIGXFSZ, SIG_IGN);
	cancel_on_signals();
}

int main(int argc, char **argv)
{
	set_up_process();
	int status = dispatch(argc, argv);
	if (status != 0)
		cancel_finish();
	return status;
}
