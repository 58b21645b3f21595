/* The decoder's heads and the log-likelihood of a minibatch under them, with the gradient.
 *
 *     mu = exp(log_library) softmax(h rho + bias_rho),  pi = h pi + bias_pi
 *
 * The genes are taken PANEL at a time, so that outputs of the heads are used while they are in the nearest caches.
 * What has to outlive a panel is kept panel by panel, n cells x PANEL each, their number rounded up to whole bands of the
 * products. The exponentials of a panel are relative to the largest logit of the cell within it.
 */
#include <stdlib.h>

#include "matmul.h"
#include "zinb.h"

#define LINE 64 /* bytes of a line of a cache */
#define LEAST -1e30f /* bias of the genes that fill up the last panel: mu = 0, and hence no likelihood */

typedef struct { /* non-zero counts in the order of their panels, those of panel j from start[j] on */
    int32_t *start, *cell, *at; /* at: cell * PANEL + gene within the panel */
    float *count;
} Sorted;

static void *piece(char **memory, size_t size)
{
    char *begin = *memory;
    *memory += (size + LINE - 1) / LINE * LINE;
    return begin;
}

/* For pieces of so many bytes in all, up to 24 of them. */
static char *memory_for(size_t size) { return aligned_alloc(LINE, (size + 25 * LINE) / LINE * LINE); }

static int64_t n_panels_of(int64_t g) { return (g + PANEL - 1) / PANEL; }

static size_t memory_of_genes(int64_t g)
{
    return (size_t)(n_panels_of(g) * PANEL) * (2 * sizeof(float) + 2 * sizeof(double))
        + N_FACTORIALS * sizeof(double);
}

static Genes prepare(int64_t g, const float *given_theta, char **memory)
{
    const int64_t n = n_panels_of(g) * PANEL;
    Genes genes;
    genes.theta = piece(memory, (size_t)n * sizeof(float));
    genes.inverse = piece(memory, (size_t)n * sizeof(float));
    genes.log_gamma = piece(memory, (size_t)n * sizeof(double));
    genes.digamma = piece(memory, (size_t)n * sizeof(double));
    genes.log_factorial = piece(memory, N_FACTORIALS * sizeof(double));
    float *theta = genes.theta, *inverse = genes.inverse;
    for (int64_t j = 0; j < n; j++)
        theta[j] = j < g ? given_theta[j] : 1.0f;
#pragma omp simd
    for (int64_t j = 0; j < n; j++) {
        inverse[j] = 1.0f / (theta[j] + EPS);
        log_gamma(theta[j], &genes.log_gamma[j], &genes.digamma[j]);
    }
    genes.log_factorial[0] = 0.0;
    for (int x = 1; x < N_FACTORIALS; x++)
        genes.log_factorial[x] = genes.log_factorial[x - 1] + log(x);
    return genes;
}

static size_t memory_of_sorted(int64_t g, int64_t n_counts)
{
    return (size_t)(n_panels_of(g) + 2 + 3 * n_counts) * sizeof(int32_t);
}

static Sorted sort(int64_t n, int64_t g, const int32_t *indptr, const int32_t *indices, const float *counts,
                   char **memory)
{
    const int64_t n_panels = n_panels_of(g);
    const size_t size = (size_t)indptr[n] * sizeof(int32_t);
    Sorted sorted = {piece(memory, (size_t)(n_panels + 2) * sizeof(int32_t)), piece(memory, size),
                     piece(memory, size), piece(memory, size)};
    int32_t *place = sorted.start + 1; /* of the next count of each panel; in the end start is as it should be */
    memset(sorted.start, 0, (size_t)(n_panels + 2) * sizeof(int32_t));
    for (int32_t k = 0; k < indptr[n]; k++)
        sorted.start[indices[k] / PANEL + 2]++;
    for (int64_t j = 0; j < n_panels; j++)
        sorted.start[j + 2] += sorted.start[j + 1];
    for (int32_t i = 0; i < n; i++)
        for (int32_t k = indptr[i]; k < indptr[i + 1]; k++) {
            const int32_t panel = indices[k] / PANEL, to = place[panel]++;
            sorted.cell[to] = i;
            sorted.at[to] = i * PANEL + indices[k] - panel * PANEL;
            sorted.count[to] = counts[k];
        }
    return sorted;
}

