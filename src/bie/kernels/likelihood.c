/* Log-likelihood of cells under the decoder of scVI, and its gradient, cell by cell.
 *
 * The definition is bie.models.likelihoods; here, for one gene of one cell,
 *
 *     mu = exp(log_library) softmax(logits),  u = mu / (theta + EPS),  w = 1 + u
 *     log NB(0) = -theta ln w,  log_odds = log NB(0) - pi     (counted zero : technical zero)
 *     log ZINB(0) = softplus(log_odds) + logsigmoid(pi)
 *
 * Every count is charged as a zero, which vectorises; then the non-zero ones, which are few, pay the ratio
 * of their probability to that of a zero. Loops are many and short: a processor overlaps their turns.
 */
#include <math.h>
#include <stdlib.h>

#include "elementary.h"

#define EPS 1e-8f
#define BLOCK 256
#define N_FACTORIALS 256

typedef struct { /* of each gene */
    int64_t n;
    const float *theta;
    float *inverse;              /* 1 / (theta + EPS) */
    double *log_gamma, *digamma; /* at theta */
    double *log_factorial;       /* of 0 to N_FACTORIALS - 1 */
} Genes;

typedef struct { /* one cell: mu = exponential * scale, and where its derivatives go, or are added to */
    const float *exponential, *pi;
    float scale, weight;
    float *by_log_mu, *by_pi, *add_by_theta, *add_by_pi;
    double total; /* sum of by_log_mu */
} Cell;

typedef struct { /* zeros of up to BLOCK genes */
    float log_nb[BLOCK], one_over_w[BLOCK];
    float by_log_mu[BLOCK], by_theta[BLOCK]; /* derivatives of log_nb */
    float log_odds[BLOCK], a[BLOCK], b[BLOCK]; /* a = e^-|log_odds|, b = e^-|pi| */
    float counted[BLOCK], uncounted[BLOCK], technical[BLOCK]; /* sigmoid of log_odds, -log_odds, pi */
    float factor[BLOCK]; /* (1 + a) / (1 + b) */
} Zeros;

INLINE float positive(float x) { return x > 0.0f ? x : 0.0f; }
INLINE float negative(float x) { return x < 0.0f ? x : 0.0f; }

