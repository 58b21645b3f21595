/* The two linear layers at the end of the decoder, PANEL genes at a time, forward and backward; and pieces of a memory that is
 * kept between calls.
 */
#pragma once
#include "adam.h"
#include "matmul.h"

#define PANEL 48 /* genes whose outputs are used while they are in a near cache; whole bands of a product */
#define CHUNK 32 /* cells; whole vectors of any width */

typedef struct { /* last hidden layer of n cells with k units, both also rounded up, and the derivatives w.r.t. it */
    int64_t n, n_cells, k, n_units, columns_stride, rows_stride;
    float *columns, *rows, *grad; /* n_units x n_cells, the two others n_cells x n_units */
    float *panel, *grad_panel; /* room for the weights of a panel and the derivatives w.r.t. them, PANEL x n_units */
} Hidden;

typedef struct { /* a linear layer, weights gene by gene. Without moments of Adam both gradients are written; with them the weights
                  * are updated in place, and the gradient w.r.t. the bias alone is written */
    float *weight;
    const float *bias;
    float *grad_weight, *grad_bias, *mean, *square;
} Head;

/* From its parts in the order of their declaration: weight g x k, bias g, the derivatives w.r.t. them, moments of Adam for the
 * weight. Those w.r.t. the weight are without meaning with moments. */
static Head head_of(float *const *part) { return (Head){part[0], part[1], part[2], part[3], part[4], part[5]}; }

static void *piece(char **memory, size_t size)
{
    char *begin = *memory;
    *memory += (size + LINE - 1) / LINE * LINE;
    return begin;
}

static int64_t panels(int64_t g) { return (g + PANEL - 1) / PANEL; }

static int64_t width_of(int64_t panel, int64_t g) { return smaller(PANEL, g - panel * PANEL); }

static float *floats(char **memory, int64_t n) { return piece(memory, (size_t)n * sizeof(float)); }

static double *doubles(char **memory, int64_t n) { return piece(memory, (size_t)n * sizeof(double)); }

/* For pieces of so many bytes in all, up to 32 of them. It is kept for the next call: fresh memory would be cleared by the
 * system page by page. */
static char *memory_for(size_t size)
{
    static _Thread_local char *memory;
    static _Thread_local size_t room;
    if (room < size) {
        free(memory);
        memory = aligned_alloc(LINE, (size + 33 * LINE) / LINE * LINE);
        room = memory ? size : 0;
    }
    return memory;
}

static size_t memory_of_hidden(int64_t n_cells, int64_t n_units)
{
    return (size_t)(n_units * padded_stride(n_cells) + n_cells * padded_stride(n_units) + (n_cells + 2 * PANEL) * n_units) * sizeof(float);
}

/* rows x k to n_rows x n_units, rows `stride` apart, filled up with zeros. */
static void widen(int64_t rows, int64_t k, const float *from, int64_t n_rows, int64_t stride, float *to)
{
    memset(to, 0, (size_t)(n_rows * stride) * sizeof(float));
    for (int64_t i = 0; i < rows; i++)
        memcpy(to + i * stride, from + i * k, (size_t)k * sizeof(float));
}

static Hidden hidden_of(int64_t n, int64_t k, const float *h, char **memory)
{
    const int64_t n_cells = rounded_up(n, CHUNK), n_units = rounded_up(k, LANES);
    const int64_t columns_stride = padded_stride(n_cells), rows_stride = padded_stride(n_units);
    Hidden hidden = {n, n_cells, k, n_units, columns_stride, rows_stride, floats(memory, n_units * columns_stride),
                     floats(memory, n_cells * rows_stride), floats(memory, n_cells * n_units), floats(memory, PANEL * n_units),
                     floats(memory, PANEL * n_units)};
    widen(n, k, h, n_cells, rows_stride, hidden.rows);
    for (int64_t p = 0; p < n_units; p++)
        for (int64_t i = 0; i < n_cells; i++)
            hidden.columns[p * columns_stride + i] = hidden.rows[i * rows_stride + p];
    memset(hidden.grad, 0, (size_t)(n_cells * n_units) * sizeof(float));
    return hidden;
}

/* Weights of the panel of `width` genes from `first` on, PANEL x n_units: where they are, or rounded up. */
static const float *weights(const Hidden *hidden, const Head *head, int64_t first, int64_t width)
{
    const float *weight = head->weight + first * hidden->k;
    if (width == PANEL && hidden->k == hidden->n_units)
        return weight;
    widen(width, hidden->k, weight, PANEL, hidden->n_units, hidden->panel);
    return hidden->panel;
}

/* Logits of a panel, PANEL x n_cells. */
static void logits_of(const Hidden *hidden, const Head *head, int64_t first, int64_t width, float *out, Prefetch prefetch)
{
    const int64_t k = hidden->n_units, n = hidden->n_cells;
    const float *const weight = weights(hidden, head, first, width);
    block(PANEL / ROWS, n, k, weight, ROWS * k, k, 1, hidden->columns, hidden->columns_stride, 0, out, n, &prefetch);
    for (int64_t j = 0; j < width; j++)
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            out[j * n + i] += head->bias[first + j];
}

/* From the derivatives w.r.t. the logits of a panel to those w.r.t. its weights and bias, and w.r.t. the hidden layer, where they
 * are added to what is there. With moments of Adam the weights are updated at once, and the derivatives w.r.t. them not kept. */
static void head_backward(const Hidden *hidden, const Head *head, int64_t first, int64_t width, float *grad, const AdamStep *adam,
                  Prefetch prefetch)
{
    const int64_t k = hidden->n_units, n = hidden->n_cells, at = first * hidden->k, size = width * hidden->k;
    const int whole = hidden->k == k, direct = !adam && whole && width == PANEL;
    float *const out = direct ? head->grad_weight + at : hidden->grad_panel;
    Prefetch moments = {0};
    if (adam)
        prefetch_later(&moments, head->mean + at, size), prefetch_later(&moments, head->square + at, size);
    memset(grad + width * n, 0, (size_t)((PANEL - width) * n) * sizeof(float));
    for (int64_t j = 0; j < width; j++) {
        float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n; i++)
            sum += grad[j * n + i];
        head->grad_bias[first + j] = sum;
    }
    block(n / ROWS, k, PANEL, grad, ROWS, 1, n, weights(hidden, head, first, width), k, 1, hidden->grad, k, &moments);
    block(PANEL / ROWS, k, hidden->n, grad, ROWS * n, n, 1, hidden->rows, hidden->rows_stride, 0, out, k, &prefetch);
    for (int64_t j = 0; j < width && !direct && !(adam && whole); j++)
        memmove((adam ? out : head->grad_weight + at) + j * hidden->k, out + j * k, (size_t)hidden->k * sizeof(float));
    if (adam)
        adam_step(size, head->weight + at, out, head->mean + at, head->square + at, *adam);
}
