/* plain-attend.c - one query an item over the keys and values of its tokens, heads side by side: p = softmax(q K^T / sqrt(D)), y = p V. All tables have this
 * one: a query an item is too little work to be worth another. */
#include "tensor/plain/plain.h"

#include <math.h>

/* One head of one item; keys and values lie 2W apart. */
struct head {
    const float *q, *k, *v;
    size_t L, D, apart;
};

static struct head head_of(const float *q, const float *kv, size_t H, const struct ft_rows *rows, size_t W, size_t s, size_t h)
{
    size_t D = W / H;
    const float *k = kv + rows->offset[s] * 2 * W + h * D;

    return (struct head){q + s * W + h * D, k, k + W, rows->offset[s + 1] - rows->offset[s], D, 2 * W};
}

static void probabilities(float *p, const struct head *head)
{
    double largest = -INFINITY, total = 0;
    float scale = (float)(1 / sqrt((double)head->D));

    for (size_t j = 0; j < head->L; j++) {
        double score = 0;

        for (size_t d = 0; d < head->D; d++)
            score += (double)head->q[d] * head->k[j * head->apart + d];
        p[j] = (float)(score * scale);
        largest = p[j] > largest ? p[j] : largest;
    }
    for (size_t j = 0; j < head->L; j++)
        total += exp(p[j] - largest);
    for (size_t j = 0; j < head->L; j++)
        p[j] = (float)(exp(p[j] - largest) / total);
}

void ft_plain_attend_forward(float *y, const float *q, const float *kv, size_t H, const struct ft_rows *rows, size_t W, float *scratch)
{
    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t h = 0; h < H; h++) {
            const struct head head = head_of(q, kv, H, rows, W, s, h);
            float *out = y + s * W + h * head.D;

            probabilities(scratch, &head);
            for (size_t d = 0; d < head.D; d++) {
                double sum = 0;

                for (size_t j = 0; j < head.L; j++)
                    sum += (double)scratch[j] * head.v[j * head.apart + d];
                out[d] = (float)sum;
            }
        }
}

/* ds = p (dp - sum(dp p)) / sqrt(D), where dp = V dy: the gradient of the scores before their scale. */
static void scores_backward(float *ds, const float *p, const float *dy, const struct head *head)
{
    double total = 0;

    for (size_t j = 0; j < head->L; j++) {
        double sum = 0;

        for (size_t d = 0; d < head->D; d++)
            sum += (double)dy[d] * head->v[j * head->apart + d];
        ds[j] = (float)sum;
        total += sum * p[j];
    }
    for (size_t j = 0; j < head->L; j++)
        ds[j] = (float)(p[j] * (ds[j] - total) / sqrt((double)head->D));
}

void ft_plain_attend_backward(float *dq, float *dkv, const float *dy, const float *q, const float *kv, size_t H, const struct ft_rows *rows, size_t W,
                              float *scratch)
{
    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t h = 0; h < H; h++) {
            const struct head head = head_of(q, kv, H, rows, W, s, h);
            float *p = scratch, *ds = scratch + head.L;
            const float *out = dy + s * W + h * head.D;

            probabilities(p, &head);
            scores_backward(ds, p, out, &head);
            for (size_t d = 0; d < head.D && dq != NULL; d++) {
                double sum = 0;

                for (size_t j = 0; j < head.L; j++)
                    sum += (double)ds[j] * head.k[j * head.apart + d];
                dq[s * W + h * head.D + d] = (float)sum;
            }
            for (size_t j = 0; j < head.L && dkv != NULL; j++) {
                float *dk = dkv + (rows->offset[s] + j) * 2 * W + h * head.D;

                for (size_t d = 0; d < head.D; d++) {
                    dk[d] = ds[j] * head.q[d];
                    dk[W + d] = p[j] * out[d];
                }
            }
        }
}
