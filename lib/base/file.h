/* file.h - whole files in, whole files out.
 *
 * A result appears under its name only when it is complete: it is written to "NAME.tmp-PID" beside it, synced,
 * renamed, and the directory synced. */
#ifndef FT_BASE_FILE_H
#define FT_BASE_FILE_H

#include "base/memory.h"

#include <stdbool.h>

/* The file's bytes plus a null byte past them, from the arena. Errors name the path; more than `limit` bytes is FT_BAD. */
char *ft_file_read(struct ft_arena *arena, const char *path, size_t limit, size_t *size);

/* Map read-only; an empty file gives data "" and size 0. ft_file_unmap undoes it. */
int ft_file_map(const char *path, const void **data, size_t *size);
void ft_file_unmap(const void *data, size_t size);

/* Complete replacement of `path`. */
int ft_file_write(const char *path, const void *data, size_t size);

/* The same in steps: open gives a descriptor and fills `temporary` (at least 4096 bytes); commit syncs, closes, renames. */
int ft_file_begin(const char *path, char *temporary);
int ft_file_commit(int fd, const char *temporary, const char *path);
void ft_file_abandon(int fd, const char *temporary);

int ft_write_all(int fd, const void *data, size_t size);   /* EINTR and short writes handled; errno kept */
bool ft_file_exists(const char *path);
bool ft_directory_exists(const char *path);
int ft_directory_make(const char *path);                   /* with its parents; existing is fine */
int ft_directory_sync(const char *path);
int ft_directory_remove(const char *path);                 /* with its contents; absent is fine; links are not followed */

#endif
