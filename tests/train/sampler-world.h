/* sampler-world.h - corpora in the making, for the sampler's tests. */
#ifndef FT_TESTS_SAMPLER_WORLD_H
#define FT_TESTS_SAMPLER_WORLD_H

#include "base/error.h"
#include "train/sampler.h"
#include "../tap.h"

#include <stdlib.h>

enum { MOST = 3000 };   /* documents in a random corpus */

/* A corpus in the making, and the sampler that gets it. */
struct world {
    struct ft_sampler *sampler;
    struct ft_arena arena;
    struct ft_header header;
    int count;
};

__attribute__((unused)) static struct ft_sampler_options defaults(int kind)
{
    return (struct ft_sampler_options){.kind = kind, .seed = 1};
}

__attribute__((unused)) static void open_world(struct world *w, struct ft_sampler_options options)
{
    *w = (struct world){0};
    w->sampler = ft_sampler_open(&options);
}

__attribute__((unused)) static void close_world(struct world *w)
{
    ft_sampler_close(w->sampler);
    ft_arena_free(&w->arena);
}

__attribute__((unused)) static void pack_one(msgpack_packer *pk, const char *id, const char *text, const char *key, const char *value)
{
    msgpack_pack_map(pk, (uint32_t)(1 + (id != NULL) + (value != NULL)));
    if (id) {
        ft_pack_text(pk, "id");
        ft_pack_text(pk, id);
    }
    ft_pack_text(pk, "text");
    ft_pack_text(pk, text);
    if (value) {
        ft_pack_text(pk, "tags");
        msgpack_pack_map(pk, 2);
        ft_pack_text(pk, "other");
        msgpack_pack_int(pk, 7);
        ft_pack_text(pk, key);
        ft_pack_text(pk, value);
    }
}

__attribute__((unused)) static int add_bytes(struct world *w, const msgpack_sbuffer *bytes)
{
    msgpack_unpacked unpacked;
    struct ft_document document;
    struct ft_arena arena = {0};
    size_t used = 0;
    int rc = -1;

    msgpack_unpacked_init(&unpacked);
    if (msgpack_unpack_next(&unpacked, bytes->data, bytes->size, &used) == MSGPACK_UNPACK_SUCCESS &&
        ft_document_read(&arena, &unpacked.data, &document) == 0)
        rc = ft_sampler_add(w->sampler, &document, (struct ft_string){bytes->data, bytes->size});
    msgpack_unpacked_destroy(&unpacked);
    ft_arena_free(&arena);
    return rc;
}

/* A document with id "0", "1", ...; label NULL = none. */
__attribute__((unused)) static int add_document(struct world *w, const char *text, const char *label)
{
    msgpack_sbuffer bytes;
    msgpack_packer pk;
    char id[16];
    int rc;

    msgpack_sbuffer_init(&bytes);
    msgpack_packer_init(&pk, &bytes, msgpack_sbuffer_write);
    snprintf(id, sizeof id, "%d", w->count++);
    pack_one(&pk, id, text, "finetuner_label", label);
    rc = add_bytes(w, &bytes);
    msgpack_sbuffer_destroy(&bytes);
    return rc;
}

/* A row with two or three chunks; roles unless `bare`; scored where score is not below zero. */
__attribute__((unused)) static int add_row(struct world *w, const char *a, const char *p, const char *n, double score, bool bare)
{
    msgpack_sbuffer bytes;
    msgpack_packer pk;
    char id[16];
    int rc;

    msgpack_sbuffer_init(&bytes);
    msgpack_packer_init(&pk, &bytes, msgpack_sbuffer_write);
    snprintf(id, sizeof id, "%d", w->count++);
    msgpack_pack_map(&pk, score >= 0 ? 3 : 2);
    ft_pack_text(&pk, "id");
    ft_pack_text(&pk, id);
    if (score >= 0) {
        ft_pack_text(&pk, "tags");
        msgpack_pack_map(&pk, 1);
        ft_pack_text(&pk, "finetuner_score");
        msgpack_pack_double(&pk, score);
    }
    ft_pack_text(&pk, "chunks");
    msgpack_pack_array(&pk, n ? 3 : 2);
    pack_one(&pk, NULL, a, "role", bare ? NULL : "anchor");
    pack_one(&pk, NULL, p, "role", bare ? NULL : "positive");
    if (n)
        pack_one(&pk, NULL, n, "role", bare ? NULL : "negative");
    rc = add_bytes(w, &bytes);
    msgpack_sbuffer_destroy(&bytes);
    return rc;
}

__attribute__((unused)) static int plan(struct world *w)
{
    return ft_sampler_plan(w->sampler, &w->arena, &w->header);
}

__attribute__((unused)) static int number_of(struct ft_string text)
{
    char digits[16] = "";

    memcpy(digits, text.data, text.size < 15 ? text.size : 15);
    return (int)strtol(digits + (digits[0] < '0' || digits[0] > '9'), NULL, 10);
}

__attribute__((unused)) static bool warned(struct world *w, const char *part)
{
    const char *line;
    bool found = false;

    while ((line = ft_sampler_warning(w->sampler))) {
        printf("# %s\n", line);
        found |= strstr(line, part) != NULL;
    }
    return found;
}

__attribute__((unused)) static void fails(struct world *w, enum ft_status status, const char *part)
{
    int rc = plan(w);

    ok(rc < 0 && ft_error_status() == status && strstr(ft_error(), part), "refused: %s", rc < 0 ? ft_error() : "(it was not)");
    close_world(w);
}

#endif
