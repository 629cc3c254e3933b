/* test-loss-table.c - what every loss of the table must do, whoever wrote it: for each kind of batch it takes, each choice of its settings and
 * each miner it may have: gradients, by the embeddings and by what it learns, against finite differences, the same bits for 1 and 2 threads, NaN seen, nothing to compare survived. */
#include "../tap.h"
#include "batches.h"
#include "train/miner.h"

#include "base/pool.h"

#include <sys/wait.h>
#include <unistd.h>

enum { TRIES = 30, TRIES_MINED = 10, DIM = 6, ROWS = 12, MOST = 4096 };

static float moved[MOST], scrap[MOST];

/* What a try moves: a row of the embeddings, or of what the loss learns. */
struct place {
    bool weights;
    size_t first, count;
};

static struct place place_of(const struct made *made, bool weights, uint64_t *state)
{
    size_t word = (size_t)(made_word(state) + 1000), d = made->input.d;
    const struct ft_loss_tensor *t = &made->layout.tensor[weights ? word % made->layout.count : 0];

    if (!weights)
        return (struct place){false, word % made->input.n * d, d};
    return (struct place){true, t->first + word / made->layout.count % t->rows * t->columns, t->columns};
}

static int evaluate(const struct ft_losses *losses, const struct made *made, const struct place *place, const float *step, double size,
                    double *value, uint64_t *counted)
{
    struct ft_loss_input input = made->input;
    const float *from = place->weights ? made->weights : made->embedding;
    size_t count = place->weights ? made->layout.floats : input.n * input.d;

    memcpy(moved, from, count * sizeof *moved);
    for (size_t k = 0; k < place->count; k++)
        moved[place->first + k] = (float)(from[place->first + k] + size * step[k]);
    if (place->weights)
        input.weights = moved;
    else
        input.embedding = moved;
    return ft_losses_compute(losses, &input, value, scrap, counted);
}

/* One try: the derivative along a random move of one row. 1 agrees, 0 does not, -1 cannot say: the loss has a kink or a jump here (a
 * term began or ceased to count, a miner chose another), which the counts or slopes that do not lie on a line give away. */
static int directional(const struct ft_losses *losses, const struct made *made, bool weights, uint64_t *state, double h)
{
    static float step[MOST], gradient[MOST];
    struct place place = place_of(made, weights, state);
    double value[5], slope = 0, square = 0, length = 0, wanted, slopes[4], allowed;
    uint64_t counted[5];

    for (size_t k = 0; k < place.count; k++)
        step[k] = (float)(made_word(state) / 1000.0);
    if (ft_losses_compute(losses, &made->input, &value[2], gradient, &counted[2]) < 0)
        return 0;
    for (size_t k = 0; k < place.count; k++) {
        double g = (weights ? made->weights_gradient : gradient)[place.first + k];

        slope += g * step[k];
        square += g * g;
        length += (double)step[k] * step[k];
    }
    for (int i = 0; i < 5; i++)
        if (evaluate(losses, made, &place, step, (i - 2) * h, &value[i], &counted[i]) < 0)
            return 0;
    allowed = .01 * sqrt(square * length) + 2e-4;
    for (int i = 0; i < 4; i++)
        slopes[i] = (value[i + 1] - value[i]) / h;
    for (int i = 0; i < 5; i++)
        if (counted[i] != counted[2])
            return -1;
    if (fabs(slopes[0] - 2 * slopes[1] + slopes[2]) > allowed || fabs(slopes[1] - 2 * slopes[2] + slopes[3]) > allowed)
        return -1;
    wanted = (value[0] - 8 * value[1] + 8 * value[3] - value[4]) / (12 * h);
    return fabs(slope - wanted) <= allowed;
}

