/* loss.c - the table of losses, and what --loss and --miner say. Their sum is loss-compute.c.
 *
 * How to add a loss. A loss over labels is about 40 lines, by labelled.h; losses/ntxent.c is the one to copy.
 *
 *   1. Write losses/NAME.c. Begin with the formula and where it is from. Declare the settings as a table of keys (a number with limits,
 *      or a list of choices: values, errors, run.json come from it), a function `compute`, and at the end
 *      `const struct ft_loss ft_loss_NAME = {...}` with the kinds of batch it takes. compute is given finite embeddings [n, d] as the
 *      model made them and writes the mean loss and its gradient by them:
 *        - ft_units_make puts them at unit length; ft_units_backward takes the gradient back through that
 *        - ft_compare calls a function with one query's cosine distances to all candidates; it says the loss and its slope by each
 *          distance, and threads, memory, matrix products and gradients are done
 *        - ft_role_items_find tells who is anchor, positive, negative in rows of pairs and triplets; rows.h has more for rows and scores,
 *          contrast.h the softmax of infonce, gist and clip
 *      One that looks at a teacher or a guide says so by `asks`, and that it lacks one by ft_fail.
 *      Sum in double and in a fixed order. A batch that is not what it should be is ft_fail(FT_BAD, ...).
 *   2. Add X(NAME) to LOSSES below. That is all: --loss, --help, and tests know it.
 *   3. `make check`. test-loss-table.c takes every loss of the table through random batches of every kind it takes and every choice of its
 *      settings: its gradient against finite differences, equal bits for 1 and 2 threads, NaN, batches of nothing to compare. For numbers of
 *      an implementation you trust, add a case to tests/golden/loss/make.py.
 *
 * A miner is the same in miners/ and miner.c. */
#include "train/loss-internal.h"

#include <math.h>
#include <string.h>

#define LOSSES(X)            \
    X(triplet)               \
    X(supcon)                \
    X(infonce)               \
    X(gist)                  \
    X(clip)                  \
    X(siglip)                \
    X(mega_batch_margin)     \
    X(vicreg)                \
    X(cosine)                \
    X(cosent)                \
    X(angle)                 \
    X(margin_mse)            \
    X(distill_kl)            \
    X(mse)                   \
    X(arcface)               \
    X(sub_center_arcface)    \
    X(cosface)               \
    X(normalized_softmax)    \
    X(proxy_nca)             \
    X(sphereface)            \
    X(large_margin_softmax)  \
    X(proxy_anchor)          \
    X(soft_triple)           \
    X(contrastive)           \
    X(ntxent)                \
    X(multi_similarity)      \
    X(circle)                \
    X(margin)                \
    X(tuplet_margin)         \
    X(nca)                   \
    X(lifted)                \
    X(generalized_lifted)    \
    X(angular)               \
    X(fastap)                \
    X(snr_contrastive)       \
    X(intra_pair_variance)   \
    X(centroid_triplet)      \
    X(n_pairs)               \
    X(online_contrastive)

#define DECLARE(name) extern const struct ft_loss ft_loss_##name;
#define ADDRESS(name) &ft_loss_##name,
LOSSES(DECLARE)
static const struct ft_loss *const table[] = {LOSSES(ADDRESS)};

/* What a kind of batch gets when nothing is said: settings as for --loss and --miner, and the learning rate. Those of classes were chosen on
 * CLINC150's validation set (pipelines/clinc150/RESULTS). */
static const struct {
    const char *loss, *miner;
    double rate;
} defaults[] = {
    [FT_BATCH_CLASSES] = {"supcon:temperature=.05", NULL, 2e-4},
    [FT_BATCH_PAIRS] = {"infonce", NULL, 5e-5},
    [FT_BATCH_TRIPLETS] = {"infonce", NULL, 5e-5},
    [FT_BATCH_SCORED] = {"cosine", NULL, 5e-5},
    [FT_BATCH_RANDOM] = {NULL, NULL, 5e-5},
};

