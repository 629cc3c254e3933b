/* settings.h - what a run trains with: written once into DIR/run/run.json, read by every stage. */
#ifndef FT_TRAIN_SETTINGS_H
#define FT_TRAIN_SETTINGS_H

#include "base/tool.h"
#include "model/prompts.h"
#include "stream/document.h"
#include "train/callbacks.h"
#include "train/optimizer.h"
#include "train/rates.h"
#include "train/schedule.h"

enum { FT_RATE_BY_KIND = -1, FT_RATE_AS_MODEL = -1 };

/* Models that look on: a teacher, a guide (teacher.h). */
enum ft_second { FT_TEACHER, FT_GUIDE, FT_SECONDS };

struct ft_settings {
    const char *model;           /* the directory it starts from, absolute */
    const char *model_checksum;  /* of its parameters: another model under that path is refused */
    struct {
        const char *model, *checksum;
    } second[FT_SECONDS];        /* as the model's own, or NULL */
    uint64_t seed;
    struct ft_list loss;         /* none: the default of the kind of batch */
    const char *miner;           /* or NULL */
    const char *optimizer;
    const char *schedule;
    double lr, warmup, clip;     /* lr FT_RATE_BY_KIND: ft_loss_rate of what the batches and the model are */
    const char *loss_optimizer;  /* of what the losses learn; NULL: the same as the model's */
    double loss_lr;              /* likewise; FT_RATE_AS_MODEL */
    struct ft_rates rates;       /* of single parameters */
    uint64_t accumulate;         /* batches whose gradients make a step; 0 = 1 */
    long chunk, max_length;      /* 0: by token count; the model's */
    struct ft_prompts prompts;   /* before texts, by role: those of the options, else the model's */
    const char *precision;       /* of the products, as ft_precision_parse takes it */
    struct ft_list freeze;       /* "PATTERN", and "!PATTERN" for --unfreeze, in the order given */
    const char *batch_norm;      /* "keep": running statistics, which do not change; "train": the batch's own, which the running ones follow; NULL = keep */
    const char *augment;         /* of training images, as ft_augment_print writes it, or NULL */
    const char *lora;            /* as ft_lora_parse takes it, or NULL */
    /* sampling, for ft-train given documents */
    const char *kind;            /* "classes", ... or NULL: by what the data are */
    uint64_t batch, per_class, views, epochs;
    bool drop_last;
    const char *mix;             /* as ft_mix_parse takes it */
    struct ft_callbacks callbacks;
};

/* Check everything that can be checked without data: FT_USAGE. */
int ft_settings_check(const struct ft_settings *settings);

/* A new run's: an optimizer or a rate for what no loss learns is a wish that would be silently ignored. FT_USAGE. */
int ft_settings_check_losses(const struct ft_settings *settings);

int ft_settings_write(const struct ft_settings *settings, const char *path, int argc, char **argv);
int ft_settings_read(struct ft_arena *arena, struct ft_settings *settings, const char *path);

/* Optimizer and schedule as the library takes them; a rate that nobody named is that of the batches' kind and of what the model reads. */
int ft_settings_optimizer(const struct ft_settings *settings, struct ft_optimizer_settings *optimizer);
int ft_settings_schedule(const struct ft_settings *settings, enum ft_batch_kind kind, enum ft_input input, struct ft_schedule *schedule);

/* The same for what the losses learn. */
int ft_settings_loss_optimizer(const struct ft_settings *settings, struct ft_optimizer_settings *optimizer);
double ft_settings_loss_rate(const struct ft_settings *settings, double lr);     /* at its highest, of the model's */

/* Of the list of --augment, as ft_augment_parse takes its parts; "none" alone is none. FT_USAGE. */
int ft_settings_augment(struct ft_settings *settings, struct ft_arena *arena, const struct ft_list *list);

/* Settings of images for a model that reads none, or of texts: FT_USAGE. */
int ft_settings_inputs(const struct ft_settings *settings, const struct ft_model *model);

/* Freeze what the run freezes; then, with `lora`, adapters for what is left of its targets. */
int ft_settings_freeze(const struct ft_settings *settings, struct ft_model *model);

#endif
