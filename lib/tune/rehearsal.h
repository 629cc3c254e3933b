/* rehearsal.h - what a run would be, without making it: --dry-run.
 *
 * The first two batches go through a trainer of a run that is not on the disk, and are forgotten; the second one, when all is in place, is the
 * measure. Nothing is written. */
#ifndef FT_TUNE_REHEARSAL_H
#define FT_TUNE_REHEARSAL_H

#include "base/memory.h"
#include "tune/source.h"

struct ft_rehearsal {
    const char *directory;
    const struct ft_settings *settings;    /* of the run that would be made */
    struct ft_source *source;              /* read, no batch taken yet */
    size_t memory;
    long steps;                            /* as in struct ft_tuning */
};

/* Lines "name<TAB>value" for people. A source without a batch is FT_BAD. */
int ft_rehearse(const struct ft_rehearsal *rehearsal, struct ft_buffer *out);

#endif
