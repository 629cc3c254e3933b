/* synthesize.h - training data out of plain texts (Finetuner's synthesize; the labelling of GPL, Wang et al. 2022).
 *
 * Of each query the nearest text of a corpus, by an embedding model, is taken for similar, and others, drawn by seed from the ranks behind it,
 * for dissimilar. A cross-encoder scores each with the query, and the difference of two scores is what margin-mse teaches: queries times
 * dissimilar texts come out, a document each. Whether the nearest text really answers does not matter much: if it does not, its margin is small.
 *
 * A document is a triplet: chunks anchor, positive and negative; the latter two with their score in tags.finetuner_score, the document with the
 * margin, score of the positive minus score of the negative, in its own. */
#ifndef FT_EVAL_SYNTHESIZE_H
#define FT_EVAL_SYNTHESIZE_H

#include "eval/mine.h"

struct ft_synthesis;

/* `mining`: its `texts` and `random` are set here; `negatives` is how many dissimilar texts, rank 0 is the nearest text's. `scorer` is
 * over a cross-encoder. Encoder and scorer must outlive it. */
struct ft_synthesis *ft_synthesis_open(const struct ft_mine_options *mining, struct ft_encoder *encoder, struct ft_embedder *scorer);
void ft_synthesis_close(struct ft_synthesis *synthesis);       /* NULL is fine */

/* Queries: each stream begins with its header. FT_BAD: documents with chunks, or without text. */
int ft_synthesis_start(struct ft_synthesis *synthesis, const struct ft_header *header);
int ft_synthesis_add(struct ft_synthesis *synthesis, const struct ft_document *document, struct ft_string bytes);

/* All are in: search the documents of `index`. FT_BAD where they are too few for a query. */
int ft_synthesis_run(struct ft_synthesis *synthesis, const char *index);

/* The queries' documents in their order: 1 and one packed, 0 after the last. */
int ft_synthesis_next(struct ft_synthesis *synthesis, msgpack_packer *pk);

#endif
