/* Gives back to the system what is kept of large blocks (large.h), one after the other.
 *
 * To unmap one takes up to 40 ms.  Whoever has heartbeats to send cannot stand so long: it is done
 * in a thread of its own, which ends with it. */
#ifndef BASE_MEMORY_TRIM_H
#define BASE_MEMORY_TRIM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* {0} is one that has not begun.  Its fields are those of the thread that calls these, but: */
struct memory_trim {
    pthread_t thread;
    bool is_begun;
    atomic_bool is_over;      /* set by the thread */
    atomic_bool keeps_blocks; /* read by the thread */
};

/* Nothing, while one is under way. */
void memory_trim_begin(struct memory_trim *trim);
/* Large blocks that are kept are of use again: no more of them. */
void memory_trim_keep_blocks(struct memory_trim *trim);
/* Waits for its end. */
void memory_trim_end(struct memory_trim *trim);

#endif
