/* mix.c - several samplers, and whose turn it is. */
#include "train/mix.h"
#include "base/error.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct set {
    const char *name;
    struct ft_sampler *sampler;
};

struct ft_mix {
    struct ft_sampler_options options;
    enum ft_mix_order order;
    struct ft_arena arena;
    struct set *set;
    size_t sets, capacity;
    size_t asked;                  /* set whose warnings are being told */
    char warning[1200];

    uint64_t number, epoch, epochs;
    uint32_t *turn;                /* [turns] sets in the order of this epoch's batches */
    size_t turns, at;
};

int ft_mix_parse(const char *name, enum ft_mix_order *order)
{
    *order = FT_MIX_ONE;
    if (!name)
        return 0;
    if (strcmp(name, "proportional") == 0)
        *order = FT_MIX_PROPORTIONAL;
    else if (strcmp(name, "round-robin") == 0)
        *order = FT_MIX_ROUND_ROBIN;
    else
        return ft_fail(FT_USAGE, "--mix '%s': expected one of %s", name, FT_MIX_ORDERS);
    return 0;
}

struct ft_mix *ft_mix_open(const struct ft_sampler_options *options, enum ft_mix_order order)
{
    struct ft_mix *mix = calloc(1, sizeof *mix);

    if (!mix) {
        ft_fail(FT_SYSTEM, "out of memory for a sampler");
        return NULL;
    }
    mix->options = *options;
    mix->order = order;
    return mix;
}

void ft_mix_close(struct ft_mix *mix)
{
    if (!mix)
        return;
    for (size_t i = 0; i < mix->sets; i++)
        ft_sampler_close(mix->set[i].sampler);
    free(mix->set);
    free(mix->turn);
    ft_arena_free(&mix->arena);
    free(mix);
}

/* "dir/nli.train.ft" is nli.train. */
static const char *name_of(struct ft_mix *mix, const char *path)
{
    const char *slash, *dot, *name;

    path = path ? path : "-";
    slash = strrchr(path, '/');
    path = slash ? slash + 1 : path;
    dot = strrchr(path, '.');
    name = ft_arena_text(&mix->arena, (struct ft_string){path, dot && dot > path ? (size_t)(dot - path) : strlen(path)});
    if (!name)
        return NULL;
    if (!*name || strpbrk(name, " =:*,\t\n") || strcmp(name, "miner") == 0) {
        ft_fail(FT_USAGE, "'%s' cannot be the name of a data set: give the file another one, without blanks and =:*,", name);
        return NULL;
    }
    for (size_t i = 0; i < mix->sets; i++)
        if (strcmp(mix->set[i].name, name) == 0) {
            ft_fail(FT_USAGE, "two data sets are called '%s': give one of the files another name", name);
            return NULL;
        }
    return name;
}

int ft_mix_begin(struct ft_mix *mix, const char *path)
{
    struct set *set;
    const char *name = "";

    if (mix->order == FT_MIX_ONE && mix->sets)
        return 0;
    if (mix->order != FT_MIX_ONE && !(name = name_of(mix, path)))
        return -1;
    if (mix->sets == mix->capacity) {
        size_t capacity = mix->capacity ? mix->capacity * 2 : 8;

        if (!(set = ft_resize(mix->set, capacity, sizeof *set)))
            return -1;
        mix->set = set;
        mix->capacity = capacity;
    }
    set = &mix->set[mix->sets];
    *set = (struct set){name, ft_sampler_open(&mix->options)};
    mix->sets += set->sampler != NULL;
    return set->sampler ? 0 : -1;
}

int ft_mix_add(struct ft_mix *mix, const struct ft_document *document, struct ft_string bytes)
{
    return ft_sampler_add(mix->set[mix->sets - 1].sampler, document, bytes);
}

static int prefix(const struct ft_mix *mix, size_t set)
{
    return mix->order == FT_MIX_ONE ? -1 : ft_error_prefix("data set %s: ", mix->set[set].name);
}

/* Batches of an epoch, all sets together. */
static uint64_t batches_of(const struct ft_mix *mix, uint64_t epoch)
{
    uint64_t sum = 0, least = UINT64_MAX;

    for (size_t i = 0; i < mix->sets; i++) {
        uint64_t n = ft_sampler_batches(mix->set[i].sampler, epoch);

        sum += n;
        least = n < least ? n : least;
    }
    return mix->order == FT_MIX_ROUND_ROBIN ? least * mix->sets : sum;
}

