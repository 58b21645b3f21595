/* The softmax over the genes of a head's logits, panel by panel: exponentials of a panel are relative to the largest logit of the cell
 * within it, and each panel has a factor for each cell that makes them relative to the largest of all.
 */
#pragma once
#include "elementary.h"
#include "heads.h"

typedef struct { /* exponentials of all panels, PANEL x n_cells each, and for each panel the factors of the cells that make
                  * them relative to the largest of all panels; sum of these over the genes */
    float *exponential, *factor;
    double *sum;
} Softmax;

/* The weights of a panel, if there is such a one. */
static void prefetch_weights(Prefetch *prefetch, const Hidden *hidden, const Head *head, int64_t panel, int64_t g)
{
    if (panel < panels(g))
        prefetch_later(prefetch, head->weight + panel * PANEL * hidden->k, width_of(panel, g) * hidden->k);
}

/* largest (n) of `rows` rows of n numbers. */
static void largest_of(int64_t n, int64_t rows, const float *restrict x, float *restrict largest)
{
    memcpy(largest, x, (size_t)n * sizeof(float));
    for (int64_t j = 1; j < rows; j++)
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            largest[i] = x[j * n + i] > largest[i] ? x[j * n + i] : largest[i];
}

/* From the logits of a panel to exponentials relative to the largest of each cell; that, and their sum. */
static void exponentials(int64_t n, int64_t width, float *restrict logits, float *restrict top, float *restrict sum)
{
    largest_of(n, width, logits, top);
    memset(sum, 0, (size_t)n * sizeof(float));
    for (int64_t j = 0; j < width; j++)
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            const float exponential = exp_negative(logits[j * n + i] - top[i]);
            logits[j * n + i] = exponential;
            sum[i] += exponential;
        }
}

/* From the largest logit of each cell in each panel to its factor, and the sum over all genes. */
static void normalise(int64_t n, int64_t n_panels, const float *part, float *largest, Softmax *softmax)
{
    float *top = softmax->factor;
    double *sum = softmax->sum;
    largest_of(n, n_panels, top, largest);
    memset(sum, 0, (size_t)n * sizeof(double));
    for (int64_t j = 0; j < n_panels; j++)
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            top[j * n + i] = exp_negative(top[j * n + i] - largest[i]);
            sum[i] += (double)top[j * n + i] * part[j * n + i];
        }
}

static size_t memory_of_softmax(int64_t n_panels, int64_t n)
{
    return (size_t)((PANEL + 2) * n_panels * n + n) * sizeof(float) + (size_t)n * sizeof(double);
}

static Softmax softmax_of(const Hidden *hidden, const Head *head, int64_t g, char **memory)
{
    const int64_t n_panels = panels(g), n = hidden->n_cells, size = PANEL * n;
    Softmax softmax = {floats(memory, n_panels * size), floats(memory, n_panels * n), doubles(memory, n)};
    float *part = floats(memory, n_panels * n), *largest = floats(memory, n);
    for (int64_t j = 0; j < n_panels; j++) {
        float *const of_panel = softmax.exponential + j * size;
        Prefetch prefetch = {0};
        prefetch_weights(&prefetch, hidden, head, j + 1, g);
        if (j + 1 < n_panels)
            prefetch_later(&prefetch, of_panel + size, size);
        logits_of(hidden, head, j * PANEL, width_of(j, g), of_panel, prefetch);
        exponentials(n, width_of(j, g), of_panel, softmax.factor + j * n, part + j * n);
    }
    normalise(n, n_panels, part, largest, &softmax);
    return softmax;
}

/* From derivatives w.r.t. log mu of a panel to those w.r.t. its logits; `total` is the sum of the former over all genes. */
static void softmax_backward(const Softmax *softmax, int64_t panel, int64_t width, int64_t n, const double *total,
                            float *restrict grad)
{
    const float *restrict exponential = softmax->exponential + panel * PANEL * n;
    float *restrict share = softmax->factor + panel * n; /* no longer needed as it was */
    for (int64_t i = 0; i < n; i++)
        share[i] *= (float)(total[i] / softmax->sum[i]);
    for (int64_t j = 0; j < width; j++)
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            grad[j * n + i] -= exponential[j * n + i] * share[i];
}
