/* See large.h.
 *
 * Which addresses are ours, an array in their order says: there are hundreds at most, and only for
 * an address that is a multiple of a huge page is it asked.
 *
 * What is kept is cut to size where the next block is smaller, and grows if it is larger.
 *
 * The mutex is not held while the kernel maps and unmaps, which takes milliseconds: the loop would
 * stand for another thread's block.  A block is ours alone as long as it stands in no array. */
#include "base/large.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fatal.h"

enum { HUGE_PAGE = 2 << 20, PAGE = 65536 /* a multiple of any machine's */ };

struct block {
    char *begin;
    size_t size; /* whole pages */
};

static struct {
    pthread_mutex_t mutex;
    struct block *blocks; /* in use, by address */
    size_t count, capacity;
    struct block kept[LARGE_KEPT_BLOCKS]; /* the oldest first */
    size_t kept_count;
    size_t used_bytes, kept_bytes;
} large = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static size_t rounded(size_t size, size_t unit)
{
    return (size + unit - 1) & ~(unit - 1);
}

/* The kernel refuses to cut a mapping in two where the process has as many as it may have
 * (max_map_count): then it gets back the memory, and nobody the addresses. */
static void unmap(void *begin, size_t size)
{
    if (size == 0 || munmap(begin, size) == 0)
        return;
    if (errno != ENOMEM || madvise(begin, size, MADV_DONTNEED) != 0)
        fatal("cannot give back %zu bytes of memory", size);
}

