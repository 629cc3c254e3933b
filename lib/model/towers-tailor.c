/* towers-tailor.c - edits of a model of two towers: each goes to the towers it is of. */
#include "base/error.h"
#include "model/items.h"
#include "model/tailoring.h"
#include "model/towers.h"

#include <stdlib.h>
#include <string.h>

enum { WIDEST = 1 << 16 };

/* Edits of each tower, in their order, and what is frozen in both. */
struct sorted {
    struct ft_arena *arena;
    struct ft_list list[FT_TOWERS + 1];
    size_t early;                /* of the last list: so many came before an edit that makes new nodes */
};

static int give(struct sorted *s, int to, const char *edit)
{
    struct ft_list *list = &s->list[to];

    return edit ? (list->items[list->count++] = edit, 0) : -1;
}

static bool is(const char *edit, const char *name)
{
    size_t size = strlen(name);

    return strncmp(edit, name, size) == 0 && (edit[size] == '=' || !edit[size]);
}

/* How wide it makes the embedding, 0: it does not say. */
static size_t width_of(const char *edit)
{
    const char *out = is(edit, "dim") ? edit + 4 : strstr(edit, "out=");

    return out ? strtoul(out + (is(edit, "dim") ? 0 : 4), NULL, 10) : 0;
}

/* A projection for those that need one; of CLIP's kind it has no bias (Radford et al. 2021). */
static int sort_width(struct sorted *s, const char *edit, size_t dim[FT_TOWERS])
{
    size_t width = width_of(edit);
    const char *own = edit;

    if (is(edit, "dim") && (strspn(edit + 4, "0123456789") != strlen(edit + 4) || width < 1 || width > WIDEST))
        return ft_fail(FT_USAGE, "--dim %s: expected a whole number, 1 to %d", edit + 4, WIDEST);
    if (is(edit, "dim"))
        own = ft_arena_print(s->arena, "head=mlp:layers=1,out=%zu,bias=0", width);
    for (int t = 0; own && t < FT_TOWERS; t++) {
        if (dim[t] != width && give(s, t, own) < 0)
            return -1;
        dim[t] = width ? width : dim[t];
    }
    return own ? 0 : -1;
}

static int sort(struct sorted *s, const char *edit, size_t dim[FT_TOWERS])
{
    if (is(edit, "freeze") || is(edit, "unfreeze"))
        return give(s, FT_TOWERS, edit);
    if (is(edit, "dim") || is(edit, "head")) {
        s->early = s->list[FT_TOWERS].count;
        return sort_width(s, edit, dim);
    }
    if (is(edit, "normalize"))
        return give(s, FT_TOWER_TEXT, edit) < 0 ? -1 : give(s, FT_TOWER_IMAGE, edit);
    if (is(edit, "max-length") || is(edit, "prompt"))
        return give(s, FT_TOWER_TEXT, edit);
    if (is(edit, "image-size"))
        return give(s, FT_TOWER_IMAGE, edit);
    return ft_fail(FT_USAGE, "--%.*s: of which of two towers is not said: edit that one by itself, and join them afterwards", (int)strcspn(edit, "="), edit);
}

/* All edits by towers; `dim` is what each has before. `joining`: embeddings that are to be compared end in unit length. */
static int sort_all(struct sorted *s, const struct ft_list *edits, const size_t before[FT_TOWERS], bool joining)
{
    size_t dim[FT_TOWERS] = {before[0], before[1]};

    for (int i = 0; i <= FT_TOWERS; i++)
        if (!(s->list[i].items = ft_arena_zero(s->arena, edits->count + 2, sizeof *s->list[i].items)))
            return -1;
    for (size_t i = 0; i < edits->count; i++)
        if (sort(s, edits->items[i], dim) < 0)
            return -1;
    return joining ? sort(s, "normalize", dim) : 0;
}

/* A tower with its edits made. The image tower's new weights are of another seed, or two projections of one shape would begin as one. */
static struct ft_model *open_tower(const char *directory, const struct sorted *s, int tower, uint64_t seed)
{
    const struct ft_tailoring how = {.edits = &s->list[tower], .seed = seed + (uint64_t)tower};
    struct ft_model *model;

    if (!how.edits->count)
        return ft_model_open(directory, NULL);
    if ((model = ft_model_open_tailored(directory, &how)))
        model->body = "";
    return model;
}

/* What was frozen before a node was made does not freeze it. */
static int leave_new(struct ft_model *model, struct ft_list *list)
{
    for (int i = 0; i < model->node_count; i++) {
        const struct ft_node *n = &model->nodes[i];
        const char *undo;

        if (!n->frozen || !model->parameters[n->parameters[0]].fresh)
            continue;
        if (!(undo = ft_arena_print(&model->arena, "!%s", n->name)) || ft_model_freeze(model, undo + 1, false) < 0)
            return -1;
        list->items[list->count++] = undo;
    }
    return 0;
}

