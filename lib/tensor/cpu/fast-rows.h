/* fast-rows.h - embedding tables, pooling, addition: little arithmetic, so what matters is to touch each row once. */
#include "tensor/cpu/fast-norm.h"

static void embedding_forward(float *y, const int32_t *id, const float *word, const float *position, const float *type,
                              const struct ft_rows *rows, size_t first, size_t W)
{
    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t r = rows->offset[s]; r < rows->offset[s + 1]; r++) {
            const float *w = word + (size_t)id[r] * W;
            const float *p = position ? position + (r - rows->offset[s] + first) * W : NULL;
            const float *t = type ? type + ft_rows_type(rows, s, r) * W : NULL;

            for (V_EACH(i, W, m))
                v_put(y + r * W + i, v_get(w + i, m) + (p ? v_get(p + i, m) : v_set(0.0f)) + (t ? v_get(t + i, m) : v_set(0.0f)), m);
        }
}

INLINE void row_add(float *y, const float *x, size_t count)
{
    for (V_EACH(i, count, m))
        v_put(y + i, v_get(y + i, m) + v_get(x + i, m), m);
}

static void embedding_gradient(float *dword, float *dposition, float *dtype, const float *dy, const int32_t *id,
                               const struct ft_rows *rows, size_t first, size_t W, size_t from, size_t to)
{
    size_t begin = rows->offset[0], end = rows->offset[rows->sequences];

    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t r = rows->offset[s]; r < rows->offset[s + 1]; r++) {
            const float *d = dy + r * W + from;

            if (dword != NULL)
                row_add(dword + (size_t)id[r] * W + from, d, to - from);
            if (dposition != NULL)
                row_add(dposition + (r - rows->offset[s] + first) * W + from, d, to - from);
            if (dtype != NULL && rows->second)
                row_add(dtype + ft_rows_type(rows, s, r) * W + from, d, to - from);
        }
    if (dtype != NULL && !rows->second)
        column_sums(dtype, NULL, dy + begin * W, NULL, NULL, end - begin, W, from, to);
}

/* The largest of each column and its row: the first of equals; a NaN is larger than everything. */
INLINE void pool_max(float *y, uint32_t *arg, const float *x, size_t begin, size_t end, size_t W)
{
    for (V_EACH(i, W, m)) {
        vf best = begin < end ? v_get(x + begin * W + i, m) : v_set(0.0f);
        vi row = (vi){0} + (int32_t)begin;

        for (size_t r = begin + 1; r < end; r++) {
            vf a = v_get(x + r * W + i, m);
            vm better = (v_less(best, a) | v_is_nan(a)) & v_not(v_is_nan(best));

            best = v_pick(better, a, best);
            row = v_pick_i(better, (vi){0} + (int32_t)r, row);
        }
        v_put(y + i, best, m);
        memcpy(arg + i, &row, m * sizeof *arg);
    }
}

INLINE float pool_weight(enum ft_pooling how, size_t length)
{
    if (how == FT_POOL_WEIGHTED_MEAN)
        return 1 / ((float)length * (float)(length + 1) / 2);
    return how == FT_POOL_MEAN_SQRT ? 1 / sqrtf((float)length) : 1 / (float)length;
}

/* Rows 1 .. R times their numbers. */
INLINE void pool_counted(float *y, const float *x, size_t R, size_t W)
{
    for (size_t r = 0; r < R; r++)
        for (V_EACH(i, W, m))
            v_put(y + i, v_fma(v_get(x + r * W + i, m), v_set((float)(r + 1)), v_get(y + i, m)), m);
}

static void pool_forward(enum ft_pooling how, float *y, uint32_t *arg, const float *x, const struct ft_rows *rows, size_t W)
{
    for (size_t s = 0; s < rows->sequences; s++, y += W) {
        size_t begin = rows->offset[s], end = rows->offset[s + 1];

        if (how == FT_POOL_MAX) {
            pool_max(y, arg + s * W, x, begin, end, W);
        } else if ((how == FT_POOL_CLS || how == FT_POOL_LAST) && begin < end) {
            memcpy(y, x + (how == FT_POOL_CLS ? begin : end - 1) * W, W * sizeof *y);
        } else {
            memset(y, 0, W * sizeof *y);
            if (begin == end)
                continue;
            if (how == FT_POOL_WEIGHTED_MEAN)
                pool_counted(y, x + begin * W, end - begin, W);
            else
                column_sums(y, NULL, x + begin * W, NULL, NULL, end - begin, W, 0, W);
            for (V_EACH(i, W, m))
                v_put(y + i, v_get(y + i, m) * pool_weight(how, end - begin), m);
        }
    }
}

static void pool_backward(enum ft_pooling how, float *dx, const float *dy, const uint32_t *arg, const struct ft_rows *rows,
                          size_t W)
{
    for (size_t s = 0; s < rows->sequences; s++, dy += W) {
        size_t begin = rows->offset[s], end = rows->offset[s + 1];

        if (begin == end)
            continue;
        if (how == FT_POOL_MAX || how == FT_POOL_CLS || how == FT_POOL_LAST) {
            memset(dx + begin * W, 0, (end - begin) * W * sizeof *dx);
            for (size_t i = 0; i < W; i++)
                dx[(how == FT_POOL_MAX ? arg[s * W + i] : how == FT_POOL_CLS ? begin : end - 1) * W + i] = dy[i];
            continue;
        }
        for (size_t r = begin; r < end; r++) {
            float weight = pool_weight(how, end - begin) * (how == FT_POOL_WEIGHTED_MEAN ? (float)(r - begin + 1) : 1);

            for (V_EACH(i, W, m))
                v_put(dx + r * W + i, v_get(dy + i, m) * weight, m);
        }
    }
}

static void add(float *y, const float *x, size_t count)
{
    row_add(y, x, count);
}

static void multiply(float *y, const float *a, const float *b, size_t count)
{
    for (V_EACH(i, count, m))
        v_put(y + i, v_get(a + i, m) * v_get(b + i, m), m);
}
