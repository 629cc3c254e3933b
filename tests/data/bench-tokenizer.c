/* bench-tokenizer.c - how many texts a second one thread makes ids of; a line of the file is a text.
 *
 *     make build/tests/data/bench-tokenizer && build/tests/data/bench-tokenizer DIRECTORY FILE [LIMIT]
 *     bench/tokenizing.py DIRECTORY FILE [LIMIT]                  the same of Hugging Face tokenizers
 *
 * The first line is the best of several passes over all texts, in the words of tokenizing.py. The second is for whoever changes the
 * tokenizer: ids and a checksum over them, which no change may alter, and how long opening took. */
#include "base/error.h"
#include "base/file.h"
#include "base/tool.h"
#include "data/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 1024 };   /* texts whose ids are kept together, as a batch's are */

struct bench {
    const struct ft_tokenizer *tokenizer;
    struct ft_string text;
    size_t limit, texts, ids;
    uint64_t checksum;
};

static void checksum_add(struct bench *b, const struct ft_tokens *tokens)
{
    b->ids += tokens->count;
    for (size_t i = 0; i < tokens->count; i++)
        b->checksum = (b->checksum ^ (uint64_t)tokens->id[i]) * 0x100000001b3u;
}

/* One pass over all lines; with `check` ids are counted and summed too. */
static int pass(struct bench *b, bool check)
{
    const char *line = b->text.data, *stop = line + b->text.size, *end;
    struct ft_tokens tokens = {0};

    for (b->texts = 0; line < stop; line = end + 1) {
        if (!(end = memchr(line, '\n', (size_t)(stop - line))))
            end = stop;
        if (ft_tokenizer_encode(b->tokenizer, (struct ft_string){line, (size_t)(end - line)}, b->limit, &tokens) < 0)
            return -1;
        if (++b->texts % BATCH && end + 1 < stop)
            continue;
        if (check)
            checksum_add(b, &tokens);
        tokens.count = 0;
    }
    ft_tokens_free(&tokens);
    return 0;
}

static int bench(struct bench *b)
{
    double best = 1e9, begin = ft_seconds();

    for (int i = 0; i < 5 || ft_seconds() - begin < 1; i++) {
        double start = ft_seconds(), took;

        if (pass(b, false) < 0)
            return -1;
        took = ft_seconds() - start;
        if (took < best)
            best = took;
    }
    printf("ft: %zu texts, %.0f texts/s, %.2f MB/s\n", b->texts, (double)b->texts / best, (double)(b->text.size - b->texts) / best * 1e-6);
    return pass(b, true);
}

int main(int argc, char **argv)
{
    struct bench b = {.limit = argc > 3 ? strtoul(argv[3], NULL, 10) : 0};
    struct ft_tokenizer *tokenizer = NULL;
    const void *data = NULL;
    double opened = ft_seconds();
    int status = 0;

    if (argc < 3)
        return fprintf(stderr, "usage: bench-tokenizer DIRECTORY FILE [LIMIT]\n"), 2;
    if ((b.tokenizer = tokenizer = ft_tokenizer_open(argv[1])))
        opened = ft_seconds() - opened;
    if (!tokenizer || ft_file_map(argv[2], &data, &b.text.size) < 0 || (b.text.data = data, bench(&b)) < 0)
        status = fprintf(stderr, "bench-tokenizer: %s\n", ft_error()) > 0 ? 3 : 4;
    else
        printf("    %zu ids, checksum %016llx, opened in %.2f ms\n", b.ids, (unsigned long long)b.checksum, opened * 1e3);
    if (data)
        ft_file_unmap(data, b.text.size);
    ft_tokenizer_close(tokenizer);
    return fclose(stdout) ? 4 : status;
}
