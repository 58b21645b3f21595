/* One step of Adam (Kingma and Ba 2015, algorithm 1) for all parameters. */
#include <math.h>
#include <stdint.h>

/* n tensors of so many numbers each; their moments lie one after the other in mean and square, as averages
 * that begin at 0, which step_size and correction, the root of 1 - beta2^t, allow for. Returns 0. */
int adam(int64_t n, const int64_t *sizes, float *const *parameters, const float *const *gradients, float *mean,
         float *square, float step_size, float correction, float beta1, float beta2, float eps, float decay)
{
    const float step = step_size * correction, least = eps * correction;
    for (int64_t t = 0; t < n; t++) {
        float *restrict x = parameters[t], *restrict m = mean, *restrict v = square;
        const float *restrict gradient = gradients[t];
#pragma omp simd
        for (int64_t i = 0; i < sizes[t]; i++) {
            const float g = gradient[i] + decay * x[i];
            m[i] += (1.0f - beta1) * (g - m[i]);
            v[i] = beta2 * v[i] + (1.0f - beta2) * g * g;
            x[i] -= step * m[i] / (sqrtf(v[i]) + least); /* step_size m / (sqrt(v) / correction + eps) */
        }
        mean += sizes[t], square += sizes[t];
    }
    return 0;
}
