/* modality.h - is a document, or a chunk of one, a text or an image; and which of the two ask and which answer. */
#ifndef FT_STREAM_MODALITY_H
#define FT_STREAM_MODALITY_H

#include "stream/document.h"

enum ft_modality { FT_MODALITY_ANY, FT_MODALITY_TEXT, FT_MODALITY_IMAGE };

const char *ft_modality_name(enum ft_modality modality);       /* "any", "text", "image" */

/* By its content; where it has none, only an embedding, by its field `modality`. FT_MODALITY_ANY: neither says. */
enum ft_modality ft_document_modality(const struct ft_document *document);

/* Of queries and of what is searched in, as --modality has it: "text", "image" are both sides', "text:image" and "image:text" queries and
 * answers. FT_USAGE. */
struct ft_modalities {
    enum ft_modality queries, answers;
};
int ft_modalities_parse(const char *text, struct ft_modalities *modalities);
bool ft_modalities_differ(struct ft_modalities modalities);    /* two that are known */

/* Is it a pair of a text and an image, which nobody scored? */
bool ft_document_text_image(const struct ft_document *document);

/* The chunk that asks: the anchor; where no chunk has a role, of a text and an image the first. SIZE_MAX: none. */
size_t ft_document_anchor(const struct ft_document *document);

/* What a chunk is to its anchor: its role; of such a pair without roles, anchor and positive. */
enum ft_role ft_chunk_role(const struct ft_document *document, size_t chunk);

/* Does the chunk ask, where queries are of this modality? The anchor does. Where the anchor is of the other one, all that it goes with do; with
 * FT_MODALITY_ANY nothing else does. */
bool ft_chunk_asks(const struct ft_document *document, size_t chunk, enum ft_modality queries);

#endif
