/* See tree.h.  What holds of every tree:
 *
 * T1  All leaves are on level 0, the top page on level height - 1; no page is empty, and a top page
 *     that is not a leaf has two children at least.
 * T2  A child's entry says how many entries of leaves are below it.
 * T3  Keys rise; the bound of a child is not above what is in it, and above what is in the child
 *     before it.  The first child's bound is empty, and so are all in a tree without keys.
 * T4  A page without its largest entry is at most twice DB_TREE_PAGE_MAX, and that only beside a
 *     large entry or where it has too few entries to be cut in two; without such it is at most
 *     DB_TREE_PAGE_MAX.
 *
 * A page that shrinks below PAGE_SMALL is joined with one beside it, if they fit into one.  A page
 * that grows too large is cut in the middle, or, if it grew at the end of the tree, there: what
 * comes in order fills its pages.  Loop thread. */
#include "data/tree.h"

#include "base/codec.h"
#include "base/fatal.h"
#include "data/overlay.h"
#include "data/page.h"

#ifndef DB_TREE_PAGE_MAX
#define DB_TREE_PAGE_MAX 2048
#endif

enum {
    PAGE_SMALL = DB_TREE_PAGE_MAX / 4,
    LEAF_ENTRIES_MIN = 2,  /* of a page that is cut in two */
    INNER_ENTRIES_MIN = 8, /* likewise: so the tree is flat even if its bounds are huge */
    LEVELS_MAX = 40        /* 2^64 entries have fewer */
};

_Static_assert(2 * PAGE_SMALL <= DB_TREE_PAGE_MAX, "two small pages fit into one");

static const struct bytes nothing = {0};

/* ---- the root ---------------------------------------------------------------- */

void db_tree_root_encode(unsigned char *out, const struct db_tree_root *root)
{
    put_u64(out, root->count);
    put_u64(out + 8, root->page);
    put_u64(out + 16, root->next);
    put_u32(out + 24, root->height);
}

bool db_tree_root_decode(struct bytes bytes, struct db_tree_root *root)
{
    const unsigned char *at = bytes.data;
    if (bytes.size != DB_TREE_ROOT_SIZE)
        return false;
    *root = (struct db_tree_root){.count = get_u64(at),
                                  .page = get_u64(at + 8),
                                  .next = get_u64(at + 16),
                                  .height = get_u32(at + 24)};
    bool is_empty = root->count == 0;
    return is_empty == (root->page == 0) && is_empty == (root->height == 0) &&
           root->page <= root->next && root->height < LEVELS_MAX;
}

/* ---- pages -------------------------------------------------------------------- */

_Noreturn static void damaged(const struct db_tree *tree, uint64_t number)
{
    fatal("data: page %llu of space %llu is damaged", (unsigned long long)number,
          (unsigned long long)tree->space);
}

/* See db_page_look(). */
static struct db_page load(const struct db_tree *tree, uint64_t number, unsigned level)
{
    struct db_page page;
    if (!db_page_look(tree->db, tree->view, tree->space, number, &page) ||
        !page_is_of(page.bytes, level))
        damaged(tree, number);
    return page;
}

static void load_copy(const struct db_tree *tree, uint64_t number, unsigned level,
                      struct buffer *copy)
{
    struct bytes page = load(tree, number, level).bytes;
    buffer_clear(copy);
    buffer_reserve(copy, page.size + DB_TREE_PAGE_MAX / 4); /* something may be inserted */
    buffer_append_bytes(copy, page);
}

static void store(const struct db_tree *tree, uint64_t number, const struct buffer *page)
{
    db_page_put(tree->db, tree->space, number, buffer_bytes(page));
}

/* How many are below a child of an inner page, whose entry ends there. */
static void store_count(const struct db_tree *tree, uint64_t number, struct db_page *page,
                        size_t end, const struct page_child *child)
{
    unsigned char count[sizeof child->count];
    put_u64(count, child->count);
    struct bytes part = bytes_of(count, sizeof count);
    db_page_edit(tree->db, tree->space, number, page, end - sizeof count, end, &part, 1);
}

/* An entry more in a page that has room for it, before what begins at `at`. */
static void store_entry(const struct db_tree *tree, uint64_t number, struct db_page *page,
                        size_t at, struct bytes key, struct bytes value)
{
    unsigned char head[PAGE_ENTRY_HEAD_MAX];
    struct bytes parts[] = {bytes_of(head, page_entry_head(key, value, head)), key, value};
    db_page_edit(tree->db, tree->space, number, page, at, at, parts, sizeof parts / sizeof *parts);
}

static void store_without(const struct db_tree *tree, uint64_t number, struct db_page *page,
                          size_t from, size_t to)
{
    db_page_edit(tree->db, tree->space, number, page, from, to, NULL, 0);
}

static void drop(const struct db_tree *tree, uint64_t number)
{
    if (!db_page_delete(tree->db, tree->space, number))
        damaged(tree, number);
}

static inline struct page_entry entry_at(const struct db_tree *tree, uint64_t number,
                                         struct bytes page, size_t at)
{
    struct page_entry entry;
    if (!page_read(page, at, &entry))
        damaged(tree, number);
    return entry;
}

