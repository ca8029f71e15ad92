/* Histories of transactions on lists: each appends a number of its own to a list, or reads all of
 * it.  What was appended can be read off a list, so the order of the transactions is known, and no
 * search is needed: Elle's "list-append" (Kingsbury and Alvaro, 2020) for one list.  Lists that are
 * only ever changed and read together, in one transaction, are one list here; their reader sees for
 * itself that they are equal. */
#ifndef TESTS_LINEAR_APPEND_H
#define TESTS_LINEAR_APPEND_H

#include <stdbool.h>
#include <stdint.h>

/* What is known not to have been done is left out, and so are reads without an answer. */
struct append_op {
    int64_t called, returned; /* of an append LINEAR_NEVER where the outcome is unknown */
    bool is_read;
    uint64_t number;         /* appended; no other append has it */
    const uint64_t *numbers; /* read; borrowed */
    uint32_t count;
};

/* NULL: there is an order of all transactions that explains every answer and contradicts no clock.
 * Else what cannot be, a text that lives for ever. */
const char *append_check(const struct append_op *ops, uint32_t count);

#endif
