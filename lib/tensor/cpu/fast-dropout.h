/* fast-dropout.h - dropout with V / 2 Philox counters a vector, four vectors at a time.
 *
 * One counter serves 8 elements, so the mask is a byte a counter: bit k of byte e / 8 says whether element 8 (e / 8) + k is kept. Masks are made
 * for a stretch of elements and then applied to floats, a vector's worth of bits at a time. */
#ifndef FT_TENSOR_CPU_FAST_DROPOUT_H
#define FT_TENSOR_CPU_FAST_DROPOUT_H

#include "tensor/cpu/vector.h"
#include "tensor/plain/plain.h"

enum { MASK_LANES = V / 2, MASK_AT_ONCE = 4 * MASK_LANES, MASK_STRETCH = 8192 };

/* Philox as in base/random.c on 64-bit lanes that hold 32-bit numbers: the widening product reads the low half of a lane only, so whatever
 * the shifts and the exclusive-ors leave in the high half needs no cleaning. */
INLINE void mask_vectors(uint8_t *keep, const struct ft_dropout *dropout, uint32_t number, uint32_t first)
{
    uint32_t k0 = (uint32_t)dropout->seed, k1 = (uint32_t)(dropout->seed >> 32);
    vu threshold = (vu){0} + ft_dropout_threshold(dropout);
    vq c[4][4], lanes = {0};

    for (int i = 0; i < MASK_LANES; i++)
        lanes[i] = (uint64_t)i;

    for (int u = 0; u < 4; u++) {
        c[u][0] = (vq){0} + dropout->batch;
        c[u][1] = (vq){0} + number;
        c[u][2] = (vq){0} + dropout->node;
        c[u][3] = lanes + (first + (uint32_t)(u * MASK_LANES));
    }
    for (int round = 0; round < 10; round++, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u)
        for (int u = 0; u < 4; u++) {
            vq p0 = v_multiply_32(c[u][0], (vq){0} + 0xd2511f53u), p1 = v_multiply_32(c[u][2], (vq){0} + 0xcd9e8d57u);

            c[u][0] = (p1 >> 32) ^ c[u][1] ^ k0;
            c[u][1] = p1;
            c[u][2] = (p0 >> 32) ^ c[u][3] ^ k1;
            c[u][3] = p0;
        }
    for (int u = 0; u < 4; u++) {
        vu dropped = {0};

        /* lane - threshold is negative, its top bit set, for a lane to drop */
        for (int w = 0; w < 4; w++) {
            vu word = (vu)c[u][w];

            dropped |= (((word & 0xffff) - threshold) >> (31 - 2 * w)) & (1u << 2 * w);
            dropped |= (((word >> 16) - threshold) >> (30 - 2 * w)) & (2u << 2 * w);
        }
        v_store_bytes(keep + u * MASK_LANES, (vq)~dropped);
    }
}

/* The bytes of `count` counters from `first`. */
static void mask_make(uint8_t *keep, const struct ft_dropout *dropout, uint32_t number, size_t first, size_t count)
{
    uint8_t last[MASK_AT_ONCE];
    size_t i = 0;

    for (; i + MASK_AT_ONCE <= count; i += MASK_AT_ONCE)
        mask_vectors(keep + i, dropout, number, (uint32_t)(first + i));
    if (i < count) {
        mask_vectors(last, dropout, number, (uint32_t)(first + i));
        memcpy(keep + i, last, count - i);
    }
}

/* The truth values of elements i .. i + V - 1 of a mask; i is a multiple of V. Reads up to V / 8 bytes. */
INLINE vm mask_at(const uint8_t *keep, size_t i)
{
#if V == 16
    uint16_t bits;

    memcpy(&bits, keep + i / 8, sizeof bits);
    return v_bits(bits);
#elif V == 8
    return v_bits(keep[i / 8]);
#else
    return v_bits(keep[i / 8] >> i % 8);
#endif
}

/* One stretch of at most MASK_STRETCH elements that begins at element `e`, a multiple of 8, of sequence `number`. */
INLINE void dropout_stretch(float *y, const float *x, const float *residual, const struct ft_dropout *dropout,
                            uint32_t number, size_t e, size_t count)
{
    uint8_t keep[MASK_STRETCH / 8 + 2] = {0};
    float scale = ft_dropout_scale(dropout);

    mask_make(keep, dropout, number, e / 8, (count + 7) / 8);
    for (V_EACH(i, count, m)) {
        vf a = v_pick(mask_at(keep, i), v_get(x + i, m) * scale, v_set(0.0f));

        v_put(y + i, residual != NULL ? a + v_get(residual + i, m) : a, m);
    }
}

/* When W is a multiple of 8 a sequence's elements are numbered without gaps and its rows are one long row. */
INLINE void dropout_rows(float *y, const float *x, const float *residual, const struct ft_dropout *dropout,
                         const struct ft_rows *rows, size_t W)
{
    for (size_t s = 0; s < rows->sequences; s++) {
        size_t L = rows->offset[s + 1] - rows->offset[s], lines = W % 8 == 0 ? 1 : L, width = W % 8 == 0 ? L * W : W;

        for (size_t line = 0; line < lines; line++)
            for (size_t i = 0; i < width; i += MASK_STRETCH) {
                size_t at = rows->offset[s] * W + line * width + i, count = width - i < MASK_STRETCH ? width - i : MASK_STRETCH;

                dropout_stretch(y + at, x + at, residual != NULL ? residual + at : NULL, dropout, rows->number[s],
                                line * ((W + 7) / 8 * 8) + i, count);
            }
    }
}

static void dropout_forward(float *y, const float *x, const struct ft_dropout *dropout, const struct ft_rows *rows, size_t W)
{
    size_t first = rows->offset[0] * W, end = rows->offset[rows->sequences] * W;

    if (ft_dropout_is_on(dropout))
        dropout_rows(y, x, NULL, dropout, rows, W);
    else
        memmove(y + first, x + first, (end - first) * sizeof *y);
}

static void dropout_add(float *y, const float *x, const float *residual, const struct ft_dropout *dropout,
                        const struct ft_rows *rows, size_t W)
{
    size_t first = rows->offset[0] * W, end = rows->offset[rows->sequences] * W;

    if (ft_dropout_is_on(dropout))
        dropout_rows(y, x, residual, dropout, rows, W);
    else
        for (V_EACH(i, end - first, m))
            v_put(y + first + i, v_get(x + first + i, m) + v_get(residual + first + i, m), m);
}

#endif
