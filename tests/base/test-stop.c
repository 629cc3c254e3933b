/* test-stop.c - signals that are remembered, asked for, and died of. */
#include "base/stop.h"
#include "../tap.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* What becomes of a child that does this. */
static int fate(int (*child)(void))
{
    int status = -1;
    pid_t pid;

    fflush(stdout);
    if ((pid = fork()) == 0)
        _exit(child());
    waitpid(pid, &status, 0);
    return status;
}

static int dies(void)
{
    ft_stop_catch();
    raise(SIGTERM);
    if (ft_stop_signal() != SIGTERM)
        return 1;
    ft_stop_die();
}

/* Even where the parent has blocked the signal, as some do. */
static int dies_blocked(void)
{
    sigset_t all;

    ft_stop_catch();
    raise(SIGINT);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    ft_stop_die();
}

static int twice(void)
{
    ft_stop_catch();
    raise(SIGINT);
    raise(SIGINT);
    return 7;
}

static int both(void)
{
    ft_stop_catch();
    raise(SIGINT);
    raise(SIGTERM);
    return ft_stop_signal() == SIGTERM ? 7 : 1;
}

static int interrupts(void)
{
    int ends[2];
    char byte;

    ft_stop_catch();
    if (pipe(ends) < 0)
        return 1;
    alarm(10);
    if (fork() == 0) {
        usleep(100000);
        kill(getppid(), SIGTERM);
        _exit(0);
    }
    return read(ends[0], &byte, 1) < 0 && errno == EINTR && ft_stop_signal() == SIGTERM ? 7 : 1;
}

static bool died_of(int status, int number)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == number;
}

static bool returned_7(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == 7;
}

int main(void)
{
    ok(ft_stop_signal() == 0, "no signal in the beginning");
    ok(died_of(fate(dies), SIGTERM), "remembered, then died of: the parent sees a signal, not a status");
    ok(died_of(fate(dies_blocked), SIGINT), "also where it is blocked");
    ok(died_of(fate(twice), SIGINT), "a second one of the same kind kills");
    ok(returned_7(fate(both)), "one of the other kind does not");
    ok(returned_7(fate(interrupts)), "a blocking read returns");
    return done();
}
