/* Mathematics of scripts: to the bit what was computed elsewhere with hundreds of digits, on every
 * machine; near to the C library's everywhere; and what is special as C99 has it. */
#include <math.h>
#include <stdio.h>

#include "test_script.h"

#include "base/math.h"
#include "base/prng.h"

enum { ARGUMENTS = 6000 }; /* random ones, of each function */

struct function {
    const char *name;
    double (*ours)(double);
    double (*library)(double);
    long double (*nearer)(long double); /* with 11 bits more */
    double from, to;                    /* where its results are neither 0 nor infinite */
};

static const struct function functions[] = {
    {"exp", math_exp, exp, expl, -708, 709.7},   {"log", math_log, log, logl, 0, 10},
    {"log10", math_log10, log10, log10l, 0, 10}, {"sin", math_sin, sin, sinl, -1000, 1000},
    {"cos", math_cos, cos, cosl, -1000, 1000},   {"tan", math_tan, tan, tanl, -1000, 1000},
    {"asin", math_asin, asin, asinl, -1, 1},     {"acos", math_acos, acos, acosl, -1, 1},
    {"atan", math_atan, atan, atanl, -20, 20},   {"sinh", math_sinh, sinh, sinhl, -710, 710},
    {"cosh", math_cosh, cosh, coshl, -710, 710}, {"tanh", math_tanh, tanh, tanhl, -20, 20},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

static const struct pair {
    const char *name;
    double (*ours)(double, double);
    double (*library)(double, double);
    long double (*nearer)(long double, long double);
} pairs[] = {{"pow", math_pow, pow, powl}, {"atan2", math_atan2, atan2, atan2l}};
enum { PAIRS = sizeof pairs / sizeof *pairs };

/* ---- to the bit ----------------------------------------------------------------------------- */

/* The nearest doubles, of a program with numbers of 1400 bits.  The last ones of each function are
 * some where a version of the C library gives another. */
static const struct golden {
    const char *name;
    double x, y, value;
} goldens[] = {
    {"exp", 1, 0, 0x1.5bf0a8b145769p+1},
    {"exp", -1, 0, 0x1.78b56362cef38p-2},
    {"exp", 0.5, 0, 0x1.a61298e1e069cp+0},
    {"exp", 709.5, 0, 0x1.81e9b4b52d0c9p+1023},
    {"exp", -700, 0, 0x1.14f2b0fb9307fp-1010},
    {"exp", 1e-09, 0, 0x1.000000044b83p+0},
    {"exp", 3.78085, 0, 0x1.5ed38f94e949cp+5},
    {"exp", 9.58921, 0, 0x1.c8729b9a345fap+13},
    {"log", 2, 0, 0x1.62e42fefa39efp-1},
    {"log", 10, 0, 0x1.26bb1bbb55516p+1},
    {"log", 0.5, 0, -0x1.62e42fefa39efp-1},
    {"log", 1.0000000000009095, 0, 0x1.ffffffffffp-41},
    {"log", 1e+300, 0, 0x1.5963447f87fb5p+9},
    {"log", 5e-324, 0, -0x1.74385446d71c3p+9},
    {"log", 8.6818, 0, 0x1.14a325e05772ap+1},
    {"log", 0.644741, 0, -0x1.c170badf76294p-2},
    {"log10", 2, 0, 0x1.34413509f79ffp-2},
    {"log10", 1000, 0, 0x1.8p+1},
    {"log10", 0.001, 0, -0x1.8p+1},
    {"log10", 1e+22, 0, 0x1.6p+4},
    {"log10", 5e-324, 0, -0x1.434e6420f4374p+8},
    {"log10", 17.5801, 0, 0x1.3eb9b7f6ef021p+0},
    {"log10", 97.0935, 0, 0x1.fcb87e7df441bp+0},
    {"sin", 1, 0, 0x1.aed548f090ceep-1},
    {"sin", 0.5, 0, 0x1.eaee8744b05fp-2},
    {"sin", 3, 0, 0x1.210386db6d55bp-3},
    {"sin", -100, 0, 0x1.03425b78c4db8p-1},
    {"sin", 1e+22, 0, -0x1.b453ab76bf397p-1},
    {"sin", 1.7e+308, 0, -0x1.30c567d277075p-1},
    {"sin", 355, 0, -0x1.f9bd0307d1de3p-16},
    {"sin", -3.35039, 0, 0x1.a88442b38d1d9p-3},
    {"sin", 8.57569, 0, 0x1.8058e359485d9p-1},
    {"cos", 1, 0, 0x1.14a280fb5068cp-1},
    {"cos", 0.5, 0, 0x1.c1528065b7d5p-1},
    {"cos", 3, 0, -0x1.fae04be85e5d2p-1},
    {"cos", 11, 0, 0x1.220ae41ee2fdfp-8},
    {"cos", 1e+22, 0, 0x1.0be2cef01c8f4p-1},
    {"cos", 1.7e+308, 0, 0x1.9b6913f41bde3p-1},
    {"cos", -3.96881, 0, -0x1.5a961df4f9d41p-1},
    {"cos", 4.54557, 0, -0x1.541019ae2220bp-3},
    {"tan", 1, 0, 0x1.8eb245cbee3a6p+0},
    {"tan", 0.5, 0, 0x1.17b4f5bf3474ap-1},
    {"tan", 11, 0, -0x1.c3e6d558b0924p+7},
    {"tan", 1e+22, 0, -0x1.a0f79c1b6b257p+0},
    {"tan", -1.57, 0, -0x1.39f0ff737e7f3p+10},
    {"tan", 5.89731, 0, -0x1.9ffdc06407157p-2},
    {"tan", 3.42096, 0, 0x1.25c11d31e991bp-2},
    {"asin", 0.5, 0, 0x1.0c152382d7366p-1},
    {"asin", 1, 0, 0x1.921fb54442d18p+0},
    {"asin", -0.9, 0, -0x1.1ea93705fa172p+0},
    {"asin", 1e-05, 0, 0x1.4f8b588e4e94p-17},
    {"asin", 0.999999, 0, 0x1.91c306b2c13adp+0},
    {"asin", 0.730742, 0, 0x1.a3897a8920b99p-1},
    {"asin", -0.313887, 0, -0x1.46f26eba22555p-2},
    {"acos", 0.5, 0, 0x1.0c152382d7366p+0},
    {"acos", -1, 0, 0x1.921fb54442d18p+1},
    {"acos", -0.9, 0, 0x1.586476251e745p+1},
    {"acos", 1e-05, 0, 0x1.921f0d7e968a6p+0},
    {"acos", 0.999999, 0, 0x1.72ba46065af16p-10},
    {"acos", 0.871087, 0, 0x1.06da682cc2455p-1},
    {"acos", -0.901963, 0, 0x1.58f8b9145ac57p+1},
    {"atan", 1, 0, 0x1.921fb54442d18p-1},
    {"atan", 0.5, 0, 0x1.dac670561bb4fp-2},
    {"atan", -3, 0, -0x1.3fc176b7a856p+0},
    {"atan", 10000000000, 0, 0x1.921fb543d4dep+0},
    {"atan", 1e-05, 0, 0x1.4f8b588e06854p-17},
    {"atan", 4.8845, 0, 0x1.5e6d734507bc3p+0},
    {"atan", 0.22097, 0, 0x1.bd63b577c6bf2p-3},
    {"sinh", 1, 0, 0x1.2cd9fc44eb982p+0},
    {"sinh", 0.1, 0, 0x1.9a487337b59b3p-4},
    {"sinh", -30, 0, -0x1.370470aec28edp+42},
    {"sinh", 710, 0, 0x1.3e21a464507f9p+1023},
    {"sinh", 1e-05, 0, 0x1.4f8b588e4e94p-17},
    {"sinh", 0.0411587, 0, 0x1.51446c2b9395ep-5},
    {"sinh", 4.84781, 0, 0x1.fdcff92c39b13p+5},
    {"cosh", 1, 0, 0x1.8b07551d9f55p+0},
    {"cosh", 0.1, 0, 0x1.0147f40224b38p+0},
    {"cosh", -30, 0, 0x1.370470aec28edp+42},
    {"cosh", 710, 0, 0x1.3e21a464507f9p+1023},
    {"cosh", 1e-05, 0, 0x1.0000000036f9cp+0},
    {"cosh", 2.20621, 0, 0x1.261f8ae93cf94p+2},
    {"cosh", 0.909678, 0, 0x1.716e3bd90b746p+0},
    {"tanh", 1, 0, 0x1.85efab514f394p-1},
    {"tanh", 0.1, 0, 0x1.983d7795f413ap-4},
    {"tanh", -3, 0, -0x1.fd77d111a0bp-1},
    {"tanh", 15, 0, 0x1.ffffffffff96ap-1},
    {"tanh", 1e-05, 0, 0x1.4f8b588e06854p-17},
    {"tanh", -0.987063, 0, -0x1.83207b5ee94c5p-1},
    {"tanh", -0.510778, 0, -0x1.e1d8299bfd168p-2},
    {"pow", 2, 0.1, 0x1.125fbee250664p+0},
    {"pow", 10, -3, 0x1.0624dd2f1a9fcp-10},
    {"pow", 1.0000001, 1000000000, 0x1.349445c228792p+144},
    {"pow", 3, -0.5, 0x1.279a74590331cp-1},
    {"pow", -3, 5, -0x1.e6p+7},
    {"pow", 0.1, 3, 0x1.0624dd2f1a9fdp-10},
    {"pow", 10, 308, 0x1.1ccf385ebc8ap+1023},
    {"pow", 2, -1074, 0x1p-1074},
    {"pow", 1.5, 1.5, 0x1.d64d51e0db1c6p+0},
    {"pow", 6.1516, -2.1533, 0x1.47b62f19b9629p-6},
    {"pow", 22.216, 7.6747, 0x1.4275e90782d4bp+34},
    {"pow", 22.946, -1.3929, 0x1.a0fc575680517p-7},
    {"pow", 22.893, 1.5317, 0x1.e3db473b8511ep+6},
    {"atan2", 1, 1, 0x1.921fb54442d18p-1},
    {"atan2", 1, -1, 0x1.2d97c7f3321d2p+1},
    {"atan2", -1e-09, -3, -0x1.921fb5438b91p+1},
    {"atan2", 1e+300, -1, 0x1.921fb54442d18p+0},
    {"atan2", 0.1, 0.3, 0x1.4978fa3269ee2p-2},
    {"atan2", -5, 2, -0x1.30b6d796a4da8p+0},
    {"atan2", 10.909, 3.9629, 0x1.38ebed0bf1c6p+0},
    {"atan2", 23.51, -5.8591, 0x1.d0a658b67beb1p+0},
    {"atan2", 23.755, -5.9236, 0x1.d0af4942b5ccep+0},
    {"atan2", 27.78, 5.3392, 0x1.6183b4a8c98edp+0},
};
enum { GOLDENS = sizeof goldens / sizeof *goldens };

static bool is_equal(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static double value_of(const struct golden *golden)
{
    for (size_t i = 0; i < FUNCTIONS; i++)
        if (strcmp(functions[i].name, golden->name) == 0)
            return functions[i].ours(golden->x);
    for (size_t i = 0; i < PAIRS; i++)
        if (strcmp(pairs[i].name, golden->name) == 0)
            return pairs[i].ours(golden->x, golden->y);
    fail_msg("no function %s", golden->name);
    return 0;
}

static void test_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDENS; i++) {
        double value = value_of(&goldens[i]);
        if (!is_equal(value, goldens[i].value))
            fail_msg("%s(%.17g, %.17g) = %a, not %a", goldens[i].name, goldens[i].x, goldens[i].y,
                     value, goldens[i].value);
    }
}

