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
/* at: below the page's size.  False: what is there is damaged. */
bool page_read(struct bytes page, size_t at, struct page_entry *entry);
/* Of an inner page.  False: damaged. */
bool page_read_child(struct bytes page, size_t at, struct page_entry *entry,
                     struct page_child *child);
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
