/* demand.c - held already, to come, and what is left. */
#include "train/demand.h"
#include "base/error.h"

/* What nobody counts: the allocator's leftovers, stacks, an image or two being decoded. Not needed to begin, but nothing is kept in it. */
enum { MARGIN = 32 << 20 };

/* Rows of a table take memory when they are first touched: `tables` counts them, or all but them. */
static size_t learnt_bytes(const struct ft_demand *d, bool tables)
{
    size_t floats = 0;

    for (int i = 0; i < d->trained->count; i++) {
        const struct ft_parameter *p = &d->trained->list[i];

        if (ft_parameter_learns(p) && p->table == tables)
            floats += p->rows * p->columns;
    }
    return (size_t)d->blocks * floats * sizeof(float);
}

static size_t without_bound(const struct ft_demand *d)
{
    size_t usual = (size_t)(d->images ? 2 : 1) << 30;      /* an image keeps as much as some hundred texts */
    size_t available = ft_memory_available();

    return available / 4 < usual ? available / 4 : usual;
}

static unsigned long mebibytes(size_t bytes)
{
    return (unsigned long)((bytes + (1 << 20) - 1) >> 20);
}

int ft_demand_limit(const struct ft_demand *d, size_t memory, struct ft_passes *passes, size_t *limit)
{
    size_t held = ft_memory_held(), learnt = learnt_bytes(d, false), tables = learnt_bytes(d, true);
    size_t embeddings = 2 * d->items * d->d * sizeof(float), loss = d->losses ? ft_losses_bytes(d->losses, d->items, d->d) : 0;
    size_t through = embeddings + ft_passes_least(passes, loss);

    *limit = without_bound(d);
    if (!memory)
        return 0;
    if (held + learnt + through > memory) {
        ft_passes_spare(passes);
        through = embeddings + ft_passes_least(passes, loss);
    }
    if (held + learnt + through > memory)
        return ft_fail(FT_USAGE, "--memory of %lu MiB, and a step takes at least %lu: %lu lie there before it, %lu are gradients and what the optimizer keeps, "
                       "%lu go through model and loss, less of them with a smaller --chunk", mebibytes(memory), mebibytes(held + learnt + through), mebibytes(held),
                       mebibytes(learnt), mebibytes(through));
    memory -= held + learnt + through;
    memory -= memory < tables + MARGIN ? memory : tables + MARGIN;
    /* Gradients of images' values, which ft_passes_backward bounds by half of the limit, are large. */
    *limit = d->images ? memory / 3 * 2 : memory;
    return 0;
}
