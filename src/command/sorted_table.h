/* Members with scores, found by name and in the end put in order: what a union of sorted sets is
 * made in.  No step of it takes longer for there being many: it grows a bucket at a time, and is
 * sorted in as many pieces as one likes. */
#ifndef COMMAND_SORTED_TABLE_H
#define COMMAND_SORTED_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct sorted_element {
    double score;
    struct sorted_element *chain; /* the next of its bucket */
    struct sorted_element *next;  /* in the order in which they were added */
    uint64_t hash;
    size_t size;
    char member[]; /* size bytes */
};

struct sorted_table;

struct sorted_table *sorted_table_new(void);
void sorted_table_free(struct sorted_table *table);

/* NULL: it is not there.  `hash` is that of the member, the same for it each time. */
struct sorted_element *sorted_table_find(const struct sorted_table *table, uint64_t hash,
                                         struct bytes member);
/* One that is not there. */
void sorted_table_add(struct sorted_table *table, uint64_t hash, struct bytes member, double score);
struct sorted_element *sorted_table_first(const struct sorted_table *table); /* NULL: none */

/* Once all are added: takes one into the order to come; those that are not taken are left out. */
void sorted_table_take(struct sorted_table *table, struct sorted_element *element);
uint64_t sorted_table_taken(const struct sorted_table *table);
/* Then: some of the sorting, by score and member.  True: it is done. */
bool sorted_table_sort(struct sorted_table *table, uint64_t steps);
/* And then: i < those taken. */
const struct sorted_element *sorted_table_at(const struct sorted_table *table, uint64_t i);

#endif
