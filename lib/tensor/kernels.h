/* kernels.h - the arithmetic: one table of functions for each backend.
 *
 * Conventions, for every function:
 *   - outputs first, inputs next, sizes last; `d` before a name is the gradient of the loss by it
 *   - R rows (tokens, packed without padding), W width, I inputs, O outputs, H heads, S sequences or items; row-major, contiguous, fp32
 *   - forward and backward functions write (=) their outputs; *_gradient functions add (+=) to the gradients of parameters
 *   - a row's result depends on that row (or its sequence) alone, and on R only through a library's matrix product
 *   - *_gradient works on a slice [from, to) of the parameter's rows (linear) or columns (norms, tables), over all R rows in order, so
 *     that slices can go to different threads and the bits do not depend on who took which
 *   - all work is single-threaded; callers hand shards and slices to the pool
 *
 * ft_kernels_plain is the reference: clear C, no tricks, kept for ever. ft_kernels_cpu picks the fastest for this CPU at run time.
 * cuda/ has the same table; where no GPU is present its kernels compile as C++ against cuda/emulate.h. */
#ifndef FT_TENSOR_KERNELS_H
#define FT_TENSOR_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sequences packed one after another: sequence s is rows offset[s] .. offset[s+1]-1, counted from the first row passed. */
struct ft_rows {
    size_t sequences;
    const uint32_t *offset;      /* [S + 1] */
    const uint32_t *number;      /* [S] the sequence's number in its batch: names its random numbers */
    const uint32_t *second;      /* [S] the place in the sequence from which tokens are of type 1 (a second text); NULL: all are of type 0 */
};

static inline size_t ft_rows_type(const struct ft_rows *rows, size_t sequence, size_t row)
{
    return rows->second && row - rows->offset[sequence] >= rows->second[sequence];
}

/* Inverted dropout (Srivastava et al. 2014): kept elements are scaled by 1 / (1 - rate). Element e of sequence number r is kept iff its
 * 16-bit lane of Philox(key = seed, counter = (batch, r, node, e / 8)) is at least round(rate * 65536); lane e % 8 counts 16-bit halves of the
 * four words, low half first. e = position * round_up(width, 8) + column; in attention
 * e = ((head * length) + query) * round_up(length, 8) + key. rate 0, or NULL instead of the struct, copies. A dropped element is 0
 * whatever it was. */
struct ft_dropout {
    float rate;
    uint64_t seed;
    uint32_t batch, node;
};

/* How windows lie on a map: an item's [height, across, channels], channels innermost, becomes [out_height, out_across, outputs]. Window (oy, ox) covers the
 * kernel x kernel positions from (oy * stride - above, ox * stride - left); outside of the map is zero. P = out_height * out_across. */
struct ft_windows {
    size_t height, across, channels, out_height, out_across, kernel, stride, above, left;
};

/* What an attention is, beside the width of its rows. */
struct ft_attention {
    size_t heads;
    float scale;                 /* of the scores; 0 is 1 / sqrt(width of a head) */
    bool causal;                 /* a query sees no key that comes after it */
    size_t window;               /* a query sees no key farther from it than this (Beltagy et al. 2020); 0: as far as the text goes */
    const float *bias;           /* [buckets, heads], added to the scaled scores by how far the key is from the query (Raffel et al. 2020), or NULL */
    size_t buckets, distance;    /* its rows, as ft_attention_bucket gives them; every distance from `distance` on is in the last */
};

enum ft_activation { FT_IDENTITY, FT_GELU, FT_GELU_TANH, FT_QUICK_GELU, FT_RELU, FT_TANH, FT_SILU, FT_SIGMOID, FT_RELU6 };
enum ft_pooling { FT_POOL_MEAN, FT_POOL_MAX, FT_POOL_CLS, FT_POOL_MEAN_SQRT, FT_POOL_LAST, FT_POOL_WEIGHTED_MEAN };

