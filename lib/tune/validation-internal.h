/* validation-internal.h - what validation.c and validation-run.c share. */
#ifndef FT_TUNE_VALIDATION_INTERNAL_H
#define FT_TUNE_VALIDATION_INTERNAL_H

#include "data/groups.h"
#include "tune/documents.h"
#include "tune/validation.h"

struct ft_validation {
    struct ft_corpus *corpus[2];       /* by enum ft_side */
    struct ft_hash fingerprint;
    struct ft_groups contents;         /* of the queries, never united */
    bool *leaked;                      /* [leaked_count] by content */
    size_t leaked_count, leaks;
    char example[64];                  /* the first leak */
    bool text_image;                   /* the first is a pair of a text and an image: texts ask for images */
    bool no_metrics, no_loss;          /* these documents do not have them */
    char warning[2][600];              /* to be said once; "" = nothing */
};

#endif
