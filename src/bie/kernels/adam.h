/* One step of Adam (Kingma and Ba 2015, algorithm 1) for n parameters. */
#pragma once
#include <math.h>
#include <stdint.h>

/* As bie.kernels.adam.Rule has it. */
typedef struct {
    double lr, eps, beta1, beta2, decay;
    int64_t n_steps;
} AdamRule;

/* What is the same for all parameters at a step. step: step size times correction, the root of 1 - beta2^t, since the moments are
 * averages that begin at 0; least: eps times correction. */
typedef struct {
    float step, least, beta1, beta2, decay;
} AdamStep;

/* Those of the next step, which counts as taken. */
static inline AdamStep next_step(AdamRule *rule)
{
    const double n_steps = (double)++rule->n_steps, correction = sqrt(1.0 - pow(rule->beta2, n_steps));
    const double step = rule->lr / (1.0 - pow(rule->beta1, n_steps)) * correction;
    return (AdamStep){(float)step, (float)(rule->eps * correction), (float)rule->beta1, (float)rule->beta2, (float)rule->decay};
}

static inline void adam_step(int64_t n, float *restrict x, const float *restrict gradient, float *restrict mean,
                             float *restrict square, AdamStep by)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float g = gradient[i] + by.decay * x[i];
        mean[i] += (1.0f - by.beta1) * (g - mean[i]);
        square[i] = by.beta2 * square[i] + (1.0f - by.beta2) * g * g;
        x[i] -= by.step * mean[i] / (sqrtf(square[i]) + by.least); /* step_size mean / (sqrt(square) / correction + eps) */
    }
}
