/* test-loss-settings.c - what --loss and --miner may say, what they are told when wrong, weights, and large batches. */
#include "../tap.h"
#include "batches.h"

#include "base/pool.h"

static struct ft_arena arena;

static void refused(enum ft_batch_kind kind, const char *loss, const char *miner, const char *want)
{
    struct ft_losses *losses = made_losses(&arena, kind, loss, miner);

    ok(!losses && ft_error_status() == FT_USAGE, "%s, miner %s, over %s is refused", loss ? loss : "no loss",
       miner ? miner : "none", ft_batch_kind_name(kind));
    if (!ok(!losses && strstr(ft_error(), want), "and told: %s", want))
        printf("# got: %s\n", losses ? "no error" : ft_error());
}

static void text_is(enum ft_batch_kind kind, const char *loss, const char *miner, const char *want)
{
    struct ft_losses *losses = made_losses(&arena, kind, loss, miner);
    const char *text = losses ? ft_losses_text(&arena, losses) : ft_error();

    is_text(text, want, "settings as text, defaults included");
    losses = made_losses(&arena, kind, text, NULL);
    is_text(losses ? ft_losses_text(&arena, losses) : ft_error(), want, "and the text says the same when parsed");
}

static void check_settings(void)
{
    text_is(FT_BATCH_PAIRS, NULL, NULL, "infonce:scale=20,directions=q2d,partition_mode=joint,hardness_mode=none,hardness_strength=0,"
            "margin_strategy=none,margin=0");
    text_is(FT_BATCH_TRIPLETS, "infonce:directions=q2d+d2q+q2q+d2d,hardness_mode=all_negatives,hardness_strength=9", NULL,
            "infonce:scale=20,directions=q2d+d2q+q2q+d2d,partition_mode=joint,hardness_mode=all_negatives,hardness_strength=9,"
            "margin_strategy=none,margin=0");
    text_is(FT_BATCH_SCORED, NULL, NULL, "cosine");
    text_is(FT_BATCH_CLASSES, "triplet", NULL, "triplet:distance=euclidean,margin=0.05,smooth=0,swap=0,reducer=nonzero");
    text_is(FT_BATCH_CLASSES, "triplet:margin=.30000000000000004,smooth=1", "triplet-margin:type_of_triplets=semihard",
            "triplet:distance=euclidean,margin=0.30000000000000004,smooth=1,swap=0,reducer=nonzero "
            "miner=triplet-margin:margin=0.2,type_of_triplets=semihard,distance=euclidean");
    text_is(FT_BATCH_CLASSES, "2*triplet:distance=cosine  .5*supcon:temperature=.07", "multi-similarity:epsilon=.2",
            "2*triplet:distance=cosine,margin=0.05,smooth=0,swap=0,reducer=nonzero "
            "0.5*supcon:temperature=0.07,distance=cosine,reducer=nonzero miner=multi-similarity:epsilon=0.2,distance=cosine");
    text_is(FT_BATCH_SCORED, "2*cosine:matryoshka_dims=2+8+4", NULL, "2*cosine:matryoshka_dims=8+4+2,matryoshka_weights=1+1+1");
    text_is(FT_BATCH_CLASSES, "supcon:matryoshka_weights=1+.5,temperature=.2,matryoshka_dims=2+8", NULL,
            "supcon:temperature=0.2,distance=cosine,reducer=nonzero,matryoshka_dims=8+2,matryoshka_weights=0.5+1");
    text_is(FT_BATCH_CLASSES, "arcface", NULL, "arcface:margin=28.6,scale=64");
    ok(made_losses(&arena, FT_BATCH_CLASSES, NULL, NULL) != NULL, "batches of classes have a loss by default");
    ok(strstr(ft_loss_names(), "triplet supcon infonce gist"), "names of losses: %s", ft_loss_names());
    ok(strstr(ft_miner_names(), "batch-hard batch-easy-hard triplet-margin multi-similarity"), "names of miners: %s", ft_miner_names());
}