/* rows x columns to columns x rows, rows of which are `stride` apart. */
static void transpose(int64_t rows, int64_t columns, const float *from, float *to, int64_t stride)
{
    typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));
    typedef int32_t Index __attribute__((vector_size(16)));
    const int64_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
    for (int64_t i = 0; i < whole_rows; i += 4)
        for (int64_t j = 0; j < whole_columns; j += 4) {
            const float *at = from + i * columns + j;
            const Four a = *(const Four *)at, b = *(const Four *)(at + columns);
            const Four c = *(const Four *)(at + 2 * columns), d = *(const Four *)(at + 3 * columns);
            const Index low = {0, 4, 1, 5}, high = {2, 6, 3, 7}, left = {0, 1, 4, 5}, right = {2, 3, 6, 7};
            const Four ab = __builtin_shuffle(a, b, low), cd = __builtin_shuffle(c, d, low);
            const Four ba = __builtin_shuffle(a, b, high), dc = __builtin_shuffle(c, d, high);
            float *out = to + j * stride + i;
            *(Four *)out = __builtin_shuffle(ab, cd, left);
            *(Four *)(out + stride) = __builtin_shuffle(ab, cd, right);
            *(Four *)(out + 2 * stride) = __builtin_shuffle(ba, dc, left);
            *(Four *)(out + 3 * stride) = __builtin_shuffle(ba, dc, right);
        }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = i < whole_rows ? whole_columns : 0; j < columns; j++)
            to[j * stride + i] = from[i * columns + j];
}

/* Panel j of h @ weight, n x PANEL, from the bands of h. */
static void head(int64_t n, int64_t g, int64_t k, int64_t j, const float *bands, const float *weight, float *packed,
                 float *out)
{
    const int64_t width = smaller(PANEL, g - j * PANEL);
    if (width < PANEL)
        memset(packed, 0, (size_t)(k * PANEL) * sizeof(float));
    transpose(width, k, weight + j * PANEL * k, packed, PANEL);
    block((n + ROWS - 1) / ROWS, PANEL, k, bands, k * ROWS, 1, ROWS, packed, PANEL, 0, out, PANEL);
}

/* From logits without bias to exponentials relative to the largest of each cell; that, and their sum. Beyond `width` there
 * are no genes. */
static void exponentials(int64_t n, int64_t width, const float *restrict bias, float *restrict logits,
                         float *restrict top, float *restrict sum)
{
    for (int64_t i = 0; i < n; i++, logits += PANEL) {
        float largest = logits[0] + bias[0], total = 0.0f;
#pragma omp simd reduction(max : largest)
        for (int g = 0; g < PANEL; g++) {
            logits[g] += bias[g];
            largest = logits[g] > largest ? logits[g] : largest;
        }
#pragma omp simd reduction(+ : total)
        for (int g = 0; g < PANEL; g++) {
            logits[g] = exp_negative(logits[g] - largest);
            total += logits[g];
        }
        memset(logits + width, 0, (size_t)(PANEL - width) * sizeof(float));
        top[i] = largest, sum[i] = total;
    }
}

/* From the largest logit of each cell in each panel to the factor that makes exponentials relative to the largest of all;
 * sum of these for each cell. */
static void normalise(int64_t n, int64_t n_panels, float *top, const float *part, float *largest, double *sum)
{
    memcpy(largest, top, (size_t)n * sizeof(float));
    for (int64_t j = 1; j < n_panels; j++)
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            largest[i] = top[j * n + i] > largest[i] ? top[j * n + i] : largest[i];
    memset(sum, 0, (size_t)n * sizeof(double));
    for (int64_t j = 0; j < n_panels; j++)
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            top[j * n + i] = exp_negative(top[j * n + i] - largest[i]);
            sum[i] += (double)top[j * n + i] * part[j * n + i];
        }
}

static void add_bias(int64_t n, const float *restrict bias, float *restrict out)
{
    for (int64_t i = 0; i < n; i++, out += PANEL)
#pragma omp simd
        for (int g = 0; g < PANEL; g++)
            out[g] += bias[g];
}

/* Log-likelihood of n cells with g genes; with `gradient` also what its backward pass needs, each cell times its
 * weight.
 *
 * k                                  hidden units
 * indptr (n + 1), indices, counts    CSR
 * log_library, weight                n
 * theta, bias_rho, bias_pi           g
 * h                                  n x k
 * rho, pi                            g x k; NULL for pi: no extra zeros
 * value, by_log_library              n; the latter is the derivative
 * by_theta                           g, derivative
 * exponential, by_log_mu, by_pi      panels x cells x PANEL, cells a multiple of ROWS; the latter two, of which nothing is
 *                                    to be read without `gradient`, are the derivatives
 * share                              panels x n: exponential * share is softmax * sum of by_log_mu
 *
 * Returns 0, or 1 if there is no memory.
 */
