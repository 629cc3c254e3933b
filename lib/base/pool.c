/* pool.c - worker threads that wait for an index range, take indices one by one, and report when it is done. */
#include "base/pool.h"
#include "base/error.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { MOST_THREADS = 256 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t begin, end;
    int wanted, started;           /* threads asked for; workers running (one less than threads) */
    unsigned long generation;
    int busy;                      /* workers that have not finished this generation */
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

    pthread_mutex_lock(&pool.lock);
    for (;;) {
        while (pool.generation == seen)
            pthread_cond_wait(&pool.begin, &pool.lock);
        seen = pool.generation;
        pthread_mutex_unlock(&pool.lock);
        take_indices(worker);
        pthread_mutex_lock(&pool.lock);
        if (--pool.busy == 0)
            pthread_cond_signal(&pool.end);
    }
    return NULL;
}

static void start_workers(void)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    while (pool.started < ft_pool_threads() - 1) {
        /* A thread that cannot be had is not an error: the others do its work, with the same result. */
        if (pthread_create(&thread, &attributes, worker_main, (void *)(long)(pool.started + 1)) != 0)
            break;
        pool.started++;
    }
    pthread_attr_destroy(&attributes);
}

int ft_pool_run(size_t count, int (*work)(void *argument, size_t index, int worker), void *argument)
{
    if (count > 1 && pool.generation == 0)
        start_workers();
    pool.work = work;
    pool.argument = argument;
    pool.count = count;
    pool.failed = false;
    atomic_store(&pool.next, 0);
    if (count > 1 && pool.started) {
        pthread_mutex_lock(&pool.lock);
        pool.generation++;
        pool.busy = pool.started;
        pthread_cond_broadcast(&pool.begin);
        pthread_mutex_unlock(&pool.lock);
    }
    take_indices(0);
    pthread_mutex_lock(&pool.lock);
    while (pool.busy)
        pthread_cond_wait(&pool.end, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
    if (!pool.failed)
        return 0;
    ft_error_restore(&pool.error);
    return -1;
}
