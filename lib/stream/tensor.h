/* tensor.h (stream) - tensors as Python's msgpack-numpy writes them: {b"nd": true, b"type": "<f4", b"kind": b"", b"shape": [..], b"data": bin}.
 *
 * The view points into the record; data has the record's alignment, which is none: copy before computing. */
#ifndef FT_STREAM_TENSOR_H
#define FT_STREAM_TENSOR_H

#include "stream/stream.h"

enum ft_wire_type { FT_WIRE_F4, FT_WIRE_F8, FT_WIRE_I4, FT_WIRE_I8, FT_WIRE_U1, FT_WIRE_U2, FT_WIRE_F2, FT_WIRE_B1 };

struct ft_wire_tensor {
    enum ft_wire_type type;
    int rank;                 /* at most 8 */
    uint64_t shape[8];
    uint64_t count;           /* elements */
    const void *data;         /* count elements, little-endian, unaligned */
};

size_t ft_wire_size(enum ft_wire_type type);              /* bytes an element */
const char *ft_wire_name(enum ft_wire_type type);         /* "<f4" */

/* FT_BAD when the object is no such map, has another byte order, or shape and data disagree. */
int ft_wire_read(const msgpack_object *object, struct ft_wire_tensor *tensor);
void ft_wire_write(msgpack_packer *pk, enum ft_wire_type type, int rank, const uint64_t *shape, const void *data);

/* All elements as floats, each the nearest. */
void ft_wire_round(const struct ft_wire_tensor *tensor, float *out);

/* Copies of `map[key]` as floats or 32-bit integers (exact conversions only), from the arena; `rank` is required.
 * Absent: FT_BAD that names the key. */
float *ft_wire_floats(struct ft_arena *arena, const msgpack_object *map, const char *key, int rank, uint64_t *shape);
int32_t *ft_wire_integers(struct ft_arena *arena, const msgpack_object *map, const char *key, int rank, uint64_t *shape);

#endif
