/* torchfile.h - weights as torch.save writes them (.pth, .pt, pytorch_model.bin), into the same list as safetensors. Nothing in the file is executed.
 *
 * Both formats: a zip archive (torch 1.6 and later; data.pkl and an entry for each storage) and the one before (five pickles, then the storages).
 * The tensors are those of the state dict: the file's dictionary itself, or the one that it has under state_dict_ema, model_ema, state_dict,
 * model, model_state_dict or module (the first of these that holds tensors: averaged weights before others, as timm does). What is no tensor is
 * passed over. Where all names begin with "module." (DataParallel) or "_orig_mod." (torch.compile), they lose it.
 *
 * `data` points into the file; a tensor whose numbers lie there in another order (a transposed view) is copied in its own order. Tensors may share
 * a storage. Refused by name: sparse and quantized tensors, complex128, more than 8 dimensions, big-endian files, TorchScript, whole models. */
#ifndef FT_MODEL_WEIGHTS_TORCHFILE_H
#define FT_MODEL_WEIGHTS_TORCHFILE_H

#include "model/weights/safetensors.h"

bool ft_torchfile_is(const void *bytes, size_t size);      /* does it begin like one of the two? */

/* Add the tensors of a whole file's content; the list is sorted by name again. FT_BAD names file and tensor. `bytes` outlives `files`. */
int ft_torchfile_add(struct ft_safetensors *files, const char *path, const void *bytes, size_t size);

#endif
