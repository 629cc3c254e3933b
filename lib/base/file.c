/* file.c - whole files in, whole files out; a name appears only when its content is complete and synced. */
#include "base/file.h"
#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

char *ft_file_read(struct ft_arena *arena, const char *path, size_t limit, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *data = NULL;
    size_t got = 0;
    ssize_t n = 0;

    if (fd < 0 || fstat(fd, &st) < 0)
        ft_fail_errno("%s", path);
    else if (!S_ISREG(st.st_mode))
        ft_fail(FT_BAD, "%s: not a regular file", path);
    else if ((uint64_t)st.st_size > limit)
        ft_fail(FT_BAD, "%s: %lld bytes, expected at most %zu", path, (long long)st.st_size, limit);
    else if ((data = ft_arena_take(arena, (size_t)st.st_size + 1))) {
        while (got < (size_t)st.st_size && (n = read(fd, data + got, (size_t)st.st_size - got)) != 0) {
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                break;
            got += (size_t)n;
        }
        data[got] = '\0';
        if (n < 0) {
            ft_fail_errno("%s", path);
            data = NULL;
        }
    }
    if (fd >= 0)
        close(fd);
    *size = got;
    return data;
}

int ft_file_map(const char *path, const void **data, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), result = -1;
    struct stat st;
    void *map;

    if (fd < 0 || fstat(fd, &st) < 0) {
        ft_fail_errno("%s", path);
    } else if (!S_ISREG(st.st_mode)) {
        ft_fail(FT_BAD, "%s: not a regular file", path);
    } else if (st.st_size == 0) {
        *data = "";
        *size = 0;
        result = 0;
    } else if ((map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED) {
        ft_fail_errno("%s", path);
    } else {
        *data = map;
        *size = (size_t)st.st_size;
        result = 0;
    }
    if (fd >= 0)
        close(fd);
    return result;
}

void ft_file_unmap(const void *data, size_t size)
{
    if (size)
        munmap((void *)data, size);
}

int ft_write_all(int fd, const void *data, size_t size)
{
    const char *p = data;
    ssize_t n;

    while (size) {
        n = write(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

int ft_file_begin(const char *path, char *temporary)
{
    int fd, length = snprintf(temporary, PATH_SIZE, "%s.tmp-%ld", path, (long)getpid());

    if (length < 0 || length >= PATH_SIZE)
        return ft_fail(FT_USAGE, "%s: path too long", path);
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0)
        return ft_fail_errno("%s", temporary);
    return fd;
}

/* The directory that holds `path`. */
static void parent_of(const char *path, char *parent)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        snprintf(parent, PATH_SIZE, ".");
    else if (slash == path)
        snprintf(parent, PATH_SIZE, "/");
    else
        snprintf(parent, PATH_SIZE, "%.*s", (int)(slash - path), path);
}

int ft_directory_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;

    if (fd < 0)
        return ft_fail_errno("%s", path);
    if (fsync(fd) < 0 && errno != EINVAL)   /* some file systems cannot sync a directory */
        result = ft_fail_errno("%s", path);
    close(fd);
    return result;
}

int ft_file_commit(int fd, const char *temporary, const char *path)
{
    char parent[PATH_SIZE];
    int bad = fsync(fd) < 0 && errno != EINVAL;

    if (close(fd) < 0 || bad || rename(temporary, path) < 0) {
        ft_fail_errno("%s", path);
        unlink(temporary);
        return -1;
    }
    parent_of(path, parent);
    return ft_directory_sync(parent);
}

void ft_file_abandon(int fd, const char *temporary)
{
    close(fd);
    unlink(temporary);
}

int ft_file_write(const char *path, const void *data, size_t size)
{
    char temporary[PATH_SIZE];
    int fd = ft_file_begin(path, temporary);

    if (fd < 0)
        return -1;
    if (ft_write_all(fd, data, size) < 0) {
        ft_fail_errno("%s", path);
        ft_file_abandon(fd, temporary);
        return -1;
    }
    return ft_file_commit(fd, temporary, path);
}

bool ft_file_exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

bool ft_directory_exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int ft_directory_make(const char *path)
{
    char part[PATH_SIZE];
    size_t size = strlen(path);

    if (size >= sizeof part)
        return ft_fail(FT_USAGE, "%s: path too long", path);
    for (size_t i = 1; i <= size; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) < 0 && !(errno == EEXIST && ft_directory_exists(part)))
            return ft_fail_errno("%s", part);
    }
    return 0;
}

static int remove_at(int parent, const char *name)
{
    struct dirent *entry;
    int fd, result = 0;
    DIR *directory;

    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -1;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (!(directory = fdopendir(fd))) {
        close(fd);
        return -1;
    }
    while (result == 0 && (entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = remove_at(fd, entry->d_name);
    closedir(directory);
    return result < 0 ? -1 : unlinkat(parent, name, AT_REMOVEDIR);
}

int ft_directory_remove(const char *path)
{
    return remove_at(AT_FDCWD, path) < 0 ? ft_fail_errno("%s", path) : 0;
}
