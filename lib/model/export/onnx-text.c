/* onnx-text.c - tokens in an ONNX graph: their vectors and places, who sees whom, attention.
 *
 * Here texts have no padding; there they are [batch, length] with a mask. So all that depends on places comes from the mask: a token's place is the
 * number of tokens before it, keys that are padding are not seen. A padded query may see nobody, which makes its row no number that matters, but must
 * not make it one that is none: what is hidden has the least float, not minus infinity. */
#include "model/export/onnx-graph.h"
#include "base/error.h"

#include <float.h>
#include <math.h>

/* ---- embeddings ---------------------------------------------------------------------------------------------------------- */

static const char *table_of(struct ft_onnx *o, int parameter)
{
    const struct ft_parameter *p = &o->model->parameters[parameter];

    return ft_onnx_parameter(o, parameter, 2, (const int64_t[]){(int64_t)p->rows, (int64_t)p->columns});
}

/* Padding has the first place, so that no number of it is beyond the table. */
static const char *add_place(struct ft_onnx *o, const struct ft_node *n, const char *x)
{
    const char *before = o->mask ? NULL : ft_onnx_places(o);

    if (o->mask) {
        ft_onnx_int(o, "exclusive", 1);
        before = ft_onnx_node(o, "CumSum", o->mask, ft_onnx_whole(o, 1), NULL);
        before = ft_onnx_node(o, "Mul", before, o->mask, NULL);
    }
    if (n->first_position)
        before = ft_onnx_node(o, "Add", before, ft_onnx_whole(o, (int64_t)n->first_position), NULL);
    return ft_onnx_node(o, "Add", x, ft_onnx_node(o, "Gather", table_of(o, n->parameters[1]), before, NULL), NULL);
}

/* Where there is but one type all tokens are of it; else the tokenizer says which. */
static const char *add_type(struct ft_onnx *o, const struct ft_node *n, const char *x)
{
    static const char *const dims[] = {"batch", "length"};
    const char *table = table_of(o, n->parameters[2]);

    if (o->model->parameters[n->parameters[2]].rows == 1)
        return ft_onnx_node(o, "Add", x, table, NULL);
    ft_onnx_input(o, "token_type_ids", FT_ONNX_INT64, 2, dims);
    return ft_onnx_node(o, "Add", x, ft_onnx_node(o, "Gather", table, "token_type_ids", NULL), NULL);
}

const char *ft_onnx_embedding(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    const char *x = ft_onnx_node(o, "Gather", table_of(o, n->parameters[0]), o->ids, NULL);

    *form = FT_ONNX_TOKENS;
    if (n->parameter_count > 1 && n->parameters[1] >= 0)
        x = add_place(o, n, x);
    return n->parameter_count > 2 ? add_type(o, n, x) : x;
}

/* ---- who sees whom --------------------------------------------------------------------------------------------------------- */

/* 0, 1, ... as many as tokens: those of [batch, length, ...]. */
static const char *places_of(struct ft_onnx *o, const char *x)
{
    const char *length;

    if (o->places)
        return o->places;
    ft_onnx_int(o, "start", 1);
    ft_onnx_int(o, "end", 2);
    length = ft_onnx_node(o, "Squeeze", ft_onnx_node(o, "Shape", o->ids ? o->ids : x, NULL), ft_onnx_wholes(o, FT_ONNX_LIST(0)), NULL);
    return o->places = ft_onnx_node(o, "Range", ft_onnx_whole(o, 0), length, ft_onnx_whole(o, 1), NULL);
}

const char *ft_onnx_places(struct ft_onnx *o)
{
    return places_of(o, NULL);
}

/* [query, key]: how far the key is after the query. */
static const char *apart_of(struct ft_onnx *o, const char *x)
{
    const char *places = places_of(o, x), *key, *query;

    if (o->apart)
        return o->apart;
    key = ft_onnx_node(o, "Unsqueeze", places, ft_onnx_wholes(o, FT_ONNX_LIST(0)), NULL);
    query = ft_onnx_node(o, "Unsqueeze", places, ft_onnx_wholes(o, FT_ONNX_LIST(1)), NULL);
    return o->apart = ft_onnx_node(o, "Sub", key, query, NULL);
}

