/* Log-likelihood of the counts of some cells and a panel of genes, and its derivatives.
 *
 * The definition is bie.models.likelihoods; here, for one gene of one cell,
 *
 *     u = mu / (theta + EPS),  w = 1 + u
 *     log NB(0) = -theta ln w,  log_odds = log NB(0) - pi     (counted zero : technical zero)
 *     log ZINB(0) = softplus(log_odds) + logsigmoid(pi)
 *
 * Every count is charged as a zero, which vectorises; then the non-zero ones, which are few, pay the ratio
 * of their probability to that of a zero. Loops are many and short: a processor overlaps their turns.
 */
#include <math.h>

#include "elementary.h"

#define EPS 1e-8f
#define PANEL 48 /* genes; whole vectors of any width */
#define BLOCK 256
#define N_FACTORIALS 256
#define SMALL 8 /* counts up to here are most of all, and have their gamma functions in a table */

typedef struct { /* of each gene of all panels; log_factorial of 0 to N_FACTORIALS - 1 */
    float *theta, *inverse; /* inverse: 1 / (theta + EPS) */
    double *log_gamma, *digamma, *log_factorial; /* the first two at theta */
} Genes;

typedef struct { /* n cells x PANEL: mu = exponential * scale of the cell, and where derivatives go, or are added */
    const float *exponential, *scale, *pi, *weight;
    float *by_log_mu, *by_pi, *add_by_theta;
    double *value, *total; /* of each cell, added to: log-likelihood, by_log_mu */
} Panel;

typedef struct { /* zeros of up to BLOCK genes */
    float log_nb[BLOCK], one_over_w[BLOCK];
    float by_log_mu[BLOCK], by_theta[BLOCK]; /* derivatives of log_nb */
    float log_odds[BLOCK], a[BLOCK], b[BLOCK]; /* a = e^-|log_odds|, b = e^-|pi| */
    float counted[BLOCK], uncounted[BLOCK], technical[BLOCK]; /* sigmoid of log_odds, -log_odds, pi */
    float factor[BLOCK]; /* (1 + a) / (1 + b) */
} Zeros;

typedef struct { /* ln of Gamma(x + theta) / (Gamma(theta) x!) at row x - 1, and its derivative by theta */
    float value[SMALL][PANEL], slope[SMALL][PANEL];
} Gammas;

INLINE float positive(float x) { return x > 0.0f ? x : 0.0f; }
INLINE float negative(float x) { return x < 0.0f ? x : 0.0f; }

INLINE void negative_binomial(int n, const float *restrict mu, const float *restrict theta,
                              const float *restrict inverse, Zeros *restrict z)
{
#pragma omp simd
    for (int g = 0; g < n; g++) {
        const float u = mu[g] * inverse[g], w = 1.0f + u, one_over_w = 1.0f / w;
        const float log_w = log_positive(w) + (u - (w - 1.0f)) * one_over_w; /* with what w has lost of u */
        z->one_over_w[g] = one_over_w;
        z->log_nb[g] = -theta[g] * log_w;
        z->by_log_mu[g] = -theta[g] * u * one_over_w;
        z->by_theta[g] = theta[g] * u * one_over_w * inverse[g] - log_w;
    }
}

INLINE void inflate(int n, const float *restrict pi, Zeros *restrict z)
{
#pragma omp simd
    for (int g = 0; g < n; g++) {
        z->log_odds[g] = z->log_nb[g] - pi[g];
        z->a[g] = exp_negative(-fabsf(z->log_odds[g]));
        z->b[g] = exp_negative(-fabsf(pi[g]));
    }
#pragma omp simd
    for (int g = 0; g < n; g++) {
        const float one_plus_a = 1.0f + z->a[g], one_plus_b = 1.0f + z->b[g];
        const float both = 1.0f / (one_plus_a * one_plus_b);
        const float larger = both * one_plus_b, smaller = z->a[g] * larger;
        z->counted[g] = z->log_odds[g] > 0.0f ? larger : smaller;
        z->uncounted[g] = z->log_odds[g] > 0.0f ? smaller : larger;
        z->technical[g] = (pi[g] > 0.0f ? 1.0f : z->b[g]) * both * one_plus_a;
        z->factor[g] = one_plus_a * one_plus_a * both;
    }
}

/* Charge the PANEL genes of cell i as zeros. Of the sum over the genes of ln factor, what is returned is the
 * exponential: up to 2^PANEL, at least its inverse. */
