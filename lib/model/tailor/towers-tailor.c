/* towers-tailor.c - edits of a model of two towers: each goes to the towers it is of. */
#include "base/error.h"
#include "model/items.h"
#include "model/tailor/tailoring.h"
#include "model/towers.h"

#include <stdlib.h>
#include <string.h>

enum { WIDEST = 1 << 16 };

/* Edits of each tower, in their order, and what is frozen in both. */
struct sorted {
    struct ft_arena *arena;
    const struct ft_model *const *before;    /* the towers' nodes without the edits */
    size_t dim[FT_TOWERS];       /* what each one's embedding has, as far as it is sorted */
    bool cut[FT_TOWERS];         /* so that what made it unit length is gone */
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
    struct ft_setting head;

    if (is(edit, "dim"))
        return strtoul(edit + strlen("dim="), NULL, 10);
    return ft_setting_parse(&head, edit + strlen("head=")) < 0 ? 0 : strtoul(ft_setting_text(&head, "out", "0"), NULL, 10);
}

/* The tower whose name is before the value of an edit, "layers=text=3", which is left out then; -1: none is. */
static int take_tower(struct sorted *s, const char **edit, char end)
{
    const char *value = *edit + strcspn(*edit, "=") + (strchr(*edit, '=') != NULL);

    for (int t = 0; t < FT_TOWERS; t++) {
        const char *name = ft_tower_name((enum ft_tower)t);
        size_t size = strlen(name);

        if (strncmp(value, name, size) != 0 || value[size] != end)
            continue;
        *edit = ft_arena_print(s->arena, "%.*s%s", (int)(value - *edit), *edit, value + size + 1);
        return t;
    }
    return -1;
}

/* A projection for those that need one, or for the one that is named; of CLIP's kind it has no bias (Radford et al. 2021). */
static int sort_width(struct sorted *s, const char *edit, int named)
{
    size_t width = width_of(edit);
    const char *own = edit;

    if (is(edit, "dim") && (strspn(edit + 4, "0123456789") != strlen(edit + 4) || width < 1 || width > WIDEST))
        return ft_fail(FT_USAGE, "--dim %s: expected a whole number, 1 to %d", edit + 4, WIDEST);
    if (is(edit, "dim"))
        own = ft_arena_print(s->arena, "head=mlp:layers=1,out=%zu,bias=0", width);
    s->early = s->list[FT_TOWERS].count;
    for (int t = 0; own && t < FT_TOWERS; t++) {
        if (named >= 0 ? named != t : s->dim[t] == width)
            continue;
        if (give(s, t, own) < 0)
            return -1;
        s->dim[t] = width ? width : s->dim[t];
    }
    return own ? 0 : -1;
}

/* A node by its name in the list of both. */
static int sort_embedding(struct sorted *s, const char *edit)
{
    int named = take_tower(s, &edit, '.');
    const char *name;

    if (named < 0)
        return ft_fail(FT_USAGE, "--embedding %s: expected text.NODE or image.NODE, as ft-tailor -m MODEL lists them", edit + strcspn(edit, "=") + 1);
    name = edit ? strchr(edit, '=') + 1 : "";
    for (int i = 0; i < s->before[named]->node_count; i++)
        if (strcmp(s->before[named]->nodes[i].name, name) == 0)
            s->dim[named] = s->before[named]->nodes[i].width;
    s->cut[named] = true;
    return give(s, named, edit);
}

/* Edits that may name their tower; without one they are of both, or must. */
static int sort_named(struct sorted *s, const char *edit)
{
    const char *whole = edit;
    int named = take_tower(s, &edit, '=');

    if (!edit)
        return -1;
    if (is(edit, "dim") || is(edit, "head"))
        return sort_width(s, edit, named);
    if (named >= 0)
        return give(s, named, edit);
    if (is(edit, "dropout"))
        return give(s, FT_TOWER_TEXT, edit) < 0 ? -1 : give(s, FT_TOWER_IMAGE, edit);
    return ft_fail(FT_USAGE, "--%.*s %s: of which of two towers is not said: text=%s or image=%s", (int)strcspn(whole, "="), whole, strchr(whole, '=') + 1,
                   strchr(whole, '=') + 1, strchr(whole, '=') + 1);
}

static int sort(struct sorted *s, const char *edit)
{
    if (is(edit, "freeze") || is(edit, "unfreeze"))
        return give(s, FT_TOWERS, edit);
    if (is(edit, "normalize"))
        return give(s, FT_TOWER_TEXT, edit) < 0 ? -1 : give(s, FT_TOWER_IMAGE, edit);
    if (is(edit, "max-length") || is(edit, "prompt"))
        return give(s, FT_TOWER_TEXT, edit);
    if (is(edit, "image-size"))
        return give(s, FT_TOWER_IMAGE, edit);
    return is(edit, "embedding") ? sort_embedding(s, edit) : sort_named(s, edit);
}

