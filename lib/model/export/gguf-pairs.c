/* gguf-pairs.c - pairs of key and value, and those of a tokenizer. */
#include "base/error.h"
#include "data/tokenizer-list.h"
#include "model/export/gguf-parts.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie in memory");

enum { U8 = 0, U32 = 4, I32 = 5, F32 = 6, BOOL = 7, TEXT = 8, ARRAY = 9 };

void ft_gguf_put(struct ft_gguf *gguf, const void *data, size_t size)
{
    gguf->failed = gguf->failed || ft_buffer_add(&gguf->bytes, data, size) < 0;
}

void ft_gguf_put_text(struct ft_gguf *gguf, struct ft_string text)
{
    uint64_t size = text.size;

    ft_gguf_put(gguf, &size, sizeof size);
    ft_gguf_put(gguf, text.data, text.size);
}

static void put_key(struct ft_gguf *gguf, const char *key, uint32_t type)
{
    ft_gguf_put_text(gguf, ft_string_of(key));
    ft_gguf_put(gguf, &type, sizeof type);
    gguf->count++;
}

static void put_array(struct ft_gguf *gguf, const char *key, uint32_t type, uint64_t count)
{
    put_key(gguf, key, ARRAY);
    ft_gguf_put(gguf, &type, sizeof type);
    ft_gguf_put(gguf, &count, sizeof count);
}

void ft_gguf_u32(struct ft_gguf *gguf, const char *key, uint32_t value)
{
    put_key(gguf, key, U32);
    ft_gguf_put(gguf, &value, sizeof value);
}

void ft_gguf_f32(struct ft_gguf *gguf, const char *key, float value)
{
    put_key(gguf, key, F32);
    ft_gguf_put(gguf, &value, sizeof value);
}

void ft_gguf_bool(struct ft_gguf *gguf, const char *key, bool value)
{
    char byte = value;

    put_key(gguf, key, BOOL);
    ft_gguf_put(gguf, &byte, 1);
}

void ft_gguf_text(struct ft_gguf *gguf, const char *key, const char *value)
{
    put_key(gguf, key, TEXT);
    ft_gguf_put_text(gguf, ft_string_of(value));
}

void ft_gguf_texts(struct ft_gguf *gguf, const char *key, const struct ft_string *values, size_t count)
{
    put_array(gguf, key, TEXT, count);
    for (size_t i = 0; i < count; i++)
        ft_gguf_put_text(gguf, values[i]);
}

void ft_gguf_i32s(struct ft_gguf *gguf, const char *key, const int32_t *values, size_t count)
{
    put_array(gguf, key, I32, count);
    ft_gguf_put(gguf, values, count * sizeof *values);
}

void ft_gguf_f32s(struct ft_gguf *gguf, const char *key, const float *values, size_t count)
{
    put_array(gguf, key, F32, count);
    ft_gguf_put(gguf, values, count * sizeof *values);
}

void ft_gguf_bytes(struct ft_gguf *gguf, const char *key, struct ft_string bytes)
{
    put_array(gguf, key, U8, bytes.size);
    ft_gguf_put(gguf, bytes.data, bytes.size);
}

/* ---- the tokenizer ---- */

/* llama.cpp's vocabulary of word pieces: what begins a word has the blank's stand-in before it, what continues one is bare ("phantom space"). */
static int add_phantoms(struct ft_arena *arena, struct ft_tokenizer_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct ft_string text = list->text[i];
        bool goes_on = text.size >= 2 && memcmp(text.data, "##", 2) == 0;

        if (list->type[i] == FT_TOKEN_CONTROL)
            continue;
        if (goes_on)
            list->text[i] = (struct ft_string){text.data + 2, text.size - 2};
        else if (!(list->text[i].data = ft_arena_print(arena, "\xe2\x96\x81%.*s", (int)text.size, text.data)))
            return -1;
        else
            list->text[i].size = text.size + 3;
    }
    return 0;
}

