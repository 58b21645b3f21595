/* Log-likelihood of the counts of one gene in the cells of a minibatch, and its derivatives.
 *
 * The definition is bie.models.likelihoods; here, for one gene of one cell,
 *
 *     u = mu / (theta + EPS),  w = 1 + u
 *     log NB(0) = -theta ln w,  log_odds = log NB(0) - pi     (counted zero : technical zero)
 *     log ZINB(0) = softplus(log_odds) + logsigmoid(pi)
 *
 * A non-zero count x has the log-probability logsigmoid(-pi) + log NB(0) plus what it pays, the ratio of NB(x) to NB(0):
 * x ln(mu / (theta w)) + ln(Gamma(x + theta) / (Gamma(theta) x!)). Counts that are not zero are few: all are charged as zeros
 * first, cell by cell, then those few are taken out, corrected side by side, and put back. CHUNK numbers are taken at a time,
 * which vectorises; loops are many and short: a processor overlaps their turns. PANEL and CHUNK are those of heads.h.
 */
#include <math.h>

#include "elementary.h"

#define EPS 1e-8f
#define BLOCK 256 /* large counts that are taken together */
#define N_FACTORIALS 256
#define SMALL 16 /* counts up to here are most of all, and have their gamma functions in a table */

typedef struct { /* of each gene, up to whole panels; log_factorial of 0 to N_FACTORIALS - 1 */
    float *theta, *inverse; /* inverse: 1 / (theta + EPS) */
    double *log_gamma, *digamma, *log_factorial; /* the first two at theta */
} Genes;

typedef struct { /* non-zero counts in the order of the genes, those of gene j from start[j] on */
    const int32_t *start, *cell;
    const float *count;
} Columns;

typedef struct { /* of each cell. mu = exponential * scale; sum, product and total are those of a panel */
    const float *weight;
    float *scale, *sum, *product, *total; /* log-likelihood without and with ln product, derivative by log mu */
    double *value; /* log-likelihood of large counts */
} Sums;

typedef struct { /* ln of Gamma(x + theta) / (Gamma(theta) x!) at row x - 1, and its derivative by theta */
    float value[SMALL][PANEL], slope[SMALL][PANEL];
} Gammas;

typedef struct { /* of the counts of some genes that are not zero, in their order: which gene, and what is known of each; value and
                  * slope of their gamma functions are 0 where they are large */
    int32_t *gene;
    float *exponential, *logit, *theta, *inverse, *value, *slope;
} Taken;

typedef struct { /* of counts as zeros */
    float mu[CHUNK], log_nb[CHUNK], one_over_w[CHUNK];
    float by_log_mu[CHUNK], by_theta[CHUNK]; /* derivatives of log_nb */
    float log_odds[CHUNK], one_plus_a[CHUNK], one_plus_b[CHUNK]; /* a = e^-|log_odds|, b = e^-|pi| */
    float counted[CHUNK], uncounted[CHUNK], technical[CHUNK]; /* sigmoid of log_odds, -log_odds, pi */
    float factor[CHUNK]; /* (1 + a) / (1 + b) */
} Zeros;

INLINE float positive(float x) { return x > 0.0f ? x : 0.0f; }
INLINE float negative(float x) { return x < 0.0f ? x : 0.0f; }

/* `own`: whether each has a theta of its own, or all that of the first. */
INLINE void negative_binomial(const float *restrict exponential, const float *restrict scale, const float *restrict theta,
                              const float *restrict inverse, int own, Zeros *restrict t)
{
#pragma omp simd
    for (int c = 0; c < CHUNK; c++) {
        const float theta_c = theta[own ? c : 0], inverse_c = inverse[own ? c : 0];
        const float mu = exponential[c] * scale[c], u = mu * inverse_c, w = 1.0f + u, one_over_w = 1.0f / w;
        const float log_w = log_positive(w) + (u - (w - 1.0f)) * one_over_w; /* with what w has lost of u */
        t->mu[c] = mu;
        t->one_over_w[c] = one_over_w;
        t->log_nb[c] = -theta_c * log_w;
        t->by_log_mu[c] = -theta_c * u * one_over_w;
        t->by_theta[c] = theta_c * u * one_over_w * inverse_c - log_w;
    }
}

