/* checksum.c - 8 hex digits that say which embeddings a model gives: its parameters, how its nodes use them, and how pictures are made ready.
 *
 * The parameters' bytes are summed in pieces, so that the pool can share them, and the pieces' sums and the node list are summed again. What
 * changes no embedding (dropout rates, what is frozen, names) stays out. */
#include "base/error.h"
#include "base/hash.h"
#include "base/pool.h"
#include "data/preprocess.h"
#include "model/model.h"

#include <inttypes.h>
#include <stdio.h>

enum { PIECE = 1 << 20 };   /* floats */

struct piece {
    const float *data;
    size_t count;
    uint32_t sum;
};

static int sum_piece(void *argument, size_t index, int worker)
{
    struct piece *piece = (struct piece *)argument + index;

    (void)worker;
    piece->sum = ft_crc32c(0, piece->data, piece->count * sizeof(float));
    return 0;
}

static size_t cut(const struct ft_model *model, struct piece *pieces)
{
    size_t n = 0;

    for (int i = 0; i < model->parameter_count; i++) {
        const struct ft_parameter *p = model->parameters + i;
        size_t count = p->rows * p->columns;

        for (size_t at = 0; at < count; at += PIECE, n++)
            if (pieces)
                pieces[n] = (struct piece){model->block + p->offset + at, count - at < PIECE ? count - at : PIECE, 0};
    }
    return n;
}

static uint32_t sum_node(uint32_t sum, const struct ft_model *model, const struct ft_node *node)
{
    char text[512];
    const struct ft_attention *attention = &node->attention;
    int length = snprintf(text, sizeof text, "%s %d,%d,%d %d,%d,%d %zu %a %zu %d %d %zu\n", ft_op_name(node->op),
                          node->inputs[0], node->inputs[1], node->inputs[2], node->parameters[0], node->parameters[1],
                          node->parameters[2], node->width, (double)node->epsilon, attention->heads, (int)node->activation,
                          (int)node->pooling, node->first_position);

    sum = ft_crc32c(sum, text, (size_t)length);
    if (attention->scale > 0 || attention->causal || attention->buckets) {   /* added later: other models keep their sums */
        length = snprintf(text, sizeof text, "%a %d %zu %zu %d\n", (double)attention->scale, attention->causal, attention->buckets,
                          attention->distance, node->inputs[3]);
        sum = ft_crc32c(sum, text, (size_t)length);
    }
    if (attention->window || node->theta > 0) {
        length = snprintf(text, sizeof text, "%zu %a\n", attention->window, (double)node->theta);
        sum = ft_crc32c(sum, text, (size_t)length);
    }
    if (node->op == FT_OP_GEM && !node->parameter_count)
        sum = ft_crc32c(sum, &node->power, sizeof node->power);
    if (node->height || node->kernel || node->op == FT_OP_BATCH_NORM) {   /* of an image's nodes what others have no use for */
        length = snprintf(text, sizeof text, "%zu %zu %zu %zu %zu %zu %zu %a %a %a %a %a %a\n", node->height, node->across, node->kernel, node->stride,
                          node->groups, node->above, node->left, (double)node->multiply[0], (double)node->multiply[1], (double)node->multiply[2],
                          (double)node->add[0], (double)node->add[1], (double)node->add[2]);
        sum = ft_crc32c(sum, text, (size_t)length);
    }
    for (int i = 0; i < node->parameter_count; i++) {
        const struct ft_parameter *p = model->parameters + node->parameters[i];

        length = snprintf(text, sizeof text, "%zu,%zu\n", p->rows, p->columns);
        sum = ft_crc32c(sum, text, (size_t)length);
    }
    return sum;
}

/* How a picture becomes pixels. What multiplies and adds is the first node's. Black around a picture is what there was before others could be said. */
static uint32_t sum_preprocess(uint32_t sum, const struct ft_preprocess *p)
{
    char text[128], fill[8] = "";
    int length;

    if (p->fill)
        snprintf(fill, sizeof fill, " %d", (int)p->fill);
    length = snprintf(text, sizeof text, "%d %d %zu %zu %d%s\n", (int)p->rule, (int)p->filter, p->resize_height, p->resize_width, p->even, fill);
    return ft_crc32c(sum, text, (size_t)length);
}

const char *ft_model_checksum(const struct ft_model *model, char text[9])
{
    size_t count = cut(model, NULL);
    struct ft_arena arena = {0};
    struct piece *pieces = ft_arena_zero(&arena, count, sizeof *pieces);
    uint32_t sum = 0;

    if (pieces) {
        cut(model, pieces);
        ft_pool_run(count, sum_piece, pieces);
        for (size_t i = 0; i < count; i++)
            sum = ft_crc32c(sum, &pieces[i].sum, sizeof pieces[i].sum);
    } else {   /* a model was opened and this is not to be had: no sum that could pass for one */
        ft_error_clear();
        sum = ~0u;
    }
    for (int i = 0; i < model->node_count; i++)
        sum = sum_node(sum, model, model->nodes + i);
    if (model->preprocess)
        sum = sum_preprocess(sum, model->preprocess);
    for (int t = 0; t < model->tower_count; t++)
        if (model->towers[t]->preprocess)
            sum = sum_preprocess(sum, model->towers[t]->preprocess);
    snprintf(text, 9, "%08" PRIx32, sum);
    ft_arena_free(&arena);
    return text;
}
