/* layer_norm.cu - layer normalisation on a GPU: forward, backward, and the gradients of gain and bias.
 *
 * Forward and backward give a row to a block: its threads stride over the columns and add up by halves in shared memory, so the order of a sum
 * depends on the width and on THREADS alone. The gradient gives 32 columns to a block of 32 x 8 threads: the eight threads of a column take every
 * eighth row and then add up; neighbouring threads read neighbouring columns, and no atomics are needed. Meanings and shapes are those of
 * tensor/kernels.h; all pointers are the device's. */
#include "tensor/cuda/cuda.h"
#include "tensor/cuda/emulate.h"

enum { THREADS = 128, COLUMNS = 32, PARTS = 8 };

/* The sum of every thread's a, known to all afterwards. `shared` has THREADS places; it may be used again at once. */
__device__ float block_sum(float *shared, float a)
{
    unsigned t = threadIdx.x;
    float sum;

    shared[t] = a;
    __syncthreads();
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        if (t < half)
            shared[t] += shared[t + half];
        __syncthreads();
    }
    sum = shared[0];
    __syncthreads();
    return sum;
}

__global__ void forward_kernel(float *y, float *stat, const float *x, const float *gain, const float *bias, float epsilon, size_t W)
{
    FT_SHARED(float, shared);
    size_t r = blockIdx.x;
    float sum = 0, mean, rstd;

    x += r * W;
    y += r * W;
    for (size_t i = threadIdx.x; i < W; i += THREADS)
        sum += x[i];
    mean = block_sum(shared, sum) / (float)W;
    sum = 0;
    for (size_t i = threadIdx.x; i < W; i += THREADS)
        sum += (x[i] - mean) * (x[i] - mean);
    rstd = 1 / sqrtf(block_sum(shared, sum) / (float)W + epsilon);
    for (size_t i = threadIdx.x; i < W; i += THREADS)
        y[i] = (x[i] - mean) * rstd * gain[i] + (bias != NULL ? bias[i] : 0);
    if (threadIdx.x == 0) {
        stat[2 * r] = mean;
        stat[2 * r + 1] = rstd;
    }
}

__global__ void backward_kernel(float *dx, const float *dy, const float *x, const float *stat, const float *gain, size_t W)
{
    FT_SHARED(float, shared);
    size_t r = blockIdx.x;
    float mean = stat[2 * r], rstd = stat[2 * r + 1], sum = 0, product = 0;

    x += r * W;
    dy += r * W;
    dx += r * W;
    for (size_t i = threadIdx.x; i < W; i += THREADS) {
        float g = dy[i] * gain[i];

        sum += g;
        product += g * (x[i] - mean) * rstd;
    }
    sum = block_sum(shared, sum) / (float)W;
    product = block_sum(shared, product) / (float)W;
    for (size_t i = threadIdx.x; i < W; i += THREADS)
        dx[i] = rstd * (dy[i] * gain[i] - sum - (x[i] - mean) * rstd * product);
}

__global__ void gradient_kernel(float *dgain, float *dbias, const float *dy, const float *x, const float *stat,
                                size_t R, size_t W, size_t from, size_t to)
{
    FT_SHARED(float, shared);
    size_t i = from + (size_t)blockIdx.x * COLUMNS + threadIdx.x;
    float *gains = shared, *biases = shared + COLUMNS * PARTS, gain = 0, bias = 0;

    if (i < to)
        for (size_t r = threadIdx.y; r < R; r += PARTS) {
            float d = dy[r * W + i];

            gain += d * (x[r * W + i] - stat[2 * r]) * stat[2 * r + 1];
            bias += d;
        }
    gains[threadIdx.y * COLUMNS + threadIdx.x] = gain;
    biases[threadIdx.y * COLUMNS + threadIdx.x] = bias;
    __syncthreads();
    if (threadIdx.y > 0 || i >= to)
        return;
    for (unsigned part = 1; part < PARTS; part++) {
        gain += gains[part * COLUMNS + threadIdx.x];
        bias += biases[part * COLUMNS + threadIdx.x];
    }
    dgain[i] += gain;
    if (dbias != NULL)
        dbias[i] += bias;
}

extern "C" void ft_cuda_layer_norm_forward(float *y, float *stat, const float *x, const float *gain, const float *bias,
                                           float epsilon, size_t R, size_t W)
{
    if (R > 0)
        FT_LAUNCH(forward_kernel, dim3((unsigned)R), dim3(THREADS), THREADS * sizeof(float),
                  (y, stat, x, gain, bias, epsilon, W));
}

extern "C" void ft_cuda_layer_norm_backward(float *dx, const float *dy, const float *x, const float *stat, const float *gain,
                                            size_t R, size_t W)
{
    if (R > 0)
        FT_LAUNCH(backward_kernel, dim3((unsigned)R), dim3(THREADS), THREADS * sizeof(float), (dx, dy, x, stat, gain, W));
}

extern "C" void ft_cuda_layer_norm_gradient(float *dgain, float *dbias, const float *dy, const float *x, const float *stat,
                                            size_t R, size_t W, size_t from, size_t to)
{
    if (to > from)
        FT_LAUNCH(gradient_kernel, dim3((unsigned)((to - from + COLUMNS - 1) / COLUMNS)), dim3(COLUMNS, PARTS),
                  2 * COLUMNS * PARTS * sizeof(float), (dgain, dbias, dy, x, stat, R, W, from, to));
}
