/* A key of any type, with a deadline or none, as the checker believes that commands change it.
 *
 * Deadlines are the log's: a key is there until an entry is executed at or after its time, on all
 * nodes the same, and what the log's time has passed it does not come back to.  What that time is
 * when an operation takes effect is known within bounds at best; so that a key has ended is an
 * operation that nobody asked for, EXPIRED, of unknown outcome.  It may stand anywhere in the
 * order, or not at all, but what is done at a later time for certain is behind it, and what is done
 * at an earlier one before it; and what is set behind it ends at once if its deadline is not later.
 */
#ifndef TESTS_LINEAR_TYPED_H
#define TESTS_LINEAR_TYPED_H

#include "linear.h"
#include "register.h"

/* The checker knows this command, with these words. */
bool typed_knows(const struct linear_op *op);
/* Its answer changes nothing, whatever it is. */
bool typed_is_read(const struct linear_op *op);
/* Whether the operation fits this value, and what it leaves.  any: its reply is not known. */
bool typed_fits(struct values *values, const struct linear_op *op, bool any,
                const struct value *before, const struct value **after);

#endif
