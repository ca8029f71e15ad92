/* See math.h.
 *
 * Of the C library are only frexp(), ldexp(), rint() and sqrt(), which IEEE 754 rounds in one way.
 * Each function: what is special first, then a reduction to small arguments, then a series. */
#include "base/math.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/wide.h"

/* Below it x is the nearest to sin x, tan x, and the like: what follows weighs x^3. */
static const double tiny = 0x1p-28;

static uint64_t work;

uint64_t math_work(void)
{
    return work;
}

static double undefined(void)
{
    return -(double)NAN;
}

/* ---- powers of e ------------------------------------------------------------------------ */

static const struct wide ln_2 = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};

/* 1/2!, 1/3!, ... */
static const struct wide power_parts[] = {{0x1p-1, 0},
                                          {0x1.5555555555555p-3, 0x1.5555555555555p-57},
                                          {0x1.5555555555555p-5, 0x1.5555555555555p-59},
                                          {0x1.1111111111111p-7, 0x1.1111111111111p-63}};
static const double power_rest[] = {1 / 720.0,     1 / 5040.0,     1 / 40320.0,    1 / 362880.0,
                                    1 / 3628800.0, 1 / 39916800.0, 1 / 479001600.0};
enum { POWER_PARTS = 4, POWER_REST = 7 };

/* e^x - 1; |x| <= ln(2)/2, and a little more.  By that of x/16: (1 + p)^2 - 1 = 2p + p^2. */
static struct wide small_power_less_1(struct wide x)
{
    enum { HALVINGS = 4 };
    work++;
    x = (struct wide){x.high / (1 << HALVINGS), x.low / (1 << HALVINGS)};
    struct wide behind = wide_series(x, power_parts, POWER_PARTS, power_rest, POWER_REST);
    struct wide power = wide_add(x, wide_multiply(x, behind));
    for (int i = 0; i < HALVINGS; i++)
        power = wide_add((struct wide){2 * power.high, 2 * power.low}, wide_multiply(power, power));
    return power;
}

/* e^x = the result times 2^*twos; |x| < 1000. */
static struct wide power_of_e(struct wide x, int *twos)
{
    double whole = rint(x.high / ln_2.high);
    struct wide rest = wide_add(x, wide_negative(wide_multiply(ln_2, wide_of(whole))));
    *twos = (int)whole;
    return wide_add(wide_of(1), small_power_less_1(rest));
}

static struct wide scaled(struct wide a, int twos)
{
    return (struct wide){ldexp(a.high, twos), ldexp(a.low, twos)};
}

/* e^x * 2^more, rounded; x beyond what has a result as well. */
static double rounded_power(struct wide x, int more)
{
    int twos;
    if (x.high > 720)
        return (double)INFINITY;
    if (x.high < -760)
        return 0;
    struct wide power = power_of_e(x, &twos);
    return ldexp(power.high, twos + more);
}

/* e^x - 1; |x| < 100. */
static struct wide power_less_1(double x)
{
    int twos;
    if (fabs(x) < 0.34)
        return small_power_less_1(wide_of(x));
    struct wide power = power_of_e(wide_of(x), &twos);
    return wide_add(scaled(power, twos), wide_of(-1));
}

double math_exp(double x)
{
    return isnan(x) ? x : rounded_power(wide_of(x), 0);
}

/* From here on e^-x is nothing beside e^x. */
static const double large = 40;

double math_sinh(double x)
{
    if (isnan(x) || fabs(x) < tiny)
        return x;
    double size = fabs(x), value;
    if (size > large) {
        value = rounded_power(wide_of(size), -1);
    } else {
        /* With p = e^x - 1: (p + p / (1 + p)) / 2. */
        struct wide p = power_less_1(size);
        value = wide_add(p, wide_divide(p, wide_add(wide_of(1), p))).high / 2;
    }
    return copysign(value, x);
}

double math_cosh(double x)
{
    if (isnan(x))
        return x;
    if (fabs(x) > large)
        return rounded_power(wide_of(fabs(x)), -1);
    struct wide power = wide_add(wide_of(1), power_less_1(fabs(x)));
    return wide_add(power, wide_divide(wide_of(1), power)).high / 2;
}

