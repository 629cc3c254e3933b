/* tensors.h - all tensors of a model, in whatever files they lie: one list. */
#ifndef FT_MODEL_WEIGHTS_TENSORS_H
#define FT_MODEL_WEIGHTS_TENSORS_H

#include "model/weights/safetensors.h"

/* `path` is a file (safetensors or of torch.save, told apart by what is in it) or a directory, of which is read what is there first: model.safetensors,
 * the shards of model.safetensors.index.json, pytorch_model.bin, the shards of pytorch_model.bin.index.json. Names are those of the files.
 * ft_safetensors_close undoes it. */
int ft_tensors_open(struct ft_safetensors *files, const char *path);

/* The one of those four that a directory has, NULL for none; sets no error. */
const char *ft_tensors_name(const char *directory);

#endif
