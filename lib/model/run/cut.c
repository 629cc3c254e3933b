/* cut.c - chunks and shards from token counts. */
#include "model/run/cut.h"
#include "base/error.h"

/* Tokens a chunk: its kept activations are about 110 KB a token for MiniLM, so this bounds training at some 110 MB, about what a batch of 64
 * short texts takes. Tokens a shard: below about 176 rows a matrix product loses speed, and a shard's widest value should stay in a
 * core's second cache. */
enum { CHUNK_TOKENS = 1024, SHARD_TOKENS = 192, SHARD_STEP = 4 };

static size_t ceiling(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

/* Cut texts [first, first + count) into `parts` runs of about equal tokens; gives the number of runs made (none is empty). */
static size_t split(const uint32_t *offset, size_t first, size_t count, size_t parts, struct ft_span *out)
{
    size_t end = first + count, begin = first, made = 0;
    uint64_t start = offset[first], total = offset[end] - start;

    for (size_t i = first; i < end; i++) {
        /* Close the run when it has reached its share of the whole, so that rounding never piles up at the end. */
        bool full = (uint64_t)(offset[i + 1] - start) * parts >= total * (made + 1) && made + 1 < parts;

        if (full || i + 1 == end) {
            out[made++] = (struct ft_span){begin, i + 1 - begin};
            begin = i + 1;
        }
    }
    return made;
}

static size_t chunk_texts(const struct ft_packed *packed, size_t per_chunk, struct ft_span *out)
{
    size_t made = 0, tokens = packed->offset[packed->texts];

    if (!per_chunk)
        return split(packed->offset, 0, packed->texts, ceiling(tokens, packed->chunk_rows ? packed->chunk_rows : CHUNK_TOKENS), out);
    for (size_t first = 0; first < packed->texts; first += per_chunk)
        out[made++] = (struct ft_span){first, packed->texts - first < per_chunk ? packed->texts - first : per_chunk};
    return made;
}

static void shard_chunk(const struct ft_packed *packed, struct ft_cut *cut, size_t chunk)
{
    struct ft_span texts = cut->chunk[chunk];
    size_t tokens = packed->offset[texts.first + texts.count] - packed->offset[texts.first];
    size_t parts = tokens / (packed->shard_rows ? packed->shard_rows : SHARD_TOKENS);

    /* A multiple of a few, so that few threads share the work evenly; one thread alone costs more than few rows do. */
    parts = parts < 1 ? 1 : parts < SHARD_STEP ? 2 : parts / SHARD_STEP * SHARD_STEP;
    cut->chunk_shards[chunk].first = cut->shard_count;
    cut->chunk_shards[chunk].count =
        split(packed->offset, texts.first, texts.count, parts, cut->shard + cut->shard_count);
    cut->shard_count += cut->chunk_shards[chunk].count;
}

static void raise_to(size_t *most, size_t value)
{
    if (value > *most)
        *most = value;
}

int ft_cut_make(struct ft_arena *arena, const struct ft_packed *packed, size_t per_chunk, struct ft_cut *cut)
{
    size_t texts = packed->texts;

    *cut = (struct ft_cut){0};
    cut->chunk = ft_arena_zero(arena, texts + 1, sizeof *cut->chunk);
    cut->chunk_shards = ft_arena_zero(arena, texts + 1, sizeof *cut->chunk_shards);
    cut->shard = ft_arena_zero(arena, texts + 1, sizeof *cut->shard);
    if (!cut->chunk || !cut->chunk_shards || !cut->shard)
        return -1;
    if (!texts)
        return 0;
    cut->chunk_count = chunk_texts(packed, per_chunk, cut->chunk);
    for (size_t c = 0; c < cut->chunk_count; c++) {
        struct ft_span t = cut->chunk[c];

        shard_chunk(packed, cut, c);
        raise_to(&cut->most_chunk_texts, t.count);
        raise_to(&cut->most_chunk_tokens, packed->offset[t.first + t.count] - packed->offset[t.first]);
    }
    for (size_t s = 0; s < cut->shard_count; s++) {
        struct ft_span t = cut->shard[s];

        raise_to(&cut->most_shard_texts, t.count);
        raise_to(&cut->most_shard_tokens, packed->offset[t.first + t.count] - packed->offset[t.first]);
    }
    for (size_t i = 0; i < texts; i++)
        raise_to(&cut->longest, packed->offset[i + 1] - packed->offset[i]);
    return 0;
}