static inline struct page_entry child_at(const struct db_tree *tree, uint64_t number,
                                         struct bytes page, size_t at, struct page_child *child)
{
    struct page_entry entry;
    if (!page_read_child(page, at, &entry, child))
        damaged(tree, number);
    return entry;
}

/* ---- looking ------------------------------------------------------------------- */

/* Where to go in a page: by key, or, without one, by rank among what is below. */
struct aim {
    bool by_key;
    bool at_end; /* the place behind the last of a child is looked for, not the first of the next */
    struct bytes key;
    uint64_t rank;
};

/* A child of an inner page. */
struct found {
    struct page_child child;
    struct bytes bound, next_bound; /* of its entry and of the one behind it; lent as the page is */
    size_t end;                     /* of its entry */
    uint64_t before; /* entries of leaves in front of it, in this page's subtree; 0: the first */
    struct db_page page; /* where it is */
};

static struct page_child top_of(const struct db_tree *tree)
{
    return (struct page_child){.number = tree->root.page, .count = tree->root.count};
}

static bool is_beyond(const struct aim *aim, struct bytes bound, uint64_t before)
{
    if (aim->by_key)
        return bytes_compare(bound, aim->key) > 0;
    return before > aim->rank || (before == aim->rank && aim->at_end);
}

/* What grows or shrinks at its end is found without a walk over what is before that, for it is
 * known how many are below the page. */
static bool is_in_last(const struct page_child *at, const struct aim *aim, struct found *found)
{
    struct page_child last;
    if (aim->by_key || !page_read_last_child(found->page.bytes, &last) || last.count > at->count)
        return false;
    uint64_t before = at->count - last.count;
    if (before > 0 && is_beyond(aim, nothing, before))
        return false;
    found->child = last;
    found->end = found->page.bytes.size;
    found->before = before;
    return true;
}

static struct found find_child(const struct db_tree *tree, const struct page_child *at,
                               unsigned level, const struct aim *aim)
{
    struct found found = {.page = load(tree, at->number, level)};
    struct bytes page = found.page.bytes;
    if (is_in_last(at, aim, &found))
        return found;
    struct page_entry entry = child_at(tree, at->number, page, PAGE_HEADER, &found.child);
    while (entry.end < page.size) {
        struct page_child child;
        struct page_entry next = child_at(tree, at->number, page, entry.end, &child);
        uint64_t before = found.before + found.child.count;
        found.next_bound = next.key;
        if (is_beyond(aim, next.key, before))
            break;
        entry = next;
        found.before = before;
        found.child = child;
    }
    found.bound = entry.key;
    found.end = entry.end;
    return found;
}

/* The entry of a leaf with this rank in it; none: behind the last, and then `at` and `end` alone
 * are set. */
static struct page_entry skip(const struct db_tree *tree, uint64_t number, struct bytes page,
                              uint64_t rank)
{
    size_t at = PAGE_HEADER;
    while (at < page.size) {
        struct page_entry entry = entry_at(tree, number, page, at);
        if (rank-- == 0)
            return entry;
        at = page_pass_alike(page, &entry, &rank);
    }
    return (struct page_entry){.at = page.size, .end = page.size};
}

/* Of the entries of a leaf from `at` on the first that is not below the key; likewise. */
struct leaf_place {
    struct page_entry entry;
    uint64_t before; /* how many are, from there on */
    bool is_there;   /* it is the key's */
};

static struct leaf_place find_key(const struct db_tree *tree, uint64_t number, struct bytes page,
                                  size_t at, struct bytes key)
{
    uint64_t before = 0;
    for (; at < page.size; before++) {
        struct page_entry entry = entry_at(tree, number, page, at);
        int order = bytes_compare(entry.key, key);
        if (order >= 0)
            return (struct leaf_place){.entry = entry, .before = before, .is_there = order == 0};
        at = entry.end;
    }
    return (struct leaf_place){.entry = {.at = page.size, .end = page.size}, .before = before};
}

/* Down to a leaf.  aim->rank becomes that within it, of a seek by key the number of what is before
 * it. */
static struct bytes seek(const struct db_tree *tree, struct aim *aim, uint64_t *number)
{
    struct page_child at = top_of(tree);
    uint64_t before = 0;
    for (unsigned level = tree->root.height - 1; level > 0; level--) {
        struct found found = find_child(tree, &at, level, aim);
        at = found.child;
        before += found.before;
        aim->rank -= aim->by_key ? 0 : found.before;
    }
    aim->rank = aim->by_key ? before : aim->rank;
    *number = at.number;
    return load(tree, at.number, 0).bytes;
}

uint64_t db_tree_rank(const struct db_tree *tree, struct bytes key, bool *is_there)
{
    struct aim aim = {.by_key = true, .key = key};
    struct leaf_place place = {.is_there = false};
    uint64_t number;
    if (tree->root.count > 0) {
        struct bytes page = seek(tree, &aim, &number);
        place = find_key(tree, number, page, PAGE_HEADER, key);
    }
    if (is_there)
        *is_there = place.is_there;
    return aim.rank + place.before;
}

