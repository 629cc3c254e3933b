/* base64.c - bytes in text. The one spelling of each content is accepted and no other, so that text and back is exact. */
#include "stream/base64.h"

#include "base/error.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int ft_base64_write(struct ft_buffer *out, struct ft_string bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.data;
    size_t left = bytes.size;
    char *to;

    if (ft_buffer_reserve(out, (bytes.size + 2) / 3 * 4) < 0)
        return -1;
    to = out->data + out->size;
    for (; left >= 3; p += 3, left -= 3) {
        uint32_t group = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

        *to++ = alphabet[group >> 18];
        *to++ = alphabet[group >> 12 & 63];
        *to++ = alphabet[group >> 6 & 63];
        *to++ = alphabet[group & 63];
    }
    if (left) {
        uint32_t group = (uint32_t)p[0] << 16 | (left > 1 ? (uint32_t)p[1] << 8 : 0);

        *to++ = alphabet[group >> 18];
        *to++ = alphabet[group >> 12 & 63];
        *to++ = left > 1 ? alphabet[group >> 6 & 63] : '=';
        *to++ = '=';
    }
    out->size = (size_t)(to - out->data);
    return 0;
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int ft_base64_read(struct ft_buffer *out, struct ft_string text)
{
    size_t padding = 0;

    if (text.size % 4)
        return ft_fail(FT_BAD, "base64 of %zu characters, expected a multiple of 4", text.size);
    if (ft_buffer_reserve(out, text.size / 4 * 3) < 0)
        return -1;
    for (size_t i = 0; i < text.size; i += 4) {
        uint32_t group = 0;

        if (i + 4 == text.size)
            padding = (size_t)(text.data[i + 3] == '=') + (text.data[i + 3] == '=' && text.data[i + 2] == '=');
        for (size_t j = 0; j < 4; j++) {
            int value = j + padding >= 4 ? 0 : value_of(text.data[i + j]);

            if (value < 0)
                return ft_fail(FT_BAD, "base64 with a character that is none of it, at %zu", i + j);
            group = group << 6 | (uint32_t)value;
        }
        if (group & ((1u << 8 * padding) - 1))
            return ft_fail(FT_BAD, "base64 whose last bits are not zero");
        for (size_t j = 0; j < 3 - padding; j++)
            out->data[out->size++] = (char)(group >> (16 - 8 * j));
    }
    return 0;
}
