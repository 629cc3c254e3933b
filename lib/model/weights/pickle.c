/* pickle.c - the stack machine: operations and what they do to stack, memo and boxes. Every number comes from a stranger. */
#include "model/weights/pickle.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct ft_pickle_value opaque = {.kind = FT_PICKLE_OPAQUE};

int ft_pickle_broken(const struct ft_pickle *p, const char *what)
{
    return ft_fail(FT_BAD, "pickle, byte %zu: %s", p->at, what);
}

/* ---- memory: one budget for all that a pickle makes ----------------------------------------------------------------------- */

static int spend(struct ft_pickle *p)
{
    return ++p->made > FT_PICKLE_VALUES ? ft_fail(FT_BAD, "pickle, byte %zu: more than %d values", p->at, FT_PICKLE_VALUES) : 0;
}

static int push(struct ft_pickle *p, struct ft_pickle_value value)
{
    if (spend(p) < 0 || ft_grow(&p->stack, &p->stack_capacity, p->depth + 1, sizeof *p->stack) < 0)
        return -1;
    p->stack[p->depth++] = value;
    return 0;
}

static int pop(struct ft_pickle *p, struct ft_pickle_value *value)
{
    if (p->depth == 0 || p->stack[p->depth - 1].kind == FT_PICKLE_MARK)
        return ft_pickle_broken(p, "takes a value that is not there");
    *value = p->stack[--p->depth];
    return 0;
}

int ft_pickle_box(struct ft_pickle *p, enum ft_pickle_kind kind, struct ft_pickle_value *value)
{
    if (spend(p) < 0 || ft_grow(&p->boxes, &p->box_capacity, p->box_count + 1, sizeof *p->boxes) < 0)
        return -1;
    *value = (struct ft_pickle_value){.kind = (uint8_t)kind, .number = (uint32_t)p->box_count};
    p->boxes[p->box_count++] = (struct ft_pickle_box){0};
    return 0;
}

/* Item 0 is none, so that 0 ends a chain. */
int ft_pickle_put(struct ft_pickle *p, struct ft_pickle_value box, struct ft_pickle_value key, struct ft_pickle_value value)
{
    struct ft_pickle_box *to = p->boxes + box.number;
    uint32_t n = (uint32_t)(p->item_count ? p->item_count : 1);

    if (spend(p) < 0 || ft_grow(&p->items, &p->item_capacity, (size_t)n + 1, sizeof *p->items) < 0)
        return -1;
    p->items[n] = (struct ft_pickle_item){.key = key, .value = value};
    p->item_count = (size_t)n + 1;
    if (to->count++)
        p->items[to->last].next = n;
    else
        to->first = n;
    to->last = n;
    return 0;
}

/* ---- reading ----------------------------------------------------------------------------------------------------------------- */

static int take(struct ft_pickle *p, uint64_t size, const char **bytes)
{
    if (size > p->size - p->at)
        return ft_pickle_broken(p, "ends in the middle of an operation");
    *bytes = p->bytes + p->at;
    p->at += size;
    return 0;
}

static int number(struct ft_pickle *p, int size, uint64_t *n)
{
    const char *bytes = NULL;

    if (take(p, (uint64_t)size, &bytes) < 0)
        return -1;
    *n = 0;
    for (int i = 0; i < size; i++)
        *n |= (uint64_t)(unsigned char)bytes[i] << 8 * i;
    return 0;
}

static int line(struct ft_pickle *p, struct ft_string *text)
{
    const char *begin = p->bytes + p->at, *end = memchr(begin, '\n', p->size - p->at);

    if (!end)
        return ft_pickle_broken(p, "ends in the middle of a line");
    *text = (struct ft_string){begin, (size_t)(end - begin)};
    p->at += text->size + 1;
    return 0;
}

/* ---- operations: each gets the number that stands beside it in the table ------------------------------------------------ */

static int push_opaque(struct ft_pickle *p, int skip)
{
    const char *bytes;

    return take(p, (uint64_t)skip, &bytes) < 0 ? -1 : push(p, opaque);
}

