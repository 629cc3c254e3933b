/* bench-kernels.c - how long each kernel takes at MiniLM-L6's shapes, one thread, beside the matrix products of the same layer.
 *
 *     make build/tests/tensor/bench-kernels && build/tests/tensor/bench-kernels
 *
 * Times are the best of several runs of one layer's worth of work; "share" is of the layer's products, training (forward, backward, gradients). */
#include "base/tool.h"
#include "ops.h"


enum { W = 384, INNER = 1536, HEADS = 12 };

struct bench {
    const struct ft_kernels *k;
    struct ft_rows rows;
    struct ft_dropout dropout;
    size_t R;
    uint32_t offset[129], number[129];
    int32_t *id;
    float *x, *y, *wide, *wide2, *weight, *dweight, *stat, *scratch, *dbias;
};

static void run_qkv(struct bench *b) { b->k->linear_forward(b->wide, b->x, b->weight, NULL, b->weight, b->R, W, 3 * W); }
static void run_out(struct bench *b) { b->k->linear_forward(b->y, b->x, b->weight, NULL, b->weight, b->R, W, W); }
static void run_up(struct bench *b) { b->k->linear_forward(b->wide, b->x, b->weight, NULL, b->weight, b->R, W, INNER); }
static void run_down(struct bench *b) { b->k->linear_forward(b->y, b->wide2, b->weight, NULL, b->weight, b->R, INNER, W); }
static void back_qkv(struct bench *b) { b->k->linear_backward(b->y, b->wide2, b->weight, NULL, b->R, W, 3 * W); }
static void back_out(struct bench *b) { b->k->linear_backward(b->y, b->x, b->weight, NULL, b->R, W, W); }
static void back_up(struct bench *b) { b->k->linear_backward(b->y, b->wide2, b->weight, NULL, b->R, W, INNER); }
static void back_down(struct bench *b) { b->k->linear_backward(b->wide, b->x, b->weight, NULL, b->R, INNER, W); }
static void grad_qkv(struct bench *b) { b->k->linear_gradient(b->dweight, b->stat, b->wide2, b->x, NULL, NULL, b->R, W, 3 * W, 0, 3 * W); }
static void grad_out(struct bench *b) { b->k->linear_gradient(b->dweight, b->stat, b->y, b->x, NULL, NULL, b->R, W, W, 0, W); }
static void grad_up(struct bench *b) { b->k->linear_gradient(b->dweight, b->stat, b->wide2, b->x, NULL, NULL, b->R, W, INNER, 0, INNER); }
static void grad_down(struct bench *b) { b->k->linear_gradient(b->dweight, b->stat, b->x, b->wide2, NULL, NULL, b->R, INNER, W, 0, W); }
static const struct ft_attention attention = {.heads = HEADS};
static void run_attention(struct bench *b) { b->k->attention_forward(b->y, b->wide2, &attention, &b->dropout, &b->rows, W, b->scratch); }
static void run_attention_0(struct bench *b) { b->k->attention_forward(b->y, b->wide2, &attention, NULL, &b->rows, W, b->scratch); }
static void back_attention(struct bench *b)
{
    b->k->attention_backward(b->wide, NULL, b->x, b->wide2, &attention, &b->dropout, &b->rows, W, b->scratch);
}
static void run_biased(struct bench *b)
{
    const struct ft_attention biased = {.heads = HEADS, .bias = b->weight, .buckets = 32, .distance = 128};

    b->k->attention_forward(b->y, b->wide2, &biased, &b->dropout, &b->rows, W, b->scratch);
}
static void back_biased(struct bench *b)
{
    const struct ft_attention biased = {.heads = HEADS, .bias = b->weight, .buckets = 32, .distance = 128};

    b->k->attention_backward(b->wide, b->dbias, b->x, b->wide2, &biased, &b->dropout, &b->rows, W, b->scratch);
}
static void run_gelu(struct bench *b) { b->k->activation_forward(FT_GELU, b->wide, b->wide2, b->R * INNER); }
static void back_gelu(struct bench *b) { b->k->activation_backward(FT_GELU, b->wide, b->wide2, b->wide2, b->R * INNER); }
static void run_norm(struct bench *b) { b->k->layer_norm_forward(b->y, b->stat, b->x, b->weight, b->weight, 1e-12f, b->R, W); }
static void back_norm(struct bench *b) { b->k->layer_norm_backward(b->y, b->x, b->x, b->stat, b->weight, b->R, W); }
static void grad_norm(struct bench *b) { b->k->layer_norm_gradient(b->dweight, b->dweight + W, b->x, b->x, b->stat, b->R, W, 0, W); }
static void run_dropout_add(struct bench *b) { b->k->dropout_add(b->y, b->x, b->wide2, &b->dropout, &b->rows, W); }
static void back_dropout(struct bench *b) { b->k->dropout(b->y, b->x, &b->dropout, &b->rows, W); }
static void run_add(struct bench *b) { b->k->add(b->y, b->x, b->R * W); }
static void run_embedding(struct bench *b) { b->k->embedding_forward(b->y, b->id, b->weight, b->weight, b->weight, &b->rows, 0, W); }
static void grad_embedding(struct bench *b)
{
    b->k->embedding_gradient(b->dweight, b->dweight, b->dweight, b->x, b->id, &b->rows, 0, W, 0, W);
}
static void run_pool(struct bench *b) { b->k->pool_forward(FT_POOL_MEAN, b->y, NULL, b->x, &b->rows, W); }
static void back_pool(struct bench *b) { b->k->pool_backward(FT_POOL_MEAN, b->y, b->x, NULL, &b->rows, W); }
static void run_normalize(struct bench *b) { b->k->normalize_forward(b->y, b->stat, b->x, b->R, W); }

