/* Products of matrices that lie in the nearest caches: a tile of the product is summed in registers (Goto and
 * van de Geijn 2008, ACM Trans. Math. Softw. 34:12). How operands get there is left to the caller, who knows
 * what else is done with them on the way.
 */
#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vector.h"

#define ROWS (LANES == 16 ? 8 : 4)
#define WIDE 3 /* vectors: ROWS * WIDE sums, WIDE inputs and a factor are as many as there are registers */

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t rounded_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* Room for n numbers from the beginning of a line on: a vector that lies in two lines takes twice as long to be read. */
static inline float *aligned(int64_t n) { return aligned_alloc(LINE, (size_t)rounded_up(n + 1, LINE_OF_FLOATS) * sizeof(float)); }

#define SEVERAL 4

/* Memory that will be read after a product, in this order: the product, which computes more than it reads, prefetches it. */
typedef struct {
    struct {
        const float *next;
        int64_t lines;
    } regions[SEVERAL];
    int at;
} Prefetch;

static inline void prefetch_later(Prefetch *prefetch, const void *begin, int64_t n)
{
    const int64_t lines = (n + LINE_OF_FLOATS - 1) / LINE_OF_FLOATS;
    for (int i = 0; i < SEVERAL; i++)
        if (prefetch->regions[i].lines == 0) {
            prefetch->regions[i].next = begin, prefetch->regions[i].lines = lines;
            return;
        }
}

#define INLINED static inline __attribute__((always_inline))

/* ROWS x (vectors LANES) numbers of a product of depth k, on top of what is in `out` if asked. Element (i, p) of
 * `left` is at left[i * by_row + p * by_column]. */
INLINED void tile(int vectors, int64_t k, const float *restrict left, int64_t by_row, int64_t by_column,
                  const float *restrict right, int64_t right_stride, int add, float *restrict out, int64_t out_stride,
                  Prefetch *prefetch)
{
    Vector sum[ROWS][WIDE];
    const int64_t lines = prefetch ? smaller(prefetch->regions[prefetch->at].lines, k) : 0, last = lines ? lines - 1 : 0;
    const float *const soon = lines ? prefetch->regions[prefetch->at].next : right;
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++)
            sum[i][v] = add ? ((const Vector *)(out + i * out_stride))[v] : (Vector){0};
    for (int64_t p = 0; p < k; p++, left += by_column, right += right_stride) {
        const Vector *row = (const Vector *)right;
        if (prefetch)
            __builtin_prefetch(soon + smaller(p, last) * LINE_OF_FLOATS, 0, 2);
        Vector inputs[WIDE];
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++) {
            inputs[v] = row[v];
            IN_REGISTER(inputs[v]);
        }
#pragma GCC unroll 8 /* else the sums would live in memory */
        for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 3
            for (int v = 0; v < vectors; v++)
                sum[i][v] += left[i * by_row] * inputs[v];
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++)
            ((Vector *)(out + i * out_stride))[v] = sum[i][v];
    if (prefetch) {
        prefetch->regions[prefetch->at].next += lines * LINE_OF_FLOATS, prefetch->regions[prefetch->at].lines -= lines;
        prefetch->at += prefetch->regions[prefetch->at].lines == 0 && prefetch->at < SEVERAL - 1;
    }
}

/* `bands` times ROWS rows of a product, `width` columns, a multiple of LANES. Rows of left in a band as for `tile`, the first
 * of the next band at left + by_band. */
INLINED void block(int64_t bands, int64_t width, int64_t k, const float *left, int64_t by_band, int64_t by_row, int64_t by_column,
                   const float *right, int64_t right_stride, int add, float *out, int64_t out_stride, Prefetch *prefetch)
{
    for (int64_t j = 0, vectors = width / LANES, taken; vectors > 0; vectors -= taken, j += taken * LANES) {
        taken = vectors == 4 ? 2 : smaller(vectors, WIDE); /* one vector a row gives too few independent sums to hide the latency of the FMA */
        for (int64_t i = 0; i < bands; i++) {
            const float *rows = left + i * by_band, *columns = right + j;
            float *to = out + i * ROWS * out_stride + j;
            if (taken == WIDE)
                tile(WIDE, k, rows, by_row, by_column, columns, right_stride, add, to, out_stride, prefetch);
            else if (taken == 2)
                tile(2, k, rows, by_row, by_column, columns, right_stride, add, to, out_stride, prefetch);
            else
                tile(1, k, rows, by_row, by_column, columns, right_stride, add, to, out_stride, prefetch);
        }
    }
}

/* A matrix of m rows and k columns, element (i, p) at data[i * by_row + p * by_column], in bands of ROWS rows: each
 * as k x ROWS; rows beyond the last are zeros. */
static inline void pack_bands(int64_t m, int64_t k, const float *data, int64_t by_row, int64_t by_column,
                              float *packed)
{
    for (int64_t first = 0; first < m; first += ROWS, packed += k * ROWS) {
        const int64_t height = smaller(ROWS, m - first);
        if (height < ROWS)
            memset(packed, 0, (size_t)(k * ROWS) * sizeof(float));
        for (int64_t i = 0; i < height; i++)
            for (int64_t p = 0; p < k; p++)
                packed[p * ROWS + i] = data[(first + i) * by_row + p * by_column];
    }
}