/* All edits by towers. Embeddings that are to be compared end in unit length: when two are joined (`joining`), and again after a cut. */
static int sort_all(struct sorted *s, const struct ft_list *edits, const struct ft_model *const before[FT_TOWERS], bool joining)
{
    s->before = before;
    for (int t = 0; t < FT_TOWERS; t++)
        s->dim[t] = before[t]->dim;
    for (int i = 0; i <= FT_TOWERS; i++)
        if (!(s->list[i].items = ft_arena_zero(s->arena, edits->count + 2, sizeof *s->list[i].items)))
            return -1;
    for (size_t i = 0; i < edits->count; i++)
        if (sort(s, edits->items[i]) < 0)
            return -1;
    for (int t = 0; t < FT_TOWERS; t++)
        if ((joining || s->cut[t]) && give(s, t, "normalize") < 0)
            return -1;
    return 0;
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

/* The outer model's list: what ft.json had, but for nodes that are gone, and then the edits. */
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
    for (size_t i = 0; i < old.count; i++) {
        const char *pattern = old.items[i];

        if (ft_model_freeze(model, pattern + (*pattern == '!'), *pattern != '!') == 0)
            list->items[list->count++] = pattern;
    }
    ft_error_clear();
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

static void close_both(struct ft_model *const model[FT_TOWERS])
{
    for (int t = 0; t < FT_TOWERS; t++)
        ft_model_close(model[t]);
}

/* The nodes of both as they are. */
static int open_both(const char *const place[FT_TOWERS], struct ft_model *model[FT_TOWERS])
{
    static const enum ft_input reads[FT_TOWERS] = {FT_INPUT_TEXT, FT_INPUT_IMAGE};

    for (int t = 0; t < FT_TOWERS; t++) {
        if (!(model[t] = ft_model_open_nodes(place[t])))
            return -1;
        if (model[t]->input != reads[t])
            return ft_fail(FT_USAGE, "%s reads %s: a model that reads texts and one that reads images are joined, in this order", place[t],
                           ft_input_name(model[t]->input));
    }
    return 0;
}

struct ft_model *ft_model_join(const char *text, const char *image, const struct ft_list *edits, uint64_t seed)
{
    const char *const place[FT_TOWERS] = {text, image};
    struct ft_arena arena = {0};
    struct sorted s = {.arena = &arena};
    struct ft_model *before[FT_TOWERS] = {NULL}, *model = NULL;

    if (open_both(place, before) == 0 && sort_all(&s, edits, (const struct ft_model *const *)before, true) == 0)
        model = freeze_and_give(join(text, place, &s, seed), &s);
    close_both(before);
    ft_arena_free(&arena);
    return model;
}

/* Two in one config.json are what it can say of them. */
static int check_pair(const char *directory, const struct ft_list *edits)
{
    static const char *const known[] = {"layers", "dropout", "freeze", "unfreeze"};

    for (size_t i = 0; i < edits->count; i++) {
        bool said = false;

        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            said |= is(edits->items[i], known[k]);
        if (!said)
            return ft_fail(FT_USAGE, "%s: its config.json is of both towers and can say --layers, --dropout, --freeze and --unfreeze, but not --%.*s: that is "
                           "for two models that are joined", directory, (int)strcspn(edits->items[i], "="), edits->items[i]);
    }
    return 0;
}

static struct ft_model *tailor_pair(const char *directory, const struct ft_towers *towers, const struct sorted *s)
{
    const struct ft_tailoring text = {.edits = &s->list[FT_TOWER_TEXT]}, image = {.edits = &s->list[FT_TOWER_IMAGE]};
    const struct ft_tailoring *const how[FT_TOWERS] = {text.edits->count ? &text : NULL, image.edits->count ? &image : NULL};
    struct ft_model *model;

    if (towers->base && (how[0] || how[1])) {
        ft_fail(FT_USAGE, "%s is an adapter: ft-export -m %s merges it first", directory, directory);
        return NULL;
    }
    if ((model = ft_towers_open(directory, towers, how)))
        model = ft_model_load(model);
    return freeze_and_give(model, s);
}

/* Of an adapter's directory what is made is its base with the adapter merged. */
static struct ft_model *tailor_joined(const char *directory, const struct ft_towers *towers, const struct sorted *s, uint64_t seed)
{
    struct ft_model *model = join(towers->base ? towers->base : directory, towers->place, s, seed);

    if (model && (ft_tailored_read(model) < 0 || (towers->base && ft_logits_read_beside(directory, &model->logits) < 0))) {
        ft_model_close(model);
        return NULL;
    }
    return freeze_and_give(model, s);
}

struct ft_model *ft_towers_tailor(const char *directory, const struct ft_towers *towers, const struct ft_list *edits, uint64_t seed)
{
    struct ft_arena arena = {0};
    struct sorted s = {.arena = &arena};
    struct ft_model *before = ft_model_open_nodes(directory), *model = NULL;
    bool paired = towers->kind == FT_TOWERS_PAIRED;
    int result = before && (!paired || check_pair(directory, edits) == 0) ? sort_all(&s, edits, (const struct ft_model *const *)before->towers, false) : -1;

    if (result == 0 && !edits->count)
        ft_fail(FT_USAGE, "%s: no edit", directory);
    else if (result == 0)
        model = paired ? tailor_pair(directory, towers, &s) : tailor_joined(directory, towers, &s, seed);
    ft_model_close(before);
    ft_arena_free(&arena);
    return model;
}
