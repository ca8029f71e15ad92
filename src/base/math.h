/* The functions of <math.h> whose results differ from one machine, or version of the C library, to
 * the next: here they are equal everywhere (base/wide.h), so a write may depend on them.  Lua has
 * them in the place of the library's (Makefile: LUA_MATH).
 *
 * The double nearest to the true value, but in one case of a million, where it is the next one; so
 * what can be told exactly is.  Infinities, NaN, zeros and what is not defined: as C99 says (annex
 * F), without errno and exceptions; a NaN that is made here is negative, as those that the
 * processor makes on x86 are.  Half a microsecond each, about: what was
 * done is counted, so that who must be bounded can be.  Loop thread only. */
#ifndef BASE_MATH_H
#define BASE_MATH_H

#include <stdint.h>

double math_exp(double x);
double math_log(double x);
double math_log10(double x);
double math_pow(double x, double y);
double math_sin(double x); /* radians, here and below */
double math_cos(double x);
double math_tan(double x);
double math_asin(double x);
double math_acos(double x);
double math_atan(double x);
double math_atan2(double y, double x);
double math_sinh(double x);
double math_cosh(double x);
double math_tanh(double x);

/* All that was done so far, in parts of some 150 ns; by the arguments alone. */
uint64_t math_work(void);

#endif