/* Of models that read images: the rate of any kind, and the loss of classes. Chosen on icons (pipelines/icons/RESULTS). */
static const double image_rate = 3e-4;
static const char image_loss[] = "supcon:temperature=.1";

double ft_loss_rate(enum ft_batch_kind kind, enum ft_input input)
{
    return input == FT_INPUT_IMAGE ? image_rate : defaults[kind].rate;
}

struct ft_loss_input ft_loss_input_of(const struct ft_batch *batch, const float *embedding, size_t d)
{
    return (struct ft_loss_input){
        .kind = batch->kind, .n = batch->items, .d = d, .rows = batch->rows, .embedding = embedding, .label = batch->label,
        .role = batch->role, .row = batch->row, .score = batch->score, .item_score = batch->item_score, .number = batch->number,
    };
}

const struct ft_loss *ft_loss_at(size_t i)
{
    return i < sizeof table / sizeof *table ? table[i] : NULL;
}

/* "first second third", into a fixed place; names of tables are short. */
static void names_add(char *names, size_t size, const char *name)
{
    size_t length = strlen(names), more = strlen(name);

    if (length + more + 2 > size)
        return;
    if (length)
        names[length++] = ' ';
    memcpy(names + length, name, more + 1);
}

const char *ft_loss_names(void)
{
    static _Thread_local char names[2048];

    names[0] = 0;
    for (size_t i = 0; ft_loss_at(i); i++)
        names_add(names, sizeof names, ft_loss_at(i)->name);
    return names;
}

const char *ft_miner_names(void)
{
    static _Thread_local char names[2048];

    names[0] = 0;
    for (size_t i = 0; ft_miner_at(i); i++)
        names_add(names, sizeof names, ft_miner_at(i)->name);
    return names;
}

static const struct ft_loss *loss_find(const char *name)
{
    for (size_t i = 0; ft_loss_at(i); i++)
        if (strcmp(table[i]->name, name) == 0)
            return table[i];
    ft_fail(FT_USAGE, "no loss '%s': expected one of %s", name, ft_loss_names());
    return NULL;
}

static int fail_kind(const struct ft_loss *loss, enum ft_batch_kind kind)
{
    char kinds[128] = "", losses[2048] = "";

    for (int k = FT_BATCH_CLASSES; k <= FT_BATCH_RANDOM; k++)
        if (loss->kinds & FT_LOSS_TAKES(k))
            names_add(kinds, sizeof kinds, ft_batch_kind_name(k));
    for (size_t i = 0; ft_loss_at(i); i++)
        if (table[i]->kinds & FT_LOSS_TAKES(kind))
            names_add(losses, sizeof losses, table[i]->name);
    return ft_fail(FT_USAGE, "loss %s does not take batches of %s: it takes %s; for %s there is %s", loss->name,
                   ft_batch_kind_name(kind), kinds, ft_batch_kind_name(kind), *losses ? losses : "none");
}

/* Rows of pairs and triplets are classes of their own, which no other batch has. */
static int check_memory_kind(const struct ft_loss *loss, enum ft_batch_kind kind)
{
    if (kind == FT_BATCH_CLASSES || kind == FT_BATCH_RANDOM)
        return 0;
    return ft_fail(FT_USAGE, "loss %s: memory_size goes by labels, and batches of %s have none", loss->name, ft_batch_kind_name(kind));
}

