/* cut.h - how a batch is cut into chunks, and a chunk into shards.
 *
 * A chunk is what goes through the model at once (its activations are what training keeps); a shard is what one thread takes through it. The cut
 * is a function of the token counts, of the model's width and of --chunk alone - never of threads, of free memory or of the tool that runs - because
 * a library's matrix product gives a row other bits when the number of rows changes. All tools call this one function. */
#ifndef FT_MODEL_RUN_CUT_H
#define FT_MODEL_RUN_CUT_H

#include "base/memory.h"

#include <stdbool.h>

/* What goes into a model, packed. Texts are token ids: text i is id[offset[i]] .. id[offset[i + 1] - 1]. An image, and a vector, has the same number of
 * rows as any other, model->rows_each. */
struct ft_packed {
    size_t texts;            /* items, whatever they are */
    int32_t *id;             /* NULL where they are no texts */
    uint32_t *offset;        /* [texts + 1] rows */
    uint32_t *second;        /* [texts] the place in each where its second text begins (pairs), or NULL */
    const uint8_t *pixel;    /* [texts, height, across, 3] of images, or NULL */
    struct ft_pager *pager;      /* where not all pixels are there at once, who shows them (pager.h); or NULL */
    const float *vector;     /* [texts, width] feature vectors, or NULL */
    size_t chunk_rows, shard_rows;   /* about how many rows go into each, as the model says; 0 = what suits texts */
    const struct ft_packed *towers;  /* of a model of two towers, each one's items; then `texts` counts all, and nothing else is here but: */
    const size_t *number[2];         /* the numbers of these among all; NULL where there are no towers */
};

struct ft_span {
    size_t first, count;     /* texts, or shards */
};

struct ft_cut {
    size_t chunk_count, shard_count;
    struct ft_span *chunk;   /* [chunk_count] texts */
    struct ft_span *chunk_shards;   /* [chunk_count] shards of each chunk */
    struct ft_span *shard;   /* [shard_count] texts */
    size_t most_chunk_tokens, most_chunk_texts, most_shard_tokens, most_shard_texts, longest;
};

/* `per_chunk` texts a chunk at most, 0 = by token count alone. */
int ft_cut_make(struct ft_arena *arena, const struct ft_packed *packed, size_t per_chunk, struct ft_cut *cut);

#endif
