/* See wide.h. */
#include "base/wide.h"

/* Behind the leading term: 1/3!, 1/5!, ... and 1/2!, 1/4!, ... */
static const struct wide sine_parts[] = {{-0x1.5555555555555p-3, -0x1.5555555555555p-57},
                                         {0x1.1111111111111p-7, 0x1.1111111111111p-63},
                                         {-0x1.a01a01a01a01ap-13, -0x1.a01a01a01a01ap-73}};
static const double sine_rest[] = {1 / 362880.0,
                                   -1 / 39916800.0,
                                   1 / 6227020800.0,
                                   -1 / 1307674368000.0,
                                   1 / 355687428096000.0,
                                   -1 / 121645100408832000.0,
                                   1 / 51090942171709440000.0};
static const struct wide cosine_parts[] = {{-0.5, 0},
                                           {0x1.5555555555555p-5, 0x1.5555555555555p-59},
                                           {-0x1.6c16c16c16c17p-10, 0x1.f49f49f49f49fp-65}};
static const double cosine_rest[] = {
    1 / 40320.0,          -1 / 3628800.0,          1 / 479001600.0,          -1 / 87178291200.0,
    1 / 20922789888000.0, -1 / 6402373705728000.0, 1 / 2432902008176640000.0};

enum { PARTS = 3, REST = 7 };

struct wide wide_sine(struct wide x)
{
    struct wide square = wide_multiply(x, x);
    return wide_add(x, wide_multiply(x, wide_series(square, sine_parts, PARTS, sine_rest, REST)));
}

struct wide wide_cosine(struct wide x)
{
    struct wide square = wide_multiply(x, x);
    return wide_add(wide_of(1), wide_series(square, cosine_parts, PARTS, cosine_rest, REST));
}
