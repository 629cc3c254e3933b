/* names.h - what columns can be, the names that say so, and --columns, which says it where names do not. */
#ifndef FT_DATA_NAMES_H
#define FT_DATA_NAMES_H

#include "base/memory.h"

enum ft_column {
    FT_COLUMN_NONE, FT_COLUMN_ID, FT_COLUMN_TEXT, FT_COLUMN_IMAGE, FT_COLUMN_LABEL, FT_COLUMN_SCORE,
    FT_COLUMN_ANCHOR, FT_COLUMN_POSITIVE, FT_COLUMN_NEGATIVE,
};

/* --columns */
struct ft_selection {
    size_t count;
    bool roles, order;             /* some have roles; some have none */
    struct {
        enum ft_column role;       /* FT_COLUMN_NONE: given without one */
        char name[128];
    } column[64];
};

/* "text=body,label=2" or "body,topic"; FT_USAGE. */
int ft_selection_parse(struct ft_selection *selection, const char *text);

/* The column that `name` (a name of these, or a number from 1) means, -1 when none. */
long ft_column_find(const struct ft_string *names, size_t count, const char *name);

/* The table of known names, best first: how many; the role of one; whether a column's name is that one. */
size_t ft_name_ranks(void);
enum ft_column ft_name_role(size_t rank);
bool ft_name_matches(struct ft_string name, size_t rank);

/* The role that a name stands for, FT_COLUMN_NONE when it is none of the known. */
enum ft_column ft_name_known(struct ft_string name);

#endif
