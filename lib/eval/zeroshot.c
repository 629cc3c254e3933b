/* zeroshot.c - names of classes to vectors, and what documents make of them. */
#include "eval/zeroshot.h"
#include "base/error.h"
#include "data/lines.h"
#include "eval/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const ft_guess_names[FT_GUESS_FIGURES] = {"acc@1", "acc@5", "mean_per_class_recall"};

enum { BLOCK = 1024 };             /* texts that are embedded at once */

/* ---- names ---- */

static int label_names(struct ft_classes *c, struct ft_arena *arena, struct ft_contents *contents)
{
    struct ft_buffer bytes = {NULL, 0, 0};
    int result = 0;

    c->count = contents->labels.count;
    if (!(c->name = ft_arena_zero(arena, c->count + 1, sizeof *c->name)))
        return -1;
    for (uint32_t l = 0; result == 0 && l < c->count; l++) {
        bytes.size = 0;
        c->of_label[l] = l;
        if ((result = ft_corpus_read(contents->label_names, l, &bytes)) == 0) {
            const char *text = ft_arena_text(arena, (struct ft_string){bytes.data, bytes.size});

            c->name[l] = (struct ft_string){text, bytes.size};
            result = text ? 0 : -1;
        }
    }
    ft_buffer_free(&bytes);
    return result;
}

struct naming {
    struct ft_classes *classes;
    struct ft_arena *arena;
    struct ft_contents *contents;
    struct ft_groups seen;             /* labels of the file */
    size_t capacity;
    struct ft_string *name;            /* [capacity] grows; goes to the arena when all are in */
};

static int add_line(struct naming *n, const struct ft_line *line)
{
    const char *tab = memchr(line->text.data, '\t', line->text.size), *text;
    struct ft_string label = {line->text.data, tab ? (size_t)(tab - line->text.data) : line->text.size}, name = label;
    uint32_t number, known;

    if (line->fault)
        return ft_fail(FT_BAD, "%s", line->fault);
    if (tab)
        name = (struct ft_string){tab + 1, line->text.size - label.size - 1};
    if (!label.size || !name.size)
        return ft_fail(FT_BAD, "no %s: expected LABEL<TAB>NAME, or a label alone", label.size ? "name" : "label");
    if (ft_groups_add(&n->seen, ft_hash_bytes(label.data, label.size), &number) < 0)
        return -1;
    if (number < n->classes->count)
        return ft_fail(FT_BAD, "label '%.*s' is there twice", (int)(label.size < 60 ? label.size : 60), label.data);
    if (!(text = ft_arena_text(n->arena, name)) || ft_grow(&n->name, &n->capacity, n->classes->count + 1, sizeof *n->name) < 0)
        return -1;
    n->name[n->classes->count] = (struct ft_string){text, name.size};
    if (ft_groups_seek(&n->contents->labels, ft_hash_bytes(label.data, label.size), &known))
        n->classes->of_label[known] = (uint32_t)n->classes->count;
    n->classes->count++;
    return 0;
}

static int read_lines(struct naming *n, struct ft_lines *lines)
{
    struct ft_line line;
    int more = 1;

    while ((more = ft_lines_next(lines, &line)) > 0)
        if (line.text.size + (line.fault != NULL) && add_line(n, &line) < 0)
            return ft_error_prefix("%s:%lu: ", ft_lines_name(lines), line.number);
    if (more < 0)
        return -1;
    return n->classes->count ? 0 : ft_fail(FT_BAD, "%s has no names", ft_lines_name(lines));
}

static int file_names(struct naming *n, const char *path)
{
    struct ft_lines *lines = ft_lines_open(path, NULL);
    struct ft_classes *c = n->classes;
    int result = lines ? read_lines(n, lines) : -1;

    if (result == 0 && (c->name = ft_arena_zero(n->arena, c->count, sizeof *c->name)))
        memcpy(c->name, n->name, c->count * sizeof *c->name);
    else
        result = -1;
    ft_lines_close(lines);
    ft_groups_free(&n->seen);
    free(n->name);
    return result;
}

int ft_classes_read(struct ft_classes *c, struct ft_arena *arena, struct ft_contents *contents, const char *path)
{
    struct naming naming = {.classes = c, .arena = arena, .contents = contents};

    *c = (struct ft_classes){.of_label = ft_arena_take(arena, (contents->labels.count + 1) * sizeof *c->of_label)};
    if (!c->of_label)
        return -1;
    for (size_t l = 0; l < contents->labels.count; l++)
        c->of_label[l] = FT_NO_CLASS;
    if (!contents->labels.count)
        return ft_fail(FT_BAD, "no document has a label");
    return path ? file_names(&naming, path) : label_names(c, arena, contents);
}

/* ---- vectors ---- */

int ft_templates_check(const struct ft_list *templates)
{
    for (size_t i = 0; i < templates->count; i++)
        if (!strstr(templates->items[i], "{}"))
            return ft_fail(FT_USAGE, "--template '%s': expected {} where the name goes", templates->items[i]);
    return 0;
}