INLINE void inflate(const float *restrict pi, Zeros *restrict t)
{
#pragma omp simd
    for (int c = 0; c < CHUNK; c++) {
        t->log_odds[c] = t->log_nb[c] - pi[c];
        t->one_plus_a[c] = 1.0f + exp_negative(-fabsf(t->log_odds[c]));
        t->one_plus_b[c] = 1.0f + exp_negative(-fabsf(pi[c]));
    }
#pragma omp simd
    for (int c = 0; c < CHUNK; c++) {
        const float one_plus_a = t->one_plus_a[c], one_plus_b = t->one_plus_b[c];
        const float both = 1.0f / (one_plus_a * one_plus_b), inverse_b = both * one_plus_a;
        const float larger = both * one_plus_b, smaller = (one_plus_a - 1.0f) * larger;
        t->counted[c] = t->log_odds[c] > 0.0f ? larger : smaller;
        t->uncounted[c] = t->log_odds[c] > 0.0f ? smaller : larger;
        t->technical[c] = (pi[c] > 0.0f ? 1.0f : one_plus_b - 1.0f) * inverse_b;
        t->factor[c] = one_plus_a * inverse_b;
    }
}

/* CHUNK cells from `at` on, as if their counts of a gene were zeros. Derivatives, each cell times its weight, go to by_log_mu and
 * where pi is, that by theta is added up for each of the CHUNK cells. The product is that of `factor`: of PANEL genes up to
 * 2^PANEL, at least its inverse. */
INLINE void charge(const float *theta, const float *inverse, int64_t at, const float *exponential, float *pi,
                   float *restrict by_log_mu, float *restrict by_theta, const Sums *cells, int inflated, int gradient)
{
    Zeros t;
    const float *restrict weight = cells->weight + at;
    float *restrict sum = cells->sum + at, *restrict product = cells->product + at;
    float *restrict logit = inflated ? pi + at : NULL, *restrict by = by_log_mu + at;
    negative_binomial(exponential + at, cells->scale + at, theta, inverse, 0, &t);
    if (inflated)
        inflate(logit, &t);
#pragma omp simd
    for (int c = 0; c < CHUNK; c++) {
        sum[c] += inflated ? positive(t.log_odds[c]) + negative(logit[c]) : t.log_nb[c];
        product[c] *= inflated ? t.factor[c] : 1.0f;
    }
    if (!gradient)
        return;
#pragma omp simd
    for (int c = 0; c < CHUNK; c++) {
        const float counted = inflated ? t.counted[c] : 1.0f;
        by[c] = weight[c] * (counted * t.by_log_mu[c]);
        by_theta[c] += weight[c] * (counted * t.by_theta[c]);
        if (inflated)
            logit[c] = weight[c] * (t.uncounted[c] - t.technical[c]);
    }
}

typedef struct { /* of counts that are not zero: what the sums lack; derivatives, that by theta what is lacking, not
                  * yet weighted */
    float sum[CHUNK], factor[CHUNK], by_log_mu[CHUNK], by_theta[CHUNK], by_logit[CHUNK];
} Payments;

/* CHUNK counts that are not zero, from `at` on. */
INLINE void pay(const float *restrict count, const Taken *taken, int64_t at, const float *restrict scale, int inflated,
                Payments *restrict paid)
{
    Zeros t;
    const float *restrict inverse = taken->inverse + at, *restrict value = taken->value + at, *restrict slope = taken->slope + at;
    negative_binomial(taken->exponential + at, scale, taken->theta + at, inverse, 1, &t);
    if (inflated)
        inflate(taken->logit + at, &t);
#pragma omp simd
    for (int c = 0; c < CHUNK; c++) {
        const float mean = t.mu[c] + EPS, odds = inverse[c] * t.one_over_w[c];
        const float ratio = count[c] * log_positive(mean * odds) + value[c];
        const float uncounted = inflated ? t.uncounted[c] : 0.0f;
        paid->sum[c] = ratio + (inflated ? negative(t.log_odds[c]) : 0.0f);
        paid->factor[c] = inflated ? 1.0f / t.one_plus_a[c] : 1.0f;
        paid->by_log_mu[c] = t.by_log_mu[c] + count[c] * (t.mu[c] / mean - (1.0f - t.one_over_w[c]));
        paid->by_theta[c] = uncounted * t.by_theta[c] + slope[c] - count[c] * odds;
        paid->by_logit[c] = inflated ? -t.technical[c] : 0.0f;
    }
}

