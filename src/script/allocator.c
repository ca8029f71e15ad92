/* See allocator.h.  Deterministic; loop thread only. */
#include "script/allocator.h"

#include <string.h>

#include "base/arena.h"
#include "base/fatal.h"

enum { SMALL_CLASSES = ALLOCATOR_SMALL / ALLOCATOR_STEP, SMALL_LOG = 9 };
_Static_assert(1 << SMALL_LOG == ALLOCATOR_SMALL, "where the larger classes begin");

struct allocator *script_allocator_init(struct arena *arena)
{
    struct allocator *allocator = (struct allocator *)arena->base;
    uint64_t first = (sizeof *allocator + ALLOCATOR_STEP - 1) / ALLOCATOR_STEP * ALLOCATOR_STEP;
    memset(allocator, 0, sizeof *allocator);
    allocator->size = arena->size;
    allocator->top = first;
    return allocator;
}

/* Of a size above 0, at most the largest.  *rounded: of the blocks of that class. */
static unsigned class_of(uint64_t size, uint64_t *rounded)
{
    if (size <= ALLOCATOR_SMALL) {
        uint64_t steps = (size + ALLOCATOR_STEP - 1) / ALLOCATOR_STEP;
        *rounded = steps * ALLOCATOR_STEP;
        return (unsigned)steps - 1;
    }
    unsigned log = 63 - (unsigned)__builtin_clzll(size - 1); /* 2^log <= size - 1 */
    uint64_t quarter = (uint64_t)1 << (log - 2);
    uint64_t quarters = (size - ((uint64_t)1 << log) + quarter - 1) / quarter; /* 1 to 4 */
    *rounded = ((uint64_t)1 << log) + quarters * quarter;
    return SMALL_CLASSES + (log - SMALL_LOG) * 4 + (unsigned)quarters - 1;
}

static void *block_at(struct allocator *allocator, uint64_t offset)
{
    return (char *)allocator + offset;
}

static void *take(struct allocator *allocator, uint64_t size, uint64_t max)
{
    uint64_t rounded;
    if (size > (uint64_t)1 << ALLOCATOR_LARGEST_LOG)
        return NULL;
    unsigned class = class_of(size, &rounded);
    check(class < ALLOCATOR_CLASSES);
    if (allocator->used + rounded > max)
        return NULL;
    void *block;
    if (allocator->free[class]) {
        block = block_at(allocator, allocator->free[class]);
        memcpy(&allocator->free[class], block, sizeof allocator->free[class]);
    } else if (rounded <= allocator->size - allocator->top) {
        block = block_at(allocator, allocator->top);
        allocator->top += rounded;
    } else {
        return NULL;
    }
    allocator->used += rounded;
    return block;
}

static void give_back(struct allocator *allocator, void *block, uint64_t size)
{
    uint64_t rounded;
    unsigned class = class_of(size, &rounded);
    uint64_t offset = (uint64_t)((char *)block - (char *)allocator);
    check(rounded <= allocator->used);
    check(offset + rounded <= allocator->top);
    memcpy(block, &allocator->free[class], sizeof allocator->free[class]);
    allocator->free[class] = offset;
    allocator->used -= rounded;
}

void *script_allocator_resize(struct allocator *allocator, void *block, size_t old_size,
                              size_t size, uint64_t max)
{
    uint64_t before, after;
    if (size == 0) {
        if (block && old_size > 0)
            give_back(allocator, block, old_size);
        return NULL;
    }
    bool has_block = block && old_size > 0;
    if (has_block && size <= (uint64_t)1 << ALLOCATOR_LARGEST_LOG &&
        class_of(old_size, &before) == class_of(size, &after))
        return block;
    void *moved = take(allocator, size, max);
    if (moved && has_block) {
        memcpy(moved, block, size < old_size ? size : old_size);
        give_back(allocator, block, old_size);
    }
    return moved;
}
