/* One question to the search: may these operations of a history be put in order? */
#ifndef TESTS_LINEAR_SEARCH_H
#define TESTS_LINEAR_SEARCH_H

#include "linear.h"

struct problem {
    const struct linear_op *ops;
    const uint32_t *chosen; /* numbers of the operations that take part */
    uint32_t count;
    const bool *loose;        /* by number, may be NULL: as if its outcome were unknown */
    int64_t until;            /* what was answered later counts as unanswered */
    bool starts_from_nothing; /* else: from whatever value suits */
};

/* `steps`: how many it may take, and then how many are left.  `order` (may be NULL): room for
 * `count` numbers; gets the longest order found, unless the verdict is yes. */
enum linear_verdict problem_solve(const struct problem *problem, uint64_t *steps, uint32_t *order,
                                  uint32_t *order_count);

#endif
