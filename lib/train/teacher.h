/* teacher.h - a second model beside the one that trains: a teacher, whose embeddings or similarities are to be learned, or a guide, who tells which
 * negatives are false. It reads the same texts, by its own tokenizer and with its own prompts, in evaluation mode, and never changes. */
#ifndef FT_TRAIN_TEACHER_H
#define FT_TRAIN_TEACHER_H

#include "model/embed.h"
#include "train/loss.h"
#include "train/settings.h"

/* Into the settings: where the model lies that a person names, then what those are that the settings have. Texts from the arena. */
int ft_second_find(struct ft_arena *arena, struct ft_settings *settings, enum ft_second which, const char *name);
int ft_second_measure(struct ft_arena *arena, struct ft_settings *settings);

/* The model that the settings name, which must be what it was then (FT_BAD). Its products are of the run's precision. */
struct ft_teacher;
struct ft_teacher *ft_teacher_open(const struct ft_settings *settings, enum ft_second which);
void ft_teacher_close(struct ft_teacher *teacher);
size_t ft_teacher_bytes(const struct ft_teacher *teacher);       /* of parameters; 0 of NULL */
size_t ft_teacher_dim(const struct ft_teacher *teacher);
struct ft_embedder *ft_teacher_embedder(const struct ft_teacher *teacher);

/* Give the loss what the batch's record has in the field of that name: [items, any]. Without such a field nothing is done. FT_BAD for another shape. */
int ft_second_read(struct ft_arena *arena, const struct ft_batch *batch, enum ft_second which, struct ft_loss_input *input);

/* What the record brings of second models, else what these say now: second[FT_SECONDS], NULL where there is none. */
int ft_second_ask(struct ft_arena *arena, struct ft_teacher *const *second, const struct ft_batch *batch, struct ft_loss_input *input);

/* A second model that no loss looks at is a wish that would be silently ignored: FT_USAGE. */
int ft_second_check(const struct ft_settings *settings, const struct ft_losses *losses);
/* Embeddings that a stream brings must be those of the run's own second models: FT_BAD. `required`: it must bring them. */
int ft_second_check_stream(const struct ft_settings *settings, const struct ft_header *header, bool required);

#endif
