/* chinese-clip.c - Chinese-CLIP (Yang et al. 2022) as transformers' ChineseCLIPModel: texts by BERT's encoder, whose first token is projected; images as CLIP's. */
#include "base/error.h"
#include "model/families/clip-towers.h"
#include "model/families/postnorm.h"

static const char *const text_prefixes[] = {"text_model.", "", NULL};
static const char *const image_prefixes[] = {"vision_model.", "", NULL};

static int build_text(struct ft_builder *b, const json_t *config, const char *path)
{
    struct ft_postnorm_embeddings table;
    struct ft_postnorm encoder;
    size_t dim;
    int node;

    if (ft_postnorm_read(ft_clip_part(config, "text_config"), path, &encoder, &table) < 0 ||
        ft_clip_dim(b, config, path, text_prefixes, "text_projection.weight", &dim) < 0)
        return -1;
    b->model->vocabulary = table.vocabulary;
    b->model->max_length = table.positions;
    node = ft_postnorm_build(b, &encoder, ft_postnorm_embed(b, &encoder, &table));
    node = ft_build_node(b, FT_OP_POOL, encoder.width, node, -1, -1, "pooling");
    ft_build_at(b, node)->pooling = FT_POOL_CLS;
    return dim ? ft_build_linear(b, node, encoder.width, dim, false, "text_projection", "text_projection") : node;
}

static int build_image(struct ft_builder *b, const json_t *config, const char *path)
{
    return ft_clip_image_family(b, config, path, image_prefixes, "Chinese-CLIP has them");
}

static const struct ft_family text = {"chinese_clip_text_model", build_text, NULL, text_prefixes};
static const struct ft_family image = {"chinese_clip_vision_model", build_image, NULL, image_prefixes};
const struct ft_family_pair ft_pair_chinese_clip = {"chinese_clip", {&text, &image}};
