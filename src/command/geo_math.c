/* See geo_math.h. */
#include "command/geo_math.h"

#include <math.h> /* sqrt(), fabs(), rint(): exact, or rounded in one way */

#include "base/wide.h"

/* ---- sines ------------------------------------------------------------------------------ */

static const double half_pi_third = -0x1.f1976b7ed8fbcp-110;

/* The sine of x + `quarters` times pi/2; |x| <= 7. */
static struct wide sine(struct wide x, int quarters)
{
    double whole = rint(x.high / wide_half_pi.high);
    struct wide turned = wide_product(whole, wide_half_pi.high);
    struct wide left = wide_add(x, wide_negative(turned));
    left = wide_add(left, wide_negative(wide_product(whole, wide_half_pi.low)));
    left = wide_add(left, wide_of(-whole * half_pi_third));
    switch ((unsigned)((int)whole + quarters) % 4) {
    case 0: return wide_sine(left);
    case 1: return wide_cosine(left);
    case 2: return wide_negative(wide_sine(left));
    default: return wide_negative(wide_cosine(left));
    }
}

double geo_sin(double x)
{
    return x == 0 ? x : sine(wide_of(x), 0).high;
}

double geo_cos(double x)
{
    return sine(wide_of(x), 1).high;
}

/* 0 <= x <= 1/2: a guess, mended by Newton's rule. */
static struct wide small_arcsine(struct wide x)
{
    double square = x.high * x.high;
    double guess = x.high * (1 + square * (1 / 6.0 + square * (3 / 40.0 + square * 15 / 336.0)));
    struct wide angle = wide_of(guess);
    for (int i = 0; i < 3; i++) {
        struct wide off = wide_add(x, wide_negative(wide_sine(angle)));
        angle = wide_add(angle, wide_divide(off, wide_cosine(angle)));
    }
    return angle;
}

double geo_asin(double x)
{
    if (x <= 0.5)
        return small_arcsine(wide_of(x)).high;
    /* asin x = pi/2 - 2 asin sqrt((1 - x) / 2), where the root is small; 1 - x is exact. */
    struct wide half = small_arcsine(wide_root(wide_of((1 - x) / 2)));
    return wide_add(wide_half_pi, (struct wide){-2 * half.high, -2 * half.low}).high;
}

/* ---- distances -------------------------------------------------------------------------- */

static const double earth_radius = 6372797.560856;
static const double radians = 3.14159265358979323846 / 180.0;

static double to_radians(double degrees)
{
    return degrees * radians;
}

static double to_degrees(double angle)
{
    return angle / radians;
}

static double latitude_distance(double one, double other)
{
    return earth_radius * fabs(to_radians(other) - to_radians(one));
}

double geo_distance(struct geo_place one, struct geo_place other)
{
    double v = geo_sin((to_radians(other.longitude) - to_radians(one.longitude)) / 2);
    if (v == 0)
        return latitude_distance(one.latitude, other.latitude);
    double latitude = to_radians(one.latitude), other_latitude = to_radians(other.latitude);
    double u = geo_sin((other_latitude - latitude) / 2);
    double a = u * u + geo_cos(latitude) * geo_cos(other_latitude) * v * v;
    double root = sqrt(a);
    return 2.0 * earth_radius * geo_asin(root < 1 ? root : 1);
}

bool geo_is_within(const struct geo_shape *shape, struct geo_place place, double *distance)
{
    struct geo_place beside = {shape->center.longitude, place.latitude};
    if (!shape->is_box) {
        *distance = geo_distance(shape->center, place);
        return *distance <= shape->radius * shape->unit;
    }
    if (latitude_distance(place.latitude, shape->center.latitude) > shape->height * shape->unit / 2)
        return false;
    if (geo_distance(place, beside) > shape->width * shape->unit / 2)
        return false;
    *distance = geo_distance(shape->center, place);
    return true;
}

/* ---- cells ------------------------------------------------------------------------------ */

/* The earth between the latitudes of Mercator's map is cut in halves, by turns of longitude and
 * latitude, `steps` times each. */
static const double longitude_max = 180, latitude_max = 85.05112878;

enum { STEPS = 26 };

struct cell {
    uint32_t latitude, longitude; /* numbers of the column and row */
    unsigned steps;               /* 0: none */
};

bool geo_is_place(struct geo_place place)
{
    return fabs(place.longitude) <= longitude_max && fabs(place.latitude) <= latitude_max;
}

static uint32_t number_of(double degrees, double max, unsigned steps)
{
    double share = (degrees - -max) / (max - -max);
    return (uint32_t)(share * (double)(1ull << steps));
}

static struct cell cell_of(struct geo_place place, double latitude_bound, unsigned steps)
{
    return (struct cell){.latitude = number_of(place.latitude, latitude_bound, steps),
                         .longitude = number_of(place.longitude, longitude_max, steps),
                         .steps = steps};
}

/* Every other bit from bit 0 on. */
static uint64_t spread(uint32_t number)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < 32; i++)
        bits |= (uint64_t)(number >> i & 1) << (2 * i);
    return bits;
}

static uint32_t gather(uint64_t bits)
{
    uint32_t number = 0;
    for (unsigned i = 0; i < 32; i++)
        number |= (uint32_t)(bits >> (2 * i) & 1) << i;
    return number;
}

static uint64_t bits_of(struct cell cell)
{
    return spread(cell.latitude) | spread(cell.longitude) << 1;
}

uint64_t geo_score(struct geo_place place)
{
    return bits_of(cell_of(place, latitude_max, STEPS));
}

/* Where the cell of this number begins; the one behind it: where it ends. */
static double edge(uint32_t number, double max, unsigned steps)
{
    return -max + (number * 1.0 / (double)(1ull << steps)) * (max - -max);
}