double math_tanh(double x)
{
    if (isnan(x) || fabs(x) < tiny)
        return x;
    if (fabs(x) > large)
        return copysign(1, x);
    struct wide p = power_less_1(2 * fabs(x));
    return copysign(wide_divide(p, wide_add(wide_of(2), p)).high, x);
}

/* ---- logarithms and powers -------------------------------------------------------------- */

/* 1/3, 1/5, ... */
static const struct wide log_parts[] = {
    {0x1.5555555555555p-2, 0x1.5555555555555p-56},  {0x1.999999999999ap-3, -0x1.999999999999ap-57},
    {0x1.2492492492492p-3, 0x1.2492492492492p-57},  {0x1.c71c71c71c71cp-4, 0x1.c71c71c71c71cp-58},
    {0x1.745d1745d1746p-4, -0x1.745d1745d1746p-59}, {0x1.3b13b13b13b14p-4, -0x1.3b13b13b13b14p-58}};
static const double log_rest[] = {1 / 15.0, 1 / 17.0, 1 / 19.0, 1 / 21.0, 1 / 23.0, 1 / 25.0,
                                  1 / 27.0, 1 / 29.0, 1 / 31.0, 1 / 33.0, 1 / 35.0};
enum { LOG_PARTS = 6, LOG_REST = 11 };

/* x > 0, finite.  Of x = m * 2^e, m about 1: log m = 2 (s + s^3/3 + s^5/5 + ...), where
 * s = (m - 1) / (m + 1). */
static struct wide logarithm(double x)
{
    int twos;
    double m = frexp(x, &twos);
    work++;
    if (m < 0x1.6a09e667f3bcdp-1) { /* of 1/2, the root */
        m *= 2;
        twos--;
    }
    struct wide s = wide_divide(wide_of(m - 1), wide_sum(m, 1));
    struct wide behind = wide_series(wide_multiply(s, s), log_parts, LOG_PARTS, log_rest, LOG_REST);
    struct wide half = wide_add(s, wide_multiply(s, behind));
    return wide_add(wide_multiply(ln_2, wide_of(twos)), (struct wide){2 * half.high, 2 * half.low});
}

/* Where there is no logarithm, or it is none of a finite number, it is *value. */
static bool has_logarithm(double x, double *value)
{
    *value = x == 0 ? -(double)INFINITY : x < 0 ? undefined() : x;
    return x > 0 && isfinite(x);
}

double math_log(double x)
{
    double value;
    return has_logarithm(x, &value) ? logarithm(x).high : value;
}

double math_log10(double x)
{
    static const struct wide share = {0x1.bcb7b1526e50ep-2, 0x1.95355baaafad3p-57}; /* 1 / ln 10 */
    double value;
    return has_logarithm(x, &value) ? wide_multiply(logarithm(x), share).high : value;
}

static bool is_whole(double y)
{
    return rint(y) == y;
}

static bool is_odd(double y)
{
    return is_whole(y) && fabs(y) < 0x1p53 && ((int64_t)y & 1) != 0;
}

/* Of a zero, an infinity, or to the power of one. */
static double power_without_end(double x, double y)
{
    if (x == -1 && isinf(y))
        return 1;
    bool grows = isinf(y) ? (fabs(x) > 1) == (y > 0) : (x != 0) == (y > 0);
    double value = grows ? (double)INFINITY : 0;
    return signbit(x) && isfinite(y) && is_odd(y) ? -value : value;
}

/* x > 0; both finite.  Those of the first lines are common, and rounded as a product is. */
static double power(double x, double y)
{
    if (x == 1 || y == 1)
        return x;
    if (y == 2)
        return x * x;
    if (y == 0.5)
        return sqrt(x);
    struct wide log = logarithm(x);
    double about = log.high * y; /* beyond that, y may be too large to be multiplied */
    return rounded_power(fabs(about) < 800 ? wide_multiply(log, wide_of(y)) : wide_of(about), 0);
}