/* What a script sees, which goes through Lua's library and machine. */
static void expect_digits(struct script *script, const char *expression, double value)
{
    char body[256], digits[64], reply[80];
    snprintf(body, sizeof body, "return string.format('%%.17g', %s)", expression);
    int size = snprintf(digits, sizeof digits, "%.17g", value);
    snprintf(reply, sizeof reply, "$%d\r\n%s\r\n", size, digits);
    expect_script(script, body, reply);
}

static void test_golden_in_scripts(void **state)
{
    struct script *script = script_new();
    char expression[160];
    (void)state;
    for (size_t i = 0; i < GOLDENS; i++) {
        const struct golden *golden = &goldens[i];
        snprintf(expression, sizeof expression, "math.%s(%.17g, %.17g)", golden->name, golden->x,
                 golden->y);
        expect_digits(script, expression, golden->value);
        if (strcmp(golden->name, "pow") != 0)
            continue;
        snprintf(expression, sizeof expression, "(%.17g) ^ (%.17g)", golden->x, golden->y);
        expect_digits(script, expression, golden->value); /* the compiler computes it */
        snprintf(expression, sizeof expression, "tonumber('%.17g') ^ tonumber('%.17g')", golden->x,
                 golden->y);
        expect_digits(script, expression, golden->value);
    }
    script_free(script);
}