/* `work`: multiplications and additions a token for products, bytes a token otherwise; times a layer; and whether a layer's products. */
static const struct {
    const char *name;
    void (*run)(struct bench *b);
    double work;
    int times;
    bool product;
} items[] = {
    {"linear forward qkv", run_qkv, 2. * W * 3 * W, 1, true},
    {"linear forward out", run_out, 2. * W * W, 1, true},
    {"linear forward up", run_up, 2. * W * INNER, 1, true},
    {"linear forward down", run_down, 2. * W * INNER, 1, true},
    {"linear backward qkv", back_qkv, 2. * W * 3 * W, 1, true},
    {"linear backward out", back_out, 2. * W * W, 1, true},
    {"linear backward up", back_up, 2. * W * INNER, 1, true},
    {"linear backward down", back_down, 2. * W * INNER, 1, true},
    {"linear gradient qkv", grad_qkv, 2. * W * 3 * W, 1, true},
    {"linear gradient out", grad_out, 2. * W * W, 1, true},
    {"linear gradient up", grad_up, 2. * W * INNER, 1, true},
    {"linear gradient down", grad_down, 2. * W * INNER, 1, true},
    {"attention forward", run_attention, 0, 1, false},
    {"attention backward", back_attention, 0, 1, false},
    {"gelu forward", run_gelu, 8. * INNER, 1, false},
    {"gelu backward", back_gelu, 12. * INNER, 1, false},
    {"layer_norm forward", run_norm, 8. * W, 2, false},
    {"layer_norm backward", back_norm, 12. * W, 2, false},
    {"layer_norm gradient", grad_norm, 8. * W, 2, false},
    {"dropout_add", run_dropout_add, 12. * W, 2, false},
    {"dropout (backward)", back_dropout, 8. * W, 2, false},
    {"add", run_add, 12. * W, 2, false},
    {"attention forward, biased", run_biased, 0, 0, false},
    {"attention backward, biased", back_biased, 0, 0, false},
    {"attention forward, rate 0", run_attention_0, 0, 0, false},
    {"embedding forward", run_embedding, 16. * W, 0, false},
    {"embedding gradient", grad_embedding, 20. * W, 0, false},
    {"pool forward", run_pool, 4. * W, 0, false},
    {"pool backward", back_pool, 4. * W, 0, false},
    {"normalize forward", run_normalize, 8. * W, 0, false},
};
enum { ITEMS = sizeof items / sizeof *items };

static double best_of(struct bench *b, int item)
{
    double best = 1e9, begin = ft_seconds();

    for (int i = 0; i < 200 && (i < 5 || ft_seconds() - begin < 0.15); i++) {
        double start = ft_seconds(), took;

        items[item].run(b);
        took = ft_seconds() - start;
        if (took < best)
            best = took;
    }
    return best;
}

static void bench(size_t sequences, size_t length)
{
    size_t big = 3 * W > INNER ? 3 * W : INNER;
    struct bench b = {.k = ft_kernels_cpu(FT_FP32), .R = sequences * length, .dropout = {0.1f, 1, 2, 3}};
    struct ft_random random = ft_random_start(1, 2);
    double took[ITEMS], products = 0, rest = 0;

    for (size_t s = 0; s <= sequences; s++) {
        b.offset[s] = (uint32_t)(s * length);
        b.number[s] = (uint32_t)s;
    }
    b.rows = (struct ft_rows){sequences, b.offset, b.number, NULL};
    b.x = floats(b.R * W), b.y = floats(b.R * W);
    b.wide = floats(b.R * big), b.wide2 = floats(b.R * big);
    b.weight = floats(W * big), b.dweight = floats(W * big);
    b.stat = floats(2 * b.R + big);
    b.id = calloc(b.R, sizeof *b.id);
    b.dbias = floats(sequences * 32 * HEADS);
    b.scratch = floats(ft_attention_scratch(length, HEADS, W));
    for (size_t i = 0; i < b.R * W; i++)
        b.x[i] = (float)ft_random_normal(&random);
    for (size_t i = 0; i < b.R * big; i++)
        b.wide2[i] = (float)ft_random_normal(&random);
    for (size_t i = 0; i < W * big; i++)
        b.weight[i] = (float)ft_random_normal(&random) * 0.05f;
    for (size_t i = 0; i < b.R; i++)
        b.id[i] = (int32_t)ft_random_below(&random, big);
    for (int i = 0; i < ITEMS; i++) {
        took[i] = best_of(&b, i);
        *(items[i].product ? &products : &rest) += took[i] * items[i].times;
    }
    printf("%s, %zu sequences of %zu: %zu tokens; products %.3f ms a layer, all else %.3f ms = %.1f %%\n", b.k->name, sequences,
           length, b.R, products * 1e3, rest * 1e3, 100 * rest / products);
    for (int i = 0; i < ITEMS; i++)
        printf("  %-26s %8.1f us %7.1f %s  %5.1f %%\n", items[i].name, took[i] * 1e6, items[i].work * (double)b.R / took[i] * 1e-9,
               items[i].product ? "GFLOP/s" : "GB/s   ", 100 * took[i] * items[i].times / products);
    free(b.x), free(b.y), free(b.wide), free(b.wide2), free(b.weight), free(b.dweight), free(b.stat), free(b.id), free(b.scratch), free(b.dbias);
}

int main(void)
{
    bench(16, 11);
    bench(2, 88);
    bench(46, 11);
    bench(6, 89);
    bench(2, 512);
    return 0;
}
