/* docarray.h - files of DocArray 0.21's DocumentArray.save_json: one array of documents in JSON.
 *
 * A document is an object of these fields, null or absent when empty:
 *
 *     id text uri mime_type modality parent_id   strings        blob         base64
 *     weight offset granularity adjacency        numbers        tags         an object of anything
 *     tensor embedding                           numbers in nested lists, all of one length at each level
 *     chunks matches                             lists of documents
 *     scores evaluations                         objects of {"value": ..., "op_name", "description", "ref_id"}
 *     location                                   a list of numbers
 *
 * With protocol='protobuf' parent_id, mime_type, op_name and ref_id are in camel case, and numbers are {"dense": {"buffer": base64, "shape", "dtype"}}.
 *
 * The array is read element by element: memory is one block and the longest document. Source: docarray/document/pydantic_model.py. */
#ifndef FT_DATA_DOCARRAY_H
#define FT_DATA_DOCARRAY_H

#include "data/lines.h"

#include <jansson.h>

enum { FT_LIMIT_DOCUMENT = 64 << 20 };     /* bytes of one document's JSON */

struct ft_docarray;

/* From the bytes of `lines`, none of which has been taken; they stay the caller's. */
struct ft_docarray *ft_docarray_open(struct ft_lines *lines);
void ft_docarray_close(struct ft_docarray *array);

/* 1: the next element, the caller's to json_decref, and the line it begins on. 0: the array ended well. -1: a bad element, behind which the next call goes
 * on, or the end of what can be read (FT_BAD once, then 0); or FT_SYSTEM. Messages have file, line and number in front: "f.json:1: document 7: ...". */
int ft_docarray_next(struct ft_docarray *array, json_t **element, unsigned long *line);
unsigned long ft_docarray_number(const struct ft_docarray *array);    /* of the element in hand, from 1 */

/* Are all keys those of a document? */
bool ft_docarray_is(const json_t *object);

/* What protocol='protobuf' writes of numbers, as lists in lists, the caller's; NULL: FT_BAD, or no memory. */
json_t *ft_docarray_tensor(const json_t *object);

/* An object's names in camel case become those that DocArray writes without that protocol. */
int ft_docarray_rename(json_t *object);

/* Check a document with all that it holds, and make it plain: null members go, as do parent_id, granularity and adjacency, which follow from where a
 * document is; an embedding of shape [1, n] is one of [n]. FT_BAD names the field. */
int ft_docarray_check(json_t *document);

/* The numbers of a checked tensor or embedding, from the arena; `shape` has room for 8. NULL: no memory. */
float *ft_docarray_numbers(struct ft_arena *arena, const json_t *list, int *rank, uint64_t *shape, size_t *count);

/* FT_BAD where a file that begins with `head` is one of save_binary, with the line of Python that converts it; else 0. `name` is a path, or NULL. Unless
 * `sure` that it is DocArray's at all, it must say so itself: any file may be compressed. */
int ft_docarray_refuse(const char *name, struct ft_string head, bool sure);

#endif
