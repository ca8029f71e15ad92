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

enum { PAGE_HEADER = 2, PAGE_CHILD_SIZE = 16 };

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
    if (page.size - at < 2 || (bytes[at] | bytes[at + 1]) & 0x80)
        return page_read_any(page, at, entry);
    size_t key = bytes[at], value = bytes[at + 1], begin = at + 2;
    *entry = (struct page_entry){.at = at,
                                 .end = begin + key + value,
                                 .key = bytes_of(bytes + begin, key),
                                 .value = bytes_of(bytes + begin + key, value)};
    return entry->end <= page.size;
}

/* Of an inner page.  False: damaged. */
static inline bool page_read_child(struct bytes page, size_t at, struct page_entry *entry,
                                   struct page_child *child)
{
    if (!page_read(page, at, entry) || entry->value.size != PAGE_CHILD_SIZE)
        return false;
    const unsigned char *value = entry->value.data;
    *child = (struct page_child){.number = get_u64(value), .count = get_u64(value + 8)};
    return child->number > 0 && child->count > 0;
}

size_t page_entry_size(struct bytes key, struct bytes value);
/* key and value must not be of this page. */
void page_insert(struct buffer *page, size_t at, struct bytes key, struct bytes value);
void page_erase(struct buffer *page, size_t from, size_t to);
void page_insert_child(struct buffer *page, size_t at, struct bytes bound,
                       const struct page_child *child);
/* At `entry` of `page`, without moving anything. */
void page_set_child(struct buffer *page, const struct page_entry *entry,
                    const struct page_child *child);

#endif
