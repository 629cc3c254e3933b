/* qrels.h - relevance judgements from a file, as TREC and BEIR write them.
 *
 *   qid 0 docid rel          four columns, blanks between (trec_eval; the second is not looked at)
 *   qid docid rel            three columns; with tabs between, ids may have blanks. A first line "query-id corpus-id score" is a header
 *
 * rel above 0 is relevant, and is the gain of ndcg. Empty lines are skipped. */
#ifndef FT_EVAL_QRELS_H
#define FT_EVAL_QRELS_H

#include "base/hash.h"
#include "base/memory.h"

struct ft_judgement {
    struct ft_hash query, document;    /* hashes of the ids */
    struct ft_string query_id;         /* as the file has it */
    float gain;                        /* may be 0 or below: not relevant */
    size_t line;
};

/* From the arena. FT_BAD as "file:line: what was wrong, what was expected"; one pair of ids twice is an error
 * too. */
int ft_qrels_read(struct ft_arena *arena, const char *path, struct ft_judgement **judgement, size_t *count);

/* The same of text[size], which must live as long as the judgements. Sorted by query and document. */
int ft_qrels_parse(struct ft_arena *arena, const char *path, char *text, size_t size, struct ft_judgement **judgement, size_t *count);

/* Split [line, end) at tabs when there are any, else at runs of blanks; a carriage return at the end does not count. More columns
 * than `most` count as that many. */
size_t ft_trec_columns(char *line, char *end, struct ft_string *column, size_t most);

#endif
