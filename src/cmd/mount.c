/*
 * "rootlet mount IMAGE DIR": fills in the options, shows what happens while the image is opened,
 * and says when it is there.  fuse/mount.h has the processes.
 */
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/begin.h"
#include "cmd/cmd.h"
#include "fuse/mount.h"
#include "term/cancel.h"
#include "term/report.h"

struct mount_args {
	const char *platform, *authfile, *cache, *trust, *fill, *upper, *work; /* from argv */
	uint64_t cache_size;
	unsigned read_timeout_s;
	bool tls_verify, no_prefetch, suid, dev, allow_other, foreground, allow_bomb, quiet, debug;
	bool help;
};

#define MEMBER(name) offsetof(struct mount_args, name)
static const struct opt options[] = {
	{ "platform", OPT_TEXT, MEMBER(platform), "OS/ARCH[/VARIANT]",
	  "which image of several; default: this machine's" },
	{ "authfile", OPT_TEXT, MEMBER(authfile), "FILE",
	  "credentials, before those of docker and podman" },
	{ "tls-verify", OPT_BOOL, MEMBER(tls_verify), "true|false",
	  "false: certificates are not checked, plain http is allowed" },
	{ "cache", OPT_TEXT, MEMBER(cache), "DIR",
	  "where fetched bytes are kept; default: $ROOTLET_CACHE, else /var/cache/rootlet or "
	  "~/.cache/rootlet" },
	{ "cache-size", OPT_SIZE, MEMBER(cache_size), "SIZE",
	  "how much is kept at most; default: 10G or a tenth of the disk" },
	{ "trust", OPT_TEXT, MEMBER(trust), "LEVEL",
	  "verified, bound, attested or none: the least a layer's index must have, else the layer "
	  "is fetched whole; default: bound" },
	{ "fill", OPT_TEXT, MEMBER(fill), "WHEN",
	  "idle, now or off: when the rest of the image is fetched; default: idle" },
	{ "no-prefetch", OPT_FLAG, MEMBER(no_prefetch), NULL,
	  "fetch nothing ahead, and do not record what is read" },
	{ "read-timeout", OPT_COUNT, MEMBER(read_timeout_s), "SECONDS",
	  "a read that takes longer fails; default: 60" },
	{ "upper", OPT_TEXT, MEMBER(upper), "DIR", "make it writable: changes are kept in DIR" },
	{ "work", OPT_TEXT, MEMBER(work), "DIR",
	  "overlayfs' own directory beside that; default: UPPER.work" },
	{ "suid", OPT_FLAG, MEMBER(suid), NULL, "honour setuid files" },
	{ "dev", OPT_FLAG, MEMBER(dev), NULL, "honour device nodes" },
	{ "allow-other", OPT_BOOL, MEMBER(allow_other), "true|false",
	  "let other users in; default: true for root" },
	{ "allow-bomb", OPT_FLAG, MEMBER(allow_bomb), NULL,
	  "accept layers that unpack to 500 times their size" },
	{ "foreground", OPT_FLAG, MEMBER(foreground), NULL,
	  "stay until it is unmounted; for systemd's Type=notify" },
	{ "quiet", OPT_FLAG, MEMBER(quiet), NULL, "print errors only" },
	{ "debug", OPT_FLAG, MEMBER(debug), NULL, "print each step" },
	{ "help", OPT_FLAG, MEMBER(help), NULL, "show this text" },
};

/* What the hooks share; the daemon has its own copy. */
struct shown {
	const struct mount_args *args;
	const char *image, *directory;
	double started;
	struct report *report; /* owned, while layers are scanned */
};

