/* distill-kl.c - a row's texts as likely as a teacher has them (Lin et al. 2020): the mean over rows of
 *
 *   t^2 KL(softmax(score / t') || softmax(s / t))
 *
 * over the positives and negatives of the row, s their similarity to the anchor: the product of the embeddings as they are, or their cosine. t and t' are
 * student_temperature and teacher_temperature; 0, the default of both, takes `temperature` (1). Scores are the rows' own, or else the similarities of a
 * teacher's embeddings. sentence-transformers' DistillKLDivLoss. Only differences of scores count, so a margin serves as well as two scores. */
#include "train/losses/rows.h"

#include <math.h>

enum { SIMILARITY, TEMPERATURE, STUDENT, TEACHER };

static const struct ft_setting_key keys[] = {
    [SIMILARITY] = {.name = "similarity", .choices = "dot cosine"},
    [TEMPERATURE] = {.name = "temperature", .otherwise = 1, .low = 1e-4, .high = 1e4},
    [STUDENT] = {.name = "student_temperature", .otherwise = 0, .low = 0, .high = 1e4},
    [TEACHER] = {.name = "teacher_temperature", .otherwise = 0, .low = 0, .high = 1e4},
    {.name = NULL},
};

static unsigned asks(const double *value)
{
    (void)value;
    return FT_ASKS_TEACHER;
}

/* x / t - log(sum of exp(x / t)), in place. */
static void log_softmax(double *x, size_t count, double t)
{
    double most = -INFINITY, sum = 0;

    for (size_t i = 0; i < count; i++)
        most = fmax(most, x[i]);
    for (size_t i = 0; i < count; i++)
        sum += exp((x[i] - most) / t);
    for (size_t i = 0; i < count; i++)
        x[i] = (x[i] - most) / t - log(sum);
}

/* A row's texts, positives first. */
static size_t list_texts(const struct ft_role_items *items, size_t r, uint32_t *text)
{
    size_t count = 0;

    for (size_t i = items->positive.first[r]; i < items->positive.first[r + 1]; i++)
        text[count++] = items->positive.item[i];
    for (size_t i = items->negative.first[r]; i < items->negative.first[r + 1]; i++)
        text[count++] = items->negative.item[i];
    return count;
}

static int compute_in(struct ft_arena *arena, const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_loss_input *input = call->input;
    const double *value = call->value;
    enum ft_similarity similarity = (enum ft_similarity)value[SIMILARITY];
    double t = value[STUDENT] > 0 ? value[STUDENT] : value[TEMPERATURE], *score;
    double teacher_t = value[TEACHER] > 0 ? value[TEACHER] : value[TEMPERATURE], share = input->rows ? 1 / (double)input->rows : 0;
    double *student = ft_arena_zero(arena, input->n, sizeof *student), *teacher = ft_arena_zero(arena, input->n, sizeof *teacher);
    uint32_t *text = ft_arena_zero(arena, input->n, sizeof *text);
    struct ft_products products;
    struct ft_role_items items;

    if (!student || !teacher || !text || ft_role_items_find(arena, input, &items) < 0 ||
        ft_item_scores(arena, call, "distill-kl", &items, similarity, &score) < 0 ||
        ft_products_make(arena, &products, similarity, input->embedding, input->n, input->d) < 0)
        return -1;
    for (size_t r = 0; r < input->rows; r++) {
        size_t count = list_texts(&items, r, text), a = items.anchor[r];

        for (size_t i = 0; i < count; i++) {
            student[i] = ft_product(&products, a, text[i]);
            teacher[i] = score[text[i]];
        }
        log_softmax(student, count, t);
        log_softmax(teacher, count, teacher_t);
        for (size_t i = 0; i < count; i++) {
            double likely = exp(teacher[i]);

            *loss += likely > 0 ? likely * (teacher[i] - student[i]) : 0;
            ft_product_backward(&products, a, text[i], (exp(student[i]) - likely) / t, gradient);
        }
        *counted += 1;
    }
    *loss = fmax(*loss * share, 0) * t * t;
    ft_products_backward(&products, share * t * t, gradient);
    return 0;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_arena arena = {0};
    int rc = compute_in(&arena, call, loss, gradient, counted);

    ft_arena_free(&arena);
    return rc;
}

const struct ft_loss ft_loss_distill_kl = {
    .name = "distill-kl",
    .purpose = "a row's texts as likely as the scores or a teacher have them (Kullback-Leibler)",
    .kinds = FT_LOSS_TAKES(FT_BATCH_TRIPLETS),
    .keys = keys,
    .asks = asks,
    .compute = compute,
};