int log_likelihood(int64_t n, int64_t g, int gradient, int64_t k, const int32_t *indptr, const int32_t *indices,
                   const float *counts, const float *log_library, const float *weight, const float *theta,
                   const float *h, const float *rho, const float *bias_rho, const float *pi, const float *bias_pi,
                   float *value, float *by_log_library, float *by_theta, float *exponential, float *by_log_mu,
                   float *by_pi, float *share)
{
    const int64_t n_panels = n_panels_of(g), n_rows = rounded_up(n, ROWS), size = n_rows * PANEL;
    const size_t n_floats = (size_t)(k * (n_rows + PANEL) + size + n_panels * n + 3 * n + 2 * n_panels * PANEL);
    char *const memory = memory_for(memory_of_genes(g) + memory_of_sorted(g, indptr[n])
                                    + n_floats * sizeof(float) + (size_t)(3 * n) * sizeof(double));
    if (memory == NULL)
        return 1;
    char *next = memory;
    const Genes genes = prepare(g, theta, &next);
    const Sorted sorted = sort(n, g, indptr, indices, counts, &next);
    double *sum = piece(&next, (size_t)n * sizeof(double)), *values = piece(&next, (size_t)n * sizeof(double));
    double *total = piece(&next, (size_t)n * sizeof(double));
    float *bands = piece(&next, (size_t)(n_rows * k) * sizeof(float));
    float *packed = piece(&next, (size_t)(k * PANEL) * sizeof(float));
    float *logits = piece(&next, (size_t)size * sizeof(float));
    float *part = piece(&next, (size_t)(n_panels * n) * sizeof(float));
    float *scale = piece(&next, (size_t)n * sizeof(float)), *product = piece(&next, (size_t)n * sizeof(float));
    float *largest = piece(&next, (size_t)n * sizeof(float));
    float bias[PANEL], add_by_theta[PANEL];

    pack_bands(n, k, h, k, 1, bands);
    for (int64_t j = 0; j < n_panels; j++) {
        for (int64_t c = 0; c < PANEL; c++)
            bias[c] = j * PANEL + c < g ? bias_rho[j * PANEL + c] : LEAST;
        head(n, g, k, j, bands, rho, packed, exponential + j * size);
        exponentials(n, smaller(PANEL, g - j * PANEL), bias, exponential + j * size, share + j * n, part + j * n);
    }
    normalise(n, n_panels, share, part, largest, sum);
    memset(values, 0, (size_t)n * sizeof(double));
    memset(total, 0, (size_t)n * sizeof(double));
    for (int64_t j = 0; j < n_panels; j++) {
        const int64_t first = j * PANEL, begin = sorted.start[j], n_counts = sorted.start[j + 1] - begin;
        const int32_t *cell = sorted.cell + begin, *at = sorted.at + begin;
        const float *count = sorted.count + begin;
        for (int64_t i = 0; i < n; i++)
            scale[i] = (float)(exp((double)log_library[i]) / sum[i] * share[j * n + i]);
        Panel panel = {exponential + j * size, scale, logits, weight, by_log_mu + j * size, by_pi + j * size,
                       add_by_theta, values, total};
        if (pi) {
            for (int64_t c = 0; c < PANEL; c++)
                bias[c] = first + c < g ? bias_pi[first + c] : 0.0f;
            head(n, g, k, j, bands, pi, packed, logits);
            add_bias(n, bias, logits);
        }
        memset(add_by_theta, 0, sizeof add_by_theta);
        if (pi && gradient)
            charge_and_pay(&genes, first, n, &panel, n_counts, cell, at, count, product, 1, 1);
        else if (pi)
            charge_and_pay(&genes, first, n, &panel, n_counts, cell, at, count, product, 1, 0);
        else if (gradient)
            charge_and_pay(&genes, first, n, &panel, n_counts, cell, at, count, product, 0, 1);
        else
            charge_and_pay(&genes, first, n, &panel, n_counts, cell, at, count, product, 0, 0);
        if (gradient)
            memcpy(by_theta + first, add_by_theta, (size_t)smaller(PANEL, g - first) * sizeof(float));
    }
    for (int64_t i = 0; i < n; i++) {
        value[i] = (float)values[i];
        by_log_library[i] = (float)total[i];
        for (int64_t j = 0; j < n_panels; j++)
            share[j * n + i] *= (float)(total[i] / sum[i]);
    }
    free(memory);
    return 0;
}