/* How products of linear layers are computed: of fp32 numbers, or of operands rounded to bf16. Sums, and everything else, are fp32 always. */
enum ft_precision { FT_FP32, FT_BF16 };
enum { FT_PRECISIONS = 2 };

/* "fp32", "bf16"; another name is FT_USAGE. */
int ft_precision_parse(enum ft_precision *precision, const char *name);

struct ft_kernels {
    const char *name;
    double rounding, gradient_rounding;   /* the most that a product of two numbers, as the precision takes them, errs by, relative
                                             to it: in linear_forward; in gradients */

    /* A weight in the order the products read it, for the forward or, `transposed`, for the backward: the same bits, without packing
     * it again for every call. linear_packed: how many floats that takes. Both NULL in a table that has no use for it. */
    size_t (*linear_packed)(size_t I, size_t O, bool transposed);
    void (*linear_pack)(float *packed, const float *w, size_t I, size_t O, bool transposed);

    /* y[R,O] = x[R,I] w[O,I]^T + b[O]   (b and packed may be NULL) */
    void (*linear_forward)(float *y, const float *x, const float *w, const float *packed, const float *b, size_t R, size_t I, size_t O);
    /* dx[R,I] = dy[R,O] w[O,I]   (packed: transposed, or NULL) */
    void (*linear_backward)(float *dx, const float *dy, const float *w, const float *packed, size_t R, size_t I, size_t O);
    /* Columns from..until of an operand of linear_gradient, x[R,W] or `of_output` dy, in the order the product reads them, so that slices need not each
     * pack what they share; from is a multiple of 32, and so is `until` but at the end. gradient_packed: floats for all of it. Or both NULL. */
    size_t (*gradient_packed)(size_t R, size_t W);
    void (*gradient_pack)(float *packed, const float *x, size_t R, size_t W, size_t from, size_t until, bool of_output);

    /* dw[from..to, I] += dy[:, from..to]^T x;  db[from..to] += column sums of dy
     * (db may be NULL, and so may dy_packed, x_packed; with dy_packed, from is a multiple of 32) */
    void (*linear_gradient)(float *dw, float *db, const float *dy, const float *x, const float *dy_packed, const float *x_packed,
                            size_t R, size_t I, size_t O, size_t from, size_t to);

    /* y = (x - mean) * rstd * gain + bias over each row; stat[R,2] = mean, rstd (Ba et al. 2016). y may be x; bias may be NULL. */
    void (*layer_norm_forward)(float *y, float *stat, const float *x, const float *gain, const float *bias,
                               float epsilon, size_t R, size_t W);
    /* dx may be dy. x is the forward's input. */
    void (*layer_norm_backward)(float *dx, const float *dy, const float *x, const float *stat, const float *gain, size_t R, size_t W);
    /* y = x * rstd * gain over each row, rstd = 1 / sqrt(mean of squares + epsilon); stat[R,2] = 0, rstd (Zhang and Sennrich 2019). y may be x. */
    void (*rms_norm_forward)(float *y, float *stat, const float *x, const float *gain, float epsilon, size_t R, size_t W);
    /* dx may be dy. The gain's gradient is layer_norm_gradient's. */
    void (*rms_norm_backward)(float *dx, const float *dy, const float *x, const float *stat, const float *gain, size_t R, size_t W);
    /* dgain[from..to], dbias[from..to] += ; columns; either may be NULL */
    void (*layer_norm_gradient)(float *dgain, float *dbias, const float *dy, const float *x, const float *stat,
                                size_t R, size_t W, size_t from, size_t to);

    /* y = f(x), dx = dy * f'(x); elementwise over `count`; y may be x, dx may be dy. GELU is x Phi(x), with erf (Hendrycks and Gimpel 2016). */
    void (*activation_forward)(enum ft_activation f, float *y, const float *x, size_t count);
    void (*activation_backward)(enum ft_activation f, float *dx, const float *dy, const float *x, size_t count);
    /* Both, for a y that was not kept. */
    void (*activation_again)(enum ft_activation f, float *y, float *dx, const float *dy, const float *x, size_t count);