static void check_refusals(void)
{
    refused(FT_BATCH_PAIRS, "nce", NULL, "expected one of triplet supcon infonce gist");
    refused(FT_BATCH_PAIRS, "infonce:temperature=1", NULL, "it has scale directions");
    refused(FT_BATCH_SCORED, "cosine:scale=1", NULL, "it has none");
    refused(FT_BATCH_PAIRS, "infonce:directions=d2q", NULL, "expected one of q2d q2d+d2d");
    refused(FT_BATCH_PAIRS, "infonce:directions=q2d+q2q,partition_mode=per_direction", NULL, "goes with q2d and d2q");
    refused(FT_BATCH_TRIPLETS, "infonce:partition_mode=per_direction,directions=q2d+d2q+d2d", NULL, "goes with q2d and d2q");
    refused(FT_BATCH_PAIRS, "infonce:scale=0", NULL, "expected 0.001 to 10000");
    refused(FT_BATCH_PAIRS, "infonce:scale=nan", NULL, "expected 0.001 to 10000");
    refused(FT_BATCH_PAIRS, "infonce:scale=x", NULL, "infonce: scale: 'x' is not a number");
    refused(FT_BATCH_PAIRS, "-1*infonce", NULL, "expected a number of 0 or more");
    refused(FT_BATCH_PAIRS, "w*infonce", NULL, "'w' is not a number");
    refused(FT_BATCH_PAIRS, "*infonce", NULL, "is not a number");
    refused(FT_BATCH_PAIRS, "", NULL, "an empty loss");
    refused(FT_BATCH_SCORED, "triplet", NULL, "it takes classes pairs triplets random; for scored there is cosine");
    refused(FT_BATCH_TRIPLETS, "nca", NULL, "it takes classes pairs random; for triplets there is triplet supcon infonce");
    refused(FT_BATCH_CLASSES, "infonce", NULL, "it takes pairs triplets; for classes there is triplet supcon");
    refused(FT_BATCH_RANDOM, NULL, NULL, "ft-sample --classes");
    refused(FT_BATCH_PAIRS, "arcface", NULL, "it takes classes random");
    refused(FT_BATCH_CLASSES, "sub-center-arcface:sub_centers=1.5", NULL, "expected a whole number");
    refused(FT_BATCH_CLASSES, "supcon:matryoshka_weights=1", NULL, "matryoshka_weights without matryoshka_dims");
    refused(FT_BATCH_CLASSES, "supcon:matryoshka_dims=8+4,matryoshka_weights=1", NULL, "1 matryoshka_weights for 2 matryoshka_dims");
    refused(FT_BATCH_CLASSES, "supcon:matryoshka_dims=8+0", NULL, "expected whole numbers of 1 or more");
    refused(FT_BATCH_CLASSES, "supcon:matryoshka_dims=8+2.5", NULL, "expected whole numbers of 1 or more");
    refused(FT_BATCH_CLASSES, "supcon:matryoshka_dims=nan", NULL, "expected whole numbers of 1 or more");
    refused(FT_BATCH_CLASSES, "supcon:matryoshka_dims=8+", NULL, "matryoshka_dims=8+: ");
    refused(FT_BATCH_CLASSES, "supcon:matryoshka_dims=", NULL, "matryoshka_dims=: ");
    refused(FT_BATCH_CLASSES, "supcon:matryoshka_dims=8,matryoshka_weights=-1", NULL, "expected numbers of 0 or more");
    refused(FT_BATCH_CLASSES, "supcon:matryoshka_dims=8,matryoshka_weights=inf", NULL, "expected numbers of 0 or more");
    refused(FT_BATCH_CLASSES, "supcon:matryoshka_dims=1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1", NULL, "expected 16 numbers at most");
    refused(FT_BATCH_CLASSES, "supcon:matryoshka_dims=8,matryoshka_dims=4", NULL, "no key 'matryoshka_dims'");
    refused(FT_BATCH_CLASSES, "arcface:matryoshka_dims=8", NULL, "learnt for the whole embedding");
    refused(FT_BATCH_CLASSES, "triplet", "hardest", "expected one of batch-hard batch-easy-hard triplet-margin");
    refused(FT_BATCH_CLASSES, "triplet", "batch-hard:margin=1", "it has distance");
    refused(FT_BATCH_CLASSES, "triplet", "batch-easy-hard:pos_strategy=semihard", "cannot both be semihard");
    refused(FT_BATCH_CLASSES, "triplet", "batch-easy-hard:pos_strategy=all", "expected easy or hard there");
    refused(FT_BATCH_CLASSES, "online-contrastive", "batch-hard", "no loss given uses a miner: expected triplet supcon");
    refused(FT_BATCH_CLASSES, "centroid-triplet", "hdc", "no loss given uses a miner");
    refused(FT_BATCH_PAIRS, "centroid-triplet", NULL, "it takes classes random; for pairs there is triplet supcon infonce");
    refused(FT_BATCH_PAIRS, NULL, "batch-hard", "batches of pairs need none");
    refused(FT_BATCH_TRIPLETS, "triplet", "batch-hard", "batches of triplets need none");
    refused(FT_BATCH_CLASSES, "triplet miner=batch-hard", "hdc", "two miners");
}

