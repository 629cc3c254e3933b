/* test-miners.c - miners that draw: chances against pytorch-metric-learning's (tests/golden/loss/draws.txt, made by make-draws.py there), the
 * same draws for the same seed and batch, others for others. What the other miners choose is held by test-loss.c. */
#include "../tap.h"
#include "batches.h"
#include "train/miner.h"

enum { N = 12, D = 6, DRAWS = 4000 };

static int32_t label[N];
static struct made made;

static void bail(const char *what)
{
    printf("Bail out! tests/golden/loss/draws.txt: %s\n", what);
    exit(1);
}

/* What `text` chooses of the batch. All from the arena. */
static const struct ft_labelled *mine(struct ft_arena *arena, const char *text, uint64_t seed, uint64_t number)
{
    struct ft_labelled *batch = ft_arena_zero(arena, 1, sizeof *batch);
    struct ft_loss_call call = {.input = &made.input};
    struct ft_setting setting;

    made.input.seed = seed;
    made.input.number = number;
    if (!batch || ft_setting_parse(&setting, text) < 0 || !(call.miner = ft_miner_find(setting.name)) ||
        ft_setting_keys_read(&setting, call.miner->keys, call.miner_value) < 0 ||
        ft_labelled_open(arena, batch, &call, &(struct ft_labelled_loss){.distance = FT_BY_EUCLIDEAN}) < 0)
        bail(ft_error());
    return batch;
}

/* Negatives drawn over many batches, as shares of their anchor's; positives evenly; as many triplets an anchor as its class has items. */
static void check_chances(FILE *file)
{
    static double want[N][N], got[N][N];
    char keys[128], text[160];
    double worst = 0;
    bool sizes = true, chosen = true, even = true;

    if (fscanf(file, "%127s", keys) != 1)
        bail("no keys");
    for (int i = 0; i < N * N; i++)
        if (fscanf(file, "%lf", &want[i / N][i % N]) != 1)
            bail("no weight");
    memset(got, 0, sizeof got);
    snprintf(text, sizeof text, "distance-weighted%s%s", *keys == '-' ? "" : ":", *keys == '-' ? "" : keys);
    for (uint64_t b = 0; b < DRAWS; b++) {
        struct ft_arena arena = {0};
        const struct ft_labelled *batch = mine(&arena, text, 3, b);

        for (size_t a = 0; a < N; a++) {
            size_t class = batch->first[label[a] + 1] - batch->first[label[a]], first = batch->mined->first[a], last = batch->mined->first[a + 1];
            double sum = 0;

            for (int j = 0; j < N; j++)
                sum += want[a][j];
            sizes = sizes && last - first == (class > 1 && sum > 0 ? class : 0);
            for (size_t i = first; i < last; i++) {
                const struct ft_triplet *t = &batch->mined->list[i];

                chosen = chosen && t->anchor == a && t->positive != a && label[t->positive] == label[a] && want[a][t->negative] > 0;
                got[a][t->negative] += 1 / (double)class / DRAWS;
                got[a][t->positive] += 1 / (double)class / DRAWS;
            }
        }
        ft_arena_free(&arena);
    }
    for (int a = 0; a < N; a++)
        for (int j = 0; j < N; j++) {
            int class = 0;

            for (int k = 0; k < N; k++)
                class += label[k] == label[a];
            if (label[j] != label[a] && class > 1)
                worst = fmax(worst, fabs(got[a][j] - want[a][j]));
            else if (j != a && got[a][j] > 0)
                even = even && fabs(got[a][j] - 1. / (class - 1)) < .03;
        }
    ok(sizes && chosen, "%s: as many triplets an anchor as its class has, of its class and of others", text);
    ok(worst < .03 && even, "%s: negatives as often as PML's chances, positives evenly (worst %.3f)", text, worst);
}

static void check_bins(FILE *file, int part)
{
    char text[160];
    int bins, per, drawn, where[N][N], in_bin[64] = {0}, wanted = 0;
    bool right = true;
    struct ft_arena arena = {0};
    const struct ft_labelled *batch;

    if (fscanf(file, "%d %d %d", &bins, &per, &drawn) != 3)
        bail("no bins");
    for (int i = 0; i < N * N; i++)
        if (fscanf(file, "%d", &where[i / N][i % N]) != 1)
            bail("no bin");
    snprintf(text, sizeof text, "uniform-histogram:num_bins=%d,pos_per_bin=%d,neg_per_bin=%d", bins, per, per);
    batch = mine(&arena, text, 3, 1);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            int count = (int)batch->mined->count[i * N + j];

            if ((label[i] != label[j]) != part)
                continue;
            right = right && (count == 0 || where[i][j] >= 0);
            if (where[i][j] >= 0)
                in_bin[where[i][j]] += count;
            wanted += count;
        }
    for (int b = 0; b < bins; b++)
        right = right && (in_bin[b] == 0 || in_bin[b] == per);
    ok(right && wanted == drawn, "%s: %d %s, %d from each bin that is not empty", text, drawn, part ? "negatives" : "positives", per);
    ft_arena_free(&arena);
}

static bool same(const char *text, uint64_t seed, uint64_t number, uint64_t other_seed, uint64_t other_number)
{
    struct ft_arena arena = {0};
    const struct ft_labelled *a = mine(&arena, text, seed, number), *b = mine(&arena, text, other_seed, other_number);
    bool equal = memcmp(a->mined->count, b->mined->count, N * N * sizeof *a->mined->count) == 0;

    ft_arena_free(&arena);
    return equal;
}

static void check_seeds(const char *text)
{
    ok(same(text, 1, 2, 1, 2), "%s: a seed and a batch's number give the same draws", text);
    ok(!same(text, 1, 2, 3, 2), "%s: another seed others", text);
    ok(!same(text, 1, 2, 1, 3), "%s: another batch others", text);
}

int main(void)
{
    FILE *file = fopen("tests/golden/loss/draws.txt", "r");
    unsigned long n, d, seed;
    uint64_t state;
    char word[32];

    if (!file || fscanf(file, "batch %lu %lu %lu", &n, &d, &seed) != 3 || n != N || d != D)
        bail("cannot read: run from the top of the tree");
    for (int i = 0; i < N; i++)
        if (fscanf(file, "%d", &label[i]) != 1)
            bail("no label");
    state = seed;
    made_init(&made, FT_BATCH_CLASSES, N, D, N);
    made_fill(&made, &state);
    made.input.label = label;
    while (fscanf(file, "%31s", word) == 1)
        if (strcmp(word, "weights") == 0)
            check_chances(file);
        else
            check_bins(file, strcmp(word, "negatives") == 0);
    fclose(file);
    check_seeds("distance-weighted");
    check_seeds("uniform-histogram:num_bins=4");
    ft_arena_free(&made.arena);
    return done();
}
