/* gguf-parts.h - the pairs of key and value that a GGUF file begins with; for gguf*.c. */
#ifndef FT_MODEL_EXPORT_GGUF_PARTS_H
#define FT_MODEL_EXPORT_GGUF_PARTS_H

#include "base/memory.h"
#include "model/export/gguf.h"

/* Packed one after another. Once one has failed (no memory, ft_error set) the rest do nothing. */
struct ft_gguf {
    struct ft_buffer bytes;
    uint64_t count;
    bool failed;
};
void ft_gguf_u32(struct ft_gguf *gguf, const char *key, uint32_t value);
void ft_gguf_f32(struct ft_gguf *gguf, const char *key, float value);
void ft_gguf_bool(struct ft_gguf *gguf, const char *key, bool value);
void ft_gguf_text(struct ft_gguf *gguf, const char *key, const char *value);
void ft_gguf_texts(struct ft_gguf *gguf, const char *key, const struct ft_string *values, size_t count);
void ft_gguf_i32s(struct ft_gguf *gguf, const char *key, const int32_t *values, size_t count);
void ft_gguf_f32s(struct ft_gguf *gguf, const char *key, const float *values, size_t count);
void ft_gguf_bytes(struct ft_gguf *gguf, const char *key, struct ft_string bytes);

void ft_gguf_put(struct ft_gguf *gguf, const void *data, size_t size);        /* raw */
void ft_gguf_put_text(struct ft_gguf *gguf, struct ft_string text);           /* its length in 8 bytes, and it */

/* tokenizer.ggml.*: FT_USAGE where llama.cpp's tokenizers differ. */
int ft_gguf_tokenizer(struct ft_gguf *gguf, const struct ft_model *model);

#endif
