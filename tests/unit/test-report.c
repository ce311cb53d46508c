/* The progress display on a real terminal (a pty) and without one (a pipe). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "term/report.h"

#define SEEN_MAX_BYTES 200000

/* stderr turned into something we read; everything seen is collected. */
struct watched {
	int saved, in;
	pthread_t thread;
	char seen[SEEN_MAX_BYTES];
	size_t length;
};

static void *collect(void *arg)
{
	struct watched *w = arg;
	for (;;) {
		ssize_t n = read(w->in, w->seen + w->length, SEEN_MAX_BYTES - 1 - w->length);
		if (n <= 0)
			return NULL;
		w->length += (size_t)n;
	}
}

static struct watched *watch_stderr(unsigned short rows, unsigned short columns)
{
	struct watched *w = mem_new(sizeof(*w));
	int out;
	if (columns) {
		struct winsize size = { .ws_row = rows, .ws_col = columns };
		assert_int_equal(openpty(&w->in, &out, NULL, NULL, &size), 0);
	} else {
		int fds[2];
		assert_int_equal(pipe(fds), 0);
		w->in = fds[0];
		out = fds[1];
	}
	w->saved = dup(STDERR_FILENO);
	assert_true(dup2(out, STDERR_FILENO) >= 0);
	close(out);
	assert_int_equal(pthread_create(&w->thread, NULL, collect, w), 0);
	return w;
}

/* Puts stderr back; what was seen is complete then. */
static void unwatch(struct watched *w)
{
	assert_true(dup2(w->saved, STDERR_FILENO) >= 0);
	close(w->saved);
	assert_int_equal(pthread_join(w->thread, NULL), 0);
	close(w->in);
}

static void nap(unsigned ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
	(void)nanosleep(&t, NULL);
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;
	for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
		n++;
	return n;
}

/* What a terminal of that many columns shows in the end; rows that scrolled away included. */
static void replay(const char *seen, char (*rows)[128], size_t row_count)
{
	size_t row = 0, column = 0;
	for (const char *p = seen; *p; p++) {
		size_t up;
		char end;
		int used = 0;
		if (sscanf(p, "\x1b[%zu%c%n", &up, &end, &used) == 2 && end == 'A') {
			assert_true(up <= row);
			row -= up;
			p += used - 1;
		} else if (strncmp(p, "\x1b[J", 3) == 0) {
			for (size_t i = row; i < row_count; i++)
				memset(rows[i], 0, 128);
			p += 2;
		} else if (strncmp(p, "\x1b[K", 3) == 0) {
			p += 2;
		} else if (*p == '\n') {
			assert_true(++row < row_count);
		} else if (*p == '\r') {
			column = 0;
		} else {
			assert_true(column < 127);
			rows[row][column++] = *p;
		}
	}
}

static void set(struct layer_progress *layer, enum layer_state state, uint64_t fetched)
{
	atomic_store(&layer->fetched_bytes, fetched);
	atomic_store(&layer->state, state);
}

#define LAYERS 40
static struct layer_progress layers[LAYERS];

static struct progress some_layers(size_t n)
{
	memset(layers, 0, sizeof(layers));
	for (size_t i = 0; i < n; i++) {
		digest_of(&layers[i].digest, DIGEST_SHA256, &i, sizeof(i));
		layers[i].total_bytes = 1000;
	}
	return (struct progress){ .layers = layers, .layer_count = n };
}

static void test_a_terminal_keeps_the_last_drawing(void **state)
{
	(void)state;
	setenv("TERM", "xterm", 1);
	struct watched *w = watch_stderr(24, 80);
	struct progress progress = some_layers(2);
	set(&layers[0], LAYER_RUNNING, 500);
	struct report *report = report_new(&progress, REPORT_AUTO);
	nap(350);
	report_line("a word between");
	set(&layers[0], LAYER_DONE, 1000);
	set(&layers[1], LAYER_DONE, 1000);
	nap(150);
	report_free(report);
	unwatch(w);

	static char rows[200][128];
	memset(rows, 0, sizeof(rows));
	replay(w->seen, rows, 200);
	assert_string_equal(rows[0], "a word between");
	assert_non_null(strstr(rows[1], " done, 1000 B"));
	assert_non_null(strstr(rows[2], " done, 1000 B"));
	assert_int_equal(strncmp(rows[3], "2/2 layers", 10), 0);
	assert_string_equal(rows[4], "");
	/* 0.5 s at ten drawings a second, one for the line and one at the end */
	assert_in_range(count(w->seen, "layers"), 4, 9);
	free(w);
}

