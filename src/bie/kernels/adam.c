/* A step of Adam for many tensors. */
#include "adam.h"

/* Begin a step. Returns 0. */
int adam_begin(AdamRule *rule, AdamStep *numbers)
{
    *numbers = next_step(rule);
    return 0;
}

/* n tensors of so many numbers each, with their gradients and moments. Returns 0. */
int adam(int64_t n, const int64_t *sizes, float *const *parameters, const float *const *gradients, float *const *means,
         float *const *squares, const AdamStep *step)
{
    for (int64_t t = 0; t < n; t++)
        adam_step(sizes[t], parameters[t], gradients[t], means[t], squares[t], *step);
    return 0;
}
