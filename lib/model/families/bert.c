/* bert.c - BERT (Devlin et al. 2018) and what has its shape: MiniLM, BGE, GTE and E5 of the first generation, any depth and width. Names are those of
 * transformers' BertModel. */
#include "model/families/postnorm.h"
#include "base/error.h"

static int build(struct ft_builder *b, const json_t *json, const char *path)
{
    struct ft_postnorm_embeddings table;
    struct ft_postnorm encoder;

    if (ft_postnorm_read(json, path, &encoder, &table) < 0)
        return -1;
    b->model->vocabulary = table.vocabulary;
    b->model->max_length = table.positions;
    return ft_postnorm_build(b, &encoder, ft_postnorm_embed(b, &encoder, &table));
}

/* BertForSequenceClassification: the first token's vector, a layer of its own (the pooler), the classifier. */
static int build_head(struct ft_builder *b, const json_t *json, const char *path, int tokens)
{
    double dropout = -1;
    struct ft_postnorm_embeddings table;
    struct ft_postnorm c;
    int node;

    if (ft_postnorm_read(json, path, &c, &table) < 0 || ft_json_number(json, path, "classifier_dropout", 0, .999, &dropout) < 0)
        return -1;
    if (table.types < 2)
        return ft_fail(FT_BAD, "%s: type_vocab_size is %zu, expected 2 or more: the second text of a pair is of another type", path, table.types);
    node = ft_build_node(b, FT_OP_POOL, c.width, tokens, -1, -1, "pooler");
    ft_build_at(b, node)->pooling = FT_POOL_CLS;
    node = ft_build_linear(b, node, c.width, c.width, true, "pooler.dense", "pooler.dense");
    node = ft_build_activation(b, node, c.width, FT_TANH, "pooler.activation");
    node = ft_build_dropout(b, node, c.width, dropout < 0 ? c.dropout : dropout, "dropout");
    return ft_build_linear(b, node, c.width, 1, true, "classifier", "classifier");
}

/* A checkpoint of a model that wraps BertModel has "bert." before its names. */
static const char *const prefixes[] = {"", "bert.", NULL};

const struct ft_family ft_family_bert = {"bert", build, build_head, prefixes};
