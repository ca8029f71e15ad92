/* See ordered.h.  Deterministic. */
#include "command/ordered.h"

#include "base/fatal.h"
#include "command/observer.h"
#include "command/preparing.h"
#include "command/sorted_entry.h"
#include "data/page.h"

enum { FORM_LARGE = 17, LARGE_SIZE = 1 + DB_TREE_ROOT_SIZE, CUT_ENTRIES = 256, CUT_PAGES = 256 };

static const struct bytes nothing = {0};

_Noreturn static void damaged(const struct ordered *ordered)
{
    fatal("data: the record of a collection is damaged (type %d, %llu entries)",
          ordered->record.type, (unsigned long long)ordered->count);
}

static struct page_entry entry_at(const struct ordered *ordered, size_t at)
{
    struct page_entry entry;
    if (!page_read(buffer_bytes(&ordered->page), at, &entry))
        damaged(ordered);
    return entry;
}

static void look_small(struct ordered *ordered, struct bytes payload)
{
    if (!page_is_of(payload, 0))
        damaged(ordered);
    buffer_append_bytes(&ordered->page, payload);
    for (size_t at = PAGE_HEADER; at < payload.size; ordered->count++)
        at = entry_at(ordered, at).end;
}

static void look_large(struct ordered *ordered, struct bytes payload)
{
    const char *bytes = payload.data;
    if (payload.size != LARGE_SIZE || bytes[0] != FORM_LARGE ||
        !db_tree_root_decode(bytes_of(bytes + 1, DB_TREE_ROOT_SIZE), &ordered->tree.root))
        damaged(ordered);
    ordered->tree.space = ordered->record.space;
    ordered->count = ordered->tree.root.count;
}

static void begin(struct ordered *ordered, struct call *call, struct db_view *view,
                  struct bytes key, enum db_type type)
{
    *ordered =
        (struct ordered){.db = call->db, .view = view, .key = key, .database = call->database};
    ordered->record.type = type;
    ordered->tree = (struct db_tree){.db = call->db, .view = view};
}

void ordered_new(struct ordered *ordered, struct call *call, struct bytes key, enum db_type type)
{
    begin(ordered, call, NULL, key, type);
    page_init(&ordered->page, 0);
}

bool ordered_open(struct ordered *ordered, struct call *call, struct bytes key, enum db_type type)
{
    struct bytes payload;
    struct db_record found;
    begin(ordered, call, call->view, key, type);
    bool is_there = db_find(call->db, call->view, call->database, key, &found, &payload);
    if (call->observer && call->command->flags & CMD_READ) {
        call->observer->keyspace_hits += is_there;
        call->observer->keyspace_misses += !is_there;
    }
    call_looks(call, key, is_there ? &found : NULL);
    if (!is_there) {
        page_init(&ordered->page, 0);
        return true;
    }
    if (found.type != type) {
        reply_error(call->reply, ERROR_WRONG_TYPE);
        return false;
    }
    ordered->record = found;
    if (found.space)
        look_large(ordered, payload);
    else
        look_small(ordered, payload);
    return true;
}

void ordered_close(struct ordered *ordered)
{
    buffer_deinit(&ordered->page);
}

/* ---- looking --------------------------------------------------------------------- */

/* Of a small one: where the first entry not below the key begins. */
static size_t find(const struct ordered *ordered, struct bytes key, uint64_t *rank, bool *is_there)
{
    struct page_entry entry;
    *rank = 0;
    *is_there = false;
    for (size_t at = PAGE_HEADER; at < ordered->page.size; at = entry.end, ++*rank) {
        entry = entry_at(ordered, at);
        int order = bytes_compare(entry.key, key);
        *is_there = order == 0;
        if (order >= 0)
            return at;
    }
    return ordered->page.size;
}

static size_t skip(const struct ordered *ordered, uint64_t rank)
{
    size_t at = PAGE_HEADER;
    if (rank == ordered->count) /* most come behind the last */
        return ordered->page.size;
    for (uint64_t i = 0; i < rank; i++)
        at = entry_at(ordered, at).end;
    return at;
}

