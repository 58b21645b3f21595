/* The decoder's heads and the log-likelihood of a minibatch under them, with the gradient.
 *
 *     mu = exp(log_library) softmax(h rho + bias_rho),  pi = h pi + bias_pi
 *
 * The genes are taken PANEL at a time, so that outputs of the heads are used while they are in the nearest caches; all that
 * belongs to a panel lies gene by gene, the cells of each side by side, their number rounded up to whole chunks by cells of
 * no weight.
 */
#include "softmax.h"
#include "zinb.h"

#define GENE_GROUP 8 /* genes whose counts are scattered before any is read back: a vector load right after stores of its parts stalls */

typedef struct { /* a minibatch, and room for the counts of GENE_GROUP genes */
    int64_t n_cells, g;
    Genes genes;
    Columns columns;
    Sums sums;
    Counts room[GENE_GROUP];
} Minibatch;

static size_t memory_of_genes(int64_t n)
{
    return (size_t)n * (2 * sizeof(float) + 2 * sizeof(double)) + N_FACTORIALS * sizeof(double);
}

/* Of g genes, rounded up to n. */
static Genes prepare(int64_t g, int64_t n, const float *log_theta, char **memory)
{
    Genes genes = {floats(memory, n), floats(memory, n), doubles(memory, n), doubles(memory, n),
                   doubles(memory, N_FACTORIALS)};
    float *theta = genes.theta, *inverse = genes.inverse;
    for (int64_t j = 0; j < n; j++)
        theta[j] = j < g ? expf(log_theta[j]) : 1.0f;
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

static size_t memory_of_minibatch(int64_t g, int64_t n)
{
    return memory_of_genes(panels(g) * PANEL) + (size_t)((5 + 3 * GENE_GROUP) * n) * sizeof(float)
        + (size_t)n * sizeof(double) + (size_t)(GENE_GROUP * n / CHUNK);
}

static Minibatch minibatch_of(const Hidden *hidden, int64_t g, Columns columns, const float *log_theta, const float *weight,
                              char **memory)
{
    const int64_t n = hidden->n_cells;
    Minibatch m = {n, g, prepare(g, panels(g) * PANEL, log_theta, memory), columns, {0}, {{0}}};
    float *const weights_n = floats(memory, n);
    m.sums = (Sums){weights_n, floats(memory, n), floats(memory, n), floats(memory, n), floats(memory, n), doubles(memory, n)};
    for (int64_t i = 0; i < n; i++)
        weights_n[i] = i < hidden->n ? weight[i] : 0.0f;
    memset(m.sums.value, 0, (size_t)n * sizeof(double));
    float *const room = floats(memory, 3 * GENE_GROUP * n);
    uint8_t *const any = piece(memory, (size_t)(GENE_GROUP * n / CHUNK));
    memset(room, 0, (size_t)(3 * GENE_GROUP * n) * sizeof(float));
    memset(any, 0, (size_t)(GENE_GROUP * n / CHUNK));
    for (int64_t j = 0; j < GENE_GROUP; j++) {
        float *const begin = room + 3 * j * n;
        m.room[j] = (Counts){begin, begin + n, begin + 2 * n, any + j * n / CHUNK};
    }
    return m;
}

/* Likelihood of the genes from `first` on, up to GENE_GROUP of them; see `panel`. */
INLINE void gene_group(Minibatch *m, int64_t first, int64_t column, int64_t number, const Gammas *gammas,
                const float *exponential, float *pi, float *grad_log_mu, float *grad_log_theta, int inflated, int gradient)
{
    const int64_t n = m->n_cells;
    double of_large[GENE_GROUP];
    for (int64_t j = 0; j < number; j++)
        of_large[j] = scatter_counts(&m->genes, first + j, column + j, &m->columns, gammas, &m->room[j], &m->sums);
    for (int64_t j = 0; j < number; j++, exponential += n, grad_log_mu += n, pi += inflated ? n : 0) {
        const Counts *x = &m->room[j];
        const float theta = m->genes.theta[first + j], inverse = m->genes.inverse[first + j];
        float grad[CHUNK] = {0}, sum = 0.0f;
        for (int64_t at = 0; at < n; at += CHUNK)
            if (x->any[at / CHUNK])
                chunk(theta, inverse, x, at, exponential, pi, grad_log_mu, grad, &m->sums, 0, inflated, gradient);
            else
                chunk(theta, inverse, x, at, exponential, pi, grad_log_mu, grad, &m->sums, 1, inflated, gradient);
        for (int c = 0; c < CHUNK; c++)
            sum += grad[c];
        if (gradient)
            grad_log_theta[j] = theta * (sum + (float)of_large[j]);
        memset(x->count, 0, (size_t)(3 * n) * sizeof(float)); /* value and slope as well */
        memset(x->any, 0, (size_t)(n / CHUNK));
    }
}

/* Likelihood of a panel, from its exponentials and the logits of technical zeros, which their derivatives replace; derivatives
 * by log mu, PANEL x n_cells, and by log theta. */
INLINE void panel(Minibatch *m, int64_t j, const float *exponential, float *pi, float *grad_log_mu, float *grad_log_theta,
                  int inflated, int gradient)
{
    const int64_t first = j * PANEL, width = width_of(j, m->g), n = m->n_cells;
    const Gammas gammas = gammas_of(m->genes.theta + first);
    for (int64_t i = 0; i < n; i++)
        m->sums.sum[i] = m->sums.total[i] = 0.0f, m->sums.product[i] = 1.0f;
    for (int64_t c = 0; c < width; c += GENE_GROUP)
        gene_group(m, first + c, c, smaller(GENE_GROUP, width - c), &gammas, exponential + c * n, inflated ? pi + c * n : NULL,
            grad_log_mu + c * n, grad_log_theta + c, inflated, gradient);
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        m->sums.value[i] += m->sums.sum[i] + log_positive(m->sums.product[i]);
}

/* What the likelihood of a panel begins with. */
static Prefetch prefetch_for_panel(const Minibatch *m, int64_t j, const float *exponential)
{
    Prefetch prefetch = {0};
    const int32_t *const start = m->columns.start + j * PANEL, begin = start[0], n = start[width_of(j, m->g)] - begin;
    prefetch_later(&prefetch, exponential, PANEL * m->n_cells);
    prefetch_later(&prefetch, m->columns.cell + begin, n), prefetch_later(&prefetch, m->columns.count + begin, n);
    return prefetch;
}

/* Log-likelihood of n cells with g genes; with `gradient` also the derivatives of its weighted sum. With `adam` the weights of the
 * heads learn from theirs in the same pass, while they are in the caches anyway.
 *
 * k                                  hidden units
 * log_library, weight                n
 * log_theta                          g
 * h                                  n x k
 * rho, pi                            heads: see `head_of`; NULL for the latter: no extra zeros
 * value                              n
 * grad_...                           derivatives, without meaning without `gradient`
 * start (g + 1), cell, count         CSC, n x g
 *
 * Returns 0, or 1 if there is no memory.
 */
int log_likelihood(int64_t n, int64_t g, int gradient, int64_t k, const float *log_library, const float *weight,
                   const float *log_theta, const float *h, float *const *rho, float *const *pi, float *value, float *grad_h,
                   float *grad_log_library, float *grad_log_theta, const AdamStep *adam, const int32_t *start, const int32_t *cell,
                   const float *count)
{
    const int64_t n_panels = panels(g), n_cells = rounded_up(n, CHUNK), size = PANEL * n_cells;
    char *next = memory_for(memory_of_hidden(n_cells, rounded_up(k, LANES)) + memory_of_softmax(n_panels, n_cells)
                            + memory_of_minibatch(g, n_cells) + (size_t)((n_panels + 1) * size) * sizeof(float)
                            + (size_t)(2 * n_cells) * sizeof(double));
    if (next == NULL)
        return 1;
    const Head proportions = head_of(rho), zeros = pi ? head_of(pi) : (Head){0};
    const Hidden hidden = hidden_of(n, k, h, &next);
    const Softmax softmax = softmax_of(&hidden, &proportions, g, &next);
    Minibatch m = minibatch_of(&hidden, g, (Columns){start, cell, count}, log_theta, weight, &next);
    float *const grad_log_mu = floats(&next, n_panels * size), *const logits = floats(&next, size);
    double *const total = doubles(&next, n_cells), *const library = doubles(&next, n_cells);

    for (int64_t i = 0; i < n_cells; i++)
        library[i] = i < n ? exp((double)log_library[i]) / softmax.sum[i] : 0.0, total[i] = 0.0;
    for (int64_t j = 0; j < n_panels; j++) {
        const float *exponential = softmax.exponential + j * size;
        float *const grad = grad_log_mu + j * size, *const grad_theta = gradient ? grad_log_theta + j * PANEL : NULL;
        for (int64_t i = 0; i < n_cells; i++)
            m.sums.scale[i] = (float)(library[i] * softmax.factor[j * n_cells + i]);
        if (pi)
            logits_of(&hidden, &zeros, j * PANEL, width_of(j, g), logits, prefetch_for_panel(&m, j, exponential));
        if (pi && gradient)
            panel(&m, j, exponential, logits, grad, grad_theta, 1, 1);
        else if (pi)
            panel(&m, j, exponential, logits, grad, grad_theta, 1, 0);
        else if (gradient)
            panel(&m, j, exponential, NULL, grad, grad_theta, 0, 1);
        else
            panel(&m, j, exponential, NULL, grad, grad_theta, 0, 0);
        for (int64_t i = 0; i < n_cells; i++)
            total[i] += m.sums.total[i];
        Prefetch prefetch = {0};
        prefetch_weights(&prefetch, &hidden, &zeros, j + 1, g);
        if (gradient && pi)
            head_backward(&hidden, &zeros, j * PANEL, width_of(j, g), logits, adam, prefetch);
    }
    for (int64_t j = 0; j < n_panels && gradient; j++) {
        softmax_backward(&softmax, j, width_of(j, g), n_cells, total, grad_log_mu + j * size);
        Prefetch prefetch = {0};
        prefetch_weights(&prefetch, &hidden, &proportions, j + 1, g);
        if (j + 1 < n_panels)
            prefetch_later(&prefetch, grad_log_mu + (j + 1) * size, size), prefetch_later(&prefetch, softmax.exponential + (j + 1) * size, size);
        head_backward(&hidden, &proportions, j * PANEL, width_of(j, g), grad_log_mu + j * size, adam, prefetch);
    }
    for (int64_t i = 0; i < n; i++) {
        value[i] = (float)m.sums.value[i];
        if (!gradient)
            continue;
        grad_log_library[i] = (float)total[i];
        memcpy(grad_h + i * k, hidden.grad + i * hidden.n_units, (size_t)k * sizeof(float));
    }
    return 0;
}
