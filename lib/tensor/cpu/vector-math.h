/* vector-math.h - exp, log, tanh, the logistic function and the normal distribution on vectors.
 *
 * The polynomials were fitted for this file (least squares at Chebyshev nodes, reweighted towards the minimax). The bounds below are over all
 * floats, with or without fused multiply-add; tests/tensor/test-math.c holds them against libm in double. NaN gives NaN. */
#ifndef FT_TENSOR_CPU_VECTOR_MATH_H
#define FT_TENSOR_CPU_VECTOR_MATH_H

#include "tensor/cpu/vector.h"

/* 2^n for integers -126 <= n <= 127. */
INLINE vf v_power_of_two(vi n)
{
    return (vf)((n + 127) << 23);
}

/* e^x within 2 ulp, subnormal results too, 0 below -104 and infinity above 88.8.
 *
 * x = n ln 2 + r, |r| <= ln 2 / 2; ln 2 in two pieces, the first short enough that n times it is exact. Adding 1.5 * 2^23 rounds to an integer
 * and leaves it in the low bits. 2^n goes on in two factors, since it may itself be subnormal or infinite. */
INLINE vf v_exp(vf x)
{
    const vf magic = v_set(12582912.0f);
    vf rounded, n, r, p;

    x = v_max(v_set(-104.0f), v_min(v_set(89.0f), x));
    rounded = v_fma(x, v_set(1.44269504f), magic);
    n = rounded - magic;
    r = v_fma(n, v_set(-0.693359375f), x);
    r = v_fma(n, v_set(2.12194440e-4f), r);
    p = v_set(1.3813142431899905e-3f);
    p = v_fma(p, r, v_set(8.369418792426586e-3f));
    p = v_fma(p, r, v_set(4.166845604777336e-2f));
    p = v_fma(p, r, v_set(1.6666515171527863e-1f));
    p = v_fma(p, r, v_set(4.999999403953552e-1f));
    p = v_fma(p, r * r, r) + 1.0f;
#if FT_LEVEL == 2
    return (vf)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    {
        vi whole = (vi)rounded - (vi)magic, half = whole >> 1;

        return p * v_power_of_two(half) * v_power_of_two(whole - half);
    }
#endif
}

/* ln x within 2 ulp of a float near it, or of 1 near x = 1, for x that are positive and normal; infinity and NaN stay what they are.
 *
 * x = 2^e m with m between sqrt(1/2) and sqrt 2; ln m = 2 artanh s, s = (m - 1) / (m + 1), whose series at s^2 <= 0.0295 needs five terms. */
INLINE vf v_log(vf x)
{
    vu bits = (vu)x - 0x3f3504f3;
    vi e = (vi)bits >> 23;
    vf m = (vf)((bits & 0x7fffff) + 0x3f3504f3), s = (m - 1.0f) / (m + 1.0f), z = s * s, p, n;

    n = (vf)((e + 0x4b400000)) - 12582912.0f;   /* 1.5 * 2^23 and a small integer in its low bits, which may be negative */
    p = v_set(2.222222222222222e-1f);
    p = v_fma(p, z, v_set(2.857142857142857e-1f));
    p = v_fma(p, z, v_set(4e-1f));
    p = v_fma(p, z, v_set(6.666666666666667e-1f));
    p = v_fma(p * z, s, s + s);
    p = v_fma(n, v_set(-2.12194440e-4f), p);
    p = v_fma(n, v_set(0.693359375f), p);
    return v_pick(v_less(x, v_set(__builtin_inff())), p, x);
}

/* 1 / a within 2 ulp where neither is subnormal or infinite: an estimate of 14 bits and a step of Newton's, in a third of the time of a division. */
INLINE vf v_reciprocal(vf a)
{
#if FT_LEVEL == 2
    vf r = (vf)_mm512_rcp14_ps((__m512)a);

    return v_fma(r, v_fma(-a, r, v_set(1.0f)), r);
#else
    return 1.0f / a;
#endif
}

/* 1 / (1 + e^-x) within 4 ulp where the result is normal, 0 where it is not: there the reciprocal would fail. */
INLINE vf v_sigmoid(vf x)
{
    const vf least = v_set(-87.3f);
    vf s = v_reciprocal(v_exp(v_min(-least, -x)) + 1.0f);

    return v_pick(v_less(x, least), v_set(0.0f), s);
}

/* tanh x within 4 ulp: an odd polynomial near 0, where 1 - 2 / (e^2|x| + 1) would cancel. */
INLINE vf v_tanh(vf x)
{
    vi sign = (vi)x & INT32_MIN;
    vf a = (vf)((vi)x ^ sign), z = x * x, far, near;

    far = 1.0f - 2.0f / (v_exp(a + a) + 1.0f);
    near = v_set(-5.717036779969931e-3f);
    near = v_fma(near, z, v_set(2.0650578662753105e-2f));
    near = v_fma(near, z, v_set(-5.374349653720856e-2f));
    near = v_fma(near, z, v_set(1.3331490755081177e-1f));
    near = v_fma(near, z, v_set(-3.333328366279602e-1f));
    near = v_fma(near * z, a, a);
    return (vf)((vi)v_pick(v_less(a, v_set(0.625f)), near, far) | sign);
}

/* The standard normal: its distribution within 1e-7 of the truth everywhere, and e^(-x^2 / 2), which is its density times sqrt(2 pi).
 *
 * For a = |x| >= 1.125 the upper tail is e^(-a^2 / 2) t P(t) with t = 1 / (1 + 0.36 a), and 1 - tail on the right: the form of Hastings
 * (Approximations for Digital Computers, 1955), with a fit of our own. Nearer to 0 the rounding of t would show; there it is 0.5 + x Q(x^2).
 * P and Q alone err by 3e-9. The tail is never a difference, so x * distribution stays relatively exact far on the left. */
INLINE vf v_normal(vf x, vf *bell)
{
    vf a = (vf)((vi)x & INT32_MAX), z = x * x, t = v_reciprocal(v_fma(v_min(v_set(40.0f), a), v_set(0.36f), v_set(1.0f))), p, q;

    *bell = v_exp(z * -0.5f);
    p = v_set(-1.0432341694831848e-1f);
    p = v_fma(p, t, v_set(2.670116722583771e-1f));
    p = v_fma(p, t, v_set(2.6305358856916428e-2f));
    p = v_fma(p, t, v_set(1.701204925775528e-1f));
    p = v_fma(p, t, v_set(1.4078210294246674e-1f));
    p = *bell * (p * t);
    p = v_pick(v_less(v_set(0.0f), x), 1.0f - p, p);
    q = v_set(-6.64485878587584e-6f);
    q = v_fma(q, z, v_set(1.103274553315714e-4f));
    q = v_fma(q, z, v_set(-1.182709587737918e-3f));
    q = v_fma(q, z, v_set(9.971500374376774e-3f));
    q = v_fma(q, z, v_set(-6.648998707532883e-2f));
    q = v_fma(q, z, v_set(3.989422619342804e-1f));
    return v_pick(v_less(a, v_set(1.125f)), v_fma(q, x, v_set(0.5f)), p);
}

#endif
