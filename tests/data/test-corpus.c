/* test-corpus.c - the spool of documents. */
#include "base/error.h"
#include "data/corpus.h"
#include "../tap.h"

#include <stdlib.h>

/* The spool: documents smaller and larger than its buffer come back as they went in. */
static void test_corpus(void)
{
    struct ft_corpus *corpus = ft_corpus_open(0);
    struct ft_buffer into = {0};
    static char bytes[300000];
    int wrong = 0;

    for (int i = 0; i < 2000; i++) {
        size_t size = i % 500 == 7 ? sizeof bytes : (size_t)(i * 37 % 1000);

        memset(bytes, i, size);
        wrong += ft_corpus_add(corpus, (struct ft_string){bytes, size}) < 0;
    }
    for (int i = 1999; i >= 0; i--) {
        size_t size = i % 500 == 7 ? sizeof bytes : (size_t)(i * 37 % 1000);

        memset(bytes, i, size);
        into.size = 0;
        wrong += ft_corpus_size(corpus, (size_t)i) != size || ft_corpus_read(corpus, (size_t)i, &into) < 0 || into.size != size ||
                 (size && memcmp(into.data, bytes, size) != 0);
    }
    ok(wrong == 0 && ft_corpus_count(corpus) == 2000, "the spool gives back what it got, larger than its buffer or not");
    ft_corpus_close(corpus);
    setenv("TMPDIR", "/nonexistent", 1);
    corpus = ft_corpus_open(0);
    for (wrong = 0; wrong < 100000 && ft_corpus_add(corpus, (struct ft_string){bytes, 1000}) == 0; wrong++)
        ;
    ok(wrong < 100 && ft_error_status() == FT_SYSTEM && strstr(ft_error(), "/nonexistent"), "no place for it: %s", ft_error());
    unsetenv("TMPDIR");
    ft_corpus_close(corpus);
    ft_buffer_free(&into);
}

int main(void)
{
    test_corpus();
    return done();
}