static int push_boolean(struct ft_pickle *p, int value)
{
    return push(p, (struct ft_pickle_value){.kind = FT_PICKLE_INTEGER, .integer = value});
}

/* BININT's four bytes have a sign, its shorter forms have none. */
static int push_integer(struct ft_pickle *p, int size)
{
    uint64_t n;

    if (number(p, size, &n) < 0)
        return -1;
    return push(p, (struct ft_pickle_value){.kind = FT_PICKLE_INTEGER, .integer = size == 4 ? (int32_t)(uint32_t)n : (int64_t)n});
}

/* Two's complement, little-endian, any length. */
static int push_long(struct ft_pickle *p, int size_of_size)
{
    struct ft_pickle_value value = {.kind = FT_PICKLE_LONG};
    uint64_t size, n = 0;
    const char *bytes = NULL;

    if (number(p, size_of_size, &size) < 0 || take(p, size, &bytes) < 0)
        return -1;
    if (size > 8) {
        value.size = (uint32_t)size;
        value.text = bytes;
        return push(p, value);
    }
    for (uint64_t i = 0; i < 8; i++)
        n |= (uint64_t)(unsigned char)(i < size ? bytes[i] : size && bytes[size - 1] < 0 ? -1 : 0) << 8 * i;
    return push(p, (struct ft_pickle_value){.kind = FT_PICKLE_INTEGER, .integer = (int64_t)n});
}

/* Protocol 1 writes "00", "01" for False and True, and past 32 bits digits with an L behind. */
static int push_digits(struct ft_pickle *p, int unused)
{
    struct ft_pickle_value value = {.kind = FT_PICKLE_INTEGER};
    struct ft_string text;
    char *end;

    (void)unused;
    if (line(p, &text) < 0)
        return -1;
    if (text.size && text.data[text.size - 1] == 'L')
        text.size--;
    errno = 0;
    end = (char *)text.data;
    if (text.size && (*text.data == '-' || (*text.data >= '0' && *text.data <= '9')))   /* strtoll would pass over an empty line */
        value.integer = strtoll(text.data, &end, 10);
    if (text.size == 0 || end != text.data + text.size)
        return ft_pickle_broken(p, "a number that is none");
    if (errno == ERANGE)
        value = (struct ft_pickle_value){.kind = FT_PICKLE_LONG, .size = (uint32_t)text.size, .text = text.data};
    return push(p, value);
}

static int push_text(struct ft_pickle *p, int size_of_size)
{
    struct ft_pickle_value value = {.kind = FT_PICKLE_TEXT};
    uint64_t size;

    if (number(p, size_of_size, &size) < 0 || take(p, size, &value.text) < 0)
        return -1;
    value.size = (uint32_t)size;
    return push(p, value);
}

static int push_bytes(struct ft_pickle *p, int size_of_size)
{
    const char *bytes;
    uint64_t size;

    return number(p, size_of_size, &size) < 0 || take(p, size, &bytes) < 0 ? -1 : push(p, opaque);
}

static int push_box(struct ft_pickle *p, int kind)
{
    struct ft_pickle_value value;

    return ft_pickle_box(p, (enum ft_pickle_kind)kind, &value) < 0 ? -1 : push(p, value);
}

static int push_mark(struct ft_pickle *p, int unused)
{
    (void)unused;
    return push(p, (struct ft_pickle_value){.kind = FT_PICKLE_MARK});
}

/* Where the values since the last mark begin. */
static int since_mark(struct ft_pickle *p, size_t *first)
{
    for (size_t i = p->depth; i-- > 0;)
        if (p->stack[i].kind == FT_PICKLE_MARK) {
            *first = i + 1;
            return 0;
        }
    return ft_pickle_broken(p, "no mark before it");
}

/* Where the values begin that an operation adds: after the mark, or the `count` on top. `*end` is where the stack ends without them. */
static int added(struct ft_pickle *p, int marked, size_t count, size_t *first, size_t *end)
{
    if (marked && since_mark(p, first) < 0)
        return -1;
    *first = marked ? *first : p->depth < count ? 0 : p->depth - count;
    for (size_t i = *first; i < p->depth; i++)
        if (p->stack[i].kind == FT_PICKLE_MARK)
            return ft_pickle_broken(p, "takes a value that is not there");
    *end = marked ? *first - 1 : *first;
    return 0;
}

