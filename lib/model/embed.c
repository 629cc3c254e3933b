/* embed.c - items in, embeddings out: windows of items, sorted by length inside, so that shards are even and nothing is padded. */
#include "model/embed.h"
#include "base/error.h"
#include "model/encode.h"
#include "model/items.h"
#include "model/run/runner.h"
#include "model/towers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 4096 };   /* texts; bounds memory whatever the count */

struct ft_embedder {
    const struct ft_model *model;
    struct ft_embed_options options;
    struct ft_runner *runner;
    struct ft_arena arena;
    uint8_t *pixel[2];                 /* of two windows of images */
    struct ft_embedder *tower[FT_TOWERS];   /* of a model of two towers, which has no runner of its own */
};

/* Prompts and limits of tokens are the text tower's alone. */
static int open_towers(struct ft_embedder *e)
{
    for (int t = 0; t < FT_TOWERS; t++) {
        struct ft_embed_options how = e->options;

        if (t != FT_TOWER_TEXT) {
            how.max_length = 0;
            how.prompts = (struct ft_prompts){{NULL}};
        }
        if (!(e->tower[t] = ft_embedder_open(e->model->towers[t], &how)))
            return -1;
    }
    return 0;
}

struct ft_embedder *ft_embedder_open(const struct ft_model *model, const struct ft_embed_options *options)
{
    struct ft_embedder *e = calloc(1, sizeof *e);
    bool texts = model->input == FT_INPUT_TEXT || model->input == FT_INPUT_BOTH;

    if (!e) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    e->model = model;
    e->options = *options;
    if (options->truncate_dim > model->dim)
        ft_fail(FT_USAGE, "--truncate-dim %zu is more than the model's %zu dimensions", options->truncate_dim, model->dim);
    else if (!texts && (options->max_length || ft_prompts_any(&options->prompts)))
        ft_fail(FT_USAGE, "--%s is for texts, and the model reads %s", options->max_length ? "max-length" : "prompt", ft_input_name(model->input));
    else if (ft_model_prompts_check(model, &options->prompts) < 0)
        ;
    else if (model->tower_count ? open_towers(e) == 0 : (e->runner = ft_runner_open(model, 0, options->precision)) != NULL) {
        if (e->runner)
            ft_runner_settle(e->runner);
        return e;
    }
    ft_embedder_close(e);
    return NULL;
}

void ft_embedder_close(struct ft_embedder *e)
{
    if (!e)
        return;
    for (int t = 0; t < FT_TOWERS; t++)
        ft_embedder_close(e->tower[t]);
    ft_runner_close(e->runner);
    ft_arena_free(&e->arena);
    free(e->pixel[0]);
    free(e->pixel[1]);
    free(e);
}

const struct ft_model *ft_embedder_model(const struct ft_embedder *e)
{
    return e->model;
}

size_t ft_embed_dim(const struct ft_model *model, const struct ft_embed_options *options)
{
    return options->truncate_dim ? options->truncate_dim : model->dim;
}

struct place {
    uint32_t length, text;
};

/* Longest first, so that the threads end together; equal lengths in the order of the texts. */
static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->length != y->length)
        return x->length < y->length ? 1 : -1;
    return x->text < y->text ? -1 : x->text > y->text;
}

/* The texts of `packed` in the order of `place`. */
static int reorder(struct ft_arena *arena, const struct ft_packed *packed, struct place *place, struct ft_packed *sorted)
{
    size_t n = packed->texts;

    *sorted = *packed;
    sorted->id = ft_arena_take(arena, (packed->offset[n] + 1) * sizeof *sorted->id);
    sorted->offset = ft_arena_take(arena, (n + 1) * sizeof *sorted->offset);
    sorted->second = packed->second ? ft_arena_take(arena, (n + 1) * sizeof *sorted->second) : NULL;
    if (!sorted->id || !sorted->offset || !sorted->second != !packed->second)
        return -1;
    for (size_t i = 0; i < n; i++)
        place[i] = (struct place){packed->offset[i + 1] - packed->offset[i], (uint32_t)i};
    qsort(place, n, sizeof *place, compare_places);
    sorted->offset[0] = 0;
    for (size_t i = 0; i < n; i++) {
        memcpy(sorted->id + sorted->offset[i], packed->id + packed->offset[place[i].text], place[i].length * sizeof(int32_t));
        sorted->offset[i + 1] = sorted->offset[i] + place[i].length;
        if (packed->second)
            sorted->second[i] = packed->second[place[i].text];
    }
    return 0;
}

