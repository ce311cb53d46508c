/*
 * The steps of Concourse's resource protocol: JSON on stdin and stdout, words for people on stderr.
 * argv[0] is the step's name, argv[1] the directory of in and out.  They return exit statuses
 * (docs/exit-status.md).  docs/concourse.md is the user's page.
 */
#pragma once

int resource_check(int argc, char **argv);
int resource_in(int argc, char **argv);
int resource_out(int argc, char **argv);
