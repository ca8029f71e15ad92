/* See sorted_table.h.  Linear hashing: with each member that is added one more bucket is split, so
 * that they stay short without ever being made anew.  Deterministic. */
#include "command/sorted_table.h"

#include <string.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "command/sorted.h"

enum {
    SEGMENT = 256, /* buckets */
    BLOCK_MIN = 4096,
    BLOCK_MAX = 256 * 1024, /* bytes of elements */
    ALIGNMENT = sizeof(void *)
};

struct block {
    struct block *next;
    size_t used, size;
    char bytes[];
};

/* A merge of neighbors, each so wide, from one array into the other. */
struct sort {
    struct sorted_element **from, **to; /* owned */
    uint64_t width;
    uint64_t begin, left, right, out; /* of the two that are merged, and where it has come */
};

struct sorted_table {
    struct sorted_element ***segments; /* owned */
    uint64_t segments_count, segments_room;
    uint64_t round; /* buckets when the present round of splits began, a power of two */
    uint64_t buckets;
    uint64_t count, taken;
    struct sorted_element *first, *last;
    struct block *blocks; /* owned; the newest first */
    struct sort sort;
};

static void add_bucket(struct sorted_table *table)
{
    if (table->buckets == table->segments_count * SEGMENT) {
        if (table->segments_count == table->segments_room) {
            table->segments_room = 2 * table->segments_room + 1;
            table->segments =
                memory_resize(table->segments, table->segments_room * sizeof *table->segments);
        }
        table->segments[table->segments_count++] =
            memory_new(SEGMENT * sizeof(struct sorted_element *));
    }
    table->buckets++;
}

struct sorted_table *sorted_table_new(void)
{
    struct sorted_table *table = memory_new(sizeof *table);
    add_bucket(table);
    table->round = 1;
    return table;
}

void sorted_table_free(struct sorted_table *table)
{
    for (struct block *block = table->blocks, *next; block; block = next) {
        next = block->next;
        memory_free(block);
    }
    for (uint64_t i = 0; i < table->segments_count; i++)
        memory_free(table->segments[i]);
    memory_free(table->segments);
    memory_free(table->sort.from);
    memory_free(table->sort.to);
    memory_free(table);
}

/* ---- finding ----------------------------------------------------------------------------- */

static struct sorted_element **bucket_at(const struct sorted_table *table, uint64_t i)
{
    return &table->segments[i / SEGMENT][i % SEGMENT];
}

static struct sorted_element **bucket_of(const struct sorted_table *table, uint64_t hash)
{
    uint64_t i = hash & (2 * table->round - 1);
    return bucket_at(table, i < table->buckets ? i : i - table->round);
}

struct sorted_element *sorted_table_find(const struct sorted_table *table, uint64_t hash,
                                         struct bytes member)
{
    struct sorted_element *element = *bucket_of(table, hash);
    while (element && (element->hash != hash ||
                       !bytes_equal(bytes_of(element->member, element->size), member)))
        element = element->chain;
    return element;
}

struct sorted_element *sorted_table_first(const struct sorted_table *table)
{
    return table->first;
}

/* ---- adding -------------------------------------------------------------------------------- */

static void split_one(struct sorted_table *table)
{
    add_bucket(table);
    struct sorted_element **old = bucket_at(table, table->buckets - 1 - table->round);
    struct sorted_element *element = *old, *next;
    *old = NULL;
    for (; element; element = next) {
        next = element->chain;
        struct sorted_element **bucket = bucket_of(table, element->hash);
        element->chain = *bucket;
        *bucket = element;
    }
    if (table->buckets == 2 * table->round)
        table->round = table->buckets;
}

static void *room_for(struct sorted_table *table, size_t size)
{
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct block *block = table->blocks;
    if (!block || block->size - block->used < size) {
        size_t room = !block ? BLOCK_MIN : block->size < BLOCK_MAX ? 2 * block->size : BLOCK_MAX;
        if (room < size)
            room = size;
        block = memory_new(sizeof *block + room);
        block->size = room;
        block->next = table->blocks;
        table->blocks = block;
    }
    block->used += size;
    return block->bytes + block->used - size;
}

void sorted_table_add(struct sorted_table *table, uint64_t hash, struct bytes member, double score)
{
    struct sorted_element *element = room_for(table, sizeof *element + member.size);
    struct sorted_element **bucket = bucket_of(table, hash);
    *element = (struct sorted_element){
        .score = score, .chain = *bucket, .hash = hash, .size = member.size};
    if (member.size)
        memcpy(element->member, member.data, member.size);
    *bucket = element;
    if (table->last)
        table->last->next = element;
    else
        table->first = element;
    table->last = element;
    table->count++;
    if (table->count > table->buckets)
        split_one(table);
}

/* ---- sorting ------------------------------------------------------------------------------- */

void sorted_table_take(struct sorted_table *table, struct sorted_element *element)
{
    if (!table->sort.from)
        table->sort.from = memory_new(table->count * sizeof *table->sort.from);
    table->sort.from[table->taken++] = element;
}

uint64_t sorted_table_taken(const struct sorted_table *table)
{
    return table->taken;
}

static bool is_before(const struct sorted_element *a, const struct sorted_element *b)
{
    uint64_t one = sorted_bits(a->score), other = sorted_bits(b->score);
    if (one != other)
        return one < other;
    int order = memcmp(a->member, b->member, a->size < b->size ? a->size : b->size);
    return order ? order < 0 : a->size < b->size;
}

static uint64_t at_most(uint64_t i, uint64_t most)
{
    return i < most ? i : most;
}

static void begin_merge(struct sort *sort, uint64_t begin, uint64_t count)
{
    sort->begin = sort->left = sort->out = begin;
    sort->right = at_most(begin + sort->width, count);
}

static void merge_one(struct sort *sort, uint64_t count)
{
    uint64_t middle = at_most(sort->begin + sort->width, count);
    uint64_t end = at_most(middle + sort->width, count);
    bool takes_left =
        sort->left < middle &&
        (sort->right == end || !is_before(sort->from[sort->right], sort->from[sort->left]));
    sort->to[sort->out++] = sort->from[takes_left ? sort->left++ : sort->right++];
    if (sort->out < end)
        return;
    if (end < count) {
        begin_merge(sort, end, count);
        return;
    }
    struct sorted_element **sorted = sort->to;
    sort->to = sort->from;
    sort->from = sorted;
    sort->width *= 2;
    begin_merge(sort, 0, count);
}

bool sorted_table_sort(struct sorted_table *table, uint64_t steps)
{
    struct sort *sort = &table->sort;
    if (!sort->to && table->taken > 1) {
        sort->to = memory_new(table->taken * sizeof *sort->to);
        sort->width = 1;
        begin_merge(sort, 0, table->taken);
    }
    for (; steps > 0 && sort->width < table->taken && table->taken > 1; steps--)
        merge_one(sort, table->taken);
    return table->taken < 2 || sort->width >= table->taken;
}

const struct sorted_element *sorted_table_at(const struct sorted_table *table, uint64_t i)
{
    check(i < table->taken);
    return table->sort.from[i];
}
