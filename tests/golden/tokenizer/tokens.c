/* tokens.c - texts to ids, for compare.py, which compiles it; no part of the build.
 *
 *     tokens DIRECTORY LIMIT < texts > ids
 *
 * A text is a 32-bit length and its bytes; ids are a 32-bit count and so many 32-bit ids. */
#include "base/error.h"
#include "data/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_ids(const struct ft_tokenizer *tokenizer, struct ft_buffer in, size_t limit)
{
    struct ft_tokens tokens = {0};
    uint32_t size, count;
    size_t at;

    for (at = 0; at + 4 <= in.size; at += 4 + size) {
        memcpy(&size, in.data + at, 4);
        tokens.count = 0;
        if (size > in.size - at - 4 ||
            ft_tokenizer_encode(tokenizer, (struct ft_string){in.data + at + 4, size}, limit, &tokens) < 0)
            return -1;
        count = (uint32_t)tokens.count;
        fwrite(&count, 4, 1, stdout);
        fwrite(tokens.id, 4, tokens.count, stdout);
    }
    ft_tokens_free(&tokens);
    return 0;
}

int main(int argc, char **argv)
{
    size_t limit = argc > 2 ? strtoul(argv[2], NULL, 10) : 0, got;
    struct ft_tokenizer *tokenizer = argc > 2 ? ft_tokenizer_open(argv[1]) : NULL;
    struct ft_buffer in = {0};

    if (!tokenizer) {
        fprintf(stderr, "tokens: %s\n", ft_error());
        return 3;
    }
    do {
        if (ft_buffer_reserve(&in, 1 << 20) < 0)
            return 4;
        in.size += got = fread(in.data + in.size, 1, 1 << 20, stdin);
    } while (got);
    if (print_ids(tokenizer, in, limit) < 0)
        return 4;
    ft_buffer_free(&in);
    ft_tokenizer_close(tokenizer);
    return fclose(stdout) ? 4 : 0;
}