/* The last `count` values, or with -1 those since the mark, as one tuple. */
static int make_tuple(struct ft_pickle *p, int count)
{
    struct ft_pickle_value tuple;
    size_t first, end;

    if (added(p, count < 0, (size_t)count, &first, &end) < 0)
        return -1;
    if (count > 0 && p->depth - first < (size_t)count)
        return ft_pickle_broken(p, "takes a value that is not there");
    if (ft_pickle_box(p, FT_PICKLE_TUPLE, &tuple) < 0)
        return -1;
    for (size_t i = first; i < p->depth; i++)
        if (ft_pickle_put(p, tuple, opaque, p->stack[i]) < 0)
            return -1;
    p->depth = end;
    return push(p, tuple);
}

/* The value below `first`, to which those from there on are added. */
static int target(struct ft_pickle *p, size_t first, enum ft_pickle_kind kind, struct ft_pickle_value *to)
{
    if (first == 0 || (p->stack[first - 1].kind != kind && p->stack[first - 1].kind != FT_PICKLE_OPAQUE))
        return ft_pickle_broken(p, kind == FT_PICKLE_LIST ? "adds to what is no list" : "sets an item of what is no dictionary");
    *to = p->stack[first - 1];
    return 0;
}

/* Pairs since the mark, or the one pair on top, into the dictionary below. */
static int set_items(struct ft_pickle *p, int marked)
{
    struct ft_pickle_value to;
    size_t first, end;

    if (added(p, marked, 2, &first, &end) < 0 || target(p, end, FT_PICKLE_DICTIONARY, &to) < 0)
        return -1;
    if ((p->depth - first) % 2)
        return ft_pickle_broken(p, "a key without a value");
    for (size_t i = first; to.kind == FT_PICKLE_DICTIONARY && i < p->depth; i += 2)
        if (ft_pickle_put(p, to, p->stack[i], p->stack[i + 1]) < 0)
            return -1;
    p->depth = end;
    return 0;
}

static int append(struct ft_pickle *p, int marked)
{
    struct ft_pickle_value to;
    size_t first, end;

    if (added(p, marked, 1, &first, &end) < 0 || target(p, end, FT_PICKLE_LIST, &to) < 0)
        return -1;
    for (size_t i = first; to.kind == FT_PICKLE_LIST && i < p->depth; i++)
        if (ft_pickle_put(p, to, opaque, p->stack[i]) < 0)
            return -1;
    p->depth = end;
    return 0;
}

/* POP, POP_MARK, and FROZENSET, which leaves a value in their place. */
static int drop(struct ft_pickle *p, int unused)
{
    (void)unused;
    if (p->depth == 0)
        return ft_pickle_broken(p, "takes a value that is not there");
    p->depth--;
    return 0;
}

static int drop_marked(struct ft_pickle *p, int leave)
{
    size_t first = 0;

    if (since_mark(p, &first) < 0)
        return -1;
    p->depth = first - 1;
    return leave ? push(p, opaque) : 0;
}

/* A pickle puts what it will ask for again under numbers that follow one another; one past its own length is no number of that kind. Size 0
 * is MEMOIZE: the next number. */
static int memo_put(struct ft_pickle *p, int size)
{
    uint64_t n = p->memoized;
    size_t before = p->memo_count;

    if (size && number(p, size, &n) < 0)
        return -1;
    if (p->depth == 0 || p->stack[p->depth - 1].kind == FT_PICKLE_MARK)
        return ft_pickle_broken(p, "remembers a value that is not there");
    if (n > p->at || n >= FT_PICKLE_VALUES)
        return ft_pickle_broken(p, "remembers under a number that is too large");
    if (n >= before) {
        if (ft_grow(&p->memo, &p->memo_capacity, n + 1, sizeof *p->memo) < 0)
            return -1;
        memset(p->memo + before, 0, (n + 1 - before) * sizeof *p->memo);
        p->memo_count = n + 1;
    }
    p->memoized += p->memo[n].kind == FT_PICKLE_MARK;
    p->memo[n] = p->stack[p->depth - 1];
    return 0;
}

