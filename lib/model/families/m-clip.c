/* m-clip.c - text towers of M-CLIP (Carlsson et al. 2022), its MultilingualCLIP: XLM-R or BERT, the mean of its tokens, a linear map into the space of a CLIP's
 * images. config.json says only whose architecture it is ("modelBase"), so sizes are read off the tensors; of both kinds a head is 64 wide. */
#include "base/error.h"
#include "model/families/postnorm.h"
#include "model/families/vision.h"
#include "model/weights/safetensors.h"

#include <stdio.h>
#include <string.h>

enum { HEAD = 64, LAYERS = 1024 };

static const char *const prefixes[] = {"transformer.", "", NULL};

/* The shape of a matrix among the model's files, which are open. */
static int find_shape(const struct ft_builder *b, const char *path, const char *name, size_t *rows, size_t *columns)
{
    char full[160];
    const struct ft_safetensor *tensor;

    snprintf(full, sizeof full, "transformer.%s", name);
    if (!(tensor = ft_safetensors_find(b->files, full)) || tensor->rank != 2 || !tensor->shape[0] || !tensor->shape[1] || tensor->shape[0] > 1 << 26 ||
        tensor->shape[1] > 1 << 20)
        return ft_fail(FT_BAD, "%s: no matrix %s among the tensors", path, full);
    *rows = (size_t)tensor->shape[0];
    *columns = (size_t)tensor->shape[1];
    return 0;
}

/* Sizes, `first` given. */
static int read_tensors(struct ft_builder *b, const char *path, struct ft_postnorm *e, struct ft_postnorm_embeddings *t)
{
    char name[80];
    size_t width;

    if (!ft_build_has(b, prefixes, "embeddings.word_embeddings.weight"))
        return b->failed ? -1 : ft_fail(FT_BAD, "%s: no tensor transformer.embeddings.word_embeddings.weight", path);
    if (find_shape(b, path, "embeddings.word_embeddings.weight", &t->vocabulary, &e->width) < 0 ||
        find_shape(b, path, "embeddings.position_embeddings.weight", &t->positions, &width) < 0 ||
        find_shape(b, path, "embeddings.token_type_embeddings.weight", &t->types, &width) < 0 ||
        find_shape(b, path, "encoder.layer.0.intermediate.dense.weight", &e->inner, &width) < 0)
        return -1;
    for (e->layers = 1; e->layers < LAYERS; e->layers++) {
        snprintf(name, sizeof name, "encoder.layer.%zu.intermediate.dense.weight", e->layers);
        if (!ft_build_has(b, prefixes, name))
            break;
    }
    e->heads = e->width / HEAD;
    if (e->width % HEAD || t->positions <= t->first + 2)
        return ft_fail(FT_BAD, "%s: vectors of %zu numbers, %zu positions: expected a multiple of %d, more than %zu", path, e->width, t->positions, HEAD,
                       t->first + 2);
    return 0;
}

static int build(struct ft_builder *b, const json_t *config, const char *path)
{
    struct ft_postnorm e = {.names = &ft_postnorm_bert, .dropout = .1, .attention_dropout = .1, .activation = FT_GELU};
    const char *base = ft_json_text(config, "modelBase");
    bool roberta = base && strstr(base, "xlm-roberta");
    struct ft_postnorm_embeddings t = {.first = roberta ? 2 : 0};
    size_t dim = 768;
    int node;

    if (!roberta && (!base || (!strstr(base, "bert") && !strstr(base, "LaBSE")) || strstr(base, "distilbert")))
        return ft_fail(FT_BAD, "%s: modelBase '%.128s' is not supported, expected an xlm-roberta, a bert or LaBSE", path, base ? base : "");
    e.epsilon = roberta ? 1e-5 : 1e-12;
    if (read_tensors(b, path, &e, &t) < 0 || ft_json_size(config, path, "numDims", 1, 1 << 16, true, &dim) < 0)
        return -1;
    b->model->vocabulary = t.vocabulary;
    b->model->max_length = t.positions - t.first;
    node = ft_postnorm_build(b, &e, ft_postnorm_embed(b, &e, &t));
    node = ft_build_node(b, FT_OP_POOL, e.width, node, -1, -1, "pooling");
    ft_build_at(b, node)->pooling = FT_POOL_MEAN;
    return ft_build_linear(b, node, e.width, dim, true, "LinearTransformation", "LinearTransformation");
}

const struct ft_family ft_family_m_clip = {"M-CLIP", build, NULL, prefixes};
