/*
 * "rootlet cp IMAGE:PATH DEST": a file or a directory out of an image.  Where DEST is a directory
 * the copy goes into it under its own name, as cp does.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/esc.h"
#include "cmd/view.h"
#include "image/extract.h"
#include "image/rootfs-path.h"
#include "term/cancel.h"
#include "term/report.h"

#define LINE_MAX_BYTES (1024u * 1024)

struct cp_args {
	struct look_args look; /* first */
	bool devices;
};

#define MEMBER(name) offsetof(struct cp_args, name)
static const struct opt options[] = {
	{ "devices", OPT_FLAG, MEMBER(devices), NULL,
	  "make device nodes instead of counting them" },
	LOOK_OPTIONS("print one JSON object with the result"),
};

/* What is copied, and where it goes. */
struct job {
	char *image, *path; /* owned */
	const char *dest;   /* borrowed */
	int dirfd;	    /* owned: where the copy is made */
	char *name;	    /* owned: under this name */
};

static void job_release(struct job *job)
{
	mem_free_pointer(&job->image);
	mem_free_pointer(&job->path);
	mem_free_pointer(&job->name);
	mem_close_fd(&job->dirfd);
}

/* Before the first ":/" that is none of "oci:/DIR", "docker://". */
static const char *find_split(const char *text)
{
	static const char *const kinds[] = { "docker", "oci", "oci-archive", "docker-archive" };
	for (const char *at = strstr(text, ":/"); at; at = strstr(at + 1, ":/")) {
		bool is_kind = false;
		for (size_t i = 0; i < N_ELEMENTS(kinds); i++)
			is_kind |= strlen(kinds[i]) == (size_t)(at - text) &&
				   str_starts(text, kinds[i]);
		if (!is_kind && at > text)
			return at;
	}
	return NULL;
}

static int take_operands(struct job *job, int operands, char **argv, struct err *err)
{
	const char *split = operands == 2 ? find_split(argv[1]) : NULL;
	if (operands == 2 && !split)
		return err_set(err, EINVAL,
			       "'%s' names no path: write IMAGE:/PATH, or IMAGE PATH DEST",
			       esc(argv[1]));
	job->image = split ? mem_strndup(argv[1], (size_t)(split - argv[1])) : mem_strdup(argv[1]);
	job->path = mem_strdup(split ? split + 1 : argv[2]);
	job->dest = argv[operands];
	return 0;
}

/* The last component of PATH, "" of the root. */
static char *base_of(const char *path)
{
	size_t end = strlen(path);
	while (end > 0 && path[end - 1] == '/')
		end--;
	size_t begin = end;
	while (begin > 0 && path[begin - 1] != '/')
		begin--;
	return mem_strndup(path + begin, end - begin);
}

static bool names_nothing(const char *name)
{
	return !*name || str_equal(name, ".") || str_equal(name, "..");
}

/* DEST is the user's own path: the host's links in it are followed. */
static int take_place(struct job *job, struct err *err)
{
	struct stat st;
	bool is_dir = stat(job->dest, &st) == 0 && S_ISDIR(st.st_mode);
	auto_free char *parent = NULL;
	if (is_dir) {
		job->name = base_of(job->path);
		parent = mem_strdup(job->dest);
	} else {
		job->name = base_of(job->dest);
		size_t end = strlen(job->dest);
		while (end > 0 && job->dest[end - 1] == '/')
			end--;
		end -= strlen(job->name) < end ? strlen(job->name) : end;
		parent = end > 0 ? mem_strndup(job->dest, end) : mem_strdup(".");
	}
	if (names_nothing(job->name))
		return err_set(err, EINVAL, "'%s' has no name of its own: DEST must not exist yet",
			       esc(job->path));
	job->dirfd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return job->dirfd < 0 ? err_sys(err, "open '%s'", esc(parent)) : 0;
}

static int copy(struct view *view, const struct job *job, bool devices, struct extract_result *out,
		struct err *err)
{
	uint32_t number;
	int r = rootfs_resolve(view->rootfs, job->path, true, &number, err);
	if (r < 0)
		return r;
	const struct extract_options how = { .devices = devices, .cancel = cancel_flag() };
	r = extract_inode(view->lazy, number, job->dirfd, job->name, &how, out, err);
	return r < 0 ? err_wrap(err, r, "copy '%s'", esc(job->path)) : 0;
}

static void print_json(struct view *view, const struct job *job,
		       const struct extract_result *result)
{
	auto_str line = STR_MAX(LINE_MAX_BYTES);
	str_addc(&line, '{');
	print_json_name(&line, "path", job->path);
	str_addc(&line, ',');
	print_json_name(&line, "name", job->name);
	str_addf(&line,
		 ",\"names\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"skipped_devices\":%" PRIu64
		 ",\"failed_owners\":%" PRIu64 ",\"failed_xattrs\":%" PRIu64 "}",
		 result->names, result->bytes, result->skipped_devices, result->failed_owners,
		 result->failed_xattrs);
	print_line(view->print, &line);
}

static void say(const struct extract_result *result)
{
	report_line("%s in %" PRIu64 " name%s", report_size(result->bytes).text, result->names,
		    result->names == 1 ? "" : "s");
	if (result->skipped_devices > 0)
		report_line("not kept: %" PRIu64 " device nodes (--devices makes them)",
			    result->skipped_devices);
	if (result->failed_owners > 0)
		report_line("not kept: %" PRIu64 " owners (this needs root)",
			    result->failed_owners);
	if (result->failed_xattrs > 0)
		report_line("not kept: %" PRIu64 " attributes refused by the system",
			    result->failed_xattrs);
}

static int run(int argc, char **argv)
{
	struct cp_args args = { 0 };
	struct err err = { 0 };
	int operands, status;
	if (!begin_look(&cmd_cp, &args.look, argc, argv, 2, 3, &operands, &status))
		return status;
	__attribute__((cleanup(job_release))) struct job job = { .dirfd = -1 };
	int r = take_operands(&job, operands, argv, &err);
	if (r == 0)
		r = take_place(&job, &err);
	if (r == -EINVAL)
		return cmd_usage(cmd_cp.name, &err);
	if (r < 0)
		return cmd_fail(r, &err);
	auto_view view = { 0 };
	struct extract_result result = { 0 };
	r = view_open(&view, &args.look, false, job.image, &err);
	if (r == 0)
		r = copy(&view, &job, args.devices, &result, &err);
	if (r == 0 && args.look.json)
		print_json(&view, &job, &result);
	if (r == 0 && !args.look.quiet)
		say(&result);
	return view_end(&view, r, &err, 0);
}

const struct command cmd_cp = {
	.name = "cp",
	.operands = "IMAGE:PATH DEST",
	.summary = "copy a file or a directory out of an image",
	.about =
		"Copies PATH, a file or a directory with all in it, out of IMAGE to DEST, or into\n"
		"DEST where that is a directory; owners, modes, times and attributes are kept as\n"
		"'rootlet unpack' keeps them.  Only a file replaces a file; if anything fails\n"
		"nothing is left.  'rootlet cp IMAGE PATH DEST' is the same.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
