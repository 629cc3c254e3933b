/* safetensors.h - the file format of weights: 8 bytes of header length, a JSON header, the tensors' bytes.
 *
 * Reading maps the file; names and shapes live in the struct's own arena, `data` points into the map (alignment: none beyond what the
 * writer gave). Files of other formats are read into the same list (lib/model/weights/torchfile.h), and all of a model's files into one
 * (lib/model/weights/tensors.h). https://github.com/huggingface/safetensors */
#ifndef FT_MODEL_WEIGHTS_SAFETENSORS_H
#define FT_MODEL_WEIGHTS_SAFETENSORS_H

#include "base/memory.h"
#include "model/weights/narrow.h"

enum { FT_SAFETENSORS_RANK = 8, FT_SAFETENSORS_HEADER = 100 << 20 };

struct ft_safetensor {
    const char *name;
    const char *dtype;        /* "F32", "BF16", "I64", ...: one of the format's */
    int rank;
    uint64_t shape[FT_SAFETENSORS_RANK];
    uint64_t count;           /* elements */
    const void *data;
    size_t size;              /* bytes */
    enum ft_weights_type narrow;   /* of the writer: F16 or BF16 where data are floats that become it, `size` bytes of dtype; else F32 */
    bool turned;              /* of the writer: data are [shape[1], shape[0]] floats */
};

struct ft_safetensors {
    struct ft_arena arena;
    struct ft_safetensor *tensors;   /* sorted by name */
    size_t count;
    struct ft_safetensors_map {
        const void *data;
        size_t size;
    } *maps;                  /* one a file */
    size_t map_count;
};

/* `path` is the file. Every length, offset and shape is checked before it is believed; FT_BAD names file and tensor. */
int ft_safetensors_open(struct ft_safetensors *files, const char *path);
void ft_safetensors_close(struct ft_safetensors *files);

/* Check a header without a file: `bytes` is a whole file's content. For tests and fuzzing; data points into `bytes`. */
int ft_safetensors_parse(struct ft_safetensors *files, const char *path, const void *bytes, size_t size);

/* For readers: add the tensors of one more file's content; a list with room for `more` tensors past `count`, which the reader fills and counts;
 * the order by name. After a failure the list is only good for closing. */
int ft_safetensors_add(struct ft_safetensors *files, const char *path, const void *bytes, size_t size);
struct ft_safetensor *ft_safetensors_room(struct ft_safetensors *files, size_t more);
void ft_safetensors_sort(struct ft_safetensors *files);

/* Map a file and remember the map, so that closing undoes it. */
int ft_safetensors_map(struct ft_safetensors *files, const char *path, const void **bytes, size_t *size);

/* NULL when there is none of that name; sets no error. */
const struct ft_safetensor *ft_safetensors_find(const struct ft_safetensors *files, const char *name);

/* Copy as floats; F32, F16, BF16 and F64 (rounded). FT_BAD for other types. */
int ft_safetensor_floats(const struct ft_safetensor *tensor, float *out);
float ft_half_to_float(uint16_t half);        /* IEEE binary16, exact */
float ft_bfloat_to_float(uint16_t bfloat);

/* Write a file with these tensors in this order, complete or not at all: the same bytes every time. The data begin at a multiple
 * of 64 bytes, so that a reader may use them in place. */
int ft_safetensors_write(const char *path, const struct ft_safetensor *tensors, size_t count);

#endif
