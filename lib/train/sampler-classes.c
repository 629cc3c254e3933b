/* sampler-classes.c - P classes x K documents a batch, no document dropped.
 *
 * A class is an endless stream: its documents shuffled, all of them, then shuffled again. Each of its places in a batch takes the next K.
 * After epoch e it has had floor(e n / K) places: what does not fill a place is the beginning of the next epoch's first one, and the last
 * epoch rounds up. A class of fewer than K documents has one place an epoch, filled up with repeats. The places of an epoch are dealt to
 * as many batches as they fill; fewer than P are put off to the next epoch, or in the last one joined by repeats of other classes. Where
 * one class has more places than there are batches, there are that many batches and the other classes are repeated. */
#include "train/sampler-internal.h"

#include <stdlib.h>

/* Options in, rows and per_class out. */
static int choose_sizes(struct ft_sampler *s, uint64_t *classes)
{
    const uint64_t usual = s->images && s->images == s->count ? 64 : 256;   /* of images there are fewer, and a step of them is long */
    uint64_t batch = s->options.batch, each = s->options.views ? s->options.views : s->options.per_class;

    if (s->options.per_class == 1)
        return ft_fail(FT_USAGE, "--per-class 1: a document needs another of its class: take 2 or more");
    if (!each)   /* 4, or what divides the batch */
        each = !batch || (batch % 4 == 0 && batch >= 8) ? 4 : batch % 3 == 0 && batch >= 6 ? 3 : 2;
    if (!batch)
        batch = each > usual / 2 ? 2 * each : usual / each * each;
    if (batch < 2 * each)
        return ft_fail(FT_USAGE, "--batch %llu with %llu of each class holds one class: contrast needs two: --batch %llu%s",
                       (unsigned long long)batch, (unsigned long long)each, 2 * (unsigned long long)each,
                       batch >= 4 ? " or a smaller --per-class" : "");
    if (batch % each)
        return ft_fail(FT_USAGE, "--batch %llu is no multiple of %llu documents a class: take %llu or %llu, or another --%s",
                       (unsigned long long)batch, (unsigned long long)each, (unsigned long long)(batch / each * each),
                       (unsigned long long)((batch / each + 1) * each), s->options.views ? "views" : "per-class");
    *classes = batch / each;
    s->per_class = each;
    return 0;
}

/* Fewer classes than places: more of each, as far as the largest class has them. */
static void raise_per_class(struct ft_sampler *s, uint64_t *classes)
{
    uint64_t each = *classes * s->per_class / s->units, largest = 0;

    if (*classes <= s->units)
        return;
    for (uint32_t c = 0; c < s->units && !s->options.views; c++)
        largest = s->unit[c].size > largest ? s->unit[c].size : largest;
    each = each > largest ? largest : each;
    each = each < s->per_class ? s->per_class : each;
    if (each > s->per_class)
        ft_sampler_warn(s, "%u labels, fewer than the %llu places of a batch: %llu documents of each instead of %llu, %llu rows a batch",
                        s->units, (unsigned long long)*classes, (unsigned long long)each, (unsigned long long)s->per_class,
                        (unsigned long long)(each * s->units));
    else
        ft_sampler_warn(s, "%u %s, fewer than the %llu places of a batch: %llu rows a batch", s->units,
                        s->options.views ? "texts" : "labels", (unsigned long long)*classes,
                        (unsigned long long)(each * s->units));
    *classes = s->units;
    s->per_class = each;
}

/* Places that a class of n documents gets in epoch e. */
static uint64_t places(const struct ft_sampler *s, uint64_t n, uint64_t e)
{
    uint64_t k = s->per_class, round = e == s->epochs && !s->options.drop_last ? k - 1 : 0;

    return n < k ? 1 : (e * n + round) / k - (e - 1) * n / k;
}

/* Put off one place each of `many` classes, in the deck's order. */
static void put_off(struct ft_sampler *s, uint64_t many)
{
    for (uint32_t i = 0; i < s->units && many; i++)
        if (s->quota[s->deck[i]]) {
            s->quota[s->deck[i]]--;
            s->carried[s->deck[i]]++;
            many--;
        }
}

/* Repeat classes in turn until all cells are taken; none more often than there are batches. */
static void repeat(struct ft_sampler *s, uint64_t many)
{
    while (many)
        for (uint32_t i = 0; i < s->units && many; i++)
            if (s->total[s->deck[i]] < s->batches) {
                s->total[s->deck[i]]++;
                many--;
            }
}

/* How often each class comes in s->epoch, and the number of batches. The same draws whether planning or sampling. */
static uint64_t count_places(struct ft_sampler *s)
{
    uint64_t sum = 0, largest = 0, classes = s->width;
    bool last = s->epoch == s->epochs && !s->options.drop_last;

    s->random = ft_random_start(s->options.seed, s->epoch);
    for (uint32_t c = 0; c < s->units; c++) {
        uint64_t quota = s->carried[c] + places(s, s->unit[c].size, s->epoch);

        s->deck[c] = c;
        s->quota[c] = (uint32_t)quota;
        s->carried[c] = 0;
        sum += quota;
        largest = quota > largest ? quota : largest;
    }
    ft_random_shuffle(&s->random, s->deck, s->units);
    s->batches = (size_t)(last ? (sum + classes - 1) / classes : sum / classes);
    s->batches = s->batches < largest ? (size_t)largest : s->batches;
    if (sum > s->batches * classes)
        put_off(s, sum - s->batches * classes);
    for (uint32_t c = 0; c < s->units; c++)
        s->total[c] = s->quota[c];
    if (sum < s->batches * classes)
        repeat(s, s->batches * classes - sum);
    return sum;
}

