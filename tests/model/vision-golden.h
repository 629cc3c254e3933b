/* vision-golden.h - what a model gives beside what PyTorch gave in tests/golden/vision and tests/golden/clip: embeddings, and of gradients sums. */
#ifndef FT_TESTS_VISION_GOLDEN_H
#define FT_TESTS_VISION_GOLDEN_H

#include "base/error.h"
#include "model/run/runner.h"
#include "vision-names.h"

enum { ITEMS = 4, KEPT = 16 };

struct sum {
    char kind, name[160];
    double product, length;
};
struct golden {
    char name[64], library[32], architecture[64], mode[8];
    size_t size, sums;
    double kept[ITEMS][KEPT];
    struct sum sum[1024];
};

/* The next case of expected.txt from *line on. */
static bool next_case(char **line, struct golden *g)
{
    size_t items = 0;

    memset(g, 0, sizeof *g);
    if (!*line || sscanf(*line, "case %63s %31s %63s %zu %7s", g->name, g->library, g->architecture, &g->size, g->mode) != 5)
        return false;
    for (*line = strchr(*line, '\n') + 1; **line && **line != 'c'; *line = strchr(*line, '\n') + 1) {
        struct sum *sum = &g->sum[g->sums];
        char *p = *line + 1;

        if (**line == 'e') {
            for (int k = 0; k < KEPT; k++)
                g->kept[items][k] = strtod(p, &p);
            items++;
        } else if (sscanf(*line, "%c %159s %lf %lf", &sum->kind, sum->name, &sum->product, &sum->length) == 4) {
            g->sums++;
        }
    }
    return items == ITEMS;
}

static uint8_t byte(size_t a, size_t b, size_t c, size_t d)
{
    return (uint8_t)mix((((uint32_t)a * 4096 + (uint32_t)b) * 4096 + (uint32_t)c) * 4 + (uint32_t)d);
}

/* ITEMS images of squares with noise, as pixels() of make.py has them. */
static void pack_images(const struct ft_model *model, size_t size, struct ft_packed *packed)
{
    uint8_t *pixel = ft_arena_take(&arena, ITEMS * size * size * 3), *p = pixel;

    *packed = (struct ft_packed){.texts = ITEMS, .pixel = pixel, .chunk_rows = model->chunk_rows, .shard_rows = model->shard_rows};
    packed->offset = ft_arena_take(&arena, (ITEMS + 1) * sizeof *packed->offset);
    for (size_t i = 0; i <= ITEMS; i++)
        packed->offset[i] = (uint32_t)(i * model->rows_each);
    for (size_t i = 0; i < ITEMS; i++)
        for (size_t y = 0; y < size; y++)
            for (size_t x = 0; x < size; x++)
                for (size_t c = 0; c < 3; c++)
                    *p++ = (uint8_t)((byte(i, y / 8, x / 8, c) * 3 + byte(i + 100, y, x, c)) / 4);
}

/* ---- forward, loss = sum sin(7 i + 3 j + 1) e_ij, backward ---- */

struct outcome {
    float *embedding, *gradient;
    size_t dim;
};

static int run(struct ft_model *model, const struct ft_packed *packed, int flags, enum ft_precision precision, size_t per_chunk, bool follow, struct outcome *o)
{
    struct ft_runner *runner = ft_runner_open(model, FT_PLAN_TRAINING | flags, precision);
    float *dout = ft_arena_take(&arena, ITEMS * model->dim * sizeof *dout);
    struct ft_cut cut;
    int result = 0;

    *o = (struct outcome){ft_arena_zero(&arena, ITEMS * model->dim, sizeof(float)), ft_arena_zero(&arena, model->block_count, sizeof(float)), model->dim};
    if (!runner || ft_cut_make(&arena, packed, per_chunk, &cut) < 0 || ft_runner_batch(runner, packed, &cut, 1, 1) < 0)
        return -1;
    for (size_t i = 0; i < ITEMS * model->dim; i++)
        dout[i] = (float)sin(7.0 * (double)(i / model->dim) + 3.0 * (double)(i % model->dim) + 1);
    for (size_t c = 0; c < cut.chunk_count; c++)
        result |= ft_runner_forward(runner, c, 1, o->embedding);
    for (size_t c = 0; c < cut.chunk_count; c++)
        result |= ft_runner_backward(runner, c, 1, dout, o->gradient);
    if (follow)
        ft_runner_follow(runner);
    ft_runner_close(runner);
    return result;
}

/* As ft-embed does it. */
static int run_forward(struct ft_model *model, const struct ft_packed *packed, enum ft_precision precision, struct outcome *o)
{
    struct ft_runner *runner = ft_runner_open(model, 0, precision);
    struct ft_cut cut;
    int result = -1;

    *o = (struct outcome){ft_arena_zero(&arena, ITEMS * model->dim, sizeof(float)), NULL, model->dim};
    if (runner && ft_cut_make(&arena, packed, 0, &cut) == 0 && ft_runner_batch(runner, packed, &cut, 1, 1) == 0)
        result = ft_runner_forward_only(runner, 0, o->embedding);
    ft_runner_close(runner);
    return result;
}

/* The farthest embedding, by the largest. */
static double far_embedding(const struct golden *g, const struct outcome *o)
{
    double most = 0, scale = 0;

    for (size_t i = 0; i < ITEMS; i++)
        for (size_t k = 0; k < KEPT; k++) {
            most = fmax(most, fabs(o->embedding[i * o->dim + k * (o->dim / KEPT)] - g->kept[i][k]));
            scale = fmax(scale, fabs(g->kept[i][k]));
        }
    return most / scale;
}

/* The farthest of the sums of a kind: product and length, by the length, or by a share of the longest: what a batch norm of the batch takes away again,
 * a bias before it, has no gradient but rounding. */
static double far_sums(const struct ft_model *model, const struct golden *g, char kind, const float *block, const char **where, size_t *count)
{
    double most = 0, longest = 0;

    for (size_t k = 0; k < g->sums; k++)
        longest = g->sum[k].kind == kind ? fmax(longest, g->sum[k].length) : longest;
    *count = 0;
    for (int i = 0; i < model->parameter_count; i++)
        for (size_t k = 0; k < g->sums; k++) {
            const struct ft_parameter *p = &model->parameters[i];
            const struct sum *sum = &g->sum[k];
            uint32_t hash = name_hash(ft_arena_print(&arena, "of %s", p->name));
            double product = 0, square = 0, far;

            if (sum->kind != kind || strcmp(sum->name, p->name) != 0)
                continue;
            for (size_t j = 0; j < p->rows * p->columns; j++) {
                product += block[p->offset + j] * uniform(hash, j);
                square += (double)block[p->offset + j] * block[p->offset + j];
            }
            far = fmax(fabs(product - sum->product), fabs(sqrt(square) - sum->length)) / fmax(sum->length, (model->batch_statistics ? 1e-2 : 1e-6) * longest);
            if (!(far <= most)) {
                most = far;
                *where = p->name;
            }
            ++*count;
        }
    return most;
}

static double apart(const float *a, const float *b, size_t count)
{
    double most = 0, scale = 0;

    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fabs((double)a[i] - b[i]));
        scale = fmax(scale, fabs(a[i]));
    }
    return most / scale;
}

#endif