void db_tree_get(const struct db_tree *tree, uint64_t rank, struct bytes *key, struct bytes *value)
{
    struct aim aim = {.rank = rank};
    uint64_t number;
    check(rank < tree->root.count);
    struct bytes page = seek(tree, &aim, &number);
    struct page_entry entry = skip(tree, number, page, aim.rank);
    if (entry.at == entry.end)
        damaged(tree, number);
    *key = entry.key;
    *value = entry.value;
}

/* From the entry with this rank in the page back to its first. */
static uint64_t walk_back(const struct db_tree *tree, uint64_t number, struct bytes page,
                          uint64_t rank, uint64_t count, db_tree_fn *each, void *context)
{
    struct buffer places = {0};
    uint64_t given = 0;
    bool goes_on = true;
    size_t at = PAGE_HEADER;
    for (uint64_t i = 0; i <= rank; i++) {
        if (at >= page.size)
            damaged(tree, number);
        buffer_append(&places, &at, sizeof at);
        at = entry_at(tree, number, page, at).end;
    }
    for (; goes_on && given < count && given <= rank; given++) {
        memcpy(&at, places.data + (rank - given) * sizeof at, sizeof at);
        struct page_entry entry = entry_at(tree, number, page, at);
        goes_on = each(context, entry.key, entry.value);
    }
    buffer_deinit(&places);
    return given;
}

uint64_t db_tree_walk(const struct db_tree *tree, uint64_t rank, uint64_t count, bool is_backward,
                      db_tree_fn *each, void *context)
{
    struct aim aim = {.rank = rank};
    uint64_t number, given = 0;
    check(rank < tree->root.count && count > 0);
    struct bytes page = seek(tree, &aim, &number);
    if (is_backward)
        return walk_back(tree, number, page, aim.rank, count, each, context);
    struct page_entry entry = skip(tree, number, page, aim.rank);
    bool goes_on = entry.at < entry.end;
    if (!goes_on)
        damaged(tree, number);
    while (goes_on) {
        given++;
        goes_on = each(context, entry.key, entry.value) && given < count && entry.end < page.size;
        if (goes_on)
            entry = entry_at(tree, number, page, entry.end);
    }
    return given;
}

/* ---- inserting ------------------------------------------------------------------ */

struct insert {
    struct db_tree *tree;
    struct aim aim;
    struct bytes value;
    bool is_first, is_last; /* of all, as far down as it has come */
    uint64_t rank;          /* where it came to stand */
};

/* What a page gave off to a new one on its right. */
struct split {
    struct page_child right; /* number 0: nothing */
    struct buffer bound;     /* owned */
};

/* Where to cut: an entry that is not the first becomes the first on the right.  Counts what goes
 * there. */
static struct page_entry find_cut(const struct insert *insert, uint64_t number,
                                  const struct buffer *page, struct bytes *last_left)
{
    size_t middle = page->size / 2;
    if (insert->is_last)
        middle = SIZE_MAX;
    else if (insert->is_first)
        middle = 0;
    struct bytes bytes = buffer_bytes(page);
    struct page_entry left = entry_at(insert->tree, number, bytes, PAGE_HEADER);
    struct page_entry right = entry_at(insert->tree, number, bytes, left.end);
    while (right.at < middle && right.end < page->size) {
        struct page_entry next = entry_at(insert->tree, number, bytes, right.end);
        if (next.at >= middle && next.at - middle > middle - right.at)
            break; /* a large one is better on the right */
        left = right;
        right = next;
    }
    *last_left = left.key;
    return right;
}

static unsigned count_entries(const struct insert *insert, uint64_t number,
                              const struct buffer *page, unsigned enough)
{
    unsigned count = 0;
    for (size_t at = PAGE_HEADER; at < page->size && count < enough; count++)
        at = entry_at(insert->tree, number, buffer_bytes(page), at).end;
    return count;
}

/* The shortest that is above `left`, and not above `right` (T3). */
static struct bytes bound_between(struct bytes left, struct bytes right)
{
    const char *a = left.data, *b = right.data;
    size_t size = 0;
    while (size < left.size && size < right.size && a[size] == b[size])
        size++;
    return bytes_of(right.data, size < right.size ? size + 1 : size);
}

static uint64_t count_below(const struct db_tree *tree, uint64_t number, unsigned level,
                            const struct buffer *page)
{
    uint64_t count = 0;
    struct page_entry entry;
    for (size_t at = PAGE_HEADER; at < page->size; at = entry.end) {
        struct page_child child = {.count = 1};
        entry = level == 0 ? entry_at(tree, number, buffer_bytes(page), at)
                           : child_at(tree, number, buffer_bytes(page), at, &child);
        count += child.count;
    }
    return count;
}

/* The bound of an inner page's first child is what its page has in the page above (T3). */
static void clear_first_bound(const struct db_tree *tree, uint64_t number, struct buffer *page)
{
    struct page_child child;
    struct page_entry first = child_at(tree, number, buffer_bytes(page), PAGE_HEADER, &child);
    if (first.key.size == 0)
        return;
    page_erase(page, first.at, first.end);
    page_insert_child(page, PAGE_HEADER, nothing, &child);
}

