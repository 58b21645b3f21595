/* One step of Adam (Kingma and Ba 2015, algorithm 1) for n parameters. */
#pragma once
#include <math.h>
#include <stdint.h>

/* As bie.kernels.adam.Rule has it. */
typedef struct {
    double lr, eps, beta1, beta2, decay;
    int64_t n_steps;
} AdamRule;

/* What is the same for all parameters at a step. step_size: lr times correction, the root of 1 - beta2^t, since the moments are
 * averages that begin at 0; eps: that of the rule times correction. */
typedef struct {
    float step_size, eps, beta1, beta2, decay;
} AdamStep;

/* Those of the next step, which counts as taken. */
static inline AdamStep next_step(AdamRule *rule)
{
    const double n_steps = (double)++rule->n_steps, correction = sqrt(1.0 - pow(rule->beta2, n_steps));
    const double step = rule->lr / (1.0 - pow(rule->beta1, n_steps)) * correction;
    return (AdamStep){(float)step, (float)(rule->eps * correction), (float)rule->beta1, (float)rule->beta2, (float)rule->decay};
}

static inline void adam_step(int64_t n, float *restrict x, const float *restrict gradient, float *restrict mean,
                             float *restrict square, AdamStep step)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float g = gradient[i] + step.decay * x[i];
        mean[i] += (1.0f - step.beta1) * (g - mean[i]);
        square[i] = step.beta2 * square[i] + (1.0f - step.beta2) * g * g;
        x[i] -= step.step_size * mean[i] / (sqrtf(square[i]) + step.eps); /* step_size mean / (sqrt(square) / correction + eps) */
    }
}
