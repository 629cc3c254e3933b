/* ft - lists the tools, and runs one by its short name: `ft cat` is ft-cat.
 *
 * What tools there are is asked of the directory this program lies in, and what each does of the tool itself: a table here would be
 * wrong as soon as a tool is added. */
#include "base/tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const examples[] = {
    "ft ingest train.csv | ft train -o tuned",
    "ft",
    NULL,
};

static struct ft_tool tool = {
    .name = "ft",
    .purpose = "list the tools, or run one of them",
    .operands = "[TOOL [ARGUMENT...]]",
    .examples = examples,
    .see_also = "ft(7)",
};

/* The directory of this executable, without a slash at the end; "" when the system does not say. */
static const char *own_directory(void)
{
    static char path[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    char *slash;

    path[size > 0 ? size : 0] = '\0';
    if ((slash = strrchr(path, '/')))
        *slash = '\0';
    return path;
}

static bool path_of(char *path, size_t room, const char *name)
{
    return (size_t)snprintf(path, room, "%s/%s", own_directory(), name) < room;
}

static int is_tool(const struct dirent *entry)
{
    char path[PATH_MAX];
    const char *name = entry->d_name;

    return strncmp(name, "ft-", 3) == 0 && name[3] && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name) &&
           path_of(path, sizeof path, name) && access(path, X_OK) == 0;
}

/* The first line of `path --help` is "ft-x - what it does"; `line` gets what it does, or "". */
static void ask_purpose(const char *path, char *line, size_t room)
{
    char *const argv[] = {(char *)path, "--help", NULL}, *dash;
    int ends[2], null;
    ssize_t n;
    size_t size = 0;
    pid_t child;

    *line = '\0';
    if (pipe2(ends, O_CLOEXEC) < 0)
        return;
    if ((child = fork()) == 0) {
        if ((null = open("/dev/null", O_RDWR)) >= 0)
            dup2(null, STDIN_FILENO), dup2(null, STDERR_FILENO);
        dup2(ends[1], STDOUT_FILENO);
        execv(path, argv);
        _exit(127);
    }
    close(ends[1]);
    while (child > 0 && size + 1 < room && (n = read(ends[0], line + size, room - 1 - size)) > 0)
        size += (size_t)n;
    close(ends[0]);
    if (child > 0)
        waitpid(child, NULL, 0);
    line[size] = '\0';
    line[strcspn(line, "\n")] = '\0';
    dash = strstr(line, " - ");
    memmove(line, dash ? dash + 3 : line + size, dash ? strlen(dash + 3) + 1 : 1);
}

static int list_tools(void)
{
    char path[PATH_MAX], purpose[512];
    struct dirent **names;
    int count = scandir(own_directory(), &names, is_tool, alphasort);

    if (count < 0)
        return ft_fail_errno("%s", own_directory());
    for (int i = 0; i < count; i++) {
        if (path_of(path, sizeof path, names[i]->d_name)) {
            ask_purpose(path, purpose, sizeof purpose);
            printf("%-12s %s\n", names[i]->d_name, purpose);
        }
        free(names[i]);
    }
    free(names);
    return 0;
}

static int unknown_tool(const char *name)
{
    char known[1024] = "";
    struct dirent **names;
    int count = scandir(own_directory(), &names, is_tool, alphasort);

    for (int i = 0; i < count; i++) {
        size_t used = strlen(known);

        snprintf(known + used, sizeof known - used, " %s", names[i]->d_name + 3);
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    return ft_fail(FT_USAGE, "unknown tool '%.60s': known are%s", name, known);
}

/* Comes back only when there is no such tool. The tool's name in messages and histories is its whole one. */
static int run_tool(char **argv)
{
    char path[PATH_MAX], name[64];

    if (strchr(argv[0], '/') || (size_t)snprintf(name, sizeof name, "ft-%s", argv[0]) >= sizeof name)
        return unknown_tool(argv[0]);
    if (path_of(path, sizeof path, name)) {
        argv[0] = path;
        execv(path, argv);
    }
    argv[0] = name;
    execvp(name, argv);
    return errno == ENOENT ? unknown_tool(name + 3) : ft_fail_errno("%s", name);
}

int main(int argc, char **argv)
{
    int status;

    /* Options behind a tool's name are the tool's. */
    if (argc > 1 && argv[1][0] != '-')
        return ft_tool_end(&tool, run_tool(argv + 1));
    status = ft_tool_begin(&tool, argc, argv);
    if (status >= 0)
        return status;
    status = ft_tool_end(&tool, tool.argc ? run_tool(tool.argv) : (tool.quiet = true, list_tools()));
    return status;
}
