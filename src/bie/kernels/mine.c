/* All that a minibatch means to a critic under MINE, and the critic to the encoder, in one call; defined by bie.penalties.mine.
 * Functions return 0, or 1 if there is no memory. */
#include <math.h>

#include "critic.h"
#include "elementary.h"

int donsker_varadhan(int64_t n, const float *scores, const float *log_rate, const float *log_decay, int32_t *n_updates,
                     float *log_sum, float *value, float *gradient);
int standardise(int64_t n, int64_t d, float least, const float *x, float *inverse_sd, float *y);
int standardise_backward(int64_t n, int64_t d, const float *y, const float *inverse_sd, const float *by_y, float *by_x);

typedef struct { /* moving average of the scores; see donsker_varadhan.c */
    const float *log_rate, *log_decay;
    int32_t *n_updates;
    float *log_sum;
} Average;

typedef struct { /* n cells: latent vectors of d dimensions, batches, and the c numbers that the critic sees of each batch */
    int64_t n, d, c;
    const float *z, *inputs;
    const int64_t *batch;
} Cells;

typedef struct { /* what the critic sees; see `pair` */
    int64_t n_rows;
    float *x, *scores, *by_scores;
    int64_t *row; /* of the independent pair of each cell */
} Pairs;

/* With room for 2 n rows; `x` is what is to be freed. */
static int pairs_of(const Cells *cells, Pairs *pairs)
{
    const int64_t n = cells->n, size = 2 * n * (cells->d + cells->c);
    pairs->x = aligned(size + 4 * n + 2 * n); /* two floats for each of `row` */
    if (pairs->x == NULL)
        return 1;
    pairs->row = (int64_t *)(pairs->x + size);
    pairs->scores = pairs->x + size + 2 * n;
    pairs->by_scores = pairs->scores + 2 * n;
    return 0;
}

/* Each cell with its own batch, then the same cells with the batches of those that `order` names: the pairs that belong together,
 * and independent ones. Where that is the same batch there is no second row. */
static void pair(const Cells *cells, const int64_t *order, Pairs *pairs)
{
    const int64_t n = cells->n, d = cells->d, c = cells->c;
    float *x = pairs->x;
    pairs->n_rows = 0;
    for (int64_t i = 0; i < 2 * n; i++) {
        const int64_t cell = i % n, own = cells->batch[cell], given = i < n ? own : cells->batch[order[cell]];
        if (i >= n)
            pairs->row[cell] = given == own ? cell : pairs->n_rows;
        if (i >= n && given == own)
            continue;
        memcpy(x, cells->z + cell * d, (size_t)d * sizeof(float));
        memcpy(x + d, cells->inputs + given * c, (size_t)c * sizeof(float));
        x += d + c, pairs->n_rows++;
    }
}

/* From pairs to the bound and its derivatives by the outputs of the critic; with an average those of its objective instead. */
static int bound(int64_t n, const Critic *critic, const Average *by, Pairs *pairs, Activations *of, float *value)
{
    if (forward(pairs->n_rows, critic, pairs->x, of))
        return 1;
    for (int64_t i = 0; i < n; i++)
        pairs->scores[i] = of->out[i], pairs->scores[n + i] = of->out[pairs->row[i]];
    donsker_varadhan(n, pairs->scores, by->log_rate, by->log_decay, by->n_updates, by->log_sum, value, pairs->by_scores);
    memcpy(of->by_out, pairs->by_scores, (size_t)n * sizeof(float));
    memset(of->by_out + n, 0, (size_t)(pairs->n_rows - n) * sizeof(float));
    for (int64_t i = 0; i < n; i++)
        of->by_out[pairs->row[i]] += pairs->by_scores[n + i];
    return 0;
}

/* A step for each order but the last, which is that of the value: the bound by the critic as it is then. by_z: its derivatives by
 * the latent vectors. */
static int update_and_score(int64_t n_steps, const Cells *cells, const int64_t *const *order, const Critic *critic,
                            const Average *average, float *value, float *by_z)
{
    const int64_t n = cells->n, d = cells->d, width = d + cells->c;
    float *by_x = aligned(2 * n * width);
    Pairs pairs = {0};
    Activations of = {0};
    int failed = by_x == NULL || pairs_of(cells, &pairs) || activations_of(2 * n, critic, &of);
    for (int64_t t = 0; t < n_steps && !failed; t++) {
        pair(cells, order[t], &pairs);
        failed = bound(n, critic, average, &pairs, &of, value) || step(pairs.n_rows, critic, pairs.x, &of);
    }
    if (!failed) {
        pair(cells, order[n_steps], &pairs);
        failed = bound(n, critic, &(Average){0}, &pairs, &of, value) || by_inputs(pairs.n_rows, critic, pairs.x, &of, by_x);
    }
    for (int64_t i = 0; i < n && !failed; i++)
        for (int64_t k = 0; k < d; k++) { /* those of donsker_varadhan are of minus the bound */
            const int64_t row = pairs.row[i];
            by_z[i * d + k] = -(by_x[i * width + k] + (row == i ? 0.0f : by_x[row * width + k]));
        }
    free(of.hidden), free(pairs.x), free(by_x);
    return failed;
}

/* The critic's steps on a minibatch, then the bound and its derivatives by the latent vectors as they are given.
 *
 * n, d, c                 cells, latent dimensions, numbers that the critic sees of a batch
 * standardised, epsilon   whether it sees latent vectors standardised, and what is added to their variances for that
 * parameters, ...         the network and its optimiser; changed
 * inputs (batches x c)    what it sees of each batch
 * log_rate, ...           of the moving average; changed
 * value, by_latent        1; n x d
 * latent (n x d)          latent vectors
 * codes                   n each: batches, then the orders of each step and of the value */
int mine(int64_t n_steps, int64_t n, int64_t d, int64_t c, int standardised, float epsilon, int64_t n_layers, const int64_t *widths,
         float *parameters, AdamRule *rule, float *mean, float *square, const float *inputs, const float *log_rate,
         const float *log_decay, int32_t *n_updates, float *log_sum, float *value, float *by_latent, const float *latent,
         const int64_t *const *codes)
{
    const Critic critic = {n_layers, widths, parameters, rule, mean, square};
    const Average average = {log_rate, log_decay, n_updates, log_sum};
    Cells cells = {n, d, c, latent, inputs, codes[0]};
    if (!standardised)
        return update_and_score(n_steps, &cells, codes + 1, &critic, &average, value, by_latent);
    float *seen = aligned(2 * n * d + d);
    if (seen == NULL)
        return 1;
    float *const by_seen = seen + n * d, *const inverse_sd = by_seen + n * d;
    cells.z = seen;
    const int failed = standardise(n, d, epsilon, latent, inverse_sd, seen)
        || update_and_score(n_steps, &cells, codes + 1, &critic, &average, value, by_seen)
        || standardise_backward(n, d, seen, inverse_sd, by_seen, by_latent);
    free(seen);
    return failed;
}
