/* Log-likelihood of the counts of one gene in the cells of a minibatch, and its derivatives.
 *
 * The definition is bie.models.likelihoods; here, for one gene of one cell,
 *
 *     u = mu / (theta + EPS),  w = 1 + u
 *     log NB(0) = -theta ln w,  log_odds = log NB(0) - pi     (counted zero : technical zero)
 *     log ZINB(0) = softplus(log_odds) + logsigmoid(pi)
 *
 * A non-zero count x has the log-probability logsigmoid(-pi) + log NB(0) plus the log ratio of NB(x) to NB(0):
 * x ln(mu / (theta w)) + ln(Gamma(x + theta) / (Gamma(theta) x!)). Cells are taken CHUNK at a time, which vectorises; where
 * their counts are all zeros that is left out. Loops are many and short: a processor overlaps their turns. PANEL and CHUNK are
 * those of heads.h.
 */
#pragma once
#include <math.h>

#include "elementary.h"
#include "heads.h"

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
    float *scale, *sum, *product, *total; /* log-likelihood without and with ln product, derivative w.r.t. log mu */
    double *value; /* log-likelihood of large counts */
} Sums;

typedef struct { /* ln of Gamma(x + theta) / (Gamma(theta) x!) at row x - 1, and its derivative w.r.t. theta */
    float value[SMALL][PANEL], slope[SMALL][PANEL];
} Gammas;

typedef struct { /* counts of one gene; value and slope of their gamma functions, 0 where they are large or zero */
    float *count, *value, *slope;
    uint8_t *any; /* of each chunk: whether there is a count that is not zero */
} Counts;

typedef struct { /* of zeros; and the log ratios of non-zero counts to them, 0 for zeros */
    float mu[CHUNK], log_nb[CHUNK], one_over_w[CHUNK];
    float grad_log_mu[CHUNK], grad_theta[CHUNK]; /* derivatives of log_nb */
    float log_odds[CHUNK], a[CHUNK], b[CHUNK]; /* a = e^-|log_odds|, b = e^-|pi| */
    float counted[CHUNK], uncounted[CHUNK], technical[CHUNK]; /* sigmoid of log_odds, -log_odds, pi */
    float factor[CHUNK]; /* (1 + a) / (1 + b), without the numerator where the count is not zero */
    float ratio[CHUNK], ratio_by_log_mu[CHUNK], ratio_by_theta[CHUNK];
} Terms;

INLINE float positive(float x) { return x > 0.0f ? x : 0.0f; }
INLINE float negative(float x) { return x < 0.0f ? x : 0.0f; }

INLINE void negative_binomial(const float *restrict exponential, const float *restrict scale, float theta, float inverse,
                              Terms *restrict t)
{
#pragma omp simd
    for (int c = 0; c < CHUNK; c++) {
        const float mu = exponential[c] * scale[c], u = mu * inverse, w = 1.0f + u, one_over_w = 1.0f / w;
        const float log_w = log_positive(w) + (u - (w - 1.0f)) * one_over_w; /* with what w has lost of u */
        t->mu[c] = mu;
        t->one_over_w[c] = one_over_w;
        t->log_nb[c] = -theta * log_w;
        t->grad_log_mu[c] = -theta * u * one_over_w;
        t->grad_theta[c] = theta * u * one_over_w * inverse - log_w;
    }
}

INLINE void inflate(const float *restrict pi, const float *restrict count, Terms *restrict t)
{
#pragma omp simd
    for (int c = 0; c < CHUNK; c++) {
        t->log_odds[c] = t->log_nb[c] - pi[c];
        t->a[c] = exp_negative(-fabsf(t->log_odds[c]));
        t->b[c] = exp_negative(-fabsf(pi[c]));
    }
#pragma omp simd
    for (int c = 0; c < CHUNK; c++) {
        const float one_plus_a = 1.0f + t->a[c], one_plus_b = 1.0f + t->b[c];
        const float both = 1.0f / (one_plus_a * one_plus_b), inverse_b = both * one_plus_a;
        const float larger = both * one_plus_b, smaller = t->a[c] * larger;
        const float counted = t->log_odds[c] > 0.0f ? larger : smaller;
        const float uncounted = t->log_odds[c] > 0.0f ? smaller : larger;
        t->counted[c] = count[c] > 0.0f ? 1.0f : counted;
        t->uncounted[c] = count[c] > 0.0f ? 0.0f : uncounted;
        t->technical[c] = (pi[c] > 0.0f ? 1.0f : t->b[c]) * inverse_b;
        t->factor[c] = count[c] > 0.0f ? inverse_b : one_plus_a * inverse_b;
    }
}

