/* Products of few non-zero counts, rows of a CSR matrix, with dense weights of h columns. */
#include <stdlib.h>
#include <string.h>

#include "elementary.h"

#define LANES 16
#define TILE (4 * LANES)

typedef float Lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* out[j] = sum over k of values[k] rows[at[k] * h + j], for the TILE columns from j = 0. */
INLINE void sum_tile(int64_t n, const int32_t *at, const float *values, const float *rows, int64_t h,
                     float *out)
{
    Lanes a = {0}, b = {0}, c = {0}, d = {0};
    for (int64_t k = 0; k < n; k++) {
        const Lanes *row = (const Lanes *)(rows + at[k] * h);
        a += values[k] * row[0];
        b += values[k] * row[1];
        c += values[k] * row[2];
        d += values[k] * row[3];
    }
    Lanes *tile = (Lanes *)out;
    tile[0] = a, tile[1] = b, tile[2] = c, tile[3] = d;
}

/* out = sum over k of values[k] rows[at[k]], rows and out with h columns. */
static void sum_rows(int64_t n, const int32_t *at, const float *values, const float *rows, int64_t h,
                     float *out)
{
    int64_t j = 0;
    for (; j + TILE <= h; j += TILE)
        sum_tile(n, at, values, rows + j, h, out + j);
    memset(out + j, 0, (size_t)(h - j) * sizeof(float));
    for (int64_t k = 0; k < n && j < h; k++) {
        const float *row = rows + at[k] * h;
#pragma omp simd
        for (int64_t i = j; i < h; i++)
            out[i] += values[k] * row[i];
    }
}

/* out (n x h) = CSR (n x g) @ weight (g x h). Returns 0. */
int multiply(int64_t n, int64_t h, const int32_t *indptr, const int32_t *indices, const float *values,
             const float *weight, float *out)
{
    for (int64_t i = 0; i < n; i++)
        sum_rows(indptr[i + 1] - indptr[i], indices + indptr[i], values + indptr[i], weight, h, out + i * h);
    return 0;
}

/* out (g x h) = CSR (n x g) transposed @ other (n x h). The entries are brought into the order of the columns
 * first, so that each row of the result is written once. Returns 0, or 1 if there is no memory. */
int multiply_transposed(int64_t n, int64_t g, int64_t h, const int32_t *indptr, const int32_t *indices,
                        const float *values, const float *other, float *out)
{
    const int64_t n_values = indptr[n];
    int32_t *start = calloc((size_t)g + 1 + 2 * (size_t)n_values, sizeof *start);
    if (start == NULL)
        return 1;
    int32_t *row = start + g + 1;
    float *value = (float *)(row + n_values);
    for (int64_t k = 0; k < n_values; k++)
        start[indices[k] + 1]++;
    for (int64_t j = 0; j < g; j++)
        start[j + 1] += start[j];
    for (int64_t i = 0; i < n; i++)
        for (int32_t k = indptr[i]; k < indptr[i + 1]; k++) {
            const int32_t place = start[indices[k]]++; /* afterwards start[j] is where column j ends */
            row[place] = (int32_t)i;
            value[place] = values[k];
        }
    for (int64_t j = 0, first = 0; j < g; first = start[j++])
        sum_rows(start[j] - first, row + first, value + first, other, h, out + j * h);
    free(start);
    return 0;
}

/* Some rows of a CSR matrix, in the order asked for, as one; the caller has made `out_indptr`, n + 1, from
 * the lengths of these rows, and room for the others. Returns 0. */
int take_rows(int64_t n, const int32_t *rows, const int32_t *indptr, const int32_t *indices, const float *values,
              const int32_t *out_indptr, int32_t *out_indices, float *out_values)
{
    for (int64_t i = 0; i < n; i++) {
        const int32_t from = indptr[rows[i]], to = out_indptr[i], length = out_indptr[i + 1] - to;
        memcpy(out_indices + to, indices + from, (size_t)length * sizeof(int32_t));
        memcpy(out_values + to, values + from, (size_t)length * sizeof(float));
    }
    return 0;
}
