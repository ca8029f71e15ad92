/* One space of a table as the layers together show it, in order of (word, name). */
#ifndef DATA_MERGE_H
#define DATA_MERGE_H

#include "data/layers.h"

struct merge {
    struct db *db; /* borrowed; must not change while the merge is open */
    enum table table;
    uint64_t space;
    struct overlay_iter active, frozen;
    struct kv_iter *kv_iter; /* owned; NULL: the kv has nothing (more) */
    struct place kv_place;   /* its name, as the record, borrowed from kv_iter */
    struct bytes kv_record;
    unsigned spent; /* sources that the present name came from */

    /* The present one; borrowed until the next call. */
    uint64_t word;
    struct bytes name, record;
};

/* `space`: 0 for tables that have none. */
void merge_open(struct merge *merge, struct db *db, enum table table, uint64_t space,
                uint64_t word_from);
bool merge_next(struct merge *merge); /* false: at the end */
void merge_close(struct merge *merge);

#endif
