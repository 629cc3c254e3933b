/* test-pool.c - every index once, any number of threads, errors of the lowest index, thousands of runs. */
#include "base/error.h"
#include "base/pool.h"
#include "../tap.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST = 5000 };

struct work {
    atomic_int seen[MOST];
    atomic_int worker_bad;
    size_t fail_from;        /* indices from here on fail */
};

static int count(void *argument, size_t index, int worker)
{
    struct work *w = argument;

    atomic_fetch_add(&w->seen[index], 1);
    if (worker < 0 || worker >= ft_pool_threads())
        atomic_store(&w->worker_bad, 1);
    return index >= w->fail_from ? ft_fail(FT_NO, "index %zu", index) : 0;
}

static bool each_once(struct work *w, size_t n)
{
    for (size_t i = 0; i < MOST; i++)
        if (atomic_load(&w->seen[i]) != (i < n))
            return false;
    return true;
}

static void reset(struct work *w, size_t fail_from)
{
    for (size_t i = 0; i < MOST; i++)
        atomic_store(&w->seen[i], 0);
    w->fail_from = fail_from;
}

/* Workers must never be inside a run that has returned: the array of each run is its own. */
static int add_own(void *argument, size_t index, int worker)
{
    int *array = argument;

    (void)worker;
    array[index]++;
    return 0;
}

static bool many_runs(int runs)
{
    bool good = true;

    for (int r = 0; r < runs; r++) {
        size_t n = (size_t)r % 40;
        int *array = calloc(n + 1, sizeof *array);

        ft_pool_run(n, add_own, array);
        for (size_t i = 0; i < n; i++)
            good &= array[i] == 1;
        free(array);
    }
    return good;
}

static int slow_then_fail(void *argument, size_t index, int worker)
{
    (void)argument, (void)worker;
    if (index == 3)
        usleep(20000);
    return ft_fail(FT_BAD, "index %zu", index);
}

int main(void)
{
    static struct work w;
    long threads = sysconf(_SC_NPROCESSORS_ONLN);

    ft_pool_set_threads(0);
    ok(ft_pool_threads() >= 1 && ft_pool_threads() <= threads, "0 threads are the CPUs allowed: %d of %ld", ft_pool_threads(), threads);
    ft_pool_set_threads(100000);
    ok(ft_pool_threads() == 256, "there is a limit");
    ft_pool_set_threads(5);
    ok(ft_pool_threads() == 5, "five, whatever the CPUs");
    for (size_t n = 0; n <= MOST; n = n * 3 + 1) {
        reset(&w, SIZE_MAX);
        ok(ft_pool_run(n, count, &w) == 0 && each_once(&w, n), "each of %zu indices once", n);
    }
    ok(!atomic_load(&w.worker_bad), "workers are numbered from 0 to threads - 1");
    reset(&w, 700);
    ft_error_clear();
    ok(ft_pool_run(MOST, count, &w) < 0 && each_once(&w, MOST), "an error keeps no other index from its work");
    is_text(ft_error(), "index 700", "the error of the lowest failing index is the caller's");
    ok(ft_error_status() == FT_NO, "with its status");
    ok(ft_pool_run(8, slow_then_fail, NULL) < 0, "even where that one fails last");
    is_text(ft_error(), "index 0", "of all that fail");
    reset(&w, SIZE_MAX);
    ok(ft_pool_run(MOST, count, &w) == 0 && each_once(&w, MOST), "an error is forgotten by the next run");
    ok(many_runs(20000), "20,000 runs of 0 to 39 indices");
    return done();
}
