/*
 * The status socket.  One thread, one client at a time, each write bounded: a client that does not
 * read keeps only the next client waiting.  Every daemon makes the socket anew.
 */
#include "fuse/status.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/io.h"
#include "fuse/status-json.h"

#define CLIENT_TIMEOUT_S 3
#define TICK_MS 10000

struct status {
	struct status_source source;
	int listener; /* owned */
	int stop;     /* owned: an eventfd */
	pthread_t thread;
	bool started;
};

static struct sockaddr_un address_of(const struct run_dir *run, const char *id)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct run_socket name = run_dir_socket(run, id);
	_Static_assert(sizeof(name.path) <= sizeof(address.sun_path), "it fits");
	memcpy(address.sun_path, name.path, sizeof(name.path));
	return address;
}

static const char *fill_name(enum lazy_fill fill)
{
	static const char *const names[] = {
		[LAZY_FILL_OFF] = "off",
		[LAZY_FILL_IDLE] = "idle",
		[LAZY_FILL_NOW] = "now",
	};
	return names[fill];
}

static void describe(struct str *out, const struct status_source *source)
{
	const struct image *image = lazy_image(source->lazy);
	const struct rootfs *rootfs = lazy_rootfs(source->lazy);
	struct errlog_line errors[ERRLOG_KEPT];
	size_t count = lazy_layer_count(source->lazy);
	auto_free struct lazy_layer_status *layers = mem_new((count + 1) * sizeof(*layers));
	for (size_t i = 0; i < count; i++)
		lazy_layer_status(source->lazy, i, &layers[i]);
	struct status_values values = {
		.image = source->plan->source,
		.directory = source->plan->directory,
		.digest = image->top.descriptor.digest,
		.manifest = image->document.descriptor.digest,
		.daemon = getpid(),
		.supervisor = getppid() == source->supervisor ? source->supervisor : 0,
		.restarts = source->restarts,
		.started_s = source->started_s,
		.now_s = time(NULL),
		.trust_wanted = trust_name(source->plan->options->least),
		.fill = fill_name(source->plan->options->fill),
		.files = rootfs_inode_count(rootfs),
		.file_bytes = rootfs_bytes(rootfs),
		.open_seconds = source->open_seconds,
		.stale_since_s = lazy_stale_since(source->lazy),
		.cache_path = cache_path(source->cache),
		.cache_trouble = cache_trouble(source->cache),
		.counters = source->counters,
		.layers = layers,
		.layer_count = count,
		.errors = errors,
		.error_count = errlog_last(source->log, errors),
	};
	lazy_open_cost(source->lazy, &values.open_bytes, &values.open_requests);
	status_write(out, &values);
	str_addc(out, '\n');
}

static void set_timeouts(int socket)
{
	const struct timeval limit = { .tv_sec = CLIENT_TIMEOUT_S };
	(void)setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	(void)setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static void serve_one(struct status *status)
{
	auto_close int client = accept4(status->listener, NULL, NULL, SOCK_CLOEXEC);
	if (client < 0)
		return;
	set_timeouts(client);
	auto_str text = STR_MAX(STATUS_MAX_BYTES);
	describe(&text, &status->source);
	if (!text.failed)
		IGNORE(io_write_all(client, str_text(&text), text.length, NULL));
}

static void *serve(void *arg)
{
	struct status *status = arg;
	struct pollfd fds[] = {
		{ .fd = status->listener, .events = POLLIN },
		{ .fd = status->stop, .events = POLLIN },
	};
	while (!fds[1].revents) {
		int n = poll(fds, N_ELEMENTS(fds), TICK_MS);
		if (n > 0 && fds[0].revents)
			serve_one(status);
		if (n == 0)
			errlog_trim(status->source.log);
	}
	return NULL;
}

static int listen_at(int *out, const struct run_dir *run, const char *id, struct err *err)
{
	struct sockaddr_un address = address_of(run, id);
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "make a socket");
	(void)unlink(address.sun_path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 8) < 0)
		return err_sys(err, "make '%s/%s.sock'", esc(run->path), id);
	*out = TAKE_FD(fd);
	return 0;
}

int status_start(struct status **out, const struct status_source *source, struct err *err)
{
	AUTO(status)
	status = mem_make(struct status, .source = *source, .listener = -1, .stop = -1);
	int r = listen_at(&status->listener, &source->plan->run, source->plan->id.text, err);
	if (r < 0)
		return r;
	status->stop = eventfd(0, EFD_CLOEXEC);
	if (status->stop < 0)
		return err_sys(err, "make an event");
	int code = pthread_create(&status->thread, NULL, serve, status);
	if (code != 0)
		return err_errno(err, code, "start a thread");
	status->started = true;
	*out = TAKE(status);
	return 0;
}

void status_free(struct status *status)
{
	if (!status)
		return;
	if (status->started) {
		(void)eventfd_write(status->stop, 1);
		(void)pthread_join(status->thread, NULL);
	}
	mem_close_fd(&status->listener);
	mem_close_fd(&status->stop);
	free(status);
}

int status_ask(const struct run_dir *run, const char *id, char **json, size_t *size,
	       struct err *err)
{
	struct sockaddr_un address = address_of(run, id);
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "make a socket");
	set_timeouts(fd);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_set(err, EAGAIN, "its daemon does not answer");
	auto_free char *text = NULL;
	int r = io_read_all(fd, STATUS_MAX_BYTES, &text, size, err);
	if (r < 0 || *size == 0)
		return err_set(err, EAGAIN, "its daemon does not answer");
	*json = TAKE(text);
	return 0;
}
