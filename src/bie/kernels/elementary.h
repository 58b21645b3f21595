/* Elementary functions that a compiler can vectorise: no branch, no table, no call of the C library.
 *
 * Polynomials are minimax fits made for this file; errors are those of the formula, rounding adds about one
 * unit in the last place. NaN stays NaN and log(inf) is inf, so that a run that diverges is seen to diverge.
 */
#pragma once
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE float float_of(int32_t bits) { float x; memcpy(&x, &bits, sizeof x); return x; }
INLINE int32_t bits_of(float x) { int32_t bits; memcpy(&bits, &x, sizeof x); return bits; }
INLINE double double_of(int64_t bits) { double x; memcpy(&x, &bits, sizeof x); return x; }
INLINE int64_t bits_of_double(double x) { int64_t bits; memcpy(&bits, &x, sizeof x); return bits; }

/* e^x for x <= 0, at least e^-87: x = k ln 2 + r, |r| <= ln(2) / 2; relative error 3e-9. */
INLINE float exp_negative(float x)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: the sum has the nearest whole number in its last bits */
    x = x < -87.0f ? -87.0f : x;
    const float shifted = x * 1.44269504f + shift;
    const float k = shifted - shift;
    const float r = x - k * 0.693145752f - k * 1.42860677e-6f; /* ln 2 in two parts */
    const float s = r * r;
    const float p23 = 0.499999940f + 0.166665211f * r, p45 = 0.0416683890f + 0.00836871751f * r;
    const float p = 1.0f + r + s * (p23 + s * (p45 + s * 0.00138145965f));
    return float_of(bits_of(p) + (int32_t)((uint32_t)bits_of(shifted) << 23));
}

/* e^x - 1 for x <= 0, likewise; relative error 2e-7 down to 0. */
INLINE float expm1_negative(float x)
{
    const float shift = 12582912.0f;
    x = x < -87.0f ? -87.0f : x;
    const float shifted = x * 1.44269504f + shift;
    const float k = shifted - shift;
    const float r = x - k * 0.693145752f - k * 1.42860677e-6f;
    const float s = r * r;
    const float p23 = 0.499999940f + 0.166665211f * r, p45 = 0.0416683890f + 0.00836871751f * r;
    const float p = r + s * (p23 + s * (p45 + s * 0.00138145965f));
    const float power = float_of(0x3f800000 + (int32_t)((uint32_t)bits_of(shifted) << 23)); /* 2^k */
    return power * p + (power - 1.0f);
}

/* ln x for normal x > 0: x = 2^k (1 + f), 1 + f within [sqrt(1/2), sqrt(2)]; relative error 3e-8. */
INLINE float log_positive(float x)
{
    const uint32_t bits = (uint32_t)bits_of(x), root_half = 0x3f3504f3;
    const int32_t k = (int32_t)(bits - root_half) >> 23;
    const float f = float_of((int32_t)(bits - ((uint32_t)k << 23))) - 1.0f;
    const float s = f * f;
    const float p01 = 0.333339095f - 0.250013381f * f, p23 = 0.199630618f - 0.165775850f * f;
    const float p45 = 0.149147898f - 0.142674893f * f;
    const float p = p01 + s * (p23 + s * (p45 + s * 0.0870036781f));
    const float y = (float)k * 0.693147181f + (f - f * f * (0.5f - f * p));
    return x < 3.4028234e38f ? y : x;
}

/* The same in double precision, by the series of artanh; relative error 1e-12. */
INLINE double log_double(double x)
{
    const uint64_t bits = (uint64_t)bits_of_double(x), root_half = 0x3fe6a09e667f3bcd;
    const int64_t k = (int64_t)(bits - root_half) >> 52;
    const double m = double_of((int64_t)(bits - ((uint64_t)k << 52)));
    const double s = (m - 1.0) / (m + 1.0), t = s * s;
    double p = 1.0 / 15;
    p = p * t + 1.0 / 13;
    p = p * t + 1.0 / 11;
    p = p * t + 1.0 / 9;
    p = p * t + 1.0 / 7;
    p = p * t + 1.0 / 5;
    p = p * t + 1.0 / 3;
    const double y = (double)k * 0.69314718055994531 + 2.0 * (s + s * t * p);
    return x < 1.7976931348623157e308 ? y : x;
}

/* ln Gamma(a) and its derivative for a > 0, by Stirling's series at b = a + 8 >= 8, whose next terms are
 * below 3e-10, and Gamma(b) = Gamma(a) a (a + 1) ... (a + 7). */
INLINE void log_gamma(double a, double *value, double *derivative)
{
    double product = a, slope = 1.0;
    for (int i = 1; i < 8; i++) {
        slope = slope * (a + i) + product;
        product *= a + i;
    }
    const double b = a + 8.0, inverse = 1.0 / b, square = inverse * inverse, log_b = log_double(b);
    *value = (b - 0.5) * log_b - b + 0.91893853320467274
        + inverse * (1.0 / 12 - square * (1.0 / 360 - square / 1260)) - log_double(product);
    *derivative = log_b - 0.5 * inverse - square * (1.0 / 12 - square * (1.0 / 120 - square / 252))
        - slope / product;
}
