/* fields.h - fields of DocArray's documents that a row does not name itself, and that travel as they are. */
#ifndef FT_DATA_FIELDS_H
#define FT_DATA_FIELDS_H

#include "data/row.h"

/* What the JSON object is: a line, of whose keys few are fields; or a document that has been checked (data/docarray.h), all of which travels, its chunks only
 * where they are not the row's items. */
enum ft_fields { FT_FIELDS_LINE, FT_FIELDS_DOCUMENT, FT_FIELDS_ROOT };

/* `object` NULL has none. */
uint32_t ft_fields_count(const json_t *object, enum ft_fields kind);
void ft_fields_write(msgpack_packer *pk, const json_t *object, enum ft_fields kind);

/* A checked document within a document, all of it. */
void ft_fields_write_document(msgpack_packer *pk, const json_t *object);

#endif