/* Ids without a token get a name, as the converter names them. */
static int name_unused(struct ft_arena *arena, struct ft_tokenizer_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (!list->text[i].data) {
            const char *name = ft_arena_print(arena, "[PAD%zu]", i);

            if (!name)
                return -1;
            list->text[i] = ft_string_of(name);
        }
    return 0;
}

static void put_special(struct ft_gguf *gguf, const struct ft_tokenizer_list *list)
{
    const struct { const char *key; int32_t id; } special[] = {
        {"tokenizer.ggml.bos_token_id", list->first}, {"tokenizer.ggml.eos_token_id", list->last}, {"tokenizer.ggml.unknown_token_id", list->unknown},
        {"tokenizer.ggml.seperator_token_id", list->last}, {"tokenizer.ggml.padding_token_id", list->pad}, {"tokenizer.ggml.mask_token_id", list->mask},
    };

    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (special[i].id >= 0)
            ft_gguf_u32(gguf, special[i].key, (uint32_t)special[i].id);
    ft_gguf_bool(gguf, "tokenizer.ggml.add_bos_token", true);
    ft_gguf_bool(gguf, "tokenizer.ggml.add_eos_token", true);
    ft_gguf_bool(gguf, "tokenizer.ggml.add_sep_token", list->kind == FT_TOKENIZER_BPE);
}

/* What the kind alone has. */
static void put_kind(struct ft_gguf *gguf, const struct ft_tokenizer_list *list)
{
    if (list->kind == FT_TOKENIZER_WORDPIECE) {
        ft_gguf_bool(gguf, "tokenizer.ggml.normalizer.lowercase", list->lower);
        ft_gguf_bool(gguf, "tokenizer.ggml.normalizer.strip_accents", list->strip);
    } else if (list->kind == FT_TOKENIZER_BPE) {
        ft_gguf_texts(gguf, "tokenizer.ggml.merges", list->merges, list->merge_count);
    } else {
        ft_gguf_f32s(gguf, "tokenizer.ggml.scores", list->score, list->count);
        ft_gguf_bool(gguf, "tokenizer.ggml.add_space_prefix", list->prefix_space);
        ft_gguf_bool(gguf, "tokenizer.ggml.remove_extra_whitespaces", list->squeeze);
        if (list->charsmap.size)
            ft_gguf_bytes(gguf, "tokenizer.ggml.precompiled_charsmap", list->charsmap);
    }
}

int ft_gguf_tokenizer(struct ft_gguf *gguf, const struct ft_model *model)
{
    /* The name of the way in which text is cut before; that of word pieces is not looked at, but the converter writes this one. */
    static const char *const names[][2] = {[FT_TOKENIZER_WORDPIECE] = {"bert", "jina-v2-en"}, [FT_TOKENIZER_BPE] = {"gpt2", "roberta-bpe"},
                                           [FT_TOKENIZER_UNIGRAM] = {"t5", "default"}};
    struct ft_tokenizer_list list;
    struct ft_arena arena = {0};
    int result = ft_tokenizer_list(&arena, model->tokenizer, model->vocabulary, &list);

    if (result < 0)
        ft_error_prefix("tokenizer: ");
    else if (name_unused(&arena, &list) < 0 || (list.kind == FT_TOKENIZER_WORDPIECE && add_phantoms(&arena, &list) < 0))
        result = -1;
    if (result == 0) {
        ft_gguf_text(gguf, "tokenizer.ggml.model", names[list.kind][0]);
        ft_gguf_text(gguf, "tokenizer.ggml.pre", names[list.kind][1]);
        ft_gguf_texts(gguf, "tokenizer.ggml.tokens", list.text, list.count);
        ft_gguf_i32s(gguf, "tokenizer.ggml.token_type", list.type, list.count);
        put_kind(gguf, &list);
        put_special(gguf, &list);
    }
    ft_arena_free(&arena);
    return result;
}
