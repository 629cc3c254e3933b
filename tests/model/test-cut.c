/* test-cut.c - batches cut into chunks and shards: every text once, in order, nothing empty; a function of the token counts alone.
 *
 * Some cuts are written down as numbers. They decide bits: a run resumed by a program that cuts otherwise ends in another model, so a change
 * here is a change that ought to be meant. */
#include "base/error.h"
#include "base/random.h"
#include "model/run/cut.h"
#include "../tap.h"

enum { MOST = 3000 };

static struct ft_arena arena;
static uint32_t offset[MOST + 1];

static struct ft_packed pack(size_t texts, uint32_t (*length)(size_t))
{
    for (size_t i = 0; i < texts; i++)
        offset[i + 1] = offset[i] + length(i);
    return (struct ft_packed){.texts = texts, .offset = offset};
}

/* Spans follow one another from 0 to `end` without a gap, and none is empty. */
static bool in_order(const struct ft_span *span, size_t count, size_t first, size_t end)
{
    size_t at = first;

    for (size_t i = 0; i < count; i++) {
        if (span[i].first != at || !span[i].count)
            return false;
        at += span[i].count;
    }
    return at == end;
}

static bool is_whole(const struct ft_cut *cut, const struct ft_packed *packed)
{
    size_t chunk_tokens = 0, chunk_texts = 0, shard_tokens = 0, shard_texts = 0, longest = 0;

    if (!in_order(cut->chunk, cut->chunk_count, 0, packed->texts) || !in_order(cut->chunk_shards, cut->chunk_count, 0, cut->shard_count) ||
        !in_order(cut->shard, cut->shard_count, 0, packed->texts))
        return false;
    for (size_t c = 0; c < cut->chunk_count; c++) {
        struct ft_span chunk = cut->chunk[c], shards = cut->chunk_shards[c];
        size_t tokens = offset[chunk.first + chunk.count] - offset[chunk.first];

        if (!in_order(cut->shard + shards.first, shards.count, chunk.first, chunk.first + chunk.count))
            return false;
        chunk_tokens = tokens > chunk_tokens ? tokens : chunk_tokens;
        chunk_texts = chunk.count > chunk_texts ? chunk.count : chunk_texts;
    }
    for (size_t s = 0; s < cut->shard_count; s++) {
        size_t tokens = offset[cut->shard[s].first + cut->shard[s].count] - offset[cut->shard[s].first];

        shard_tokens = tokens > shard_tokens ? tokens : shard_tokens;
        shard_texts = cut->shard[s].count > shard_texts ? cut->shard[s].count : shard_texts;
    }
    for (size_t i = 0; i < packed->texts; i++)
        longest = offset[i + 1] - offset[i] > longest ? offset[i + 1] - offset[i] : longest;
    return chunk_tokens == cut->most_chunk_tokens && chunk_texts == cut->most_chunk_texts && shard_tokens == cut->most_shard_tokens &&
           shard_texts == cut->most_shard_texts && longest == cut->longest;
}

static uint32_t ten(size_t i)
{
    (void)i;
    return 10;
}

static uint32_t uneven(size_t i)
{
    return 3 + (uint32_t)(i * 7919 % 50);
}

static uint32_t five_hundred(size_t i)
{
    (void)i;
    return 512;
}

static void print_cut(const struct ft_cut *cut, char *text, size_t size)
{
    size_t used = 0;

    for (size_t c = 0; c < cut->chunk_count && used < size; c++) {
        used += (size_t)snprintf(text + used, size - used, "%s%zu(", c ? " " : "", cut->chunk[c].count);
        for (size_t s = 0; s < cut->chunk_shards[c].count && used < size; s++)
            used += (size_t)snprintf(text + used, size - used, "%s%zu", s ? "," : "", cut->shard[cut->chunk_shards[c].first + s].count);
        if (used < size)
            used += (size_t)snprintf(text + used, size - used, ")");
    }
}

static void cut_is(size_t texts, uint32_t (*length)(size_t), size_t per_chunk, const char *want)
{
    struct ft_packed packed = pack(texts, length);
    struct ft_cut cut;
    char text[1000] = "", title[100];

    ok(ft_cut_make(&arena, &packed, per_chunk, &cut) == 0 && is_whole(&cut, &packed), "%zu texts, %zu a chunk", texts, per_chunk);
    print_cut(&cut, text, sizeof text);
    snprintf(title, sizeof title, "%.90s", want);
    is_text(text, want, title);
}

static void check_written_down(void)
{
    cut_is(1, ten, 0, "1(1)");
    cut_is(19, ten, 0, "19(19)");
    cut_is(38, ten, 0, "38(19,19)");
    cut_is(39, ten, 0, "39(20,19)");
    cut_is(77, ten, 0, "77(20,19,19,19)");
    cut_is(153, ten, 0, "77(20,19,19,19) 76(38,38)");
    cut_is(154, ten, 0, "77(20,19,19,19) 77(20,19,19,19)");
    cut_is(20, ten, 7, "7(7) 7(7) 6(6)");
    cut_is(5, ten, 1, "1(1) 1(1) 1(1) 1(1) 1(1)");
    cut_is(4, five_hundred, 0, "2(1,1) 2(1,1)");
    cut_is(100, uneven, 0, "35(11,8,8,8) 33(8,9,9,7) 32(8,9,8,7)");
}

static void check_random(void)
{
    struct ft_random random = ft_random_start(4, 4);
    bool whole = true, bounded = true, again = true;

    for (int k = 0; k < 3000; k++) {
        size_t texts = 1 + ft_random_below(&random, k % 10 ? 300 : MOST), per_chunk = ft_random_below(&random, 3) ? 0 : 1 + ft_random_below(&random, 400);
        uint32_t most = 1 + (uint32_t)ft_random_below(&random, 512), longest = 0;
        struct ft_packed packed = {.texts = texts, .offset = offset};
        struct ft_cut cut, second;

        for (size_t i = 0; i < texts; i++) {
            uint32_t length = 1 + (uint32_t)ft_random_below(&random, most);

            offset[i + 1] = offset[i] + length;
            longest = length > longest ? length : longest;
        }
        ft_arena_reset(&arena);
        whole &= ft_cut_make(&arena, &packed, per_chunk, &cut) == 0 && is_whole(&cut, &packed);
        /* A chunk overshoots by less than one text, and so does a shard. */
        if (!per_chunk)
            bounded &= cut.most_chunk_tokens < 1024 + longest;
        bounded &= (!per_chunk || cut.most_chunk_texts <= per_chunk) && cut.most_shard_tokens <= 2 * 2 * 192 + longest;
        again &= ft_cut_make(&arena, &packed, per_chunk, &second) == 0 && second.shard_count == cut.shard_count &&
                 memcmp(second.shard, cut.shard, cut.shard_count * sizeof *cut.shard) == 0;
    }
    ok(whole, "random lengths: each text in one shard of one chunk, in order, none empty, sizes as said");
    ok(bounded, "chunks and shards stay near their sizes");
    ok(again, "the same counts, the same cut");
}

int main(void)
{
    struct ft_packed none = {.offset = offset};
    struct ft_cut cut;

    ok(ft_cut_make(&arena, &none, 0, &cut) == 0 && !cut.chunk_count && !cut.shard_count, "no texts: no chunks");
    check_written_down();
    check_random();
    ft_arena_free(&arena);
    return done();
}
