/* The keys of a union, an intersection or a difference of sorted sets.  There may be a million of
 * them, most of which hold nothing: each is looked at once, in slices, those that hold something
 * are put in order, and from then on only those are opened, when their turn comes. */
#ifndef COMMAND_SORTED_SOURCES_H
#define COMMAND_SORTED_SOURCES_H

#include "command/ordered.h"

/* A sorted set, or a set, whose members have the score 1. */
struct sorted_source {
    bool is_plain;
    struct ordered set;
    struct fields plain;
};

void sorted_source_close(struct sorted_source *source);

struct sorted_sources;

struct sorted_sources *sorted_sources_new(uint32_t first, uint32_t keys); /* words of the call */
void sorted_sources_free(struct sorted_sources *sources);

enum sorted_sources_step {
    SORTED_SOURCES_MORE,
    SORTED_SOURCES_ANSWERED, /* one is of another type */
    SORTED_SOURCES_KNOWN
};

/* One slice, until db_work() is `work_end`.  `by_size`: the smallest is to be first, of equal ones
 * that which was said first. */
enum sorted_sources_step sorted_sources_look(struct sorted_sources *sources, struct call *call,
                                             bool by_size, uint64_t work_end);

/* Of those that are known: */
uint32_t sorted_sources_count(const struct sorted_sources *sources); /* that hold something */
bool sorted_sources_first_is_empty(const struct sorted_sources *sources);
/* Which key it was, from 0 on. */
uint32_t sorted_sources_place(const struct sorted_sources *sources, uint32_t i);
/* Opens it once more; nobody counts that.  To be closed. */
void sorted_sources_open(const struct sorted_sources *sources, struct call *call, uint32_t i,
                         struct sorted_source *source);

#endif
