/* See hash_table.h.
 *
 * Buckets are as many as the links.  They are numbered by the lower bits of a hash, one bit more
 * than the numbers that all of them have; what would be in one that is not there yet is in the one
 * that has a 0 in place of the upper bit, from which it is taken when that bucket comes. */
#include "base/hash_table.h"

#include "base/fatal.h"
#include "base/memory.h"

enum {
    BUCKETS_MIN = 16,
    SPARE = 4 /* times as many buckets as links are too many */
};

/* The bits that number `count` buckets. */
static uint64_t mask_of(uint64_t count)
{
    return count <= 1 ? 0 : UINT64_MAX >> __builtin_clzll(count - 1);
}

static struct hash_link **bucket_of(const struct hash_table *table, uint64_t hash)
{
    uint64_t mask = mask_of(table->bucket_count), number = hash & mask;
    if (number >= table->bucket_count)
        number &= mask >> 1;
    return &table->buckets[number];
}

static void resize(struct hash_table *table, uint64_t capacity)
{
    table->buckets = memory_resize(table->buckets, capacity * sizeof *table->buckets);
    table->capacity = capacity;
}

static void push(struct hash_link **bucket, struct hash_link *link)
{
    link->next = *bucket;
    *bucket = link;
}

/* One bucket more, with what is its own of another. */
static void split(struct hash_table *table)
{
    uint64_t number = table->bucket_count, mask = mask_of(number + 1);
    if (number == table->capacity)
        resize(table, 2 * number);
    struct hash_link **from = &table->buckets[number & (mask >> 1)], **into;
    into = &table->buckets[number];
    *into = NULL;
    table->bucket_count++;
    while (*from) {
        struct hash_link *link = *from;
        if ((link->hash & mask) != number) {
            from = &link->next;
            continue;
        }
        *from = link->next;
        push(into, link);
        table->moved++;
    }
}

/* One less: the last, back to where its links were before. */
static void merge(struct hash_table *table)
{
    struct hash_link *link = table->buckets[--table->bucket_count], *next;
    for (; link; link = next) {
        next = link->next;
        push(bucket_of(table, link->hash), link);
        table->moved++;
    }
    if (table->bucket_count <= table->capacity / SPARE)
        resize(table, table->capacity / 2);
}

void hash_table_deinit(struct hash_table *table)
{
    check(table->count == 0);
    memory_free(table->buckets);
    *table = (struct hash_table){0};
}

void hash_table_clear(struct hash_table *table)
{
    memory_free(table->buckets);
    *table = (struct hash_table){.moved = table->moved};
}

void hash_table_add(struct hash_table *table, struct hash_link *link, uint64_t hash)
{
    if (!table->buckets) {
        resize(table, BUCKETS_MIN);
        for (table->bucket_count = 0; table->bucket_count < BUCKETS_MIN; table->bucket_count++)
            table->buckets[table->bucket_count] = NULL;
    }
    if (table->count >= table->bucket_count)
        split(table);
    link->hash = hash;
    push(bucket_of(table, hash), link);
    table->count++;
}

void hash_table_remove(struct hash_table *table, struct hash_link *link)
{
    check(table->count > 0);
    struct hash_link **at = bucket_of(table, link->hash);
    while (*at != link) {
        check(*at);
        at = &(*at)->next;
    }
    *at = link->next;
    table->count--;
    while (table->bucket_count > BUCKETS_MIN && table->count < table->bucket_count / SPARE)
        merge(table);
}

static struct hash_link *from(struct hash_link *link, uint64_t hash)
{
    while (link && link->hash != hash)
        link = link->next;
    return link;
}

struct hash_link *hash_table_find(const struct hash_table *table, uint64_t hash)
{
    return table->count > 0 ? from(*bucket_of(table, hash), hash) : NULL;
}

struct hash_link *hash_table_next(const struct hash_link *link)
{
    return from(link->next, link->hash);
}
