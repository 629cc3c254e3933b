/* emulate.h - CUDA C on a CPU: enough of it for the kernels of this directory, so that they are tested where no GPU is.
 *
 * A .cu file includes this instead of the CUDA headers. Under nvcc it defines nothing but FT_LAUNCH. Under a C++ compiler, a launch runs the blocks
 * of the grid one after another and the threads of a block as fibers (ucontext) in turn, each until it meets __syncthreads() or ends. That is one
 * of the orders a GPU might choose, with all barriers real: a missing barrier of a reduction shows as a wrong result, and a barrier that
 * only some threads reach is found and aborts with a message. Warps, atomics and streams are not imitated.
 *
 *     __global__ void twice(float *y, size_t n) { ... threadIdx.x ... }
 *     FT_LAUNCH(twice, grid, block, shared_bytes, (y, n));
 *
 * Shared memory is the launch's dynamic kind, taken by FT_SHARED(float, name). */
#ifndef FT_TENSOR_CUDA_EMULATE_H
#define FT_TENSOR_CUDA_EMULATE_H

#ifdef __CUDACC__

#define FT_LAUNCH(kernel, grid, block, bytes, arguments) kernel<<<grid, block, bytes>>> arguments
#define FT_SHARED(type, name) extern __shared__ type name[]

#else

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <ucontext.h>
#include <vector>

#define __global__ static
#define __device__ static inline
#define __restrict__ __restrict

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

static thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

static inline float rsqrtf(float x) { return 1 / sqrtf(x); }

namespace emulate {

enum { STACK = 64 * 1024 };

struct fiber {
    ucontext_t context;
    std::vector<char> stack;
    bool done;
};

struct block {
    std::vector<fiber> fibers;
    std::vector<char> shared;
    std::function<void()> body;
    ucontext_t scheduler;
    size_t running;
};

static thread_local block *current;

static void enter()
{
    current->body();
    current->fibers[current->running].done = true;
    swapcontext(&current->fibers[current->running].context, &current->scheduler);
}

static inline void barrier()
{
    swapcontext(&current->fibers[current->running].context, &current->scheduler);
}

static void prepare(fiber &f)
{
    f.done = false;
    f.stack.resize(STACK);
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.data();
    f.context.uc_stack.ss_size = STACK;
    f.context.uc_link = nullptr;
    makecontext(&f.context, enter, 0);
}

static void step(block &b, size_t thread)
{
    unsigned n = (unsigned)thread;

    b.running = thread;
    threadIdx = dim3(n % blockDim.x, n / blockDim.x % blockDim.y, n / (blockDim.x * blockDim.y));
    swapcontext(&b.scheduler, &b.fibers[thread].context);
}

/* One round lets every thread run from one barrier to the next, every other round in reverse; all must then be at one, or all be done. */
static void run_block(block &b)
{
    size_t count = b.fibers.size(), done = 0;

    for (fiber &f : b.fibers)
        prepare(f);
    for (size_t round = 0; done == 0; round++) {
        for (size_t i = 0; i < count; i++)
            step(b, round % 2 == 0 ? i : count - 1 - i);
        for (const fiber &f : b.fibers)
            done += f.done;
    }
    if (done != count) {
        fprintf(stderr, "emulate.h: %zu of %zu threads ended while others wait at __syncthreads()\n", done, count);
        abort();
    }
}

static void launch(dim3 grid, dim3 threads, size_t bytes, const std::function<void()> &body)
{
    block b;

    b.fibers.resize((size_t)threads.x * threads.y * threads.z);
    b.shared.resize(bytes);
    b.body = body;
    current = &b;
    gridDim = grid;
    blockDim = threads;
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                blockIdx = dim3(x, y, z);
                run_block(b);
            }
    current = nullptr;
}

}

#define __syncthreads() emulate::barrier()
#define FT_SHARED(type, name) type *name = reinterpret_cast<type *>(emulate::current->shared.data())
#define FT_LAUNCH(kernel, grid, block, bytes, arguments) emulate::launch(grid, block, bytes, [&] { kernel arguments; })

#endif
#endif
