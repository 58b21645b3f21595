/* All steps that a critic takes on one minibatch, in one call, and its judgement after them in another: a step by itself takes
 * longer to be called than to be done. */
#include <math.h>
#include <stdlib.h>

#include "adam.h"
#include "critics.h"
#include "elementary.h"
#include "matmul.h"

typedef struct { /* a network, and room for its hidden units and gradient */
    int64_t n_layers, n_parameters, n_outputs;
    const int64_t *widths;
    float *parameters, *hidden, *out, *by_out, *gradient;
} Network;

typedef struct { /* with its moments */
    AdamRule *rule;
    float *mean, *square;
} Adam;

/* With room for n rows; `memory` is what is to be freed, NULL if there was none. */
static Network network_of(int64_t n, int64_t n_layers, const int64_t *widths, float *parameters, float **memory)
{
    Network network = {.n_layers = n_layers, .widths = widths, .parameters = parameters, .n_outputs = n * widths[n_layers]};
    int64_t n_units = 0;
    for (int64_t l = 0; l < n_layers; l++) {
        network.n_parameters += (widths[l] + 1) * widths[l + 1];
        n_units += widths[l + 1];
    }
    *memory = aligned(n * n_units + 2 * network.n_outputs + network.n_parameters);
    network.hidden = *memory;
    network.gradient = network.hidden + n * n_units;
    network.out = network.gradient + network.n_parameters;
    network.by_out = network.out + network.n_outputs;
    return network;
}

/* A step by the gradient of the outputs. Returns 0, or 1 if there is no memory. */
static int step(int64_t n, Network *network, const float *x, const Adam *by)
{
    if (mlp_backward(n, network->n_layers, network->widths, network->parameters, x, network->hidden, network->by_out, NULL,
                     network->gradient))
        return 1;
    adam_step(network->n_parameters, network->parameters, network->gradient, by->mean, by->square, next_step(by->rule));
    return 0;
}

typedef struct { /* of n cells: see `pair` */
    int64_t n, d, c, n_rows;
    float *x, *scores, *by_scores;
    int32_t *row; /* of the independent pair of each cell */
} Pairs;

/* With room for 2 n rows; x is what is to be freed, NULL if there was no memory. */
static Pairs pairs_of(int64_t n, int64_t d, int64_t c)
{
    const int64_t size = 2 * n * (d + c);
    Pairs pairs = {.n = n, .d = d, .c = c, .x = malloc((size_t)(size + 5 * n) * sizeof(float))};
    pairs.scores = pairs.x + size;
    pairs.by_scores = pairs.scores + 2 * n;
    pairs.row = (int32_t *)(pairs.by_scores + 2 * n);
    return pairs;
}

/* What a critic sees: of each cell the latent vector and what it sees of its batch; then the same cells with the batch of another.
 * Where that is the same batch, it has been seen: no second row. */
static void pair(Pairs *pairs, const float *z, const int64_t *batch, const float *inputs, const int64_t *order)
{
    const int64_t n = pairs->n, d = pairs->d, c = pairs->c;
    float *x = pairs->x;
    pairs->n_rows = 0;
    for (int64_t i = 0; i < 2 * n; i++) {
        const int64_t cell = i % n, given = i < n ? batch[cell] : batch[order[cell]];
        if (i >= n)
            pairs->row[cell] = (int32_t)(given == batch[cell] ? cell : pairs->n_rows);
        if (i >= n && given == batch[cell])
            continue;
        memcpy(x, z + cell * d, (size_t)d * sizeof(float));
        memcpy(x + d, inputs + given * c, (size_t)c * sizeof(float));
        x += d + c, pairs->n_rows++;
    }
}

/* From pairs to the bound and the gradient by the outputs of the network; see donsker_varadhan.c. Returns 0, or 1 if there is no
 * memory. */
static int bound(Pairs *pairs, Network *network, const float *log_rate, const float *log_decay, int32_t *n_updates, float *log_sum,
                 float *value)
{
    const int64_t n = pairs->n;
    float *const by_out = network->by_out;
    if (mlp_forward(pairs->n_rows, network->n_layers, network->widths, network->parameters, pairs->x, network->hidden, network->out))
        return 1;
    for (int64_t i = 0; i < n; i++)
        pairs->scores[i] = network->out[i], pairs->scores[n + i] = network->out[pairs->row[i]];
    donsker_varadhan(n, pairs->scores, log_rate, log_decay, n_updates, log_sum, value, pairs->by_scores);
    memcpy(by_out, pairs->by_scores, (size_t)n * sizeof(float));
    memset(by_out + n, 0, (size_t)(pairs->n_rows - n) * sizeof(float));
    for (int64_t i = 0; i < n; i++)
        by_out[pairs->row[i]] += pairs->by_scores[n + i];
    return 0;
}

