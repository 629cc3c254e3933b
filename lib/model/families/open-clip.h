/* open-clip.h - what the families of open_clip's checkpoints share; nobody else includes it. */
#ifndef FT_MODEL_FAMILIES_OPEN_CLIP_H
#define FT_MODEL_FAMILIES_OPEN_CLIP_H

#include "model/model-build.h"

/* "text_cfg", "vision_cfg" of open_clip_config.json's model_cfg, and its embed_dim. */
const json_t *ft_open_clip_part(const json_t *config, const char *key);
int ft_open_clip_dim(const json_t *config, const char *path, size_t *dim);

/* Keys of a part beside those that are known must be null or false: what they ask for is not covered. */
int ft_open_clip_keys(const json_t *part, const char *path, const char *what, const char *const *known);

/* How texts are cleaned and with what they are filled up, for the model's tokenizer_way: these keys of text_cfg, and tokenizer_config.json. */
#define FT_OPEN_CLIP_WORDS "hf_tokenizer_name", "tokenizer_kwargs"
int ft_open_clip_words(struct ft_builder *b, const json_t *part, const char *path);

/* How an image of size x size is made (preprocess_cfg): before the first node. */
int ft_open_clip_input(struct ft_builder *b, const json_t *config, const char *path, size_t size);

/* vision_cfg's image_size, a number or the same one twice. */
int ft_open_clip_size(const json_t *part, const char *path, size_t *size);

/* OpenAI's ResNets, whose vision_cfg.layers is a list. */
int ft_open_clip_resnet_build(struct ft_builder *b, const json_t *config, const char *path);

/* Towers by others: transformers' (text_cfg.hf_model_name), timm's (vision_cfg.timm_model_name). */
int ft_open_clip_hf_build(struct ft_builder *b, const json_t *config, const char *path);
int ft_open_clip_timm_build(struct ft_builder *b, const json_t *config, const char *path);

#endif
