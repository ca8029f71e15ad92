/* Changes kept in memory: an ordered map from (word, name) to a record or a tombstone.
 *
 * A Judy array maps the word to a chain of entries in order of their names; the chain is nearly
 * always one long, since words are hashes.  Ordered, so that a checkpoint writes it without sorting
 * and a scan can merge it.  Any number of threads may read one that nobody changes. */
#ifndef DATA_OVERLAY_H
#define DATA_OVERLAY_H

#include <stdint.h>

#include "base/bytes.h"

struct entry {
    struct entry *next; /* same word, greater name; owned */
    size_t record_size;
    size_t record_capacity;
    uint32_t name_size;
    bool is_tombstone;
    /* The layers below this overlay have the name: to delete it takes a tombstone. */
    bool is_below;
    unsigned char data[]; /* name, record */
};

struct overlay {
    void *map; /* JudyL, word -> struct entry *; owned */
    uint64_t entries;
    uint64_t bytes; /* memory, about */
};

/* What a name was in the overlay before it was put. */
enum overlay_before { OVERLAY_ABSENT, OVERLAY_LIVE, OVERLAY_DEAD };

/* NULL: the overlay says nothing of this name. */
struct entry *overlay_find(const struct overlay *overlay, uint64_t word, struct bytes name);
/* The record is `header` and `payload` together; the payload may lie in the entry replaced. */
struct entry *overlay_put(struct overlay *overlay, uint64_t word, struct bytes name,
                          struct bytes header, struct bytes payload, enum overlay_before *before);
/* Makes it a tombstone. */
struct entry *overlay_bury(struct overlay *overlay, uint64_t word, struct bytes name);
/* Forgets an entry that is there. */
void overlay_remove(struct overlay *overlay, uint64_t word, struct bytes name);
void overlay_deinit(struct overlay *overlay);

static inline struct bytes entry_name(const struct entry *entry)
{
    return bytes_of(entry->data, entry->name_size);
}

static inline struct bytes entry_record(const struct entry *entry)
{
    return bytes_of(entry->data + entry->name_size, entry->record_size);
}

/* A walk in order; the overlay must not change meanwhile. */
struct overlay_iter {
    const struct overlay *overlay; /* borrowed */
    uint64_t word;
    const struct entry *entry; /* NULL: at the end */
};

void overlay_seek(struct overlay_iter *iter, const struct overlay *overlay, uint64_t word_from);
void overlay_step(struct overlay_iter *iter); /* not at the end */

/* Order of names within a word: that of their bytes, as in the kv. */
int overlay_name_compare(struct bytes a, struct bytes b);

#endif
