/* probe.h - a linear probe: logistic regression on embeddings that stay as they are, fitted on some documents, asked about others.
 *
 * The classifier is scikit-learn's LogisticRegression with its defaults, which MTEB uses (C = 1, L2, intercept not penalised):
 * it minimises, over W and b,
 *
 *     (1/n) sum_i -log softmax(W x_i + b)[class_i] + |W|^2 / (2 C n)
 *
 * and of two classes, as scikit-learn does, over one w: (1/n) sum_i log(1 + exp(-y_i (w x_i + b))) + |w|^2 / (2 C n). By L-BFGS
 * (Nocedal and Wright 2006, algorithm 7.5) from zeros until no gradient is above 1e-6: nearer to the minimum than scikit-learn's
 * max_iter=100, tol=1e-4 goes. */
#ifndef FT_EVAL_PROBE_H
#define FT_EVAL_PROBE_H

#include "base/memory.h"
#include "eval/resample.h"

struct ft_probe {
    size_t dim, classes;               /* classes: labels that there are, of which some may have no document */
    uint32_t *class;                   /* [columns] which class each column of the classifier stands for */
    size_t columns;                    /* classes that were seen; of two only the second has weights */
    float *weight, *bias;              /* [columns or 1, dim] and [columns or 1] */
    size_t iterations;
};

/* Fit on x[count, dim] with class[count], FT_NO_CLASS for documents that take no part. From the arena. FT_BAD where there are
 * less than two classes. */
int ft_probe_fit(struct ft_probe *probe, struct ft_arena *arena, const float *x, const uint32_t *class, size_t count, size_t dim,
                 size_t classes);

/* The likeliest class of each; of equally likely ones that which was seen first. */
int ft_probe_predict(const struct ft_probe *probe, const float *x, size_t count, uint32_t *class);

/* "accuracy" and "macro_f1": the mean of f1 over the classes that a document has or was given (scikit-learn's f1_score with
 * average="macro"). A statistic; `room` is [3][classes]. */
struct ft_answers {
    const uint32_t *class, *given;     /* [count]; documents of FT_NO_CLASS are left out */
    size_t count, classes;
};
enum { FT_ANSWER_FIGURES = 2 };
extern const char *const ft_answer_names[FT_ANSWER_FIGURES];
void ft_answers_of(const void *answers, const uint32_t *weight, double *room, double *value);

#endif
