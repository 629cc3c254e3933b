/* mine.h - hard negatives: for each anchor documents of a corpus that are near it and are not known to be right.
 *
 * Documents are pairs or triplets (an anchor, its positives, and negatives, which are candidates like the rest of the corpus), or texts
 * with labels (each an anchor, the others of its label its positives). The corpus is what answers in them, or has labels, and what
 * `index` adds; equal contents are in it once. Every candidate is compared with every anchor (nearest.h).
 *
 * The rules are those of sentence-transformers' mine_hard_negatives. Of the `pool` nearest of an anchor those that are known to be right
 * are dropped: what equal contents and pairs, or labels, join with the anchor (groups.h), and the anchor itself; of the rest, nearest first,
 *
 *   s > s+ - absolute,  s > s+ - |s+| * relative,  s > largest,  s < smallest
 *
 * where s is a candidate's similarity and s+ that of the anchor's positive, of several the least similar. Of what is left ranks [low, high)
 * count, and of these the first `negatives` are taken, or as many at random. Similarities are cosine, dot, or minus the euclidean distance.
 *
 * Where texts ask for images, or images for texts (`modalities`), only what is of the answers' modality is a candidate; pairs whose anchor is of the
 * other one are turned round. Of labelled documents only those of one modality are taken.
 *
 * With `texts` documents are plain, and nothing is known but that a text is not its own answer: the nearest candidate of each is taken for its
 * positive, which has rank 0, and all must have as many negatives as are asked for (synthesize.h).
 *
 * The result depends on documents, embeddings, options and seed alone. Held are the vectors of anchors and of what answers them, a block
 * of the index, and the matches; the documents are spooled (corpus.h). */
#ifndef FT_EVAL_MINE_H
#define FT_EVAL_MINE_H

#include "eval/collection.h"
#include "eval/nearest.h"

struct ft_mine_options {
    enum ft_distance distance;
    size_t low, high;                  /* ranks; high 0: low + negatives + most, with a margin or `largest` low + 10 negatives + most */
    size_t pool;                       /* 0: high + most. `most` is how many positives the anchor with most pairs has; with labels 0 */
    size_t negatives;                  /* 1 or more */
    bool random;                       /* any of the ranks, drawn by seed and the anchor's number, instead of the first */
    bool texts;
    struct ft_modalities modalities;   /* any: by the first document, where it is a pair of a text and an image */
    bool scores;                       /* positives and negatives are written with how near they are, `scores` as in matches.h */
    uint64_t seed;
    double absolute, relative, largest, smallest;      /* NAN: not asked for */
};

/* "LO:HI" or "LO:" as low and high; FT_USAGE. */
int ft_mine_range(const char *text, struct ft_mine_options *options);

struct ft_mine_counts {
    size_t alone;                      /* rows left out: no other document has their label */
    size_t empty;                      /* rows left out: no candidate is left */
    size_t few;                        /* rows with fewer negatives than were asked for */
    size_t near;                       /* candidates dropped by margins and bounds */
};

struct ft_mine;

/* `encoder` embeds what has no embeddings by it; NULL: all have. It must outlive the miner. FT_USAGE where the ranges hold too few. */
struct ft_mine *ft_mine_open(const struct ft_mine_options *options, struct ft_encoder *encoder);
void ft_mine_close(struct ft_mine *mine);             /* NULL is fine */

/* Each stream begins with its header. FT_BAD: documents that are no pair, triplet or labelled text; two kinds mixed. */
int ft_mine_start(struct ft_mine *mine, const struct ft_header *header);
int ft_mine_add(struct ft_mine *mine, const struct ft_document *document, struct ft_string bytes);

/* All are in: search what they and the documents of `index` (a path, or NULL) are, and choose. */
int ft_mine_run(struct ft_mine *mine, const char *index);

/* Rows come out in the order they came in: 1 and a triplet packed, 0 after the last. */
int ft_mine_next(struct ft_mine *mine, msgpack_packer *pk);
struct ft_modalities ft_mine_modalities(const struct ft_mine *mine);            /* known after the first document */
const struct ft_mine_counts *ft_mine_counts(const struct ft_mine *mine);       /* complete after the last row */

#endif