/* A power is one instruction for Lua, and takes as long as thirty: it counts, in the same way on a
 * machine that had to compile and has paused, and that had not. */
static void test_powers_are_counted(void **state)
{
    static const char body[] = "local x, y = 1.1, 1.1 ^ 1.2; for i = 1, 9999 do y = x ^ 1.3 end "
                               "string.rep('x', 10); return math.sin(y) > 0";
    struct script *script = script_new();
    (void)state;
    expect_script(script, body, ":1\r\n");
    uint64_t spent = script_spent(script);
    assert_true(spent > 9999 * 30 && spent < 9999 * 35);
    expect_script(script, "return 1.3 ^ 1.4 > 1", ":1\r\n");
    expect_script(script, body, ":1\r\n");
    assert_true(script_spent(script) == spent);
    script_free(script);
}

/* ---- near to the library's ------------------------------------------------------------------ */

static void compare(const char *name, double x, double y, double ours, long double library,
                    unsigned *others)
{
    double nearest = (double)library;
    *others += ours != nearest;
    if (ours != nearest && ours != nextafter(nearest, ours))
        fail_msg("%s(%a, %a) = %a, not %a", name, x, y, ours, nearest);
}

static double random_share(uint64_t *dice)
{
    return (double)prng_below(dice, 1ull << 53) / (double)(1ull << 53);
}

