/* Places on the earth as scores of a sorted set, and distances between them: Redis's (7.2 geohash.c
 * and geohash_helper.c), to the last digit.
 *
 * What is stored must be equal on all nodes, and the sines of a library need not be: they differ in
 * the last place from one version and machine to the next.  So they are computed here, of
 * additions, multiplications, divisions and square roots alone, which IEEE 754 rounds in one way;
 * with about a hundred bits, so that the result is the double nearest to the true one but in one
 * case of thousands, and a good library's likewise.  (The build keeps multiplications and additions
 * of this file apart: -ffp-contract=off.)
 *
 * Degrees and meters.  Pure functions, any thread. */
#ifndef COMMAND_GEO_MATH_H
#define COMMAND_GEO_MATH_H

#include <stdbool.h>
#include <stdint.h>

struct geo_place {
    double longitude, latitude;
};

/* What a search is about. */
struct geo_shape {
    bool is_box;
    struct geo_place center;
    double radius, width, height; /* of a circle, of a box; in units */
    double unit;                  /* meters */
};

/* Scores from `min` on, below `max`. */
struct geo_range {
    uint64_t min, max;
};

enum { GEO_RANGES = 9, GEO_TEXT_SIZE = 11 };

bool geo_is_place(struct geo_place place); /* one that can be stored */
uint64_t geo_score(struct geo_place place);
struct geo_place geo_place_of(double score); /* of any score but NaN */
/* The standard's 11 characters. */
void geo_text(struct geo_place place, char *out);

double geo_distance(struct geo_place one, struct geo_place other);
/* Whether the place is in the shape, and how far from its center. */
bool geo_is_within(const struct geo_shape *shape, struct geo_place place, double *distance);
/* Where its places are to be looked for, in Redis's order; returns how many.  Some may be of
 * others, and, of shapes larger than the earth, twice there. */
unsigned geo_ranges(const struct geo_shape *shape, struct geo_range *ranges);

/* For the tests; |x| <= pi, 0 <= x <= 1. */
double geo_sin(double x);
double geo_cos(double x);
double geo_asin(double x);

#endif
