/* Values of find's tests, as find(1) writes them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* How a number is compared: +N more, -N less, N exactly. */
enum find_order { FIND_EXACT, FIND_MORE, FIND_LESS };

struct find_number {
	enum find_order order;
	uint64_t value;
	uint64_t unit; /* bytes; sizes are rounded up to it before they are compared */
};
/* "+3"; false when TEXT is none. */
bool find_parse_number(struct find_number *out, const char *text);
/* "+10M": b (512, also without a letter), c, w, k, M, G. */
bool find_parse_size(struct find_number *out, const char *text);
bool find_number_holds(const struct find_number *number, uint64_t value);

/* Permission bits: exactly (0644, u=rw,g=r), all of them (-4000, -u+s), any of them (/6000). */
enum find_perm_kind { FIND_PERM_EXACT, FIND_PERM_ALL, FIND_PERM_ANY };
struct find_perm {
	enum find_perm_kind kind;
	uint32_t bits;
};
bool find_parse_perm(struct find_perm *out, const char *text);
bool find_perm_holds(const struct find_perm *perm, uint32_t mode);

/*
 * A moment: @SECONDS, YYYY-MM-DD, or that and [T ]HH:MM[:SS][Z], in the local time zone without Z.
 * False when TEXT is none.
 */
bool find_parse_time(int64_t *seconds, const char *text);
