/* trec.h - rankings as TREC's files have them: "qid Q0 docid rank score tag" a line, blanks or tabs between.
 *
 * Read, the rank is not looked at: as trec_eval does, the higher score (as a 32-bit number) is first, of equal scores the id that is
 * later in the order of bytes. Written, the order is ours, equal scores in the order of the index; scores are those we rank by, of
 * euclidean minus the squared distance. A reader that sorts again may put equal scores in another order. */
#ifndef FT_EVAL_TREC_H
#define FT_EVAL_TREC_H

#include "base/memory.h"
#include "eval/metrics.h"

/* ---- judged ---- */

/* Figures of the queries that the qrels judge, those of one call in the same order for every run. */
struct ft_judged {
    size_t queries;                    /* with something relevant: all of them, also those that the run lacks, which have 0 */
    size_t absent, unjudged;           /* of those; queries of the run that the qrels do not have */
    size_t left_out;                   /* judged, but nothing is relevant */
    struct ft_string *id;              /* [queries] */
    double *each;                      /* [queries][measures]; knn is NaN */
};

/* From the arena. FT_BAD as "file:line: what was wrong": columns, scores that are no numbers, a document twice. */
int ft_run_judge(struct ft_arena *arena, const char *run, const char *qrels, const struct ft_measures *measures, struct ft_judged *judged);

/* The same of text[size] each; `run` and `qrels` are names for messages. */
struct ft_bytes {
    char *text;
    size_t size;
};
int ft_run_parse(struct ft_arena *arena, const char *run, struct ft_bytes run_text, const char *qrels, struct ft_bytes qrels_text,
                 const struct ft_measures *measures, struct ft_judged *judged);

/* ---- written ---- */

/* One query's lines. FT_BAD for an id with a blank, which a run cannot hold. */
int ft_run_line(struct ft_buffer *out, struct ft_string query, struct ft_string document, size_t rank, float score);

#endif
