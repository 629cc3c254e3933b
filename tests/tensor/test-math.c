/* test-math.c - the bounds that lib/tensor/cpu/vector-math.h states, against libm in double, over dense grids. test-math-avx2.c and
 * test-math-avx512.c are this file at other widths. */
#ifndef FT_LEVEL
#define FT_LEVEL 0
#define AVAILABLE true
#define LEVEL_NAME "baseline"
#endif
#include "tensor/cpu/vector-math.h"
#include "../tap.h"

/* |got - want| in units of the last place of a float near want; below `smallest`, of a float near that. */
static double ulps(float got, double want, double smallest)
{
    double size = fmax(fabs(want), smallest);
    int exponent;

    if (isinf(got) && fabs(want) > 3.4028235e38)
        return 0;
    frexp(size, &exponent);
    return fabs(got - want) / ldexp(1, exponent - 24);
}

static vf tail(vf x)
{
    vf bell;

    return v_normal(x, &bell);
}

static vf bell(vf x)
{
    vf e;

    v_normal(x, &e);
    return e;
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double normal(double x) { return 0.5 * erfc(-x * M_SQRT1_2); }
static double bell_exact(double x) { return exp(-0.5 * x * x); }

/* The worst error over `steps` floats between from and to: in ulps above `smallest`, or absolute when that is 0. */
static double worst(vf (*fast)(vf), double (*exact)(double), double from, double to, int steps, double smallest)
{
    double most = 0;

    for (int i = 0; i < steps; i += V) {
        vf x, y;

        for (int j = 0; j < V; j++)
            x[j] = (float)(from + (to - from) * (i + j) / steps);
        y = fast(x);
        for (int j = 0; j < V; j++) {
            double want = exact(x[j]), error = smallest > 0 ? ulps(y[j], want, smallest) : fabs(y[j] - want);

            if (!(error <= most))
                most = error;
        }
    }
    return most;
}

static vf exp_of(vf x) { return v_exp(x); }
static vf log_of(vf x) { return v_log(x); }
static vf tanh_of(vf x) { return v_tanh(x); }
static vf sigmoid_of(vf x) { return v_sigmoid(x); }

static void check(double got, double bound, const char *what)
{
    ok(got <= bound, "%s: %s: %.3g, bound %.3g", LEVEL_NAME, what, got, bound);
}

__attribute__((noinline)) static void test(void)
{
    enum { MANY = 1 << 20 };
    const double normal_least = 1.17549435e-38;
    vf y;

    check(worst(exp_of, exp, -87.33, 88.72, MANY, normal_least), 2, "exp, ulp");
    check(worst(exp_of, exp, -1, 1, MANY, normal_least), 2, "exp near 0, ulp");
    check(worst(exp_of, exp, -104, -87.33, MANY / 8, normal_least), 2, "exp to subnormal numbers, ulp");
    check(worst(log_of, log, 1e-6, 1e4, MANY, 1), 2, "log, ulp");
    check(worst(log_of, log, 1e-37, 1e-6, MANY, 1), 2, "log of small numbers, ulp");
    check(worst(log_of, log, .5, 2, MANY, 1), 1, "log near 1, ulp of 1");
    check(worst(tanh_of, tanh, -10, 10, MANY, normal_least), 4, "tanh, ulp");
    check(worst(tanh_of, tanh, -1e-3, 1e-3, MANY / 8, normal_least), 4, "tanh near 0, ulp");
    check(worst(sigmoid_of, sigmoid, -87, 20, MANY, normal_least), 4, "sigmoid, ulp");
    check(worst(tail, normal, -15, 15, MANY, 0), 1e-7, "normal distribution, absolute");
    check(worst(tail, normal, -2, 2, MANY, 0), 1e-7, "normal distribution near 0, absolute");
    check(worst(bell, bell_exact, -15, 15, MANY, 0), 1e-7, "bell, absolute");

    y = v_exp(v_set(-INFINITY));
    ok(y[0] == 0 && y[V - 1] == 0, "%s: exp(-inf) is 0", LEVEL_NAME);
    y = v_exp(v_set(INFINITY));
    ok(isinf(y[0]) && v_exp(v_set(89))[0] > 3e38f, "%s: exp(inf) is infinite", LEVEL_NAME);
    ok(isinf(v_log(v_set(INFINITY))[0]) && isnan(v_log(v_set(NAN))[0]) && v_log(v_set(1))[0] == 0, "%s: log at the ends and at 1", LEVEL_NAME);
    y = v_exp(v_set(0));
    ok(y[0] == 1, "%s: exp(0) is 1", LEVEL_NAME);
    ok(isnan(v_exp(v_set(NAN))[0]) && isnan(v_tanh(v_set(NAN))[0]) && isnan(v_sigmoid(v_set(NAN))[0]) && isnan(tail(v_set(NAN))[0]),
       "%s: NaN stays", LEVEL_NAME);
    ok(v_tanh(v_set(INFINITY))[0] == 1 && v_tanh(v_set(-INFINITY))[0] == -1 && signbit(v_tanh(v_set(-0.0f))[0]) != 0,
       "%s: tanh at the ends and at -0", LEVEL_NAME);
    ok(tail(v_set(-40))[0] == 0 && tail(v_set(40))[0] == 1 && tail(v_set(0))[0] == 0.5f, "%s: normal at the ends and the middle", LEVEL_NAME);
}

int main(void)
{
    if (AVAILABLE)
        test();
    else
        ok(true, "%s # SKIP not on this CPU", LEVEL_NAME);
    return done();
}
