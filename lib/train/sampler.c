/* sampler.c - documents in, batches out. What lies between is in sampler-plan.c, -classes.c, -rows.c, -deal.c and -build.c. */
#include "train/sampler-internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ft_sampler *ft_sampler_open(const struct ft_sampler_options *options)
{
    struct ft_sampler *s = calloc(1, sizeof *s);

    if (!s) {
        ft_fail(FT_SYSTEM, "out of memory for a sampler");
        return NULL;
    }
    s->options = *options;
    if (!(s->zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE)))
        ft_fail(FT_SYSTEM, "out of memory for a sampler");
    if (!s->zone || !(s->corpus = ft_corpus_open(FT_CORPUS_MEMORY))) {
        ft_sampler_close(s);
        return NULL;
    }
    return s;
}

void ft_sampler_close(struct ft_sampler *s)
{
    if (!s)
        return;
    ft_corpus_close(s->corpus);
    ft_groups_free(&s->labels);
    ft_groups_free(&s->groups);
    if (s->zone)
        msgpack_zone_free(s->zone);
    ft_arena_free(&s->arena);
    ft_buffer_free(&s->bytes);
    ft_buffer_free(&s->scratch);
    ft_buffer_free(&s->warnings);
    free(s->sample);
    free(s->shape);
    free(s->negative);
    free(s->order);
    free(s->label);
    free(s->group);
    free(s->cell);
    free(s->size);
    free(s->deck);
    free(s->total);
    free(s->next);
    free(s->quota);
    free(s->carried);
    free(s->epoch_batches);
    free(s->end);
    free(s->documents);
    free(s);
}

