/* From what the user wrote to what the processes work with. */
#include "fuse/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"

#define PATH_MAX_BYTES 4096

static int make_absolute(char **out, const char *path, struct err *err)
{
	if (!path || *path == '/') {
		*out = mem_strdup(path);
		return 0;
	}
	char here[PATH_MAX_BYTES];
	if (!getcwd(here, sizeof(here)))
		return err_sys(err, "find the working directory");
	auto_str text = STR_MAX(2 * PATH_MAX_BYTES);
	str_addf(&text, "%s/%s", str_equal(here, "/") ? "" : here, path);
	if (text.failed)
		return err_set(err, EINVAL, "'%s' is too long", esc(path));
	*out = str_take(&text);
	return 0;
}

int plan_directory(char **out, const char *path, struct err *err)
{
	char *real = realpath(path, NULL);
	if (!real)
		return err_sys(err, "mount point '%s'", esc(path));
	/* unlike stat(2) this never asks who serves it */
	auto_close int fd = open(real, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int code = fd < 0 ? errno : 0;
	if (code != ENOTDIR) {
		*out = real;
		return 0;
	}
	free(real);
	return err_set(err, EINVAL, "mount point '%s' is not a directory", esc(path));
}

/* Upper and work are made when they are missing. */
static int make_layer(char **out, const char *path, struct err *err)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_sys(err, "make directory '%s'", esc(path));
	return plan_directory(out, path, err);
}

static int plan_overlay(struct plan *plan, struct err *err)
{
	const struct mount_options *options = plan->options;
	int r = make_layer(&plan->upper, options->upper, err);
	if (r < 0)
		return r;
	auto_str beside = STR_MAX(PATH_MAX_BYTES);
	str_addf(&beside, "%s.work", plan->upper);
	r = make_layer(&plan->work, options->work ? options->work : str_text(&beside), err);
	if (r < 0)
		return r;
	plan->place = run_dir_path(&plan->run, plan->id.text, "lower");
	return 0;
}

static int plan_image(struct plan *plan, struct err *err)
{
	const struct mount_options *options = plan->options;
	int r = ref_parse(&plan->ref, options->image, err);
	if (r < 0)
		return r;
	if (options->platform) {
		plan->has_platform = true;
		r = platform_parse(&plan->platform, options->platform, err);
		if (r < 0)
			return r;
	}
	char *path = NULL;
	r = make_absolute(&path, plan->ref.path, err);
	if (r < 0)
		return r;
	free(plan->ref.path);
	plan->ref.path = path;
	plan->source = ref_text(&plan->ref);
	return 0;
}

int plan_make(struct plan *out, const struct mount_options *options, struct err *err)
{
	auto_plan plan = { .options = options, .run = { .fd = -1 } };
	int r = plan_image(&plan, err);
	if (r == 0)
		r = plan_directory(&plan.directory, options->directory, err);
	if (r == 0)
		r = make_absolute(&plan.authfile, options->authfile, err);
	if (r == 0)
		r = make_absolute(&plan.cache_dir, options->cache_dir, err);
	if (r == 0)
		r = run_dir_open(&plan.run, err);
	if (r < 0)
		return r;
	plan.id = run_dir_id(plan.directory);
	if (options->upper)
		r = plan_overlay(&plan, err);
	else
		plan.place = mem_strdup(plan.directory);
	if (r < 0)
		return r;
	*out = plan;
	plan = (struct plan){ .run = { .fd = -1 } };
	return 0;
}

void plan_release(struct plan *plan)
{
	ref_release(&plan->ref);
	char **const texts[] = { &plan->source, &plan->directory, &plan->place,	   &plan->upper,
				 &plan->work,	&plan->authfile,  &plan->cache_dir };
	for (size_t i = 0; i < N_ELEMENTS(texts); i++)
		mem_free_pointer(texts[i]);
	run_dir_release(&plan->run);
}
