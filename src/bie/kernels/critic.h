/* A small network that learns: what a critic is, whatever it is asked. Functions return 0, or 1 if there is no memory. */
#pragma once
#include <stdlib.h>

#include "adam.h"
#include "matmul.h"

int mlp_forward(int64_t n, int64_t n_layers, const int64_t *widths, const float *parameters, const float *x, float *hidden,
                float *out);
int mlp_backward(int64_t n, int64_t n_layers, const int64_t *widths, const float *parameters, const float *x,
                 const float *hidden, const float *grad_out, float *grad_x, float *grad_parameters);

typedef struct { /* parameters as mlp.c has them, with their moments */
    int64_t n_layers;
    const int64_t *widths;
    float *parameters;
    AdamRule *rule;
    float *mean, *square;
} Critic;

typedef struct { /* of some rows: hidden units, outputs, the derivatives w.r.t. these; and those w.r.t. the parameters */
    float *hidden, *out, *grad_out, *gradient;
} Activations;

static int64_t n_parameters(const Critic *critic)
{
    int64_t number = 0;
    for (int64_t l = 0; l < critic->n_layers; l++)
        number += (critic->widths[l] + 1) * critic->widths[l + 1];
    return number;
}

/* With room for n rows; `hidden` is what is to be freed. */
static int activations_of(int64_t n, const Critic *critic, Activations *of)
{
    const int64_t n_outputs = n * critic->widths[critic->n_layers], size = n_parameters(critic);
    int64_t n_units = 0;
    for (int64_t l = 1; l < critic->n_layers; l++)
        n_units += critic->widths[l];
    of->hidden = aligned(n * n_units + 2 * n_outputs + size);
    if (of->hidden == NULL)
        return 1;
    of->gradient = of->hidden + n * n_units;
    of->out = of->gradient + size;
    of->grad_out = of->out + n_outputs;
    return 0;
}

static int forward(int64_t n, const Critic *critic, const float *x, Activations *of)
{
    return mlp_forward(n, critic->n_layers, critic->widths, critic->parameters, x, of->hidden, of->out);
}

/* A step of Adam, from the derivatives w.r.t. the outputs. */
static int step(int64_t n, const Critic *critic, const float *x, Activations *of)
{
    if (mlp_backward(n, critic->n_layers, critic->widths, critic->parameters, x, of->hidden, of->grad_out, NULL, of->gradient))
        return 1;
    adam_step(n_parameters(critic), critic->parameters, of->gradient, critic->mean, critic->square, next_step(critic->rule));
    return 0;
}

/* Derivatives w.r.t. the inputs, from those w.r.t. the outputs. */
static int grad_inputs(int64_t n, const Critic *critic, const float *x, Activations *of, float *grad_x)
{
    return mlp_backward(n, critic->n_layers, critic->widths, critic->parameters, x, of->hidden, of->grad_out, grad_x, NULL);
}

/* What a critic minimises, as a function of its outputs for n cells; it gives the derivatives w.r.t. these as well.
 * `learns`: a step follows. */
typedef double (*Objective)(const void *of, int64_t n, int learns, const float *out, float *grad_out);

/* Steps of the critic, then the objective by the critic as it is then, and its derivatives w.r.t. the inputs, unless `grad_x` is
 * NULL. */
static int update_and_score(int64_t n_steps, int64_t n, const Critic *critic, const float *x, Objective objective, const void *of,
                            float *value, float *grad_x)
{
    Activations at = {0};
    int failed = activations_of(n, critic, &at);
    for (int64_t t = 0; t <= n_steps && !failed; t++) {
        failed = forward(n, critic, x, &at);
        if (failed)
            break;
        *value = (float)objective(of, n, t < n_steps, at.out, at.grad_out);
        if (t < n_steps)
            failed = step(n, critic, x, &at);
        else if (grad_x)
            failed = grad_inputs(n, critic, x, &at, grad_x);
    }
    free(at.hidden);
    return failed;
}
