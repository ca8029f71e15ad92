/* Are transactions that append to lists and read them strictly serializable?
 *
 * Every number is appended once, so the lists at the end tell in which order the appends to each
 * key took effect, and a read, which has to be a beginning of that list, between which two of them
 * it stands.  What follows from that, and from real time (what was answered before another was
 * asked comes before it), must not go in a circle.  After Kingsbury and Alvaro, "Elle: Inferring
 * Isolation Anomalies from Experimental Observations", VLDB 2020, section 4.2. */
#ifndef TESTS_APPENDS_H
#define TESTS_APPENDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

#define APPENDS_NEVER INT64_MAX

struct appends_list { /* owned by who made it, as everything here */
    uint32_t *numbers;
    uint32_t count;
};

struct appends_step {
    uint32_t key;
    bool is_read;
    uint32_t number;          /* appended */
    struct appends_list seen; /* read */
};

struct appends_transaction {
    int64_t called, returned; /* APPENDS_NEVER: the outcome is unknown; what it read, too */
    struct appends_step *steps;
    uint32_t count;
};

/* `lists`: of all keys at the end; numbers are below `numbers`.  False: `why` says what cannot
 * be. */
bool appends_check(const struct appends_transaction *transactions, uint32_t count,
                   const struct appends_list *lists, uint32_t keys, uint32_t numbers,
                   struct buffer *why);

#endif
