/* What a step of a critic is made of; see mlp.c, donsker_varadhan.c, layers.c. */
#pragma once
#include <stdint.h>

int mlp_forward(int64_t n, int64_t n_layers, const int64_t *widths, const float *parameters, const float *x, float *hidden,
                float *out);
int mlp_backward(int64_t n, int64_t n_layers, const int64_t *widths, const float *parameters, const float *x,
                 const float *hidden, const float *by_out, float *by_x, float *by_parameters);
int donsker_varadhan(int64_t n, const float *scores, const float *log_rate, const float *log_decay, int32_t *n_updates,
                     float *log_sum, float *value, float *gradient);
int standardise(int64_t n, int64_t d, float least, const float *x, float *inverse_sd, float *y);
int standardise_backward(int64_t n, int64_t d, const float *y, const float *inverse_sd, const float *by_y, float *by_x);