static void check_bad_batches(void)
{
    float gradient[64];
    double value;
    struct made made;
    struct ft_losses *losses;

    made_random(&made, FT_BATCH_CLASSES, 6, 4, 1);
    losses = made_losses(&arena, FT_BATCH_CLASSES, "triplet", NULL);
    made.input.label = NULL;
    ok(ft_losses_compute(losses, &made.input, &value, gradient, NULL) < 0 && ft_error_status() == FT_BAD, "no labels: %s", ft_error());
    made.input.kind = FT_BATCH_PAIRS;
    ok(ft_losses_compute(losses, &made.input, &value, gradient, NULL) < 0 && ft_error_status() == FT_BAD, "another kind: %s", ft_error());
    made.input.kind = FT_BATCH_CLASSES;
    losses = made_losses(&arena, FT_BATCH_CLASSES, "supcon:matryoshka_dims=2+5", NULL);
    ok(losses && ft_losses_compute(losses, &made.input, &value, gradient, NULL) < 0 && ft_error_status() == FT_USAGE &&
       strstr(ft_error(), "matryoshka_dims=5: the embeddings have 4 dimensions"), "%s", ft_error());
    ft_arena_free(&made.arena);
    made_random(&made, FT_BATCH_PAIRS, 4, 4, 1);
    losses = made_losses(&arena, FT_BATCH_PAIRS, NULL, NULL);
    made.role[3] = FT_ANCHOR;
    ok(ft_losses_compute(losses, &made.input, &value, gradient, NULL) < 0 && strstr(ft_error(), "row 1 has 2 anchors"), "two anchors: %s", ft_error());
    made.role[3] = FT_NEGATIVE;
    ok(ft_losses_compute(losses, &made.input, &value, gradient, NULL) < 0 && strstr(ft_error(), "no positive"), "none: %s", ft_error());
    made.role[3] = FT_POSITIVE;
    made.row[5] = 4;
    ok(ft_losses_compute(losses, &made.input, &value, gradient, NULL) < 0 && strstr(ft_error(), "of row 4"), "a row too far: %s", ft_error());
    ft_arena_free(&made.arena);
    made_random(&made, FT_BATCH_SCORED, 4, 4, 1);
    losses = made_losses(&arena, FT_BATCH_SCORED, NULL, NULL);
    made.row[3] = 0;
    ok(ft_losses_compute(losses, &made.input, &value, gradient, NULL) < 0 && strstr(ft_error(), "two items"), "three in a row: %s", ft_error());
    made.row[3] = 1;
    made.score[2] = NAN;
    ok(ft_losses_compute(losses, &made.input, &value, gradient, NULL) == 0 && isnan(value), "a score of NaN gives a loss of NaN");
    ft_arena_free(&made.arena);
}

