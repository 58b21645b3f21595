/* Product of a small matrix with a wide one: n_hidden units, a minibatch, and all genes.
 *
 * The wide matrix is copied panel by panel into a form that stays in the nearest cache, and each tile of the
 * product is summed in registers (Goto and van de Geijn 2008, ACM Trans. Math. Softw. 34:12). Libraries that
 * serve all shapes reach half to nine tenths of this, the less the more of their inputs another step has
 * pushed out of the cache.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#define ROWS 8
#elif defined(__AVX__)
#define LANES 8
#define ROWS 4
#else
#define LANES 4
#define ROWS 8
#endif
#define PANEL (3 * LANES) /* ROWS * 3 sums, 3 inputs and a factor fit into the registers */
#define ALIGNMENT 64

typedef float Vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* ROWS x PANEL numbers of the product, from k x ROWS of `left` and k x PANEL of `right`, without gaps. */
static inline void tile(int64_t k, const float *restrict left, const float *restrict right,
                        float *restrict out, int64_t stride)
{
    Vector sum[ROWS][3];
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
        sum[i][0] = sum[i][1] = sum[i][2] = (Vector){0};
    for (int64_t p = 0; p < k; p++, left += ROWS, right += PANEL) {
        const Vector *row = (const Vector *)right, a = row[0], b = row[1], c = row[2];
#pragma GCC unroll 8 /* else the sums would live in memory */
        for (int i = 0; i < ROWS; i++) {
            sum[i][0] += left[i] * a;
            sum[i][1] += left[i] * b;
            sum[i][2] += left[i] * c;
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++) {
        Vector *row = (Vector *)(out + i * stride);
        row[0] = sum[i][0], row[1] = sum[i][1], row[2] = sum[i][2];
    }
}

/* Rows `first` to `first` + ROWS of a matrix, as k x ROWS; rows beyond its m are zeros. */
static void pack_rows(int64_t m, int64_t k, const float *left, int64_t by_row, int64_t by_column,
                      int64_t first, float *packed)
{
    for (int64_t p = 0; p < k; p++)
        for (int64_t i = first; i < first + ROWS; i++)
            *packed++ = i < m ? left[i * by_row + p * by_column] : 0.0f;
}

/* `width` columns of a matrix, as k x PANEL filled up with zeros. */
static void pack_panel(int64_t k, const float *right, int64_t stride, int64_t width, float *packed)
{
    if (width < PANEL)
        memset(packed, 0, (size_t)(k * PANEL) * sizeof(float));
    for (int64_t p = 0; p < k; p++, right += stride, packed += PANEL)
        if (width == PANEL)
            memcpy(packed, right, PANEL * sizeof(float)); /* of known length, hence a few instructions */
        else
            memcpy(packed, right, (size_t)width * sizeof(float));
}

/* out (m x n) = left (m x k) @ right (k x n), where left[i][p] is at left[i * by_row + p * by_column].
 * Returns 0, or 1 if there is no memory. */
int matmul(int64_t m, int64_t n, int64_t k, int64_t by_row, int64_t by_column, const float *left,
           const float *right, float *out)
{
    const int64_t n_tiles = (m + ROWS - 1) / ROWS;
    const size_t size = (size_t)(k * (PANEL + n_tiles * ROWS) + ROWS * PANEL) * sizeof(float);
    float *panel = aligned_alloc(ALIGNMENT, (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    if (panel == NULL)
        return 1;
    float *part = panel + k * PANEL, *rows = part + ROWS * PANEL;
    for (int64_t t = 0; t < n_tiles; t++)
        pack_rows(m, k, left, by_row, by_column, t * ROWS, rows + t * k * ROWS);
    for (int64_t j = 0; j < n; j += PANEL) {
        const int64_t width = smaller(PANEL, n - j);
        pack_panel(k, right + j, n, width, panel);
        for (int64_t t = 0; t < n_tiles; t++) {
            const int64_t height = smaller(ROWS, m - t * ROWS);
            float *target = out + t * ROWS * n + j;
            if (width == PANEL && height == ROWS) {
                tile(k, rows + t * k * ROWS, panel, target, n);
                continue;
            }
            tile(k, rows + t * k * ROWS, panel, part, PANEL);
            for (int64_t i = 0; i < height; i++)
                memcpy(target + i * n, part + i * PANEL, (size_t)width * sizeof(float));
        }
    }
    free(panel);
    return 0;
}
