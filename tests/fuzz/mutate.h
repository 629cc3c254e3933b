/* mutate.h - a main for fuzz targets where libFuzzer is not at hand: the seeds given in the source, changed at random.
 *
 *     gcc -fsanitize=address,undefined ... tests/fuzz/fuzz-csv.c libft.a ... -o fuzz-csv && ./fuzz-csv 100000 [SEED]
 *     clang -fsanitize=fuzzer,address -DFT_LIBFUZZER ...
 */
#ifndef FT_TESTS_FUZZ_MUTATE_H
#define FT_TESTS_FUZZ_MUTATE_H

#include "base/memory.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef FT_LIBFUZZER
enum { MOST = 4096 };

/* Cut, repeat, overwrite with a byte that means something, or flip a bit. */
static size_t mutate(struct ft_random *random, uint8_t *data, size_t size, const char *bytes)
{
    size_t at = ft_random_below(random, size + 1), run = ft_random_below(random, 16);

    switch (ft_random_below(random, 5)) {
    case 0:
        return at;
    case 1:
        run = run > size - at ? size - at : run;
        if (size + run > MOST)
            return size;
        memmove(data + at + run, data + at, size - at);
        return size + run;
    case 2:
        run = run > size - at ? size - at : run;
        memmove(data + at, data + at + run, size - at - run);
        return size - run;
    case 3:
        if (at < size)
            data[at] ^= (uint8_t)(1u << ft_random_below(random, 8));
        return size;
    default:
        if (at < size)
            data[at] = (uint8_t)bytes[ft_random_below(random, strlen(bytes) + 1)];
        return size;
    }
}

static int fuzz_main(int argc, char **argv, const struct ft_string *seeds, size_t count, const char *bytes)
{
    long runs = argc > 1 ? strtol(argv[1], NULL, 10) : 20000;
    struct ft_random random = ft_random_start(argc > 2 ? strtoull(argv[2], NULL, 10) : 1, 0);
    uint8_t data[MOST + 16];

    for (long run = 0; run < runs; run++) {
        struct ft_string seed = seeds[ft_random_below(&random, count)];
        size_t size = seed.size, changes = 1 + ft_random_below(&random, 6);

        memcpy(data, seed.data, size);
        while (changes-- > 0)
            size = mutate(&random, data, size, bytes);
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("%ld inputs\n", runs);
    return 0;
}

/* Seeds that are texts, and seeds that are struct ft_string and may hold null bytes. */
#define FUZZ_MAIN(seeds, bytes) \
    int main(int argc, char **argv) \
    { \
        struct ft_string strings[sizeof seeds / sizeof *seeds]; \
        for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) \
            strings[i] = ft_string_of(seeds[i]); \
        return fuzz_main(argc, argv, strings, sizeof seeds / sizeof *seeds, bytes); \
    }
#define FUZZ_MAIN_BYTES(seeds, bytes) \
    int main(int argc, char **argv) { return fuzz_main(argc, argv, seeds, sizeof seeds / sizeof *seeds, bytes); }
#else
#define FUZZ_MAIN(seeds, bytes)
#define FUZZ_MAIN_BYTES(seeds, bytes)
#endif

#endif
