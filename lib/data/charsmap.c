/* charsmap.c - SentencePiece's precompiled normalisation map, as tokenizer.json carries it in base64.
 *
 * The bytes are a length, a double-array trie of that many bytes (Yata's darts-clone: 32-bit units, little-endian), and null-ended texts that the trie's
 * values point into (sentencepiece, src/normalizer.cc). */
#include "data/tokenizer-general.h"
#include "base/error.h"

#include <string.h>

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

/* The bytes of base64, their number in *size; NULL: FT_BAD. */
static uint8_t *decode(struct ft_arena *arena, struct ft_string text, size_t *size)
{
    uint8_t *bytes = ft_arena_take(arena, text.size / 4 * 3 + 4);
    uint32_t bits = 0;
    int have = 0;

    *size = 0;
    if (!bytes)
        return NULL;
    for (size_t i = 0; i < text.size && text.data[i] != '='; i++) {
        int value = value_of(text.data[i]);

        if (value < 0) {
            ft_fail(FT_BAD, "precompiled_charsmap is not base64");
            return NULL;
        }
        bits = bits << 6 | (uint32_t)value;
        if ((have += 6) >= 8)
            bytes[(*size)++] = (uint8_t)(bits >> (have -= 8));
    }
    return bytes;
}

static uint32_t unit_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

int ft_charsmap_read(struct ft_arena *arena, struct ft_charsmap *map, struct ft_string base64)
{
    size_t size, trie;
    uint8_t *bytes = decode(arena, base64, &size);
    uint32_t *units;

    *map = (struct ft_charsmap){NULL};
    if (!bytes)
        return -1;
    if (size == 0)
        return 0;
    trie = size < 4 ? 0 : unit_at(bytes);
    if (size < 4 || trie % 4 || trie < 4 || trie > size - 4 || (size > trie + 4 && bytes[size - 1] != 0))
        return ft_fail(FT_BAD, "precompiled_charsmap is damaged");
    if (!(units = ft_arena_take(arena, trie)))
        return -1;
    for (size_t i = 0; i < trie / 4; i++)
        units[i] = unit_at(bytes + 4 + 4 * i);
    *map = (struct ft_charsmap){units, trie / 4, {(const char *)bytes + 4 + trie, size - 4 - trie}};
    return 0;
}