static Gammas gammas_of(const float *theta)
{
    Gammas gammas;
    float value[PANEL] = {0}, slope[PANEL] = {0};
    for (int x = 0; x < SMALL; x++)
#pragma omp simd
        for (int g = 0; g < PANEL; g++) {
            gammas.value[x][g] = value[g] += log_positive((theta[g] + (float)x) / (float)(x + 1));
            gammas.slope[x][g] = slope[g] += 1.0f / (theta[g] + (float)x);
        }
    return gammas;
}

static double log_factorial(const Genes *genes, float x)
{
    double value, unused;
    if (x < N_FACTORIALS)
        return genes->log_factorial[(int)x];
    log_gamma((double)x + 1.0, &value, &unused);
    return value;
}

/* Gamma functions of n large counts of a gene; in double, since large numbers cancel. Returns the derivative by theta. */
static double pay_large(const Genes *genes, int64_t gene, int n, const int32_t *cell, const float *count, const Sums *cells)
{
    double value[BLOCK], slope[BLOCK], by_theta = 0.0;
#pragma omp simd
    for (int k = 0; k < n; k++)
        log_gamma((double)count[k] + (double)genes->theta[gene], &value[k], &slope[k]);
    for (int k = 0; k < n; k++) {
        cells->value[cell[k]] += value[k] - genes->log_gamma[gene] - log_factorial(genes, count[k]);
        by_theta += (double)cells->weight[cell[k]] * (slope[k] - genes->digamma[gene]);
    }
    return by_theta;
}

/* Take out the n counts that are not zero of genes from `first` on, the one at `column` of `gammas`; `taken` knows the genes. */
INLINE void take(int64_t n, int64_t n_cells, const Genes *genes, int64_t first, int64_t column, const int32_t *restrict cell,
                 const float *restrict count, const Gammas *gammas, const float *restrict exponential, const float *restrict pi,
                 const Taken *taken)
{
    const float *const value = gammas->value[0] + column, *const slope = gammas->slope[0] + column;
    const float *const theta = genes->theta + first, *const inverse = genes->inverse + first;
#pragma omp simd
    for (int64_t k = 0; k < n; k++) {
        const int32_t gene = taken->gene[k], place = gene * (int32_t)n_cells + cell[k];
        const int32_t x = (int32_t)(count[k] > SMALL ? SMALL : count[k]), row = (x - 1) * PANEL + gene;
        taken->exponential[k] = exponential[place];
        taken->logit[k] = pi ? pi[place] : 0.0f;
        taken->theta[k] = theta[gene];
        taken->inverse[k] = inverse[gene];
        taken->value[k] = count[k] > SMALL ? 0.0f : value[row];
        taken->slope[k] = count[k] > SMALL ? 0.0f : slope[row];
    }
}

/* What the large ones of n counts of a gene pay; the derivative by theta. */
static double pay_all_large(const Genes *genes, int64_t gene, int64_t n, const int32_t *cell, const float *count, const Sums *cells)
{
    int32_t where[BLOCK];
    float large[BLOCK];
    int n_large = 0;
    double by_theta = 0.0;
    for (int64_t k = 0; k < n; k++) {
        if (count[k] <= SMALL)
            continue;
        where[n_large] = cell[k], large[n_large++] = count[k];
        if (n_large == BLOCK)
            by_theta += pay_large(genes, gene, n_large, where, large, cells), n_large = 0;
    }
    return n_large ? by_theta + pay_large(genes, gene, n_large, where, large, cells) : by_theta;
}
