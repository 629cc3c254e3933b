/* pool.c - worker threads that wait for an index range, take indices one by one, and report when it is done.
 *
 * A step of training is a few hundred ranges, and waking a thread that sleeps takes 10 microseconds: who waits looks around for about 50 first (SPIN),
 * where there is a CPU for every thread. */
#include "base/pool.h"
#include "base/error.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { MOST_THREADS = 256, SPIN = 1000 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t begin, end;
    int wanted, started;           /* threads asked for; workers running (one less than threads) */
    atomic_ulong generation;
    atomic_int busy;               /* workers that have not finished this generation */
    atomic_int spin;
    int (*work)(void *, size_t, int);
    void *argument;
    size_t count;
    atomic_size_t next;
    size_t failed_index;
    bool failed;
    struct ft_error_copy error;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .begin = PTHREAD_COND_INITIALIZER, .end = PTHREAD_COND_INITIALIZER};

void ft_pool_set_threads(long threads)
{
    cpu_set_t allowed;

    if (threads <= 0)
        threads = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
    pool.wanted = threads > MOST_THREADS ? MOST_THREADS : (int)threads;
}

int ft_pool_threads(void)
{
    if (!pool.wanted)
        ft_pool_set_threads(0);
    return pool.wanted;
}

static void pause_here(void)
{
#ifdef __x86_64__
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void take_indices(int worker)
{
    size_t index;

    while ((index = atomic_fetch_add(&pool.next, 1)) < pool.count) {
        if (pool.work(pool.argument, index, worker) == 0)
            continue;
        pthread_mutex_lock(&pool.lock);
        if (!pool.failed || index < pool.failed_index) {
            ft_error_save(&pool.error);
            pool.failed = true;
            pool.failed_index = index;
        }
        pthread_mutex_unlock(&pool.lock);
    }
}

static void *worker_main(void *argument)
{
    int worker = (int)(long)argument;
    unsigned long seen = 0;

    for (;;) {
        for (int i = 0; i < atomic_load(&pool.spin) && atomic_load(&pool.generation) == seen; i++)
            pause_here();
        pthread_mutex_lock(&pool.lock);
        while (atomic_load(&pool.generation) == seen)
            pthread_cond_wait(&pool.begin, &pool.lock);
        seen = atomic_load(&pool.generation);
        pthread_mutex_unlock(&pool.lock);
        take_indices(worker);
        if (atomic_fetch_sub(&pool.busy, 1) == 1) {
            pthread_mutex_lock(&pool.lock);
            pthread_cond_signal(&pool.end);
            pthread_mutex_unlock(&pool.lock);
        }
    }
    return NULL;
}

static void start_workers(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    cpu_set_t allowed;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    while (pool.started < ft_pool_threads() - 1) {
        /* A thread that cannot be had is not an error: the others do its work, with the same result. */
        if (pthread_create(&thread, &attributes, worker_main, (void *)(long)(pool.started + 1)) != 0)
            break;
        pool.started++;
    }
    pthread_attr_destroy(&attributes);
    atomic_store(&pool.spin, sched_getaffinity(0, sizeof allowed, &allowed) == 0 && pool.started < CPU_COUNT(&allowed) ? SPIN : 0);
}

int ft_pool_run(size_t count, int (*work)(void *argument, size_t index, int worker), void *argument)
{
    if (count > 1 && atomic_load(&pool.generation) == 0)
        start_workers();
    pool.work = work;
    pool.argument = argument;
    pool.count = count;
    pool.failed = false;
    atomic_store(&pool.next, 0);
    if (count > 1 && pool.started) {
        pthread_mutex_lock(&pool.lock);
        atomic_store(&pool.busy, pool.started);
        atomic_fetch_add(&pool.generation, 1);
        pthread_cond_broadcast(&pool.begin);
        pthread_mutex_unlock(&pool.lock);
    }
    take_indices(0);
    for (int i = 0; i < atomic_load(&pool.spin) && atomic_load(&pool.busy); i++)
        pause_here();
    pthread_mutex_lock(&pool.lock);
    while (atomic_load(&pool.busy))
        pthread_cond_wait(&pool.end, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
    if (!pool.failed)
        return 0;
    ft_error_restore(&pool.error);
    return -1;
}
