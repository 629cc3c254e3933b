/* cuda.c - the CUDA kernels through the tests of all tables, on the CPU: built by rules.mk from the .cu files against emulate.h. */
#include "checks.h"
#include "tensor/cuda/cuda.h"

int main(void)
{
    test_table(&ft_kernels_cuda);
    return done();
}
