/* tokens.c - texts to ids, for compare.py, which compiles it; no part of the build.
 *
 *     tokens DIRECTORY LIMIT < texts > ids        tokens DIRECTORY LIMIT time < texts
 *
 * A text is a 32-bit length and its bytes; ids are a 32-bit count and so many 32-bit ids. With "time" only a line:
 * texts, ids, seconds to open, the best of five passes over all texts. */
#include "base/error.h"
#include "base/tool.h"
#include "data/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int pass(const struct ft_tokenizer *tokenizer, struct ft_buffer in, size_t limit, size_t *texts, size_t *ids,
                bool print)
{
    struct ft_tokens tokens = {0};
    size_t at;
    uint32_t size;

    for (at = *texts = *ids = 0; at + 4 <= in.size; at += 4 + size, ++*texts) {
        memcpy(&size, in.data + at, 4);
        tokens.count = 0;
        if (size > in.size - at - 4 ||
            ft_tokenizer_encode(tokenizer, (struct ft_string){in.data + at + 4, size}, limit, &tokens) < 0)
            return -1;
        *ids += tokens.count;
        if (print) {
            uint32_t count = (uint32_t)tokens.count;

            fwrite(&count, 4, 1, stdout);
            fwrite(tokens.id, 4, tokens.count, stdout);
        }
    }
    ft_tokens_free(&tokens);
    return 0;
}

int main(int argc, char **argv)
{
    size_t limit = argc > 2 ? strtoul(argv[2], NULL, 10) : 0, texts, ids, got;
    bool timed = argc > 3;
    double start = ft_seconds(), opened, best = 1e9;
    struct ft_tokenizer *tokenizer = argc > 2 ? ft_tokenizer_open(argv[1]) : NULL;
    struct ft_buffer in = {0};
    int i;

    opened = ft_seconds() - start;
    if (!tokenizer) {
        fprintf(stderr, "tokens: %s\n", ft_error());
        return 3;
    }
    do {
        if (ft_buffer_reserve(&in, 1 << 20) < 0)
            return 4;
        in.size += got = fread(in.data + in.size, 1, 1 << 20, stdin);
    } while (got);
    for (i = 0; i < (timed ? 5 : 1); i++) {
        start = ft_seconds();
        if (pass(tokenizer, in, limit, &texts, &ids, !timed) < 0)
            return 4;
        if (best > ft_seconds() - start)
            best = ft_seconds() - start;
    }
    if (timed)
        printf("%zu %zu %.6f %.6f\n", texts, ids, opened, best);
    ft_buffer_free(&in);
    ft_tokenizer_close(tokenizer);
    return fclose(stdout) ? 4 : 0;
}
