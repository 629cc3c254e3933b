/* mse.c - embeddings as a teacher has them: the mean over items of their distance to the teacher's embedding of the same text.
 *
 * distance_metric=mse is the mean over dimensions of the squared difference, sentence-transformers' MSELoss; l2 the length of the difference; cosine 1 less
 * the cosine: those of its EmbedDistillLoss (Kim et al. 2023). Both models must have the same number of dimensions. */
#include "train/losses/losses.h"

#include <math.h>

enum { METRIC };
enum { MSE, L2, COSINE };

static const struct ft_setting_key keys[] = {
    [METRIC] = {.name = "distance_metric", .choices = "mse l2 cosine"},
    {.name = NULL},
};

static unsigned asks(const double *value)
{
    (void)value;
    return FT_ASKS_TEACHER;
}

static int check_teacher(const struct ft_loss_input *input)
{
    if (!input->teacher)
        return ft_fail(FT_BAD, "the mse loss needs a teacher's embeddings: ft-train --teacher MODEL, or ft-embed -m MODEL --as teacher before "
                       "ft-loss");
    if (input->teacher_d != input->d)
        return ft_fail(FT_BAD, "the mse loss: the teacher's embeddings have %zu dimensions, the model's %zu: expected as many (distill-kl and "
                       "margin-mse learn a teacher's similarities, whatever its dimensions)", input->teacher_d, input->d);
    return 0;
}

/* The sum over items of |x - y|, or of its square over d. */
static double add_differences(const struct ft_loss_input *input, bool square, float *gradient)
{
    size_t d = input->d;
    double loss = 0;

    for (size_t i = 0; i < input->n; i++) {
        const float *x = input->embedding + i * d, *y = input->teacher + i * d;
        double sum = 0, slope;

        for (size_t k = 0; k < d; k++)
            sum += ((double)x[k] - y[k]) * ((double)x[k] - y[k]);
        slope = square ? 2 / (double)d : sum > 0 ? 1 / sqrt(sum) : 0;
        loss += square ? sum / (double)d : sqrt(sum);
        for (size_t k = 0; k < d; k++)
            gradient[i * d + k] = (float)(slope * ((double)x[k] - y[k]) / (double)input->n);
    }
    return loss;
}

static int add_cosines(const struct ft_loss_input *input, double *loss, float *gradient)
{
    struct ft_arena arena = {0};
    struct ft_units mine, theirs;
    size_t d = input->d;
    int rc = -1;

    if (ft_units_make(&arena, &mine, input->embedding, input->n, d) == 0 && ft_units_make(&arena, &theirs, input->teacher, input->n, d) == 0) {
        for (size_t i = 0; i < input->n; i++) {
            const float *u = mine.unit + i * d, *v = theirs.unit + i * d;

            *loss += ft_unit_distance(u, v, d);
            for (size_t k = 0; k < d; k++)
                gradient[i * d + k] = u[k] - v[k];
        }
        ft_units_backward(&mine, input->n ? 1 / (double)input->n : 0, gradient);
        rc = 0;
    }
    ft_arena_free(&arena);
    return rc;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_loss_input *input = call->input;

    if (check_teacher(input) < 0)
        return -1;
    if (call->value[METRIC] != COSINE)
        *loss = add_differences(input, call->value[METRIC] == MSE, gradient);
    else if (add_cosines(input, loss, gradient) < 0)
        return -1;
    *loss *= input->n ? 1 / (double)input->n : 0;
    *counted = input->n;
    return 0;
}

const struct ft_loss ft_loss_mse = {
    .name = "mse",
    .purpose = "embeddings as a teacher has them (mean squared error)",
    .kinds = FT_LOSS_TAKES(FT_BATCH_CLASSES) | FT_LOSS_TAKES(FT_BATCH_PAIRS) | FT_LOSS_TAKES(FT_BATCH_TRIPLETS) |
             FT_LOSS_TAKES(FT_BATCH_SCORED) | FT_LOSS_TAKES(FT_BATCH_RANDOM),
    .keys = keys,
    .asks = asks,
    .teacher_alike = true,
    .compute = compute,
};
