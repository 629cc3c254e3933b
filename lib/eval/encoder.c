/* encoder.c - from -m MODEL, --prompt and the like to embedders. */
#include "eval/encoder.h"

/* A model that has a prompt for neither side may have one for all texts. */
static void find_prompts(struct ft_encoder *encoder, const struct ft_list *list)
{
    struct ft_prompts prompts, own = encoder->model->prompts;
    bool by_side = !ft_prompts_same(own.text[FT_ANCHOR], NULL) || !ft_prompts_same(own.text[FT_POSITIVE], NULL);

    ft_prompts_parse(&prompts, list);
    if (!by_side)
        own.text[FT_ANCHOR] = own.text[FT_POSITIVE] = own.text[FT_NO_ROLE];
    ft_prompts_complete(&prompts, &own);
    encoder->prompt[FT_QUERIES] = prompts.text[FT_ANCHOR];
    encoder->prompt[FT_INDEX] = prompts.text[FT_POSITIVE];
}

static int open_embedders(struct ft_encoder *encoder, const struct ft_encoder_options *options)
{
    struct ft_embed_options how = options->embed;

    find_prompts(encoder, options->prompts);
    for (int side = FT_QUERIES; side <= FT_INDEX; side++) {
        if (side == FT_INDEX && ft_prompts_same(encoder->prompt[FT_QUERIES], encoder->prompt[FT_INDEX])) {
            encoder->embedder[side] = encoder->embedder[FT_QUERIES];
            break;
        }
        how.prompts = (struct ft_prompts){.text = {[FT_NO_ROLE] = encoder->prompt[side]}};
        if (!(encoder->embedder[side] = ft_embedder_open(encoder->model, &how)))
            return -1;
    }
    encoder->plain = !how.max_length && !how.truncate_dim && !how.normalize && how.precision == FT_FP32;
    encoder->dim = ft_embed_dim(encoder->model, &how);
    ft_model_checksum(encoder->model, encoder->checksum);
    return 0;
}

int ft_encoder_open(struct ft_encoder *encoder, const struct ft_encoder_options *options)
{
    const char *directory;

    *encoder = (struct ft_encoder){.dim = 0};
    directory = ft_model_find(&encoder->arena, options->model);
    if (directory && (encoder->model = ft_model_open(directory, NULL)) && open_embedders(encoder, options) == 0)
        return 0;
    ft_encoder_close(encoder);
    return -1;
}

int ft_encoder_over(struct ft_encoder *encoder, struct ft_model *model, const struct ft_encoder_options *options)
{
    *encoder = (struct ft_encoder){.model = model, .borrowed = true};
    if (open_embedders(encoder, options) == 0)
        return 0;
    ft_encoder_close(encoder);
    return -1;
}

void ft_encoder_close(struct ft_encoder *encoder)
{
    if (encoder->embedder[FT_INDEX] != encoder->embedder[FT_QUERIES])
        ft_embedder_close(encoder->embedder[FT_INDEX]);
    ft_embedder_close(encoder->embedder[FT_QUERIES]);
    if (!encoder->borrowed)
        ft_model_close(encoder->model);
    ft_arena_free(&encoder->arena);
    *encoder = (struct ft_encoder){.dim = 0};
}
