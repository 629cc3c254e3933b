/* protobuf.c - fields of protocol buffers. */
#include "base/protobuf.h"

#include <string.h>

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };   /* wire types */

int ft_protobuf_varint(struct ft_buffer *out, uint64_t number)
{
    unsigned char bytes[10];
    size_t size = 0;

    for (; number >= 0x80; number >>= 7)
        bytes[size++] = (unsigned char)(number | 0x80);
    bytes[size++] = (unsigned char)number;
    return ft_buffer_add(out, bytes, size);
}

static int put_tag(struct ft_buffer *out, unsigned field, unsigned type)
{
    return ft_protobuf_varint(out, (uint64_t)field << 3 | type);
}

static int put_little(struct ft_buffer *out, uint64_t number, size_t size)
{
    unsigned char bytes[8];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(number >> 8 * i);
    return ft_buffer_add(out, bytes, size);
}

int ft_protobuf_integer(struct ft_buffer *out, unsigned field, uint64_t number)
{
    return put_tag(out, field, VARINT) < 0 ? -1 : ft_protobuf_varint(out, number);
}

int ft_protobuf_float(struct ft_buffer *out, unsigned field, float number)
{
    uint32_t bits;

    memcpy(&bits, &number, sizeof bits);
    return put_tag(out, field, FIXED32) < 0 ? -1 : put_little(out, bits, 4);
}

int ft_protobuf_double(struct ft_buffer *out, unsigned field, double number)
{
    uint64_t bits;

    memcpy(&bits, &number, sizeof bits);
    return put_tag(out, field, FIXED64) < 0 ? -1 : put_little(out, bits, 8);
}

int ft_protobuf_head(struct ft_buffer *out, unsigned field, uint64_t size)
{
    return put_tag(out, field, BYTES) < 0 ? -1 : ft_protobuf_varint(out, size);
}

int ft_protobuf_bytes(struct ft_buffer *out, unsigned field, const void *data, size_t size)
{
    return ft_protobuf_head(out, field, size) < 0 ? -1 : ft_buffer_add(out, data, size);
}

int ft_protobuf_text(struct ft_buffer *out, unsigned field, const char *text)
{
    return ft_protobuf_bytes(out, field, text, strlen(text));
}
