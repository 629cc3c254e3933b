/* encoder.c - from -m MODEL, --prompt and the like to embedders. */
#include "eval/encoder.h"

#include <string.h>

static const char *after(const char *text, const char *prefix)
{
    size_t size = strlen(prefix);

    return strncmp(text, prefix, size) == 0 ? text + size : NULL;
}

/* A later prompt replaces an earlier one. */
static void read_prompts(const struct ft_list *prompts, const char *prompt[2])
{
    prompt[FT_QUERIES] = prompt[FT_INDEX] = NULL;
    for (size_t i = 0; prompts && i < prompts->count; i++) {
        const char *text = prompts->items[i];
        const char *query = after(text, "anchor="), *index = after(text, "positive=");

        if (query)
            prompt[FT_QUERIES] = query;
        else if (index)
            prompt[FT_INDEX] = index;
        else
            prompt[FT_QUERIES] = prompt[FT_INDEX] = text;
    }
}

static bool same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static int open_embedders(struct ft_encoder *encoder, const struct ft_encoder_options *options)
{
    struct ft_embed_options how = options->embed;
    const char *prompt[2];

    read_prompts(options->prompts, prompt);
    for (int side = FT_QUERIES; side <= FT_INDEX; side++) {
        if (side == FT_INDEX && same(prompt[FT_QUERIES], prompt[FT_INDEX])) {
            encoder->embedder[side] = encoder->embedder[FT_QUERIES];
            break;
        }
        how.prompt = prompt[side];
        if (!(encoder->embedder[side] = ft_embedder_open(encoder->model, &how)))
            return -1;
    }
    encoder->plain = !how.max_length && !how.truncate_dim && !how.normalize && how.precision == FT_FP32 &&
        same(prompt[FT_QUERIES], NULL) && same(prompt[FT_INDEX], NULL);
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

void ft_encoder_close(struct ft_encoder *encoder)
{
    if (encoder->embedder[FT_INDEX] != encoder->embedder[FT_QUERIES])
        ft_embedder_close(encoder->embedder[FT_INDEX]);
    ft_embedder_close(encoder->embedder[FT_QUERIES]);
    ft_model_close(encoder->model);
    ft_arena_free(&encoder->arena);
    *encoder = (struct ft_encoder){.dim = 0};
}