uint64_t ordered_rank(const struct ordered *ordered, struct bytes key, bool *is_there)
{
    uint64_t rank;
    bool found;
    if (ordered->record.space)
        return db_tree_rank(&ordered->tree, key, is_there);
    find(ordered, key, &rank, is_there ? is_there : &found);
    return rank;
}

void ordered_get(const struct ordered *ordered, uint64_t rank, struct bytes *key,
                 struct bytes *value)
{
    check(rank < ordered->count);
    if (ordered->record.space) {
        db_tree_get(&ordered->tree, rank, key, value);
        return;
    }
    struct page_entry entry = entry_at(ordered, skip(ordered, rank));
    *key = entry.key;
    *value = entry.value;
}

static uint64_t walk_small(const struct ordered *ordered, uint64_t rank, uint64_t count,
                           bool is_backward, db_tree_fn *each, void *context)
{
    struct buffer places = {0};
    uint64_t given = 0;
    bool goes_on = true;
    size_t at = PAGE_HEADER;
    for (uint64_t i = 0; i < ordered->count; i++) {
        buffer_append(&places, &at, sizeof at);
        at = entry_at(ordered, at).end;
    }
    while (goes_on && given < count && rank < ordered->count) {
        memcpy(&at, places.data + rank * sizeof at, sizeof at);
        struct page_entry entry = entry_at(ordered, at);
        goes_on = each(context, entry.key, entry.value);
        rank = is_backward ? rank - 1 : rank + 1; /* below 0 it is beyond all */
        given++;
    }
    buffer_deinit(&places);
    return given;
}

uint64_t ordered_walk(const struct ordered *ordered, uint64_t rank, uint64_t count,
                      bool is_backward, db_tree_fn *each, void *context)
{
    check(rank < ordered->count && count > 0);
    if (ordered->record.space)
        return db_tree_walk(&ordered->tree, rank, count, is_backward, each, context);
    return walk_small(ordered, rank, count, is_backward, each, context);
}

/* ---- changing -------------------------------------------------------------------- */

static bool fits(const struct ordered *ordered, struct bytes key, struct bytes value)
{
    if (ordered->record.type == DB_ZSET)
        return ordered->count < ORDERED_SMALL_MAX && sorted_member(key).size <= ORDERED_SMALL_SIZE;
    return ordered->page.size + page_entry_size(key, value) <= ORDERED_SMALL_BYTES;
}

/* Of a large sorted set: what an entry says of its member. */
static void put_row(struct ordered *ordered, struct bytes key, struct bytes value)
{
    unsigned char row[SORTED_SCORE_SIZE];
    struct bytes member = sorted_member(key);
    db_row_put(ordered->db, ordered->record.space, db_row_word(ordered->db, member), member,
               sorted_row(row, sorted_score(key, value)));
}

static void grow(struct ordered *ordered)
{
    struct page_entry entry;
    ordered->record.space = ordered->tree.space = db_space_new(ordered->db, ordered->database);
    for (size_t at = PAGE_HEADER; at < ordered->page.size; at = entry.end) {
        entry = entry_at(ordered, at);
        if (ordered->record.type == DB_ZSET) {
            db_tree_insert(&ordered->tree, entry.key, entry.value);
            put_row(ordered, entry.key, entry.value);
        } else {
            db_tree_insert_at(&ordered->tree, ordered->tree.root.count, entry.value);
        }
    }
}

void ordered_insert(struct ordered *ordered, struct bytes key, struct bytes value)
{
    uint64_t rank;
    bool is_there;
    if (!ordered->record.space && !fits(ordered, key, value))
        grow(ordered);
    if (ordered->record.space) {
        db_tree_insert(&ordered->tree, key, value);
        put_row(ordered, key, value);
    } else {
        /* A small one does not keep the sign of 0, says Redis. */
        page_insert(&ordered->page, find(ordered, key, &rank, &is_there), key, nothing);
    }
    ordered->count++;
}