INLINE void negative_binomial(int n, const float *restrict exponential, float scale,
                              const float *restrict theta, const float *restrict inverse, Zeros *restrict z)
{
#pragma omp simd
    for (int g = 0; g < n; g++) {
        const float u = exponential[g] * scale * inverse[g], w = 1.0f + u, one_over_w = 1.0f / w;
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

/* Sum of the logarithms of n numbers within 1/2 to 2. */
INLINE double sum_of_logs(int n, float *factor)
{
    double product = 1.0;
    for (int g = n; g < BLOCK; g++)
        factor[g] = 1.0f;
#pragma omp simd reduction(* : product)
    for (int g = 0; g < BLOCK / 2; g++)
        product *= (double)(factor[g] * factor[g + BLOCK / 2]);
    return log(product);
}

/* Charge n genes from `first` on as zeros: sum of their log-probabilities. */
INLINE double charge(const Genes *genes, Cell *cell, int64_t first, int n, int inflated, int gradient)
{
    Zeros z;
    float sum = 0.0f, total = 0.0f;
    const float *theta = genes->theta + first, *inverse = genes->inverse + first;
    negative_binomial(n, cell->exponential + first, cell->scale, theta, inverse, &z);
    if (inflated)
        inflate(n, cell->pi + first, &z);
    const float weight = cell->weight, *restrict pi = inflated ? cell->pi + first : NULL;
    float *restrict by_log_mu = cell->by_log_mu + first, *restrict add_by_theta = cell->add_by_theta + first;
    float *restrict by_pi = inflated ? cell->by_pi + first : NULL;
    float *restrict add_by_pi = inflated ? cell->add_by_pi + first : NULL;
#pragma omp simd reduction(+ : sum, total)
    for (int g = 0; g < n; g++) {
        sum += inflated ? positive(z.log_odds[g]) + negative(pi[g]) : z.log_nb[g];
        if (gradient) {
            const float counted = inflated ? weight * z.counted[g] : weight;
            by_log_mu[g] = counted * z.by_log_mu[g];
            total += by_log_mu[g];
            add_by_theta[g] += counted * z.by_theta[g];
        }
        if (gradient && inflated) {
            by_pi[g] = weight * (z.uncounted[g] - z.technical[g]);
            add_by_pi[g] += by_pi[g];
        }
    }
    cell->total += total;
    return (double)sum + (inflated ? sum_of_logs(n, z.factor) : 0.0);
}

static double log_factorial(const Genes *genes, float x)
{
    double value, unused;
    if (x < N_FACTORIALS)
        return genes->log_factorial[(int)x];
    log_gamma((double)x + 1.0, &value, &unused);
    return value;
}

/* Let n non-zero counts, at most BLOCK, pay their ratio; `at` are their genes. */
INLINE double pay(const Genes *genes, Cell *cell, const int32_t *at, const float *counts, int n, int inflated,
                  int gradient)
{
    Zeros z;
    float exponential[BLOCK], theta[BLOCK], inverse[BLOCK], pi[BLOCK];
    float by_log_mu[BLOCK], by_theta[BLOCK];
    double log_gammas[BLOCK], digammas[BLOCK], sum = 0.0;
    for (int k = 0; k < n; k++) {
        const int32_t g = at[k];
        exponential[k] = cell->exponential[g];
        theta[k] = genes->theta[g];
        inverse[k] = genes->inverse[g];
        pi[k] = inflated ? cell->pi[g] : 0.0f;
        log_gammas[k] = genes->log_gamma[g] + log_factorial(genes, counts[k]);
        digammas[k] = genes->digamma[g];
    }
    negative_binomial(n, exponential, cell->scale, theta, inverse, &z);
    if (inflated)
        inflate(n, pi, &z);
#pragma omp simd reduction(+ : sum)
    for (int k = 0; k < n; k++) { /* Gamma(x + theta) / (Gamma(theta) x!), in double: large numbers cancel */
        double log_gamma_sum, digamma_sum;
        log_gamma((double)counts[k] + theta[k], &log_gamma_sum, &digamma_sum);
        sum += log_gamma_sum - log_gammas[k];
        digammas[k] = digamma_sum - digammas[k];
    }
#pragma omp simd reduction(+ : sum)
    for (int k = 0; k < n; k++) {
        const float mu = exponential[k] * cell->scale + EPS;
        sum += counts[k] * log_positive(mu * inverse[k] * z.one_over_w[k]);
        by_log_mu[k] = counts[k] * ((mu - EPS) / mu - (1.0f - z.one_over_w[k]));
        by_theta[k] = (float)digammas[k] - counts[k] * inverse[k] * z.one_over_w[k];
        if (inflated) {
            sum += negative(z.log_odds[k]) - log_positive(1.0f + z.a[k]);
            by_log_mu[k] += z.uncounted[k] * z.by_log_mu[k];
            by_theta[k] += z.uncounted[k] * z.by_theta[k];
        }
    }
    for (int k = 0; gradient && k < n; k++) {
        cell->total += cell->weight * by_log_mu[k];
        cell->by_log_mu[at[k]] += cell->weight * by_log_mu[k];
        cell->add_by_theta[at[k]] += cell->weight * by_theta[k];
        if (inflated) {
            cell->by_pi[at[k]] -= cell->weight * z.uncounted[k];
            cell->add_by_pi[at[k]] -= cell->weight * z.uncounted[k];
        }
    }
    return sum;
}

/* Log-likelihood of one cell. */
INLINE double one_cell(const Genes *genes, Cell *cell, int64_t n_counts, const int32_t *at,
                       const float *counts, int inflated, int gradient)
{
    double value = 0.0;
    for (int64_t first = 0; first < genes->n; first += BLOCK) {
        const int64_t n = genes->n - first < BLOCK ? genes->n - first : BLOCK;
        value += charge(genes, cell, first, (int)n, inflated, gradient);
    }
    for (int64_t first = 0; first < n_counts; first += BLOCK) {
        const int64_t n = n_counts - first < BLOCK ? n_counts - first : BLOCK;
        value += pay(genes, cell, at + first, counts + first, (int)n, inflated, gradient);
    }
    return value;
}

/* row + bias; its maximum. */
static float shifted(const float *restrict row, const float *restrict bias, int64_t n, float *restrict out)
{
    float top = row[0] + bias[0];
#pragma omp simd reduction(max : top)
    for (int64_t g = 0; g < n; g++) {
        out[g] = row[g] + bias[g];
        top = out[g] > top ? out[g] : top;
    }
    return top;
}

/* Replace numbers by the exponentials of what they exceed `top` by; their sum. */
static double exponentials(float *restrict row, int64_t n, float top)
{
    double sum = 0.0;
    for (int64_t first = 0; first < n; first += BLOCK) {
        const int64_t last = first + BLOCK < n ? first + BLOCK : n;
        float part = 0.0f;
#pragma omp simd reduction(+ : part)
        for (int64_t g = first; g < last; g++) {
            row[g] = exp_negative(row[g] - top);
            part += row[g];
        }
        sum += part;
    }
    return sum;
}

/* From derivatives by log mu to those by the logits of the softmax, whose sums are added to `add`. */
static void through_softmax(const float *restrict exponential, float share, int64_t n, float *restrict by,
                            float *restrict add)
{
#pragma omp simd
    for (int64_t g = 0; g < n; g++) {
        by[g] -= exponential[g] * share;
        add[g] += by[g];
    }
}

static Genes prepare(int64_t n, const float *theta, double *memory)
{
    Genes genes = {n, theta, (float *)(memory + 2 * n + N_FACTORIALS), memory, memory + n, memory + 2 * n};
#pragma omp simd
    for (int64_t g = 0; g < n; g++) {
        genes.inverse[g] = 1.0f / (theta[g] + EPS);
        log_gamma(theta[g], &genes.log_gamma[g], &genes.digamma[g]);
    }
    genes.log_factorial[0] = 0.0;
    for (int x = 1; x < N_FACTORIALS; x++)
        genes.log_factorial[x] = genes.log_factorial[x - 1] + log(x);
    return genes;
}

/* Log-likelihood of n cells with g genes; with `gradient` its derivatives too, each cell times its weight.
 *
 * indptr (n + 1), indices, counts    CSR
 * log_library, weight                n
 * theta, bias_rho, bias_pi           g
 * rho, pi                            n x g, outputs of the decoder's heads without their biases; with
 *                                    `gradient` the derivatives by them replace them. NULL for pi: no
 *                                    extra zeros
 * value, by_log_library              n
 * by_theta, by_bias_rho, by_bias_pi  g, added to what is there
 *
 * Returns 0, or 1 if there is no memory.
 */
int log_likelihood(int64_t n, int64_t g, int gradient, const int32_t *indptr, const int32_t *indices,
                   const float *counts, const float *log_library, const float *weight, const float *theta,
                   float *rho, float *pi, const float *bias_rho, const float *bias_pi, float *value,
                   float *by_log_library, float *by_theta, float *by_bias_rho, float *by_bias_pi)
{
    const size_t size = (size_t)(2 * g + N_FACTORIALS) * sizeof(double) + (size_t)(3 * g) * sizeof(float);
    double *memory = malloc(size);
    if (memory == NULL)
        return 1;
    const Genes genes = prepare(g, theta, memory);
    float *exponential = genes.inverse + g, *logits = exponential + g;
    for (int64_t i = 0; i < n; i++) {
        const float top = shifted(rho + i * g, bias_rho, g, exponential);
        const double sum = exponentials(exponential, g, top);
        const float scale = (float)(exp((double)log_library[i]) / sum);
        if (pi)
            shifted(pi + i * g, bias_pi, g, logits);
        const int64_t n_counts = indptr[i + 1] - indptr[i];
        const int32_t *at = indices + indptr[i];
        const float *x = counts + indptr[i];
        float *by_pi = pi ? pi + i * g : NULL;
        Cell cell = {exponential, logits, scale, weight[i], rho + i * g, by_pi, by_theta, by_bias_pi, 0.0};
        value[i] = (float)(pi && gradient ? one_cell(&genes, &cell, n_counts, at, x, 1, 1)
                           : pi           ? one_cell(&genes, &cell, n_counts, at, x, 1, 0)
                           : gradient     ? one_cell(&genes, &cell, n_counts, at, x, 0, 1)
                                          : one_cell(&genes, &cell, n_counts, at, x, 0, 0));
        if (gradient) {
            through_softmax(exponential, (float)(cell.total / sum), g, rho + i * g, by_bias_rho);
            by_log_library[i] = (float)cell.total;
        }
    }
    free(memory);
    return 0;
}
