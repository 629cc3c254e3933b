/* ops-attend.h - of ops.h: one query an item over its tokens. */
#ifndef FT_TESTS_OPS_ATTEND_H
#define FT_TESTS_OPS_ATTEND_H

/* attend: q[S, W], kv[R, 2W] */

static void attend_sizes(const struct problem *p, size_t size[], size_t *output)
{
    *output = size[0] = p->rows.sequences * p->shape.W;
    size[1] = p->R * 2 * p->shape.W;
}

static void attend_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    (void)op;
    p->k->attend_forward(y, in[0], in[1], p->shape.H, &p->rows, p->shape.W, p->scratch);
}

static void attend_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[], const float *y)
{
    (void)op, (void)y;
    p->k->attend_backward(d[0], NULL, dy, in[0], in[1], p->shape.H, &p->rows, p->shape.W, p->scratch);
    p->k->attend_backward(NULL, d[1], dy, in[0], in[1], p->shape.H, &p->rows, p->shape.W, p->scratch);
}

#endif