static double now(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void scanning(void *arg, struct progress *progress)
{
	struct shown *shown = arg;
	report_free(TAKE(shown->report));
	if (!progress)
		return;
	enum report_mode mode = shown->args->quiet ? REPORT_QUIET : REPORT_AUTO;
	shown->report = report_new(progress, shown->args->debug ? REPORT_LOG : mode);
}

static void warn(void *arg, const char *text)
{
	const struct shown *shown = arg;
	if (!shown->args->quiet)
		report_line("rootlet: warning: %s", text);
}

static void mounted(void *arg)
{
	const struct shown *shown = arg;
	if (!shown->args->quiet)
		report_line("%s is mounted at %s after %s", esc(shown->image),
			    esc(shown->directory), report_seconds(now() - shown->started).text);
}

/* WORD among NAMES: its place in VALUES. */
static int choose(int *out, const char *option, const char *word, const char *const *names,
		  const int *values, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (str_equal(word, names[i])) {
			*out = values[i];
			return 0;
		}
	}
	auto_str list = STR_MAX(256);
	for (size_t i = 0; i < count; i++)
		str_addf(&list, "%s%s", i == 0 ? "" : i + 1 < count ? ", " : " or ", names[i]);
	return err_set(err, EINVAL, "'--%s' wants %s, not '%s'", option, str_text(&list),
		       esc(word));
}

static int choose_all(struct mount_options *out, const struct mount_args *args, struct err *err)
{
	static const char *const trusts[] = { "verified", "bound", "attested", "none" };
	static const int trust_values[] = { TRUST_VERIFIED, TRUST_BOUND, TRUST_ATTESTED,
					    TRUST_NONE };
	static const char *const fills[] = { "idle", "now", "off" };
	static const int fill_values[] = { LAZY_FILL_IDLE, LAZY_FILL_NOW, LAZY_FILL_OFF };
	int trust = 0, fill = 0;
	int r = choose(&trust, "trust", args->trust, trusts, trust_values, N_ELEMENTS(trusts), err);
	if (r == 0)
		r = choose(&fill, "fill", args->fill, fills, fill_values, N_ELEMENTS(fills), err);
	if (r < 0)
		return r;
	if (args->work && !args->upper)
		return err_set(err, EINVAL, "'--work' goes with '--upper'");
	out->least = (enum trust)trust;
	out->fill = (enum lazy_fill)fill;
	return 0;
}

static int mount_image(const char *image, const char *directory, const struct mount_args *args,
		       struct err *err)
{
	struct shown shown = {
		.args = args, .image = image, .directory = directory, .started = now()
	};
	struct mount_options mount_options = {
		.image = image,
		.directory = directory,
		.platform = args->platform,
		.authfile = args->authfile,
		.cache_dir = args->cache,
		.cache_size_bytes = args->cache_size,
		.tls_verify = args->tls_verify,
		.no_prefetch = args->no_prefetch,
		.allow_bomb = args->allow_bomb,
		.read_timeout_ms = args->read_timeout_s * 1000,
		.suid = args->suid,
		.dev = args->dev,
		.allow_other = args->allow_other,
		.allow_other_set = true,
		.upper = args->upper,
		.work = args->work,
		.foreground = args->foreground,
		.hooks = { .scanning = scanning,
			   .warn = warn,
			   .mounted = mounted,
			   .arg = &shown,
			   .cancel = cancel_flag() },
	};
	int r = choose_all(&mount_options, args, err);
	return r < 0 ? r : mount_start(&mount_options, err);
}

static int run(int argc, char **argv)
{
	struct mount_args args = {
		.tls_verify = true,
		.allow_other = geteuid() == 0,
		.trust = "bound",
		.fill = "idle",
	};
	struct err err = { 0 };
	int operands, status;
	if (!begin_command(&cmd_mount, &args, &args.help, argc, argv, 2, 2, &operands, &status))
		return status;
	if (args.debug)
		report_log_to_stderr();
	int r = mount_image(argv[1], argv[2], &args, &err);
	return r < 0 ? cmd_fail(r, &err) : 0;
}

const struct command cmd_mount = {
	.name = "mount",
	.operands = "IMAGE DIR",
	.summary = "mount an image, its bytes fetched when read",
	.about = "Mounts the root filesystem of IMAGE at DIR, read-only (see --upper), and goes\n"
		 "to the background.  What is read is fetched, verified and kept.\n"
		 "'rootlet --help' says how an image is named.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
