/*
 * A daemon's life.
 *
 * One that follows another must be the same to the kernel: it opens the image by the digest the
 * first one found, from the cache, and ends when the tree is another one all the same.
 */
#include "fuse/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "fuse/errlog.h"
#include "fuse/fs-session.h"
#include "fuse/status.h"
#include "net/http.h"
#include "oci/creds.h"

struct state {
	const struct daemon *daemon;
	struct errlog *log; /* owned */
	atomic_bool echo;   /* lines are shown to the user, too */
	/* what the image is read through, owned */
	struct http *http;
	struct creds *creds, *mirror_creds;
	struct cache *cache;
	struct lazy *lazy;
	double open_seconds;
	int lock; /* owned: that there is somebody who serves the mount */
};

static void state_release(struct state *state)
{
	lazy_free(TAKE(state->lazy));
	cache_free(TAKE(state->cache));
	creds_free(TAKE(state->creds));
	creds_free(TAKE(state->mirror_creds));
	http_free(TAKE(state->http));
	errlog_free(TAKE(state->log));
	mem_close_fd(&state->lock);
}

static const struct mount_hooks *hooks_of(const struct state *state)
{
	return &state->daemon->plan->options->hooks;
}

static void show(void *arg, const char *text)
{
	const struct state *state = arg;
	const struct mount_hooks *hooks = hooks_of(state);
	if (hooks->warn && atomic_load(&state->echo))
		hooks->warn(hooks->arg, text);
}

static void log_line(void *arg, const char *text)
{
	const struct state *state = arg;
	errlog_add(state->log, text);
}

static void scanning(void *arg, struct progress *progress)
{
	const struct mount_hooks *hooks = hooks_of(arg);
	if (hooks->scanning)
		hooks->scanning(hooks->arg, progress);
}

static double now(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct repo_options repo_options_of(struct state *state)
{
	const struct mount_options *options = state->daemon->plan->options;
	return (struct repo_options){
		.http = state->http,
		.creds = state->creds,
		.insecure = options->access.insecure,
		.skip_tls_verify = !options->tls_verify,
		.ca_pem = options->access.ca_pem,
		.client_pem = options->access.client_pem,
		.client_key_pem = options->access.client_key_pem,
		.mirror = options->access.mirror,
		.mirror_creds = state->mirror_creds,
		.warn = log_line,
		.warn_arg = state,
	};
}

static int find_creds(struct state *state, struct err *err)
{
	const struct plan *plan = state->daemon->plan;
	const struct mount_access *access = &plan->options->access;
	if (!access->fixed)
		return creds_files(&state->creds, plan->authfile, err);
	if (creds_cloud_is_set(&access->cloud)) {
		int r = creds_cloud_open(&state->creds, &access->cloud, err);
		if (r < 0)
			return r;
	} else if (access->username && access->password)
		state->creds = creds_fixed(access->username, access->password, "source.username");
	if (access->mirror_username && access->mirror_password)
		state->mirror_creds = creds_fixed(access->mirror_username, access->mirror_password,
						  "source.registry_mirror.username");
	return 0;
}

static int open_lazily(struct state *state, const struct ref *ref, struct err *err)
{
	const struct plan *plan = state->daemon->plan;
	const struct mount_options *options = plan->options;
	struct lazy_options lazy_options = {
		.image = { .repo = repo_options_of(state),
			   .platform = plan->has_platform ? &plan->platform : NULL },
		.cache = state->cache,
		.least = options->least,
		.fill = options->fill,
		.no_prefetch = options->no_prefetch,
		.allow_bomb = options->allow_bomb,
		.wait = options->wait,
		.read_timeout_ms = options->read_timeout_ms,
		.cancel = options->hooks.cancel,
		.scanning = scanning,
		.log = log_line,
		.arg = state,
	};
	return lazy_open(&state->lazy, ref, &lazy_options, err);
}

static int open_image(struct state *state, struct err *err)
{
	const struct plan *plan = state->daemon->plan;
	const struct message *earlier = state->daemon->earlier;
	struct cache_options cache_options = {
		.path = plan->cache_dir,
		.size_bytes = plan->options->cache_size_bytes,
	};
	int r = http_new(&state->http, &(struct http_options){ 0 }, err);
	if (r == 0)
		r = find_creds(state, err);
	if (r == 0)
		r = cache_open(&state->cache, &cache_options, err);
	if (r < 0)
		return r;
	auto_ref ref = { 0 };
	ref_copy(&ref, &plan->ref);
	if (earlier && ref.kind == REF_REGISTRY && digest_known(&earlier->top))
		ref.digest = earlier->top;
	double started = now();
	r = open_lazily(state, &ref, err);
	state->open_seconds = now() - started;
	return r;
}

static struct message describe(const struct state *state)
{
	const struct image *image = lazy_image(state->lazy);
	return (struct message){
		.kind = MESSAGE_READY,
		.top = image->top.descriptor.digest,
		.manifest = image->document.descriptor.digest,
		.inodes = rootfs_inode_count(lazy_rootfs(state->lazy)),
	};
}

static int check_same(const struct message *mine, const struct message *earlier, struct err *err)
{
	if (!earlier ||
	    (digest_equal(&mine->manifest, &earlier->manifest) && mine->inodes == earlier->inodes))
		return 0;
	return err_set(err, EBADMSG, "the image is another one than was mounted");
}

/* The supervisor's answer; -ECANCELED when there is no supervisor any more. */
static int wait_for_device(const struct state *state, struct message *serve, int *device,
			   struct err *err)
{
	int n = channel_receive(state->daemon->socket, serve, sizeof(*serve), device, -1, err);
	if (n < 0)
		return n;
	if (n != (int)sizeof(*serve) || serve->kind != MESSAGE_SERVE || *device < 0 ||
	    serve->init_size > INIT_MAX_BYTES)
		return err_set(err, ECANCELED, "the supervisor is gone");
	return 0;
}

/* From here on only the end of the mount ends us; and nobody's terminal is ours. */
static void detach(struct state *state)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	for (size_t i = 0; i < N_ELEMENTS(signals); i++)
		(void)signal(signals[i], SIG_IGN);
	if (state->daemon->plan->options->foreground)
		return;
	atomic_store(&state->echo, false);
	errlog_take_stderr(state->log);
}

