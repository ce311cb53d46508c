/*
 * The progress display.  One thread looks at the counters a few times a second and writes to
 * stderr; nobody waits for it.  stderr is one for the whole process, so the display that owns it is
 * too: "screen" holds it, and report_line() goes through it, so that a line never lands in the
 * middle of a drawing.
 *
 * A drawing is erased by going up as many lines as were drawn.  When a narrower window has folded
 * old lines some of them stay behind; nothing that others wrote is ever erased.
 */
#include "term/report.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "term/lines.h"

#define POLL_MS 100	      /* also the least time between two drawings */
#define SAY_SECONDS 5.0	      /* between two plain lines of the total */
#define RATE_SECONDS 3.0      /* over which the rate is smoothed */
#define RATE_STEP_SECONDS 0.5 /* between two samples of it */
#define SCREEN_ROWS_MAX 512
#define DRAWING_MAX_BYTES (SCREEN_ROWS_MAX * (LINE_MAX_BYTES + 8))

enum style {
	STYLE_NONE,
	STYLE_TERMINAL,
	STYLE_PLAIN,
};

struct report {
	struct progress *progress; /* borrowed */
	enum style style;
	pthread_t thread;
	pthread_cond_t wake; /* with screen.mutex: stop was set */
	bool stop;
	double started;
	double said;	 /* when the last plain line was written */
	double sampled;	 /* when the rate was last looked at ... */
	uint64_t sample; /* ... and the bytes then */
	double rate;
	bool *told;   /* owned: plain: the layer's line was written */
	size_t drawn; /* terminal: lines of the drawing above the cursor */
};

