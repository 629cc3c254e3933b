/* protobuf.h - protocol buffers as far as writing them goes: fields into growable bytes. https://protobuf.dev/programming-guides/encoding
 *
 * A message is its fields one after another; a message inside of another is bytes of that. All return -1 when memory runs out, with ft_error set. */
#ifndef FT_BASE_PROTOBUF_H
#define FT_BASE_PROTOBUF_H

#include "base/memory.h"

int ft_protobuf_varint(struct ft_buffer *out, uint64_t number);            /* bare, without a field */
int ft_protobuf_integer(struct ft_buffer *out, unsigned field, uint64_t number);   /* a negative number as its two's complement */
int ft_protobuf_float(struct ft_buffer *out, unsigned field, float number);
int ft_protobuf_double(struct ft_buffer *out, unsigned field, double number);
int ft_protobuf_bytes(struct ft_buffer *out, unsigned field, const void *data, size_t size);
int ft_protobuf_text(struct ft_buffer *out, unsigned field, const char *text);
int ft_protobuf_head(struct ft_buffer *out, unsigned field, uint64_t size);   /* what stands before `size` bytes, which the caller writes */

#endif