void ordered_move(struct ordered *ordered, struct bytes from, struct bytes key, struct bytes value)
{
    uint64_t rank;
    bool is_there;
    if (ordered->record.space) {
        db_tree_move(&ordered->tree, from, key, value);
        put_row(ordered, key, value);
        return;
    }
    find(ordered, from, &rank, &is_there);
    check(is_there);
    ordered_cut(ordered, rank, 1);
    ordered_insert(ordered, key, value);
}

void ordered_insert_at(struct ordered *ordered, uint64_t rank, struct bytes value)
{
    check(rank <= ordered->count);
    if (!ordered->record.space && !fits(ordered, nothing, value))
        grow(ordered);
    if (ordered->record.space)
        db_tree_insert_at(&ordered->tree, rank, value);
    else
        page_insert(&ordered->page, skip(ordered, rank), nothing, value);
    ordered->count++;
}

/* Members, each with its size in front. */
static bool note_member(void *context, struct bytes key, struct bytes value)
{
    struct bytes member = sorted_member(key);
    (void)value;
    buffer_append(context, &member.size, sizeof member.size);
    buffer_append_bytes(context, member);
    return true;
}

/* Of a large sorted set, the rows of some members.  Returns how many. */
static uint64_t cut_rows(struct ordered *ordered, uint64_t rank, uint64_t count)
{
    struct buffer members = {0};
    size_t size;
    if (count > CUT_ENTRIES)
        count = CUT_ENTRIES;
    count = db_tree_walk(&ordered->tree, rank, count, false, note_member, &members);
    for (size_t at = 0; at < members.size; at += size) {
        memcpy(&size, members.data + at, sizeof size);
        at += sizeof size;
        struct bytes member = bytes_of(members.data + at, size);
        uint64_t word = db_row_word(ordered->db, member);
        if (!db_row_delete(ordered->db, ordered->record.space, word, member))
            damaged(ordered);
    }
    buffer_deinit(&members);
    return count;
}

uint64_t ordered_cut(struct ordered *ordered, uint64_t rank, uint64_t count)
{
    check(count > 0 && rank < ordered->count && count <= ordered->count - rank);
    if (!ordered->record.space) {
        size_t from = skip(ordered, rank), to = from;
        for (uint64_t i = 0; i < count; i++)
            to = entry_at(ordered, to).end;
        page_erase(&ordered->page, from, to);
    } else if (ordered->record.type == DB_ZSET) {
        count = cut_rows(ordered, rank, count);
        uint64_t gone = db_tree_cut(&ordered->tree, rank, count, UINT64_MAX);
        check(gone == count);
    } else {
        count = db_tree_cut(&ordered->tree, rank, count, CUT_PAGES);
    }
    ordered->count -= count;
    return count;
}

void ordered_take(struct ordered *ordered, uint64_t rank, db_tree_fn *each, void *context)
{
    struct bytes key, value;
    check(ordered->record.type == DB_LIST && rank < ordered->count);
    if (ordered->record.space) {
        db_tree_take(&ordered->tree, rank, each, context);
        ordered->count--;
        return;
    }
    ordered_get(ordered, rank, &key, &value);
    each(context, key, value);
    ordered_cut(ordered, rank, 1);
}

/* ---- saving ---------------------------------------------------------------------- */

/* `large` has LARGE_SIZE bytes. */
static struct bytes payload_of(const struct ordered *ordered, unsigned char *large)
{
    if (!ordered->record.space)
        return buffer_bytes(&ordered->page);
    large[0] = FORM_LARGE;
    db_tree_root_encode(large + 1, &ordered->tree.root);
    return bytes_of(large, LARGE_SIZE);
}

void ordered_put_aside(const struct ordered *ordered, struct buffer *aside)
{
    unsigned char large[LARGE_SIZE];
    buffer_append(aside, &ordered->record.space, sizeof ordered->record.space);
    buffer_append_bytes(aside, payload_of(ordered, large));
}