/* The name in the template's place, or places. */
static int fill_template(struct ft_arena *arena, const char *template, struct ft_string name, struct ft_string *text)
{
    size_t places = 0, size = strlen(template);
    char *to;

    for (const char *p = template; (p = strstr(p, "{}")); p += 2)
        places++;
    if (!(to = ft_arena_take(arena, size + places * name.size + 1)))
        return -1;
    text->data = to;
    for (const char *p = template, *next; p; p = next ? next + 2 : NULL) {
        size_t before = (next = strstr(p, "{}")) ? (size_t)(next - p) : strlen(p);

        memcpy(to, p, before);
        to += before;
        if (next)
            memcpy(to, name.data, name.size), to += name.size;
    }
    text->size = (size_t)(to - text->data);
    return 0;
}

/* Added to the class's sum, at unit length; a zero is nothing. */
static void add_unit(double *sum, const float *x, size_t dim)
{
    double square = ft_vector_square(x, dim), scale = square > 0 ? 1 / sqrt(square) : 0;

    for (size_t k = 0; k < dim; k++)
        sum[k] += scale * x[k];
}

static void give_unit(const double *sum, size_t dim, float *vector)
{
    double square = 0;

    for (size_t k = 0; k < dim; k++)
        square += sum[k] * sum[k];
    for (size_t k = 0; k < dim; k++)
        vector[k] = (float)(square > 0 ? sum[k] / sqrt(square) : 0);
}

struct naming_block {
    struct ft_arena arena;
    struct ft_content *content;        /* [BLOCK] */
    float *embedding;                  /* [BLOCK, encoder's dim] */
    double *sum;                       /* [dim] of the class in hand */
};

/* Texts in the order of classes, each one's templates in turn; whole blocks are embedded, sums go on from block to block. */
static int embed_classes(struct naming_block *b, const struct ft_classes *c, const struct ft_list *templates, const struct ft_encoder *encoder,
                         size_t dim, float *vector)
{
    static const char *const name_alone[] = {"{}"};
    const char *const *template = templates->count ? templates->items : name_alone;
    size_t each = templates->count ? templates->count : 1, all = c->count * each;

    for (size_t first = 0; first < all; first += BLOCK) {
        size_t count = all - first < BLOCK ? all - first : BLOCK;

        ft_arena_reset(&b->arena);
        memset(b->content, 0, count * sizeof *b->content);
        for (size_t i = 0; i < count; i++)
            if (fill_template(&b->arena, template[(first + i) % each], c->name[(first + i) / each], &b->content[i].text) < 0)
                return -1;
        if (ft_embedder_run(encoder->embedder[FT_INDEX], b->content, NULL, count, b->embedding) < 0)
            return -1;
        for (size_t i = 0; i < count; i++) {
            if ((first + i) % each == 0)
                memset(b->sum, 0, dim * sizeof *b->sum);
            add_unit(b->sum, b->embedding + i * encoder->dim, dim);
            if ((first + i) % each == each - 1)
                give_unit(b->sum, dim, vector + (first + i) / each * dim);
        }
    }
    return 0;
}

int ft_classes_embed(const struct ft_classes *c, const struct ft_list *templates, const struct ft_encoder *encoder, size_t dim, float *vector)
{
    struct naming_block b = {.content = ft_resize(NULL, BLOCK, sizeof *b.content), .embedding = ft_resize(NULL, BLOCK * encoder->dim, sizeof(float))};
    int result = -1;

    b.sum = ft_resize(NULL, encoder->dim, sizeof *b.sum);
    if (b.content && b.embedding && b.sum)
        result = embed_classes(&b, c, templates, encoder, dim ? dim : encoder->dim, vector);
    ft_arena_free(&b.arena);
    free(b.content);
    free(b.embedding);
    free(b.sum);
    return result < 0 ? ft_error_prefix("names of labels: ") : 0;
}

/* ---- figures ---- */

void ft_guesses_of(const void *data, const uint32_t *weight, double *room, double *value)
{
    const struct ft_guesses *g = data;
    double *there = room, *right = room + g->classes, all = 0, first = 0, five = 0, recall = 0, classes = 0;

    memset(room, 0, 2 * g->classes * sizeof *room);
    for (size_t i = 0; i < g->count; i++) {
        double w = weight ? weight[i] : 1;

        if (g->class[i] == FT_NO_CLASS)
            continue;
        all += w;
        there[g->class[i]] += w;
        five += g->rank[i] <= 5 ? w : 0;
        if (g->rank[i] == 1) {
            first += w;
            right[g->class[i]] += w;
        }
    }
    for (size_t c = 0; c < g->classes; c++)
        if (there[c] > 0) {
            recall += right[c] / there[c];
            classes++;
        }
    value[0] = all > 0 ? first / all : NAN;
    value[1] = all > 0 ? five / all : NAN;
    value[2] = classes > 0 ? recall / classes : NAN;
}
