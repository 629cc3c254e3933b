/* study.h - an evaluation from documents to reports: models, collections, what is relevant, and one task (tasks.h) measured for
 * each model and each number of dimensions.
 *
 *     ft_study_open      models                      ft_study_read     documents, embedded on the way
 *     ft_study_measure   report[0], and report[1] of the model before, of one number of dimensions
 *     ft_study_turn      pairs of texts and images are measured both ways: first texts ask for images, then images for texts
 *
 * Everything is held in memory: the vectors, 24 bytes a document, the lists of what is relevant. Scores never are, but a block's. */
#ifndef FT_EVAL_STUDY_H
#define FT_EVAL_STUDY_H

#include "eval/collection.h"
#include "eval/evaluate.h"
#include "eval/relevance.h"
#include "eval/resample.h"

struct ft_task;

enum { FT_DIMS = 16 };

struct ft_study_options {
    const struct ft_task *task;        /* NULL: by what the documents are */
    const char *input;                 /* documents, a BEIR folder; NULL or "-": standard input */
    const char *model, *before;        /* names of models, or NULL */
    const char *index, *qrels;         /* files, or NULL */
    const char *distance;              /* NULL: the model's, else cosine */
    const struct ft_list *prompts;
    const struct ft_list *templates;   /* of the task zero-shot: what names of labels are put into */
    const char *names;                 /* and a file of them, or NULL */
    struct ft_embed_options embed;     /* its prompt and truncate_dim are not looked at */
    size_t dim[FT_DIMS], dims;         /* none: whole embeddings */
    size_t k;
    const struct ft_measures *measures, *cross;    /* cross: instead of them where texts ask for images or images for texts */
    struct ft_modalities modalities;   /* any: all that the documents are, pairs of texts and images both ways */
    const char *alone;                 /* an option that goes with one way only, or NULL */
    bool each, run;                    /* keep the figures of every query; their ids; the matches' */
    size_t bootstrap;                  /* draws; 0: no intervals */
    uint64_t seed;
};

/* What a task found of one model's embeddings, for intervals and for files. Lives until the next ft_study_measure. */
struct ft_measured {
    size_t units, room;                /* as in struct ft_resampling */
    size_t counted;                    /* units that count: queries with something relevant */
    ft_statistic *statistic;
    const void *data;
    const double *each;                /* [units][figures] or NULL */
};

enum { FT_WARNINGS = 6 };

struct ft_study {
    struct ft_study_options options;
    const struct ft_task *task;
    struct ft_arena arena, dim_arena;  /* of all; of one number of dimensions */
    struct ft_encoder encoder[2];      /* of -m, of --before */
    struct ft_contents contents;
    struct ft_collection collection[2];/* queries, index; without --index and differing prompts the first is both */
    struct ft_collection *queries, *index;
    bool folder, related;              /* input is a BEIR folder; relevance was built */
    int ways;                          /* 2: both */
    struct ft_relevance relevance;
    struct ft_measured measured[2];
    size_t dim;                        /* in hand; 0: whole embeddings */
    float *cut[2];                     /* the queries' vectors of that many, by view */
    int (*found)(void *argument, size_t query, const struct ft_match *match, size_t count);    /* for --run: called of the first model */
    void *found_argument;
    char said[256];                    /* one line of what was measured */
    char warning[FT_WARNINGS][256];
    size_t warnings;
};

int ft_study_open(struct ft_study *study, const struct ft_study_options *options);
int ft_study_read(struct ft_study *study, unsigned long *records);      /* then `ways` is known */
const char *ft_study_way(const struct ft_study *study);                 /* "text:image" (queries:answers); NULL where both are alike */
void ft_study_turn(struct ft_study *study);                             /* what asked answers, and what answered asks */
/* `number`: which of options.dim, 0 where there is none. */
int ft_study_measure(struct ft_study *study, size_t number, struct ft_report report[2]);
void ft_study_close(struct ft_study *study);

/* The id of a query as its documents have it, and of an item of the index; valid until `into` changes. FT_BAD where it has none. */
int ft_study_query_id(struct ft_study *study, size_t query, struct ft_buffer *into, struct ft_string *id);
int ft_study_item_id(struct ft_study *study, uint32_t item, struct ft_buffer *into, struct ft_string *id);

/* For tasks: a side's vectors as this number of dimensions wants them, raw; and one line of warning, once. */
struct ft_vectors {
    float *vector;                     /* [count, dim]; the collection's own, or the dim_arena's */
    size_t count, dim;
};
int ft_study_vectors(struct ft_study *study, enum ft_side side, int view, struct ft_vectors *vectors);
float *ft_study_copy(struct ft_study *study, const struct ft_vectors *vectors);       /* in the dim_arena, to be changed */
void ft_study_warn(struct ft_study *study, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum ft_distance ft_study_distance(const struct ft_study *study, int view);

#endif