static void split_page(struct insert *insert, uint64_t number, unsigned level, struct buffer *page,
                       struct split *split)
{
    struct db_tree *tree = insert->tree;
    struct bytes last_left;
    struct page_entry first = find_cut(insert, number, page, &last_left);
    struct bytes bound = level == 0 ? bound_between(last_left, first.key) : first.key;
    struct buffer right = {0};
    buffer_append_bytes(&split->bound, bound);
    page_init(&right, level);
    buffer_append(&right, page->data + first.at, page->size - first.at);
    page->size = first.at;
    split->right.number = ++tree->root.next;
    if (level > 0)
        clear_first_bound(tree, split->right.number, &right);
    split->right.count = count_below(tree, split->right.number, level, &right);
    store(tree, split->right.number, &right);
    buffer_deinit(&right);
}

/* A page that grew goes back to its place, as two if it is too large. */
static void store_grown(struct insert *insert, uint64_t number, unsigned level, struct buffer *page,
                        struct split *split)
{
    unsigned least = level == 0 ? LEAF_ENTRIES_MIN : INNER_ENTRIES_MIN;
    if (page->size > DB_TREE_PAGE_MAX && count_entries(insert, number, page, least) == least)
        split_page(insert, number, level, page, split);
    store(insert->tree, number, page);
}

/* Where in a leaf, of which `at` says how many entries it has, the new one goes. */
static size_t find_place(struct insert *insert, const struct page_child *at, struct bytes page)
{
    const struct db_tree *tree = insert->tree;
    uint64_t rank = insert->aim.rank;
    if (insert->aim.by_key) {
        struct leaf_place place = find_key(tree, at->number, page, PAGE_HEADER, insert->aim.key);
        check(!place.is_there);
        insert->rank += place.before;
        return place.entry.at;
    }
    insert->rank += rank;
    return rank == at->count ? page.size : skip(tree, at->number, page, rank).at;
}

/* Mostly there is room, and then nothing else of the page is copied. */
static void insert_in_leaf(struct insert *insert, const struct page_child *at, struct split *split)
{
    struct db_tree *tree = insert->tree;
    struct bytes key = insert->aim.key;
    struct db_page page = load(tree, at->number, 0);
    size_t place = find_place(insert, at, page.bytes);
    insert->is_first &= place == PAGE_HEADER;
    insert->is_last &= place == page.bytes.size;
    if (page.bytes.size + page_entry_size(key, insert->value) <= DB_TREE_PAGE_MAX) {
        store_entry(tree, at->number, &page, place, key, insert->value);
        return;
    }
    struct buffer copy = {0};
    load_copy(tree, at->number, 0, &copy);
    page_insert(&copy, place, key, insert->value);
    store_grown(insert, at->number, 0, &copy, split);
    buffer_deinit(&copy);
}

static void insert_in(struct insert *insert, const struct page_child *at, unsigned level,
                      struct split *split);

/* Most children are not cut in two, and then only a number of their page changes. */
static void insert_below(struct insert *insert, const struct page_child *at, unsigned level,
                         struct split *split)
{
    struct found found = find_child(insert->tree, at, level, &insert->aim);
    struct split below = {0};
    insert->rank += found.before;
    insert->aim.rank -= insert->aim.by_key ? 0 : found.before;
    insert->is_first &= found.before == 0;
    insert->is_last &= found.end == found.page.bytes.size;
    insert_in(insert, &found.child, level - 1, &below);
    found.child.count += 1 - below.right.count;
    if (!below.right.number) {
        store_count(insert->tree, at->number, &found.page, found.end, &found.child);
        return;
    }
    struct buffer page = {0};
    load_copy(insert->tree, at->number, level, &page);
    page_set_child(&page, found.end, &found.child);
    page_insert_child(&page, found.end, buffer_bytes(&below.bound), &below.right);
    buffer_deinit(&below.bound);
    store_grown(insert, at->number, level, &page, split);
    buffer_deinit(&page);
}

static void insert_in(struct insert *insert, const struct page_child *at, unsigned level,
                      struct split *split)
{
    if (level > 0)
        insert_below(insert, at, level, split);
    else
        insert_in_leaf(insert, at, split);
}

/* The first entry of all. */
static void plant(struct db_tree *tree, struct bytes key, struct bytes value)
{
    struct buffer page = {0};
    page_init(&page, 0);
    page_insert(&page, PAGE_HEADER, key, value);
    tree->root.page = ++tree->root.next;
    tree->root.height = 1;
    store(tree, tree->root.page, &page);
    buffer_deinit(&page);
}

/* The top page was cut in two: one above them. */
static void raise_root(struct db_tree *tree, const struct split *split)
{
    struct buffer page = {0};
    struct page_child left = {.number = tree->root.page,
                              .count = tree->root.count + 1 - split->right.count};
    check(tree->root.height < LEVELS_MAX);
    page_init(&page, tree->root.height++);
    page_insert_child(&page, PAGE_HEADER, nothing, &left);
    page_insert_child(&page, page.size, buffer_bytes(&split->bound), &split->right);
    tree->root.page = ++tree->root.next;
    store(tree, tree->root.page, &page);
    buffer_deinit(&page);
}