static int serve(struct state *state, struct err *err)
{
	struct message message;
	auto_close int device = -1;
	const struct plan *plan = state->daemon->plan;
	int r = wait_for_device(state, &message, &device, err);
	if (r == 0)
		r = run_dir_lock(&plan->run, plan->id.text, RUN_DAEMON, &state->lock, err);
	if (r < 0)
		return r;
	(void)prctl(PR_SET_PDEATHSIG, 0);
	struct fs fs;
	fs_init(&fs, state->lazy, state->daemon->counters);
	AUTO(fs_session) session = NULL;
	r = fs_session_new(&session, &fs, TAKE_FD(device), message.init, message.init_size, err);
	if (r < 0)
		return r;
	struct status_source source = {
		.plan = plan,
		.lazy = state->lazy,
		.counters = state->daemon->counters,
		.log = state->log,
		.cache = state->cache,
		.restarts = state->daemon->restarts,
		.started_s = state->daemon->started_s,
		.open_seconds = state->open_seconds,
		.supervisor = state->daemon->supervisor,
	};
	detach(state);
	AUTO(status) status = NULL;
	r = status_start(&status, &source, err);
	if (r < 0) /* the mount is worth more than its status */
		errlog_addf(state->log, "no status: %s", err_text(err));
	struct message serving = { .kind = MESSAGE_SERVING };
	IGNORE(channel_send(state->daemon->socket, &serving, -1, NULL));
	(void)malloc_trim(0); /* opening took much more than serving does */
	lazy_start(state->lazy);
	r = fs_session_loop(session, err);
	status_free(TAKE(status));
	lazy_free(TAKE(state->lazy)); /* answers what is still asked, while there is a session */
	return r;
}

static int live(struct state *state, struct err *err)
{
	int r = open_image(state, err);
	if (r < 0)
		return r;
	struct message ready = describe(state);
	r = check_same(&ready, state->daemon->earlier, err);
	if (r == 0)
		r = channel_send(state->daemon->socket, &ready, -1, err);
	return r < 0 ? r : serve(state, err);
}

int daemon_run(const struct daemon *daemon)
{
	const struct plan *plan = daemon->plan;
	(void)prctl(PR_SET_NAME, "rootlet-daemon");
	__attribute__((cleanup(state_release))) struct state state = { .daemon = daemon,
								       .lock = -1 };
	atomic_store(&state.echo, true);
	state.log = errlog_new(&plan->run, plan->id.text, show, &state);

	struct err err = { 0 };
	/* as long as there is no mount to serve, without a supervisor there is nothing to do */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	int r = getppid() == daemon->supervisor ? live(&state, &err) : -ECANCELED;
	if (r == 0)
		return 0;
	struct message failed = { .kind = MESSAGE_FAILED, .err = err };
	failed.err.code = r;
	IGNORE(channel_send(daemon->socket, &failed, -1, NULL));
	return 1;
}