typedef struct { /* element (i, j) at data[i * by_row + j * by_column] */
    const float *data;
    int64_t by_row, by_column;
} Matrix;

/* Distance of rows of so many numbers, padded such that rows do not all fall into the same few sets of a cache. */
static inline int64_t padded_stride(int64_t width) { return width / LANES % 2 ? width : width + LANES; }

static inline int64_t memory_of_product(int64_t n, int64_t k) { return (k + ROWS) * padded_stride(rounded_up(n, LANES)) + k * ROWS; }

/* LANES x LANES numbers, rows `from_stride` and `to_stride` apart. Eklundh 1972: exchange ever larger squares beside the diagonal. */
static inline void transpose_square(const float *from, int64_t from_stride, float *to, int64_t to_stride)
{
#ifdef __clang__ /* it shuffles by literals only */
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < LANES; j++)
            to[j * to_stride + i] = from[i * from_stride + j];
#else
    typedef int32_t Places __attribute__((vector_size(4 * LANES)));
    Vector row[LANES];
    Places lane;
    for (int i = 0; i < LANES; i++)
        lane[i] = i;
#pragma GCC unroll 16 /* else the rows would live in memory */
    for (int i = 0; i < LANES; i++)
        row[i] = *(const Vector *)(from + i * from_stride);
#pragma GCC unroll 4
    for (int side = 1; side < LANES; side *= 2) {
        const Places beyond = (lane & side) != 0; /* -1 or 0 */
        const Places upper = lane + (beyond & (LANES - side)), lower = lane + (beyond & LANES) + (~beyond & side);
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++)
            if (!(i & side)) {
                const Vector a = row[i], b = row[i + side];
                row[i] = __builtin_shuffle(a, b, upper), row[i + side] = __builtin_shuffle(a, b, lower);
            }
    }
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++)
        *(Vector *)(to + i * to_stride) = row[i];
#endif
}

/* n columns of a matrix with k rows, `stride` apart, filled up with zeros. */
static inline void pack_columns(int64_t n, int64_t k, Matrix from, int64_t stride, float *packed)
{
    if (n % LANES)
        memset(packed, 0, (size_t)(k * stride) * sizeof(float));
    if (from.by_column == 1) {
        for (int64_t p = 0; p < k; p++)
            memcpy(packed + p * stride, from.data + p * from.by_row, (size_t)n * sizeof(float));
        return;
    }
    for (int64_t p = 0; p < k; p += LANES)
        for (int64_t j = 0; j < n; j += LANES) {
            const float *const corner = from.data + p * from.by_row + j * from.by_column;
            if (from.by_row == 1 && p + LANES <= k && j + LANES <= n) {
                transpose_square(corner, from.by_column, packed + p * stride + j, stride);
                continue;
            }
            for (int64_t y = 0; y < smaller(LANES, n - j); y++)
                for (int64_t x = 0; x < smaller(LANES, k - p); x++)
                    packed[(p + x) * stride + j + y] = corner[x * from.by_row + y * from.by_column];
        }
}

/* out (m x n, rows `stride` apart) = left (m x k) @ right (k x n), on top of what is there if asked. Operands are copied where
 * they are not as `tile` wants them only: into `memory`, memory_of_product(n, k) floats. */
static inline void product(int64_t m, int64_t n, int64_t k, Matrix left, Matrix right, int add, float *out, int64_t stride,
                           float *memory)
{
    const int64_t width = rounded_up(n, LANES), padded_width = padded_stride(width), whole = width == n ? m / ROWS : 0;
    const int direct = right.by_column == 1 && width == n;
    const int64_t columns_stride = direct ? right.by_row : padded_width;
    const float *const columns = direct ? right.data : memory;
    float *rows = memory + k * padded_width, *part = rows + k * ROWS;
    if (!direct)
        pack_columns(n, k, right, padded_width, memory);
    block(whole, width, k, left.data, ROWS * left.by_row, left.by_row, left.by_column, columns, columns_stride, add, out, stride, NULL);
    for (int64_t i = whole * ROWS; i < m; i += ROWS) {
        const int64_t height = smaller(ROWS, m - i);
        Matrix band = {left.data + i * left.by_row, left.by_row, left.by_column};
        if (height < ROWS) {
            pack_bands(height, k, band.data, band.by_row, band.by_column, rows);
            band = (Matrix){rows, 1, ROWS};
        }
        block(1, width, k, band.data, 0, band.by_row, band.by_column, columns, columns_stride, 0, part, width, NULL);
        for (int64_t r = 0; r < height; r++)
            for (int64_t j = 0; j < n; j++)
                out[(i + r) * stride + j] = part[r * width + j] + (add ? out[(i + r) * stride + j] : 0.0f);
    }
}
