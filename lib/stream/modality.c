/* modality.c - texts and images among documents and their chunks. */
#include "stream/modality.h"
#include "base/error.h"

#include <string.h>

const char *ft_modality_name(enum ft_modality modality)
{
    static const char *const names[] = {"any", "text", "image"};

    return names[modality];
}

enum ft_modality ft_document_modality(const struct ft_document *d)
{
    if (ft_content_image(&d->content))
        return FT_MODALITY_IMAGE;
    if (d->content.text.size)
        return FT_MODALITY_TEXT;
    if (ft_string_is(d->modality, "image"))
        return FT_MODALITY_IMAGE;
    return d->content.text.data || ft_string_is(d->modality, "text") ? FT_MODALITY_TEXT : FT_MODALITY_ANY;
}

int ft_modalities_parse(const char *text, struct ft_modalities *m)
{
    static const struct {
        const char *text;
        struct ft_modalities modalities;
    } known[] = {
        {"text", {FT_MODALITY_TEXT, FT_MODALITY_TEXT}}, {"image", {FT_MODALITY_IMAGE, FT_MODALITY_IMAGE}},
        {"text:image", {FT_MODALITY_TEXT, FT_MODALITY_IMAGE}}, {"image:text", {FT_MODALITY_IMAGE, FT_MODALITY_TEXT}},
        {"text:text", {FT_MODALITY_TEXT, FT_MODALITY_TEXT}}, {"image:image", {FT_MODALITY_IMAGE, FT_MODALITY_IMAGE}},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(text, known[i].text) == 0) {
            *m = known[i].modalities;
            return 0;
        }
    return ft_fail(FT_USAGE, "--modality %.60s: expected text, image, text:image or image:text (queries:answers)", text);
}

bool ft_modalities_differ(struct ft_modalities m)
{
    return m.queries != m.answers && m.queries != FT_MODALITY_ANY && m.answers != FT_MODALITY_ANY;
}

static bool has_roles(const struct ft_document *d)
{
    for (size_t i = 0; i < d->chunk_count; i++)
        if (d->chunks[i].role != FT_NO_ROLE)
            return true;
    return false;
}

/* Two chunks without roles, a text and an image: as Finetuner's documents are. */
static bool is_plain_pair(const struct ft_document *d)
{
    return d->chunk_count == 2 && !has_roles(d) &&
           ft_modalities_differ((struct ft_modalities){ft_document_modality(&d->chunks[0]), ft_document_modality(&d->chunks[1])});
}

size_t ft_document_anchor(const struct ft_document *d)
{
    for (size_t i = 0; i < d->chunk_count; i++)
        if (d->chunks[i].role == FT_ANCHOR)
            return i;
    return is_plain_pair(d) ? 0 : SIZE_MAX;
}

enum ft_role ft_chunk_role(const struct ft_document *d, size_t chunk)
{
    if (d->chunks[chunk].role == FT_NO_ROLE && is_plain_pair(d))
        return chunk ? FT_POSITIVE : FT_ANCHOR;
    return d->chunks[chunk].role;
}

bool ft_document_text_image(const struct ft_document *d)
{
    size_t anchor = ft_document_anchor(d);

    if (anchor == SIZE_MAX || d->scored)
        return false;
    for (size_t i = 0; i < d->chunk_count; i++)
        if (ft_chunk_role(d, i) == FT_POSITIVE &&
            !ft_modalities_differ((struct ft_modalities){ft_document_modality(&d->chunks[anchor]), ft_document_modality(&d->chunks[i])}))
            return false;
    return true;
}

bool ft_chunk_asks(const struct ft_document *d, size_t chunk, enum ft_modality queries)
{
    enum ft_role role = ft_chunk_role(d, chunk);
    size_t anchor = ft_document_anchor(d);

    if (role == FT_NEGATIVE || (queries != FT_MODALITY_ANY && ft_document_modality(&d->chunks[chunk]) != queries))
        return false;
    if (role == FT_ANCHOR || queries == FT_MODALITY_ANY)
        return role == FT_ANCHOR;
    return anchor == SIZE_MAX || ft_document_modality(&d->chunks[anchor]) != queries;
}
