/* validation.c - documents kept apart: what they are, and whether training saw them. */
#include "tune/validation-internal.h"
#include "base/error.h"
#include "stream/modality.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ft_validation *ft_validation_open(void)
{
    struct ft_validation *v = calloc(1, sizeof *v);

    if (!v) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    for (int side = FT_QUERIES; side <= FT_INDEX; side++)
        if (!(v->corpus[side] = ft_corpus_open(FT_CORPUS_MEMORY))) {
            ft_validation_close(v);
            return NULL;
        }
    return v;
}

void ft_validation_close(struct ft_validation *v)
{
    if (!v)
        return;
    ft_corpus_close(v->corpus[FT_QUERIES]);
    ft_corpus_close(v->corpus[FT_INDEX]);
    ft_groups_free(&v->contents);
    free(v->leaked);
    free(v);
}

/* The document and its chunks, but not the negatives among them. */
static int each_content(const struct ft_document *d, int (*take)(void *, const struct ft_document *), void *argument)
{
    if (!d->chunk_count)
        return take(argument, d);
    for (size_t c = 0; c < d->chunk_count; c++)
        if (d->chunks[c].role != FT_NEGATIVE && take(argument, &d->chunks[c]) < 0)
            return -1;
    return 0;
}

static int remember(void *argument, const struct ft_document *item)
{
    struct ft_validation *v = argument;
    uint32_t node;

    return ft_groups_add(&v->contents, ft_document_hash(item), &node);
}

/* Not of the ids, which hang on how the file was named. */
static void mix_in(struct ft_validation *v, enum ft_side side, const struct ft_document *d)
{
    struct ft_hash parts[4] = {v->fingerprint, {(uint64_t)side, d->chunk_count}, ft_document_hash(d), ft_hash_bytes(d->label.data, d->label.size)};

    v->fingerprint = ft_hash_bytes(parts, sizeof parts);
    for (size_t c = 0; c < d->chunk_count; c++) {
        struct ft_hash both[2] = {v->fingerprint, ft_document_hash(&d->chunks[c])};

        v->fingerprint = ft_hash_bytes(both, sizeof both);
    }
}

int ft_validation_add(struct ft_validation *v, enum ft_side side, const struct ft_document *document, struct ft_string bytes)
{
    if (side == FT_QUERIES && each_content(document, remember, v) < 0)
        return -1;
    if (side == FT_QUERIES && !ft_corpus_count(v->corpus[side]))
        v->text_image = ft_document_text_image(document);
    mix_in(v, side, document);
    return ft_corpus_add(v->corpus[side], bytes);
}

struct reading {
    struct ft_validation *validation;
    enum ft_side side;
};

static int take_document(void *argument, const struct ft_document *document, struct ft_string bytes)
{
    const struct reading *r = argument;

    return ft_validation_add(r->validation, r->side, document, bytes);
}

int ft_validation_read(struct ft_validation *v, enum ft_side side, const char *path)
{
    struct reading reading = {v, side};

    if (ft_documents_read(path, take_document, &reading) < 0)
        return -1;
    return ft_corpus_count(v->corpus[side]) ? 0 : ft_fail(FT_BAD, "%s is empty", path);
}

size_t ft_validation_count(const struct ft_validation *v, enum ft_side side)
{
    return ft_corpus_count(v->corpus[side]);
}

int ft_validation_make(const struct ft_callbacks *c, struct ft_validation **validation)
{
    *validation = NULL;
    if (!c->eval && !(c->hold_out > 0))
        return 0;
    if (!(*validation = ft_validation_open()))
        return -1;
    if (c->eval && ft_validation_read(*validation, FT_QUERIES, c->eval) < 0)
        return ft_error_prefix("--eval: ");
    if (c->eval_index && ft_validation_read(*validation, FT_INDEX, c->eval_index) < 0)
        return ft_error_prefix("--eval-index: ");
    return 0;
}

int ft_validation_settle(const struct ft_validation *v, struct ft_arena *arena, struct ft_callbacks *c)
{
    const char *text = ft_arena_print(arena, "%016llx%016llx", (unsigned long long)v->fingerprint.high, (unsigned long long)v->fingerprint.low);

    if (!text)
        return -1;
    if (c->eval_data && strcmp(c->eval_data, text) != 0)
        return ft_fail(FT_BAD, "the documents of the evaluation are not those that the run was evaluated on");
    c->eval_data = text;
    return 0;
}

/* Some of the text, on one line. */
static void set_example(struct ft_validation *v, struct ft_string text)
{
    size_t size = text.size;

    if (size > 48)   /* not in the middle of a character */
        for (size = 45; size && ((unsigned char)text.data[size] & 0xc0) == 0x80; size--)
            ;
    snprintf(v->example, sizeof v->example, "'%.*s%s'", (int)size, text.data ? text.data : "", size < text.size ? "..." : "");
    for (char *c = v->example; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = ' ';
}

static int find_leak(void *argument, const struct ft_document *item)
{
    struct ft_validation *v = argument;
    uint32_t node;

    if (!ft_groups_seek(&v->contents, ft_document_hash(item), &node))
        return 0;
    if (v->leaked_count < v->contents.count) {
        bool *leaked = ft_resize(v->leaked, v->contents.count, sizeof *leaked);

        if (!leaked)
            return -1;
        memset(leaked + v->leaked_count, 0, v->contents.count - v->leaked_count);
        v->leaked = leaked;
        v->leaked_count = v->contents.count;
    }
    if (!v->leaked[node] && v->leaks++ == 0)
        set_example(v, ft_content_name(&item->content));
    v->leaked[node] = true;
    return 0;
}

int ft_validation_trained(struct ft_validation *v, const struct ft_document *document)
{
    return each_content(document, find_leak, v);
}

int ft_validation_trained_batch(struct ft_validation *v, const struct ft_batch *batch)
{
    for (size_t i = 0; i < batch->items; i++) {
        const struct ft_document item = {.content = batch->content[i]};

        if (!ft_content_empty(&item.content) && !(batch->role && batch->role[i] == FT_NEGATIVE) && find_leak(v, &item) < 0)
            return -1;
    }
    return 0;
}

size_t ft_validation_leaks(const struct ft_validation *v, const char **example)
{
    *example = v->example;
    return v->leaks;
}

const char *ft_validation_warning(struct ft_validation *v)
{
    static _Thread_local char said[sizeof v->warning[0]];

    for (int i = 0; i < 2; i++)
        if (*v->warning[i]) {
            memcpy(said, v->warning[i], sizeof said);
            *v->warning[i] = '\0';
            return said;
        }
    return NULL;
}
