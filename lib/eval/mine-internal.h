/* mine-internal.h - what mine.c (documents in), mine-choose.c (candidates) and mine-write.c (triplets out) share. */
#ifndef FT_EVAL_MINE_INTERNAL_H
#define FT_EVAL_MINE_INTERNAL_H

#include "eval/mine.h"

enum ft_mine_kind { FT_MINE_NOTHING, FT_MINE_PAIRS, FT_MINE_LABELS, FT_MINE_TEXTS };

/* One document of the input. */
struct ft_mine_row {
    uint32_t query;            /* item of queries */
    uint32_t positive;         /* item of index: pairs the first positive; labels: drawn after the last document, FT_NO_ITEM: there is none;
                                  texts: in mine->nearest */
    uint32_t label;            /* labels: the document's */
};

struct ft_mine_link {
    uint32_t from, to;         /* pairs: query and positive; labels: label and document */
};

/* `to` of the links sorted by `from`, none twice: of f they are item[at[f]] .. item[at[f + 1] - 1]. */
struct ft_mine_lists {
    uint32_t *item;
    size_t *at;                /* [count + 1] */
    size_t count;
};

struct ft_mine {
    struct ft_mine_options options;
    struct ft_encoder *encoder;
    struct ft_arena arena;
    struct ft_contents contents;
    struct ft_collection queries, index;
    bool twice;                /* labels: anchors have a prompt of their own, so texts are embedded as queries too */
    enum ft_mine_kind kind;
    struct ft_corpus *records; /* the input, a row each */

    struct ft_mine_row *row;   /* [rows] */
    size_t rows, row_capacity;
    struct ft_mine_link *link;
    size_t links, link_capacity;
    uint32_t *label_content;   /* [labels] the content of its first document */
    size_t labels, label_capacity;

    /* Set by ft_mine_run. */
    size_t contents_known;     /* contents of the input */
    struct ft_mine_lists members;      /* labels: the documents of each */
    struct ft_mine_lists answers;      /* of each query the positives that are written, as far as their scores are wanted */
    float *answer_score;               /* beside answers.item */
    double *bound;                     /* [queries] s+, where there is a margin */
    size_t pool;
    uint32_t *nearest;         /* texts: [queries] the item taken for the positive */
    struct ft_match *match;    /* [queries * negatives] what was chosen, FT_NO_ITEM after the last */

    size_t next;               /* row to write */
    struct ft_arena record;
    msgpack_zone zone;
    struct ft_buffer bytes;
    struct ft_mine_counts counts;
};

static inline struct ft_items ft_mine_list(const struct ft_mine_lists *lists, size_t from)
{
    return (struct ft_items){lists->item + lists->at[from], lists->at[from + 1] - lists->at[from]};
}

/* A chunk's role: what it says, else by its place; turned round where the anchor is of the modality that answers. */
enum ft_role ft_mine_role(const struct ft_mine *mine, const struct ft_document *document, size_t chunk);

/* One spooled document; it lies in the arena mine->record. */
int ft_mine_decode(struct ft_mine *mine, struct ft_corpus *from, size_t number, struct ft_document *document);

/* Set the bounds, search, fill mine->match. */
int ft_mine_choose(struct ft_mine *mine, const char *index);

#endif