/* Log ratios of non-zero counts to zeros, with their derivatives. */
INLINE void nonzero_ratio(const float *restrict count, const float *restrict value, const float *restrict slope, float inverse,
                Terms *restrict t)
{
#pragma omp simd
    for (int c = 0; c < CHUNK; c++) {
        const float mean = t->mu[c] + EPS, odds = inverse * t->one_over_w[c];
        const float ratio = count[c] * log_positive(mean * odds) + value[c];
        const float grad_log_mu = count[c] * (t->mu[c] / mean - (1.0f - t->one_over_w[c]));
        t->ratio[c] = count[c] > 0.0f ? ratio : 0.0f;
        t->ratio_by_log_mu[c] = count[c] > 0.0f ? grad_log_mu : 0.0f;
        t->ratio_by_theta[c] = count[c] > 0.0f ? slope[c] - count[c] * odds : 0.0f;
    }
}

/* The counts of a gene in CHUNK cells from `at` on. Derivatives, each cell times its weight, go where pi and the exponentials
 * are, that w.r.t. theta is added up for each of the CHUNK cells. The product is that of `factor`: of PANEL genes up to 2^PANEL,
 * at least its inverse. */
INLINE void chunk(float theta, float inverse, const Counts *x, int64_t at, const float *exponential, float *pi,
                  float *restrict grad_log_mu, float *restrict grad_theta, const Sums *cells, int only_zeros, int inflated,
                  int gradient)
{
    Terms t;
    const float *restrict count = x->count + at, *restrict weight = cells->weight + at;
    float *restrict sum = cells->sum + at, *restrict product = cells->product + at, *restrict total = cells->total + at;
    float *restrict logit = inflated ? pi + at : NULL, *restrict grad = grad_log_mu + at;
    negative_binomial(exponential + at, cells->scale + at, theta, inverse, &t);
    if (inflated)
        inflate(logit, count, &t);
    if (!only_zeros)
        nonzero_ratio(count, x->value + at, x->slope + at, inverse, &t);
#pragma omp simd
    for (int c = 0; c < CHUNK; c++) {
        if (inflated) {
            sum[c] += (count[c] > 0.0f ? t.log_odds[c] : positive(t.log_odds[c])) + negative(logit[c]);
            product[c] *= t.factor[c];
        } else {
            sum[c] += t.log_nb[c];
        }
        if (!only_zeros)
            sum[c] += t.ratio[c];
    }
    if (!gradient)
        return;
#pragma omp simd
    for (int c = 0; c < CHUNK; c++) {
        const float counted = inflated ? t.counted[c] : 1.0f;
        const float slope = counted * t.grad_theta[c] + (only_zeros ? 0.0f : t.ratio_by_theta[c]);
        const float grad_mu = counted * t.grad_log_mu[c] + (only_zeros ? 0.0f : t.ratio_by_log_mu[c]);
        grad[c] = weight[c] * grad_mu;
        total[c] += grad[c];
        grad_theta[c] += weight[c] * slope;
        if (inflated)
            logit[c] = weight[c] * (t.uncounted[c] - t.technical[c]);
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

/* Gamma functions of n large counts of a gene; in double, since large numbers cancel. Returns the derivative w.r.t. theta. */
static double large_count_ratios(const Genes *genes, int64_t gene, int n, const int32_t *cell, const float *count, const Sums *cells)
{
    double value[BLOCK], slope[BLOCK], grad_theta = 0.0;
#pragma omp simd
    for (int k = 0; k < n; k++)
        log_gamma((double)count[k] + (double)genes->theta[gene], &value[k], &slope[k]);
    for (int k = 0; k < n; k++) {
        cells->value[cell[k]] += value[k] - genes->log_gamma[gene] - log_factorial(genes, count[k]);
        grad_theta += (double)cells->weight[cell[k]] * (slope[k] - genes->digamma[gene]);
    }
    return grad_theta;
}

/* Write the counts of a gene, the one at `column` of `gammas`, where there are zeros only; the ratios of the large ones are added at once.
 * Returns the derivative w.r.t. theta of these. */
INLINE double scatter_counts(const Genes *genes, int64_t gene, int64_t column, const Columns *columns, const Gammas *gammas,
                     const Counts *x, const Sums *cells)
{
    int32_t cell[BLOCK];
    float large[BLOCK];
    int n_large = 0;
    double grad_theta = 0.0;
    for (int32_t k = columns->start[gene]; k < columns->start[gene + 1]; k++) {
        const int32_t i = columns->cell[k];
        const float count = columns->count[k];
        x->count[i] = count;
        x->any[i / CHUNK] = 1;
        if (count > SMALL) {
            cell[n_large] = i, large[n_large++] = count;
            if (n_large == BLOCK)
                grad_theta += large_count_ratios(genes, gene, n_large, cell, large, cells), n_large = 0;
        } else {
            x->value[i] = gammas->value[(int)count - 1][column];
            x->slope[i] = gammas->slope[(int)count - 1][column];
        }
    }
    return n_large ? grad_theta + large_count_ratios(genes, gene, n_large, cell, large, cells) : grad_theta;
}
