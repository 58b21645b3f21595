/* Products of few non-zero counts, rows of a CSR matrix, with dense weights of h columns. */
#include <stdlib.h>
#include <string.h>

#include "adam.h"
#include "elementary.h"
#include "vector.h"

#define SUM_VECTORS 8 /* vectors of sums that registers hold */
#define NEAR 131072 /* bytes */
#define SOON 4 /* rows */

/* out[j] = sum over k of values[k] rows[at[k] * h + j], on top of what is there if asked, for so many vectors of columns. */
INLINE void sum_tile(int vectors, int64_t n, const int32_t *at, const float *values, const float *rows, int64_t h, int add, float *out)
{
    Vector sum[SUM_VECTORS];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++)
        sum[v] = add ? ((const Vector *)out)[v] : (Vector){0};
    for (int64_t k = 0; k < n; k++) {
        const Vector *row = (const Vector *)(rows + at[k] * h);
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            sum[v] += values[k] * row[v];
    }
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++)
        ((Vector *)out)[v] = sum[v];
}

/* out = sum over k of values[k] rows[at[k]], rows and out with h columns; on top of what is there if asked. */
INLINE void sum_rows(int64_t n, const int32_t *at, const float *values, const float *rows, int64_t h, int add, float *out)
{
    int64_t j = 0;
    for (; j + SUM_VECTORS * LANES <= h; j += SUM_VECTORS * LANES)
        sum_tile(SUM_VECTORS, n, at, values, rows + j, h, add, out + j);
    for (; j + 2 * LANES <= h; j += 2 * LANES)
        sum_tile(2, n, at, values, rows + j, h, add, out + j);
    if (!add)
        memset(out + j, 0, (size_t)(h - j) * sizeof(float));
    for (int64_t k = 0; k < n && j < h; k++) {
        const float *row = rows + at[k] * h;
#pragma omp simd
        for (int64_t i = j; i < h; i++)
            out[i] += values[k] * row[i];
    }
}

/* out (n x h) = CSR (n x g), columns ascending within each row, @ weight (g x h). Rows of the weight are taken a few at a
 * time, for all cells: as many as a cache near to the processor keeps; each cell sends for a part of the next ones. Returns 0, or 1
 * if there is no memory. */
int multiply(int64_t n, int64_t h, const float *weight, float *out, const int32_t *indptr, const int32_t *indices,
             const float *values)
{
    const int64_t step = NEAR / (h * (int64_t)sizeof(float)) + 1, part = (step * h / LINE_OF_FLOATS + n - 1) / n * LINE_OF_FLOATS;
    int32_t *next = malloc((size_t)(n + 1) * sizeof *next);
    if (next == NULL)
        return 1;
    memcpy(next, indptr, (size_t)n * sizeof *next);
    memset(out, 0, (size_t)(n * h) * sizeof(float));
    for (int64_t last = step, left = indptr[n] - indptr[0]; left > 0; last += step)
        for (int64_t i = 0; i < n; i++) {
            const int32_t begin = next[i], end = indptr[i + 1];
            int32_t k = begin;
            for (int64_t j = i * part; j < (i + 1) * part; j += LINE_OF_FLOATS)
                __builtin_prefetch(weight + last * h + j, 0, 2);
            while (k < end && indices[k] < last)
                k++;
            sum_rows(k - begin, indices + begin, values + begin, weight, h, 1, out + i * h);
            next[i] = k, left -= k - begin;
        }
    free(next);
    return 0;
}

/* What a minibatch is asked for, from its CSR (n x g): logs, ln(1 + count), in the same order; totals (n); and its CSC, rows
 * ascending within each column, with counts and their logs. Row and count go to their place side by side, since places lie far
 * apart. Returns 0, or 1 if there is no memory. */
int describe(int64_t n, int64_t g, const int32_t *indptr, const int32_t *indices, const float *counts, float *logs,
             float *totals, int32_t *start, int32_t *row, float *column_counts, float *column_logs)
{
    typedef struct {
        int32_t row;
        float count;
    } Entry;
    const int32_t n_values = indptr[n];
    Entry *entries = malloc((size_t)(n_values + 1) * sizeof *entries);
    if (entries == NULL)
        return 1;
    memset(start, 0, (size_t)(g + 1) * sizeof *start);
    for (int32_t k = 0; k < n_values; k++)
        start[indices[k] + 1]++;
    for (int64_t j = 0; j < g; j++)
        start[j + 1] += start[j];
    for (int64_t i = 0; i < n; i++) {
        float total = 0.0f;
        for (int32_t k = indptr[i]; k < indptr[i + 1]; k++) {
            entries[start[indices[k]]++] = (Entry){(int32_t)i, counts[k]}; /* afterwards start[j] is where column j ends */
            total += counts[k];
        }
        totals[i] = total;
    }
    memmove(start + 1, start, (size_t)g * sizeof *start);
    start[0] = 0;
#pragma omp simd
    for (int32_t k = 0; k < n_values; k++) {
        logs[k] = log_positive(1.0f + counts[k]);
        row[k] = entries[k].row, column_counts[k] = entries[k].count;
        column_logs[k] = log_positive(1.0f + entries[k].count);
    }
    free(entries);
    return 0;
}

/* out (g x h) = transpose of CSC (n x g) @ other (n x h); or, with `adam`, the parameters `weight` (g x h) learn from that, row by
 * row, which is not kept: out has room for a row. Returns 0. */
int multiply_transposed(int64_t g, int64_t h, const float *other, float *out, float *weight, float *mean, float *square,
                        const AdamStep *adam, const int32_t *start, const int32_t *row, const float *values)
{
    for (int64_t j = 0; j < g; j++) {
        sum_rows(start[j + 1] - start[j], row + start[j], values + start[j], other, h, 0, out + (adam ? 0 : j * h));
        if (!adam)
            continue;
        for (int64_t i = 0; i < h; i += LINE_OF_FLOATS) {
            const int64_t soon = (j + SOON) * h + i;
            __builtin_prefetch(weight + soon), __builtin_prefetch(mean + soon), __builtin_prefetch(square + soon);
        }
        adam_step(h, weight + j * h, out, mean + j * h, square + j * h, *adam);
    }
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