    /* y = dropout(x) and, as the same function of dy, dx. y may be x. */
    void (*dropout)(float *y, const float *x, const struct ft_dropout *dropout, const struct ft_rows *rows, size_t W);

    /* y = dropout(x) + residual, one pass (the residual form every encoder uses); y may be x or residual. */
    void (*dropout_add)(float *y, const float *x, const float *residual, const struct ft_dropout *dropout,
                        const struct ft_rows *rows, size_t W);

    /* Scaled dot-product self-attention in each sequence (Vaswani et al. 2017), heads side by side: qkv[R, 3W] rows are
     * query | key | value; y[R, W]. Dropout is on the probabilities. The backward recomputes the probabilities, and adds (+=) each
     * sequence's part of the bias' gradient to its row of dbias[S, buckets H] (NULL: not wanted). `scratch` holds
     * ft_attention_scratch floats. */
    void (*attention_forward)(float *y, const float *qkv, const struct ft_attention *attention, const struct ft_dropout *dropout,
                              const struct ft_rows *rows, size_t W, float *scratch);
    void (*attention_backward)(float *dqkv, float *dbias, const float *dy, const float *qkv, const struct ft_attention *attention,
                               const struct ft_dropout *dropout, const struct ft_rows *rows, size_t W, float *scratch);

    /* One query an item over its tokens, heads side by side (the pooling of Zhai et al. 2023): q[S,W], rows of kv[R,2W] are key | value, scores by
     * 1 / sqrt(W / H); y[S,W]. The backward writes dq[S,W] and dkv[R,2W], either of which may be NULL. `scratch` holds two floats for each token of
     * the longest item. */
    void (*attend_forward)(float *y, const float *q, const float *kv, size_t H, const struct ft_rows *rows, size_t W, float *scratch);
    void (*attend_backward)(float *dq, float *dkv, const float *dy, const float *q, const float *kv, size_t H, const struct ft_rows *rows, size_t W,
                            float *scratch);

    /* Rotary position embedding (Su et al. 2021) of the queries and keys of qkv[R, 3W]: in each head the pair (d, d + D/2), D = W / H, is turned by the
     * angle p theta^(-2d/D), p the place in the sequence; `back` turns the other way, which is the gradient. Values are copied, and so
     * is what an odd D leaves over. `table` is
     * ft_rotary_table's, as long as the longest sequence. y may be x. */
    void (*rotary)(float *y, const float *x, const float *table, bool back, const struct ft_rows *rows, size_t H, size_t W);

    /* A gated linear unit (Shazeer 2020): y[R,I] = f(a) b, where a row of x[R,2I] is a | b. */
    void (*gate_forward)(enum ft_activation f, float *y, const float *x, size_t R, size_t I);
    void (*gate_backward)(enum ft_activation f, float *dx, const float *dy, const float *x, size_t R, size_t I);

    /* y[R,W] = word[id[r]] + position[p(r)] + type[t(r)], p the place in the sequence + `first`, t by rows->second; position and type may be NULL:
     * none is added */
    void (*embedding_forward)(float *y, const int32_t *id, const float *word, const float *position, const float *type,
                              const struct ft_rows *rows, size_t first, size_t W);
    /* Columns from..to of dword, dposition, dtype (each may be NULL when frozen) += dy, rows in order. */
    void (*embedding_gradient)(float *dword, float *dposition, float *dtype, const float *dy, const int32_t *id,
                               const struct ft_rows *rows, size_t first, size_t W, size_t from, size_t to);

    /* y[S,W] from x[R,W]; max remembers the row it took in `arg`[S,W] (others leave it alone; may be NULL then). The weighted mean weighs the first
     * row by 1, the next by 2 and so on (Muennighoff 2022). */
    void (*pool_forward)(enum ft_pooling how, float *y, uint32_t *arg, const float *x, const struct ft_rows *rows, size_t W);
    void (*pool_backward)(enum ft_pooling how, float *dx, const float *dy, const uint32_t *arg, const struct ft_rows *rows, size_t W);

