/* jsonl-parts.h - what the files of the reader of JSON objects share; nobody else includes it.
 *
 * jsonl.c goes by the names of an object's keys; jsonl-documents.c has DocArray's documents. */
#ifndef FT_DATA_JSONL_PARTS_H
#define FT_DATA_JSONL_PARTS_H

#include "data/jsonl.h"

/* The stream allows 32; the document's own levels take the rest. */
enum { DEPTH = 24 };

struct ft_jsonl {
    const struct ft_selection *selection;
    enum ft_row_kind option, kind;
    bool documents, checked;       /* from a file of DocArray's; and the object in hand is such a document, checked */
    struct ft_layout layout;
    struct ft_arena arena;         /* the line's */
    json_t *root, *matches;        /* matches: of a session, taken out of the root */
    struct ft_string *names;       /* of what may have a role, and the values */
    const json_t **values;
    size_t count;
    struct ft_row_item *items;     /* anchor, positives, negatives; or the one item */
    size_t item_count, positives;
    struct ft_row_item *part;      /* those of one document */
    struct ft_row_tag *tags;
    size_t tag_count;
    struct ft_string id, label;
    bool scored;
    double score;
};

struct ft_string ft_json_string(const json_t *value);

/* Strings, numbers and booleans as text, from the arena where need be. */
bool ft_json_scalar(struct ft_arena *arena, const json_t *value, struct ft_string *text);

/* One more item: a text, or an address where `uri`. false: no string, or empty. */
bool ft_jsonl_item(struct ft_jsonl *jsonl, enum ft_role role, const json_t *value, bool uri, const json_t *object);
void ft_jsonl_tag(struct ft_jsonl *jsonl, const char *name, const json_t *value);
int ft_jsonl_score(struct ft_jsonl *jsonl, const json_t *value);
int ft_jsonl_label(struct ft_jsonl *jsonl, const json_t *value);

/* A checked document that is a row by itself: does it have something of its own to be one by? */
bool ft_jsonl_is_own(const json_t *root);
int ft_jsonl_document(struct ft_jsonl *jsonl);

/* DocArray's pairs, Finetuner's sessions, and what a root has besides: id, score, kind, other keys. */
int ft_jsonl_chunks(struct ft_jsonl *jsonl, const json_t *chunks);
bool ft_jsonl_is_session(const json_t *matches);
int ft_jsonl_session(struct ft_jsonl *jsonl, json_t *matches);
int ft_jsonl_root(struct ft_jsonl *jsonl);

#endif
