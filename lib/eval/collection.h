/* collection.h - documents as search and metrics see them: vectors in memory, and which contents are the
 * same.
 *
 * A plain document is one item. A document with chunks (a pair, a triplet) gives its chunks, equal contents
 * one item only; its anchors are united with its positives, and where it is wished each such pair is listed.
 * A collection may be of one modality: what is of the other is passed over. Of each item its vectors are kept, 24 bytes, and
 * (ft-search) what is to be printed, in a temporary file when it is much. Contents that a model embeds on the
 * way are held for a window of items only.
 *
 * Two models may look at the same documents at once (ft-eval --before): views. */
#ifndef FT_EVAL_COLLECTION_H
#define FT_EVAL_COLLECTION_H

#include "data/corpus.h"
#include "data/groups.h"
#include "eval/encoder.h"
#include "stream/modality.h"

/* Two contents that were an anchor and its positive. */
struct ft_content_pair {
    uint32_t from, to;
};

/* What collections that are compared with each other share. Zero-initialised is empty. */
struct ft_contents {
    struct ft_content_pair *pair;      /* [pair_count] both ways round, of the collections that list them; in any order, perhaps twice */
    size_t pair_count, pair_capacity;
    struct ft_groups contents;         /* united: alike */
    struct ft_groups labels;           /* numbers for labels; never united */
    struct ft_corpus *label_names;     /* [labels.count] what they are called, where the caller opened it */
    char model[64];                    /* checksum of the model whose embeddings streams brought; "" = none said so far */
};
void ft_contents_free(struct ft_contents *contents);

#define FT_NO_CONTENT UINT32_MAX

struct ft_item {
    struct ft_hash id;                 /* FT_ID_NONE, FT_ID_CHUNK, or the id's hash */
    uint32_t content;                  /* node of contents; FT_NO_CONTENT = of none that was known, see `passing` */
    uint32_t label;                    /* node of labels; FT_NO_CLASS = none */
};

#define FT_ID_NONE ((struct ft_hash){0, 0})
#define FT_ID_CHUNK ((struct ft_hash){1, 0})     /* a chunk is known by its content alone */

struct ft_view {
    struct ft_encoder *encoder;        /* NULL: embeddings come with the documents */
    bool own;                          /* the present stream's embeddings are taken as they are */
    size_t dim;                        /* 0 = not known yet */
    float *vector;                     /* [count - gone, dim] */
    size_t capacity;
};

struct ft_chunk_place {
    uint32_t item;                     /* its number + 1, 0 = none */
    bool anchor;                       /* it is in the list of those that ask */
};

/* A document with chunks as it came, for tasks that look at pairs and triplets rather than at rankings. */
struct ft_tuple {
    uint32_t item[3];                  /* of a pair two; of a triplet anchor, positive, negative */
    double score;                      /* of a pair */
};

/* Which of them are wanted. FT_TUPLES_SCORED_TOO: scored pairs where the first document is one, else none. */
enum ft_tuples_wanted { FT_TUPLES_NONE, FT_TUPLES_SCORED_TOO, FT_TUPLES_SCORED, FT_TUPLES_TRIPLETS };

struct ft_collection {
    /* Set by the caller before the first stream. */
    struct ft_contents *shared;
    enum ft_side side;
    bool anchors_only;                 /* of chunks only those that ask (ft_chunk_asks) become items */
    enum ft_modality modality;         /* only what is of it becomes items; FT_MODALITY_ANY: all does */
    bool lists_pairs;                  /* into shared->pair */
    bool closed;                       /* takes nothing */
    int (*first)(void *argument, const struct ft_document *document);      /* sees the first document before it is added; or NULL */
    void *first_argument;
    bool distinct;                     /* equal contents are one item, as those of chunks are */
    bool whole;                        /* `kept` takes the document itself, msgpack, without `embedding` and `matches` */
    enum ft_tuples_wanted tuples_wanted;
    bool passing;                      /* plain documents of new contents are not remembered by content */
    struct ft_view view[2];
    int views;
    struct ft_corpus *kept;            /* id and text, or an image's address, of each item go there, or NULL; the caller's */
    bool ids_only;                     /* without the text */

    struct ft_item *item;
    size_t count, capacity;
    size_t passed_over;                /* plain documents of another modality */
    size_t gone;                       /* the first items, whose vectors were given away */
    bool chunked;                      /* a document had chunks */
    uint32_t *anchor;                  /* [anchor_count] items that ask */
    size_t anchor_count, anchor_capacity;
    struct ft_tuple *tuple;            /* [tuple_count] where they are wanted, a triplet for each negative */
    size_t tuple_count, tuple_capacity;

    struct ft_chunk_place *place;      /* [place_count] by content: where chunks went */
    size_t place_count;
    struct ft_arena arena;             /* of one record */
    struct ft_content *waiting;        /* [waiting_count] what the last items hold, which are not embedded yet */
    size_t waiting_count, waiting_bytes;
    struct ft_arena waiting_arena;
};

/* Read a stream of documents (NULL or "-": standard input) into the collections, `count` of them; `records`
 * counts. */
int ft_collections_read(struct ft_collection *const *collections, size_t count, const char *path,
                        unsigned long *records);

/* The same by hand: each stream begins with start, which decides whether its embeddings are taken as they are
 * or made by the encoder. */
int ft_collection_start(struct ft_collection *collection, const struct ft_header *header);
int ft_collection_add(struct ft_collection *collection, const struct ft_document *document);
int ft_collection_flush(struct ft_collection *collection);      /* embed what waits; after the last ft_collection_add */

/* Exchange the vectors of the only view, those of items [gone, count), for room that an earlier call gave (or NULL, 0):
 * the caller frees what it holds last. After a flush. */
void ft_collection_give(struct ft_collection *collection, float **vector, size_t *capacity);
void ft_collection_free(struct ft_collection *collection);      /* not `shared`, encoders and `kept` */

/* FT_BAD: the stream of that name gave the collection nothing, or nothing of its modality. */
int ft_collection_fail_empty(const struct ft_collection *collection, const char *name);

/* The item of a content that came as a chunk or is `distinct`; FT_NO_ITEM: none. */
uint32_t ft_collection_find(const struct ft_collection *collection, uint32_t content);

/* What is to be printed of an item, as `kept` holds it, pointing into `into`; not of `whole`. */
struct ft_kept {
    struct ft_string id, name;
    bool image;                        /* the name is an image's address, not a text */
};
int ft_collection_kept(struct ft_collection *collection, size_t item, struct ft_buffer *into, struct ft_kept *kept);

#endif