    /* Generalised mean (Radenovic, Tolias and Chum 2018): y[S,W] = (mean of max(x, epsilon)^p)^(1/p) over the rows of a sequence; 0 of an empty one.
     * p > 0, epsilon > 0. The backward wants the forward's x and y; gem_gradient is one number, dp += over all of S and W. */
    void (*gem_forward)(float *y, const float *x, float p, float epsilon, const struct ft_rows *rows, size_t W);
    void (*gem_backward)(float *dx, const float *dy, const float *y, const float *x, float p, float epsilon, const struct ft_rows *rows, size_t W);
    void (*gem_gradient)(float *dp, const float *dy, const float *y, const float *x, float p, float epsilon, const struct ft_rows *rows, size_t W);

    /* y = x / max(|x|, 1e-12); norm[R] = |x|  (torch.nn.functional.normalize). y may be x. */
    void (*normalize_forward)(float *y, float *norm, const float *x, size_t R, size_t W);
    /* From y and norm: dx = (dy - y (y . dy)) / norm; where norm < 1e-12, dx = dy / 1e-12, as in torch. dx may be dy. */
    void (*normalize_backward)(float *dx, const float *dy, const float *y, const float *norm, size_t R, size_t W);

    /* y += x over `count` */
    void (*add)(float *y, const float *x, size_t count);

    /* y = a * b over `count`, and so da = dy * b, db = dy * a; y may be a or b. */
    void (*multiply)(float *y, const float *a, const float *b, size_t count);

    /* Maps of S items, one after another. C channels, K = kernel * kernel. */

    /* y[R,3] = x[R,3] * multiply + add, x of 8 bits */
    void (*pixels_forward)(float *y, const uint8_t *x, const float multiply[3], const float add[3], size_t R);

    /* What windows cover, a row each: col[until - from, taps * C] = for windows from..until (counted over all items, S * P of them) the channels under
     * taps first .. first + taps - 1 of the kernel's K, taken row by row. */
    void (*windows_gather)(float *col, const float *x, const struct ft_windows *g, size_t from, size_t until, size_t first, size_t taps);
    /* Its transpose, all taps: dx += dcol[until - from, K * C] */
    void (*windows_scatter)(float *dx, const float *dcol, const struct ft_windows *g, size_t from, size_t until);

    /* y[S*P,O] = what linear_forward makes of windows_gather's rows, to the bit, without laying them out; packed as linear_pack packs w[O, K*C] for the
     * forward, b may be NULL. dx = the sum of what linear_backward gives each window, whatever the order; packed as linear_pack packs t[K*O, C],
     * transposed, where t[(K - 1 - k) * O + o, c] = w[o, k * C + c]. Only where convolution_fits says so. All three NULL in a table that has no use
     * for them. */
    bool (*convolution_fits)(const struct ft_windows *g, size_t O, bool backward);
    void (*convolution_forward)(float *y, const float *x, const float *packed, const float *b, const struct ft_windows *g, size_t S, size_t O);
    void (*convolution_backward)(float *dx, const float *dy, const float *packed, const struct ft_windows *g, size_t S, size_t O);
    /* dw[K,O,C] += dy[S*P,O]^T under each tap the positions of x, outputs from..to, multiples of 32; items in order, and an item's positions. Both operands
     * are packed before, an item at a time, into convolution_packed floats each, of all S items. Only where _fits says so; all four may be NULL. */
    bool (*convolution_gradient_fits)(const struct ft_windows *g, size_t O);
    size_t (*convolution_packed)(const struct ft_windows *g, size_t S, size_t O, bool of_output);
    void (*convolution_pack)(float *to, const float *x, const struct ft_windows *g, size_t S, size_t O, size_t item, bool of_output);
    void (*convolution_gradient)(float *dw, const float *dy, const float *x, const struct ft_windows *g, size_t S, size_t O, size_t from, size_t to);