static int memo_get(struct ft_pickle *p, int size)
{
    uint64_t n;

    if (number(p, size, &n) < 0)
        return -1;
    if (n >= p->memo_count || p->memo[n].kind == FT_PICKLE_MARK)
        return ft_pickle_broken(p, "asks for a remembered value that is not there");
    return push(p, p->memo[n]);
}

static int name_on_lines(struct ft_pickle *p, int unused)
{
    struct ft_string module, name;
    struct ft_pickle_value value;

    (void)unused;
    return line(p, &module) < 0 || line(p, &name) < 0 || ft_pickle_name(p, module, name, &value) < 0 ? -1 : push(p, value);
}

static int name_on_stack(struct ft_pickle *p, int unused)
{
    struct ft_pickle_value module, name, value;

    (void)unused;
    if (pop(p, &name) < 0 || pop(p, &module) < 0)
        return -1;
    if (module.kind != FT_PICKLE_TEXT || name.kind != FT_PICKLE_TEXT)
        return ft_pickle_broken(p, "a name that is no text");
    if (ft_pickle_name(p, (struct ft_string){module.text, module.size}, (struct ft_string){name.text, name.size}, &value) < 0)
        return -1;
    return push(p, value);
}

/* REDUCE and NEWOBJ are the same to us; NEWOBJ_EX has a dictionary of named arguments on top. */
static int call(struct ft_pickle *p, int named)
{
    struct ft_pickle_value name, arguments, value;

    if ((named && pop(p, &value) < 0) || pop(p, &arguments) < 0 || pop(p, &name) < 0)
        return -1;
    return ft_pickle_call(p, name, arguments, &value) < 0 ? -1 : push(p, value);
}

/* BUILD gives an object its attributes: a state dict's _metadata, a parameter's requires_grad. None matters here. */
static int build(struct ft_pickle *p, int unused)
{
    struct ft_pickle_value state, object;

    (void)unused;
    if (pop(p, &state) < 0 || pop(p, &object) < 0)
        return -1;
    if (object.kind == FT_PICKLE_TENSOR && ft_pickle_count(p, state) > 3 && state.kind == FT_PICKLE_TUPLE)
        return ft_pickle_broken(p, "a tensor that is made by its attributes, as before torch 0.2, is not read");
    if (object.kind != FT_PICKLE_TENSOR && object.kind != FT_PICKLE_DICTIONARY && object.kind != FT_PICKLE_OPAQUE)
        return ft_pickle_broken(p, "attributes for what has none");
    return push(p, object);
}

static int persistent(struct ft_pickle *p, int unused)
{
    struct ft_pickle_value id, value;

    (void)unused;
    return pop(p, &id) < 0 || ft_pickle_persistent(p, id, &value) < 0 ? -1 : push(p, value);
}

/* PROTO and FRAME: their numbers tell us nothing we need. */
static int pass(struct ft_pickle *p, int size)
{
    const char *bytes;

    return take(p, (uint64_t)size, &bytes);
}

