/*
 * Standard output of the commands that look into images, and the one way a name gets there: escaped
 * as esc.h does it, so that no name can drive a terminal, or raw with a NUL behind it (-0).
 *
 * What is our own (numbers, fixed words) is written with fprintf to print_file().  A reader that
 * went away ends the program by SIGPIPE, quietly, as it ends other tools; any other failure is kept
 * for print_check and print_finish.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

struct print;

/* RAW: names as they are, print_end writes a NUL (-0).  One at a time; nothing else may use stdout
 * meanwhile.  Buffered, by lines on a terminal. */
struct print *print_new(bool raw);
void print_free(struct print *print); /* accepts NULL */
DEFINE_AUTO(print)

FILE *print_file(struct print *print); /* borrowed */
bool print_is_terminal(const struct print *print);
/* Columns of the terminal ($COLUMNS before what it says); 80 where there is none. */
unsigned print_columns(const struct print *print);

/* A name or path of an image: escaped, unless raw. */
void print_name(struct print *print, const char *name);
/* Any other text that is not ours (a link's target, a command of the history): always escaped. */
void print_text(struct print *print, const char *text);
/* The end of an entry: a newline, or a NUL when raw. */
void print_end(struct print *print);
/* A whole line made in a str (JSON), as it is, and a newline. */
void print_line(struct print *print, const struct str *line);

/* Has a write failed?  Asked now and then by what prints much. */
MUST_USE int print_check(struct print *print, struct err *err);
/* All of it is on its way; the last call before print_free. */
MUST_USE int print_finish(struct print *print, struct err *err);

/* Columns NAME takes on a terminal when print_name has written it. */
size_t print_width(const char *name);

/*
 * KEY with NAME as a member of a JSON object, without a comma: "path":"etc/passwd".  What is not
 * UTF-8 becomes U+FFFD in it, and the exact bytes follow: "path":"a\ufffd","path_base64":"Yf8=".
 * Hidden characters are written as \uNNNN.
 */
void print_json_name(struct str *out, const char *key, const char *name);
/* The same for SIZE bytes that may hold NUL: those are written as \u0000. */
void print_json_bytes(struct str *out, const char *key, const char *data, size_t size);
/* TEXT as a JSON string, likewise, without the bytes. */
void print_json_text(struct str *out, const char *text);

/* A size as ls -h and du -h show it: 812, 1.3K, 45M (rounded up). */
struct print_size {
	char text[24];
};
struct print_size print_human(uint64_t bytes);