static void check_gradient(enum ft_batch_kind kind, const char *loss, const char *miner, bool weights)
{
    int agree = 0, differ = 0, tries = miner ? TRIES_MINED : TRIES;

    for (int i = 0; i < tries; i++) {
        struct made made;
        const struct ft_losses *losses;
        int rc = -1;

        made_random(&made, kind, ROWS, DIM, 1000 + (uint64_t)i);
        losses = made_losses(&made.arena, kind, loss, miner);
        if (!losses || !made_weights(&made, losses))
            rc = 0;
        for (double h = .008; rc < 0 && h > .0009; h /= 2) {
            uint64_t state = 77 + (uint64_t)i;

            rc = directional(losses, &made, weights, &state, h);
        }
        agree += rc == 1;
        differ += rc == 0;
        ft_arena_free(&made.arena);
    }
    ok(differ == 0 && agree >= tries / 3, "gradient of %s %s over %s by %s by finite differences (%d of %d agree, %d differ)", loss,
       miner ? miner : "", ft_batch_kind_name(kind), weights ? "what it learns" : "embeddings", agree, tries, differ);
}

/* Does it learn anything, with these settings? */
static bool learns(enum ft_batch_kind kind, const char *loss)
{
    struct made made;
    const struct ft_losses *losses;
    bool any;

    made_random(&made, kind, ROWS, DIM, 5);
    losses = made_losses(&made.arena, kind, loss, NULL);
    any = losses && made_weights(&made, losses) && made.layout.learnt;
    ft_arena_free(&made.arena);
    return any;
}

static void check_nan(enum ft_batch_kind kind, const char *loss, const char *miner)
{
    struct made made;
    const struct ft_losses *losses;
    double value = 0, all = 0;
    bool seen = true;

    made_random(&made, kind, ROWS, DIM, 5);
    losses = made_losses(&made.arena, kind, loss, miner);
    seen = losses && made_weights(&made, losses);
    for (size_t i = 0; losses && i < made.input.n; i++) {
        float *place = &made.embedding[i * DIM + i % DIM], before = *place;

        *place = i % 2 ? NAN : INFINITY;
        seen = seen && ft_losses_compute(losses, &made.input, &value, scrap, NULL) == 0 && isnan(value) && isnan(scrap[0]);
        *place = before;
        all += value;
    }
    ok(losses && seen && isnan(all), "%s %s over %s: NaN or infinity in any item gives NaN", loss, miner ? miner : "", ft_batch_kind_name(kind));
    ft_arena_free(&made.arena);
}

/* All items equal; all zero; one row. Finite, and no gradient where there is no direction. */
static void check_degenerate(enum ft_batch_kind kind, const char *loss, const char *miner)
{
    bool good = true;

    for (int how = 0; how < 3; how++) {
        struct made made;
        const struct ft_losses *losses;
        double value = NAN;

        made_random(&made, kind, how == 2 ? 1 : ROWS, DIM, 6);
        for (size_t i = 0; how < 2 && i < made.input.n * DIM; i++)
            made.teacher[i] = made.embedding[i] = how == 0 ? (float)(i % DIM) - 2.5f : 0;
        losses = made_losses(&made.arena, kind, loss, miner);
        good = good && losses && made_weights(&made, losses) && ft_losses_compute(losses, &made.input, &value, scrap, NULL) == 0 && isfinite(value) && value >= 0;
        for (size_t i = 0; i < made.input.n * DIM; i++)
            good = good && isfinite(scrap[i]) && (how != 1 || scrap[i] == 0) && fabsf(scrap[i]) < 1e3f;
        for (size_t i = 0; i < made.layout.learnt; i++)
            good = good && isfinite(made.weights_gradient[i]) && fabsf(made.weights_gradient[i]) < 1e3f;
        ft_arena_free(&made.arena);
    }
    ok(good, "%s %s over %s: equal items, zero items, one row", loss, miner ? miner : "", ft_batch_kind_name(kind));
}

static void check_all(enum ft_batch_kind kind, const struct ft_loss *which, const char *loss, const char *miner)
{
    if (!which->held)          /* golden numbers hold those */
        check_gradient(kind, loss, miner, false);
    if (learns(kind, loss))
        check_gradient(kind, loss, miner, true);
    check_nan(kind, loss, miner);
    check_degenerate(kind, loss, miner);
}