/* Steps of a critic on the gradient of its Donsker-Varadhan objective.
 *
 * n, d, c               cells, latent dimensions, columns of a batch as the critic sees it
 * z (n x d), batch (n)  latent vectors, codes
 * inputs (batches x c)  what the critic sees of each batch
 * order (steps, n each) whose batch a cell gets in the independent pairs
 * parameters, by        the network and its optimiser, both changed
 * log_rate, ...         of the moving average; see donsker_varadhan.c
 *
 * Returns 0, or 1 if there is no memory. */
static int learn_bound(int64_t n_steps, int64_t n, int64_t d, int64_t c, int64_t n_layers, const int64_t *widths, const float *z,
                const int64_t *batch, const float *inputs, const int64_t *const *order, float *parameters, const Adam *by,
                const float *log_rate, const float *log_decay, int32_t *n_updates, float *log_sum)
{
    float *memory, value;
    Pairs pairs = pairs_of(n, d, c);
    Network network = network_of(2 * n, n_layers, widths, parameters, &memory);
    int failed = pairs.x == NULL || memory == NULL;
    for (int64_t t = 0; t < n_steps && !failed; t++) {
        pair(&pairs, z, batch, inputs, order[t]);
        failed = bound(&pairs, &network, log_rate, log_decay, n_updates, log_sum, &value)
            || step(pairs.n_rows, &network, pairs.x, by);
    }
    free(memory), free(pairs.x);
    return failed;
}

/* The bound itself by a critic as it is, and its gradient by the latent vectors (n x d). Returns 0, or 1 if there is no memory. */
static int judge_bound(int64_t n, int64_t d, int64_t c, int64_t n_layers, const int64_t *widths, float *parameters, const float *z,
                const int64_t *batch, const float *inputs, const int64_t *order, float *value, float *by_z)
{
    const int64_t width = d + c;
    float *memory, *by_x = malloc((size_t)(2 * n * width) * sizeof(float));
    Pairs pairs = pairs_of(n, d, c);
    Network network = network_of(2 * n, n_layers, widths, parameters, &memory);
    int failed = by_x == NULL || pairs.x == NULL || memory == NULL;
    if (!failed) {
        pair(&pairs, z, batch, inputs, order);
        failed = bound(&pairs, &network, NULL, NULL, NULL, NULL, value)
            || mlp_backward(pairs.n_rows, n_layers, widths, parameters, pairs.x, network.hidden, network.by_out, by_x, NULL);
    }
    for (int64_t i = 0; i < n && !failed; i++)
        for (int64_t k = 0; k < d; k++) { /* that of donsker_varadhan is of minus the bound */
            const int64_t row = pairs.row[i];
            by_z[i * d + k] = -(by_x[i * width + k] + (row == i ? 0.0f : by_x[row * width + k]));
        }
    free(memory), free(pairs.x), free(by_x);
    return failed;
}

/* All that a minibatch means to a critic and it to the encoder: the steps, then the judgement, with its gradient by the latent vectors
 * as they are given, which may be standardised first, with `least` added to the variances. codes: batch, then an order for each step
 * and the judgement. Returns 0, or 1 if there is no memory. */
int follow_bound(int64_t n_steps, int64_t n, int64_t d, int64_t c, int64_t n_layers, const int64_t *widths, int standardised,
                 float least, const float *inputs, float *parameters, AdamRule *rule, float *mean, float *square,
                 const float *log_rate, const float *log_decay, int32_t *n_updates, float *log_sum, float *value, float *by_latent,
                 const float *latent, const int64_t *const *codes)
{
    const Adam by = {rule, mean, square};
    const int64_t *const batch = codes[0], *const *const order = codes + 1;
    float *memory = standardised ? aligned(2 * n * d + d) : NULL, *by_seen = standardised ? memory + n * d : by_latent;
    float *const inverse_sd = standardised ? memory + 2 * n * d : NULL;
    const float *const seen = standardised ? memory : latent;
    if (standardised && (memory == NULL || standardise(n, d, least, latent, inverse_sd, memory)))
        return 1;
    const int failed = learn_bound(n_steps, n, d, c, n_layers, widths, seen, batch, inputs, order, parameters, &by, log_rate, log_decay,
                                   n_updates, log_sum)
        || judge_bound(n, d, c, n_layers, widths, parameters, seen, batch, inputs, order[n_steps], value, by_seen)
        || (standardised && standardise_backward(n, d, seen, inverse_sd, by_seen, by_latent));
    free(memory);
    return failed;
}

