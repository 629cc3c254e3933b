/* card.h - DIR/README.md: what a finished model is, as Hugging Face's hub shows it, with front matter that the hub reads.
 *
 * Data, settings, metrics before and after where there are any, the commands. A README.md that somebody else put there is left alone: ours has a
 * line that says so (FT_CARD_MARK). The base model's own is not copied: it tells of another model. What is written holds no date, no time and no
 * path but those of the commands: the same run gives the same bytes. */
#ifndef FT_TUNE_CARD_H
#define FT_TUNE_CARD_H

#include "train/run.h"
#include "tune/source.h"
#include "tune/state.h"

struct ft_card {
    struct ft_run *run;
    const struct ft_model *model;
    const struct ft_source *source;
    const struct ft_tuning_state *state;
    enum ft_batch_kind kind;
    uint64_t batch;              /* the model is the one after so many */
};

/* 1: written; 0: another README.md is there. */
int ft_card_write(const struct ft_card *card);

#endif
