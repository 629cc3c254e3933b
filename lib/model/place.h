/* place.h - a directory that appears whole or not at all. */
#ifndef FT_MODEL_PLACE_H
#define FT_MODEL_PLACE_H

#include <stdbool.h>

/* Have `make` fill a directory under another name (which it makes itself, and which is removed when it fails), then rename it to `directory`. That may
 * be there only if it is empty, or with `force` a model; a run, or anything else, is FT_USAGE. */
int ft_directory_place(const char *directory, bool force, int (*make)(const void *what, const char *ready), const void *what);

#endif
