/* gguf.h - a model as llama.cpp reads it: one file with settings, tokenizer and weights.
 *
 * Families bert, distilbert, roberta, xlm-roberta and camembert become llama.cpp's architecture "bert", with the keys and names that its converter gives
 * them (convert_hf_to_gguf.py, conversion/bert.py; gguf-py's constants and tensor_mapping). Format: ggml's docs/gguf.md, version 3, little-endian. */
#ifndef FT_MODEL_EXPORT_GGUF_H
#define FT_MODEL_EXPORT_GGUF_H

#include "model/model.h"

/* Write `path`, complete or not at all. Matrices are as model->saved_as says; norms, biases, positions and token types are 32-bit floats whatever it says,
 * as llama.cpp wants them. FT_USAGE: what the architecture cannot express, by name. */
int ft_gguf_write(const struct ft_model *model, const char *path);

#endif
