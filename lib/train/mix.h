/* mix.h - batches of one data set, or of several in one run.
 *
 * Each set has a sampler, and a batch is made of one set only, which it names; kinds may differ. Two orders, those of sentence-transformers'
 * multi-dataset batch samplers:
 *
 *   proportional   all batches of all sets once an epoch, shuffled: a set comes as often as it has batches
 *   round-robin    one of each set in turn, until one of them has no more in this epoch; what the others have left is left out
 *
 * Without an order all documents are one set, whatever stream they came in. Batches and epochs are numbered through. The result is a function
 * of documents, names, seed and options. */
#ifndef FT_TRAIN_MIX_H
#define FT_TRAIN_MIX_H

#include "train/sampler.h"

enum ft_mix_order { FT_MIX_ONE, FT_MIX_PROPORTIONAL, FT_MIX_ROUND_ROBIN };
#define FT_MIX_ORDERS "proportional round-robin"

/* NULL is FT_MIX_ONE; an unknown name is FT_USAGE. */
int ft_mix_parse(const char *name, enum ft_mix_order *order);

struct ft_mix;
struct ft_mix *ft_mix_open(const struct ft_sampler_options *options, enum ft_mix_order order);
void ft_mix_close(struct ft_mix *mix);         /* NULL is fine */

/* The documents added next are those of this stream. With an order they are a set of their own, called as the file without directory and
 * extension: FT_USAGE where two sets have one name, or a name has characters that --loss SET=... and ft-stream cannot take. */
int ft_mix_begin(struct ft_mix *mix, const char *path);
int ft_mix_add(struct ft_mix *mix, const struct ft_document *document, struct ft_string bytes);

/* As ft_sampler_plan; also names the sets in the header. */
int ft_mix_plan(struct ft_mix *mix, struct ft_arena *arena, struct ft_header *header);
const char *ft_mix_warning(struct ft_mix *mix);
int ft_mix_next(struct ft_mix *mix, struct ft_batch *batch, const struct ft_string **documents);

#endif
