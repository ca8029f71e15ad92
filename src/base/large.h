/* Blocks of many megabytes: each a mapping of its own, which begins at a huge page and grows where
 * it is, or by being mapped elsewhere, never by a copy.
 *
 * A copy of 64 MB costs a turn of the loop 10 ms, and memory that is touched for the first time
 * 5 more, or 150 on a virtual machine whose host has to find it: so what grows costs nothing
 * until it is written, as a rule some at a time.  What is given back is kept for the next, up to
 * a bound, since it was touched already.
 *
 * Any thread. */
#ifndef BASE_LARGE_H
#define BASE_LARGE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    LARGE_MIN = 2 << 20,    /* bytes: of a block that is a mapping */
    LARGE_KEPT = 256 << 20, /* bytes given back that are kept */
    LARGE_KEPT_BLOCKS = 64
};

/* Uninitialized; NULL: there is none. `size` is LARGE_MIN or more. */
void *large_new(size_t size);
void *large_new_zeroed(size_t size);
/* Whether it came from here, and was not given back. */
bool large_has(const void *memory);
size_t large_size(const void *memory); /* bytes, at least what was asked for */
/* To LARGE_MIN bytes or more; what is new is not zeroed.  NULL: there is none, and it stays. */
void *large_resize(void *memory, size_t size);
void large_free(void *memory);

struct large_status {
    size_t used, kept; /* bytes */
};

struct large_status large_status(void);
/* Gives back to the system one of those that are kept, which takes a millisecond, or 40 where the
 * largest has small pages.  False: there is none. */
bool large_trim(void);

#endif