static void insert_entry(struct insert *insert)
{
    struct db_tree *tree = insert->tree;
    struct page_child top = top_of(tree);
    struct split split = {0};
    check(!tree->view);
    if (tree->root.count == 0)
        plant(tree, insert->aim.key, insert->value);
    else
        insert_in(insert, &top, tree->root.height - 1, &split);
    if (split.right.number)
        raise_root(tree, &split);
    tree->root.count++;
    buffer_deinit(&split.bound);
}

/* One that is to stand at a rank, or at its key's place. */
static struct insert insert_of(struct db_tree *tree, const struct aim *aim, struct bytes value)
{
    return (struct insert){
        .tree = tree, .aim = *aim, .value = value, .is_first = true, .is_last = true};
}

uint64_t db_tree_insert(struct db_tree *tree, struct bytes key, struct bytes value)
{
    struct aim aim = {.by_key = true, .key = key};
    struct insert insert = insert_of(tree, &aim, value);
    insert_entry(&insert);
    return insert.rank;
}

void db_tree_append(struct db_tree *tree, struct bytes key, struct bytes value)
{
    struct aim aim = {.key = key, .rank = tree->root.count, .at_end = true};
    struct insert insert = insert_of(tree, &aim, value);
    insert_entry(&insert);
}

/* How many entries are below the page on that level which has the one at this rank below it, and
 * its number. */
static struct page_child page_above(const struct db_tree *tree, uint64_t rank, unsigned to)
{
    struct page_child at = top_of(tree);
    struct aim aim = {.rank = rank};
    for (unsigned level = tree->root.height - 1; level > to; level--) {
        struct found found = find_child(tree, &at, level, &aim);
        at = found.child;
        aim.rank -= found.before;
    }
    return at;
}

static bool has_room(const struct db_tree *tree, uint64_t number, unsigned level, size_t size)
{
    return load(tree, number, level).bytes.size + size <= DB_TREE_PAGE_MAX;
}

/* The last leaf takes the entry, or a new one, which the last page above the leaves takes.  A page
 * that is cut at its front is joined with the one behind it at the most, so as long as something of
 * the last but one on level 1 is left in front of the last, nobody asks how large these are. */
bool db_tree_end(const struct db_tree *tree, size_t key_size, size_t value_size, uint64_t *count)
{
    enum { LEVELS = 3 }; /* the root is none of those pages */
    uint64_t all = tree->root.count;
    size_t entry = PAGE_ENTRY_HEAD_MAX + key_size + value_size;
    size_t child = PAGE_ENTRY_HEAD_MAX + key_size + PAGE_CHILD_SIZE;
    if (tree->root.height < LEVELS)
        return false;
    struct page_child last = page_above(tree, all - 1, 1);
    *count = last.count;
    if (last.count < all)
        *count += page_above(tree, all - last.count - 1, 1).count;
    return has_room(tree, page_above(tree, all - 1, 0).number, 0, entry) ||
           has_room(tree, last.number, 1, child);
}

void db_tree_insert_at(struct db_tree *tree, uint64_t rank, struct bytes value)
{
    struct aim aim = {.rank = rank, .at_end = true};
    struct insert insert = insert_of(tree, &aim, value);
    check(rank <= tree->root.count);
    insert_entry(&insert);
    check(insert.rank == rank);
}

void db_tree_set(const struct db_tree *tree, uint64_t rank, struct bytes value)
{
    struct aim aim = {.rank = rank};
    uint64_t number;
    check(!tree->view && rank < tree->root.count);
    struct bytes page = seek(tree, &aim, &number);
    struct page_entry entry = skip(tree, number, page, aim.rank);
    if (entry.at == entry.end)
        damaged(tree, number);
    check(entry.value.size == value.size);
    db_page_edit(tree->db, tree->space, number, &(struct db_page){.entry = NULL},
                 entry.end - value.size, entry.end, &value, 1);
}

uint64_t db_tree_places(const struct db_tree *tree, uint64_t rank, uint64_t count,
                        db_tree_place_fn *each, void *context)
{
    struct aim aim = {.rank = rank};
    struct db_page page;
    uint64_t number, passed = 0;
    check(!tree->view && rank < tree->root.count && count > 0);
    seek(tree, &aim, &number);
    page = load(tree, number, 0);
    unsigned char *changed = page.entry ? page.entry->data + page.entry->name_size : NULL;
    struct page_entry entry = skip(tree, number, page.bytes, aim.rank);
    if (entry.at == entry.end)
        damaged(tree, number);
    for (;; entry = entry_at(tree, number, page.bytes, entry.end)) {
        if (changed)
            each(context, entry.key, changed + entry.end - entry.value.size, entry.value.size);
        if (++passed == count || entry.end >= page.bytes.size)
            break;
    }
    return passed;
}

/* ---- taking out ------------------------------------------------------------------- */

