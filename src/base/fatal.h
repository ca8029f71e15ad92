/* The ways to end at once.
 *
 * fatal(): the machine failed us (disk, memory).  A node that cannot keep its promises must not
 * make any: it logs why and exits with status 70, so that a supervisor sees a failure.
 * fatal_for_good(): likewise, but a start with the same program and files would end the same way:
 * status 1, at which a supervisor leaves it until somebody has looked.
 * check(): our own bug.  Always on, never on input from outside; prints where and what, aborts.  In
 * the files that are verified (proofs/README.md) it is proved that no check can fail. */
#ifndef BASE_FATAL_H
#define BASE_FATAL_H

_Noreturn void fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void fatal_for_good(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*@ requires \false;
    assigns \nothing;
    ensures \false;
*/
_Noreturn void check_failed(const char *expression, const char *file, int line);

#define check(expression) ((expression) ? (void)0 : check_failed(#expression, __FILE__, __LINE__))

#endif