/* From logits (n x n_classes) to the gradient of the cross-entropy to the true classes, each class that is present with the same
 * weight: softmax minus truth, divided by the cells of the class and the number of classes. Returns the cross-entropy. */
static double by_logits(int64_t n, int64_t n_classes, const int64_t *class, const double *size, double n_present,
                        const float *logits, float *by)
{
    double cross_entropy = 0.0;
    for (int64_t i = 0; i < n; i++, logits += n_classes, by += n_classes) {
        float top = logits[0], sum = 0.0f;
        for (int64_t k = 1; k < n_classes; k++)
            top = logits[k] > top ? logits[k] : top;
        for (int64_t k = 0; k < n_classes; k++)
            sum += by[k] = exp_negative(logits[k] - top);
        const float weight = (float)(1.0 / (size[class[i]] * n_present));
        cross_entropy += weight * (log(sum) + top - logits[class[i]]);
        for (int64_t k = 0; k < n_classes; k++)
            by[k] = weight * (by[k] / sum - (k == class[i] ? 1.0f : 0.0f));
    }
    return cross_entropy;
}

/* Cells of each class, room for which the caller frees, and the number of classes that have any. NULL if there is no memory. */
static double *sizes_of(int64_t n, int64_t n_classes, const int64_t *class, double *n_present)
{
    double *size = calloc((size_t)n_classes, sizeof(double));
    *n_present = 0.0;
    for (int64_t i = 0; i < n && size; i++)
        *n_present += size[class[i]]++ == 0.0;
    return size;
}

/* Steps of a classifier of n cells, by their latent vectors z (n x first width), into as many classes as it has outputs. Returns
 * 0, or 1 if there is no memory. */
static int learn_classes(int64_t n_steps, int64_t n, int64_t n_layers, const int64_t *widths, const float *z, const int64_t *class,
                  float *parameters, const Adam *by)
{
    const int64_t n_classes = widths[n_layers];
    float *memory;
    double n_present, *size = sizes_of(n, n_classes, class, &n_present);
    Network network = network_of(n, n_layers, widths, parameters, &memory);
    int failed = size == NULL || memory == NULL;
    for (int64_t t = 0; t < n_steps && !failed; t++) {
        failed = mlp_forward(n, n_layers, widths, parameters, z, network.hidden, network.out);
        if (!failed)
            by_logits(n, n_classes, class, size, n_present, network.out, network.by_out);
        failed = failed || step(n, &network, z, by);
    }
    free(memory), free(size);
    return failed;
}

/* The cross-entropy by a classifier as it is, and its gradient by the latent vectors. Returns 0, or 1 if there is no memory. */
static int judge_classes(int64_t n, int64_t n_layers, const int64_t *widths, float *parameters, const float *z, const int64_t *class,
                  float *value, float *by_z)
{
    float *memory;
    double n_present, *size = sizes_of(n, widths[n_layers], class, &n_present);
    Network network = network_of(n, n_layers, widths, parameters, &memory);
    int failed = size == NULL || memory == NULL || mlp_forward(n, n_layers, widths, parameters, z, network.hidden, network.out);
    if (!failed) {
        *value = (float)by_logits(n, widths[n_layers], class, size, n_present, network.out, network.by_out);
        failed = mlp_backward(n, n_layers, widths, parameters, z, network.hidden, network.by_out, by_z, NULL);
    }
    free(memory), free(size);
    return failed;
}

/* All that a minibatch means to a classifier and it to the encoder: the steps, then the cross-entropy, with its gradient by the
 * latent vectors. codes: the class of each cell. Returns 0, or 1 if there is no memory. */
int follow_classes(int64_t n_steps, int64_t n, int64_t n_layers, const int64_t *widths, float *parameters, AdamRule *rule, float *mean,
                   float *square, float *value, float *by_z, const float *z, const int64_t *const *codes)
{
    const Adam by = {rule, mean, square};
    return learn_classes(n_steps, n, n_layers, widths, z, codes[0], parameters, &by)
        || judge_classes(n, n_layers, widths, parameters, z, codes[0], value, by_z);
}
