/* row.h - a row as the library sees it, whatever file it came from, and its document in the stream.
 *
 * A labelled or unlabelled row is one item, a vector too; a pair, triplet, scored pair or text with its image has one item for each of its
 * chunks, anchor first (of a text and an image the text).
 * Strings and arrays belong to whoever made the row. */
#ifndef FT_DATA_ROW_H
#define FT_DATA_ROW_H

#include "data/uri.h"
#include "stream/document.h"

#include <jansson.h>

enum ft_row_kind {
    FT_ROW_GUESS, FT_ROW_LABELED, FT_ROW_PAIRS, FT_ROW_TRIPLETS, FT_ROW_SCORED, FT_ROW_TEXT_IMAGE, FT_ROW_UNLABELED, FT_ROW_VECTORS, FT_ROW_KINDS,
};
const char *ft_row_kind_name(enum ft_row_kind kind);      /* "labelled rows", "pairs", ... */
const char *ft_row_kind_option(enum ft_row_kind kind);    /* "--labeled", ... */

struct ft_row_item {
    enum ft_role role;
    struct ft_string content;      /* text, or an address or path where uri is set; data NULL: nothing but the blob or the vector */
    bool uri, local;               /* local: a path, whatever it looks like */
    struct ft_string blob;         /* data NULL, or the bytes that go along */
    const char *mime_type;         /* of what was looked at; else NULL */
    const float *vector;           /* NULL, or [width] */
    size_t width;
    const uint64_t *shape;         /* [rank] of a vector that is a tensor of several dimensions, their product its width; else NULL */
    int rank;
    const json_t *object;          /* NULL, or the DocArray document this is: its other fields travel too */
    bool scored;                   /* of triplets with a score for each text */
    double score;
};

struct ft_row_tag {
    struct ft_string name, text;
    const json_t *json;            /* NULL: the value is `text` */
};

struct ft_row {
    enum ft_row_kind kind;
    unsigned long line, part;      /* part: 0, or 1, 2, ... where one line gives several documents */
    struct ft_string id;           /* empty: path:line, path:line:part */
    struct ft_row_item *items;
    size_t item_count;
    struct ft_string label;        /* data NULL = none */
    bool scored;                   /* of scored pairs; of triplets the margin of the positive over the one negative */
    double score;
    struct ft_row_tag *tags;
    size_t tag_count;
    const json_t *object;          /* NULL, or the DocArray document: its other fields travel too */
    bool document;                 /* the objects are documents of DocArray's own files (data/docarray.h): all of their fields do */
};

/* What --rate goes by: the first item's content, so that all rows of one anchor fall on the same side. In [0, 1). */
double ft_row_share(const struct ft_row *row);

/* Does it name a picture? */
bool ft_row_has_uri(const struct ft_row *row);

/* Pack the row as a document; `path` is for its id. */
void ft_row_write(msgpack_packer *pk, const struct ft_row *row, const char *path);

/* Is this a field of DocArray documents that travels as it is (mime_type, modality, weight, embedding, matches), of the right type? */
bool ft_json_is_field(const char *key, const json_t *value);

/* Can the value be packed: nested no deeper than streams allow? */
bool ft_json_is_shallow(const json_t *value, int depth);
void ft_json_write(msgpack_packer *pk, const json_t *value);

#endif
