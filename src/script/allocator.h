/* Memory of a Lua state, inside an arena: what it gives depends on what was asked for, in order,
 * and on nothing else, so the same script meets its bound at the same place on every node.
 *
 * Freed blocks are kept by size and given out again; Lua says the size of what it frees, so a block
 * has no header.  All that is known stands at the beginning of the arena: with a copy of its used
 * part the state can be put back to what it was. */
#ifndef SCRIPT_ALLOCATOR_H
#define SCRIPT_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

enum {
    ALLOCATOR_STEP = 16,       /* blocks up to ALLOCATOR_SMALL are multiples of it, */
    ALLOCATOR_SMALL = 512,     /* larger ones have four sizes between a power of two and the next */
    ALLOCATOR_LARGEST_LOG = 27 /* of any block */
};
enum { ALLOCATOR_CLASSES = ALLOCATOR_SMALL / ALLOCATOR_STEP + (ALLOCATOR_LARGEST_LOG - 9) * 4 + 1 };

struct allocator {
    uint64_t size; /* of the arena */
    uint64_t top;  /* nothing was given out from here on */
    uint64_t used; /* bytes in blocks that are not free */
    /* By class: offsets of free blocks, each of which begins with the next one's; 0: no more. */
    uint64_t free[ALLOCATOR_CLASSES];
};

/* At the beginning of the arena. */
struct allocator *script_allocator_init(struct arena *arena);
/* As lua_Alloc; NULL: no room, or size 0.  `max`: bytes that may be in use. */
void *script_allocator_resize(struct allocator *allocator, void *block, size_t old_size,
                              size_t size, uint64_t max);

#endif
