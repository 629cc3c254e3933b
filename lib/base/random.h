/* random.h - Philox4x32-10, a counter-based generator (Salmon, Moraes, Dror and Shaw, SC'11).
 *
 * A number is a function of (key, counter) and of nothing else: no state is carried, so any thread, chunk or
 * process draws the same number for the same place. Four 32-bit words a call. */
#ifndef FT_BASE_RANDOM_H
#define FT_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct ft_philox {
    uint32_t word[4];
};

struct ft_philox ft_philox(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3);

/* A sequence drawn from one key and stream number: for shuffles and choices. */
struct ft_random {
    uint64_t key, stream, count;
    struct ft_philox words;
};

struct ft_random ft_random_start(uint64_t key, uint64_t stream);
uint32_t ft_random_word(struct ft_random *random);
uint64_t ft_random_below(struct ft_random *random, uint64_t bound);  /* uniform in [0, bound), without bias; bound > 0 */
double ft_random_uniform(struct ft_random *random);                  /* [0, 1), 53 bits */
double ft_random_normal(struct ft_random *random);                   /* mean 0, variance 1 (Box and Muller) */
void ft_random_shuffle(struct ft_random *random, uint32_t *items, size_t count);  /* Fisher and Yates */

#endif
