/* report.h - results of an evaluation as people and programs read them.
 *
 *   {"queries": 4500, "k": 20, "metrics": {"acc@1": 0.91, ..., "knn@20": 0.93}, "before": {"acc@1": ...}}
 *
 * Where texts ask for images, or images for texts, "modality": "text:image" comes first.
 * A figure that is not defined (knn without labels) is null, in text "-". With intervals there are also
 * "intervals": {"acc@1": [low, high], ...}, and with both "before_intervals", "changes": {"acc@1": [low, high], ...} and
 * "p": {"acc@1": ...}. Other tasks than retrieval begin with "task", and call what they count by its name. */
#ifndef FT_EVAL_REPORT_H
#define FT_EVAL_REPORT_H

#include "base/memory.h"

#include <stdbool.h>

enum { FT_FIGURES = 64 };              /* at least FT_MEASURES */

struct ft_figure {
    char name[40];
    double value;                      /* NaN: not defined */
    double low, high;                  /* its 95 % interval, where the report has intervals */
    double change_low, change_high;    /* of value - before */
    double p;                          /* that there is no change: resample.h */
};

struct ft_report {
    const char *task;                  /* NULL: retrieval */
    const char *modality;              /* "text:image": what asked and what answered; NULL: not said */
    const char *unit;                  /* "queries": what `units` counts */
    size_t units, k, dim;              /* k and dim 0: not said */
    bool intervals, changes;           /* changes: of the report after, which has those of both */
    size_t count;
    struct ft_figure figure[FT_FIGURES];
};

void ft_report_add(struct ft_report *report, const char *name, double value);
const struct ft_figure *ft_report_find(const struct ft_report *report, const char *name);     /* or NULL */

/* One line of JSON; `before` NULL leaves its keys out. */
int ft_report_json(struct ft_buffer *out, const struct ft_report *report, const struct ft_report *before);

/* "name<TAB>value" a line, with intervals low and high behind; with `before` a table: metric, before, after, change, and with
 * intervals the change's low, high and p. With `dim` a line "dim<TAB>128" first. */
int ft_report_text(struct ft_buffer *out, const struct ft_report *report, const struct ft_report *before);

/* What one unit has: {"id": "q1", "metrics": {"acc@1": 1, ...}, "before": {...}} and a newline; `before` NULL leaves that out. */
int ft_report_unit(struct ft_buffer *out, const struct ft_report *report, struct ft_string id, const double *value, const double *before);

/* Into `before` the figures of `report`, from what ft_report_json wrote for the same k. Its own "before" is passed over.
 * FT_BAD names the path. */
bool ft_report_is_json(const char *path);      /* does the file begin as an object? */
int ft_report_read(const char *path, const struct ft_report *report, struct ft_report *before);

#endif