void ft_sampler_warn(struct ft_sampler *s, const char *format, ...)
{
    char line[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    ft_buffer_add(&s->warnings, line, strlen(line) + 1);
}

const char *ft_sampler_warning(struct ft_sampler *s)
{
    const char *line = s->warnings.data + s->warned;

    if (s->warned >= s->warnings.size)
        return NULL;
    s->warned += strlen(line) + 1;
    return line;
}

/* Does a triplet have scores? One of its own is the margin of a positive over a negative; else each of its texts has one. */
static int is_taught(const struct ft_document *d, const size_t *count, bool *taught)
{
    size_t scored = 0;

    for (size_t c = 0; c < d->chunk_count; c++)
        scored += d->chunks[c].role != FT_ANCHOR && d->chunks[c].scored;
    *taught = d->scored || scored + 1 == d->chunk_count;
    if (d->scored && scored + 1 != d->chunk_count && d->chunk_count != 3)
        return ft_fail(FT_BAD, "document '%.*s': one score for %zu positives and %zu negatives: it is the margin of one over one: expected a score "
                       "in the tags of each", (int)(d->id.size < 200 ? d->id.size : 200), d->id.data ? d->id.data : "", count[FT_POSITIVE],
                       count[FT_NEGATIVE]);
    return 0;
}

/* What a document is. One with roles has exactly one anchor and at least one positive. */
static int find_shape(const struct ft_document *d, enum ft_shape *shape)
{
    size_t count[FT_NO_ROLE + 1] = {0};

    for (size_t c = 0; c < d->chunk_count; c++)
        count[d->chunks[c].role]++;
    if (d->scored && d->chunk_count == 2) {
        *shape = FT_SCORED;
    } else if (count[FT_NO_ROLE] == d->chunk_count) {
        *shape = d->chunk_count == 2 ? FT_PAIR : d->chunk_count == 0 && d->label.data ? FT_LABELLED : FT_PLAIN;
    } else {
        int id_size = (int)(d->id.size < 200 ? d->id.size : 200);

        if (count[FT_ANCHOR] != 1 || !count[FT_POSITIVE] || count[FT_NO_ROLE])
            return ft_fail(FT_BAD, "document '%.*s': %zu anchors, %zu positives and %zu chunks without a role: expected one anchor, "
                           "one or more positives and any number of negatives", id_size, d->id.data ? d->id.data : "",
                           count[FT_ANCHOR], count[FT_POSITIVE], count[FT_NO_ROLE]);
        *shape = count[FT_NEGATIVE] ? FT_TRIPLET : FT_PAIR;
        if (*shape == FT_TRIPLET) {
            bool taught;

            if (is_taught(d, count, &taught) < 0)
                return -1;
            *shape = taught ? FT_TAUGHT : FT_TRIPLET;
        }
    }
    return 0;
}

static void mix_in(struct ft_hash *state, struct ft_hash more)
{
    struct ft_hash both[2] = {*state, more};

    *state = ft_hash_bytes(both, sizeof both);
}

static bool has_content(const struct ft_document *d)
{
    return !ft_content_empty(&d->content) || d->embedding;
}

static int add_negative(struct ft_sampler *s, uint32_t content)
{
    if (s->negatives == s->negative_capacity) {
        size_t capacity = s->negative_capacity ? s->negative_capacity * 2 : 256;
        struct ft_negative *negative = ft_resize(s->negative, capacity, sizeof *negative);

        if (!negative)
            return -1;
        s->negative = negative;
        s->negative_capacity = capacity;
    }
    s->negative[s->negatives++] = (struct ft_negative){(uint32_t)s->count, content};
    return 0;
}

/* One thing that a model would see: its node, and its part in the fingerprint. */
static int add_content(struct ft_sampler *s, const struct ft_document *item, uint32_t *node)
{
    struct ft_hash content = ft_document_hash(item);

    s->without_text += !has_content(item);
    s->images += ft_content_image(&item->content);
    mix_in(&s->fingerprint, content);
    return ft_groups_add(&s->groups, content, node);
}

/* Anchor and first positive are united when it is known what the batches are; further positives are the first one's kind in any case. */
static int add_chunks(struct ft_sampler *s, const struct ft_document *d, struct ft_sample *sample)
{
    uint32_t node;
    bool positive = false;

    for (size_t c = 0; c < d->chunk_count; c++) {
        enum ft_role role = d->chunks[c].role;

        role = role != FT_NO_ROLE ? role : c == 0 ? FT_ANCHOR : FT_POSITIVE;
        if (add_content(s, &d->chunks[c], &node) < 0)
            return -1;
        if (role == FT_ANCHOR)
            sample->content = node;
        else if (role == FT_POSITIVE && !positive)
            positive = true, sample->other = node;
        else if (role == FT_POSITIVE)
            ft_groups_unite(&s->groups, sample->other, node);
        else if (add_negative(s, node) < 0)
            return -1;
    }
    return 0;
}

static int grow(struct ft_sampler *s)
{
    size_t capacity = s->capacity ? s->capacity * 2 : 256;
    struct ft_sample *sample;
    uint8_t *shape;

    if (s->count < s->capacity)
        return 0;
    if (s->count >= UINT32_MAX / 2)
        return ft_fail(FT_SYSTEM, "more than %u documents", UINT32_MAX / 2);
    if (!(sample = ft_resize(s->sample, capacity, sizeof *sample)))
        return -1;
    s->sample = sample;
    if (!(shape = ft_resize(s->shape, capacity, sizeof *shape)))
        return -1;
    s->shape = shape;
    s->capacity = capacity;
    return 0;
}

/* What a document's label is: with views its own content. */
static struct ft_hash label_hash(const struct ft_sampler *s, const struct ft_document *d)
{
    return s->options.views ? ft_document_hash(d) : ft_hash_bytes(d->label.data, d->label.size);
}

int ft_sampler_label(const struct ft_sampler *s, const struct ft_document *d)
{
    uint32_t number;

    if (d->chunk_count || (!d->label.data && !s->options.views) || !ft_groups_seek(&s->labels, label_hash(s, d), &number))
        return FT_NO_LABEL;
    return (int)number;
}

int ft_sampler_add(struct ft_sampler *s, const struct ft_document *d, struct ft_string bytes)
{
    struct ft_sample sample = {0, 0};
    enum ft_shape shape = FT_PLAIN;
    struct ft_hash label;

    if (find_shape(d, &shape) < 0 || grow(s) < 0)
        return -1;
    if (s->options.views && d->chunk_count)
        return ft_fail(FT_BAD, "document '%.*s' is a pair or triplet: --views takes texts alone, each of which meets itself",
                       (int)(d->id.size < 200 ? d->id.size : 200), d->id.data ? d->id.data : "");
    if (s->options.views)
        shape = FT_LABELLED;
    if ((d->chunk_count ? add_chunks(s, d, &sample) : add_content(s, d, &sample.content)) < 0)
        return -1;
    if (shape == FT_LABELLED) {
        label = label_hash(s, d);
        mix_in(&s->fingerprint, label);
        if (ft_groups_add(&s->labels, label, &sample.other) < 0)
            return -1;
    }
    if (d->scored)
        mix_in(&s->fingerprint, ft_hash_bytes(&d->score, sizeof d->score));
    for (size_t c = 0; shape == FT_TAUGHT && c < d->chunk_count; c++)
        if (d->chunks[c].scored)
            mix_in(&s->fingerprint, ft_hash_bytes(&d->chunks[c].score, sizeof d->chunks[c].score));
    if (ft_corpus_add(s->corpus, bytes) < 0)
        return -1;
    s->sample[s->count] = sample;
    s->shape[s->count++] = (uint8_t)shape;
    s->shapes[shape]++;
    return 0;
}

static int begin_epoch(struct ft_sampler *s)
{
    s->epoch++;
    s->batch = 0;
    return s->kind == FT_BATCH_CLASSES ? ft_sampler_begin_classes(s) : ft_sampler_begin_rows(s);
}

int ft_sampler_next(struct ft_sampler *s, struct ft_batch *batch, const struct ft_string **documents)
{
    const uint32_t *cell;

    if (s->number == s->steps)
        return 0;
    if ((s->epoch == 0 || s->batch == s->batches) && begin_epoch(s) < 0)
        return -1;
    ft_arena_reset(&s->arena);
    msgpack_zone_clear(s->zone);
    s->bytes.size = 0;
    s->row = 0;
    s->number++;
    cell = s->cell + s->batch * s->width;
    for (uint32_t i = 0; i < s->size[s->batch]; i++)
        if ((s->kind == FT_BATCH_CLASSES ? ft_sampler_add_class(s, cell[i]) : ft_sampler_add_row(s, cell[i])) < 0)
            return -1;
    s->batch++;
    if (ft_sampler_finish(s, batch) < 0)
        return -1;
    *documents = s->documents;
    return 1;
}

uint64_t ft_sampler_batches(const struct ft_sampler *s, uint64_t epoch)
{
    return epoch < 1 || epoch > s->epochs ? 0 : s->epoch_batches ? s->epoch_batches[epoch - 1] : s->batches;
}

int ft_sampler_begin(struct ft_sampler *s)
{
    if (s->epoch)
        s->number += s->batches - s->batch;
    return begin_epoch(s);
}
