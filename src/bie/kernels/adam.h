/* One step of Adam (Kingma and Ba 2015, algorithm 1) for n parameters. */
#pragma once
#include <math.h>
#include <stdint.h>

/* What is the same for all parameters at a step. step: step size times correction, the root of 1 - beta2^t, since the moments are
 * averages that begin at 0; least: eps times correction. */
typedef struct {
    float step, least, beta1, beta2, decay;
} AdamNumbers;

static inline void adam_step(int64_t n, float *restrict x, const float *restrict gradient, float *restrict mean,
                             float *restrict square, AdamNumbers by)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float g = gradient[i] + by.decay * x[i];
        mean[i] += (1.0f - by.beta1) * (g - mean[i]);
        square[i] = by.beta2 * square[i] + (1.0f - by.beta2) * g * g;
        x[i] -= by.step * mean[i] / (sqrtf(square[i]) + by.least); /* step_size mean / (sqrt(square) / correction + eps) */
    }
}
