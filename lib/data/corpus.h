/* corpus.h - documents put aside, to be read again in any order.
 *
 * A small corpus stays in memory; a larger one goes to a temporary file that has no name ($TMPDIR, else /tmp), so nothing of it is left
 * behind whatever happens. Each document costs 8 bytes of memory (where it ends) besides what is held of the contents. */
#ifndef FT_DATA_CORPUS_H
#define FT_DATA_CORPUS_H

#include "base/memory.h"

enum { FT_CORPUS_MEMORY = 64 << 20 };   /* what a tool allows the contents by default */

struct ft_corpus;

/* `memory`: bytes of contents held before a file is begun, and from then on the size of the write buffer (at least 64 kB, at most 256 kB).
 * NULL with FT_SYSTEM. */
struct ft_corpus *ft_corpus_open(size_t memory);
void ft_corpus_close(struct ft_corpus *corpus);   /* NULL is fine */

/* Append one; it gets the next number, from 0. FT_SYSTEM when memory or disk are full: the message says which and where. */
int ft_corpus_add(struct ft_corpus *corpus, struct ft_string bytes);

size_t ft_corpus_count(const struct ft_corpus *corpus);
size_t ft_corpus_size(const struct ft_corpus *corpus, size_t index);   /* bytes of one */

/* Append the bytes of document `index` to `into`. */
int ft_corpus_read(struct ft_corpus *corpus, size_t index, struct ft_buffer *into);

#endif
