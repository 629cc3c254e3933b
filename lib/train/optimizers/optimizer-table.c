/* optimizer-table.c - the table of optimizers, and what --optimizer says.
 *
 * How to add an optimizer; optimizers/adamax.c is the one to copy.
 *
 *   1. Write optimizers/NAME.c: the formula and its source on top, a table of keys, how many blocks of state it keeps, `prepare` (what all
 *      elements of a parameter have in common at a step, worked out in double) and `update` (a loop over elements that the compiler
 *      vectorises), and at the end `const struct ft_optimizer_kind ft_optimizer_NAME = {...}`. An element without gradient and state must
 *      stay where it is but for the decay: that is what lets untouched rows of the word table alone.
 *   2. X(NAME) in OPTIMIZERS below.
 *   3. A case in tests/golden/optimizer/make.py, and `make check`: test-optimizer.c takes every optimizer of the table against torch's numbers
 *      there, against its own dense update, through 1 to 8 threads, and through stopping and going on.
 *   4. Its name and keys in man/ft-train.1. */
#include "train/optimizers/optimizers.h"

#include <string.h>

#define OPTIMIZERS(X) \
    X(adamw)          \
    X(adam)           \
    X(sgd)            \
    X(adagrad)        \
    X(rmsprop)        \
    X(adamax)         \
    X(nadam)          \
    X(radam)          \
    X(adafactor)      \
    X(lamb)           \
    X(adadelta)       \
    X(asgd)           \
    X(rprop)

#define DECLARE(name) extern const struct ft_optimizer_kind ft_optimizer_##name;
#define ADDRESS(name) &ft_optimizer_##name,
#define NAME(name) " " #name
OPTIMIZERS(DECLARE)
static const struct ft_optimizer_kind *const kinds[] = {OPTIMIZERS(ADDRESS)};

const char *ft_optimizer_names(void)
{
    return &OPTIMIZERS(NAME)[1];
}

const char *ft_optimizer_name_at(size_t i)
{
    return i < sizeof kinds / sizeof *kinds ? kinds[i]->name : NULL;
}

int ft_optimizer_parse(struct ft_optimizer_settings *s, const char *text)
{
    struct ft_setting setting;
    size_t i = 0;

    if (ft_setting_parse(&setting, text) < 0)
        return -1;
    while (i < sizeof kinds / sizeof *kinds && strcmp(kinds[i]->name, setting.name) != 0)
        i++;
    if (i == sizeof kinds / sizeof *kinds)
        return ft_fail(FT_USAGE, "unknown optimizer '%s': known are %s", setting.name, ft_optimizer_names());
    *s = (struct ft_optimizer_settings){.kind = kinds[i]};
    if (ft_setting_keys_read(&setting, s->kind->keys, s->value) < 0)
        return -1;
    return s->kind->check ? s->kind->check(s->value) : 0;
}

/* The place of the key "decay", or -1. */
static int decay_key(const struct ft_optimizer_kind *kind)
{
    for (int i = 0; kind->keys[i].name; i++)
        if (strcmp(kind->keys[i].name, "decay") == 0)
            return i;
    return -1;
}

bool ft_optimizer_decays(const struct ft_optimizer_settings *settings)
{
    return decay_key(settings->kind) >= 0;
}

double ft_optimizer_decay(const struct ft_optimizer_settings *settings)
{
    int key = decay_key(settings->kind);

    return key < 0 ? 0 : settings->value[key];
}
