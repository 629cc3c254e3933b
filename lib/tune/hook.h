/* hook.h - a program of the user's that is run when something happens: FILE EVENT, with the state as JSON on its standard input. */
#ifndef FT_TUNE_HOOK_H
#define FT_TUNE_HOOK_H

#include <stddef.h>

/* Can it be run? FT_USAGE. */
int ft_hook_check(const char *path);

/* Run it and wait for its end. No shell takes part; what it writes to its standard output goes to ours for errors. -1: it could not be started,
 * or did not end with status 0. */
int ft_hook_run(const char *path, const char *event, const char *state, size_t size);

#endif
