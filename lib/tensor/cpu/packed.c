/* packed.c - the packed operands that each thread has in hand, for whichever products the CPU takes. */
#include "tensor/cpu/packed.h"

static _Thread_local float packed_a[PACKED] __attribute__((aligned(64)));
static _Thread_local float packed_b[STRIP * DEEP * 3 / 2] __attribute__((aligned(64)));

float *ft_packed_a(void)
{
    return packed_a;
}

float *ft_packed_b(void)
{
    return packed_b;
}
