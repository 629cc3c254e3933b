/* sampler-rows.c - batches of rows: pairs, triplets, scored pairs, or documents in any order.
 *
 * Every row comes once an epoch. Pairs: rows of one group never meet, so no text comes twice in a batch and no positive is another row's
 * negative. Where one group has more rows than there would be batches, there are as many batches as it has rows, all smaller. Triplets
 * bring their negative along; their groups are only kept apart as far as that costs no batch. */
#include "train/sampler-internal.h"

/* Rows of each unit in an epoch, into total[]. Labelled documents: pairs two by two, the odd one with the first again; triplets: each
 * document is an anchor once. A label's only document has no positive, unless it is its own (views). */
static void count_rows(struct ft_sampler *s)
{
    for (uint32_t g = 0; g < s->units; g++)
        s->total[g] = s->labelled ? 0 : s->unit[g].size;
    for (uint32_t l = 0; s->labelled && l < s->label_count; l++) {
        uint32_t n = s->label[l].size;

        if (n >= 2 || s->options.views)
            s->total[ft_groups_of(&s->groups, s->sample[s->order[s->label[l].begin]].content)] +=
                s->kind == FT_BATCH_PAIRS && !s->options.views ? (n + 1) / 2 : n;
    }
}

static const char *rows_name(const struct ft_sampler *s)
{
    return s->kind == FT_BATCH_PAIRS ? "pairs" : "triplets";
}

/* Is there something to contrast with? */
static int check_groups(struct ft_sampler *s, uint32_t *largest)
{
    uint32_t with_rows = 0, with_documents = 0;

    *largest = 0;
    for (uint32_t g = 0; g < s->units; g++) {
        with_rows += s->total[g] > 0;
        with_documents += s->unit[g].size > 0;
        s->row_count += s->total[g];
        *largest = s->total[g] > s->total[*largest] ? g : *largest;
    }
    if (s->labelled && s->label_count < 2)
        return ft_fail(FT_BAD, "one class only (%s): contrast needs two: add documents of another label, or take --random",
                       ft_sampler_label_name(s, 0));
    if (!s->row_count)
        return ft_fail(FT_BAD, "no label has two documents: there are no %s: add documents, or take --random", rows_name(s));
    if (with_documents < 2 && s->labelled)
        return ft_fail(FT_BAD, "all labels are one group, joined by texts that they share: take --classes, or one label a text");
    if (with_rows < 2 && s->kind == FT_BATCH_PAIRS)
        return ft_fail(FT_BAD, "all %zu pairs are one group, joined by texts that they share: contrast needs two: add pairs of another "
                       "text, or take --random", s->row_count);
    if (with_documents < 2 && s->shapes[FT_PAIR])
        return ft_fail(FT_BAD, "all %zu pairs are one group, joined by texts that they share: there is no negative: add pairs of another "
                       "text, or triplets with their own negatives", s->row_count);
    return 0;
}

static void warn_of_crowd(struct ft_sampler *s, uint32_t largest)
{
    uint32_t first = s->order[s->unit[largest].begin];
    struct ft_document document;
    const struct ft_document *item = &document;

    if (ft_sampler_load(s, first, &document) < 0)
        return;
    if (document.chunk_count)
        item = &document.chunks[0];
    ft_sampler_warn(s, "%u of %zu pairs are one group (%s): they never meet, so batches have %zu rows at most, not %llu", s->total[largest],
                    s->row_count, ft_sampler_excerpt(s, ft_content_name(&item->content)), s->width,
                    (unsigned long long)s->rows);
}

/* Cut row_count rows into batches: `dealt` of `width` cells. */
static int cut(struct ft_sampler *s, uint32_t largest)
{
    if (s->options.drop_last && s->row_count < s->rows)
        return ft_fail(FT_USAGE, "%zu rows do not fill a batch of %llu, and --drop-last leaves nothing: take --batch %zu",
                       s->row_count, (unsigned long long)s->rows, s->row_count);
    if (s->rows > s->row_count)
        s->rows = s->row_count;
    s->width = (size_t)s->rows;
    s->dealt = (s->row_count + s->width - 1) / s->width;
    s->crowded = s->kind == FT_BATCH_PAIRS && s->total[largest] > s->dealt;
    if (s->crowded) {
        s->dealt = s->total[largest];
        s->width = (s->row_count + s->dealt - 1) / s->dealt;
        warn_of_crowd(s, largest);
        s->rows = s->width;
    }
    return 0;
}

