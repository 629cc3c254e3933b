/* loss-sets.c - --loss SET=NAME:...: which of the losses a batch's data set has. */
#include "base/error.h"
#include "train/loss.h"

#include <string.h>

/* The size of SET where the item begins with "SET=": a name ends at the first of "=:* ". "miner=" is what ft_losses_text writes. */
static size_t set_size(const char *item)
{
    size_t size = strcspn(item, "=:* ");

    return item[size] == '=' && !(size == 5 && strncmp(item, "miner", 5) == 0) ? size : 0;
}

static bool is_of(const char *item, struct ft_string set)
{
    size_t size = set_size(item);

    return size && size == set.size && memcmp(item, set.data, size) == 0;
}

static int pick(struct ft_arena *arena, const struct ft_list *loss, struct ft_string set, struct ft_list *own)
{
    bool named = false;

    *own = (struct ft_list){ft_arena_take(arena, (loss->count + 1) * sizeof *own->items), 0};
    if (!own->items)
        return -1;
    for (size_t i = 0; i < loss->count; i++)
        named |= is_of(loss->items[i], set);
    for (size_t i = 0; i < loss->count; i++) {
        size_t size = set_size(loss->items[i]);

        if (named ? is_of(loss->items[i], set) : !size)
            own->items[own->count++] = loss->items[i] + (size ? size + 1 : 0);
    }
    return 0;
}

struct ft_losses *ft_losses_of_batch(struct ft_arena *arena, const struct ft_batch *batch, const struct ft_list *loss, const char *miner)
{
    struct ft_list own;

    return pick(arena, loss, batch->set, &own) < 0 ? NULL : ft_losses_parse(arena, batch->kind, &own, miner);
}

static bool is_among(struct ft_string sets, const char *name, size_t size)
{
    for (size_t at = 0; at < sets.size;) {
        const char *end = memchr(sets.data + at, ' ', sets.size - at);
        size_t length = end ? (size_t)(end - sets.data) - at : sets.size - at;

        if (length == size && memcmp(sets.data + at, name, size) == 0)
            return true;
        at += length + 1;
    }
    return false;
}

int ft_losses_check_sets(const struct ft_list *loss, struct ft_string sets)
{
    for (size_t i = 0; i < loss->count; i++) {
        size_t size = set_size(loss->items[i]);

        if (size && !is_among(sets, loss->items[i], size))
            return ft_fail(FT_USAGE, "loss '%s': no data set is called '%.*s': %s%.*s", loss->items[i], (int)size, loss->items[i],
                           sets.size ? "there are " : "there is one only, see --mix", (int)sets.size, sets.data ? sets.data : "");
    }
    return 0;
}
