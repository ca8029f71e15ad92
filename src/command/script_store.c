/* See script_store.h.  Deterministic; loop thread only. */
#include "command/script_store.h"

#include "base/codec.h"
#include "base/fatal.h"
#include "script/script.h"

enum { NUMBER_SIZE = 8, NAME_SIZE = 1 + SCRIPT_SHA_SIZE, STORE_SIZE = 5 * 8, PAGE_OF_STORE = 0 };

/* Page 0: five u64, little endian. */
struct store {
    uint64_t next;   /* number in order of the next that EVAL leaves */
    uint64_t oldest; /* no page is below it */
    uint64_t evaled, count;
    uint64_t bytes;
};

static struct store store_read(struct call *call)
{
    struct store store = {.next = 1, .oldest = 1};
    struct bytes page;
    if (!db_page_get(call->db, NULL, DB_SPACE_SERVER, PAGE_OF_STORE, &page))
        return store;
    const unsigned char *at = page.data;
    check(page.size == STORE_SIZE);
    store.next = get_u64(at);
    store.oldest = get_u64(at + 8);
    store.evaled = get_u64(at + 16);
    store.count = get_u64(at + 24);
    store.bytes = get_u64(at + 32);
    return store;
}

static void store_write(struct call *call, const struct store *store)
{
    unsigned char page[STORE_SIZE];
    check(store->evaled <= store->count);
    put_u64(page, store->next);
    put_u64(page + 8, store->oldest);
    put_u64(page + 16, store->evaled);
    put_u64(page + 24, store->count);
    put_u64(page + 32, store->bytes);
    db_page_put(call->db, DB_SPACE_SERVER, PAGE_OF_STORE, bytes_of(page, sizeof page));
}

static struct bytes name_of(struct bytes sha, char name[NAME_SIZE])
{
    check(sha.size == SCRIPT_SHA_SIZE);
    name[0] = 's';
    memcpy(name + 1, sha.data, SCRIPT_SHA_SIZE);
    return bytes_of(name, NAME_SIZE);
}

/* *number: its place in order, 0: it was loaded. */
static bool find(struct call *call, struct bytes sha, uint64_t *number, struct bytes *body)
{
    char space[NAME_SIZE];
    struct bytes name = name_of(sha, space), row;
    if (!db_row_get(call->db, call->view, DB_SPACE_SERVER, db_row_word(call->db, name), name, &row))
        return false;
    check(row.size >= NUMBER_SIZE);
    *number = get_u64(row.data);
    *body = bytes_of((const char *)row.data + NUMBER_SIZE, row.size - NUMBER_SIZE);
    return true;
}

bool script_store_get(struct call *call, struct bytes sha, struct bytes *body)
{
    uint64_t number;
    return find(call, sha, &number, body);
}

static void put_row(struct call *call, struct bytes sha, uint64_t number, struct bytes body)
{
    char space[NAME_SIZE];
    unsigned char head[NUMBER_SIZE];
    struct bytes name = name_of(sha, space);
    put_u64(head, number);
    db_row_put_parts(call->db, DB_SPACE_SERVER, db_row_word(call->db, name), name,
                     bytes_of(head, sizeof head), body);
}

static void drop_row(struct call *call, struct bytes sha)
{
    char space[NAME_SIZE];
    struct bytes name = name_of(sha, space);
    bool was_there = db_row_delete(call->db, DB_SPACE_SERVER, db_row_word(call->db, name), name);
    check(was_there);
}

/* Of those that EVAL left, the one that came first. */
static void drop_oldest(struct call *call, struct store *store)
{
    struct bytes page;
    check(store->evaled > 0);
    while (!db_page_get(call->db, NULL, DB_SPACE_SERVER, store->oldest, &page)) {
        store->oldest++; /* it was loaded since */
        check(store->oldest < store->next);
    }
    char sha[SCRIPT_SHA_SIZE];
    struct bytes body;
    uint64_t number;
    check(page.size == sizeof sha);
    memcpy(sha, page.data, sizeof sha);
    bool is_there = find(call, bytes_of(sha, sizeof sha), &number, &body);
    check(is_there && number == store->oldest);
    store->bytes -= body.size;
    store->evaled--;
    store->count--;
    drop_row(call, bytes_of(sha, sizeof sha));
    db_page_delete(call->db, DB_SPACE_SERVER, store->oldest++);
}

static bool make_room(struct call *call, struct store *store, size_t size)
{
    while (store->evaled > 0 &&
           (store->evaled >= SCRIPTS_EVALED_MAX || store->count >= SCRIPTS_COUNT_MAX ||
            store->bytes + size > SCRIPTS_BYTES_MAX))
        drop_oldest(call, store);
    return store->count < SCRIPTS_COUNT_MAX && store->bytes + size <= SCRIPTS_BYTES_MAX;
}

bool script_store_put(struct call *call, struct bytes sha, struct bytes body, bool is_loaded)
{
    struct bytes present;
    uint64_t number;
    bool is_there = find(call, sha, &number, &present);
    if (is_there && (number == 0 || !is_loaded))
        return true;
    struct store store = store_read(call);
    if (is_there) { /* it leaves the order */
        db_page_delete(call->db, DB_SPACE_SERVER, number);
        store.evaled--;
        put_row(call, sha, 0, body);
        store_write(call, &store);
        return true;
    }
    bool has_room = make_room(call, &store, body.size);
    if (has_room) {
        number = is_loaded ? 0 : store.next++;
        put_row(call, sha, number, body);
        if (number > 0)
            db_page_put(call->db, DB_SPACE_SERVER, number, sha);
        store.evaled += number > 0;
        store.count++;
        store.bytes += body.size;
    }
    store_write(call, &store);
    return has_room;
}

/* The name of a script's row, without what says that it is one, behind the others. */
static void collect(void *context, struct bytes name, struct bytes value)
{
    struct buffer *shas = context;
    (void)value;
    if (name.size == NAME_SIZE && ((const char *)name.data)[0] == 's')
        buffer_append(shas, (const char *)name.data + 1, SCRIPT_SHA_SIZE);
}

void script_store_flush(struct call *call)
{
    struct store store = store_read(call);
    struct buffer shas = {0};
    uint64_t cursor = 0;
    struct db_scan_limit limit = {.keys = SCRIPTS_COUNT_MAX, .rows = UINT64_MAX};
    do
        cursor = db_row_scan(call->db, NULL, DB_SPACE_SERVER, cursor, limit, collect, &shas);
    while (cursor != 0);
    check(shas.size == store.count * SCRIPT_SHA_SIZE);
    for (size_t at = 0; at < shas.size; at += SCRIPT_SHA_SIZE) {
        struct bytes sha = bytes_of(shas.data + at, SCRIPT_SHA_SIZE), body;
        uint64_t number;
        bool is_there = find(call, sha, &number, &body);
        check(is_there);
        if (number > 0)
            db_page_delete(call->db, DB_SPACE_SERVER, number);
        drop_row(call, sha);
    }
    buffer_deinit(&shas);
    if (store.next > 1 || store.count > 0)
        db_page_delete(call->db, DB_SPACE_SERVER, PAGE_OF_STORE);
}

struct script_counts script_store_counts(struct call *call)
{
    struct store store = store_read(call);
    return (struct script_counts){store.count, store.bytes};
}
