/* The Donsker-Varadhan bound from the scores of a critic; defined by bie.mutual_information.estimators. */
#include <math.h>

#include "elementary.h"

static double log_add_exp(double a, double b)
{
    const double high = a > b ? a : b, low = a > b ? b : a;
    return high + log1p(exp(low - high));
}

/* scores          2 n: of n pairs that belong together, then of n independent ones
 * log_rate,       logarithms of the rate of a moving average and of 1 - rate; NULL for no average: then the
 * log_decay       reference is the mean e^score of the independent pairs itself
 * n_updates,      of the average, both updated
 * log_sum
 * value           1: the bound
 * gradient        2 n: of mean e^(score - reference) - mean of the other scores, the reference held fixed;
 *                 without an average that is the gradient of minus the bound
 *
 * Returns 0. */
int donsker_varadhan(int64_t n, const float *scores, const float *log_rate, const float *log_decay,
                     int32_t *n_updates, float *log_sum, float *value, float *gradient)
{
    const float *marginal = scores + n;
    double joint = 0.0, total = 0.0;
    float top = marginal[0];
    for (int64_t i = 0; i < n; i++) {
        joint += scores[i];
        top = marginal[i] > top ? marginal[i] : top;
    }
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        gradient[n + i] = exp_negative(marginal[i] - top);
    for (int64_t i = 0; i < n; i++)
        total += gradient[n + i];
    const double log_mean = log(total / (double)n) + top;
    double reference = log_mean;
    if (log_rate) {
        *n_updates += 1;
        *log_sum = (float)log_add_exp(*log_sum + *log_decay, log_mean + *log_rate);
        reference = *log_sum - log(-expm1(*n_updates * (double)*log_decay));
    }
    const double factor = exp(top - reference) / (double)n;
    for (int64_t i = 0; i < n; i++) {
        gradient[i] = (float)(-1.0 / (double)n);
        gradient[n + i] *= (float)factor;
    }
    *value = (float)(joint / (double)n - log_mean);
    return 0;
}