/* A class that outnumbers the others makes the epoch longer than the data; that should be known. */
static void warn_of_repeats(struct ft_sampler *s, uint64_t sum)
{
    uint32_t largest = 0;

    if (s->epoch != 1 || s->batches * s->width < sum + sum / 2 || s->batches < 4)
        return;
    for (uint32_t c = 0; c < s->units; c++)
        largest = s->unit[c].size > s->unit[largest].size ? c : largest;
    ft_sampler_warn(s, "label %s has %u of %zu documents: %zu batches an epoch instead of %llu, other labels are repeated (a larger "
                    "--per-class or a smaller --batch repeats less)", ft_sampler_label_name(s, largest), s->unit[largest].size, s->used,
                    s->batches, (unsigned long long)((sum + s->width - 1) / s->width));
}

int ft_sampler_plan_classes(struct ft_sampler *s)
{
    uint64_t classes = 0, most = 0, sum;

    s->unit = s->label;
    s->units = s->label_count;
    if (s->units < 2)
        return ft_fail(FT_BAD, "one class only (%s): contrast needs two: add documents of another label, or take --random",
                       ft_sampler_label_name(s, 0));
    if (choose_sizes(s, &classes) < 0)
        return -1;
    raise_per_class(s, &classes);
    s->rows = classes * s->per_class;
    s->width = (size_t)classes;
    if (!(s->deck = ft_resize(NULL, s->units, sizeof *s->deck)) || !(s->total = ft_resize(NULL, s->units, sizeof *s->total)) ||
        !(s->next = ft_resize(NULL, s->units, sizeof *s->next)) || !(s->quota = ft_resize(NULL, s->units, sizeof *s->quota)) ||
        !(s->carried = ft_resize(NULL, s->units, sizeof *s->carried)))
        return -1;
    if (!(s->epoch_batches = ft_resize(NULL, (size_t)s->epochs, sizeof *s->epoch_batches)))
        return -1;
    for (uint32_t c = 0; c < s->units; c++)
        s->carried[c] = 0;
    for (s->epoch = 1; s->epoch <= s->epochs; s->epoch++) {
        sum = count_places(s);
        warn_of_repeats(s, sum);
        s->epoch_batches[s->epoch - 1] = s->batches;
        s->steps += s->batches;
        most = s->batches > most ? s->batches : most;
    }
    for (uint32_t c = 0; c < s->units; c++) {
        s->carried[c] = 0;
        s->next[c] = s->unit[c].size;   /* used up: shuffled at the first use */
    }
    s->epoch = 0;
    if (!(s->cell = ft_resize(NULL, (size_t)most, s->width * sizeof *s->cell)) ||
        !(s->size = ft_resize(NULL, (size_t)most, sizeof *s->size)))
        return -1;
    return 0;
}

int ft_sampler_begin_classes(struct ft_sampler *s)
{
    count_places(s);
    ft_deal(&s->random, s->deck, s->total, s->units, s->batches, s->width, s->cell, s->size);
    return 0;
}

static bool among(const uint32_t *items, size_t count, uint32_t item)
{
    for (size_t i = 0; i < count; i++)
        if (items[i] == item)
            return true;
    return false;
}

/* Begin the class's next round. The `taken` documents that a place has already must not come again in it: where one of them is
 * among the next, it changes places with one further on. */
static void shuffle_class(struct ft_sampler *s, uint32_t label, const uint32_t *place, uint32_t taken)
{
    uint32_t *items = s->order + s->unit[label].begin, size = s->unit[label].size;
    uint32_t need = (uint32_t)s->per_class - taken, spare = need;

    ft_random_shuffle(&s->random, items, size);
    s->next[label] = 0;
    if (taken == 0 || size < s->per_class)
        return;
    for (uint32_t i = 0; i < need; i++)
        if (among(place, taken, items[i])) {
            uint32_t keep = items[i];

            while (among(place, taken, items[spare]))
                spare++;
            items[i] = items[spare];
            items[spare++] = keep;
        }
}

int ft_sampler_add_class(struct ft_sampler *s, uint32_t label)
{
    uint32_t size = s->unit[label].size, k = (uint32_t)s->per_class, *place = (uint32_t *)ft_arena_take(&s->arena, k * sizeof *place);
    const uint32_t *items = s->order + s->unit[label].begin;

    if (!place)
        return -1;
    if (s->quota[label]) {
        s->quota[label]--;
        if (size < k)
            s->next[label] = size;   /* all of them in each place */
        for (uint32_t i = 0; i < k; i++) {
            if (s->next[label] == size)
                shuffle_class(s, label, place, i);
            place[i] = items[s->next[label]++];
        }
    } else {   /* a repeat: from anywhere, and the stream stays where it is */
        uint32_t from = (uint32_t)ft_random_below(&s->random, size);

        for (uint32_t i = 0; i < k; i++)
            place[i] = items[(from + i) % size];
    }
    for (uint32_t i = 0; i < k; i++)
        if (ft_sampler_put(s, place[i]) < 0)
            return -1;
    return 0;
}
