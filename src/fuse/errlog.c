/* A ring of lines and a file that is appended to by the supervisor and its daemon. */
#include "fuse/errlog.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

struct errlog {
	int fd; /* owned, or -1 */
	void (*echo)(void *arg, const char *text);
	void *arg;
	pthread_mutex_t mutex; /* guards the following */
	struct errlog_line lines[ERRLOG_KEPT];
	uint64_t count; /* ever; line i is at i % ERRLOG_KEPT */
};

struct errlog *errlog_new(const struct run_dir *run, const char *id,
			  void (*echo)(void *arg, const char *text), void *arg)
{
	struct errlog *log = mem_make(struct errlog, .fd = -1, .echo = echo, .arg = arg);
	(void)pthread_mutex_init(&log->mutex, NULL);
	auto_free char *path = run_dir_path(run, id, "log");
	log->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return log;
}

void errlog_free(struct errlog *log)
{
	if (!log)
		return;
	mem_close_fd(&log->fd);
	(void)pthread_mutex_destroy(&log->mutex);
	free(log);
}

void errlog_trim(struct errlog *log)
{
	struct stat st;
	if (log->fd >= 0 && fstat(log->fd, &st) == 0 && st.st_size > ERRLOG_FILE_MAX_BYTES)
		IGNORE(ftruncate(log->fd, 0));
}

static void write_line(struct errlog *log, time_t now, const char *text)
{
	if (log->fd < 0)
		return;
	errlog_trim(log);
	struct tm tm;
	char time_text[40] = "";
	if (gmtime_r(&now, &tm))
		(void)strftime(time_text, sizeof(time_text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	auto_str line = STR_MAX(ERR_TEXT_MAX_BYTES + 128);
	str_addf(&line, "%s [%d] %s\n", time_text, (int)getpid(), text);
	IGNORE(io_write_all(log->fd, str_text(&line), line.length, NULL));
}

void errlog_add(struct errlog *log, const char *text)
{
	time_t now = time(NULL);
	{
		LOCKED(&log->mutex);
		struct errlog_line *line = &log->lines[log->count++ % ERRLOG_KEPT];
		line->time_s = now;
		size_t length = utf8_cut(text, strnlen(text, ERRLOG_LINE_BYTES - 1));
		memcpy(line->text, text, length);
		line->text[length] = '\0';
	}
	write_line(log, now, text);
	if (log->echo)
		log->echo(log->arg, text);
}

void errlog_addf(struct errlog *log, const char *format, ...)
{
	char text[ERR_TEXT_MAX_BYTES];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	errlog_add(log, text);
}

size_t errlog_last(struct errlog *log, struct errlog_line *out)
{
	LOCKED(&log->mutex);
	size_t kept = log->count < ERRLOG_KEPT ? (size_t)log->count : ERRLOG_KEPT;
	for (size_t i = 0; i < kept; i++)
		out[i] = log->lines[(log->count - kept + i) % ERRLOG_KEPT];
	return kept;
}

void errlog_take_stderr(struct errlog *log)
{
	if (log->fd >= 0)
		(void)dup2(log->fd, STDERR_FILENO);
}