/* Derivatives by the logits of a panel, factor * (by - exponential * share), and their sums over the cells; without
 * `exponential` factor * by. */
static void finish(int64_t n, float factor, const float *restrict by, const float *restrict exponential,
                   const float *restrict share, float *restrict out, float *restrict by_bias)
{
    memset(by_bias, 0, PANEL * sizeof(float));
    for (int64_t i = 0; i < n; i++, by += PANEL, out += PANEL) {
        if (exponential)
#pragma omp simd
            for (int g = 0; g < PANEL; g++)
                out[g] = factor * (by[g] - exponential[i * PANEL + g] * share[i]);
        else
#pragma omp simd
            for (int g = 0; g < PANEL; g++)
                out[g] = factor * by[g];
#pragma omp simd
        for (int g = 0; g < PANEL; g++)
            by_bias[g] += out[g];
    }
}

/* rows x k to rows x n_units, filled up with zeros. */
static void widen(int64_t rows, int64_t k, const float *from, int64_t n_units, float *to)
{
    for (int64_t i = 0; i < rows; i++) {
        memcpy(to + i * n_units, from + i * k, (size_t)k * sizeof(float));
        memset(to + i * n_units + k, 0, (size_t)(n_units - k) * sizeof(float));
    }
}

/* Backward pass of one head: derivatives by h (n x k), which are added, by its weight (g x k) and bias (g).
 *
 * by, exponential, share             by_log_mu and the others of `log_likelihood`, or by_pi, NULL, NULL
 * factor                             of all derivatives
 * h, weight                          n x k, g x k
 *
 * Returns 0, or 1 if there is no memory. */
int head_backward(int64_t n, int64_t g, int64_t k, float factor, const float *h, const float *weight,
                  const float *by, const float *exponential, const float *share, float *by_h, float *by_weight,
                  float *by_bias)
{
    const int64_t n_panels = n_panels_of(g), n_rows = rounded_up(n, ROWS), size = n_rows * PANEL;
    const int64_t n_units = rounded_up(k, LANES);
    const size_t n_floats = (size_t)(size + (2 * n_rows + 2 * PANEL) * n_units);
    char *const memory = memory_for(n_floats * sizeof(float));
    if (memory == NULL)
        return 1;
    char *next = memory;
    float *by_logits = piece(&next, (size_t)size * sizeof(float));
    float *wide_h = piece(&next, (size_t)(n * n_units) * sizeof(float));
    float *wide_weight = piece(&next, (size_t)(PANEL * n_units) * sizeof(float));
    float *part = piece(&next, (size_t)(PANEL * n_units) * sizeof(float));
    float *sum = piece(&next, (size_t)(n_rows * n_units) * sizeof(float)), bias[PANEL];

    widen(n, k, h, n_units, wide_h);
    memset(by_logits, 0, (size_t)size * sizeof(float));
    memset(sum, 0, (size_t)(n_rows * n_units) * sizeof(float));
    for (int64_t j = 0; j < n_panels; j++) {
        const int64_t first = j * PANEL, width = smaller(PANEL, g - first);
        const float *panel = weight + first * k;
        finish(n, factor, by + j * size, exponential ? exponential + j * size : NULL,
               exponential ? share + j * n : NULL, by_logits, bias);
        memcpy(by_bias + first, bias, (size_t)width * sizeof(float));
        if (k < n_units) {
            widen(width, k, panel, n_units, wide_weight);
            panel = wide_weight;
        }
        block(n_rows / ROWS, n_units, width, by_logits, ROWS * PANEL, PANEL, 1, panel, n_units, 1, sum, n_units);
        const int direct = width == PANEL && k == n_units;
        float *out = direct ? by_weight + first * k : part;
        block(PANEL / ROWS, n_units, n, by_logits, ROWS, 1, PANEL, wide_h, n_units, 0, out, n_units);
        for (int64_t i = 0; i < width && !direct; i++)
            memcpy(by_weight + (first + i) * k, part + i * n_units, (size_t)k * sizeof(float));
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t p = 0; p < k; p++)
            by_h[i * k + p] += sum[i * n_units + p];
    free(memory);
    return 0;
}
