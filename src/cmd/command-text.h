/* The commands of an image's history as people wrote them. */
#pragma once

#include "base/str.h"
#include "oci/config.h"

/*
 * The command of STEP (NULL: none), escaped, on one line, without what builders put around it:
 * "/bin/sh -c #(nop) CMD x" is "CMD x", "/bin/sh -c x" is "RUN x".
 */
void command_text(struct str *out, const struct config_step *step);
/* Shorten escaped text to COLUMNS of a terminal, with "..." at the end. */
void command_cut(struct str *text, size_t columns);