double math_pow(double x, double y)
{
    if (y == 0 || x == 1)
        return 1;
    if (isnan(x) || isnan(y))
        return isnan(x) ? x : y;
    if (x == 0 || isinf(x) || isinf(y))
        return power_without_end(x, y);
    if (x < 0 && !is_whole(y))
        return undefined();
    return x < 0 && is_odd(y) ? -power(-x, y) : power(fabs(x), y);
}

/* ---- sines ------------------------------------------------------------------------------ */

/* The bits of 2/pi, 64 of those before the point first. */
static const uint64_t two_by_pi[] = {
    0,
    0xa2f9836e4e441529,
    0xfc2757d1f534ddc0,
    0xdb6295993c439041,
    0xfe5163abdebbc561,
    0xb7246e3a424dd2e0,
    0x06492eea09d1921c,
    0xfe1deb1cb129a73e,
    0xe88235f52ebb4484,
    0xe99c7026b45f7e41,
    0x3991d639835339f4,
    0x9c845f8bbdf9283b,
    0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f,
    0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea,
    0x6bfb5fb11f8d5d08,
    0x56033046fc7b6bab,
    0xf0cfbc209af4361d,
};

enum { WORDS = 4 }; /* of what is left of a turn: two bits of quarters, and what is behind them */

/* 64 of the bits from `bit` on. */
static uint64_t bits_from(int bit)
{
    int word = bit / 64, shift = bit % 64;
    uint64_t high = two_by_pi[word] << shift;
    return shift == 0 ? high : high | two_by_pi[word + 1] >> (64 - shift);
}

/* x / (pi/2), without whole turns of four; the highest word first.  x >= 1/2.  The number is too
 * long for doubles where x is large, so it is multiplied as integers are: as much of 2/pi as is not
 * whole turns and is not beyond what counts. */
static void quarters_of(double x, uint64_t out[WORDS])
{
    int twos;
    uint64_t digits = (uint64_t)ldexp(frexp(x, &twos), 53), carry = 0;
    int first = twos - 53 + 62; /* the bit that digits * 2^(twos - 53) makes two of */
    for (int i = WORDS - 1; i >= 0; i--) {
        unsigned __int128 product = (unsigned __int128)bits_from(first + 64 * i) * digits + carry;
        out[i] = (uint64_t)product;
        carry = (uint64_t)(product >> 64);
    }
}

/* What is left of x >= 1/2 in [-pi/4, pi/4], and how many quarters of a turn were taken. */
static struct wide reduced(double x, unsigned *quarters)
{
    uint64_t words[WORDS];
    quarters_of(x, words);
    bool is_behind = words[0] >> 61 & 1;
    *quarters = (unsigned)(words[0] >> 62) + is_behind;
    words[0] &= UINT64_MAX >> 2;
    struct wide left = wide_of(is_behind ? -1 : 0);
    for (int i = 0; i < 2 * WORDS; i++) {
        uint32_t half = (uint32_t)(words[i / 2] >> (i % 2 ? 0 : 32));
        left = wide_add(left, wide_of(ldexp(half, 2 - 32 * (i + 1))));
    }
    return wide_multiply(left, wide_half_pi);
}

/* Of an angle: what its sine and its cosine are. */
struct direction {
    struct wide sine, cosine;
};

/* x >= 0, finite. */
static struct direction direction_of(double x)
{
    unsigned quarters = 0;
    work += 2;
    struct wide left = x < 0.75 ? wide_of(x) : reduced(x, &quarters);
    struct wide sine = wide_sine(left), cosine = wide_cosine(left);
    switch (quarters % 4) {
    case 0: return (struct direction){sine, cosine};
    case 1: return (struct direction){cosine, wide_negative(sine)};
    case 2: return (struct direction){wide_negative(sine), wide_negative(cosine)};
    default: return (struct direction){wide_negative(cosine), sine};
    }
}

double math_sin(double x)
{
    if (isnan(x) || fabs(x) < tiny)
        return x;
    if (isinf(x))
        return undefined();
    double sine = direction_of(fabs(x)).sine.high;
    return x < 0 ? -sine : sine;
}