static void test_random_arguments(void **state)
{
    uint64_t dice = 1;
    unsigned others = 0;
    (void)state;
    for (size_t f = 0; f < FUNCTIONS; f++) {
        const struct function *function = &functions[f];
        for (int i = 0; i < ARGUMENTS; i++) {
            double share = random_share(&dice);
            double x = function->from + share * (function->to - function->from);
            double tiny = ldexp(x, -(int)prng_below(&dice, 60));
            compare(function->name, x, 0, function->ours(x), function->nearer(x), &others);
            compare(function->name, tiny, 0, function->ours(tiny), function->nearer(tiny), &others);
        }
    }
    /* With 64 bits the library's own results are near enough to the middle of two doubles to be
     * rounded to the other in one case of a thousand. */
    assert_true(others < FUNCTIONS * 2 * ARGUMENTS / 500);
}

static void test_random_pairs(void **state)
{
    uint64_t dice = 2;
    unsigned others = 0;
    (void)state;
    for (size_t f = 0; f < PAIRS; f++)
        for (int i = 0; i < 2 * ARGUMENTS; i++) {
            double x = ldexp(random_share(&dice), (int)prng_below(&dice, 80) - 40);
            double y = ldexp(random_share(&dice) - 0.5, (int)prng_below(&dice, 8));
            compare(pairs[f].name, x, y, pairs[f].ours(x, y), pairs[f].nearer(x, y), &others);
        }
    assert_true(others < PAIRS * 2 * ARGUMENTS / 500);
}

