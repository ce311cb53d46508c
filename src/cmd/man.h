/* Manual pages (man(7)) made from the tables that --help and the parser read. */
#pragma once

#include <stdio.h>

#include "cmd/cmd.h"

/* rootlet(1): all commands, how images are named, exit statuses, the environment. */
void man_all(FILE *out, const struct commands *commands);
/* rootlet-COMMAND(1) */
void man_command(FILE *out, const struct command *command);