static const char *and_of(struct ft_onnx *o, const char *a, const char *b)
{
    return a && b ? ft_onnx_node(o, "And", a, b, NULL) : a ? a : b;
}

/* What lets queries see keys, as far as something does not; NULL: all see all. */
static const char *seen(struct ft_onnx *o, const struct ft_attention *attention, const char *x)
{
    const char *is_seen = NULL;

    if (attention->window)
        is_seen = ft_onnx_node(o, "LessOrEqual", ft_onnx_node(o, "Abs", apart_of(o, x), NULL), ft_onnx_whole(o, (int64_t)attention->window), NULL);
    if (attention->causal)
        is_seen = and_of(o, is_seen, ft_onnx_node(o, "LessOrEqual", apart_of(o, x), ft_onnx_whole(o, 0), NULL));
    if (o->mask) {
        ft_onnx_int(o, "to", FT_ONNX_BOOL);
        is_seen = and_of(o, ft_onnx_node(o, "Unsqueeze", ft_onnx_node(o, "Cast", o->mask, NULL), ft_onnx_wholes(o, FT_ONNX_LIST(1, 2)), NULL), is_seen);
    }
    return is_seen;
}

/* [1, heads, query, key] from a table of biases: the row of each distance up to the one from which all are alike is known beforehand, to the bit. */
static const char *biases_of(struct ft_onnx *o, const struct ft_node *table, const struct ft_attention *attention, const char *x)
{
    size_t most = attention->distance, count = 2 * most + 1;
    int64_t *bucket = ft_arena_take(&o->arena, count * sizeof *bucket);
    const char *name = ft_arena_print(&o->arena, "%s.buckets", table->name), *rows, *apart;

    if (!bucket || !name) {
        o->failed = true;
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        bucket[i] = (int64_t)ft_attention_bucket(attention, (ptrdiff_t)i - (ptrdiff_t)most);
    name = ft_onnx_tensor(o, name, FT_ONNX_INT64, 1, (const int64_t[]){(int64_t)count}, bucket);
    rows = ft_onnx_node(o, "Gather", table_of(o, table->parameters[0]), name, NULL);
    apart = ft_onnx_node(o, "Max", apart_of(o, x), ft_onnx_whole(o, -(int64_t)most), NULL);
    apart = ft_onnx_node(o, "Add", ft_onnx_node(o, "Min", apart, ft_onnx_whole(o, (int64_t)most), NULL), ft_onnx_whole(o, (int64_t)most), NULL);
    rows = ft_onnx_node(o, "Gather", rows, apart, NULL);
    ft_onnx_list(o, "perm", FT_ONNX_LIST(2, 0, 1));
    return ft_onnx_node(o, "Unsqueeze", ft_onnx_node(o, "Transpose", rows, NULL), ft_onnx_wholes(o, FT_ONNX_LIST(0)), NULL);
}

static const char *make_bias(struct ft_onnx *o, const struct ft_attention *attention, const struct ft_node *table, const char *x)
{
    const char *is_seen = seen(o, attention, x), *bias = table ? biases_of(o, table, attention, x) : NULL;

    if (!is_seen)
        return bias;
    return ft_onnx_node(o, "Where", is_seen, bias ? bias : ft_onnx_number(o, 0), ft_onnx_number(o, -FLT_MAX), NULL);
}

/* What is added to the scores of an attention, NULL: nothing. Attentions of one kind share it. */
static const char *bias_of(struct ft_onnx *o, const struct ft_node *n, const char *x)
{
    const struct ft_attention *a = &n->attention;
    int table = n->input_count > 3 ? n->inputs[3] : -1;
    struct ft_onnx_bias *b = o->biases;

    for (size_t i = 0; i < o->bias_count; i++, b++)
        if (b->table == table && b->window == a->window && b->causal == a->causal && b->buckets == a->buckets && b->distance == a->distance)
            return b->value;
    if (ft_grow(&o->biases, &o->bias_capacity, o->bias_count + 1, sizeof *o->biases) < 0) {
        o->failed = true;
        return NULL;
    }
    b = &o->biases[o->bias_count++];
    *b = (struct ft_onnx_bias){table, a->window, a->buckets, a->distance, a->causal, make_bias(o, a, table < 0 ? NULL : &o->model->nodes[table], x)};
    return b->value;
}

/* ---- attention ----------------------------------------------------------------------------------------------------------- */

/* [batch, length, width] to heads: [batch, heads, length, width of one], or that with the last two exchanged. */
static const char *heads_of(struct ft_onnx *o, const char *x, size_t heads, size_t width, bool exchanged)
{
    x = ft_onnx_node(o, "Reshape", x, ft_onnx_wholes(o, FT_ONNX_LIST(0, 0, (int64_t)heads, (int64_t)width)), NULL);
    ft_onnx_list(o, "perm", 4, exchanged ? (const int64_t[]){0, 2, 3, 1} : (const int64_t[]){0, 2, 1, 3});
    return ft_onnx_node(o, "Transpose", x, NULL);
}

const char *ft_onnx_attention(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    size_t heads = n->attention.heads, width = n->width / heads;
    const int64_t thirds[3] = {(int64_t)n->width, (int64_t)n->width, (int64_t)n->width};
    const char *part[3] = {NULL}, *scores, *bias;

    if (*form != FT_ONNX_TOKENS)
        ft_onnx_fail(o, "%s: an attention of what are no tokens", n->name);
    if (n->input_count > 1)
        for (int i = 0; i < 3; i++)
            part[i] = ft_onnx_in(o, n, i);
    else
        ft_onnx_split(o, ft_onnx_in(o, n, 0), -1, 3, thirds, part);
    bias = bias_of(o, n, part[0]);
    part[0] = ft_onnx_node(o, "Mul", part[0], ft_onnx_number(o, ft_attention_scale(&n->attention, width)), NULL);
    scores = ft_onnx_node(o, "MatMul", heads_of(o, part[0], heads, width, false), heads_of(o, part[1], heads, width, true), NULL);
    if (bias)
        scores = ft_onnx_node(o, "Add", scores, bias, NULL);
    ft_onnx_int(o, "axis", -1);
    scores = ft_onnx_node(o, "Softmax", scores, NULL);
    scores = ft_onnx_node(o, "MatMul", scores, heads_of(o, part[2], heads, width, false), NULL);
    ft_onnx_list(o, "perm", FT_ONNX_LIST(0, 2, 1, 3));
    scores = ft_onnx_node(o, "Transpose", scores, NULL);
    return ft_onnx_node(o, "Reshape", scores, ft_onnx_wholes(o, FT_ONNX_LIST(0, 0, (int64_t)n->width)), NULL);
}

/* A query an item, [batch, width], or the same [1, width] for all. */
const char *ft_onnx_attend(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    int64_t heads = (int64_t)n->attention.heads, whole = (int64_t)n->width, width = whole / heads;
    const char *query, *part[2], *bias;

    if (*form != FT_ONNX_ITEMS || o->form[n->inputs[1]] != FT_ONNX_TOKENS)
        ft_onnx_fail(o, "%s: looks at what are no tokens", n->name);
    if (n->input_count > 2)
        part[0] = ft_onnx_in(o, n, 1), part[1] = ft_onnx_in(o, n, 2);
    else
        ft_onnx_split(o, ft_onnx_in(o, n, 1), -1, 2, (const int64_t[]){whole, whole}, part);
    bias = bias_of(o, n, part[0]);
    query = ft_onnx_node(o, "Mul", ft_onnx_in(o, n, 0), ft_onnx_number(o, ft_attention_scale(&n->attention, (size_t)width)), NULL);
    query = ft_onnx_node(o, "Reshape", query, ft_onnx_wholes(o, FT_ONNX_LIST(0, heads, 1, width)), NULL);
    query = ft_onnx_node(o, "MatMul", query, heads_of(o, part[0], (size_t)heads, (size_t)width, true), NULL);
    if (bias)
        query = ft_onnx_node(o, "Add", query, bias, NULL);
    ft_onnx_int(o, "axis", -1);
    query = ft_onnx_node(o, "Softmax", query, NULL);
    query = ft_onnx_node(o, "MatMul", query, heads_of(o, part[1], (size_t)heads, (size_t)width, false), NULL);
    return ft_onnx_node(o, "Reshape", query, ft_onnx_wholes(o, FT_ONNX_LIST(0, whole)), NULL);
}

/* ---- rotary positions ----------------------------------------------------------------------------------------------------- */

/* Angles [length, 1, half] of places and pairs; speeds are rounded as ft_rotary_table rounds them. */
static const char *angles(struct ft_onnx *o, const struct ft_node *n, size_t D, const char *x)
{
    size_t half = D / 2;
    float *speed = ft_arena_take(&o->arena, half * sizeof *speed);
    const char *name = ft_arena_print(&o->arena, "rotary/%zu/%.9g", D, (double)n->theta), *places = places_of(o, x);

    if (!speed || !name) {
        o->failed = true;
        return NULL;
    }
    for (size_t d = 0; d < half; d++)
        speed[d] = 1 / (float)pow((double)n->theta, (double)((float)(2 * d) / (float)D));
    name = ft_onnx_tensor(o, name, FT_ONNX_FLOAT, 1, (const int64_t[]){(int64_t)half}, speed);
    ft_onnx_int(o, "to", FT_ONNX_FLOAT);
    places = ft_onnx_node(o, "Unsqueeze", ft_onnx_node(o, "Cast", places, NULL), ft_onnx_wholes(o, FT_ONNX_LIST(1, 2)), NULL);
    return ft_onnx_node(o, "Mul", places, name, NULL);
}

static const char *turned(struct ft_onnx *o, const char *op, const char *a, const char *cosine, const char *b, const char *sine)
{
    return ft_onnx_node(o, op, ft_onnx_node(o, "Mul", a, cosine, NULL), ft_onnx_node(o, "Mul", b, sine, NULL), NULL);
}

/* Queries and keys are 2 * heads heads side by side, values the other heads. */
const char *ft_onnx_rotary(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    int64_t heads = (int64_t)n->attention.heads, D = (int64_t)n->width / 3 / heads, half = D / 2;
    const char *x = ft_onnx_in(o, n, 0), *angle, *cosine, *sine, *part[2], *pair[3] = {NULL};

    if (*form != FT_ONNX_TOKENS)
        ft_onnx_fail(o, "%s: rotary positions of what are no tokens", n->name);
    angle = angles(o, n, (size_t)D, x);
    cosine = ft_onnx_node(o, "Cos", angle, NULL);
    sine = ft_onnx_node(o, "Sin", angle, NULL);
    x = ft_onnx_node(o, "Reshape", x, ft_onnx_wholes(o, FT_ONNX_LIST(0, 0, 3 * heads, D)), NULL);
    ft_onnx_split(o, x, 2, 2, (const int64_t[]){2 * heads, heads}, part);
    ft_onnx_split(o, part[0], 3, D % 2 ? 3 : 2, (const int64_t[]){half, half, 1}, pair);
    x = turned(o, "Sub", pair[0], cosine, pair[1], sine);
    angle = turned(o, "Add", pair[1], cosine, pair[0], sine);
    ft_onnx_int(o, "axis", 3);
    x = ft_onnx_node(o, "Concat", x, angle, pair[2], NULL);
    ft_onnx_int(o, "axis", 2);
    x = ft_onnx_node(o, "Concat", x, part[1], NULL);
    return ft_onnx_node(o, "Reshape", x, ft_onnx_wholes(o, FT_ONNX_LIST(0, 0, (int64_t)n->width)), NULL);
}