INLINE float charge(const float *theta, const float *inverse, Panel *panel, int64_t i, int inflated, int gradient)
{
    Zeros z;
    float mu[PANEL], sum = 0.0f, total = 0.0f, product = 1.0f;
    const float weight = panel->weight[i], scale = panel->scale[i];
    const float *restrict exponential = panel->exponential + i * PANEL;
    const float *restrict pi = inflated ? panel->pi + i * PANEL : NULL;
    float *restrict by_log_mu = panel->by_log_mu + i * PANEL, *restrict add_by_theta = panel->add_by_theta;
    float *restrict by_pi = inflated ? panel->by_pi + i * PANEL : NULL;
#pragma omp simd
    for (int g = 0; g < PANEL; g++)
        mu[g] = exponential[g] * scale;
    negative_binomial(PANEL, mu, theta, inverse, &z);
    if (inflated)
        inflate(PANEL, pi, &z);
#pragma omp simd reduction(+ : sum, total) reduction(* : product)
    for (int g = 0; g < PANEL; g++) {
        sum += inflated ? positive(z.log_odds[g]) + negative(pi[g]) : z.log_nb[g];
        product *= inflated ? z.factor[g] : 1.0f;
        if (gradient) {
            const float counted = inflated ? weight * z.counted[g] : weight;
            by_log_mu[g] = counted * z.by_log_mu[g];
            total += by_log_mu[g];
            add_by_theta[g] += counted * z.by_theta[g];
        }
        if (gradient && inflated)
            by_pi[g] = weight * (z.uncounted[g] - z.technical[g]);
    }
    panel->value[i] += sum;
    panel->total[i] += total;
    return product;
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

/* The same as a table of `Gammas` has it, for n counts of whatever size; in double, since large numbers cancel. `which` says
 * where in `value` and `slope` it goes. */
INLINE void large_gammas(const Genes *genes, int n, const int64_t *gene, const float *counts, const int *which,
                         float *value, float *slope)
{
    double sum[BLOCK], log_gammas[BLOCK], digammas[BLOCK];
    for (int k = 0; k < n; k++) {
        sum[k] = (double)counts[which[k]] + genes->theta[gene[which[k]]];
        log_gammas[k] = genes->log_gamma[gene[which[k]]] + log_factorial(genes, counts[which[k]]);
        digammas[k] = genes->digamma[gene[which[k]]];
    }
#pragma omp simd
    for (int k = 0; k < n; k++) {
        double log_gamma_sum, digamma_sum;
        log_gamma(sum[k], &log_gamma_sum, &digamma_sum);
        log_gammas[k] = log_gamma_sum - log_gammas[k];
        digammas[k] = digamma_sum - digammas[k];
    }
    for (int k = 0; k < n; k++) {
        value[which[k]] = (float)log_gammas[k];
        slope[which[k]] = (float)digammas[k];
    }
}

/* Let n non-zero counts, at most BLOCK, pay their ratio; `cells` and `at`, cell * PANEL + gene, say where in the
 * panel they are, `first` is its first gene. */
INLINE void pay(const Genes *genes, const Gammas *gammas, int64_t first, Panel *panel, const int32_t *cells,
                const int32_t *at, const float *counts, int n, int inflated, int gradient)
{
    Zeros z;
    float mu[BLOCK], theta[BLOCK], inverse[BLOCK], pi[BLOCK];
    float by_log_mu[BLOCK], by_theta[BLOCK], value[BLOCK];
    int64_t gene[BLOCK];
    int large[BLOCK], n_large = 0;
    for (int k = 0; k < n; k++) {
        const int64_t in_panel = at[k] - cells[k] * PANEL;
        gene[k] = first + in_panel;
        mu[k] = panel->exponential[at[k]] * panel->scale[cells[k]];
        theta[k] = genes->theta[gene[k]];
        inverse[k] = genes->inverse[gene[k]];
        pi[k] = inflated ? panel->pi[at[k]] : 0.0f;
        const int row = counts[k] > SMALL ? 0 : (int)counts[k] - 1;
        value[k] = gammas->value[row][in_panel];
        by_theta[k] = gammas->slope[row][in_panel];
        large[n_large] = k;
        n_large += counts[k] > SMALL;
    }
    large_gammas(genes, n_large, gene, counts, large, value, by_theta);
    negative_binomial(n, mu, theta, inverse, &z);
    if (inflated)
        inflate(n, pi, &z);
#pragma omp simd
    for (int k = 0; k < n; k++) {
        const float mean = mu[k] + EPS;
        value[k] += counts[k] * log_positive(mean * inverse[k] * z.one_over_w[k]);
        by_log_mu[k] = counts[k] * ((mean - EPS) / mean - (1.0f - z.one_over_w[k]));
        by_theta[k] -= counts[k] * inverse[k] * z.one_over_w[k];
        if (inflated) {
            value[k] += negative(z.log_odds[k]) - log_positive(1.0f + z.a[k]);
            by_log_mu[k] += z.uncounted[k] * z.by_log_mu[k];
            by_theta[k] += z.uncounted[k] * z.by_theta[k];
        }
    }
    for (int k = 0; k < n; k++) {
        panel->value[cells[k]] += value[k];
        if (!gradient)
            continue;
        const float weight = panel->weight[cells[k]];
        panel->total[cells[k]] += weight * by_log_mu[k];
        panel->by_log_mu[at[k]] += weight * by_log_mu[k];
        panel->add_by_theta[gene[k] - first] += weight * by_theta[k];
        if (inflated)
            panel->by_pi[at[k]] -= weight * z.uncounted[k];
    }
}

/* Log-likelihood of the panel that begins with gene `first`, with n_counts non-zero counts. */
INLINE void charge_and_pay(const Genes *genes, int64_t first, int64_t n, Panel *panel, int64_t n_counts,
                           const int32_t *cells, const int32_t *at, const float *counts, float *product,
                           int inflated, int gradient)
{
    for (int64_t i = 0; i < n; i++)
        product[i] = charge(genes->theta + first, genes->inverse + first, panel, i, inflated, gradient);
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        product[i] = log_positive(product[i]);
    for (int64_t i = 0; i < n; i++)
        panel->value[i] += product[i];
    const Gammas gammas = gammas_of(genes->theta + first);
    for (int64_t k = 0; k < n_counts; k += BLOCK)
        pay(genes, &gammas, first, panel, cells + k, at + k, counts + k,
            (int)(n_counts - k < BLOCK ? n_counts - k : BLOCK), inflated, gradient);
}