int ft_sampler_plan_rows(struct ft_sampler *s)
{
    uint32_t largest = 0;
    bool units = s->kind == FT_BATCH_PAIRS || s->kind == FT_BATCH_TRIPLETS;

    s->rows = s->options.batch ? s->options.batch : s->kind == FT_BATCH_RANDOM ? 128 : 64;
    if (s->kind == FT_BATCH_PAIRS && s->rows < 2)
        return ft_fail(FT_USAGE, "--batch 1: a pair's negatives are the other rows of its batch: take 2 or more");
    s->unit = s->group;
    s->units = units ? s->group_count : 0;
    s->row_count = units ? 0 : s->used;
    if (!(s->total = ft_resize(NULL, s->units + 1, sizeof *s->total)))
        return -1;
    s->total[0] = 0;
    if (units) {
        count_rows(s);
        if (check_groups(s, &largest) < 0)
            return -1;
    }
    if (cut(s, largest) < 0)
        return -1;
    s->batches = s->options.drop_last && !s->crowded ? s->row_count / s->width : s->dealt;
    s->steps = s->epochs * s->batches;
    if (!(s->deck = ft_resize(NULL, units ? s->units : s->used, sizeof *s->deck)) ||
        !(s->next = ft_resize(NULL, (size_t)s->units + 1, sizeof *s->next)) ||
        !(s->cell = ft_resize(NULL, s->dealt, s->width * sizeof *s->cell)) ||
        !(s->size = ft_resize(NULL, s->dealt, sizeof *s->size)))
        return -1;
    return 0;
}

static void shuffle_slices(struct ft_sampler *s, const struct ft_slice *slice, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        ft_random_shuffle(&s->random, s->order + slice[i].begin, slice[i].size);
}

static void begin_documents(struct ft_sampler *s)
{
    size_t row = 0;

    for (size_t i = 0; i < s->used; i++)
        s->cell[i] = s->order[i];
    ft_random_shuffle(&s->random, s->cell, s->used);
    for (size_t b = 0; b < s->dealt; b++, row += s->width)
        s->size[b] = (uint32_t)(s->row_count - row < s->width ? s->row_count - row : s->width);
}

int ft_sampler_begin_rows(struct ft_sampler *s)
{
    s->random = ft_random_start(s->options.seed, s->epoch);
    if (!s->units) {
        begin_documents(s);
        return 0;
    }
    for (uint32_t g = 0; g < s->units; g++) {
        s->deck[g] = g;
        s->next[g] = 0;
    }
    ft_random_shuffle(&s->random, s->deck, s->units);
    if (s->labelled)
        shuffle_slices(s, s->label, s->label_count);
    else
        shuffle_slices(s, s->group, s->group_count);
    ft_deal(&s->random, s->deck, s->total, s->units, s->dealt, s->width, s->cell, s->size);
    if (!s->crowded)
        ft_deal_fill(s->dealt, s->width, s->kind == FT_BATCH_TRIPLETS, s->cell, s->size);
    for (size_t b = 0; s->crowded && s->options.drop_last && b < s->dealt; b++)
        s->size[b] = (uint32_t)(s->row_count / s->dealt);
    return 0;
}

/* A document of any group but this one. */
static uint32_t draw_negative(struct ft_sampler *s, uint32_t group)
{
    const struct ft_slice *own = &s->group[group];
    uint32_t at = (uint32_t)ft_random_below(&s->random, s->used - own->size);

    return s->order[at < own->begin ? at : at + own->size];
}

/* The label's slice that position `at` lies in. */
static const struct ft_slice *label_at(const struct ft_sampler *s, uint32_t at)
{
    return &s->label[s->sample[s->order[at]].other];
}

static int add_labelled(struct ft_sampler *s, uint32_t group)
{
    uint32_t at = s->group[group].begin + s->next[group], other, row[3];
    const struct ft_slice *label;

    if (s->options.views) {
        s->next[group] = at + 1 - s->group[group].begin;
        row[0] = row[1] = s->order[at];
        return ft_sampler_put_made(s, row, 2);
    }
    while ((label = label_at(s, at))->size < 2)   /* has no positive; count_rows did not count it either */
        at++;
    if (s->kind == FT_BATCH_PAIRS) {
        bool odd = at + 1 == label->begin + label->size;

        other = odd ? label->begin : at + 1;
        s->next[group] = at + (odd ? 1 : 2) - s->group[group].begin;
    } else {
        other = label->begin + (uint32_t)ft_random_below(&s->random, label->size - 1);
        other += other >= at;
        s->next[group] = at + 1 - s->group[group].begin;
        row[2] = draw_negative(s, group);
    }
    row[0] = s->order[at];
    row[1] = s->order[other];
    return ft_sampler_put_made(s, row, s->kind == FT_BATCH_PAIRS ? 2 : 3);
}

int ft_sampler_add_row(struct ft_sampler *s, uint32_t cell)
{
    uint32_t document;

    if (!s->units)
        return ft_sampler_put(s, cell);
    if (s->labelled)
        return add_labelled(s, cell);
    document = s->order[s->group[cell].begin + s->next[cell]++];
    if (s->kind == FT_BATCH_TRIPLETS && s->shape[document] == FT_PAIR)
        return ft_sampler_put_negative(s, document, draw_negative(s, cell));
    return ft_sampler_put(s, document);
}
