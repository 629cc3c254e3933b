/* loss-sets.c - --loss SET=NAME:...: which of the losses a batch's data set has. */
#include "base/error.h"
#include "train/loss-internal.h"

#include <string.h>

/* A name ends at the first of "=:* ". "miner=" is what ft_losses_text writes. */
size_t ft_loss_set_size(const char *item)
{
    size_t size = strcspn(item, "=:* ");

    return item[size] == '=' && !(size == 5 && strncmp(item, "miner", 5) == 0) ? size : 0;
}

static bool is_of(const char *item, struct ft_string set)
{
    size_t size = ft_loss_set_size(item);

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
        size_t size = ft_loss_set_size(loss->items[i]);

        if (named ? is_of(loss->items[i], set) : !size)
            own->items[own->count++] = loss->items[i] + (size ? size + 1 : 0);
    }
    return 0;
}

struct ft_losses *ft_losses_of_batch(struct ft_arena *arena, const struct ft_batch *batch, const struct ft_list *loss, const char *miner)
{
    const enum ft_input input = batch->items && ft_content_image(batch->content) ? FT_INPUT_IMAGE : FT_INPUT_TEXT;
    struct ft_list own;

    return pick(arena, loss, batch->set, &own) < 0 ? NULL : ft_losses_parse_for(arena, batch->kind, input, &own, miner);
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

/* What a loss learns or remembers is found by its place among all losses of a run, and a set's are only some of them. */
static int check_learning(const struct ft_list *loss)
{
    struct ft_arena arena = {0};
    struct ft_losses *losses = ft_losses_parse_any(&arena, loss);
    struct ft_loss_layout layout;
    int result = losses && ft_losses_layout(&arena, losses, 1, 1, &layout) == 0 ? 0 : -1;

    if (result == 0 && layout.count)
        result = ft_fail(FT_USAGE, "%s: what a loss learns or remembers is not kept apart by data set: leave --mix out, or take another loss",
                         layout.tensor[0].name);
    ft_arena_free(&arena);
    return result;
}

int ft_losses_check_sets(const struct ft_list *loss, struct ft_string sets)
{
    if (sets.size && check_learning(loss) < 0)
        return -1;
    for (size_t i = 0; i < loss->count; i++) {
        size_t size = ft_loss_set_size(loss->items[i]);

        if (size && !is_among(sets, loss->items[i], size))
            return ft_fail(FT_USAGE, "loss '%s': no data set is called '%.*s': %s%.*s", loss->items[i], (int)size, loss->items[i],
                           sets.size ? "there are " : "there is one only, see --mix", (int)sets.size, sets.data ? sets.data : "");
    }
    return 0;
}
