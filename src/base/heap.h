/* What malloc says of itself; blocks that are mappings of their own are not in it (base/large.h).
 *
 * malloc is jemalloc's, told what to do by main.c.  With a sanitizer, which brings its own, all is
 * 0.  Any thread. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stddef.h>

struct heap_status {
    size_t used; /* bytes, of blocks that somebody has */
    size_t held; /* bytes, of pages in which somebody has a block */
};

/* Takes microseconds, however many blocks there are. */
struct heap_status heap_status(void);

/* As INFO calls it: "jemalloc-5.3.0". */
const char *heap_name(void);

#endif
