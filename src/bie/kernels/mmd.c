/* The V-statistic of the squared MMD between the batches of a minibatch, with its gradient; defined by bie.penalties.mmd.
 *
 * For a pair of batches with n_a and n_b cells it is the sum over all i, j of u_i u_j k(z_i, z_j), where u is 1 / n_a in the one
 * and -1 / n_b in the other. Over several pairs the factors u_i u_j add up to a number of the two batches of i and j.
 */
#include <stdlib.h>

#include "elementary.h"

/* The number at place k, from 0, of n numbers in ascending order; their order is changed (Hoare 1961, Commun. ACM 4:321). */
static float select_place(int64_t n, int64_t k, float *x)
{
    int64_t low = 0, high = n - 1;
    while (low < high) {
        const float pivot = x[(low + high) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (x[i] < pivot)
                i++;
            while (x[j] > pivot)
                j--;
            if (i <= j) {
                const float swap = x[i];
                x[i++] = x[j], x[j--] = swap;
            }
        }
        if (k <= j)
            high = j;
        else if (k >= i)
            low = i;
        else
            break;
    }
    return x[k];
}

/* Factors of the kernels, batch by batch: the sum over pairs of u_a u_b. Pairs are those of neighbours among the batches that
 * are present, or all. */
static void factors_of(int64_t n, int64_t n_batches, const int32_t *batch, int consecutive, double *size, double *factor)
{
    memset(size, 0, (size_t)n_batches * sizeof(double));
    memset(factor, 0, (size_t)(n_batches * n_batches) * sizeof(double));
    for (int64_t i = 0; i < n; i++)
        size[batch[i]] += 1.0;
    for (int64_t a = 0; a < n_batches; a++)
        for (int64_t b = a + 1, last = 0; b < n_batches && size[a] > 0.0 && !last; b++) {
            if (size[b] == 0.0)
                continue;
            factor[a * n_batches + a] += 1.0 / (size[a] * size[a]);
            factor[b * n_batches + b] += 1.0 / (size[b] * size[b]);
            factor[a * n_batches + b] -= 1.0 / (size[a] * size[b]);
            factor[b * n_batches + a] -= 1.0 / (size[a] * size[b]);
            last = consecutive;
        }
}

/* n cells of d dimensions in `n_batches` batches.
 *
 * consecutive                        see factors_of
 * n_widths, widths                   bandwidths of the kernels in median distances; none: one kernel of rate 1
 * least                              of the median of the squared distances
 * z (n x d), batch (n)               latent vectors, codes
 * value, grad_z (n x d)                the statistic and its derivatives
 *
 * Returns 0, or 1 if there is no memory. */
int mmd(int64_t n, int64_t d, int64_t n_batches, int consecutive, int64_t n_widths, const float *widths, float least,
        const float *z, const int32_t *batch, float *value, float *grad_z)
{
    double *size = malloc((size_t)(n_batches * (n_batches + 1)) * sizeof(double));
    float *square = malloc((size_t)(2 * n * n + (d + 2) * n + n_widths + 1) * sizeof(float));
    if (size == NULL || square == NULL) {
        free(size), free(square);
        return 1;
    }
    double *factor = size + n_batches, sum = 0.0;
    float *above = square + n * n, *columns = above + n * n, *of_row = columns + d * n, *kernel = of_row + n, *rate = kernel + n;
    factors_of(n, n_batches, batch, consecutive, size, factor);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < d; k++)
            columns[k * n + i] = z[i * d + k];
    int64_t n_above = 0;
    for (int64_t i = 0; i < n; i++) {
        float *row = square + i * n;
        memset(row, 0, (size_t)n * sizeof(float));
        for (int64_t k = 0; k < d; k++)
#pragma omp simd
            for (int64_t j = 0; j < n; j++) {
                const float difference = z[i * d + k] - columns[k * n + j];
                row[j] += difference * difference;
            }
        memcpy(above + n_above, row + i + 1, (size_t)(n - i - 1) * sizeof(float));
        n_above += n - i - 1;
    }
    float median = n_widths && n_above ? select_place(n_above, (n_above - 1) / 2, above) : 1.0f;
    median = median < least ? least : median;
    const int64_t n_rates = n_widths ? n_widths : 1;
    rate[0] = 1.0f;
    for (int64_t w = 0; w < n_widths; w++)
        rate[w] = (float)(1.0 / (2.0 * (double)median * (double)widths[w] * (double)widths[w]));
    for (int64_t i = 0; i < n; i++) {
        const float *row = square + i * n;
        memset(kernel, 0, (size_t)n * sizeof(float));
        memset(of_row, 0, (size_t)n * sizeof(float));
        for (int64_t w = 0; w < n_rates; w++)
#pragma omp simd
            for (int64_t j = 0; j < n; j++) {
                const float decayed = exp_negative(-rate[w] * row[j]);
                kernel[j] += decayed;
                of_row[j] -= rate[w] * decayed;
            }
        for (int64_t j = 0; j < n; j++) {
            const double share = factor[batch[i] * n_batches + batch[j]] / (double)n_rates;
            sum += share * kernel[j];
            of_row[j] *= (float)(4.0 * share); /* 2 for z_j, which feels as much, and 2 for the square */
        }
        for (int64_t k = 0; k < d; k++) {
            float grad = 0.0f;
#pragma omp simd reduction(+ : grad)
            for (int64_t j = 0; j < n; j++)
                grad += of_row[j] * (z[i * d + k] - columns[k * n + j]);
            grad_z[i * d + k] = grad;
        }
    }
    *value = (float)sum;
    free(size), free(square);
    return 0;
}
