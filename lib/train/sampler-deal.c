/* sampler-deal.c - units over batches, none twice in one batch. */
#include "train/sampler-internal.h"

static bool holds(const uint32_t *cell, size_t size, uint32_t unit)
{
    for (size_t i = 0; i < size; i++)
        if (cell[i] == unit)
            return true;
    return false;
}

/* Swaps that make no doubles: the usual chain over tables of zeros and ones with given margins, which forgets where it began. */
static void mix(struct ft_random *random, size_t cells, size_t batches, size_t width, uint32_t *cell, const uint32_t *size)
{
    for (size_t trial = 0; trial < 4 * cells; trial++) {
        size_t a = (size_t)ft_random_below(random, batches), b = (size_t)ft_random_below(random, batches);
        uint32_t *x = &cell[a * width + ft_random_below(random, width)], *y = &cell[b * width + ft_random_below(random, width)];
        uint32_t keep = *x;

        if (x >= &cell[a * width + size[a]] || y >= &cell[b * width + size[b]])
            continue;
        if (holds(&cell[b * width], size[b], *x) || holds(&cell[a * width], size[a], *y))
            continue;
        *x = *y;
        *y = keep;
    }
}

/* McNaughton's wrap-around rule: one unit after another to one batch after another, so that a unit's cells lie in different batches
 * as long as it has no more of them than there are batches. */
void ft_deal(struct ft_random *random, const uint32_t *deck, const uint32_t *total, size_t units, size_t batches, size_t width,
             uint32_t *cell, uint32_t *size)
{
    size_t cells = 0;

    for (size_t b = 0; b < batches; b++)
        size[b] = 0;
    for (size_t u = 0; u < units; u++)
        for (uint32_t i = 0; i < total[deck[u]]; i++, cells++) {
            size_t b = cells % batches;

            cell[b * width + size[b]++] = deck[u];
        }
    if (batches > 1)
        mix(random, cells, batches, width, cell, size);
}

static void fill_from_last(size_t batches, size_t width, bool doubles, uint32_t *cell, uint32_t *size)
{
    uint32_t *last = &cell[(batches - 1) * width], *left_in_last = &size[batches - 1];

    for (size_t b = 0; b + 1 < batches; b++)
        for (size_t i = *left_in_last; i > 0 && size[b] < width; i--)
            if (doubles || !holds(&cell[b * width], size[b], last[i - 1])) {
                cell[b * width + size[b]++] = last[i - 1];
                last[i - 1] = last[--*left_in_last];
            }
}

void ft_deal_fill(size_t batches, size_t width, bool doubles, uint32_t *cell, uint32_t *size)
{
    fill_from_last(batches, width, false, cell, size);
    if (doubles)
        fill_from_last(batches, width, true, cell, size);
}
