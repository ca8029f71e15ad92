/* See memory_trim.h. */
#include "base/memory_trim.h"

#include <string.h>

#include "base/fatal.h"
#include "base/large.h"
#include "base/log.h"
#include "base/thread.h"

static void *thread_main(void *context)
{
    struct memory_trim *trim = context;
    while (!atomic_load(&trim->keeps_blocks) && large_trim())
        ;
    atomic_store(&trim->is_over, true);
    return NULL;
}

static bool is_under_way(const struct memory_trim *trim)
{
    return trim->is_begun && !atomic_load(&trim->is_over);
}

void memory_trim_begin(struct memory_trim *trim)
{
    if (is_under_way(trim))
        return;
    memory_trim_end(trim);
    atomic_store(&trim->is_over, false);
    atomic_store(&trim->keeps_blocks, false);
    int error = thread_start(&trim->thread, "memory-trim", thread_main, trim);
    if (error) { /* nothing is lost: it is tried again */
        log_warning("cannot start the thread that gives back memory: %s", strerror(error));
        return;
    }
    trim->is_begun = true;
}

void memory_trim_keep_blocks(struct memory_trim *trim)
{
    atomic_store(&trim->keeps_blocks, true);
}

void memory_trim_end(struct memory_trim *trim)
{
    if (trim->is_begun && pthread_join(trim->thread, NULL) != 0)
        fatal("cannot join the thread that gives back memory");
    trim->is_begun = false;
}
