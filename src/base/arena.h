/* A range of memory that is given out from its beginning on, and can be put back to what it was.
 *
 * It begins at an address whose lower 32 bits are zero, so that whoever takes an address for a
 * number of 32 bits (Lua does, for the order in a table) gets the offset within the arena, which is
 * the same in every process.  Costs memory only as far as it was used. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena {
    char *base; /* owned */
    size_t size;
};

/* Zeros.  size: a multiple of the page, at most 4 GB. */
void arena_init(struct arena *arena, size_t size);
void arena_deinit(struct arena *arena);
/* Gives back what lies behind `used` bytes: nothing is known of it any more. */
void arena_trim(struct arena *arena, size_t used);

#endif
