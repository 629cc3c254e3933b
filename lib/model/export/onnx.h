/* onnx.h - a model as an ONNX graph, for software that has nothing but a runtime: opset 17, IR version 8, weights in fp32.
 *
 *     texts     input_ids, attention_mask (1 where there is a token) and, where the model has types of tokens, token_type_ids: int64 [batch, length];
 *               a model that fills its texts up has no attention_mask
 *     pictures  pixel_values: float [batch, 3, height, width], scaled and normalised as the model's image processor gives them
 *     vectors   features: float [batch, width]
 *     out       last_hidden_state: float [batch, length, width], of models that have tokens; sentence_embedding: float [batch, dim], pooled and
 *               normalised as the model does
 *
 * Prompts, tokens and pixels are the caller's business. The graph is made from the nodes, whatever family they are of. */
#ifndef FT_MODEL_EXPORT_ONNX_H
#define FT_MODEL_EXPORT_ONNX_H

#include "model/model.h"

/* A file of ONNX has no more bytes; what is larger has its weights in another file. */
#define FT_ONNX_LIMIT INT32_MAX

/* Write the model to `path`, and with more than `limit` bytes its weights to "path.data". Both appear complete, `path` last; a former "path.data" goes.
 * FT_USAGE names a node that has no form in ONNX. */
int ft_onnx_write(const struct ft_model *model, const char *path, uint64_t limit);

/* `directory` with model.onnx and beside it what came with the model but its weights: config.json, tokenizer, image processor, modules (these with their
 * weights), so that libraries which run ONNX for transformers or sentence-transformers find all they ask for. It appears complete; `force` as for
 * ft_model_place. Of two towers each has such a directory inside: text/model.onnx, image/model.onnx. */
int ft_onnx_place(const struct ft_model *model, const char *directory, bool force);

#endif
