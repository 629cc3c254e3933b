/* fast-attention.h - scaled dot-product attention, a head of a sequence at a time.
 *
 * Queries are taken QUERIES at a time, so that their scores stay in the second cache however long the sequence is:
 *
 *     S = Q (K scale)^T + B      P = softmax(S)      P' = dropout(P)      Y = P' V
 *
 * and backward, with P computed again and G = dY V^T:
 *
 *     D = rowsum(P' G)    dS = P (dropout(G) - D)    dB += dS    dQ = dS scale K    dK += dS^T scale Q    dV += P'^T dY
 *
 * K and V are transposed once a head, with rows padded to whole vectors. Padded scores are computed and never read. With a window the products take
 * the keys that some query of the block sees, from a whole PAD on; what a query of them does not see has probability 0. B depends on how far the key is
 * from the query alone, so it is laid out once a head as one row of 2L - 1, which each query reads from another place; so is dB. */
#include "tensor/cpu/fast-dropout.h"
#include "tensor/cpu/product.h"
#include "tensor/cpu/vector-math.h"

#include <math.h>

enum { QUERIES = 64, PAD = 16 };    /* ft_attention_scratch in cpu.c counts with both */

struct attention {
    const float *q, *k, *v;                /* of this head, rows 3W apart */
    size_t L, D, W;
    size_t index;                          /* the head's number */
    size_t stride;                         /* L in whole PADs: between rows of what follows */
    float scale;
    float *k_across, *v_across;            /* [D, stride]: K^T scale, V^T */
    float *p, *g;                          /* [QUERIES, stride] */
    uint8_t *keep;                         /* masks of QUERIES rows of round_up(L, 8) / 8 bytes */
    bool causal;
    size_t window;                         /* SIZE_MAX: none */
    float *bias, *dbias;                   /* [2L - 1], by key - query + L - 1; NULL: none */
    int32_t *bucket;                       /* [L] by distance */
    const struct ft_dropout *dropout;
    uint32_t number;
};

INLINE struct attention attention_head(const float *qkv, const struct ft_attention *how, const struct ft_dropout *dropout,
                                       const struct ft_rows *rows, size_t W, size_t s, size_t h, float *scratch)
{
    size_t D = W / how->heads, L = rows->offset[s + 1] - rows->offset[s], stride = (L + PAD - 1) / PAD * PAD;
    const float *q = qkv + rows->offset[s] * 3 * W + h * D;
    float *p = scratch + 2 * D * stride, *bias = p + (2 * QUERIES + 2) * stride + PAD;

    return (struct attention){
        .q = q, .k = q + W, .v = q + 2 * W, .L = L, .D = D, .W = W, .index = h, .stride = stride,
        .scale = ft_attention_scale(how, D), .k_across = scratch, .v_across = scratch + D * stride,
        .p = p, .g = p + QUERIES * stride, .keep = (uint8_t *)(p + 2 * QUERIES * stride),
        .dropout = ft_dropout_is_on(dropout) ? dropout : NULL, .number = rows->number[s], .causal = how->causal,
        .window = how->window ? how->window : SIZE_MAX,
        .bias = how->bias != NULL ? bias : NULL, .bucket = (int32_t *)(bias + 4 * stride + 2 * PAD),
    };
}

/* The bias of head t->index; the buckets are the same for all heads, and found with the first. */
INLINE void bias_start(struct attention *t, const struct ft_attention *how, bool backward)
{
    size_t L = t->L, H = how->heads, half = how->buckets / 2;

    if (t->bias == NULL)
        return;
    for (size_t far = 0; t->index == 0 && far < L; far++)
        t->bucket[far] = (int32_t)(far <= how->distance ? ft_attention_bucket(how, -(ptrdiff_t)far) : half - 1);
    for (size_t far = 0; far < L; far++) {
        const float *before = how->bias + (size_t)t->bucket[far] * H + t->index;

        t->bias[L - 1 + far] = before[half * H];
        t->bias[L - 1 - far] = before[0];
    }
    for (size_t i = 2 * L - 1; i < 2 * t->stride + PAD; i++)
        t->bias[i] = 0;
    if (backward) {
        t->dbias = t->bias + 2 * t->stride + PAD;
        memset(t->dbias, 0, (2 * t->stride + PAD) * sizeof *t->dbias);
    }
}

/* Its gradient, from distances to buckets: to[buckets, H] += */
INLINE void bias_finish(const struct attention *t, float *to, const struct ft_attention *how)
{
    size_t L = t->L, H = how->heads, half = how->buckets / 2;

    for (size_t far = L - 1; far > 0; far--)
        to[(size_t)t->bucket[far] * H + t->index] += t->dbias[L - 1 - far];
    for (size_t far = 0; far < L; far++)
        to[((size_t)t->bucket[far] + (far > 0) * half) * H + t->index] += t->dbias[L - 1 + far];
}

/* Query i sees the keys before this one; of queries from i on, `count` together. */
INLINE size_t attention_keys(const struct attention *t, size_t i, size_t count)
{
    size_t keys = t->causal ? i + count : t->L;

    return t->window < keys - (i + count) ? i + count + t->window : keys;
}