static const struct operation {
    int (*run)(struct ft_pickle *p, int argument);
    int argument;
} operations[256] = {
    [0x80] = {pass, 1},                     /* PROTO */
    [0x95] = {pass, 8},                     /* FRAME */
    ['('] = {push_mark, 0},                 /* MARK */
    ['N'] = {push_opaque, 0},               /* NONE */
    ['G'] = {push_opaque, 8},               /* BINFLOAT */
    [0x88] = {push_boolean, 1},              /* NEWTRUE */
    [0x89] = {push_boolean, 0},              /* NEWFALSE */
    ['K'] = {push_integer, 1},              /* BININT1 */
    ['M'] = {push_integer, 2},              /* BININT2 */
    ['J'] = {push_integer, 4},              /* BININT */
    ['I'] = {push_digits, 0},               /* INT */
    ['L'] = {push_digits, 0},               /* LONG */
    [0x8a] = {push_long, 1},                /* LONG1 */
    [0x8b] = {push_long, 4},                /* LONG4 */
    [0x8c] = {push_text, 1},                /* SHORT_BINUNICODE */
    ['X'] = {push_text, 4},                 /* BINUNICODE */
    [0x8d] = {push_text, 8},                /* BINUNICODE8 */
    ['U'] = {push_text, 1},                 /* SHORT_BINSTRING: Python 2's str */
    ['T'] = {push_text, 4},                 /* BINSTRING */
    ['C'] = {push_bytes, 1},                /* SHORT_BINBYTES */
    ['B'] = {push_bytes, 4},                /* BINBYTES */
    [0x8e] = {push_bytes, 8},               /* BINBYTES8 */
    [0x96] = {push_bytes, 8},               /* BYTEARRAY8 */
    [')'] = {push_box, FT_PICKLE_TUPLE},    /* EMPTY_TUPLE */
    [']'] = {push_box, FT_PICKLE_LIST},     /* EMPTY_LIST */
    ['}'] = {push_box, FT_PICKLE_DICTIONARY},   /* EMPTY_DICT */
    [0x8f] = {push_opaque, 0},              /* EMPTY_SET */
    ['t'] = {make_tuple, -1},               /* TUPLE */
    [0x85] = {make_tuple, 1},               /* TUPLE1 */
    [0x86] = {make_tuple, 2},
    [0x87] = {make_tuple, 3},
    ['s'] = {set_items, 0},                 /* SETITEM */
    ['u'] = {set_items, 1},                 /* SETITEMS */
    ['a'] = {append, 0},                    /* APPEND */
    ['e'] = {append, 1},                    /* APPENDS */
    [0x90] = {append, 1},                   /* ADDITEMS: to a set, which is opaque */
    [0x91] = {drop_marked, 1},              /* FROZENSET */
    ['0'] = {drop, 0},                      /* POP */
    ['1'] = {drop_marked, 0},               /* POP_MARK */
    ['q'] = {memo_put, 1},                  /* BINPUT */
    ['r'] = {memo_put, 4},                  /* LONG_BINPUT */
    [0x94] = {memo_put, 0},                 /* MEMOIZE */
    ['h'] = {memo_get, 1},                  /* BINGET */
    ['j'] = {memo_get, 4},                  /* LONG_BINGET */
    ['c'] = {name_on_lines, 0},             /* GLOBAL */
    [0x93] = {name_on_stack, 0},            /* STACK_GLOBAL */
    ['R'] = {call, 0},                      /* REDUCE */
    [0x81] = {call, 0},                     /* NEWOBJ */
    [0x92] = {call, 1},                     /* NEWOBJ_EX */
    ['b'] = {build, 0},                     /* BUILD */
    ['Q'] = {persistent, 0},                /* BINPERSID */
};

int ft_pickle_read(struct ft_pickle *p, struct ft_string bytes, size_t *used, struct ft_pickle_value *value)
{
    const char *code = NULL;

    p->bytes = bytes.data;
    p->size = bytes.size < FT_PICKLE_SIZE ? bytes.size : FT_PICKLE_SIZE;
    p->at = p->depth = p->memo_count = p->memoized = 0;
    for (;;) {
        const struct operation *operation;

        if (take(p, 1, &code) < 0)
            return p->size < bytes.size ? ft_fail(FT_BAD, "a pickle of more than %d bytes", FT_PICKLE_SIZE) : -1;
        if (*code == '.')
            break;
        operation = operations + (unsigned char)*code;
        if (!operation->run)
            return ft_fail(FT_BAD, "pickle, byte %zu: operation 0x%02x, which torch.save does not write", p->at - 1, (unsigned char)*code);
        if (operation->run(p, operation->argument) < 0)
            return -1;
    }
    if (pop(p, value) < 0)
        return -1;
    if (p->depth)
        return ft_pickle_broken(p, "ends with values left over");
    *used = p->at;
    return 0;
}

void ft_pickle_free(struct ft_pickle *p)
{
    free(p->stack);
    free(p->memo);
    free(p->items);
    free(p->boxes);
    free(p->storages);
    *p = (struct ft_pickle){0};
}
