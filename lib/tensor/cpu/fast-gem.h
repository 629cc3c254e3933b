/* fast-gem.h - pooling by the generalised mean, as lib/tensor/plain/plain-gem.c has it: in logarithms of x over the largest x. */
#include "tensor/cpu/vector-math.h"

INLINE vf gem_log(const float *x, size_t m, float epsilon)
{
    return v_log(v_max(v_set(epsilon), v_get(x, m)));
}

static void gem_forward(float *y, const float *x, float p, float epsilon, const struct ft_rows *rows, size_t W)
{
    for (size_t s = 0; s < rows->sequences; s++, y += W) {
        size_t begin = rows->offset[s], end = rows->offset[s + 1];

        for (V_EACH(i, W, m)) {
            vf most = v_set(epsilon), sum = {0};

            for (size_t r = begin; r < end; r++)
                most = v_max(most, v_get(x + r * W + i, m));
            most = v_log(most);
            for (size_t r = begin; r < end; r++)
                sum += v_exp((gem_log(x + r * W + i, m, epsilon) - most) * p);
            sum = v_exp(most + v_log(sum / (float)(end - begin)) / p);
            v_put(y + i, begin < end ? sum : v_set(0.0f), m);
        }
    }
}

static void gem_backward(float *dx, const float *dy, const float *y, const float *x, float p, float epsilon, const struct ft_rows *rows, size_t W)
{
    for (size_t s = 0; s < rows->sequences; s++, y += W, dy += W) {
        size_t begin = rows->offset[s], end = rows->offset[s + 1];

        for (V_EACH(i, W, m)) {
            vf all = gem_log(y + i, m, epsilon), share = v_get(dy + i, m) / (float)(end - begin);

            for (size_t r = begin; r < end; r++) {
                vf slope = share * v_exp((gem_log(x + r * W + i, m, epsilon) - all) * (p - 1));

                v_put(dx + r * W + i, v_pick(v_less(v_get(x + r * W + i, m), v_set(epsilon)), share * 0.0f, slope), m);
            }
        }
    }
}

static void gem_gradient(float *dp, const float *dy, const float *y, const float *x, float p, float epsilon, const struct ft_rows *rows, size_t W)
{
    double all_columns = 0;

    for (size_t s = 0; s < rows->sequences; s++, y += W, dy += W) {
        size_t begin = rows->offset[s], end = rows->offset[s + 1];

        for (V_EACH(i, W, m)) {
            vf all = gem_log(y + i, m, epsilon), sum = {0};

            for (size_t r = begin; r < end; r++) {
                vf ratio = gem_log(x + r * W + i, m, epsilon) - all;

                sum = v_fma(v_exp(ratio * p), ratio, sum);
            }
            sum = v_get(dy + i, m) * v_get(y + i, m) * sum;
            for (size_t k = 0; k < m && begin < end; k++)
                all_columns += (double)sum[k] / ((double)p * (double)(end - begin));
        }
    }
    *dp += (float)all_columns;
}