struct cut {
    struct db_tree *tree;
    uint64_t pages;      /* that may still be touched */
    bool has_left_small; /* a page that could be joined with another */
    db_tree_fn *each;    /* gets what is taken out, in order; NULL: nobody does */
    void *context;
};

static uint64_t cut_in(struct cut *cut, const struct page_child *at, unsigned level, uint64_t from,
                       uint64_t to);

/* A page was touched of which so much is left. */
static void note_shrunk(struct cut *cut, size_t size)
{
    cut->pages -= cut->pages > 0;
    cut->has_left_small |= size < PAGE_SMALL && size > PAGE_HEADER;
}

static void cut_in_leaf(struct cut *cut, uint64_t number, uint64_t from, uint64_t to)
{
    struct db_page whole = load(cut->tree, number, 0);
    struct bytes page = whole.bytes;
    struct page_entry first = skip(cut->tree, number, page, from);
    size_t end = first.at;
    for (uint64_t i = from; i < to; i++) {
        if (end >= page.size)
            damaged(cut->tree, number);
        struct page_entry entry = entry_at(cut->tree, number, page, end);
        if (cut->each)
            cut->each(cut->context, entry.key, entry.value);
        end = entry.end;
    }
    size_t left = page.size - (end - first.at);
    if (left == PAGE_HEADER)
        drop(cut->tree, number);
    else
        store_without(cut->tree, number, &whole, first.at, end);
    note_shrunk(cut, left);
}

/* Of one child [from, to), of its `count`.  A leaf of which nothing is left need not be looked
 * at. */
static uint64_t cut_child(struct cut *cut, const struct page_child *child, unsigned level,
                          uint64_t from, uint64_t to)
{
    if (level > 0 || to - from < child->count || cut->each)
        return cut_in(cut, child, level, from, to);
    drop(cut->tree, child->number);
    cut->pages -= cut->pages > 0;
    return child->count;
}

/* Entries of the children's, in the order of the ranks, as long as pages may be touched. */
static uint64_t cut_children(struct cut *cut, uint64_t number, unsigned level, struct buffer *page,
                             uint64_t from, uint64_t to)
{
    uint64_t before = 0, removed = 0;
    size_t at = PAGE_HEADER;
    while (at < page->size && before < to && cut->pages > 0) {
        struct page_child child;
        struct page_entry entry = child_at(cut->tree, number, buffer_bytes(page), at, &child);
        if (before + child.count > from) {
            uint64_t end = to - before < child.count ? to - before : child.count;
            uint64_t begin = from > before ? from - before : 0;
            uint64_t gone = cut_child(cut, &child, level - 1, begin, end);
            removed += gone;
            to -= gone;
            child.count -= gone;
            if (child.count == 0) {
                page_erase(page, entry.at, entry.end);
                continue;
            }
            page_set_child(page, entry.end, &child);
        }
        before += child.count;
        at = entry.end;
    }
    return removed;
}

/* False: they certainly do not fit into one; then nothing of them is copied. */
static bool may_join(const struct db_tree *tree, const struct page_child *left,
                     const struct page_child *right, struct bytes right_bound, unsigned level)
{
    size_t size = load(tree, left->number, level - 1).bytes.size;
    size += load(tree, right->number, level - 1).bytes.size - PAGE_HEADER;
    return size + (level > 1 ? right_bound.size : 0) <= DB_TREE_PAGE_MAX;
}

/* Two children side by side become one, if they fit. */
static bool join(const struct db_tree *tree, uint64_t number, unsigned level, struct buffer *page,
                 size_t left_at, size_t right_at)
{
    struct page_child left, right;
    struct page_entry left_entry = child_at(tree, number, buffer_bytes(page), left_at, &left);
    struct page_entry right_entry = child_at(tree, number, buffer_bytes(page), right_at, &right);
    struct buffer joined = {0}, other = {0};
    if (!may_join(tree, &left, &right, right_entry.key, level))
        return false;
    load_copy(tree, left.number, level - 1, &joined);
    load_copy(tree, right.number, level - 1, &other);
    if (level > 1) { /* its first child has no bound of its own */
        struct page_child child;
        struct page_entry first =
            child_at(tree, right.number, buffer_bytes(&other), PAGE_HEADER, &child);
        page_erase(&other, first.at, first.end);
        page_insert_child(&other, PAGE_HEADER, right_entry.key, &child);
    }
    bool fits = joined.size + other.size - PAGE_HEADER <= DB_TREE_PAGE_MAX;
    if (fits) {
        buffer_append(&joined, other.data + PAGE_HEADER, other.size - PAGE_HEADER);
        store(tree, left.number, &joined);
        drop(tree, right.number);
        left.count += right.count;
        page_set_child(page, left_entry.end, &left);
        page_erase(page, right_entry.at, right_entry.end);
    }
    buffer_deinit(&joined);
    buffer_deinit(&other);
    return fits;
}

/* If the child at this rank is small, joins it with the one before it, or the one behind.  False:
 * it stays as it is. */
