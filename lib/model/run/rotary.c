/* rotary.c - the runner's tables of rotary position embedding, one for each kind that its plan has. */
#include "model/run/running.h"

#include <stdlib.h>

/* As long as the longest text yet, and somewhat longer. */
int ft_rotary_reserve(struct ft_runner *r)
{
    size_t length = r->rotary_length ? r->rotary_length : 64;

    if (!r->plan->rotary_count || r->cut->longest <= r->rotary_length)
        return 0;
    if (!r->rotary && !(r->rotary = ft_arena_zero(&r->arena, (size_t)r->plan->rotary_count, sizeof *r->rotary)))
        return -1;
    while (length < r->cut->longest)
        length *= 2;
    for (int i = 0; i < r->plan->rotary_count; i++) {
        const struct ft_rotary *kind = &r->plan->rotary[i];

        if (!ft_floats_reserve(&r->rotary[i], length * kind->head))
            return -1;
        ft_rotary_table(r->rotary[i].data, length, kind->head, kind->theta);
    }
    r->rotary_length = length;
    return 0;
}

void ft_rotary_free(struct ft_runner *r)
{
    for (int i = 0; r->rotary && i < r->plan->rotary_count; i++)
        free(r->rotary[i].data);
}
