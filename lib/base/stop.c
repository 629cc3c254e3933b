/* stop.c - remembered signals. */
#include "base/stop.h"
#include "base/error.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

static void remember(int number)
{
    stopped = number;
}

void ft_stop_catch(void)
{
    struct sigaction action = {.sa_handler = remember, .sa_flags = SA_RESETHAND};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int ft_stop_signal(void)
{
    return stopped;
}

int ft_stop_check(void)
{
    return stopped ? ft_fail(FT_SYSTEM, "stopped by signal %d", (int)stopped) : 0;
}

void ft_stop_die(void)
{
    sigset_t all;

    signal(stopped, SIG_DFL);
    sigfillset(&all);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    raise(stopped);
    _exit(128 + stopped);
}