static bool join_small(const struct db_tree *tree, uint64_t number, unsigned level,
                       struct buffer *page, uint64_t rank)
{
    uint64_t before = 0;
    size_t previous = 0, at = PAGE_HEADER;
    struct page_child child;
    struct page_entry entry;
    for (;; previous = at, at = entry.end) {
        if (at >= page->size)
            return false;
        entry = child_at(tree, number, buffer_bytes(page), at, &child);
        if (rank < before + child.count)
            break;
        before += child.count;
    }
    if (load(tree, child.number, level - 1).bytes.size >= PAGE_SMALL)
        return false;
    if (previous && join(tree, number, level, page, previous, at))
        return true;
    return entry.end < page->size && join(tree, number, level, page, at, entry.end);
}

/* The children before and behind a gap may be small.  False: none was joined. */
static bool join_around(struct cut *cut, uint64_t number, unsigned level, struct buffer *page,
                        uint64_t gap)
{
    if (!cut->has_left_small)
        return false;
    bool is_joined = join_small(cut->tree, number, level, page, gap);
    return (gap > 0 && join_small(cut->tree, number, level, page, gap - 1)) || is_joined;
}

/* Of one child, of which something is left: mostly only a number of its page changes. */
static uint64_t cut_in_one(struct cut *cut, uint64_t number, unsigned level, struct found *found,
                           uint64_t from, uint64_t to)
{
    uint64_t removed =
        cut_in(cut, &found->child, level - 1, from - found->before, to - found->before);
    found->child.count -= removed;
    store_count(cut->tree, number, &found->page, found->end, &found->child);
    if (!cut->has_left_small) {
        note_shrunk(cut, found->page.bytes.size);
        return removed;
    }
    struct buffer page = {0};
    load_copy(cut->tree, number, level, &page);
    if (join_around(cut, number, level, &page, from))
        store(cut->tree, number, &page);
    note_shrunk(cut, page.size);
    buffer_deinit(&page);
    return removed;
}

static uint64_t cut_in_many(struct cut *cut, uint64_t number, unsigned level, uint64_t from,
                            uint64_t to)
{
    struct buffer page = {0};
    load_copy(cut->tree, number, level, &page);
    uint64_t removed = cut_children(cut, number, level, &page, from, to);
    if (page.size > PAGE_HEADER)
        clear_first_bound(cut->tree, number, &page);
    join_around(cut, number, level, &page, from);
    if (page.size == PAGE_HEADER)
        drop(cut->tree, number);
    else
        store(cut->tree, number, &page);
    note_shrunk(cut, page.size);
    buffer_deinit(&page);
    return removed;
}

static uint64_t cut_in(struct cut *cut, const struct page_child *at, unsigned level, uint64_t from,
                       uint64_t to)
{
    uint64_t number = at->number;
    if (level == 0) {
        cut_in_leaf(cut, number, from, to);
        return to - from;
    }
    struct aim aim = {.rank = from};
    struct found found = find_child(cut->tree, at, level, &aim);
    bool is_in_one = to <= found.before + found.child.count && to - from < found.child.count;
    return is_in_one ? cut_in_one(cut, number, level, &found, from, to)
                     : cut_in_many(cut, number, level, from, to);
}

/* A top page with one child is not needed (T1). */
static void lower_root(struct db_tree *tree)
{
    while (tree->root.height > 1) {
        uint64_t number = tree->root.page;
        struct page_child child;
        struct bytes page = load(tree, number, tree->root.height - 1).bytes;
        if (child_at(tree, number, page, PAGE_HEADER, &child).end < page.size)
            return;
        drop(tree, number);
        tree->root.page = child.number;
        tree->root.height--;
    }
}

static uint64_t cut_entries(struct cut *cut, uint64_t rank, uint64_t count)
{
    struct db_tree *tree = cut->tree;
    struct page_child top = top_of(tree);
    check(!tree->view && cut->pages > 0);
    check(rank <= tree->root.count && count <= tree->root.count - rank);
    if (count == 0)
        return 0;
    uint64_t removed = cut_in(cut, &top, tree->root.height - 1, rank, rank + count);
    tree->root.count -= removed;
    if (tree->root.count == 0)
        tree->root.page = tree->root.height = 0;
    else
        lower_root(tree);
    return removed;
}

uint64_t db_tree_cut(struct db_tree *tree, uint64_t rank, uint64_t count, uint64_t pages)
{
    struct cut cut = {.tree = tree, .pages = pages};
    return cut_entries(&cut, rank, count);
}

void db_tree_take(struct db_tree *tree, uint64_t rank, db_tree_fn *each, void *context)
{
    struct cut cut = {.tree = tree, .pages = UINT64_MAX, .each = each, .context = context};
    uint64_t removed = cut_entries(&cut, rank, 1);
    check(removed == 1);
}

/* ---- moving --------------------------------------------------------------------------- */

static bool is_in(const struct found *found, struct bytes key)
{
    bool is_above = found->before == 0 || bytes_compare(found->bound, key) <= 0;
    return is_above &&
           (found->end == found->page.bytes.size || bytes_compare(key, found->next_bound) < 0);
}

