/* The bytes of a page.  No state. */
#include "data/page.h"

#include "base/codec.h"
#include "base/fatal.h"

enum { PAGE_FORMAT = 16, NUMBER_MAX_SIZE = 5 };

_Static_assert((int)PAGE_ENTRY_HEAD_MAX == 2 * (int)NUMBER_MAX_SIZE, "two sizes");

void page_init(struct buffer *page, unsigned level)
{
    check(level < 256);
    buffer_clear(page);
    buffer_append_byte(page, PAGE_FORMAT);
    buffer_append_byte(page, (char)level);
}

bool page_is_of(struct bytes page, unsigned level)
{
    const unsigned char *at = page.data;
    return page.size > PAGE_HEADER && at[0] == PAGE_FORMAT && at[1] == level;
}

/* False: damaged, or not in its shortest form. */
static bool read_number(struct bytes page, size_t *at, uint32_t *number)
{
    const unsigned char *bytes = page.data;
    uint64_t sum = 0;
    for (unsigned i = 0; i < NUMBER_MAX_SIZE && *at < page.size; i++) {
        unsigned char byte = bytes[(*at)++];
        sum |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte & 0x80)
            continue;
        *number = (uint32_t)sum;
        return sum <= UINT32_MAX && (byte > 0 || i == 0);
    }
    return false;
}

static size_t number_bytes(size_t number, unsigned char *out)
{
    size_t size = 0;
    check(number <= UINT32_MAX);
    for (; number >= 0x80; number >>= 7)
        out[size++] = (unsigned char)(number | 0x80);
    out[size++] = (unsigned char)number;
    return size;
}

bool page_read_any(struct bytes page, size_t at, struct page_entry *entry)
{
    uint32_t key, value;
    entry->at = at;
    if (!read_number(page, &at, &key) || !read_number(page, &at, &value))
        return false;
    if (page.size - at < (uint64_t)key + value)
        return false;
    entry->key = bytes_of((const char *)page.data + at, key);
    entry->value = bytes_of((const char *)page.data + at + key, value);
    entry->end = at + key + value;
    return true;
}

size_t page_entry_head(struct bytes key, struct bytes value, unsigned char *out)
{
    size_t size = number_bytes(key.size, out);
    return size + number_bytes(value.size, out + size);
}

size_t page_entry_size(struct bytes key, struct bytes value)
{
    unsigned char head[PAGE_ENTRY_HEAD_MAX];
    return page_entry_head(key, value, head) + key.size + value.size;
}

static char *copy(char *to, const void *from, size_t size)
{
    if (size > 0)
        memcpy(to, from, size);
    return to + size;
}

void page_insert(struct buffer *page, size_t at, struct bytes key, struct bytes value)
{
    unsigned char head[PAGE_ENTRY_HEAD_MAX];
    size_t head_size = page_entry_head(key, value, head), more = head_size + key.size + value.size;
    check(at >= PAGE_HEADER && at <= page->size);
    buffer_reserve(page, more);
    memmove(page->data + at + more, page->data + at, page->size - at);
    char *to = copy(page->data + at, head, head_size);
    to = copy(to, key.data, key.size);
    copy(to, value.data, value.size);
    page->size += more;
}

void page_erase(struct buffer *page, size_t from, size_t to)
{
    check(from >= PAGE_HEADER && from <= to && to <= page->size);
    memmove(page->data + from, page->data + to, page->size - to);
    page->size -= to - from;
}

static void put_child(unsigned char *out, const struct page_child *child)
{
    put_u64(out, child->number);
    put_u64(out + 8, child->count);
}

void page_insert_child(struct buffer *page, size_t at, struct bytes bound,
                       const struct page_child *child)
{
    unsigned char value[PAGE_CHILD_SIZE];
    put_child(value, child);
    page_insert(page, at, bound, bytes_of(value, sizeof value));
}

void page_set_child(struct buffer *page, size_t end, const struct page_child *child)
{
    check(end >= PAGE_HEADER + PAGE_CHILD_SIZE && end <= page->size);
    put_child((unsigned char *)page->data + end - PAGE_CHILD_SIZE, child);
}
