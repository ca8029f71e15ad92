/* A table of what lies elsewhere, by a hash of 64 bits, which grows and shrinks by a bucket or a
 * few at a time (linear hashing, Litwin 1980): to put one into a table of a million takes no longer
 * than into one of ten, but for the copy of the array of buckets, 8 bytes each, where that doubles.
 *
 * Who uses it embeds a link and compares what the links of the same hash belong to.  Neither the
 * order nor the time of a look depends on more than the hashes, which the caller chooses: where
 * clients or members choose what is in it, with a secret of the process, or they make all of it one
 * bucket. */
#ifndef BASE_HASH_TABLE_H
#define BASE_HASH_TABLE_H

#include <stdint.h>

struct hash_link {
    struct hash_link *next; /* of the bucket */
    uint64_t hash;
};

/* All zero: an empty one. */
struct hash_table {
    struct hash_link **buckets; /* owned */
    uint64_t bucket_count, capacity;
    uint64_t count;
    uint64_t moved; /* links that went to another bucket so far, for tests */
};

/* It has to be empty. */
void hash_table_deinit(struct hash_table *table);
/* All links at once are nobody's any more, whatever their number. */
void hash_table_clear(struct hash_table *table);
/* Borrows the link until it is removed. */
void hash_table_add(struct hash_table *table, struct hash_link *link, uint64_t hash);
void hash_table_remove(struct hash_table *table, struct hash_link *link);
/* The first link that has the hash; NULL: none.  And the one behind a link. */
struct hash_link *hash_table_find(const struct hash_table *table, uint64_t hash);
struct hash_link *hash_table_next(const struct hash_link *link);

#endif