/* The leaf of both keys; 0: there is none, or a page above it is so small that a cut below it would
 * join it with another. */
static uint64_t find_leaf_of_both(const struct db_tree *tree, struct bytes from, struct bytes to)
{
    struct aim aim = {.by_key = true, .key = from};
    struct page_child at = top_of(tree);
    unsigned top = tree->root.height - 1;
    for (unsigned level = top; level > 0; level--) {
        struct found found = find_child(tree, &at, level, &aim);
        if (!is_in(&found, to) || (level < top && found.page.bytes.size < PAGE_SMALL))
            return 0;
        at = found.child;
    }
    return at.number;
}

/* False: what a cut and an insert do changes more than the leaf. */
static bool move_in_leaf(const struct db_tree *tree, uint64_t number, struct bytes from,
                         struct bytes to, struct bytes value)
{
    struct db_page page = load(tree, number, 0);
    struct leaf_place old = find_key(tree, number, page.bytes, PAGE_HEADER, from);
    if (!old.is_there)
        damaged(tree, number);
    size_t left = page.bytes.size - (old.entry.end - old.entry.at);
    size_t least = tree->root.height > 1 ? PAGE_SMALL : PAGE_HEADER + 1;
    if (left < least || left + page_entry_size(to, value) > DB_TREE_PAGE_MAX)
        return false;
    store_without(tree, number, &page, old.entry.at, old.entry.end);
    size_t at = bytes_compare(from, to) < 0 ? old.entry.at : PAGE_HEADER;
    struct leaf_place place = find_key(tree, number, page.bytes, at, to);
    check(!place.is_there);
    store_entry(tree, number, &page, place.entry.at, to, value);
    return true;
}

/* With a savepoint each page that a cut touches counts, so it has to touch them. */
void db_tree_move(struct db_tree *tree, struct bytes from, struct bytes to, struct bytes value)
{
    bool is_there;
    check(!tree->view && tree->root.count > 0);
    uint64_t leaf = db_has_savepoint(tree->db) ? 0 : find_leaf_of_both(tree, from, to);
    if (leaf && move_in_leaf(tree, leaf, from, to, value))
        return;
    uint64_t rank = db_tree_rank(tree, from, &is_there);
    check(is_there);
    db_tree_cut(tree, rank, 1, UINT64_MAX);
    db_tree_insert(tree, to, value);
}

/* ---- what holds -------------------------------------------------------------------- */

struct inspection {
    const struct db_tree *tree;
    bool has_keys;
    struct buffer last; /* key of the last leaf's entry seen */
    bool has_last;
    struct db_tree_shape *shape;
};

static void check_key(struct inspection *inspection, struct bytes key, struct bytes bound)
{
    check(inspection->has_keys || key.size == 0);
    if (!inspection->has_keys)
        return;
    check(bytes_compare(bound, key) <= 0);
    check(!inspection->has_last || bytes_compare(buffer_bytes(&inspection->last), key) < 0);
    buffer_clear(&inspection->last);
    buffer_append_bytes(&inspection->last, key);
    inspection->has_last = true;
}

static uint64_t check_page(struct inspection *inspection, uint64_t number, unsigned level,
                           struct bytes bound)
{
    const struct db_tree *tree = inspection->tree;
    struct buffer page = {0};
    uint64_t count = 0;
    unsigned entries = 0;
    size_t largest = 0;
    check(number <= tree->root.next);
    load_copy(tree, number, level, &page);
    for (size_t at = PAGE_HEADER; at < page.size; entries++) {
        struct page_child child = {0};
        struct page_entry entry = level ? child_at(tree, number, buffer_bytes(&page), at, &child)
                                        : entry_at(tree, number, buffer_bytes(&page), at);
        at = entry.end;
        largest = at - entry.at > largest ? at - entry.at : largest;
        if (level == 0) {
            check_key(inspection, entry.key, bound);
            count++;
            continue;
        }
        check((entries == 0) == (entry.key.size == 0) || !inspection->has_keys);
        check(entries == 0 || !inspection->has_keys ||
              bytes_compare(buffer_bytes(&inspection->last), entry.key) < 0);
        check(check_page(inspection, child.number, level - 1, entries ? entry.key : bound) ==
              child.count);
        count += child.count;
    }
    check(entries > 0);
    check(page.size - largest <= 2 * DB_TREE_PAGE_MAX || (level && entries < INNER_ENTRIES_MIN));
    check(level == 0 || level < tree->root.height - 1 || entries > 1);
    inspection->shape->pages++;
    inspection->shape->bytes += page.size;
    buffer_deinit(&page);
    return count;
}

void db_tree_check(const struct db_tree *tree, bool has_keys, struct db_tree_shape *shape)
{
    struct inspection inspection = {.tree = tree, .has_keys = has_keys, .shape = shape};
    *shape = (struct db_tree_shape){0};
    uint64_t count = 0;
    if (tree->root.height > 0)
        count = check_page(&inspection, tree->root.page, tree->root.height - 1, nothing);
    check(count == tree->root.count);
    check((tree->root.page == 0) == (count == 0));
    buffer_deinit(&inspection.last);
}