static void test_more_layers_than_rows_shows_the_running_ones(void **state)
{
	(void)state;
	setenv("TERM", "xterm", 1);
	struct watched *w = watch_stderr(8, 40);
	struct progress progress = some_layers(LAYERS);
	set(&layers[0], LAYER_DONE, 1000);
	for (size_t i = 10; i < 20; i++)
		set(&layers[i], LAYER_RUNNING, 10);
	report_free(report_new(&progress, REPORT_AUTO));
	unwatch(w);

	static char rows[200][128];
	memset(rows, 0, sizeof(rows));
	replay(w->seen, rows, 200);
	for (size_t i = 0; i < 6; i++) {
		assert_non_null(strstr(rows[i], " 10 B / 1000 B"));
		assert_true(strlen(rows[i]) < 40);
	}
	assert_int_equal(strncmp(rows[6], "1/40 layers", 11), 0);
	assert_string_equal(rows[7], "");
	free(w);
}

static void test_without_a_terminal_each_layer_is_one_plain_line(void **state)
{
	(void)state;
	setenv("TERM", "xterm", 1);
	struct watched *w = watch_stderr(0, 0);
	struct progress progress = some_layers(3);
	struct report *report = report_new(&progress, REPORT_AUTO);
	set(&layers[1], LAYER_DONE, 1000);
	nap(250);
	report_line("a word between");
	set(&layers[0], LAYER_DONE, 1000);
	report_free(report);
	unwatch(w);

	assert_int_equal(count(w->seen, "\n"), 3);
	assert_int_equal(count(w->seen, "\x1b"), 0);
	const char *second = strstr(w->seen, "layer 2/3 ");
	const char *word = strstr(w->seen, "a word between\n");
	const char *first = strstr(w->seen, "layer 1/3 ");
	assert_non_null(first);
	assert_true(second && word && second < word && word < first);
	free(w);
}

static void test_a_dumb_terminal_gets_plain_lines(void **state)
{
	(void)state;
	setenv("TERM", "dumb", 1);
	struct watched *w = watch_stderr(24, 80);
	struct progress progress = some_layers(1);
	set(&layers[0], LAYER_DONE, 1000);
	report_free(report_new(&progress, REPORT_AUTO));
	unwatch(w);
	assert_int_equal(count(w->seen, "\x1b"), 0);
	assert_int_equal(count(w->seen, "layer 1/1 "), 1);
	free(w);
}

static void test_quiet_and_log_modes_draw_nothing(void **state)
{
	(void)state;
	struct watched *w = watch_stderr(0, 0);
	struct progress progress = some_layers(1);
	set(&layers[0], LAYER_DONE, 1000);
	report_free(report_new(&progress, REPORT_QUIET));
	report_free(report_new(&progress, REPORT_LOG));
	report_free(NULL);
	assert_int_equal(w->length, 0);
	report_log_to_stderr();
	log_debug("asked %s", "once");
	log_set_sink(NULL, NULL);
	log_debug("never shown");
	unwatch(w);
	assert_non_null(strstr(w->seen, "] asked once\n"));
	assert_null(strstr(w->seen, "never"));
	free(w);
}

static void *talk(void *arg)
{
	for (int i = 0; i < 200; i++)
		report_line("line %s %d.", (const char *)arg, i);
	return NULL;
}

static void test_lines_of_many_threads_stay_whole(void **state)
{
	(void)state;
	struct watched *w = watch_stderr(0, 0);
	pthread_t threads[4];
	char names[4][2] = { "a", "b", "c", "d" };
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, talk, names[i]), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	unwatch(w);
	size_t lines = 0;
	for (char *line = w->seen; *line; lines++) {
		char *end = strchr(line, '\n');
		assert_non_null(end);
		assert_true(strncmp(line, "line ", 5) == 0 && end[-1] == '.');
		line = end + 1;
	}
	assert_int_equal(lines, 800);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_terminal_keeps_the_last_drawing),
		cmocka_unit_test(test_more_layers_than_rows_shows_the_running_ones),
		cmocka_unit_test(test_without_a_terminal_each_layer_is_one_plain_line),
		cmocka_unit_test(test_a_dumb_terminal_gets_plain_lines),
		cmocka_unit_test(test_quiet_and_log_modes_draw_nothing),
		cmocka_unit_test(test_lines_of_many_threads_stay_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
