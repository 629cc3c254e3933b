/* document.h - documents and batches as the library sees them, over the fields of ft-stream(5).
 *
 * A document here is a view into a record (strings are not copied); its arrays come from the arena given. Fields that are not
 * named here stay in `object` and pass through untouched. */
#ifndef FT_STREAM_DOCUMENT_H
#define FT_STREAM_DOCUMENT_H

#include "base/hash.h"
#include "stream/tensor.h"

enum ft_role { FT_ANCHOR, FT_POSITIVE, FT_NEGATIVE, FT_NO_ROLE };
const char *ft_role_name(enum ft_role role);   /* "anchor", "positive", "negative" */

/* What a model reads of an item: a text; an image, where it lies (uri) or its bytes (blob); numbers (tensor: ft_wire_read looks at it first).
 * What there is not has data NULL. */
struct ft_content {
    struct ft_string text, uri, blob;
    const msgpack_object *tensor;
};

struct ft_document {
    struct ft_string id, mime_type, modality;
    struct ft_content content;
    struct ft_string label;        /* tags.finetuner_label; a number is given as its decimal text; data NULL = none */
    bool scored;
    double score;                  /* tags.finetuner_score */
    enum ft_role role;             /* tags.role */
    size_t chunk_count;
    struct ft_document *chunks;    /* a pair or triplet is one document with chunks */
    const msgpack_object *embedding;   /* tensor map or NULL */
    const msgpack_object *object;  /* all of it */
};

/* FT_BAD says which field of which document was wrong. */
int ft_document_read(struct ft_arena *arena, const msgpack_object *object, struct ft_document *document);

/* The hash of what a document is (its content, else its chunks, else its embedding): equal contents, equal hashes. */
struct ft_hash ft_document_hash(const struct ft_document *document);

/* Of a content by itself: its text, else its blob's bytes, else its uri, else its tensor's bytes. One without any of these is as an empty text. */
struct ft_hash ft_content_hash(const struct ft_content *content);
bool ft_content_empty(const struct ft_content *content);
bool ft_content_image(const struct ft_content *content);     /* no text, but an address or bytes */
struct ft_string ft_content_name(const struct ft_content *content);   /* what stands for it in a message: its text, else its uri; may be empty */

/* A copy that outlives the record: bytes from the arena. */
int ft_content_copy(struct ft_arena *arena, const struct ft_content *content, struct ft_content *copy);

/* The content fields of a map; another type than text and uri have is FT_BAD. */
int ft_content_read(const msgpack_object *object, struct ft_content *content);

/* Write `object` (a map) with fields left out and room for `more` fields, which the caller packs next. `drop` ends with NULL. */
void ft_document_copy(msgpack_packer *pk, const msgpack_object *object, const char *const *drop, uint32_t more);

/* What a batch is made of, which decides the losses that take it. */
enum ft_batch_kind { FT_BATCH_CLASSES, FT_BATCH_PAIRS, FT_BATCH_TRIPLETS, FT_BATCH_SCORED, FT_BATCH_RANDOM };
const char *ft_batch_kind_name(enum ft_batch_kind kind);   /* "classes", "pairs", ... */
int ft_batch_kind_parse(struct ft_string name, enum ft_batch_kind *kind);

/* A batch. Items are what the model sees, one embedding each: the documents, or, where documents have chunks, their chunks in order.
 *   classes: item i has label[i]          triplets: an anchor, a positive and one or more negatives a row, perhaps item_score[i]
 *   pairs: anchor and positive a row      scored: two items a row and score[row]        random: items, labels if known (-1 = none) */
struct ft_batch {
    uint64_t number, epoch;        /* number is global and never restarts; the first is 1 */
    enum ft_batch_kind kind;
    size_t rows;                   /* documents */
    size_t items;
    struct ft_content *content;    /* [items] */
    int32_t *label;                /* [items], classes and random; else NULL */
    uint8_t *role;                 /* [items], enum ft_role; pairs and triplets; else NULL */
    int32_t *row;                  /* [items] the document each belongs to */
    float *score;                  /* [rows], scored; else NULL */
    float *item_score;             /* [items], triplets that carry scores: of each item with its row's anchor (of anchors 0); else NULL */
    struct ft_string set;          /* the data set it is of, where there are several; data NULL else */
    struct ft_string bytes;        /* the record as it came, or empty */
    const msgpack_object *object;  /* the record decoded, or NULL */
};

/* Build from a batch record; arrays from the arena, strings in the record. */
int ft_batch_read(struct ft_arena *arena, const struct ft_record *record, struct ft_batch *batch);

/* Write one: the fields, the documents' msgpack bytes one after another, and room for `more` fields, which the caller packs next.
 * `documents[i]` is the msgpack of row i. */
void ft_batch_write(msgpack_packer *pk, const struct ft_batch *batch, const struct ft_string *documents, uint32_t more);

/* A running checksum of what batches hold (number, kind, contents, labels, roles, scores): the same in every stage, with or without
 * embeddings. Start with zero. */
struct ft_hash ft_batch_checksum(struct ft_hash before, const struct ft_batch *batch);

#endif