static struct {
	pthread_mutex_t
		mutex; /* guards everything here and every struct report; held while writing */
	struct report *report; /* borrowed: the display that is shown, or NULL */
	double log_started;
} screen = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static double now(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void put(const struct str *text)
{
	/* nobody can be told that stderr is gone */
	(void)!fwrite(str_text(text), 1, text->length, stderr);
}

static void erase(struct report *report, struct str *out)
{
	if (report->drawn > 0)
		str_addf(out, "\r\x1b[%zuA\x1b[J", report->drawn);
	report->drawn = 0;
}

/* Bytes a second; moves slowly, so that the time left does not jump about. */
static void look_at_rate(struct report *report, const struct line_total *total)
{
	double step = total->seconds - report->sampled;
	if (step < RATE_STEP_SECONDS)
		return;
	double bytes = total->fetched_bytes > report->sample
			       ? (double)(total->fetched_bytes - report->sample)
			       : 0;
	double weight = report->rate > 0 ? step / (step + RATE_SECONDS) : 1;
	report->rate += (bytes / step - report->rate) * weight;
	report->sampled = total->seconds;
	report->sample = total->fetched_bytes;
}

static struct line_total total_of(struct report *report)
{
	struct line_total total = { .seconds = now() - report->started };
	for (size_t i = 0; i < report->progress->layer_count; i++) {
		struct line_layer layer;
		line_layer_take(&layer, &report->progress->layers[i]);
		line_total_add(&total, &layer);
	}
	look_at_rate(report, &total);
	total.rate = report->rate;
	return total;
}

static void draw_layers(struct report *report, struct str *out, size_t rows, size_t width)
{
	const struct progress *progress = report->progress;
	bool all = progress->layer_count <= rows;
	for (size_t i = 0; i < progress->layer_count && report->drawn < rows; i++) {
		struct line_layer layer;
		line_layer_take(&layer, &progress->layers[i]);
		if (!all && layer.state != LAYER_RUNNING && layer.state != LAYER_FAILED)
			continue;
		line_layer_draw(out, &layer, width);
		str_add(out, "\x1b[K\n");
		report->drawn++;
	}
}

static void draw(struct report *report)
{
	struct winsize size = { 0 };
	(void)ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
	size_t rows = size.ws_row ? size.ws_row : 24;
	/* the last column stays free: some terminals wrap as soon as it is written */
	size_t width = size.ws_col ? size.ws_col - 1u : 79;
	if (rows > SCREEN_ROWS_MAX)
		rows = SCREEN_ROWS_MAX;

	auto_str out = STR_MAX(DRAWING_MAX_BYTES);
	struct line_total total = total_of(report);
	erase(report, &out);
	draw_layers(report, &out, rows > 2 ? rows - 2 : 0, width);
	line_total_draw(&out, &total, width);
	str_add(&out, "\x1b[K\n");
	report->drawn++;
	put(&out);
}

static void say_layers(struct report *report, struct str *out)
{
	const struct progress *progress = report->progress;
	for (size_t i = 0; i < progress->layer_count; i++) {
		struct line_layer layer;
		line_layer_take(&layer, &progress->layers[i]);
		if (report->told[i] || layer.state == LAYER_WAITING || layer.state == LAYER_RUNNING)
			continue;
		report->told[i] = true;
		report->said = now();
		line_layer_say(out, &layer, i + 1, progress->layer_count);
		str_addc(out, '\n');
	}
}

static void say(struct report *report)
{
	auto_str out = STR_MAX(DRAWING_MAX_BYTES);
	struct line_total total = total_of(report);
	say_layers(report, &out);
	if (now() - report->said >= SAY_SECONDS && total.done < total.layers) {
		report->said = now();
		line_total_say(&out, &total);
		str_addc(&out, '\n');
	}
	if (out.length > 0)
		put(&out);
}

static void show(struct report *report)
{
	if (report->style == STYLE_TERMINAL)
		draw(report);
	else
		say(report);
}

static void *watch(void *arg)
{
	struct report *report = arg;
	LOCKED(&screen.mutex);
	while (!report->stop) {
		show(report);
		struct timespec until;
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += POLL_MS * 1000 * 1000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		while (!report->stop &&
		       pthread_cond_timedwait(&report->wake, &screen.mutex, &until) != ETIMEDOUT)
			;
	}
	return NULL;
}

static enum style choose_style(enum report_mode mode)
{
	if (mode != REPORT_AUTO)
		return STYLE_NONE;
	const char *term = getenv("TERM");
	bool able = term && *term && !str_equal(term, "dumb");
	return able && isatty(STDERR_FILENO) ? STYLE_TERMINAL : STYLE_PLAIN;
}

static bool start_thread(struct report *report)
{
	pthread_condattr_t attr;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&report->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	if (pthread_create(&report->thread, NULL, watch, report) == 0)
		return true;
	(void)pthread_cond_destroy(&report->wake);
	return false;
}

struct report *report_new(struct progress *progress, enum report_mode mode)
{
	struct report *report = mem_make(struct report, .progress = progress,
					 .style = choose_style(mode));
	if (report->style == STYLE_NONE)
		return report;
	report->started = now();
	report->said = report->started;
	report->told = mem_new((progress->layer_count + 1) * sizeof(bool));
	LOCKED(&screen.mutex);
	/* without a thread the image is fetched all the same, in silence */
	if (!start_thread(report))
		report->style = STYLE_NONE;
	else
		screen.report = report;
	return report;
}

static void stop_thread(struct report *report)
{
	{
		LOCKED(&screen.mutex);
		report->stop = true;
		(void)pthread_cond_signal(&report->wake);
	}
	(void)pthread_join(report->thread, NULL);
	(void)pthread_cond_destroy(&report->wake);
	LOCKED(&screen.mutex);
	show(report);
	screen.report = NULL;
}

void report_free(struct report *report)
{
	if (!report)
		return;
	if (report->style != STYLE_NONE)
		stop_thread(report);
	free(report->told);
	free(report);
}

void report_line(const char *format, ...)
{
	char line[2 * ERR_TEXT_MAX_BYTES];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);

	LOCKED(&screen.mutex);
	struct report *report = screen.report;
	bool drawn = report && report->drawn > 0;
	auto_str out = STR_MAX(sizeof(line) + LINE_MAX_BYTES);
	if (drawn)
		erase(report, &out);
	str_addf(&out, "%s\n", line);
	put(&out);
	if (drawn)
		draw(report);
}

static void log_to_screen(void *arg, const char *line)
{
	(void)arg;
	report_line("[%9.3f] %s", now() - screen.log_started, line);
}

void report_log_to_stderr(void)
{
	screen.log_started = now();
	log_set_sink(log_to_screen, NULL);
}
