/* jsonl.h - one JSON object a line: {"text", "label"}, {"anchor", "positive", "negative"}, {"query", "pos": [...], "neg": [...]},
 * {"sentence1", "sentence2", "score"}, and DocArray's documents (text or uri, id, tags with finetuner_label and finetuner_score, chunks;
 * matches tagged 1 and -1, Finetuner's old session data, become positives and negatives).
 *
 * Keys have the meaning that a CSV's header gives to columns (data/columns.h); those without one become tags. Several positives give a
 * document each, with all negatives. A key twice, bad escapes, lone surrogates, null characters, nesting past 24: errors. */
#ifndef FT_DATA_JSONL_H
#define FT_DATA_JSONL_H

#include "data/columns.h"

struct ft_jsonl;

/* The selection must outlive it. `documents`: the objects are from a file of DocArray's (data/docarray.h). */
struct ft_jsonl *ft_jsonl_open(const struct ft_selection *selection, enum ft_row_kind kind, bool documents);
void ft_jsonl_close(struct ft_jsonl *jsonl);

/* Take one line in: the number of documents it holds, -1 FT_BAD ("column 12: ..."). */
long ft_jsonl_read(struct ft_jsonl *jsonl, struct ft_string line);
long ft_jsonl_take(struct ft_jsonl *jsonl, json_t *root);     /* the same of what is parsed already; it becomes the reader's */

/* Its documents, part = 0 ... number - 1; valid until the next read. Sets all but line. */
void ft_jsonl_row(struct ft_jsonl *jsonl, size_t part, struct ft_row *row);

/* The value of a key of the line's object, as text; false when there is none or it is no string, number or boolean. */
bool ft_jsonl_value(struct ft_jsonl *jsonl, const char *key, struct ft_string *value);

#endif