void ft_embedding_shorten(float *out, const float *in, size_t dim, bool unit)
{
    double sum = 0;

    memmove(out, in, dim * sizeof *out);
    if (!unit)
        return;
    for (size_t i = 0; i < dim; i++)
        sum += (double)out[i] * out[i];
    sum = sqrt(sum);
    for (size_t i = 0; i < dim; i++)
        out[i] = (float)(out[i] / (sum > 1e-12 ? sum : 1e-12));
}

/* Items with roles, or texts, or pairs of texts. */
struct window {
    const struct ft_content *content;
    const uint8_t *role;
    const struct ft_string *text, *other;
};

static int encode(struct ft_embedder *e, const struct window *w, size_t count, struct ft_packed *packed)
{
    if (w->other)
        return ft_encode_pairs(&e->arena, e->model, e->options.max_length, w->text, w->other, count, packed);
    if (w->text)
        return ft_encode_texts(&e->arena, e->model, &e->options.prompts, e->options.max_length, w->text, NULL, count, packed);
    return ft_encode_items(&e->arena, e->model, &e->options.prompts, e->options.max_length, w->content, w->role, count, packed);
}

/* What was encoded through the model; place[i] is the row of `out` that item i goes to, NULL: its own. */
static int embed_packed(struct ft_embedder *e, const struct ft_packed *packed, const struct place *place, float *out)
{
    size_t dim = ft_embed_dim(e->model, &e->options), width = e->model->dim;
    bool unit = e->options.normalize || (e->model->normalized && dim < width);
    float *wide = ft_arena_take(&e->arena, packed->texts * width * sizeof *wide);
    struct ft_cut cut;

    if (!wide || ft_cut_make(&e->arena, packed, e->options.chunk, &cut) < 0 || ft_runner_batch(e->runner, packed, &cut, 0, 0) < 0 ||
        ft_runner_forward_only(e->runner, 0, wide) < 0)
        return -1;
    for (size_t i = 0; i < packed->texts; i++)
        ft_embedding_shorten(out + (place ? place[i].text : i) * dim, wide + i * width, dim, unit);
    return 0;
}

static int embed_window(struct ft_embedder *e, struct window w, size_t count, float *out)
{
    struct ft_packed packed, sorted;
    struct place *place;

    ft_arena_reset(&e->arena);
    if (!(place = ft_arena_take(&e->arena, count * sizeof *place)) || encode(e, &w, count, &packed) < 0)
        return -1;
    if (e->model->input != FT_INPUT_TEXT)
        return embed_packed(e, &packed, NULL, out);
    return reorder(&e->arena, &packed, place, &sorted) < 0 ? -1 : embed_packed(e, &sorted, place, out);
}

/* The window that begins at item i. */
static struct window from(const struct window *all, size_t i)
{
    return (struct window){all->content ? all->content + i : NULL, all->role ? all->role + i : NULL, all->text ? all->text + i : NULL,
                           all->other ? all->other + i : NULL};
}

static int embed_all(struct ft_embedder *e, struct window all, size_t count, float *out)
{
    size_t dim = ft_embed_dim(e->model, &e->options);

    for (size_t i = 0; i < count; i += WINDOW)
        if (embed_window(e, from(&all, i), count - i < WINDOW ? count - i : WINDOW, out + i * dim) < 0)
            return -1;
    return 0;
}

/* Images, a window decoded while the one before is embedded. */
struct pictures {
    const struct ft_content *content;
    size_t count, each, first;         /* of all; of a window; the one at hand begins at */
    ft_images_bad *bad;
    void *argument;
};

static int tell_bad(void *pictures, size_t item)
{
    const struct pictures *p = pictures;

    if (p->bad)
        return p->bad(p->argument, p->first + item);
    return p->content[p->first + item].uri.size ? -1 : ft_error_prefix("item %zu: ", p->first + item + 1);
}