/* Two losses with weights are the sum of each. */
static void check_weights(void)
{
    static float sum[4096], one[4096], two[4096];
    double value, first, second, worst = 0;
    uint64_t counted, counted_first, counted_second;
    struct made made;

    made_random(&made, FT_BATCH_CLASSES, 40, 5, 3);
    ft_losses_compute(made_losses(&arena, FT_BATCH_CLASSES, "2*triplet .25*supcon", "batch-hard"), &made.input, &value, sum, &counted);
    ft_losses_compute(made_losses(&arena, FT_BATCH_CLASSES, "triplet", "batch-hard"), &made.input, &first, one, &counted_first);
    ft_losses_compute(made_losses(&arena, FT_BATCH_CLASSES, "supcon", "batch-hard"), &made.input, &second, two, &counted_second);
    is_close(value, 2 * first + .25 * second, 1e-12, "weighted losses add up");
    for (int i = 0; i < 200; i++)
        worst = fmax(worst, fabs(sum[i] - 2 * one[i] - .25 * two[i]));
    is_close(worst, 0, 1e-7, "and so do their gradients");
    ok(counted == counted_first + counted_second, "and what counted");
    ft_arena_free(&made.arena);
}

/* The same in double by the definition, over more rows than a block of the engine holds: supcon of 2500 items. */
enum { N = 2500, D = 3 };
static double unit[N][D], slope[N][D];

static double plain_row(const int32_t *label, int i, uint64_t *anchors)
{
    static double cosine[N];
    double sum = 0, mean = 0;
    int same = 0;

    for (int j = 0; j < N; j++) {
        cosine[j] = (unit[i][0] * unit[j][0] + unit[i][1] * unit[j][1] + unit[i][2] * unit[j][2]) / .1;
        sum += j == i ? 0 : exp(cosine[j]);
        mean += j != i && label[i] == label[j] ? cosine[j] : 0;
        same += j != i && label[i] == label[j];
    }
    if (!same)
        return 0;
    *anchors += 1;
    for (int j = 0; j < N; j++)
        for (int k = 0; k < D && j != i; k++) {
            double weight = (exp(cosine[j]) / sum - (label[i] == label[j] ? 1. / same : 0)) / .1;

            slope[i][k] += weight * unit[j][k];
            slope[j][k] += weight * unit[i][k];
        }
    return log(sum) - mean / same;
}

static void check_blocks(void)
{
    static float gradient[N * D];
    double value, want = 0, length[N], worst = 0, square = 0;
    uint64_t counted, anchors = 0;
    struct made made;
    struct ft_losses *losses = made_losses(&arena, FT_BATCH_CLASSES, "supcon", NULL);

    made_random(&made, FT_BATCH_CLASSES, N, D, 4);
    for (int i = 0; i < N; i++) {
        const float *x = made.embedding + i * D;

        length[i] = sqrt((double)x[0] * x[0] + (double)x[1] * x[1] + (double)x[2] * x[2]);
        for (int k = 0; k < D; k++)
            unit[i][k] = x[k] / length[i];
    }
    for (int i = 0; i < N; i++)
        want += plain_row(made.label, i, &anchors);
    ok(ft_losses_compute(losses, &made.input, &value, gradient, &counted) == 0 && counted == anchors, "2500 items");
    is_close(value, want / (double)anchors, 1e-6, "supcon over several blocks is its definition");
    for (int i = 0; i < N; i++)
        for (int k = 0; k < D; k++) {
            double along = slope[i][0] * unit[i][0] + slope[i][1] * unit[i][1] + slope[i][2] * unit[i][2];
            double one = (slope[i][k] - along * unit[i][k]) / length[i] / (double)anchors;

            square += one * one;
            worst = fmax(worst, fabs(gradient[i * D + k] - one));
        }
    is_close(worst / sqrt(square), 0, 1e-6, "and so is its gradient");
    ft_arena_free(&made.arena);
}

int main(void)
{
    ft_pool_set_threads(2);
    check_settings();
    check_refusals();
    check_bad_batches();
    check_weights();
    check_blocks();
    ft_arena_free(&arena);
    return done();
}
