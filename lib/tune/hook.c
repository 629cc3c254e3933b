/* hook.c - posix_spawn, and an input that cannot run full. */
#include "tune/hook.h"
#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int ft_hook_check(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return ft_fail(FT_USAGE, "--hook %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0)
        return ft_fail(FT_USAGE, "--hook %s: not a program that may be run", path);
    return 0;
}

/* Not a pipe: a program that does not read all of its input would end us by SIGPIPE. */
static int make_input(const char *state, size_t size)
{
    int fd = memfd_create("state", MFD_CLOEXEC);

    if (fd >= 0 && (ft_write_all(fd, state, size) < 0 || lseek(fd, 0, SEEK_SET) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int spawn(pid_t *child, const char *path, const char *event, int input)
{
    char *const argv[] = {(char *)path, (char *)event, NULL};
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);

    if (error)
        return error;
    error = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    if (!error)
        error = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    if (!error)
        error = posix_spawn(child, path, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

int ft_hook_run(const char *path, const char *event, const char *state, size_t size)
{
    int input = make_input(state, size), status, error;
    pid_t child;

    if (input < 0)
        return ft_fail_errno("--hook %s %s", path, event);
    error = spawn(&child, path, event, input);
    close(input);
    if (error)
        return ft_fail(FT_SYSTEM, "--hook %s %s: %s", path, event, strerror(error));
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return ft_fail_errno("--hook %s %s", path, event);
    if (WIFSIGNALED(status))
        return ft_fail(FT_SYSTEM, "--hook %s %s: ended by signal %d", path, event, WTERMSIG(status));
    if (WEXITSTATUS(status))
        return ft_fail(FT_SYSTEM, "--hook %s %s: exit status %d", path, event, WEXITSTATUS(status));
    return 0;
}
