/* pager.h - the pixels of a batch that is too large to lie decoded: some images at a time, decoded ahead of the model and let go behind it.
 *
 * They have their places in a stretch of addresses as long as the whole batch, of which only what is shown takes memory: who reads the pixels of an image
 * that is shown finds them where they always are. To go through a batch again is to decode it again. */
#ifndef FT_MODEL_RUN_PAGER_H
#define FT_MODEL_RUN_PAGER_H

#include "model/images.h"

struct ft_pager;

/* As ft_images_begin; the model, the content and the augmentation must stay. NULL: memory. */
struct ft_pager *ft_pager_open(const struct ft_model *model, const struct ft_content *content, size_t count, const struct ft_variation *varied);
void ft_pager_close(struct ft_pager *pager);         /* NULL is fine */

/* [count, height, across, 3], to be read where it is shown. */
const uint8_t *ft_pager_pixel(const struct ft_pager *pager);

/* Images first .. first + count - 1 are there from now on, those before them are not, and the next ones are being decoded. The first of these that cannot be
 * had is the error. */
int ft_pager_show(struct ft_pager *pager, size_t first, size_t count);

/* None is there, and none is being decoded. */
void ft_pager_hide(struct ft_pager *pager);

#endif