/* Query i, and those after it, see none of the keys before this one. */
INLINE size_t attention_first(const struct attention *t, size_t i)
{
    return t->window < i ? i - t->window : 0;
}

/* to[D, stride] = (from[L, D] scale)^T, from's rows `apart`, the padding 0. */
INLINE void transpose(float *to, const float *from, size_t L, size_t D, size_t stride, size_t apart, float scale)
{
    for (size_t d = 0; d < D; d++)
        for (size_t j = L; j < stride; j++)
            to[d * stride + j] = 0;
    for (size_t j = 0; j < L; j++)
        for (size_t d = 0; d < D; d++)
            to[d * stride + j] = from[j * apart + d] * scale;
}

/* What a row does not see at its beginning: scores of nothing. */
INLINE void hide(float *p, size_t count)
{
    for (V_EACH(j, count, m))
        v_put(p + j, v_set(-INFINITY), m);
}

/* A row of scores, to which a bias is added, becomes probabilities: of its first L keys, with zeros after them. */
INLINE void softmax(float *p, const float *bias, size_t L, size_t keys)
{
    vf largest = v_set(-INFINITY), total = {0};
    float top, share;

    for (V_EACH(j, L, m)) {
        vf a = v_load(p + j);

        if (bias != NULL) {
            a += v_load(bias + j);
            v_store(p + j, a);
        }
        if (m < V)
            a = v_pick(v_first(m), a, v_set(-INFINITY));
        largest = v_max(a, largest);
    }
    top = v_largest(largest);
    for (V_EACH(j, L, m)) {
        vf a = v_exp(v_load(p + j) - top);

        if (m < V)
            a = v_pick(v_first(m), a, v_set(0.0f));
        total += a;
        v_store(p + j, a);
    }
    share = 1 / v_sum(total);
    for (size_t j = 0; j < L; j += V)
        v_store(p + j, v_load(p + j) * share);
    for (size_t j = (L + V - 1) / V * V; j < keys; j += V)
        v_store(p + j, v_set(0.0f));
}

/* p[count, stride]: the probabilities of queries i .. i + count - 1; keep: their masks. */
INLINE void attention_probabilities(const struct attention *t, size_t i, size_t count)
{
    size_t bytes = (t->L + 7) / 8, first = attention_first(t, i) / PAD * PAD, keys = attention_keys(t, i, count) - first;

    product(&(struct product){
        .c = t->p + first, .c_row = t->stride, .a = t->q + i * 3 * t->W, .a_row = 3 * t->W, .a_column = 1,
        .b = t->k_across + first, .b_row = t->stride, .m = count, .n = (keys + V - 1) / V * V, .k = t->D,
    });
    for (size_t r = 0; r < count; r++) {
        float *p = t->p + r * t->stride + first;
        size_t end = attention_keys(t, i + r, 1) - first;

        hide(p, attention_first(t, i + r) - first);
        if (t->bias != NULL)
            softmax(p, t->bias + t->L - 1 - (i + r) + first, end, keys);
        else
            softmax(p, NULL, end, keys);
    }
    if (t->dropout == NULL)
        return;
    if (t->window == SIZE_MAX)
        mask_make(t->keep, t->dropout, t->number, (t->index * t->L + i) * bytes, count * bytes);
    else
        for (size_t r = 0; r < count; r++)
            mask_make(t->keep + r * bytes + first / 8, t->dropout, t->number, (t->index * t->L + i + r) * bytes + first / 8, (keys + 7) / 8);
}

static void attention_forward(float *y, const float *qkv, const struct ft_attention *attention, const struct ft_dropout *dropout,
                              const struct ft_rows *rows, size_t W, float *scratch)
{
    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t h = 0; h < attention->heads; h++) {
            struct attention t = attention_head(qkv, attention, dropout, rows, W, s, h, scratch);

            bias_start(&t, attention, false);
            transpose(t.k_across, t.k, t.L, t.D, t.stride, 3 * W, t.scale);
            for (size_t i = 0; i < t.L; i += QUERIES) {
                size_t count = t.L - i < QUERIES ? t.L - i : QUERIES, keys = attention_keys(&t, i, count), first = attention_first(&t, i) / PAD * PAD;

                attention_probabilities(&t, i, count);
                if (t.dropout != NULL)
                    for (size_t r = 0; r < count; r++)
                        for (size_t j = first; j < keys; j += V) {
                            float *p = t.p + r * t.stride + j;
                            vm keep = mask_at(t.keep + r * ((t.L + 7) / 8), j);

                            v_store(p, v_pick(keep, v_load(p) * ft_dropout_scale(t.dropout), v_set(0.0f)));
                        }
                product(&(struct product){
                    .c = y + (rows->offset[s] + i) * W + h * t.D, .c_row = W, .a = t.p + first, .a_row = t.stride, .a_column = 1,
                    .b = t.v + first * 3 * W, .b_row = 3 * W, .m = count, .n = t.D, .k = keys - first,
                });
            }
        }
}

