/* Layers of the encoders and the decoder; defined by bie.models.layers and bie.models.gaussian. */
#include <math.h>
#include <stdlib.h>

#include "elementary.h"
#include "matmul.h"

/* out (m x n) = left (m x k) @ right (k x n), where element (i, p) of left is at left[i * left_row + p * left_column],
 * likewise of right; on top of what is there if asked. Returns 0, or 1 if there is no memory. */
int matmul(int64_t m, int64_t n, int64_t k, const float *left, int64_t left_row, int64_t left_column,
           const float *right, int64_t right_row, int64_t right_column, int add, float *out)
{
    float *memory = aligned(memory_of_product(n, k));
    if (memory == NULL)
        return 1;
    product(m, n, k, (Matrix){left, left_row, left_column}, (Matrix){right, right_row, right_column}, add, out, n,
            memory);
    free(memory);
    return 0;
}

/* Mean and variance of each of h units over n cells. */
static void moments(int64_t n, int64_t h, const float *restrict x, double *restrict mean, double *restrict variance)
{
    memset(mean, 0, (size_t)h * sizeof(double));
    memset(variance, 0, (size_t)h * sizeof(double));
    for (int64_t i = 0; i < n; i++)
#pragma omp simd
        for (int64_t j = 0; j < h; j++)
            mean[j] += x[i * h + j];
#pragma omp simd
    for (int64_t j = 0; j < h; j++)
        mean[j] /= (double)n;
    for (int64_t i = 0; i < n; i++)
#pragma omp simd
        for (int64_t j = 0; j < h; j++) {
            const double difference = x[i * h + j] - mean[j];
            variance[j] += difference * difference;
        }
#pragma omp simd
    for (int64_t j = 0; j < h; j++)
        variance[j] /= (double)n;
}

/* Batch norm, ReLU and dropout of n cells x h units.
 *
 * training                 whether by the moments of the cells, which move the running ones, or by these
 * momentum, eps            of the batch norm
 * x                        n x h: what comes in, replaced by its normalised form
 * bias                     h, added to x before anything else
 * weight, shift            h, of the batch norm
 * mean, variance           h, running
 * factor                   of the units that are kept
 * inverse_sd, out          h; n x h
 * keep                     n x h ones and zeros, or NULL
 *
 * Returns 0, or 1 if there is no memory. */
int hidden_forward(int64_t n, int64_t h, int training, float momentum, float eps, float *x, const float *bias,
                   const float *weight, const float *shift, float *mean, float *variance, float factor,
                   float *inverse_sd, float *out, const float *keep)
{
    double *memory = malloc((size_t)(2 * h) * sizeof(double));
    if (memory == NULL)
        return 1;
    double *centre = memory, *spread = memory + h;
    for (int64_t i = 0; i < n; i++)
#pragma omp simd
        for (int64_t j = 0; j < h; j++)
            x[i * h + j] += bias[j];
    if (training)
        moments(n, h, x, centre, spread);
    for (int64_t j = 0; j < h; j++)
        if (training) {
            mean[j] += momentum * ((float)centre[j] - mean[j]);
            variance[j] += momentum * ((float)(spread[j] * (double)n / (double)(n - 1)) - variance[j]);
        } else {
            centre[j] = mean[j], spread[j] = variance[j];
        }
    for (int64_t j = 0; j < h; j++)
        inverse_sd[j] = (float)(1.0 / sqrt(spread[j] + (double)eps));
    for (int64_t i = 0; i < n; i++)
#pragma omp simd
        for (int64_t j = 0; j < h; j++) {
            const float normal = (x[i * h + j] - (float)centre[j]) * inverse_sd[j], y = normal * weight[j] + shift[j];
            x[i * h + j] = normal;
            out[i * h + j] = (y < 0.0f ? 0.0f : y) * factor; /* NaN stays */
        }
    if (keep)
#pragma omp simd
        for (int64_t k = 0; k < n * h; k++)
            out[k] *= keep[k];
    free(memory);
    return 0;
}

/* Backward pass. `normal`, `inverse_sd` and `out` as the forward pass left them; `grad_out` is replaced by the derivatives
 * w.r.t. x, and those w.r.t. bias, weight and shift are written. Returns 0. */
int hidden_backward(int64_t n, int64_t h, int training, const float *normal, const float *weight,
                    const float *inverse_sd, const float *out, float factor, float *grad_out, float *grad_bias,
                    float *grad_weight, float *grad_shift)
{
    memset(grad_bias, 0, (size_t)h * sizeof(float));
    memset(grad_weight, 0, (size_t)h * sizeof(float));
    memset(grad_shift, 0, (size_t)h * sizeof(float));
    for (int64_t i = 0; i < n; i++)
#pragma omp simd
        for (int64_t j = 0; j < h; j++) {
            const float grad = out[i * h + j] > 0.0f ? grad_out[i * h + j] * factor : 0.0f;
            grad_out[i * h + j] = grad;
            grad_shift[j] += grad;
            grad_weight[j] += grad * normal[i * h + j];
        }
    const float share = training ? 1.0f / (float)n : 0.0f;
    for (int64_t i = 0; i < n; i++)
#pragma omp simd
        for (int64_t j = 0; j < h; j++) {
            const float through_moments = share * (grad_shift[j] + normal[i * h + j] * grad_weight[j]);
            grad_out[i * h + j] = weight[j] * inverse_sd[j] * (grad_out[i * h + j] - through_moments);
            grad_bias[j] += grad_out[i * h + j];
        }
    return 0;
}

/* y = (x - mean) inverse_sd of each of d columns over n cells, where `least` is added to the variances. Returns 0, or 1 if there is
 * no memory. */