/* "loss:key=choice" for every choice of every key that has choices, and for numbers their default and twice that. */
static void each_setting(const struct ft_loss *loss, enum ft_batch_kind kind, const char *miner)
{
    char text[160];

    check_all(kind, loss, loss->name, miner);
    if (!loss->tensors) {
        snprintf(text, sizeof text, "%s:matryoshka_dims=%d+4,matryoshka_weights=1+.5", loss->name, DIM);
        check_all(kind, loss, text, miner);
    }
    for (const struct ft_setting_key *key = loss->keys; key->name; key++) {
        if (!key->choices) {
            snprintf(text, sizeof text, "%s:%s=%g", loss->name, key->name, fmin(key->high, 2 * key->otherwise));
            check_all(kind, loss, text, miner);
            continue;
        }
        for (const char *p = key->choices; p && *p; p += strcspn(p, " "), p += *p == ' ') {
            snprintf(text, sizeof text, "%s:%s=%.*s", loss->name, key->name, (int)strcspn(p, " "), p);
            if (kind != FT_BATCH_CLASSES && kind != FT_BATCH_RANDOM && !loss->unlabelled && learns(kind, text))
                continue;   /* what is learnt goes by labels */
            check_all(kind, loss, text, miner);
        }
    }
}

/* Threads are chosen once a process, so each number of them has one; it sends what it computed. Sizes that make many pieces of work, and blocks. */
static void child(int threads, int fd)
{
    ft_pool_set_threads(threads);
    for (size_t i = 0; ft_loss_at(i); i++)
        for (int kind = FT_BATCH_CLASSES; kind <= FT_BATCH_RANDOM; kind++)
            for (size_t m = 0; m == 0 || (ft_loss_at(i)->mined & FT_LOSS_TAKES(kind) && ft_miner_at(m)); m++) {
                static float gradient[1 << 16];
                struct made made;
                const struct ft_losses *losses;
                const char *miner = ft_loss_at(i)->mined & FT_LOSS_TAKES(kind) ? ft_miner_at(m)->name : NULL;
                double value = -1;
                size_t count;

                if (!(ft_loss_at(i)->kinds & FT_LOSS_TAKES(kind)))
                    continue;
                made_random(&made, kind, kind == FT_BATCH_CLASSES ? 1100 : 333, 7, 8);
                count = made.input.n * made.input.d;
                losses = made_losses(&made.arena, kind, ft_loss_at(i)->name, miner);
                if (!losses || !made_weights(&made, losses) || ft_losses_compute(losses, &made.input, &value, gradient, NULL) < 0)
                    _exit(1);
                if (write(fd, &value, sizeof value) < 0 || write(fd, gradient, count * sizeof *gradient) < 0 ||
                    write(fd, made.weights_gradient, made.layout.learnt * sizeof(float)) < 0)
                    _exit(1);
                ft_arena_free(&made.arena);
            }
    _exit(0);
}

static FILE *run_child(int threads, bool *good)
{
    FILE *file = tmpfile();
    int status = -1;
    pid_t pid = file ? fork() : -1;

    if (pid == 0)
        child(threads, fileno(file));
    *good = pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
    return file;
}

static void check_threads(void)
{
    bool good_one, good_two, equal = true;
    FILE *one = run_child(1, &good_one), *two = run_child(2, &good_two);
    long bytes = 0;

    if (!ok(one && two && good_one && good_two, "losses run with 1 and 2 threads"))
        return;
    rewind(one);
    rewind(two);
    for (int a, b; (a = getc(one)), (b = getc(two)), equal = equal && a == b, a != EOF && b != EOF;)
        bytes++;
    ok(equal && bytes > 100000, "losses and gradients have the same bits with 1 and 2 threads (%ld bytes)", bytes);
    fclose(one);
    fclose(two);
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    check_threads();
    for (size_t i = 0; ft_loss_at(i); i++)
        for (int kind = FT_BATCH_CLASSES; kind <= FT_BATCH_RANDOM; kind++) {
            const struct ft_loss *loss = ft_loss_at(i);

            if (!(loss->kinds & FT_LOSS_TAKES(kind)))
                continue;
            each_setting(loss, kind, NULL);
            for (size_t m = 0; loss->mined & FT_LOSS_TAKES(kind) && ft_miner_at(m); m++)
                check_all(kind, loss, loss->name, ft_miner_at(m)->name);
        }
    return done();
}
