/* random.c - Philox4x32-10 and what is drawn from it. */
#include "base/random.h"

#include <math.h>

struct ft_philox ft_philox(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);

    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)c0 * 0xd2511f53u, p1 = (uint64_t)c2 * 0xcd9e8d57u;

        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    return (struct ft_philox){{c0, c1, c2, c3}};
}

struct ft_random ft_random_start(uint64_t key, uint64_t stream)
{
    return (struct ft_random){.key = key, .stream = stream};
}

uint32_t ft_random_word(struct ft_random *random)
{
    uint64_t block = random->count / 4;

    if (random->count % 4 == 0)
        random->words = ft_philox(random->key, (uint32_t)block, (uint32_t)(block >> 32),
                                  (uint32_t)random->stream, (uint32_t)(random->stream >> 32));
    return random->words.word[random->count++ % 4];
}

uint64_t ft_random_below(struct ft_random *random, uint64_t bound)
{
    /* The largest multiple of bound that fits is where the fair numbers end; redraw above it. */
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound, number;

    do {
        number = (uint64_t)ft_random_word(random) << 32;
        number |= ft_random_word(random);
    } while (number >= limit);
    return number % bound;
}

double ft_random_uniform(struct ft_random *random)
{
    uint64_t high = ft_random_word(random) >> 5, low = ft_random_word(random) >> 6;

    return (double)(high << 26 | low) * 0x1p-53;
}

double ft_random_normal(struct ft_random *random)
{
    double u = 1 - ft_random_uniform(random), v = ft_random_uniform(random);

    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

void ft_random_shuffle(struct ft_random *random, uint32_t *items, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)ft_random_below(random, i);
        uint32_t item = items[i - 1];

        items[i - 1] = items[j];
        items[j] = item;
    }
}
