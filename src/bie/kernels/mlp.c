/* Small multilayer perceptron: linear layers with an exponential linear unit (ELU) between them.
 *
 * n rows; layer l has widths[l] inputs and widths[l + 1] outputs. `parameters` has its weight, inputs x outputs,
 * and its bias, then those of the next layer; `hidden` the outputs of all layers but the last, one after the
 * other.
 */
#include "elementary.h"
#include "matmul.h"

#define NARROW 4 /* up to so many outputs of a layer, a tile would hold nothing but zeros */

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t widest(int64_t n_layers, const int64_t *widths)
{
    int64_t width = 0;
    for (int64_t l = 0; l <= n_layers; l++)
        width = larger(width, widths[l]);
    return width;
}

/* rows x columns to columns x rows. */
static void transpose(int64_t rows, int64_t columns, const float *from, float *to)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            to[j * rows + i] = from[i * columns + j];
}

static float dot(int64_t n, const float *restrict a, const float *restrict b)
{
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void add(int64_t n, float factor, const float *restrict a, float *restrict to)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        to[i] += factor * a[i];
}

/* One layer, without bias and ELU. */
static void linear(int64_t n, int64_t n_in, int64_t n_out, const float *x, const float *weight, float *out, float *memory)
{
    if (n_out > NARROW) {
        product(n, n_out, n_in, (Matrix){x, n_in, 1}, (Matrix){weight, n_out, 1}, 0, out, n_out, memory);
        return;
    }
    transpose(n_in, n_out, weight, memory);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n_out; j++)
            out[i * n_out + j] = dot(n_in, x + i * n_in, memory + j * n_in);
}

/* Gradient w.r.t. the weight and the bias of a layer from that w.r.t. its output. */
static void grad_parameters_of(int64_t n, int64_t n_in, int64_t n_out, const float *x, const float *grad_out,
                             float *grad_weight, float *grad_bias, float *memory)
{
    memset(grad_bias, 0, (size_t)n_out * sizeof(float));
    for (int64_t i = 0; i < n; i++)
        add(n_out, 1.0f, grad_out + i * n_out, grad_bias);
    if (n_out > NARROW) {
        product(n_in, n_out, n, (Matrix){x, 1, n_in}, (Matrix){grad_out, n_out, 1}, 0, grad_weight, n_out, memory);
        return;
    }
    memset(memory, 0, (size_t)(n_in * n_out) * sizeof(float));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n_out; j++)
            add(n_in, grad_out[i * n_out + j], x + i * n_in, memory + j * n_in);
    transpose(n_out, n_in, memory, grad_weight);
}

/* Gradient w.r.t. the input of a layer from that w.r.t. its output. */
static void grad_input_of(int64_t n, int64_t n_in, int64_t n_out, const float *weight, const float *grad_out,
                        float *grad_x, float *memory)
{
    if (n_out > NARROW) {
        product(n, n_in, n_out, (Matrix){grad_out, n_out, 1}, (Matrix){weight, 1, n_out}, 0, grad_x, n_in, memory);
        return;
    }
    transpose(n_in, n_out, weight, memory);
    for (int64_t i = 0; i < n; i++, grad_x += n_in) {
        memset(grad_x, 0, (size_t)n_in * sizeof(float));
        for (int64_t j = 0; j < n_out; j++)
            add(n_in, grad_out[i * n_out + j], memory + j * n_in, grad_x);
    }
}

/* Bias, and ELU if asked, for n rows of h. */
static void bias_and_elu(int64_t n, int64_t n_out, const float *restrict bias, int has_elu, float *restrict h)
{
    for (int64_t i = 0; i < n; i++, h += n_out)
#pragma omp simd
        for (int64_t j = 0; j < n_out; j++) {
            const float y = h[j] + bias[j];
            h[j] = !has_elu || y > 0.0f ? y : expm1_negative(y);
        }
}

/* Gradient w.r.t. the input of the unit in place of that w.r.t. its output h. */
static void elu_backward(int64_t n, const float *restrict h, float *restrict grad)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        grad[i] *= h[i] > 0.0f ? 1.0f : h[i] + 1.0f;
}

/* out (n x last width) = network(x), and the hidden units. Returns 0, or 1 if there is no memory. */
int mlp_forward(int64_t n, int64_t n_layers, const int64_t *widths, const float *parameters, const float *x,
                float *hidden, float *out)
{
    const int64_t width = widest(n_layers, widths);
    float *memory = aligned(memory_of_product(width, width));
    if (memory == NULL)
        return 1;
    for (int64_t l = 0; l < n_layers; l++) {
        const int64_t n_in = widths[l], n_out = widths[l + 1];
        float *h = l == n_layers - 1 ? out : hidden;
        linear(n, n_in, n_out, x, parameters, h, memory);
        if (h == hidden)
            bias_and_elu(n, n_out, parameters + n_in * n_out, 1, h);
        else
            bias_and_elu(n, n_out, parameters + n_in * n_out, 0, h);
        parameters += (n_in + 1) * n_out, hidden += n * n_out, x = h;
    }
    free(memory);
    return 0;
}

/* From the gradient w.r.t. the output that w.r.t. x and that w.r.t. the parameters, neither where it is NULL. Returns 0, or
 * 1 if there is no memory. */
int mlp_backward(int64_t n, int64_t n_layers, const int64_t *widths, const float *parameters, const float *x,
                 const float *hidden, const float *grad_out, float *grad_x, float *grad_parameters)
{
    const int64_t width = widest(n_layers, widths), packed = rounded_up(memory_of_product(width, larger(n, width)), LINE_OF_FLOATS);
    float *memory = aligned(packed + 2 * n * width);
    if (memory == NULL)
        return 1;
    float *grad_hidden[2] = {memory + packed, memory + packed + n * width};
    int64_t end = 0; /* of the parameters of the layers up to l */
    for (int64_t l = 0; l < n_layers; l++) {
        end += (widths[l] + 1) * widths[l + 1];
        hidden += l < n_layers - 1 ? n * widths[l + 1] : 0;
    }
    for (int64_t l = n_layers - 1; l >= 0; l--) {
        const int64_t n_in = widths[l], n_out = widths[l + 1], weight = end - (n_in + 1) * n_out;
        const float *input = l ? (hidden -= n * n_in) : x;
        float *grad_input = l ? grad_hidden[l % 2] : grad_x;
        if (grad_parameters)
            grad_parameters_of(n, n_in, n_out, input, grad_out, grad_parameters + weight,
                             grad_parameters + end - n_out, memory);
        if (grad_input)
            grad_input_of(n, n_in, n_out, parameters + weight, grad_out, grad_input, memory);
        if (l)
            elu_backward(n * n_in, input, grad_input);
        grad_out = grad_input, end = weight;
    }
    free(memory);
    return 0;
}
