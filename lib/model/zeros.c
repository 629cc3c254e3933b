/* zeros.c - blocks of zeros beside a model's parameters. */
#include "base/error.h"
#include "model/model.h"

#include <sys/mman.h>

enum { LARGE_PAGE = 2 << 20 };

static size_t block_size(const struct ft_model *model)
{
    return (model->block_count ? model->block_count : 1) * sizeof(float);
}

float *ft_model_zeros(const struct ft_model *model)
{
    size_t size = block_size(model), dense = 0;
    char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (map == MAP_FAILED) {
        ft_fail_errno("%zu bytes beside the parameters", size);
        return NULL;
    }
    /* What is not a table is touched whole by every step, reading first: in small pages each one faults twice, the second time with a message
     * to every other CPU. A table stays in small pages, as few of its rows are ever touched. */
    for (int i = 0; i < model->parameter_count; i++) {
        const struct ft_parameter *p = &model->parameters[i];

        if (p->table && (p->offset + p->rows * p->columns) * sizeof(float) > dense)
            dense = (p->offset + p->rows * p->columns) * sizeof(float);
    }
    dense = (dense + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    if (dense < size)
        madvise(map + dense, size - dense, MADV_HUGEPAGE);
    return (float *)(void *)map;
}

void ft_model_zeros_free(const struct ft_model *model, float *block)
{
    if (block)
        munmap(block, block_size(model));
}
