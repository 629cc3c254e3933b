/* packed.h - sizes of packed operands (packed-linear.h), and those that each thread has in hand. */
#ifndef FT_TENSOR_CPU_PACKED_H
#define FT_TENSOR_CPU_PACKED_H

/* LINES of a square, numbers along k a STEP, floats a SQUARE; a STRIP is two squares wide. PACKED: floats of a thread's block of packed A, which stays in
 * the second cache beside a strip of B. DEEP: along k, a strip of B at once, at most. BROAD: rows of A that
 * a strip of B should find there. */
enum { LINES = 16, STEP = 32, SQUARE = 256, STRIP = 2 * LINES, DEEP = 1536, PACKED = 192 * DEEP, BROAD = 256 };

/* The calling thread's block of packed A, [PACKED], and its strip of packed B, [STRIP * DEEP * 3 / 2]. */
float *ft_packed_a(void);
float *ft_packed_b(void);

#endif
