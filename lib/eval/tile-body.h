/* tile-body.h - one size of tile for one instruction set, included by tile.c with NAME, ROWS, VECTORS, LANES
 * and the operations defined. The accumulators stay in registers: ROWS * VECTORS of them, and nearly always die there. */

/* What dot and squares end with: most tiles have no score that matters, and are not written. */
static inline __attribute__((always_inline)) uint32_t NAME(finish)(VECTOR sum[ROWS][VECTORS], const float *threshold, float *score)
{
    uint32_t rows = 0;

    UNROLL for (int r = 0; r < ROWS; r++) {
        uint32_t mask = 0;

        UNROLL for (int v = 0; v < VECTORS; v++)
            mask |= AT_LEAST(sum[r][v], threshold[r]);
        rows |= (uint32_t)(mask != 0) << r;
    }
    if (!rows)
        return 0;
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int v = 0; v < VECTORS; v++)
            STORE(score + (r * VECTORS + v) * LANES, sum[r][v]);
    return rows;
}

static uint32_t NAME(dot)(const float *a, const float *b, size_t dim, const float *threshold, float *score)
{
    VECTOR sum[ROWS][VECTORS];

    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int v = 0; v < VECTORS; v++)
            sum[r][v] = ZERO();
    for (size_t k = 0; k < dim; k++, a += ROWS, b += VECTORS * LANES) {
        VECTOR item[VECTORS];

        UNROLL for (int v = 0; v < VECTORS; v++)
            item[v] = LOAD(b + v * LANES);
        UNROLL for (int r = 0; r < ROWS; r++) {
            VECTOR query = SPREAD(a[r]);

            UNROLL for (int v = 0; v < VECTORS; v++)
                sum[r][v] = MULTIPLY_ADD(query, item[v], sum[r][v]);
        }
    }
    return NAME(finish)(sum, threshold, score);
}

/* Differences before squares: |q|^2 - 2qx + |x|^2 would lose the digits of near neighbours. */
static uint32_t NAME(squares)(const float *a, const float *b, size_t dim, const float *threshold, float *score)
{
    VECTOR sum[ROWS][VECTORS];

    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int v = 0; v < VECTORS; v++)
            sum[r][v] = ZERO();
    for (size_t k = 0; k < dim; k++, a += ROWS, b += VECTORS * LANES) {
        VECTOR item[VECTORS];

        UNROLL for (int v = 0; v < VECTORS; v++)
            item[v] = LOAD(b + v * LANES);
        UNROLL for (int r = 0; r < ROWS; r++) {
            VECTOR query = SPREAD(a[r]);

            UNROLL for (int v = 0; v < VECTORS; v++) {
                VECTOR apart = SUBTRACT(item[v], query);

                sum[r][v] = MULTIPLY_ADD(apart, apart, sum[r][v]);
            }
        }
    }
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int v = 0; v < VECTORS; v++)
            sum[r][v] = SUBTRACT(ZERO(), sum[r][v]);
    return NAME(finish)(sum, threshold, score);
}

static uint32_t NAME(above)(const float *score, float threshold)
{
    uint32_t mask = 0;

    UNROLL for (int v = 0; v < VECTORS; v++)
        mask |= AT_LEAST(LOAD(score + v * LANES), threshold) << (v * LANES);
    return mask;
}

/* Eight sums, then their sum: one would wait for each addition. */
static double NAME(square)(const float *vector, size_t dim)
{
    eight_doubles sums = {0};
    double sum = 0;
    size_t k = 0;

    for (; k + 8 <= dim; k += 8) {
        eight_doubles v = __builtin_convertvector(*(const eight_floats *)(vector + k), eight_doubles);

        sums += v * v;
    }
    for (; k < dim; k++)
        sum += (double)vector[k] * vector[k];
    for (int i = 0; i < 8; i++)
        sum += sums[i];
    return sum;
}

static void NAME(scale)(float *vector, size_t dim, double by)
{
    size_t k = 0;

    for (; k + 8 <= dim; k += 8) {
        eight_floats *v = (eight_floats *)(vector + k);

        *v = __builtin_convertvector(__builtin_convertvector(*v, eight_doubles) * by, eight_floats);
    }
    for (; k < dim; k++)
        vector[k] = (float)(vector[k] * by);
}

static const struct ft_tile NAME(tile) = {TITLE,       ROWS,        VECTORS * LANES, NAME(dot), NAME(squares),
                                          NAME(above), NAME(square), NAME(scale)};

#undef NAME
#undef TITLE
#undef ROWS
#undef VECTORS
#undef LANES
#undef VECTOR
#undef ZERO
#undef LOAD
#undef STORE
#undef SPREAD
#undef SUBTRACT
#undef MULTIPLY_ADD
#undef AT_LEAST
