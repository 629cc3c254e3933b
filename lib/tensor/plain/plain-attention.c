/* plain-attention.c - scaled dot-product self-attention (Vaswani et al. 2017), one query at a time.
 *
 * For a query q over the keys and values of its sequence: p = softmax(q K^T scale), p' = dropout(p), y = p' V. */
#include "tensor/plain/plain.h"

#include <math.h>

/* One head of one sequence. Rows of q, k, v and their gradients are 3W apart, those of y and dy W. */
struct head {
    const float *q, *k, *v;
    size_t L, D, W, index;
    float scale;
    const struct ft_dropout *dropout;
    uint32_t number;
};

static struct head head_of(const float *qkv, const struct ft_dropout *dropout, const struct ft_rows *rows,
                           size_t H, size_t W, size_t s, size_t h)
{
    size_t D = W / H;
    const float *q = qkv + rows->offset[s] * 3 * W + h * D;

    return (struct head){
        .q = q, .k = q + W, .v = q + 2 * W, .L = rows->offset[s + 1] - rows->offset[s], .D = D, .W = W, .index = h,
        .scale = (float)(1 / sqrt((double)D)), .dropout = dropout, .number = rows->number[s],
    };
}

/* p[L]: probabilities of query i, and keep[L]: what dropout multiplies them by. */
static void probabilities(float *p, float *keep, const struct head *head, size_t i)
{
    size_t L = head->L, stride = (L + 7) / 8 * 8, W3 = 3 * head->W;
    double largest = -INFINITY, total = 0;

    for (size_t j = 0; j < L; j++) {
        double score = 0;

        for (size_t d = 0; d < head->D; d++)
            score += (double)head->q[i * W3 + d] * head->k[j * W3 + d];
        p[j] = (float)(score * head->scale);
        if (p[j] > largest)
            largest = p[j];
    }
    for (size_t j = 0; j < L; j++)
        total += exp(p[j] - largest);
    for (size_t j = 0; j < L; j++) {
        p[j] = (float)(exp(p[j] - largest) / total);
        keep[j] = ft_dropout_is_on(head->dropout)
            ? ft_plain_keep(head->dropout, head->number, (head->index * L + i) * stride + j) : 1;
    }
}

void ft_plain_attention_forward(float *y, const float *qkv, const struct ft_dropout *dropout, const struct ft_rows *rows,
                                size_t H, size_t W, float *scratch)
{
    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t h = 0; h < H; h++) {
            struct head head = head_of(qkv, dropout, rows, H, W, s, h);
            float *p = scratch, *keep = p + head.L, *out = y + rows->offset[s] * W + h * head.D;

            for (size_t i = 0; i < head.L; i++, out += W) {
                probabilities(p, keep, &head, i);
                for (size_t d = 0; d < head.D; d++) {
                    double sum = 0;

                    for (size_t j = 0; j < head.L; j++)
                        sum += (double)(p[j] * keep[j]) * head.v[j * 3 * W + d];
                    out[d] = (float)sum;
                }
            }
        }
}

/* Query i's part: dV += p'^T dy; dp = keep dy V^T; ds = p (dp - sum(dp p)) scale; dq = ds K; dK += ds^T q. */
static void query_backward(float *dq, const struct head *head, const float *dy, size_t i, float *p, float *keep, float *ds)
{
    size_t W3 = 3 * head->W;
    float *dk = dq + head->W, *dv = dq + 2 * head->W;
    double total = 0;

    probabilities(p, keep, head, i);
    for (size_t j = 0; j < head->L; j++) {
        double sum = 0;

        for (size_t d = 0; d < head->D; d++) {
            dv[j * W3 + d] += p[j] * keep[j] * dy[d];
            sum += (double)dy[d] * head->v[j * W3 + d];
        }
        ds[j] = (float)(sum * keep[j]);
        total += (double)ds[j] * p[j];
    }
    for (size_t j = 0; j < head->L; j++) {
        ds[j] = (float)(p[j] * (ds[j] - total) * head->scale);
        for (size_t d = 0; d < head->D; d++) {
            dq[i * W3 + d] += ds[j] * head->k[j * W3 + d];
            dk[j * W3 + d] += ds[j] * head->q[i * W3 + d];
        }
    }
}

void ft_plain_attention_backward(float *dqkv, const float *dy, const float *qkv, const struct ft_dropout *dropout,
                                 const struct ft_rows *rows, size_t H, size_t W, float *scratch)
{
    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t r = rows->offset[s]; r < rows->offset[s + 1]; r++)
            for (size_t i = 0; i < 3 * W; i++)
                dqkv[r * 3 * W + i] = 0;
    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t h = 0; h < H; h++) {
            struct head head = head_of(qkv, dropout, rows, H, W, s, h);
            float *dq = dqkv + rows->offset[s] * 3 * W + h * head.D;

            for (size_t i = 0; i < head.L; i++)
                query_backward(dq, &head, dy + (rows->offset[s] + i) * W + h * head.D, i,
                               scratch, scratch + head.L, scratch + 2 * head.L);
        }
}
