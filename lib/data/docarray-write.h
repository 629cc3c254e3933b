/* docarray-write.h - documents of a stream as DocArray 0.21 reads them with DocumentArray.load_json: fields as in data/docarray.h, a document a line.
 *
 * Tensors and embeddings become nested lists, of 32-bit floats with nine digits; bytes become base64; fields that DocArray does not have become tags. What
 * follows from where a document is (parent_id, granularity) DocArray fills in itself. */
#ifndef FT_DATA_DOCARRAY_WRITE_H
#define FT_DATA_DOCARRAY_WRITE_H

#include "base/memory.h"

#include <msgpack.h>
#include <stdio.h>

/* One array: so many documents so far. Zero-initialised is none. ft_docarray_out_free frees what it took. */
struct ft_docarray_out {
    FILE *file;                   /* the caller's */
    size_t count;
    struct ft_buffer text;
};

/* FT_BAD: a number that is not finite, text that is not UTF-8, a key that is no string. */
int ft_docarray_write(struct ft_docarray_out *out, const msgpack_object *document);
int ft_docarray_end(struct ft_docarray_out *out);         /* the array's end, of none too */
void ft_docarray_out_free(struct ft_docarray_out *out);

#endif
