/* roberta.c - RoBERTa (Liu et al. 2019), XLM-RoBERTa (Conneau et al. 2020) and CamemBERT: BERT's encoder, with positions counted from after the padding token's
 * id. transformers does not count a literal padding token inside a text; here every token has a position. */
#include "model/families/postnorm.h"
#include "base/error.h"

static int build(struct ft_builder *b, const json_t *json, const char *path)
{
    struct ft_postnorm_embeddings table;
    struct ft_postnorm encoder;
    size_t padding = 1;

    if (ft_postnorm_read(json, path, &encoder, &table) < 0 || ft_json_size(json, path, "pad_token_id", 0, 1 << 26, true, &padding) < 0)
        return -1;
    table.first = padding + 1;
    if (table.positions <= table.first)
        return ft_fail(FT_BAD, "%s: max_position_embeddings %zu leaves no position after pad_token_id %zu", path, table.positions, padding);
    b->model->vocabulary = table.vocabulary;
    b->model->max_length = table.positions - table.first;
    return ft_postnorm_build(b, &encoder, ft_postnorm_embed(b, &encoder, &table));
}

static const char *const prefixes[] = {"", "roberta.", NULL};

const struct ft_family ft_family_roberta = {"roberta", build, NULL, prefixes};
const struct ft_family ft_family_xlm_roberta = {"xlm-roberta", build, NULL, prefixes};
const struct ft_family ft_family_camembert = {"camembert", build, NULL, prefixes};
