/* All that a minibatch means to a critic under MINE, and the critic to the encoder, in one call; defined by bie.penalties.mine.
 * The critic has an output for each batch: its score of a cell with that batch. Functions return 0, or 1 if there is no memory. */
#include <math.h>

#include "critic.h"
#include "elementary.h"

int standardise(int64_t n, int64_t d, float least, const float *x, float *inverse_sd, float *y);
int standardise_backward(int64_t n, int64_t d, const float *y, const float *inverse_sd, const float *grad_y, float *grad_x);

typedef struct { /* of e^score: a moving average, and the logarithms of its rate and of 1 - rate */
    const float *log_rate, *log_decay;
    int32_t *n_updates;
    float *log_sum;
} Average;

typedef struct { /* batch of each cell, share of each batch in the cells */
    int64_t n_batches;
    const int64_t *batch;
    float *share;
    Average average;
} Batches;

/* `share` is what is to be freed. */
static int count(int64_t n, Batches *batches)
{
    batches->share = calloc((size_t)batches->n_batches, sizeof(float));
    if (batches->share == NULL)
        return 1;
    for (int64_t i = 0; i < n; i++)
        batches->share[batches->batch[i]]++;
    for (int64_t b = 0; b < batches->n_batches; b++)
        batches->share[b] /= (float)n;
    return 0;
}

static double log_add_exp(double a, double b)
{
    const double high = a > b ? a : b, low = a > b ? b : a;
    return high + log1p(exp(low - high));
}

/* Take in the logarithm of a number; the logarithm of the average so far. */
static double update(const Average *average, double log_number)
{
    const double log_decay = *average->log_decay, before = *average->log_sum;
    *average->n_updates += 1;
    *average->log_sum = (float)log_add_exp(before + log_decay, log_number + *average->log_rate);
    return *average->log_sum - log(-expm1(*average->n_updates * log_decay));
}

/* Minus the bound of Donsker and Varadhan, from the scores (n x batches) of the cells with each batch. Pairs that belong together
 * are the cells with their own batches, independent ones the cells with all batches, weighted by their shares. Derivatives are
 * those of mean e^(score - reference) over the latter minus the mean score over the former, the reference held fixed: the average
 * when the critic learns, or else the mean of e^score itself, whose derivatives then are those of minus the bound. */
static double minus_bound(const void *of, int64_t n, int learns, const float *scores, float *grad)
{
    const Batches *batches = of;
    const int64_t n_batches = batches->n_batches, size = n * n_batches;
    const float *share = batches->share;
    double joint = 0.0, total = 0.0;
    float top = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        joint += scores[i * n_batches + batches->batch[i]];
    for (int64_t i = 0, k = 0; i < n; i++)
        for (int64_t b = 0; b < n_batches; b++, k++)
            top = share[b] > 0.0f && !(scores[k] <= top) ? scores[k] : top; /* NaN if there is one */
#pragma omp simd
    for (int64_t k = 0; k < size; k++)
        grad[k] = exp_negative(scores[k] - top);
    for (int64_t i = 0, k = 0; i < n; i++)
        for (int64_t b = 0; b < n_batches; b++, k++)
            total += grad[k] = share[b] > 0.0f ? share[b] * grad[k] : 0.0f;
    const double log_mean = log(total / (double)n) + top;
    const double reference = learns ? update(&batches->average, log_mean) : log_mean;
    const float factor = (float)(exp(top - reference) / (double)n), each = (float)(1.0 / (double)n);
    for (int64_t k = 0; k < size; k++)
        grad[k] *= factor;
    for (int64_t i = 0; i < n; i++)
        grad[i * n_batches + batches->batch[i]] -= each;
    return log_mean - joint / (double)n;
}

/* The critic's steps on a minibatch, then the bound and its derivatives w.r.t. the latent vectors as they are given.
 *
 * n, d                    cells, latent dimensions; as many batches as the network has outputs
 * standardised, epsilon   whether it sees latent vectors standardised, and what is added to their variances for that
 * parameters, ...         the network and its optimiser; changed
 * log_rate, ...           of the moving average; changed; all these may be NULL where there is no step
 * value, grad_latent        1; n x d, or NULL where latent vectors are not standardised
 * latent (n x d)          latent vectors
 * batch                   of each cell */
int mine(int64_t n_steps, int64_t n, int64_t d, int standardised, float epsilon, int64_t n_layers, const int64_t *widths,
         float *parameters, AdamRule *rule, float *mean, float *square, const float *log_rate, const float *log_decay,
         int32_t *n_updates, float *log_sum, float *value, float *grad_latent, const float *latent, const int64_t *batch)
{
    const Critic critic = {n_layers, widths, parameters, rule, mean, square};
    Batches batches = {widths[n_layers], batch, NULL, {log_rate, log_decay, n_updates, log_sum}};
    float *const seen = aligned(2 * n * d + d);
    int failed = seen == NULL || count(n, &batches);
    if (!failed && standardised) {
        float *const grad_seen = seen + n * d, *const inverse_sd = grad_seen + n * d;
        failed = standardise(n, d, epsilon, latent, inverse_sd, seen)
            || update_and_score(n_steps, n, &critic, seen, minus_bound, &batches, value, grad_seen)
            || standardise_backward(n, d, seen, inverse_sd, grad_seen, grad_latent);
    } else if (!failed)
        failed = update_and_score(n_steps, n, &critic, latent, minus_bound, &batches, value, grad_latent);
    *value = -*value;
    for (int64_t k = 0; grad_latent && k < n * d && !failed; k++)
        grad_latent[k] = -grad_latent[k];
    free(seen), free(batches.share);
    return failed;
}
