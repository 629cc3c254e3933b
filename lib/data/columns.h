/* columns.h - which column is what, and so what a row is.
 *
 * The rule, first match wins:
 *   1. --columns ROLE=NAME|N gives roles; --columns NAME|N without roles says which columns count, and in which order.
 *   2. Names (a CSV's header, the keys of a JSON line) give roles: the table in names.c.
 *   3. An option (--labeled, --pairs, ...) says what a row is; roles not given by 1 and 2 go to the columns that are left, in order.
 *   4. Without an option the roles tell: anchor and positive make pairs, with negatives triplets, with a score scored pairs; a text
 *      (or image) and a label make labelled rows, a text alone unlabelled ones; a text and an image make a pair.
 *   5. Without roles the number of columns tells, as in Finetuner: 1 unlabelled; 2 pairs, or labelled where column 2 looks like labels in
 *      the sample (data/guess.h); 3 scored where the third column holds numbers, else triplets.
 * Columns without a role become tags. A column named for an image holds images, and so does one without a name for a text whose cells in the
 * sample are all addresses or paths of pictures. Of vectors (by option only) an id and a label have roles, all other columns, or those that
 * --columns gives without a role, are the numbers. A guess is always said; see ft_layout_say. */
#ifndef FT_DATA_COLUMNS_H
#define FT_DATA_COLUMNS_H

#include "data/guess.h"
#include "data/names.h"
#include "data/row.h"

struct ft_layout_item {
    size_t column;
    enum ft_role role;
    bool uri, named;               /* named: the column's name says so, else the sample did */
};

/* Zero-initialised is empty; strings in `names` are copies. */
struct ft_layout {
    enum ft_row_kind kind;
    size_t columns;
    bool header, cells;            /* cells: every cell is a document of its own (--unlabeled, no header) */
    bool guessed;                  /* by rule 5 */
    struct ft_string *names;       /* [columns]: the header's, else "column1", ... */
    long id, label, score;         /* columns, -1 = none */
    struct ft_layout_item *items;
    size_t item_count;
    size_t *vector;                /* [vector_count] the columns of the numbers; then there is no item */
    size_t vector_count;
    size_t *tags;
    size_t tag_count;
    char reason[256], question[256];   /* of a guess */
    struct ft_arena arena;
};

/* Do these cells name columns? Known names only decide where they suffice to say what a row is; of vectors, a row without a number, or with a
 * name for a label or id, is one. */
bool ft_names_are_header(const struct ft_string *names, size_t count, const struct ft_selection *selection, enum ft_row_kind kind);

/* `names` NULL where there is no header; `sample` (NULL for JSON) decides rule 5 and which columns hold addresses. -1: FT_USAGE or FT_BAD
 * with what was expected. */
int ft_layout_make(struct ft_layout *layout, const struct ft_string *names, size_t count, const struct ft_selection *selection,
                   enum ft_row_kind kind, const struct ft_sample *sample);
void ft_layout_free(struct ft_layout *layout);

/* "header text,label: labelled rows" or "2 columns, no header: pairs". */
void ft_layout_say(const struct ft_layout *layout, char *text, size_t size);

#endif