int standardise(int64_t n, int64_t d, float least, const float *x, float *inverse_sd, float *y)
{
    double *mean = malloc((size_t)(2 * d) * sizeof(double)), *variance = mean + d;
    if (mean == NULL)
        return 1;
    moments(n, d, x, mean, variance);
    for (int64_t j = 0; j < d; j++)
        inverse_sd[j] = (float)(1.0 / sqrt(variance[j] + (double)least));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++)
            y[i * d + j] = (x[i * d + j] - (float)mean[j]) * inverse_sd[j];
    free(mean);
    return 0;
}

/* Backward pass: derivatives w.r.t. x from those w.r.t. y. Returns 0, or 1 if there is no memory. */
int standardise_backward(int64_t n, int64_t d, const float *y, const float *inverse_sd, const float *grad_y, float *grad_x)
{
    double *mean = calloc((size_t)(2 * d), sizeof(double)), *slope = mean + d; /* of grad_y, and of grad_y y */
    if (mean == NULL)
        return 1;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) {
            mean[j] += grad_y[i * d + j] / (double)n;
            slope[j] += grad_y[i * d + j] * (double)y[i * d + j] / (double)n;
        }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) {
            const int64_t at = i * d + j;
            grad_x[at] = inverse_sd[j] * (grad_y[at] - (float)mean[j] - y[at] * (float)slope[j]);
        }
    free(mean);
    return 0;
}

/* Normal distributions of n cells in d dimensions from h (n x k), a sample of each, and its divergence from the prior.
 *
 *     mean = h weight_m + bias_m,  variance = e^(h weight_v + bias_v) + floor
 *     z = mean + sqrt(variance) noise
 *     kl = sum of ((variance + (mean - prior_mean)^2) / prior_variance - 1 - ln(variance / prior_variance)) / 2
 *
 * prior_mean,      n x d
 * prior_variance
 * mean, variance,  n x d
 * z
 * kl               n
 * noise            n x d, standard normal
 *
 * Returns 0, or 1 if there is no memory. */
int normal_forward(int64_t n, int64_t k, int64_t d, float floor, const float *h, const float *weight_m,
                   const float *bias_m, const float *weight_v, const float *bias_v, const float *prior_mean,
                   const float *prior_variance, float *mean, float *variance, float *z, float *kl, const float *noise)
{
    float *memory = aligned(memory_of_product(d, k));
    if (memory == NULL)
        return 1;
    product(n, d, k, (Matrix){h, k, 1}, (Matrix){weight_m, d, 1}, 0, mean, d, memory);
    product(n, d, k, (Matrix){h, k, 1}, (Matrix){weight_v, d, 1}, 0, variance, d, memory);
    for (int64_t i = 0; i < n; i++) {
        double sum = 0.0;
        for (int64_t j = 0; j < d; j++) {
            const int64_t at = i * d + j;
            mean[at] += bias_m[j];
            variance[at] = expf(variance[at] + bias_v[j]) + floor;
            z[at] = mean[at] + sqrtf(variance[at]) * noise[at];
            const float ratio = variance[at] / prior_variance[at], distance = mean[at] - prior_mean[at];
            sum += (ratio + distance * distance / prior_variance[at] - 1.0f - logf(ratio)) / 2.0f;
        }
        kl[i] = (float)sum;
    }
    free(memory);
    return 0;
}

/* Backward pass, from the derivatives w.r.t. z and the means (n x d) and kl (n) to those w.r.t. h, the weights and the biases.
 * Returns 0, or 1 if there is no memory. */
int normal_backward(int64_t n, int64_t k, int64_t d, float floor, const float *h, const float *weight_m,
                    const float *weight_v, const float *prior_mean, const float *prior_variance, const float *mean,
                    const float *variance, const float *grad_z, const float *grad_given_mean, const float *grad_kl,
                    float *grad_h, float *grad_weight_m, float *grad_bias_m, float *grad_weight_v, float *grad_bias_v,
                    const float *noise)
{
    const int64_t work = memory_of_product(k > d ? k : d, n > d ? n : d);
    float *grad_mean = aligned(2 * n * d + work);
    if (grad_mean == NULL)
        return 1;
    float *grad_log = grad_mean + n * d, *memory = grad_log + n * d; /* grad_log: w.r.t. the log variance before the floor */
    memset(grad_bias_m, 0, (size_t)d * sizeof(float));
    memset(grad_bias_v, 0, (size_t)d * sizeof(float));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) {
            const int64_t at = i * d + j;
            const float from_kl = grad_kl[i] * (1.0f / prior_variance[at] - 1.0f / variance[at]) / 2.0f;
            const float grad_variance = grad_z[at] * noise[at] / (2.0f * sqrtf(variance[at])) + from_kl;
            grad_mean[at] = grad_z[at] + grad_given_mean[at] + grad_kl[i] * (mean[at] - prior_mean[at]) / prior_variance[at];
            grad_log[at] = grad_variance * (variance[at] - floor);
            grad_bias_m[j] += grad_mean[at];
            grad_bias_v[j] += grad_log[at];
        }
    product(n, k, d, (Matrix){grad_mean, d, 1}, (Matrix){weight_m, 1, d}, 0, grad_h, k, memory);
    product(n, k, d, (Matrix){grad_log, d, 1}, (Matrix){weight_v, 1, d}, 1, grad_h, k, memory);
    product(k, d, n, (Matrix){h, 1, k}, (Matrix){grad_mean, d, 1}, 0, grad_weight_m, d, memory);
    product(k, d, n, (Matrix){h, 1, k}, (Matrix){grad_log, d, 1}, 0, grad_weight_v, d, memory);
    free(grad_mean);
    return 0;
}
