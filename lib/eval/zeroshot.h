/* zeroshot.h - classes that nothing was learnt of: a document belongs to the class whose name lies nearest (Radford et al. 2021, section 3.1).
 *
 * A class's name is put into each template ("a photo of a {}") and embedded; the embeddings, at unit length, are averaged, and the mean is brought to
 * unit length again. Nearest is by cosine; of equally near classes the first. Figures:
 *
 *   acc@1, acc@5            the share of documents whose own class is the nearest, is among the five nearest
 *   mean_per_class_recall   the mean, over the classes that have documents, of the share of a class's documents whose nearest it is: acc@1 where all
 *                           classes are equally many (scikit-learn's balanced_accuracy_score) */
#ifndef FT_EVAL_ZEROSHOT_H
#define FT_EVAL_ZEROSHOT_H

#include "base/tool.h"
#include "eval/collection.h"

struct ft_classes {
    size_t count;
    struct ft_string *name;            /* [count] */
    uint32_t *of_label;                /* [labels] the class of each label of the documents; FT_NO_CLASS: none */
};

/* Each label is a class, called as itself; or, by the file at `path`, each line: "label<TAB>name", or a label alone. Labels are those of `contents`,
 * which keeps what they are called. From the arena. FT_BAD: no label; a label twice; an empty one; a file that cannot be read as text. */
int ft_classes_read(struct ft_classes *classes, struct ft_arena *arena, struct ft_contents *contents, const char *path);

/* FT_USAGE: a template without {}. */
int ft_templates_check(const struct ft_list *templates);

/* vector[count, dim]: of each class, at unit length; `dim` numbers of each embedding, 0: all. No template: the name alone. */
int ft_classes_embed(const struct ft_classes *classes, const struct ft_list *templates, const struct ft_encoder *encoder, size_t dim, float *vector);

/* What came of it, for intervals: a statistic (resample.h); `room` is [2][classes]. */
struct ft_guesses {
    const uint32_t *class;             /* [count] of each document; FT_NO_CLASS: it takes no part */
    const uint32_t *rank;              /* [count] where it came, 1 = nearest */
    size_t count, classes;
};
enum { FT_GUESS_FIGURES = 3 };
extern const char *const ft_guess_names[FT_GUESS_FIGURES];
void ft_guesses_of(const void *guesses, const uint32_t *weight, double *room, double *value);

#endif
