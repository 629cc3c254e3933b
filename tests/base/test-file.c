/* test-file.c - whole files in and out: complete under their name or not there; directories made and removed. */
#include "base/error.h"
#include "base/file.h"
#include "../tap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct ft_arena arena;
static char place[] = "/tmp/ft-test-file-XXXXXX";

static const char *in(const char *name)
{
    return ft_arena_print(&arena, "%s/%s", place, name);
}

static bool failed(int result, enum ft_status status, const char *message)
{
    if (result < 0 && ft_error_status() == status && strstr(ft_error(), message))
        return true;
    printf("# result %d, status %d, message %s\n", result, (int)ft_error_status(), ft_error());
    return false;
}

static int entries(void)
{
    FILE *list = popen(ft_arena_print(&arena, "ls -A '%s' | wc -l", place), "r");
    int count = -1;

    if (list && fscanf(list, "%d", &count) != 1)
        count = -1;
    if (list)
        pclose(list);
    return count;
}

static void check_read(void)
{
    size_t size = 99;
    char *text;

    ok(ft_file_write(in("a"), "one\0two", 7) == 0, "a file is written");
    text = ft_file_read(&arena, in("a"), 7, &size);
    ok(text && size == 7 && memcmp(text, "one\0two\0", 8) == 0, "and read, with a null byte past its end");
    ok(!ft_file_read(&arena, in("a"), 6, &size) && failed(-1, FT_BAD, "7 bytes, expected at most 6"), "a limit is kept");
    ok(!ft_file_read(&arena, in("none"), 9, &size) && failed(-1, FT_SYSTEM, "none: No such file"), "an absent file is named");
    ok(!ft_file_read(&arena, place, 9, &size) && failed(-1, FT_BAD, "not a regular file"), "a directory is no file");
    ft_file_write(in("a"), "", 0);
    text = ft_file_read(&arena, in("a"), 0, &size);
    ok(text && size == 0 && *text == '\0', "an empty file is empty text");
}

static void check_map(void)
{
    const void *data;
    size_t size;

    ft_file_write(in("a"), "mapped", 6);
    ok(ft_file_map(in("a"), &data, &size) == 0 && size == 6 && memcmp(data, "mapped", 6) == 0, "mapped");
    ft_file_unmap(data, size);
    ft_file_write(in("a"), "", 0);
    ok(ft_file_map(in("a"), &data, &size) == 0 && size == 0, "an empty file too");
    ft_file_unmap(data, size);
    ok(failed(ft_file_map(in("none"), &data, &size), FT_SYSTEM, "none: No such file"), "an absent one not");
    ok(failed(ft_file_map(place, &data, &size), FT_BAD, "not a regular file"), "nor a directory");
}

static void check_replace(void)
{
    char temporary[4096], *text;
    size_t size;
    int fd, before = entries();

    ft_file_write(in("a"), "old", 3);
    fd = ft_file_begin(in("a"), temporary);
    ok(fd >= 0 && ft_write_all(fd, "new, longer", 11) == 0, "a replacement is begun");
    text = ft_file_read(&arena, in("a"), 100, &size);
    is_text(text, "old", "while the old file stands");
    ok(ft_file_commit(fd, temporary, in("a")) == 0, "and committed");
    text = ft_file_read(&arena, in("a"), 100, &size);
    is_text(text, "new, longer", "the new one");
    fd = ft_file_begin(in("a"), temporary);
    ft_write_all(fd, "x", 1);
    ft_file_abandon(fd, temporary);
    text = ft_file_read(&arena, in("a"), 100, &size);
    is_text(text, "new, longer", "an abandoned one changes nothing");
    ok(entries() == before, "and no temporary file is left");
    ok(failed(ft_file_write(in("none/a"), "x", 1), FT_SYSTEM, "none/a"), "no directory to write in");
    ok(ft_directory_make(in("dir")) == 0 && failed(ft_file_write(in("dir"), "x", 1), FT_SYSTEM, "dir: Is a directory"),
       "a directory is not replaced");
    ok(symlink(in("elsewhere"), ft_arena_print(&arena, "%s.tmp-%ld", in("trap"), (long)getpid())) == 0 &&
       ft_file_write(in("trap"), "x", 1) < 0 && !ft_file_exists(in("elsewhere")), "a link laid in the temporary file's place is not followed");
}

/* In a child: a disk that is full after 1,000 bytes. */
static void check_full(void)
{
    static char data[5000];
    int before = entries(), status = -1;
    pid_t child = fork();

    if (child == 0) {
        struct rlimit limit = {1000, 1000};

        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        _exit(ft_file_write(in("full"), data, sizeof data) < 0 && ft_error_status() == FT_SYSTEM &&
              strstr(ft_error(), "full: File too large") ? 0 : 1);
    }
    waitpid(child, &status, 0);
    ok(status == 0, "a full disk is an error that names the file");
    ok(!ft_file_exists(in("full")) && entries() == before, "and leaves nothing");
}

static void check_directories(void)
{
    ok(ft_directory_make(in("x/y/z")) == 0 && ft_directory_exists(in("x/y/z")), "a directory with its parents");
    ok(ft_directory_make(in("x/y")) == 0 && ft_directory_make(in("x/y/")) == 0, "one that is there");
    ft_file_write(in("x/y/file"), "1", 1);
    ok(failed(ft_directory_make(in("x/y/file/z")), FT_SYSTEM, "x/y/file"), "a file in the way is named");
    ok(!ft_directory_exists(in("x/y/file")) && ft_file_exists(in("x/y/file")), "a file is no directory");
    ft_file_write(in("precious"), "1", 1);
    ok(symlink(in("precious"), in("x/y/link")) == 0 && symlink(in("dir"), in("x/y/way")) == 0, "links lie in it");
    ft_file_write(in("dir/inside"), "1", 1);
    ok(ft_directory_remove(in("x")) == 0 && !ft_file_exists(in("x")), "a directory is removed with what it holds");
    ok(ft_file_exists(in("precious")) && ft_file_exists(in("dir/inside")), "but not what its links lead to");
    ok(ft_directory_remove(in("x")) == 0, "removing what is not there");
    ok(ft_directory_remove(in("precious")) == 0 && !ft_file_exists(in("precious")), "a file is removed likewise");
    ok(ft_directory_sync(place) == 0 && failed(ft_directory_sync(in("x")), FT_SYSTEM, "x: No such file"), "a directory is synced if it is there");
}

static void check_long(void)
{
    char path[5000], temporary[4096];

    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    ok(failed(ft_file_begin(path, temporary), FT_USAGE, "ppp"), "a path that is too long");
    ok(failed(ft_directory_make(path), FT_USAGE, "ppp"), "of a directory too");
}

int main(void)
{
    if (!mkdtemp(place))
        return 1;
    check_read();
    check_map();
    check_replace();
    check_full();
    check_directories();
    check_long();
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
