/* import.h - a model directory made of a file of weights alone, as torchvision, timm and EfficientNet-PyTorch publish them. */
#ifndef FT_MODEL_IMPORT_H
#define FT_MODEL_IMPORT_H

#include <stdbool.h>

/* The families by our names, and whose other names are known, for messages. */
#define FT_IMPORT_FAMILIES "resnet18 to resnet152, efficientnet-b0 to -b7, efficientnet-lite0 to -lite4, vit-b-16, vit-b-32, vit-l-16, vit-l-32"

/* Make `directory` of `file` (safetensors or of torch.save): model.safetensors with every tensor of it as it is, and config.json in timm's form, with the
 * preprocessing that the weights of that family and library were trained for (import.c has the table). Which library's names the tensors have is told by
 * the tensors; `family` is any of FT_IMPORT_FAMILIES, or timm's or torchvision's name of the same. The directory appears whole, after it was opened as
 * a model, or not at all; with `force` it replaces a model. FT_USAGE: the family is not known. FT_BAD: the first tensor that is missing or of another
 * shape, by name. */
int ft_model_import(const char *file, const char *family, const char *directory, bool force);

#endif
