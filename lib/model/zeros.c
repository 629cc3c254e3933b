/* zeros.c - blocks of zeros beside a model's parameters. */
#include "base/error.h"
#include "model/model.h"

#include <sys/mman.h>

enum { LARGE_PAGE = 2 << 20 };

static size_t block_size(const struct ft_parameters *parameters)
{
    return (parameters->block_count ? parameters->block_count : 1) * sizeof(float);
}

float *ft_parameters_zeros(const struct ft_parameters *parameters)
{
    size_t size = block_size(parameters), dense = 0;
    char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (map == MAP_FAILED) {
        ft_fail_errno("%zu bytes beside the parameters", size);
        return NULL;
    }
    /* What is not a table is touched whole by every step, reading first: in small pages each one faults twice, the second time with a message
     * to every other CPU. A table stays in small pages, as few of its rows are ever touched. */
    for (int i = 0; i < parameters->count; i++) {
        const struct ft_parameter *p = &parameters->list[i];

        if (p->table && (p->offset + p->rows * p->columns) * sizeof(float) > dense)
            dense = (p->offset + p->rows * p->columns) * sizeof(float);
    }
    dense = (dense + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    if (dense < size)
        madvise(map + dense, size - dense, MADV_HUGEPAGE);
    return (float *)(void *)map;
}

void ft_parameters_zeros_free(const struct ft_parameters *parameters, float *block)
{
    if (block)
        munmap(block, block_size(parameters));
}

struct ft_parameters ft_model_parameters(const struct ft_model *model)
{
    return (struct ft_parameters){model->parameters, model->parameter_count, model->block, model->block_count};
}

float *ft_model_zeros(const struct ft_model *model)
{
    const struct ft_parameters parameters = ft_model_parameters(model);

    return ft_parameters_zeros(&parameters);
}

void ft_model_zeros_free(const struct ft_model *model, float *block)
{
    const struct ft_parameters parameters = ft_model_parameters(model);

    ft_parameters_zeros_free(&parameters, block);
}