    /* Each channel by itself: y[S*P,C] = f(sum over taps w[K,C] x + b[C])   (b may be NULL); outputs = channels */
    void (*depthwise_forward)(enum ft_activation f, float *y, const float *x, const float *w, const float *b, const struct ft_windows *g, size_t S);
    /* dx = */
    void (*depthwise_backward)(float *dx, const float *dy, const float *w, const struct ft_windows *g, size_t S);
    /* dw[K,C], db[C] += of channels from..to; items in order (db may be NULL) */
    void (*depthwise_gradient)(float *dw, float *db, const float *dy, const float *x, const struct ft_windows *g, size_t S, size_t from, size_t to);

    /* y = f(x * scale + shift), a scale and a shift for each of W columns: batch norm with known statistics. y may be x. */
    void (*affine_forward)(enum ft_activation f, float *y, const float *x, const float *scale, const float *shift, size_t R, size_t W);
    /* From x: dz = dy * f'(x * scale + shift), and, where y is not NULL, y as the forward gives it. dz may be dy. */
    void (*affine_backward)(enum ft_activation f, float *dz, float *y, const float *dy, const float *x, const float *scale, const float *shift,
                            size_t R, size_t W);
    /* y = x * a + z * b + c, each of a, b, c [W]; z may be NULL for zeros, b for ones. y may be x or z. */
    void (*columns_mix)(float *y, const float *x, const float *a, const float *z, const float *b, const float *c, size_t R, size_t W);
    /* sum[W] += column sums of x, product[W] += column sums of x * (z - centre), in double (runs of 16 rows in float); columns from..to, rows in order.
     * centre is [W]. Either of sum and product may be NULL, with it z and centre. x may be NULL without sum: of squares of z - centre. */
    void (*columns_sum)(double *sum, double *product, const float *x, const float *z, const float *centre, size_t R, size_t W, size_t from, size_t to);

    /* y[S*P,C] = the largest under each window that lies on the map, arg the position (y * across + x) it was at, the first of equals;
     * a NaN is larger than everything. Each window lies on the map at least in part. */
    void (*max_pool_forward)(float *y, uint32_t *arg, const float *x, const struct ft_windows *g, size_t S);
    /* dx = */
    void (*max_pool_backward)(float *dx, const float *dy, const uint32_t *arg, const struct ft_windows *g, size_t S);

    /* y[S*P,C] = x[S*P,C] * s[S,C];  dx = dy * s, ds = sum over positions of dy * x (either may be NULL). y may be x, dx may be dy. */
    void (*scale_forward)(float *y, const float *x, const float *s, size_t S, size_t P, size_t C);
    void (*scale_backward)(float *dx, float *ds, const float *dy, const float *x, const float *s, size_t S, size_t P, size_t C);
};

extern const struct ft_kernels ft_kernels_plain;

/* The fastest for this CPU. `FT_CPU=plain|baseline|avx2|avx512|amx` in the environment forces one (tests). */
const struct ft_kernels *ft_kernels_cpu(enum ft_precision precision);

/* The table of that name, of those FT_CPU takes; NULL when this CPU cannot run it. */
const struct ft_kernels *ft_kernels_named(const char *name, enum ft_precision precision);

/* Cosines and sines of rotary position embedding: table[length, D], a row the D/2 of one place and then the D/2 of the other. */
void ft_rotary_table(float *table, size_t length, size_t D, float theta);

/* Floats of scratch for attention over sequences of at most `length`. */
size_t ft_attention_scratch(size_t length, size_t H, size_t W);

/* The bias' row for a key `apart` places after the query. Half of the rows is for keys after it; of each half, the first half is for a distance each,
 * the rest for ranges that grow with the logarithm (the bidirectional buckets of Raffel et al. 2020, to the bit those of transformers). */
size_t ft_attention_bucket(const struct ft_attention *attention, ptrdiff_t apart);

/* What the scores are multiplied by, for heads of that width. */
float ft_attention_scale(const struct ft_attention *attention, size_t width);

#endif
