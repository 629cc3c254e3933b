/* table.cu - the operations there are on a GPU. */
#include "tensor/cuda/cuda.h"

static struct ft_kernels written()
{
    struct ft_kernels k = {};

    k.name = "cuda";
    k.layer_norm_forward = ft_cuda_layer_norm_forward;
    k.layer_norm_backward = ft_cuda_layer_norm_backward;
    k.layer_norm_gradient = ft_cuda_layer_norm_gradient;
    return k;
}

const struct ft_kernels ft_kernels_cuda = written();
