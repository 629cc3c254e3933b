/* precision.c - names of precisions. */
#include "base/error.h"
#include "tensor/kernels.h"

#include <string.h>

static const char *const names[FT_PRECISIONS] = {[FT_FP32] = "fp32", [FT_BF16] = "bf16"};

int ft_precision_parse(enum ft_precision *precision, const char *name)
{
    for (int i = 0; i < FT_PRECISIONS; i++)
        if (strcmp(names[i], name) == 0) {
            *precision = (enum ft_precision)i;
            return 0;
        }
    return ft_fail(FT_USAGE, "--precision %s: expected fp32 or bf16", name);
}
