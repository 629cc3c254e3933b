/* pickle.h - Python's pickles read, never run: what torch.save writes becomes texts, numbers, containers and descriptions of tensors.
 *
 * A pickle is a program for a stack machine, and two of its operations (GLOBAL, REDUCE) name any function of Python's and call it. Here the
 * machine knows a table of names and what each stands for: dictionaries, the ways a tensor is put together, types of numbers. Nothing is ever
 * called. Another name ends the reading and is told. The table also has names that stand beside weights in honest checkpoints (a numpy number,
 * an argparse.Namespace): they become values that nobody can look into. They could not harm, nor could any other; the table is short so that who
 * gets a file with an odd name in it hears of it.
 *
 * Protocols 1 to 5, also as Python 2 wrote them; protocol 0 cannot hold a tensor. https://docs.python.org/3/library/pickletools.html */
#ifndef FT_MODEL_WEIGHTS_PICKLE_H
#define FT_MODEL_WEIGHTS_PICKLE_H

#include "base/memory.h"

/* The longest key of a storage and name of a tensor. One long text can stand for a million of them, and they are sorted. */
enum { FT_PICKLE_NAME = 1024 };

/* Longest pickle, and most values and places of containers that it may make: more than a checkpoint of a hundred thousand tensors asks for. */
enum { FT_PICKLE_SIZE = 100 << 20, FT_PICKLE_VALUES = 1 << 23 };

enum ft_pickle_kind {
    FT_PICKLE_MARK,          /* the machine's own */
    FT_PICKLE_OPAQUE,        /* None, numbers that are no whole numbers, bytes, sets, objects: nothing is known of it */
    FT_PICKLE_INTEGER,       /* `integer`; also True and False */
    FT_PICKLE_LONG,          /* `text`, `size`: a whole number past 64 bits, as the file has it */
    FT_PICKLE_TEXT,          /* `text`, `size`: inside the pickle */
    FT_PICKLE_TUPLE,         /* `number` of its box: so for the next two */
    FT_PICKLE_LIST,
    FT_PICKLE_DICTIONARY,
    FT_PICKLE_GLOBAL,        /* `number` in the table of names */
    FT_PICKLE_STORAGE,       /* `number` in pickle->storages */
    FT_PICKLE_TENSOR,        /* `number` of the box that holds the arguments of its making, `version` of that function */
};

struct ft_pickle_value {
    uint8_t kind;            /* enum ft_pickle_kind */
    uint8_t version;
    union { uint32_t size, number; };
    union { int64_t integer; const char *text; };
};

/* A container's places, one after another: tuples and lists have values only. */
struct ft_pickle_item {
    struct ft_pickle_value key, value;
    uint32_t next;           /* 0: none */
};
struct ft_pickle_box {
    uint32_t first, last, count;
};

/* A type of numbers under the name safetensors gives it. */
struct ft_torch_type {
    const char *storage, *name;     /* "FloatStorage", "float32" in module torch; NULL: none */
    const char *dtype;              /* "F32"; NULL: safetensors cannot hold it */
    size_t size;                    /* bytes of one */
};

/* Where a tensor's numbers lie: what the file says of it, and, once its reader has found them, the bytes. */
struct ft_pickle_storage {
    const struct ft_torch_type *type;
    struct ft_string key;
    uint64_t count;                 /* numbers in the storage `key` */
    uint64_t begin, length;         /* numbers of it that this is; all, except in files of torch 0.3 and before */
    struct ft_string bytes;         /* of the whole storage; data NULL: not found yet */
};

struct ft_pickle {
    const char *bytes;
    size_t size, at;
    struct ft_pickle_value *stack, *memo;
    size_t depth, stack_capacity, memo_count, memo_capacity, memoized;
    struct ft_pickle_item *items;
    struct ft_pickle_box *boxes;
    struct ft_pickle_storage *storages;
    size_t item_count, item_capacity, box_count, box_capacity, storage_count, storage_capacity;
    size_t made;                    /* against FT_PICKLE_VALUES */
};

/* Read the pickle at the beginning of `bytes`, which outlive the result; `*used` is where it ends. Values, boxes and storages of earlier calls stay
 * (a legacy file is five pickles). FT_BAD says at which byte. `pickle` is zero at first and is given back by ft_pickle_free. */
int ft_pickle_read(struct ft_pickle *pickle, struct ft_string bytes, size_t *used, struct ft_pickle_value *value);
void ft_pickle_free(struct ft_pickle *pickle);

/* Item n of a tuple or list, NULL when there is none or `value` is no container. */
const struct ft_pickle_value *ft_pickle_at(const struct ft_pickle *pickle, struct ft_pickle_value value, size_t n);

/* What a dictionary holds under `key`, the last of several; NULL: nothing, or no dictionary. */
const struct ft_pickle_value *ft_pickle_get(const struct ft_pickle *pickle, struct ft_pickle_value value, const char *key);

size_t ft_pickle_count(const struct ft_pickle *pickle, struct ft_pickle_value value);   /* of a container; 0 of anything else */

/* Which type a tensor's numbers have, and where they lie in its storage: what its making was given, checked against the storage's size. Strides are
 * counted in numbers. */
struct ft_pickle_tensor {
    const struct ft_pickle_storage *storage;
    const struct ft_torch_type *type;
    int rank;
    uint64_t offset, count;         /* bytes from the beginning of the storage `key`; numbers */
    uint64_t shape[8], stride[8];
    bool contiguous;                /* the tensor's numbers lie one after another, in order */
};
int ft_pickle_tensor(const struct ft_pickle *pickle, struct ft_pickle_value value, struct ft_pickle_tensor *tensor);

/* Between pickle.c and pickle-names.c: a name looked up, an object made by it (REDUCE, NEWOBJ), a storage (BINPERSID). */
int ft_pickle_name(struct ft_pickle *pickle, struct ft_string module, struct ft_string name, struct ft_pickle_value *value);
int ft_pickle_call(struct ft_pickle *pickle, struct ft_pickle_value name, struct ft_pickle_value arguments, struct ft_pickle_value *value);
int ft_pickle_persistent(struct ft_pickle *pickle, struct ft_pickle_value id, struct ft_pickle_value *value);
int ft_pickle_box(struct ft_pickle *pickle, enum ft_pickle_kind kind, struct ft_pickle_value *value);    /* an empty one */
int ft_pickle_put(struct ft_pickle *pickle, struct ft_pickle_value box, struct ft_pickle_value key, struct ft_pickle_value value);
int ft_pickle_broken(const struct ft_pickle *pickle, const char *what);      /* FT_BAD: "pickle, byte N: WHAT" */

#endif