/* One "[W*]NAME:key=value,..." */
static int loss_parse(struct ft_losses *losses, const char *text)
{
    struct ft_chosen *chosen = &losses->losses[losses->count];
    const char *star = strchr(text, '*'), *colon = strchr(text, ':');
    struct ft_setting setting;
    char weight[64];

    chosen->weight = 1;
    if (star && (!colon || star < colon)) {
        size_t size = (size_t)(star - text);

        if (size >= sizeof weight)
            return ft_fail(FT_USAGE, "loss '%s': expected WEIGHT*NAME:key=value,...", text);
        memcpy(weight, text, size);
        weight[size] = 0;
        if (ft_number_parse(weight, &chosen->weight) < 0)
            return ft_error_prefix("loss '%s': weight ", text);
        if (!isfinite(chosen->weight) || chosen->weight < 0)
            return ft_fail(FT_USAGE, "loss '%s': weight %s: expected a number of 0 or more", text, weight);
        text = star + 1;
    }
    if (ft_setting_parse(&setting, text) < 0 || !(chosen->loss = loss_find(setting.name)))
        return -1;
    if (!losses->any && !(chosen->loss->kinds & FT_LOSS_TAKES(losses->kind)))
        return fail_kind(chosen->loss, losses->kind);
    losses->count++;
    if (ft_wrappers_take(&setting, chosen) < 0 || ft_setting_keys_read(&setting, chosen->loss->keys, chosen->value) < 0 ||
        ft_wrappers_check(chosen) < 0 || (chosen->memory && !losses->any && check_memory_kind(chosen->loss, losses->kind) < 0))
        return -1;
    return chosen->loss->check ? chosen->loss->check(chosen->value) : 0;
}

static int miner_parse(struct ft_losses *losses, const char *text)
{
    struct ft_setting setting;

    if (losses->miner && !losses->any)   /* data sets may have one each */
        return ft_fail(FT_USAGE, "two miners, %s and %s: expected one", losses->miner->name, text);
    if (ft_setting_parse(&setting, text) < 0 || !(losses->miner = ft_miner_find(setting.name)) ||
        ft_setting_keys_read(&setting, losses->miner->keys, losses->miner_value) < 0)
        return -1;
    return losses->miner->check ? losses->miner->check(losses->miner_value) : 0;
}

/* A word of an item of --loss; ft_losses_text writes the miner as one of them. */
static int word_parse(struct ft_losses *losses, const char *word)
{
    if (strncmp(word, "miner=", 6) == 0)
        return miner_parse(losses, word + 6);
    if (losses->any && ft_loss_set_size(word))
        word += ft_loss_set_size(word) + 1;
    return loss_parse(losses, word);
}

static int item_parse(struct ft_arena *arena, struct ft_losses *losses, const char *item)
{
    size_t words = 0, size;
    struct ft_chosen *more;

    for (const char *p = item; *(p += strspn(p, " ")); p += strcspn(p, " "))
        words++;
    if (words == 0)
        return ft_fail(FT_USAGE, "an empty loss: expected one of %s", ft_loss_names());
    more = ft_arena_zero(arena, losses->count + words, sizeof *more);
    if (!more)
        return -1;
    if (losses->count)
        memcpy(more, losses->losses, losses->count * sizeof *more);
    losses->losses = more;
    for (const char *p = item; *(p += strspn(p, " ")); p += size) {
        char *word = ft_arena_text(arena, (struct ft_string){p, size = strcspn(p, " ")});

        if (!word || word_parse(losses, word) < 0)
            return -1;
    }
    return 0;
}

/* A miner that no loss asks is a wish that would be silently ignored. */
static int check_miner(const struct ft_losses *losses)
{
    char names[2048] = "";

    if (!losses->miner)
        return 0;
    for (size_t i = 0; i < losses->count; i++)
        if (losses->losses[i].loss->mined & FT_LOSS_TAKES(losses->kind))
            return 0;
    for (size_t i = 0; ft_loss_at(i); i++)
        if (table[i]->mined & FT_LOSS_TAKES(losses->kind))
            names_add(names, sizeof names, table[i]->name);
    if (*names)
        return ft_fail(FT_USAGE, "miner %s: no loss given uses a miner: expected %s among them", losses->miner->name, names);
    return ft_fail(FT_USAGE, "miner %s: batches of %s need none, their rows say what to compare", losses->miner->name,
                   ft_batch_kind_name(losses->kind));
}

