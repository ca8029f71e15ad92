/* Numbers of twice a double's digits, some hundred bits, out of additions, multiplications,
 * divisions and square roots of doubles, which IEEE 754 rounds in one way: so results are equal on
 * every machine, which those of a library's functions need not be.
 *
 * Files that include this are built with -ffp-contract=off: a product and a sum are rounded each.
 * No part of a product may pass 2^996.  Pure functions, any thread. */
#ifndef BASE_WIDE_H
#define BASE_WIDE_H

#include <math.h> /* sqrt() */

/* high + low; low is at most half of the last place of high. */
struct wide {
    double high, low;
};

/* |a| >= |b|, or a is 0. */
static inline struct wide wide_quick_sum(double a, double b)
{
    double sum = a + b;
    return (struct wide){sum, b - (sum - a)};
}

static inline struct wide wide_sum(double a, double b)
{
    double all = a + b, part = all - a;
    return (struct wide){all, (a - (all - part)) + (b - part)};
}

/* Halves of the digits, whose products are exact. */
static inline struct wide wide_split(double a)
{
    double shifted = 134217729.0 * a; /* 2^27 + 1 */
    double high = shifted - (shifted - a);
    return (struct wide){high, a - high};
}

static inline struct wide wide_product(double a, double b)
{
    double all = a * b;
    struct wide x = wide_split(a), y = wide_split(b);
    double rest = ((x.high * y.high - all) + x.high * y.low + x.low * y.high) + x.low * y.low;
    return (struct wide){all, rest};
}

static inline struct wide wide_add(struct wide a, struct wide b)
{
    struct wide high = wide_sum(a.high, b.high), low = wide_sum(a.low, b.low);
    high = wide_quick_sum(high.high, high.low + low.high);
    return wide_quick_sum(high.high, high.low + low.low);
}

static inline struct wide wide_multiply(struct wide a, struct wide b)
{
    struct wide all = wide_product(a.high, b.high);
    return wide_quick_sum(all.high, all.low + (a.high * b.low + a.low * b.high));
}

static inline struct wide wide_negative(struct wide a)
{
    return (struct wide){-a.high, -a.low};
}

static inline struct wide wide_of(double a)
{
    return (struct wide){a, 0};
}

static inline struct wide wide_divide(struct wide a, struct wide b)
{
    double first = a.high / b.high;
    struct wide rest = wide_add(a, wide_negative(wide_multiply(b, wide_of(first))));
    return wide_quick_sum(first, rest.high / b.high);
}

static inline struct wide wide_root(struct wide a)
{
    double first = sqrt(a.high);
    struct wide square = wide_product(first, first);
    double rest = (a.high - square.high) - square.low + a.low;
    return first > 0 ? wide_quick_sum(first, rest / (2 * first)) : wide_of(0);
}

/* square * (parts[0] + square * (parts[1] + ... + square * (rest[0] + ...))): the leading
 * coefficients of a series; of the rest, which weighs less, a double's digits are enough. */
static inline struct wide wide_series(struct wide square, const struct wide *parts, int part_count,
                                      const double *rest, int rest_count)
{
    double tail = 0;
    for (int i = rest_count - 1; i >= 0; i--)
        tail = rest[i] + square.high * tail;
    struct wide value = wide_of(tail);
    for (int i = part_count - 1; i >= 0; i--)
        value = wide_add(parts[i], wide_multiply(square, value));
    return wide_multiply(square, value);
}

static const struct wide wide_half_pi = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54};

/* |x| <= pi/4, and a little more; some seventy bits. */
struct wide wide_sine(struct wide x);
struct wide wide_cosine(struct wide x);

#endif
