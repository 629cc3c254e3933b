/* source.h - what a run is trained on: batches as they come, or documents that the sampler makes into batches. */
#ifndef FT_TUNE_SOURCE_H
#define FT_TUNE_SOURCE_H

#include "train/lookahead.h"
#include "train/mix.h"
#include "train/settings.h"
#include "tune/room.h"
#include "tune/validation.h"

struct ft_source {
    struct ft_reader **readers;        /* [count] the first gives header and seed */
    const char *const *paths;
    size_t count;
    struct ft_mix *mix;                /* NULL: batches come */
    struct ft_validation *validation;  /* the caller's, or NULL: it is told what is trained on, and gets what is held out */
    struct ft_room *room;              /* the caller's: it decides how large a batch is; NULL: the settings do */
    uint64_t steps;                    /* batches in all, 0 = unknown */
    uint64_t epochs;                   /* likewise */
    struct ft_string fingerprint;      /* of the documents, or empty */
    uint64_t rows;                     /* a batch, 0 = unknown */
    uint64_t classes;                  /* labels, 0 = none */
    struct ft_string sets;             /* names of the data sets where there are several */
    unsigned long records;             /* that came so far */
    struct ft_record record;           /* the one that the batch is a view of */
    struct ft_lookahead *ahead;        /* the caller's to close; NULL: the model reads no images */
    struct ft_buffer made;             /* a record for it, of the mix's batch */
};

/* The headers of streams; none is standard input, as "-" is. The paths stay the caller's. */
int ft_source_open(struct ft_source *source, const char *const *paths, size_t count);
const struct ft_header *ft_source_header(const struct ft_source *source);

/* Documents are read to their end and planned as the settings say; batches are left to be read, and are refused (FT_USAGE) where options of
 * `sampling` were given. */
int ft_source_read(struct ft_source *source, struct ft_arena *arena, const struct ft_settings *settings, bool sampling);

/* What should be said of the data, one line each; call until NULL. */
const char *ft_source_warning(struct ft_source *source);

/* Batches of images are decoded ahead of their turn: then ft_lookahead_encode(source->ahead) gives those of the batch at hand. `most`:
 * bytes of pixels that lie there at once. */
int ft_source_look_ahead(struct ft_source *source, const struct ft_model *model, const struct ft_settings *settings, size_t most);

/* The next batch: 1, or 0 after the last, or -1. Valid until the next call, its arrays in the arena or the sampler. */
int ft_source_next(struct ft_source *source, struct ft_arena *arena, struct ft_batch *batch);

void ft_source_close(struct ft_source *source);        /* zero-initialised is fine */

#endif
