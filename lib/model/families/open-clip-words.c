/* open-clip-words.c - how open_clip hands a text to its tokenizer: a tokenizer of transformers, which the files beside open_clip_config.json are, behind a
 * way of cleaning and with that tokenizer's own padding; or CLIP's, padded with zeros. */
#include "model/families/open-clip.h"
#include "base/error.h"
#include "base/file.h"

#include <string.h>

static int read_cleaning(const json_t *part, const char *path, enum ft_clean otherwise, enum ft_clean *clean)
{
    static const char *const known[] = {"clean", NULL};
    const json_t *kwargs = json_object_get(part, "tokenizer_kwargs");
    const char *name = ft_json_text(kwargs, "clean");

    *clean = otherwise;
    if (kwargs && !json_is_null(kwargs) && ft_open_clip_keys(kwargs, path, "text_cfg.tokenizer_kwargs", known) < 0)
        return -1;
    if (!name)
        return 0;
    if (strcmp(name, "canonicalize") == 0)
        *clean = FT_CLEAN_CANONICAL;
    else if (strcmp(name, "lower") == 0)
        *clean = FT_CLEAN_LOWER;
    else if (strcmp(name, "whitespace") == 0)
        *clean = FT_CLEAN_SPACE;
    else
        return ft_fail(FT_BAD, "%s: tokenizer_kwargs.clean is '%.64s', expected whitespace, lower or canonicalize", path, name);
    return 0;
}

/* pad_token of tokenizer_config.json, which is a text or says one: the name from the arena. */
static int find_filler(struct ft_builder *b, const char **name)
{
    struct ft_arena *arena = &b->model->arena;
    const char *path = ft_arena_print(arena, "%s/tokenizer_config.json", b->model->weights);
    json_t *json = path && ft_file_exists(path) ? ft_json_read(path) : NULL;
    const char *text = ft_json_text(json, "pad_token");
    int result = -1;

    if (!text)
        text = ft_json_text(json_object_get(json, "pad_token"), "content");
    if (text && (*name = ft_arena_text(arena, ft_string_of(text))))
        result = 0;
    else if (!text && path && (json || !ft_file_exists(path)))
        ft_fail(FT_BAD, "%s: no pad_token there, with which texts are to be filled up", path);
    json_decref(json);
    return result;
}

int ft_open_clip_words(struct ft_builder *b, const json_t *part, const char *path)
{
    struct ft_tokenizer_way *way = &b->model->tokenizer_way;
    bool theirs = ft_json_text(part, "hf_tokenizer_name") != NULL;

    if (read_cleaning(part, path, theirs ? FT_CLEAN_SPACE : FT_CLEAN_NONE, &way->clean) < 0)
        return -1;
    way->filler = 0;
    return way->fills && theirs ? find_filler(b, &way->filler_name) : 0;
}
