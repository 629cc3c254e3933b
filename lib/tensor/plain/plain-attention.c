/* plain-attention.c - scaled dot-product self-attention (Vaswani et al. 2017), one query at a time.
 *
 * For a query q over the keys and values of its sequence: p = softmax(q K^T scale + bias), p' = dropout(p), y = p' V. */
#include "tensor/plain/plain.h"

#include <math.h>

/* One head of one sequence. Rows of q, k, v and their gradients are 3W apart, those of y and dy W. */
struct head {
    const struct ft_attention *attention;
    const float *q, *k, *v;
    size_t L, D, W, index;
    float scale;
    const struct ft_dropout *dropout;
    uint32_t number;
};

float ft_attention_scale(const struct ft_attention *attention, size_t width)
{
    return attention->scale > 0 ? attention->scale : (float)(1 / sqrt((double)width));
}

/* The logarithms are rounded to fp32 where torch rounds them, as a distance on the border of two buckets falls to one of them by its last bit. */
size_t ft_attention_bucket(const struct ft_attention *attention, ptrdiff_t apart)
{
    size_t half = attention->buckets / 2, exact = half / 2, far = (size_t)(apart < 0 ? -apart : apart), bucket = far;
    size_t first = apart > 0 ? half : 0;

    if (far >= exact) {
        float log_far = (float)log((double)((float)far / (float)exact)), log_most = (float)log((double)attention->distance / (double)exact);

        bucket = exact + (size_t)(log_far / log_most * (float)(half - exact));
        bucket = bucket < half - 1 ? bucket : half - 1;
    }
    return first + bucket;
}

static struct head head_of(const float *qkv, const struct ft_attention *attention, const struct ft_dropout *dropout,
                           const struct ft_rows *rows, size_t W, size_t s, size_t h)
{
    size_t D = W / attention->heads;
    const float *q = qkv + rows->offset[s] * 3 * W + h * D;

    return (struct head){
        .attention = attention, .q = q, .k = q + W, .v = q + 2 * W, .L = rows->offset[s + 1] - rows->offset[s], .D = D, .W = W, .index = h,
        .scale = ft_attention_scale(attention, D), .dropout = dropout, .number = rows->number[s],
    };
}

/* Query i sees the keys from the first of these, and before the second. */
static size_t keys_begin(const struct head *head, size_t i)
{
    size_t window = head->attention->window;

    return window && window < i ? i - window : 0;
}

static size_t keys_end(const struct head *head, size_t i)
{
    size_t window = head->attention->window, end = head->attention->causal ? i + 1 : head->L;

    return window && window < end - i - 1 ? i + window + 1 : end;
}

static size_t bias_at(const struct head *head, ptrdiff_t apart)
{
    return ft_attention_bucket(head->attention, apart) * head->attention->heads + head->index;
}

/* p[L]: probabilities of query i, and keep[L]: what dropout multiplies them by. */
static void probabilities(float *p, float *keep, const struct head *head, size_t i)
{
    size_t L = head->L, begin = keys_begin(head, i), end = keys_end(head, i), stride = (L + 7) / 8 * 8, W3 = 3 * head->W;
    double largest = -INFINITY, total = 0;

    for (size_t j = begin; j < end; j++) {
        double score = 0;

        for (size_t d = 0; d < head->D; d++)
            score += (double)head->q[i * W3 + d] * head->k[j * W3 + d];
        p[j] = (float)(score * head->scale + (head->attention->bias != NULL ? head->attention->bias[bias_at(head, (ptrdiff_t)j - (ptrdiff_t)i)] : 0));
        if (p[j] > largest)
            largest = p[j];
    }
    for (size_t j = begin; j < end; j++)
        total += exp(p[j] - largest);
    for (size_t j = 0; j < L; j++) {
        p[j] = j >= begin && j < end ? (float)(exp(p[j] - largest) / total) : 0;
        keep[j] = ft_dropout_is_on(head->dropout)
            ? ft_plain_keep(head->dropout, head->number, (head->index * L + i) * stride + j) : 1;
    }
}

void ft_plain_attention_forward(float *y, const float *qkv, const struct ft_attention *attention, const struct ft_dropout *dropout,
                                const struct ft_rows *rows, size_t W, float *scratch)
{
    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t h = 0; h < attention->heads; h++) {
            struct head head = head_of(qkv, attention, dropout, rows, W, s, h);
            float *p = scratch, *keep = p + head.L, *out = y + rows->offset[s] * W + h * head.D;

            for (size_t i = 0; i < head.L; i++, out += W) {
                probabilities(p, keep, &head, i);
                for (size_t d = 0; d < head.D; d++) {
                    double sum = 0;

                    for (size_t j = keys_begin(&head, i); j < keys_end(&head, i); j++)
                        sum += (double)(p[j] * keep[j]) * head.v[j * 3 * W + d];
                    out[d] = (float)sum;
                }
            }
        }
}

/* Query i's part: dV += p'^T dy; dp = keep dy V^T; ds = p (dp - sum(dp p)); dbias[j - i + L - 1] += ds; dq = ds scale K; dK += (ds scale)^T q. */
static void query_backward(float *dq, double *dbias, const struct head *head, const float *dy, size_t i, float *p, float *keep, float *ds)
{
    size_t W3 = 3 * head->W, begin = keys_begin(head, i), end = keys_end(head, i);
    float *dk = dq + head->W, *dv = dq + 2 * head->W;
    double total = 0;

    probabilities(p, keep, head, i);
    for (size_t j = begin; j < end; j++) {
        double sum = 0;

        for (size_t d = 0; d < head->D; d++) {
            dv[j * W3 + d] += p[j] * keep[j] * dy[d];
            sum += (double)dy[d] * head->v[j * W3 + d];
        }
        ds[j] = (float)(sum * keep[j]);
        total += (double)ds[j] * p[j];
    }
    for (size_t j = begin; j < end; j++) {
        double score = p[j] * (ds[j] - total);

        dbias[j + head->L - 1 - i] += score;
        ds[j] = (float)(score * head->scale);
        for (size_t d = 0; d < head->D; d++) {
            dq[i * W3 + d] += ds[j] * head->k[j * W3 + d];
            dk[j * W3 + d] += ds[j] * head->q[i * W3 + d];
        }
    }
}

void ft_plain_attention_backward(float *dqkv, float *dbias, const float *dy, const float *qkv, const struct ft_attention *attention,
                                 const struct ft_dropout *dropout, const struct ft_rows *rows, size_t W, float *scratch)
{
    size_t bias_size = attention->buckets * attention->heads;
    double *distances = (double *)(void *)scratch;

    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t r = rows->offset[s]; r < rows->offset[s + 1]; r++)
            for (size_t i = 0; i < 3 * W; i++)
                dqkv[r * 3 * W + i] = 0;
    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t h = 0; h < attention->heads; h++) {
            struct head head = head_of(qkv, attention, dropout, rows, W, s, h);
            float *dq = dqkv + rows->offset[s] * 3 * W + h * head.D;

            for (size_t i = 0; i < 2 * head.L; i++)
                distances[i] = 0;
            for (size_t i = 0; i < head.L; i++)
                query_backward(dq, distances, &head, dy + (rows->offset[s] + i) * W + h * head.D, i,
                               scratch + 4 * head.L, scratch + 5 * head.L, scratch + 6 * head.L);
            for (size_t i = 0; dbias != NULL && i + 1 < 2 * head.L; i++)
                dbias[s * bias_size + bias_at(&head, (ptrdiff_t)i - (ptrdiff_t)(head.L - 1))] += (float)distances[i];
        }
}
