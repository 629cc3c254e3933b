/* beir.h - a folder as BEIR has them (Thakur et al. 2021):
 *
 *     corpus.jsonl          {"_id": "d1", "title": "...", "text": "..."}      a document's text is title, blank, text
 *     queries.jsonl         {"_id": "q1", "text": "..."}
 *     qrels/SPLIT.tsv       qrels.h
 *
 * Other keys are passed over. */
#ifndef FT_EVAL_BEIR_H
#define FT_EVAL_BEIR_H

#include "eval/collection.h"

/* The queries that `qrels` judges, and the corpus; `records` counts both. FT_BAD as "file:line: what was wrong". */
int ft_beir_read(const char *folder, const char *qrels, struct ft_collection *queries, struct ft_collection *index,
                 unsigned long *records);

/* One line of corpus.jsonl or queries.jsonl: id and text, from the arena. FT_BAD says what was wrong, without the place. */
int ft_beir_line(struct ft_arena *arena, struct ft_string line, struct ft_string *id, struct ft_string *text);

#endif
