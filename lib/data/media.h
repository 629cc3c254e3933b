/* media.h - the pictures that rows name: where they are, whether they can be opened, what they are.
 *
 * A relative path is relative to a folder `base`; with a root it is relative to that, and whatever leads out of it (an absolute path, "..", a link) is
 * refused. The bytes of a data: address travel in the document's blob; so do all with `blob`, and those of the web with `fetch`, without which an
 * address of the web stays as it is. */
#ifndef FT_DATA_MEDIA_H
#define FT_DATA_MEDIA_H

#include "data/fetch.h"
#include "data/row.h"

struct ft_media {
    const char *root;              /* NULL = none */
    bool blob, fetch;
    char *real_root;               /* by ft_media_begin */
};

/* FT_USAGE when the root is no folder, or there is nothing to fetch with. ft_media_end frees what this took. */
int ft_media_begin(struct ft_media *media);
void ft_media_end(struct ft_media *media);

/* What item->uri says as a path of this machine (item->local), from the arena, or left as the address it is. `base` ends in '/' or is "";
 * `outside`: it is not relative to the root (a folder's own). FT_BAD with the address in front. */
int ft_media_find(const struct ft_media *media, struct ft_arena *arena, const char *base, bool outside, struct ft_row_item *item);

/* What one thread looks at pictures with. Zero-initialised is empty. */
struct ft_media_worker {
    struct ft_buffer bytes;
    struct ft_fetcher fetcher;
};
void ft_media_worker_free(struct ft_media_worker *worker);

/* Open it, decode it, set its mime_type and perhaps its blob, which lies in worker->bytes. FT_BAD with its name in front. */
int ft_media_load(const struct ft_media *media, struct ft_media_worker *worker, struct ft_row_item *item);

#endif
