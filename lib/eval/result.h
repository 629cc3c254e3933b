/* result.h - results of an evaluation as people and programs read them.
 *
 *   {"queries": 4500, "k": 20, "metrics": {"acc@1": 0.91, ..., "knn@20": 0.93}, "before": {"acc@1": ...}}
 *
 * A metric that is not defined (knn without labels) is null, in text "-". */
#ifndef FT_EVAL_RESULT_H
#define FT_EVAL_RESULT_H

#include "base/memory.h"
#include "eval/metrics.h"

/* One line of JSON; `before` NULL leaves that key out. */
int ft_result_json(struct ft_buffer *out, const struct ft_result *result, const struct ft_result *before);

/* "name<TAB>value" a line; with `before` a table: metric, before, after, change. */
int ft_result_text(struct ft_buffer *out, const struct ft_result *result, const struct ft_result *before);

/* Read what ft_result_json wrote, for the same k; its "before" is passed over. FT_BAD names the path. */
int ft_result_read(const char *path, size_t k, struct ft_result *result);

#endif