double math_cos(double x)
{
    if (isnan(x))
        return x;
    return isinf(x) ? undefined() : direction_of(fabs(x)).cosine.high;
}

double math_tan(double x)
{
    if (isnan(x) || fabs(x) < tiny)
        return x;
    if (isinf(x))
        return undefined();
    struct direction direction = direction_of(fabs(x));
    double tangent = wide_divide(direction.sine, direction.cosine).high;
    return x < 0 ? -tangent : tangent;
}

/* ---- angles ----------------------------------------------------------------------------- */

/* 0 <= y <= x, x not 0: a guess, from which the rest is turned back; what is left then is so small
 * that a term of the arc tangent is enough for all of it. */
static struct wide small_angle(struct wide y, struct wide x)
{
    double ratio = y.high / x.high;
    struct wide angle = wide_of(ratio / (1 + 0.28 * ratio * ratio));
    work += 3;
    for (int i = 0; i < 2; i++) {
        struct wide sine = wide_sine(angle), cosine = wide_cosine(angle);
        struct wide up = wide_add(wide_multiply(y, cosine), wide_negative(wide_multiply(x, sine)));
        struct wide along = wide_add(wide_multiply(x, cosine), wide_multiply(y, sine));
        struct wide rest = wide_divide(up, along);
        double third = rest.high * rest.high * rest.high / 3;
        angle = wide_add(angle, wide_add(rest, wide_of(-third)));
    }
    return angle;
}

/* Of the direction to (x, y), y >= 0, one of them not 0, both at most 1. */
static struct wide angle_of(struct wide y, struct wide x)
{
    struct wide size = x.high < 0 ? wide_negative(x) : x;
    struct wide angle;
    if (y.high <= size.high)
        angle = small_angle(y, size);
    else
        angle = wide_add(wide_half_pi, wide_negative(small_angle(size, y)));
    if (x.high >= 0)
        return angle;
    struct wide pi = {2 * wide_half_pi.high, 2 * wide_half_pi.low};
    return wide_add(pi, wide_negative(angle));
}

/* The other side of a triangle with a right angle, whose longest side is 1. */
static struct wide other_side(double x)
{
    return wide_root(wide_multiply(wide_sum(1, x), wide_sum(1, -x)));
}

double math_asin(double x)
{
    if (isnan(x) || fabs(x) < tiny)
        return x;
    if (fabs(x) > 1)
        return undefined();
    return copysign(angle_of(wide_of(fabs(x)), other_side(x)).high, x);
}

double math_acos(double x)
{
    if (isnan(x))
        return x;
    if (fabs(x) > 1)
        return undefined();
    return angle_of(other_side(x), wide_of(x)).high;
}

double math_atan(double x)
{
    return math_atan2(x, 1);
}

/* x > 0, y > 0, finite, and one of them nothing beside the other. */
static bool is_steep(double y, double x, int *twos)
{
    int y_twos, x_twos;
    frexp(y, &y_twos);
    frexp(x, &x_twos);
    *twos = y_twos > x_twos ? y_twos : x_twos;
    return abs(y_twos - x_twos) > 60;
}

double math_atan2(double y, double x)
{
    if (isnan(x) || isnan(y))
        return isnan(x) ? x : y;
    if (isinf(x) || isinf(y)) { /* as if from far away */
        x = copysign(isinf(x) ? 1 : 0, x);
        y = copysign(isinf(y) ? 1 : 0, y);
    }
    if (y == 0)
        return signbit(x) ? copysign(2 * wide_half_pi.high, y) : y;
    int twos = 0;
    if (x != 0 && is_steep(fabs(y), fabs(x), &twos)) {
        if (fabs(y) > fabs(x))
            return copysign(wide_half_pi.high, y);
        return x > 0 ? y / x : copysign(2 * wide_half_pi.high, y);
    }
    if (x == 0)
        return copysign(wide_half_pi.high, y);
    struct wide up = wide_of(ldexp(fabs(y), -twos)), along = wide_of(ldexp(x, -twos));
    return copysign(angle_of(up, along).high, y);
}