struct ft_losses *ft_losses_parse(struct ft_arena *arena, enum ft_batch_kind kind, const struct ft_list *loss, const char *miner)
{
    struct ft_losses *losses = ft_arena_zero(arena, 1, sizeof *losses);
    size_t given = loss ? loss->count : 0;

    if (!losses)
        return NULL;
    losses->kind = kind;
    for (size_t i = 0; i < given; i++)
        if (item_parse(arena, losses, loss->items[i]) < 0)
            return NULL;
    if (miner && miner_parse(losses, miner) < 0)
        return NULL;
    if (losses->count == 0 && losses->miner && (kind == FT_BATCH_CLASSES || kind == FT_BATCH_RANDOM)) {
        if (item_parse(arena, losses, "triplet") < 0)   /* what miners are mostly for */
            return NULL;
    } else if (losses->count == 0) {
        if (!defaults[kind].loss) {
            ft_fail(FT_USAGE, "%s batches have no loss of their own, as nothing says what belongs together: "
                    "give labels, pairs or scores, or, where there are labels, ft-sample --classes", ft_batch_kind_name(kind));
            return NULL;
        }
        if (item_parse(arena, losses, defaults[kind].loss) < 0 ||
            (defaults[kind].miner && miner_parse(losses, defaults[kind].miner) < 0))
            return NULL;
    }
    return check_miner(losses) < 0 ? NULL : losses;
}

struct ft_losses *ft_losses_parse_for(struct ft_arena *arena, enum ft_batch_kind kind, enum ft_input input, const struct ft_list *loss, const char *miner)
{
    const char *items[] = {image_loss};
    const struct ft_list images = {items, 1};
    bool own = input == FT_INPUT_IMAGE && kind == FT_BATCH_CLASSES && !miner && !(loss && loss->count);

    return ft_losses_parse(arena, kind, own ? &images : loss, miner);
}

struct ft_losses *ft_losses_parse_any(struct ft_arena *arena, const struct ft_list *loss)
{
    struct ft_losses *losses = ft_arena_zero(arena, 1, sizeof *losses);

    if (!losses)
        return NULL;
    losses->any = true;
    for (size_t i = 0; i < loss->count; i++)
        if (item_parse(arena, losses, loss->items[i]) < 0)
            return NULL;
    return losses;
}

static int losses_print(struct ft_buffer *out, const struct ft_losses *losses)
{
    for (size_t i = 0; i < losses->count; i++) {
        const struct ft_chosen *chosen = &losses->losses[i];

        if (i && ft_buffer_print(out, " ") < 0)
            return -1;
        if (chosen->weight != 1 && (ft_number_print(out, chosen->weight) < 0 || ft_buffer_print(out, "*") < 0))
            return -1;
        if (ft_setting_keys_print(out, chosen->loss->name, chosen->loss->keys, chosen->value) < 0 || ft_wrappers_print(out, chosen) < 0)
            return -1;
    }
    if (!losses->miner)
        return 0;
    if (ft_buffer_print(out, " miner=") < 0)
        return -1;
    return ft_setting_keys_print(out, losses->miner->name, losses->miner->keys, losses->miner_value);
}

/* All settings, defaults too, so that a run stays what it was when a default changes. One item of --loss, parts separated by blanks. */
const char *ft_losses_text(struct ft_arena *arena, const struct ft_losses *losses)
{
    struct ft_buffer out = {0};
    const char *text = NULL;

    if (losses_print(&out, losses) == 0)
        text = ft_arena_text(arena, (struct ft_string){out.data, out.size});
    ft_buffer_free(&out);
    return text;
}

unsigned ft_losses_asks(const struct ft_losses *losses)
{
    unsigned asks = 0;

    for (size_t i = 0; i < losses->count; i++)
        if (losses->losses[i].loss->asks)
            asks |= losses->losses[i].loss->asks(losses->losses[i].value);
    return asks;
}
