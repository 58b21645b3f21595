/* All that a minibatch means to a classifier of batches, and it to the encoder, in one call; defined by bie.penalties.adversarial.
 * Functions return 0, or 1 if there is no memory. */
#include <math.h>

#include "critic.h"
#include "elementary.h"

typedef struct { /* weight of a cell of each class, such that classes that are present count equally; 1 in all */
    const int64_t *of_cell;
    int64_t n_classes;
    float *weight;
} Classes;

/* `weight` is what is to be freed. */
static int classes_of(int64_t n, int64_t n_classes, const int64_t *class, Classes *classes)
{
    *classes = (Classes){class, n_classes, calloc((size_t)n_classes, sizeof(float))};
    if (classes->weight == NULL)
        return 1;
    double n_present = 0.0;
    for (int64_t i = 0; i < n; i++)
        n_present += classes->weight[class[i]]++ == 0.0f;
    for (int64_t k = 0; k < n_classes; k++)
        classes->weight[k] = (float)(1.0 / (classes->weight[k] * n_present));
    return 0;
}

/* Cross-entropy of the logits (n x classes) to the true classes; its derivatives are softmax minus truth, weighted. */
static double cross_entropy(const void *of, int64_t n, int learns, const float *logits, float *grad)
{
    const Classes *classes = of;
    const int64_t n_classes = classes->n_classes;
    double sum_of_cells = 0.0;
    for (int64_t i = 0; i < n; i++, logits += n_classes, grad += n_classes) {
        const int64_t truth = classes->of_cell[i];
        const float weight = classes->weight[truth];
        float top = logits[0], sum = 0.0f;
        for (int64_t k = 1; k < n_classes; k++)
            top = logits[k] > top ? logits[k] : top;
        for (int64_t k = 0; k < n_classes; k++)
            sum += grad[k] = exp_negative(logits[k] - top);
        sum_of_cells += weight * (log(sum) + top - logits[truth]);
        for (int64_t k = 0; k < n_classes; k++)
            grad[k] = weight * (grad[k] / sum - (k == truth ? 1.0f : 0.0f));
    }
    return sum_of_cells;
}

/* The classifier's steps on a minibatch, then the cross-entropy to the true classes and its derivatives w.r.t. the latent vectors.
 *
 * n                       cells; as many latent dimensions and classes as the network has inputs and outputs
 * parameters, ...         the network and its optimiser, which may be NULL where there is no step; changed
 * value, grad_z             1; n x latent dimensions, or NULL
 * z                       latent vectors
 * class                   of each cell */
int classifier(int64_t n_steps, int64_t n, int64_t n_layers, const int64_t *widths, float *parameters, AdamRule *rule, float *mean,
               float *square, float *value, float *grad_z, const float *z, const int64_t *class)
{
    const Critic critic = {n_layers, widths, parameters, rule, mean, square};
    Classes classes = {0};
    const int failed = classes_of(n, widths[n_layers], class, &classes)
        || update_and_score(n_steps, n, &critic, z, cross_entropy, &classes, value, grad_z);
    free(classes.weight);
    return failed;
}