/* Turns of more digits than a double has. */
static void test_large_angles(void **state)
{
    uint64_t dice = 3;
    (void)state;
    for (int i = 0; i < ARGUMENTS; i++) {
        double x = ldexp(random_share(&dice), (int)prng_below(&dice, 1024));
        for (size_t f = 0; f < FUNCTIONS; f++) {
            double (*library)(double) = functions[f].library;
            unsigned others = 0;
            if (library == sin || library == cos || library == tan)
                compare(functions[f].name, x, 0, functions[f].ours(x), library(x), &others);
        }
    }
}

/* ---- what is exact -------------------------------------------------------------------------- */

static void test_exact(void **state)
{
    uint64_t dice = 4;
    (void)state;
    for (int base = 2; base <= 20; base++) {
        double value = 1;
        for (int y = 0; value < 0x1p53; y++, value *= base) {
            assert_true(math_pow(base, y) == value);
            assert_true(math_pow(-base, y) == (y % 2 ? -value : value));
            if (base == 10)
                assert_true(math_log10(value) == y);
        }
    }
    for (int y = -1074; y < 1024; y++)
        assert_true(math_pow(2, y) == ldexp(1, y));
    for (int y = 0; y <= 22; y++)
        assert_true(math_log10(math_pow(10, y)) == y);
    for (int i = 0; i < ARGUMENTS; i++) {
        double x = ldexp(random_share(&dice), (int)prng_below(&dice, 100) - 50);
        assert_true(math_pow(x, 2) == x * x && math_pow(-x, 2) == x * x && math_pow(x, 1) == x);
        assert_true(math_pow(x, 0.5) == sqrt(x));
    }
    assert_true(math_exp(0) == 1 && math_cos(0) == 1 && math_cosh(0) == 1);
    assert_true(is_equal(math_log(1), 0.0) && is_equal(math_acos(1), 0.0));
}

static const double specials[] = {0,
                                  -0.0,
                                  1,
                                  -1,
                                  0.5,
                                  -0.5,
                                  2,
                                  -2,
                                  3,
                                  -3,
                                  2.5,
                                  -2.5,
                                  1e10,
                                  -1e10,
                                  1e300,
                                  -1e300,
                                  INFINITY,
                                  NAN,
                                  0x1p-1074,
                                  -0x1p-1074,
                                  0x1p-1022,
                                  1e-300,
                                  -1e-300,
                                  0x1.fffffffffffffp-1,
                                  -INFINITY,
                                  0x1p53,
                                  -0x1p53,
                                  0x1.fffffffffffffp+1023,
                                  709.8,
                                  710.4,
                                  711,
                                  -745.2,
                                  -740,
                                  -746,
                                  1e-10,
                                  -1e-10,
                                  0x1.fffffffffffffp+52,
                                  100,
                                  -100,
                                  0.75};
enum { SPECIALS = sizeof specials / sizeof *specials };

/* Equal in sign and kind, and near. */
static void compare_special(const char *name, double x, double y, double ours, double library)
{
    bool is_same = isnan(library) ? isnan(ours) : signbit(ours) == signbit(library);
    if (!isnan(library) && ours != library)
        is_same = is_same && isfinite(ours) && isfinite(library) && library != 0 &&
                  fabs(ours - library) <= fmax(fabs(library) * 0x1p-51, 0x1p-1074);
    if (!is_same)
        fail_msg("%s(%a, %a) = %a, not %a", name, x, y, ours, library);
}

static void test_specials(void **state)
{
    (void)state;
    for (size_t i = 0; i < SPECIALS; i++) {
        double x = specials[i];
        for (size_t f = 0; f < FUNCTIONS; f++)
            compare_special(functions[f].name, x, 0, functions[f].ours(x), functions[f].library(x));
        for (size_t j = 0; j < SPECIALS; j++)
            for (size_t f = 0; f < PAIRS; f++)
                compare_special(pairs[f].name, x, specials[j], pairs[f].ours(x, specials[j]),
                                pairs[f].library(x, specials[j]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_golden_in_scripts),
        cmocka_unit_test(test_powers_are_counted),
        cmocka_unit_test(test_random_arguments),
        cmocka_unit_test(test_random_pairs),
        cmocka_unit_test(test_large_angles),
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_specials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
