/*
 * E. W. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986), the greedy form with the
 * furthest points of each step kept to walk back on.  What is equal at both ends is taken off
 * before; more steps than STEPS_MAX are not tried: what is left in the middle is then replaced.
 */
#include "cmd/text-diff.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/siphash.h"

#define STEPS_MAX 2000 /* memory: 4 * STEPS_MAX^2 bytes */
#define LOOKED_AT_BYTES 8000u

struct line {
	const char *at; /* borrowed; without the newline */
	size_t size;
	uint64_t hash;
	bool ended; /* by a newline */
	bool changed;
};

struct lines {
	struct line *all; /* owned */
	int64_t count;
};

static void lines_release(struct lines *lines)
{
	free(lines->all);
}

bool text_is_text(const struct text *text)
{
	size_t n = text->size < LOOKED_AT_BYTES ? text->size : LOOKED_AT_BYTES;
	return n == 0 || !memchr(text->data, '\0', n);
}

static size_t count_lines(const struct text *text)
{
	size_t count = 0;
	const char *at = text->data, *end = at + text->size;
	while (text->size > 0 && at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		at = newline ? newline + 1 : end;
		count++;
	}
	return count;
}

static int split(struct lines *out, const struct text *text, struct err *err)
{
	size_t count = count_lines(text);
	void *memory = NULL;
	if (count > TEXT_DIFF_LINES_MAX)
		return err_set(err, E2BIG, "more than %u lines", TEXT_DIFF_LINES_MAX);
	int r = mem_try(&memory, count + 1, sizeof(struct line), err);
	if (r < 0)
		return r;
	out->all = memory;
	out->count = (int64_t)count;
	const char *at = text->data;
	for (size_t i = 0; i < count; i++) {
		size_t left = (size_t)(text->data + text->size - at);
		const char *newline = memchr(at, '\n', left);
		size_t size = newline ? (size_t)(newline - at) : left;
		out->all[i] = (struct line){ at, size, siphash(at, size), newline != NULL, false };
		at += size + 1;
	}
	return 0;
}

static bool same(const struct line *x, const struct line *y)
{
	return x->hash == y->hash && x->size == y->size && x->ended == y->ended &&
	       memcmp(x->at, y->at, x->size) == 0;
}

/* --- which lines are changed --- */

/* What is left between the equal ends. */
struct middle {
	struct line *a, *b; /* borrowed */
	int64_t m, n;
	int32_t *steps[STEPS_MAX + 1]; /* owned; of step d: furthest x on diagonals -d .. d */
};

static void middle_release(struct middle *middle)
{
	for (size_t i = 0; i <= STEPS_MAX; i++)
		free(middle->steps[i]);
	free(middle);
}

static int32_t *row_of(struct middle *middle, int64_t d)
{
	return middle->steps[d] + d;
}

/* Where step D on diagonal K begins: one down (a line of b) or one right (a line of a). */
static bool goes_down(struct middle *middle, int64_t d, int64_t k)
{
	const int32_t *before = row_of(middle, d - 1);
	return k == -d || (k != d && before[k - 1] < before[k + 1]);
}

static int64_t follow(const struct middle *middle, int64_t x, int64_t k)
{
	while (x < middle->m && x - k < middle->n && same(&middle->a[x], &middle->b[x - k]))
		x++;
	return x;
}

/* The furthest points of step D; true when one is the end. */
static bool take_step(struct middle *middle, int64_t d)
{
	middle->steps[d] = mem_new((size_t)(2 * d + 1) * sizeof(int32_t));
	int32_t *now = row_of(middle, d);
	for (int64_t k = -d; k <= d; k += 2) {
		int64_t x = 0;
		if (d > 0) {
			const int32_t *before = row_of(middle, d - 1);
			x = goes_down(middle, d, k) ? before[k + 1] : before[k - 1] + 1;
		}
		x = x <= middle->m ? follow(middle, x, k) : x;
		now[k] = (int32_t)x;
		if (x == middle->m && x - k == middle->n)
			return true;
	}
	return false;
}

static void walk_back(struct middle *middle, int64_t d)
{
	int64_t x = middle->m, y = middle->n;
	for (; d > 0; d--) {
		int64_t k = x - y;
		bool down = goes_down(middle, d, k);
		const int32_t *before = row_of(middle, d - 1);
		x = down ? before[k + 1] : before[k - 1];
		y = down ? x - (k + 1) : x - (k - 1);
		if (down)
			middle->b[y].changed = true;
		else
			middle->a[x].changed = true;
	}
}

static void mark_all(struct line *lines, int64_t count)
{
	for (int64_t i = 0; i < count; i++)
		lines[i].changed = true;
}

