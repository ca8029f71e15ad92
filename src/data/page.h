/* A page of a counted tree (tree.h), as it is stored:
 *
 *      0  1  format, 16: unlike that of any other payload of a key, for a leaf can be one
 *      1  1  level: 0 for a leaf
 *      2     entries, one behind the other, in order:
 *            size of the key, size of the value: LEB128, the shortest form
 *            key, value
 *
 * In a leaf the entries are the tree's.  In an inner page they are children: the key is a bound,
 * not above what is in the child and above all that is in the child before (empty for the first),
 * the value its page number and how many entries of leaves are below it, 8 bytes each, little
 * endian. */
#ifndef DATA_PAGE_H
#define DATA_PAGE_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/codec.h"

enum { PAGE_HEADER = 2, PAGE_CHILD_SIZE = 16, PAGE_ENTRY_HEAD_MAX = 10 };

struct page_entry {
    size_t at, end;          /* where it begins, and the next one */
    struct bytes key, value; /* borrowed */
};

struct page_child {
    uint64_t number, count;
};

void page_init(struct buffer *page, unsigned level);
bool page_is_of(struct bytes page, unsigned level);
/* page_read() of any entry. */
bool page_read_any(struct bytes page, size_t at, struct page_entry *entry);

/* at: below the page's size.  False: what is there is damaged.  Most sizes take a byte. */
static inline bool page_read(struct bytes page, size_t at, struct page_entry *entry)
{
    const unsigned char *bytes = page.data;
    if (page.size - at < 2 || (bytes[at] | bytes[at + 1]) & 0x80) {
        struct page_entry any = {0}; /* the other one stays in registers */
        bool is_read = page_read_any(page, at, &any);
        *entry = any;
        return is_read;
    }
    size_t key = bytes[at], value = bytes[at + 1], begin = at + 2;
    *entry = (struct page_entry){.at = at,
                                 .end = begin + key + value,
                                 .key = bytes_of(bytes + begin, key),
                                 .value = bytes_of(bytes + begin + key, value)};
    return entry->end <= page.size;
}

/* Passes over those behind `entry` that have its sizes, at most *count, which becomes less: where
 * the next one is does not wait for what is read of each.  Returns where it has come. */
static inline size_t page_pass_alike(struct bytes page, const struct page_entry *entry,
                                     uint64_t *count)
{
    const char *bytes = page.data;
    size_t size = entry->end - entry->at, at = entry->end;
    if (size != 2 + entry->key.size + entry->value.size)
        return at; /* it says its sizes in more than a byte each */
    while (*count > 0 && page.size - at >= size && memcmp(bytes + at, bytes + entry->at, 2) == 0) {
        at += size;
        --*count;
    }
    return at;
}

static inline struct page_child page_child_of(const unsigned char *value)
{
    return (struct page_child){.number = get_u64(value), .count = get_u64(value + 8)};
}

/* Of an inner page.  False: damaged. */
static inline bool page_read_child(struct bytes page, size_t at, struct page_entry *entry,
                                   struct page_child *child)
{
    if (!page_read(page, at, entry) || entry->value.size != PAGE_CHILD_SIZE)
        return false;
    *child = page_child_of(entry->value.data);
    return child->number > 0 && child->count > 0;
}

/* The same of the last one: its value ends the page. */
static inline bool page_read_last_child(struct bytes page, struct page_child *child)
{
    if (page.size < PAGE_HEADER + PAGE_CHILD_SIZE)
        return false;
    *child = page_child_of((const unsigned char *)page.data + page.size - PAGE_CHILD_SIZE);
    return child->number > 0 && child->count > 0;
}

size_t page_entry_size(struct bytes key, struct bytes value);
/* What stands before them: into `out`, of PAGE_ENTRY_HEAD_MAX bytes.  Returns its size. */
size_t page_entry_head(struct bytes key, struct bytes value, unsigned char *out);
/* key and value must not be of this page. */
void page_insert(struct buffer *page, size_t at, struct bytes key, struct bytes value);
void page_erase(struct buffer *page, size_t from, size_t to);
void page_insert_child(struct buffer *page, size_t at, struct bytes bound,
                       const struct page_child *child);
/* Of the entry of `page` that ends there, without moving anything. */
void page_set_child(struct buffer *page, size_t end, const struct page_child *child);

#endif