/* Addresses that begin at a huge page. */
static char *map(size_t size, int protection)
{
    size_t room = size + HUGE_PAGE;
    char *begin = mmap(NULL, room, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (begin == MAP_FAILED)
        return NULL;
    size_t before = rounded((uintptr_t)begin, HUGE_PAGE) - (uintptr_t)begin;
    unmap(begin, before);
    unmap(begin + before + size, room - before - size);
    return begin + before;
}

static char *map_new(size_t size)
{
    char *begin = map(size, PROT_READ | PROT_WRITE);
    if (begin)
        (void)madvise(begin, size, MADV_HUGEPAGE); /* a kernel without them says no */
    return begin;
}

/* What is in it stays where it is in memory, and comes under other addresses. */
static char *remap(char *begin, size_t before, size_t size)
{
    if (mremap(begin, before, size, 0) != MAP_FAILED)
        return begin;
    char *into = map(size, PROT_NONE);
    if (!into)
        return NULL;
    /* Where that fails `into` may be unmapped already, and what another thread mapped since may be
     * there: it is not ours to unmap.  At worst the addresses are lost; they have no memory. */
    if (mremap(begin, before, size, MREMAP_MAYMOVE | MREMAP_FIXED, into) == MAP_FAILED)
        return NULL;
    return into;
}

/* ---- what is in use ------------------------------------------------------------------------ */

/* The first that does not begin before it. */
static size_t place_of(const void *memory)
{
    size_t from = 0, to = large.count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if ((uintptr_t)large.blocks[middle].begin < (uintptr_t)memory)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static struct block *find(const void *memory)
{
    size_t place = place_of(memory);
    return place < large.count && large.blocks[place].begin == memory ? &large.blocks[place] : NULL;
}

static void *note(char *begin, size_t size)
{
    if (large.count == large.capacity) {
        large.capacity = large.capacity ? 2 * large.capacity : 64;
        large.blocks = realloc(large.blocks, large.capacity * sizeof *large.blocks);
        if (!large.blocks)
            fatal("out of memory");
    }
    size_t place = place_of(begin);
    memmove(large.blocks + place + 1, large.blocks + place,
            (large.count - place) * sizeof *large.blocks);
    large.blocks[place] = (struct block){begin, size};
    large.count++;
    large.used_bytes += size;
    return begin;
}

static struct block forget(const void *memory)
{
    struct block *block = find(memory), found;
    check(block);
    found = *block;
    large.count--;
    memmove(block, block + 1, (size_t)(large.blocks + large.count - block) * sizeof *block);
    large.used_bytes -= found.size;
    return found;
}

/* ---- what is kept -------------------------------------------------------------------------- */

static struct block take_kept(size_t place)
{
    struct block block = large.kept[place];
    large.kept_count--;
    memmove(large.kept + place, large.kept + place + 1,
            (large.kept_count - place) * sizeof *large.kept);
    large.kept_bytes -= block.size;
    return block;
}

/* What is to be unmapped once the mutex is free. */
struct gone {
    struct block blocks[LARGE_KEPT_BLOCKS];
    size_t count;
};

static void let_go(struct gone *gone, char *begin, size_t size)
{
    check(gone->count < LARGE_KEPT_BLOCKS);
    gone->blocks[gone->count++] = (struct block){begin, size};
}

static void unmap_gone(const struct gone *gone)
{
    for (size_t i = 0; i < gone->count; i++)
        unmap(gone->blocks[i].begin, gone->blocks[i].size);
}

static void keep(struct block block, struct gone *gone)
{
    if (block.size > LARGE_KEPT) {
        let_go(gone, block.begin, block.size);
        return;
    }
    while (large.kept_count == LARGE_KEPT_BLOCKS || large.kept_bytes + block.size > LARGE_KEPT) {
        struct block oldest = take_kept(0);
        let_go(gone, oldest.begin, oldest.size);
    }
    large.kept[large.kept_count++] = block;
    large.kept_bytes += block.size;
}

/* The smallest that is large enough; else the largest. */
static size_t choose(size_t size)
{
    size_t best = 0;
    for (size_t i = 1; i < large.kept_count; i++) {
        size_t this = large.kept[i].size, that = large.kept[best].size;
        if (this >= size ? that < size || this < that : this > that)
            best = i;
    }
    return best;
}

/* One that is kept, of `size` or less; what it has more is kept, or let go.  {0}: none is. */
static struct block reuse(size_t size, struct gone *gone)
{
    if (large.kept_count == 0)
        return (struct block){0};
    struct block block = take_kept(choose(size));
    if (block.size <= size)
        return block;
    size_t end = block.size, whole = rounded(size, HUGE_PAGE);
    if (block.size >= whole + LARGE_MIN) {
        keep((struct block){block.begin + whole, block.size - whole}, gone);
        end = whole;
    }
    let_go(gone, block.begin + size, end - size);
    return (struct block){block.begin, size};
}

/* ---- for others ---------------------------------------------------------------------------- */

static void *noted(char *begin, size_t size)
{
    pthread_mutex_lock(&large.mutex);
    note(begin, size);
    pthread_mutex_unlock(&large.mutex);
    return begin;
}

static struct block forgotten(const void *memory)
{
    pthread_mutex_lock(&large.mutex);
    struct block block = forget(memory);
    pthread_mutex_unlock(&large.mutex);
    return block;
}

/* NULL: there is none, or it cannot be made so large. */
static char *renew(size_t size)
{
    struct gone gone = {.count = 0};
    pthread_mutex_lock(&large.mutex);
    struct block block = reuse(size, &gone);
    pthread_mutex_unlock(&large.mutex);
    unmap_gone(&gone);
    if (!block.begin || block.size == size)
        return block.begin;
    char *grown = remap(block.begin, block.size, size);
    if (!grown)
        unmap(block.begin, block.size);
    return grown;
}

static void *new_block(size_t size, bool is_zeroed)
{
    check(size >= LARGE_MIN);
    size = rounded(size, PAGE);
    char *begin = is_zeroed ? NULL : renew(size);
    if (!begin)
        begin = map_new(size);
    return begin ? noted(begin, size) : NULL;
}

void *large_new(size_t size)
{
    return new_block(size, false);
}

void *large_new_zeroed(size_t size)
{
    return new_block(size, true);
}

bool large_has(const void *memory)
{
    if (!memory || (uintptr_t)memory % HUGE_PAGE)
        return false;
    pthread_mutex_lock(&large.mutex);
    bool has = find(memory) != NULL;
    pthread_mutex_unlock(&large.mutex);
    return has;
}

size_t large_size(const void *memory)
{
    pthread_mutex_lock(&large.mutex);
    size_t size = find(memory)->size;
    pthread_mutex_unlock(&large.mutex);
    return size;
}

/* It is forgotten first: once it is moved another thread's may be where it was. */
void *large_resize(void *memory, size_t size)
{
    check(size >= LARGE_MIN);
    size = rounded(size, PAGE);
    struct block block = forgotten(memory);
    char *begin = size > block.size ? remap(block.begin, block.size, size) : block.begin;
    if (!begin) {
        noted(block.begin, block.size);
        return NULL;
    }
    noted(begin, size);
    if (size < block.size)
        unmap(begin + size, block.size - size);
    return begin;
}

void large_free(void *memory)
{
    struct gone gone = {.count = 0};
    pthread_mutex_lock(&large.mutex);
    keep(forget(memory), &gone);
    pthread_mutex_unlock(&large.mutex);
    unmap_gone(&gone);
}

struct large_status large_status(void)
{
    pthread_mutex_lock(&large.mutex);
    struct large_status status = {large.used_bytes, large.kept_bytes};
    pthread_mutex_unlock(&large.mutex);
    return status;
}

bool large_trim(void)
{
    struct block oldest = {0};
    pthread_mutex_lock(&large.mutex);
    if (large.kept_count > 0)
        oldest = take_kept(0);
    pthread_mutex_unlock(&large.mutex);
    unmap(oldest.begin, oldest.size);
    return oldest.begin != NULL;
}