static double middle(uint32_t number, double max)
{
    double degrees = (edge(number, max, STEPS) + edge(number + 1, max, STEPS)) / 2;
    if (degrees > max)
        return max;
    return degrees < -max ? -max : degrees;
}

/* As a machine does it for which the conversion is not defined, Redis's. */
static uint64_t to_bits(double score)
{
    if (score >= 0)
        return score < 0x1p64 ? (uint64_t)score : 0;
    return score > -0x1p63 ? (uint64_t)(int64_t)score : (uint64_t)1 << 63;
}

struct geo_place geo_place_of(double score)
{
    uint64_t bits = to_bits(score);
    return (struct geo_place){.longitude = middle(gather(bits >> 1), longitude_max),
                              .latitude = middle(gather(bits), latitude_max)};
}

void geo_text(struct geo_place place, char *out)
{
    static const char digits[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    uint64_t bits = bits_of(cell_of(place, 90, STEPS));
    for (unsigned i = 0; i + 1 < GEO_TEXT_SIZE; i++)
        out[i] = digits[bits >> (2 * STEPS - 5 * (i + 1)) & 31];
    out[GEO_TEXT_SIZE - 1] = '0'; /* 52 bits are not enough for it */
}

/* ---- where to look ---------------------------------------------------------------------- */

struct bounds {
    double west, south, east, north;
};

static struct bounds bounds_of(const struct geo_shape *shape)
{
    double longitude = shape->center.longitude, latitude = shape->center.latitude;
    double height = shape->unit * (shape->is_box ? shape->height / 2 : shape->radius);
    double width = shape->unit * (shape->is_box ? shape->width / 2 : shape->radius);
    double up = to_degrees(height / earth_radius);
    double widest = latitude < 0 ? latitude - up : latitude + up;
    /* Where it is cut off beyond a pole, Redis takes the cosine of there as well. */
    double aside = to_degrees(width / earth_radius / sine(wide_of(to_radians(widest)), 1).high);
    return (struct bounds){.west = longitude - aside,
                           .south = latitude - up,
                           .east = longitude + aside,
                           .north = latitude + up};
}

/* So that the cells around the center's cover the shape, mostly. */
static unsigned steps_for(double radius, double latitude)
{
    static const double map_max = 20037726.37;
    int steps = 1;
    if (radius == 0)
        return STEPS;
    for (; radius < map_max; steps++)
        radius *= 2;
    steps -= 2;
    if (fabs(latitude) > 66)
        steps--;
    if (fabs(latitude) > 80)
        steps--;
    return steps < 1 ? 1 : steps > STEPS ? STEPS : (unsigned)steps;
}

static struct cell moved(struct cell cell, int up, int right)
{
    uint32_t mask = (uint32_t)((1ull << cell.steps) - 1);
    if (up) /* else it stays beyond the last, where the center may be */
        cell.latitude = (cell.latitude + (uint32_t)up) & mask;
    if (right)
        cell.longitude = (cell.longitude + (uint32_t)right) & mask;
    return cell;
}

static struct bounds edges_of(struct cell cell)
{
    return (struct bounds){.west = edge(cell.longitude, longitude_max, cell.steps),
                           .south = edge(cell.latitude, latitude_max, cell.steps),
                           .east = edge(cell.longitude + 1, longitude_max, cell.steps),
                           .north = edge(cell.latitude + 1, latitude_max, cell.steps)};
}

static bool is_covered(struct cell cell, const struct bounds *bounds)
{
    return !(edges_of(moved(cell, 1, 0)).north < bounds->north ||
             edges_of(moved(cell, -1, 0)).south > bounds->south ||
             edges_of(moved(cell, 0, 1)).east < bounds->east ||
             edges_of(moved(cell, 0, -1)).west > bounds->west);
}

/* Whether nothing of the shape is in that direction from its center's cell. */
static bool is_needless(struct cell cell, const struct bounds *bounds, int up, int right)
{
    struct bounds edges = edges_of(cell);
    return cell.steps >= 2 &&
           ((up < 0 && edges.south < bounds->south) || (up > 0 && edges.north > bounds->north) ||
            (right < 0 && edges.west < bounds->west) || (right > 0 && edges.east > bounds->east));
}

static struct geo_range range_of(struct cell cell)
{
    uint64_t bits = bits_of(cell);
    unsigned shift = 2 * (STEPS - cell.steps);
    return (struct geo_range){bits << shift, (bits + 1) << shift};
}

unsigned geo_ranges(const struct geo_shape *shape, struct geo_range *ranges)
{
    static const int directions[GEO_RANGES][2] = {{0, 0}, {1, 0},  {-1, 0}, {0, 1},  {0, -1},
                                                  {1, 1}, {1, -1}, {-1, 1}, {-1, -1}};
    double half_width = shape->width / 2, half_height = shape->height / 2;
    double radius =
        shape->is_box ? sqrt(half_width * half_width + half_height * half_height) : shape->radius;
    unsigned steps = steps_for(radius * shape->unit, shape->center.latitude), count = 0;
    struct cell cell = cell_of(shape->center, latitude_max, steps);
    /* With one step all the earth is looked at; else the shape is small enough for its bounds. */
    struct bounds bounds = {0};
    if (steps > 1)
        bounds = bounds_of(shape);
    if (steps > 1 && !is_covered(cell, &bounds))
        cell = cell_of(shape->center, latitude_max, steps - 1);
    for (unsigned i = 0; i < GEO_RANGES; i++) {
        int up = directions[i][0], right = directions[i][1];
        struct geo_range range = range_of(moved(cell, up, right));
        bool is_again = count > 1 && range.min == ranges[count - 1].min;
        if (!is_needless(cell, &bounds, up, right) && !is_again)
            ranges[count++] = range;
    }
    return count;
}