/* The sets' headers as one: what is largest, all steps, a hash of all fingerprints, the names. */
static int join_headers(struct ft_mix *mix, struct ft_arena *arena, const struct ft_header *own, struct ft_header *header)
{
    struct ft_buffer names = {NULL, 0, 0};
    struct ft_hash hash = {0, 0};
    char *hex = NULL, *text = NULL;

    *header = own[0];
    header->steps = 0;
    for (size_t i = 0; i < mix->sets; i++) {
        struct ft_hash both[3] = {hash, ft_hash_bytes(own[i].fingerprint.data, own[i].fingerprint.size),
                                  ft_hash_bytes(mix->set[i].name, strlen(mix->set[i].name))};

        hash = ft_hash_bytes(both, sizeof both);
        header->rows = own[i].rows > header->rows ? own[i].rows : header->rows;
        header->classes = own[i].classes > header->classes ? own[i].classes : header->classes;
        if (ft_buffer_print(&names, "%s%s", i ? " " : "", mix->set[i].name) < 0)
            break;
    }
    for (uint64_t e = 1; e <= mix->epochs; e++)
        header->steps += batches_of(mix, e);
    hex = ft_arena_print(arena, "%016llx%016llx", (unsigned long long)hash.high, (unsigned long long)hash.low);
    text = names.data ? ft_arena_text(arena, (struct ft_string){names.data, names.size}) : NULL;
    ft_buffer_free(&names);
    if (!hex || !text)
        return -1;
    header->fingerprint = ft_string_of(hex);
    header->sets = ft_string_of(text);
    return 0;
}

int ft_mix_plan(struct ft_mix *mix, struct ft_arena *arena, struct ft_header *header)
{
    struct ft_header *own = ft_arena_zero(arena, mix->sets + 1, sizeof *own);

    if (!own)
        return -1;
    if (mix->order == FT_MIX_ONE)
        return ft_sampler_plan(mix->set[0].sampler, arena, header);
    for (size_t i = 0; i < mix->sets; i++) {
        own[i] = *header;
        if (ft_sampler_plan(mix->set[i].sampler, arena, &own[i]) < 0)
            return prefix(mix, i);
        mix->epochs = own[i].epochs;
    }
    return join_headers(mix, arena, own, header);
}

const char *ft_mix_warning(struct ft_mix *mix)
{
    const char *line;

    for (; mix->asked < mix->sets; mix->asked++)
        if ((line = ft_sampler_warning(mix->set[mix->asked].sampler))) {
            if (mix->order == FT_MIX_ONE)
                return line;
            snprintf(mix->warning, sizeof mix->warning, "data set %s: %s", mix->set[mix->asked].name, line);
            return mix->warning;
        }
    return NULL;
}

/* Whose turn it is through the next epoch: 1, or 0 after the last. */
static int begin_epoch(struct ft_mix *mix)
{
    struct ft_random random = ft_random_start(mix->options.seed, (uint64_t)1 << 48 | (mix->epoch + 1));
    uint64_t count;
    uint32_t *turn;

    if (mix->epoch == mix->epochs)
        return 0;
    mix->epoch++;
    for (size_t i = 0; i < mix->sets; i++)
        if (ft_sampler_begin(mix->set[i].sampler) < 0)
            return -1;
    count = batches_of(mix, mix->epoch);
    if (!(turn = ft_resize(mix->turn, (size_t)count + 1, sizeof *turn)))
        return -1;
    mix->turn = turn;
    mix->turns = mix->at = 0;
    for (size_t i = 0; mix->order == FT_MIX_PROPORTIONAL && i < mix->sets; i++)
        for (uint64_t n = ft_sampler_batches(mix->set[i].sampler, mix->epoch); n; n--)
            turn[mix->turns++] = (uint32_t)i;
    for (; mix->turns < count; mix->turns++)
        turn[mix->turns] = (uint32_t)(mix->turns % mix->sets);
    if (mix->order == FT_MIX_PROPORTIONAL)
        ft_random_shuffle(&random, turn, mix->turns);
    return 1;
}

int ft_mix_next(struct ft_mix *mix, struct ft_batch *batch, const struct ft_string **documents)
{
    const struct set *set = &mix->set[0];
    int more;

    if (mix->order == FT_MIX_ONE)
        return ft_sampler_next(set->sampler, batch, documents);
    while (mix->at == mix->turns)
        if ((more = begin_epoch(mix)) <= 0)
            return more;
    set = &mix->set[mix->turn[mix->at++]];
    if ((more = ft_sampler_next(set->sampler, batch, documents)) < 0)
        return more;
    batch->number = ++mix->number;
    batch->epoch = mix->epoch;
    batch->set = ft_string_of(set->name);
    return more;
}