static struct ft_images *begin_window(struct ft_embedder *e, const struct pictures *p, size_t first)
{
    size_t left = p->count - first;

    return ft_images_begin(e->model, p->content + first, left < p->each ? left : p->each, NULL, e->pixel[first / p->each % 2]);
}

static int embed_pictures(struct ft_embedder *e, struct pictures *p, float *out)
{
    size_t dim = ft_embed_dim(e->model, &e->options);
    struct ft_images *images = p->count ? begin_window(e, p, 0) : NULL;
    int result = images || !p->count ? 0 : -1;

    for (p->first = 0; result == 0 && p->first < p->count; p->first += p->each) {
        size_t next = p->first + p->each, count = next < p->count ? p->each : p->count - p->first;
        struct ft_packed packed;

        result = ft_images_end(images, tell_bad, p);
        images = NULL;
        if (result == 0 && next < p->count && !(images = begin_window(e, p, next)))
            result = -1;
        ft_arena_reset(&e->arena);
        if (result == 0 && ft_items_pack(&e->arena, e->model, count, e->pixel[p->first / p->each % 2], NULL, &packed) == 0)
            result = embed_packed(e, &packed, NULL, out + p->first * dim);
        else
            result = -1;
    }
    ft_images_drop(images);
    return result;
}

/* One tower's items, and whom to tell of a bad one. */
struct telling {
    struct ft_share share;
    ft_images_bad *bad;
    void *argument;
};

static int tell_share(void *telling, size_t item)
{
    const struct telling *t = telling;

    if (t->bad)
        return t->bad(t->argument, t->share.number[item]);
    return t->share.content[item].uri.size ? -1 : ft_error_prefix("item %zu: ", t->share.number[item] + 1);
}

static int embed_towers(struct ft_embedder *e, const struct ft_content *content, const uint8_t *role, size_t count, ft_images_bad *bad, void *argument,
                        float *out)
{
    size_t dim = ft_embed_dim(e->model, &e->options);

    for (int t = 0; t < FT_TOWERS; t++) {
        struct telling one = {.bad = bad, .argument = argument};
        float *own;

        ft_arena_reset(&e->arena);
        if (ft_share_make(&e->arena, e->model, (enum ft_tower)t, content, role, count, &one.share) < 0 ||
            !(own = ft_arena_take(&e->arena, one.share.count * dim * sizeof *own + 1)) ||
            ft_embedder_try(e->tower[t], one.share.content, one.share.role, one.share.count, tell_share, &one, own) < 0)
            return -1;
        ft_share_put(&one.share, own, dim, out);
    }
    return 0;
}

int ft_embedder_try(struct ft_embedder *e, const struct ft_content *content, const uint8_t *role, size_t count, ft_images_bad *bad,
                    void *argument, float *out)
{
    struct pictures pictures = {.content = content, .count = count, .bad = bad, .argument = argument};

    if (e->model->tower_count)
        return embed_towers(e, content, role, count, bad, argument, out);
    if (e->model->input != FT_INPUT_IMAGE)
        return embed_all(e, (struct window){.content = content, .role = role}, count, out);
    pictures.each = ft_images_window(e->model);
    for (int i = 0; i < 2; i++)
        if (!e->pixel[i] && !(e->pixel[i] = ft_resize(NULL, pictures.each, ft_item_bytes(e->model))))
            return -1;
    return embed_pictures(e, &pictures, out);
}

int ft_embedder_run(struct ft_embedder *e, const struct ft_content *content, const uint8_t *role, size_t count, float *out)
{
    return ft_embedder_try(e, content, role, count, NULL, NULL, out);
}

int ft_embedder_score(struct ft_embedder *e, const struct ft_string *text, const struct ft_string *other, size_t count, float *score)
{
    return embed_all(e, (struct window){.text = text, .other = other}, count, score);
}

int ft_embed_texts(const struct ft_model *model, const struct ft_embed_options *options,
                   const struct ft_string *text, size_t count, float *out)
{
    struct ft_embedder *e = ft_embedder_open(model->tower_count ? model->towers[FT_TOWER_TEXT] : model, options);
    int result = e ? embed_all(e, (struct window){.text = text}, count, out) : -1;

    ft_embedder_close(e);
    return result;
}
