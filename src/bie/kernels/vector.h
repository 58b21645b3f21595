/* Vectors as wide as the processor's: a wider one would live in memory. */
#pragma once

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
#define LINE 64 /* bytes of a line of a cache */
#define LINE_OF_FLOATS 16

typedef float Vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* The compiler takes the number from its register from here on: where all registers are in use it would rather read memory again
 * for each use, and reads, not sums, would be what takes the time. */
#if defined(__x86_64__)
#define IN_REGISTER(x) __asm__("" : "+v"(x))
#elif defined(__aarch64__)
#define IN_REGISTER(x) __asm__("" : "+w"(x))
#else
#define IN_REGISTER(x) (void)(x)
#endif