/* The outer model's list: what ft.json had, and then the edits. */
static int freeze_both(struct ft_model *model, const struct sorted *s)
{
    const struct ft_list *edits = &s->list[FT_TOWERS];
    struct ft_list old = {NULL, 0}, *list;
    size_t room;

    if (!model->tailored && !(model->tailored = ft_arena_zero(&model->arena, 1, sizeof *model->tailored)))
        return -1;
    list = &model->tailored->freezing;
    old = *list;
    room = old.count + edits->count + (size_t)model->node_count + 1;
    *list = (struct ft_list){ft_arena_zero(&model->arena, room, sizeof *list->items), 0};
    if (!list->items)
        return -1;
    for (size_t i = 0; i < old.count; i++)
        list->items[list->count++] = old.items[i];
    if (ft_tailored_freeze(model) < 0)
        return -1;
    for (size_t i = 0; i < edits->count; i++) {
        bool frozen = is(edits->items[i], "freeze");
        const char *pattern = strchr(edits->items[i], '=') + 1;

        if (i == s->early && leave_new(model, list) < 0)
            return -1;
        if (ft_model_freeze(model, pattern, frozen) < 0)
            return ft_error_prefix("--%sfreeze %.200s: ", frozen ? "" : "un", pattern);
        if (!(list->items[list->count++] = ft_arena_print(&model->arena, "%s%s", frozen ? "" : "!", pattern)))
            return -1;
    }
    return s->early >= edits->count ? leave_new(model, list) : 0;
}

/* The towers with their edits, as one. */
static struct ft_model *join(const char *directory, const char *const place[FT_TOWERS], const struct sorted *s, uint64_t seed)
{
    struct ft_model *tower[FT_TOWERS] = {NULL};

    for (int t = 0; t < FT_TOWERS; t++)
        if (!(tower[t] = open_tower(place[t], s, t, seed))) {
            ft_error_prefix("the %s tower: ", ft_tower_name((enum ft_tower)t));
            ft_model_close(tower[0]);
            return NULL;
        }
    return ft_towers_join(directory, tower);
}

static struct ft_model *freeze_and_give(struct ft_model *model, const struct sorted *s)
{
    if (model && freeze_both(model, s) == 0)
        return model;
    ft_model_close(model);
    return NULL;
}

/* Both dimensions as they are, and what the models read. */
static int measure(const char *const place[FT_TOWERS], size_t dim[FT_TOWERS])
{
    static const enum ft_input reads[FT_TOWERS] = {FT_INPUT_TEXT, FT_INPUT_IMAGE};

    for (int t = 0; t < FT_TOWERS; t++) {
        struct ft_model *model = ft_model_open_nodes(place[t]);
        int result = 0;

        if (!model)
            return -1;
        if (model->input != reads[t])
            result = ft_fail(FT_USAGE, "%s reads %s: a model that reads texts and one that reads images are joined, in this order", place[t],
                             ft_input_name(model->input));
        dim[t] = model->dim;
        ft_model_close(model);
        if (result < 0)
            return -1;
    }
    return 0;
}

struct ft_model *ft_model_join(const char *text, const char *image, const struct ft_list *edits, uint64_t seed)
{
    const char *const place[FT_TOWERS] = {text, image};
    struct ft_arena arena = {0};
    struct sorted s = {.arena = &arena};
    size_t dim[FT_TOWERS];
    struct ft_model *model = NULL;

    if (measure(place, dim) == 0 && sort_all(&s, edits, dim, true) == 0)
        model = freeze_and_give(join(text, place, &s, seed), &s);
    ft_arena_free(&arena);
    return model;
}

/* Two in one config.json are what it says they are. */
static struct ft_model *tailor_pair(const char *directory, const struct sorted *s)
{
    if (s->list[FT_TOWER_TEXT].count || s->list[FT_TOWER_IMAGE].count) {
        ft_fail(FT_USAGE, "%s: its config.json is of both towers: --freeze and --unfreeze are all that can be edited", directory);
        return NULL;
    }
    return freeze_and_give(ft_model_open(directory, NULL), s);
}

struct ft_model *ft_towers_tailor(const char *directory, const struct ft_towers *towers, const struct ft_list *edits, uint64_t seed)
{
    struct ft_arena arena = {0};
    struct sorted s = {.arena = &arena};
    const char *place[FT_TOWERS] = {NULL};
    struct ft_model *model = ft_model_open_nodes(directory);
    size_t dim[FT_TOWERS] = {model ? model->dim : 0, model ? model->dim : 0};
    int result = model ? sort_all(&s, edits, dim, false) : -1;

    ft_model_close(model);
    model = NULL;
    for (int t = 0; result == 0 && towers->kind == FT_TOWERS_JOINED && t < FT_TOWERS; t++)
        place[t] = towers->place[t];
    if (result == 0 && !edits->count)
        ft_fail(FT_USAGE, "%s: no edit", directory);
    else if (result == 0 && towers->kind == FT_TOWERS_PAIRED)
        model = tailor_pair(directory, &s);
    else if (result == 0 && (model = join(directory, place, &s, seed)) && ft_tailored_read(model) < 0) {
        ft_model_close(model);
        model = NULL;
    } else if (model)
        model = freeze_and_give(model, &s);
    ft_arena_free(&arena);
    return model;
}