static void mark_middle(struct line *a, int64_t m, struct line *b, int64_t n)
{
	struct middle *middle = mem_make(struct middle, .a = a, .b = b, .m = m, .n = n);
	int64_t d = 0;
	while (d <= STEPS_MAX && !take_step(middle, d))
		d++;
	if (d <= STEPS_MAX) {
		walk_back(middle, d);
	} else {
		mark_all(a, m);
		mark_all(b, n);
	}
	middle_release(middle);
}

static void mark_changes(struct lines *a, struct lines *b)
{
	int64_t first = 0, m = a->count, n = b->count;
	while (first < m && first < n && same(&a->all[first], &b->all[first]))
		first++;
	while (m > first && n > first && same(&a->all[m - 1], &b->all[n - 1])) {
		m--;
		n--;
	}
	if (m > first || n > first)
		mark_middle(a->all + first, m - first, b->all + first, n - first);
}

/* --- hunks --- */

struct hunk {
	int64_t a, b;	      /* where it begins */
	int64_t a_end, b_end; /* behind its last line */
};

static bool changed(const struct lines *lines, int64_t i)
{
	return i < lines->count && lines->all[i].changed;
}

/* Move past changed lines, and past equal ones when there are few before the next change. */
static bool find_hunk(const struct lines *a, const struct lines *b, struct hunk *hunk)
{
	int64_t i = hunk->a_end, j = hunk->b_end, quiet = 0;
	while (i < a->count && j < b->count && !changed(a, i) && !changed(b, j)) {
		i++;
		j++;
	}
	if (i >= a->count && j >= b->count)
		return false;
	int64_t lead = i - hunk->a_end;
	lead = lead < (int64_t)TEXT_DIFF_CONTEXT ? lead : (int64_t)TEXT_DIFF_CONTEXT;
	hunk->a = i - lead;
	hunk->b = j - lead;
	while ((i < a->count || j < b->count) && quiet <= 2 * (int64_t)TEXT_DIFF_CONTEXT) {
		bool x = changed(a, i), y = changed(b, j);
		quiet = x || y ? 0 : quiet + 1;
		i += x || !y;
		j += y || !x;
	}
	int64_t extra = quiet > (int64_t)TEXT_DIFF_CONTEXT ? quiet - (int64_t)TEXT_DIFF_CONTEXT : 0;
	hunk->a_end = i - extra;
	hunk->b_end = j - extra;
	return true;
}

static void say_line(const struct text_diff_options *options, char mark, const struct line *line)
{
	static const char none[] = " No newline at end of file";
	options->line(options->arg, mark, line->at, line->size);
	if (!line->ended)
		options->line(options->arg, '\\', none, strlen(none));
}

/* As diff writes it: an empty range begins at the line before it. */
static void say_head(const struct text_diff_options *options, const struct hunk *hunk)
{
	char head[128], range[2][48];
	const int64_t starts[] = { hunk->a, hunk->b };
	const int64_t counts[] = { hunk->a_end - hunk->a, hunk->b_end - hunk->b };
	for (int i = 0; i < 2; i++) {
		long long start = (long long)starts[i] + (counts[i] > 0);
		if (counts[i] == 1)
			(void)snprintf(range[i], sizeof(range[i]), "%lld", start);
		else
			(void)snprintf(range[i], sizeof(range[i]), "%lld,%lld", start,
				       (long long)counts[i]);
	}
	int n = snprintf(head, sizeof(head), "@ -%s +%s @@", range[0], range[1]);
	options->line(options->arg, '@', head, (size_t)n);
}

static void say_hunk(const struct lines *a, const struct lines *b, const struct hunk *hunk,
		     const struct text_diff_options *options)
{
	int64_t i = hunk->a, j = hunk->b;
	say_head(options, hunk);
	while (i < hunk->a_end || j < hunk->b_end) {
		if (i < hunk->a_end && changed(a, i)) {
			say_line(options, '-', &a->all[i++]);
		} else if (j < hunk->b_end && changed(b, j)) {
			say_line(options, '+', &b->all[j++]);
		} else {
			say_line(options, ' ', &a->all[i++]);
			j++;
		}
	}
}

int text_diff(const struct text *a, const struct text *b, const struct text_diff_options *options,
	      struct err *err)
{
	__attribute__((cleanup(lines_release))) struct lines x = { 0 }, y = { 0 };
	struct hunk hunk = { 0 };
	int r = split(&x, a, err);
	if (r == 0)
		r = split(&y, b, err);
	if (r < 0)
		return r;
	mark_changes(&x, &y);
	while (find_hunk(&x, &y, &hunk))
		say_hunk(&x, &y, &hunk, options);
	return 0;
}