/* Row r of the block, over the keys from `first` on, a whole PAD: p becomes P', g (dY V^T) becomes dS scale; dbias is the row's place in dB, or NULL. */
INLINE void attention_row_backward(const struct attention *t, float *dbias, size_t r, size_t first, size_t keys)
{
    const uint8_t *bytes = t->keep + r * ((t->L + 7) / 8) + first / 8;
    float *p = t->p + r * t->stride + first, *g = t->g + r * t->stride + first;
    float keep_scale = t->dropout != NULL ? ft_dropout_scale(t->dropout) : 1, dot;
    vf sum = {0};

    for (V_EACH(j, keys, m)) {
        vf kept = v_load(g + j) * keep_scale;

        if (t->dropout != NULL)
            kept = v_pick(mask_at(bytes, j), kept, v_set(0.0f));
        if (m < V)
            kept = v_pick(v_first(m), kept, v_set(0.0f));
        v_store(g + j, kept);
        sum = v_fma(kept, v_load(p + j), sum);
    }
    dot = v_sum(sum);
    for (size_t j = 0; j < keys; j += V) {
        vf a = v_load(p + j), score = a * (v_load(g + j) - dot);

        if (dbias != NULL)
            v_store(dbias + j, v_load(dbias + j) + score);
        v_store(g + j, score * t->scale);
        if (t->dropout != NULL)
            v_store(p + j, v_pick(mask_at(bytes, j), a * keep_scale, v_set(0.0f)));
    }
}

/* Rows of C that were begun are added to, the others written. */
static void product_onto(const struct product *t, size_t begun)
{
    struct product old = *t, fresh = *t;

    old.m = begun;
    old.add = true;
    fresh.m -= begun;
    fresh.c += begun * t->c_row;
    fresh.a += begun * t->a_row;
    product(&old);
    product(&fresh);
}

/* Queries i .. i + count - 1 of a head; dq, dy are the head's in its sequence. The first block that sees a key writes its dk and dv, the others add. */
INLINE void attention_block_backward(const struct attention *t, float *dq, const float *dy, size_t i, size_t count)
{
    size_t W = t->W, W3 = 3 * t->W, first = attention_first(t, i) / PAD * PAD, keys = attention_keys(t, i, count) - first;
    size_t begun = i == 0 ? 0 : attention_keys(t, i - QUERIES, QUERIES) - first;
    const float *p = t->p + first, *g = t->g + first;

    attention_probabilities(t, i, count);
    product(&(struct product){
        .c = t->g + first, .c_row = t->stride, .a = dy + i * W, .a_row = W, .a_column = 1, .b = t->v_across + first, .b_row = t->stride,
        .m = count, .n = (keys + V - 1) / V * V, .k = t->D,
    });
    for (size_t r = 0; r < count; r++)
        if (t->dbias != NULL)
            attention_row_backward(t, t->dbias + t->L - 1 - (i + r) + first, r, first, keys);
        else
            attention_row_backward(t, NULL, r, first, keys);
    product(&(struct product){
        .c = dq + i * W3, .c_row = W3, .a = g, .a_row = t->stride, .a_column = 1, .b = t->k + first * W3, .b_row = W3,
        .m = count, .n = t->D, .k = keys,
    });
    product_onto(&(struct product){
        .c = dq + first * W3 + W, .c_row = W3, .a = g, .a_row = 1, .a_column = t->stride, .b = t->q + i * W3, .b_row = W3,
        .m = keys, .n = t->D, .k = count,
    }, begun);
    product_onto(&(struct product){
        .c = dq + first * W3 + 2 * W, .c_row = W3, .a = p, .a_row = 1, .a_column = t->stride, .b = dy + i * W, .b_row = W,
        .m = keys, .n = t->D, .k = count,
    }, begun);
}

static void attention_backward(float *dqkv, float *dbias, const float *dy, const float *qkv, const struct ft_attention *attention,
                               const struct ft_dropout *dropout, const struct ft_rows *rows, size_t W, float *scratch)
{
    size_t bias_size = attention->buckets * attention->heads;

    for (size_t s = 0; s < rows->sequences; s++) {
        float *to = dbias != NULL ? dbias + s * bias_size : NULL;

        for (size_t h = 0; h < attention->heads; h++) {
            struct attention t = attention_head(qkv, attention, dropout, rows, W, s, h, scratch);
            size_t first = rows->offset[s];

            bias_start(&t, attention, to != NULL);
            transpose(t.k_across, t.k, t.L, t.D, t.stride, 3 * W, t.scale);
            transpose(t.v_across, t.v, t.L, t.D, t.stride, 3 * W, 1);
            for (size_t i = 0; i < t.L; i += QUERIES)
                attention_block_backward(&t, dqkv + first * 3 * W + h * t.D, dy + first * W + h * t.D,
                                         i, t.L - i < QUERIES ? t.L - i : QUERIES);
            if (to != NULL && t.L > 0)
                bias_finish(&t, to, attention);
        }
    }
}
