/* pool.h - one set of threads for the whole process.
 *
 * Work is an index range: ft_pool_run calls `work(argument, index, worker)` once for each index in [0, count), on any thread, in
 * any order. Which worker gets which index must not change a result: callers cut the work the same way for any number of threads.
 * The calling thread works too; runs do not nest. */
#ifndef FT_BASE_POOL_H
#define FT_BASE_POOL_H

#include <stddef.h>

/* Threads to use from now on, 0 = the CPUs this process may run on. Call before the first ft_pool_run. */
void ft_pool_set_threads(long threads);
int ft_pool_threads(void);

/* 0, or -1 when a call returned -1: the error of the lowest failing index stands, in ft_error of the caller. */
int ft_pool_run(size_t count, int (*work)(void *argument, size_t index, int worker), void *argument);

#endif