void ordered_take_back(struct ordered *ordered, struct call *call, struct bytes aside)
{
    uint64_t space;
    size_t size = sizeof space;
    check(aside.size > size && ordered->count == 0);
    memcpy(&space, aside.data, size);
    ordered->record.space = call_take_space(call, ordered->database, space);
    struct bytes payload = bytes_of((const char *)aside.data + size, aside.size - size);
    if (ordered->record.space) {
        look_large(ordered, payload);
    } else if (payload.size > ordered->page.size) { /* it has entries */
        buffer_clear(&ordered->page);
        look_small(ordered, payload);
    }
}

void ordered_take_made(struct ordered *ordered, struct call *call)
{
    struct ordered made = *ordered;
    struct buffer aside = {0};
    ordered_put_aside(&made, &aside);
    ordered_new(ordered, call, made.key, made.record.type);
    ordered_take_back(ordered, call, buffer_bytes(&aside));
    ordered_close(&made);
    buffer_deinit(&aside);
}

void ordered_take_changes(struct ordered *ordered, struct call *call, struct bytes aside)
{
    uint64_t space;
    check(aside.size > sizeof space);
    memcpy(&space, aside.data, sizeof space);
    struct bytes payload =
        bytes_of((const char *)aside.data + sizeof space, aside.size - sizeof space);
    bool is_new = space != ordered->record.space;
    check(!is_new || ordered->record.space == 0);
    if (is_new)
        ordered->record.space = call_take_space(call, ordered->database, space);
    else if (space)
        call_take_changes(call, space);
    if (space) {
        buffer_clear(&ordered->page);
        look_large(ordered, payload);
        return;
    }
    ordered->count = 0;
    buffer_clear(&ordered->page);
    if (payload.size > PAGE_HEADER)
        look_small(ordered, payload);
    else
        page_init(&ordered->page, 0);
}

uint64_t ordered_pop_size(struct call *call, struct bytes key, enum db_type type, int64_t count)
{
    struct ordered ordered;
    uint64_t size = 0;
    if (ordered_open(&ordered, call, key, type))
        size = (uint64_t)count < ordered.count ? (uint64_t)count : ordered.count;
    ordered_close(&ordered);
    return size;
}

static void put_parts_aside(struct walk_state *walk)
{
    rope_append(&walk->parts, buffer_bytes(&walk->found));
    buffer_clear(&walk->found);
}

bool ordered_ends_pop(struct ordered *ordered, struct call *call)
{
    if (!call_stops(call))
        return true;
    put_parts_aside(call->walk);
    ordered_put_aside(ordered, &call->walk->found);
    return false;
}

void ordered_take_popped(struct ordered *ordered, struct call *call)
{
    struct walk_state *walk = call->walk;
    ordered_take_changes(ordered, call, buffer_bytes(&walk->found));
    buffer_clear(&walk->found);
    walk->unfinished = false;
}

uint32_t ordered_slice(struct ordered *ordered, struct call *call, uint32_t first)
{
    if (call_is_prepared(call))
        ordered_take_changes(ordered, call, buffer_bytes(&call->walk->found));
    return call_slice_prepared(call, first);
}

void ordered_end_slice(struct ordered *ordered, struct call *call, bool is_changed,
                       const char *event)
{
    struct walk_state *walk = call->walk;
    walk->seen += is_changed;
    bool is_to_save = call_is_prepared(call) ? walk->seen > 0 : is_changed;
    if (!walk->unfinished && call_stops(call))
        ordered_put_aside(ordered, &walk->found);
    else if (is_to_save)
        ordered_save(ordered, event);
}

void ordered_save(struct ordered *ordered, const char *event)
{
    unsigned char large[LARGE_SIZE];
    db_effects_name(ordered->db, event);
    db_put_collection(ordered->db, ordered->database, ordered->key, &ordered->record,
                      payload_of(ordered, large));
    if (ordered->count > 0)
        return;
    db_effects_name(ordered->db, "del");
    db_delete(ordered->db, ordered->database, ordered->key);
}
