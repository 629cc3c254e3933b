/* test-error.c - messages, statuses, prefixes; one of each per thread. */
#include "base/error.h"
#include "../tap.h"

#include <errno.h>
#include <pthread.h>

static void *in_thread(void *copy)
{
    bool *quiet = copy;

    *quiet = ft_error()[0] == '\0';
    ft_fail(FT_NO, "the other thread's");
    return NULL;
}

static void check_threads(void)
{
    pthread_t thread;
    bool quiet = false;

    ft_fail(FT_BAD, "mine");
    pthread_create(&thread, NULL, in_thread, &quiet);
    pthread_join(thread, NULL);
    ok(quiet, "a thread begins without an error");
    is_text(ft_error(), "mine", "another thread's error leaves this one's alone");
}

static void check_long(void)
{
    char text[4096];
    struct ft_error_copy copy;

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ft_fail(FT_BAD, "%s", text);
    ok(strlen(ft_error()) == sizeof copy.message - 1, "a message that is too long is cut");
    ft_error_prefix("%s", text);
    ok(strlen(ft_error()) == sizeof copy.message - 1, "and a prefix");
    errno = ENOENT;
    ft_fail_errno("%s", text);
    ok(strlen(ft_error()) == sizeof copy.message - 1, "and a path");
}

int main(void)
{
    struct ft_error_copy copy;

    is_text(ft_error(), "", "no error in the beginning");
    ok(ft_error_status() == FT_SYSTEM, "the status that nobody set is the system's");
    ok(ft_fail(FT_BAD, "line %d of %s", 3, "x") == -1, "ft_fail gives -1");
    is_text(ft_error(), "line 3 of x", "with its message");
    ok(ft_error_status() == FT_BAD, "and its status");
    ok(ft_error_prefix("%s:%d: ", "a.csv", 7) == -1, "ft_error_prefix gives -1");
    is_text(ft_error(), "a.csv:7: line 3 of x", "and says where");
    ok(ft_error_status() == FT_BAD, "and leaves the status");
    ft_fail(FT_USAGE, "again: %s", ft_error());
    is_text(ft_error(), "again: a.csv:7: line 3 of x", "an argument may be the message that stands");
    ft_error_prefix("%s, ", ft_error());
    is_text(ft_error(), "again: a.csv:7: line 3 of x, again: a.csv:7: line 3 of x", "a prefix too");
    ft_error_save(&copy);
    errno = EACCES;
    ok(ft_fail_errno("%s", "/there") == -1 && ft_error_status() == FT_SYSTEM, "an errno is the system's");
    is_text(ft_error(), "/there: Permission denied", "and named");
    ft_error_restore(&copy);
    ok(ft_error_status() == FT_USAGE && strncmp(ft_error(), "again", 5) == 0, "saved and restored");
    ft_error_clear();
    is_text(ft_error(), "", "cleared");
    check_threads();
    check_long();
    return done();
}
