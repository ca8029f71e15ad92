/* Receipts: the last request of each client and its reply.  Loop thread.
 *
 * TABLE_DUE orders them by time, so that ending the idle ones looks at few others.  A receipt's
 * place there is not moved at each use (that would double the cost of every request), but when it
 * comes up: used since, it goes to the time of its last use; else it ends. */
#include "base/fatal.h"
#include "data/merge.h"

static struct place receipt_place(uint64_t hash, struct bytes client)
{
    return (struct place){.table = TABLE_RECEIPTS, .word = hash, .name = client};
}

static struct place due_place(int64_t due_ms, uint64_t hash, struct bytes client)
{
    return (struct place){
        .table = TABLE_DUE, .word = record_due_word(due_ms, hash), .name = client};
}

static bool find(struct db *db, uint64_t hash, struct bytes client, struct receipt_record *receipt)
{
    struct place place = receipt_place(hash, client);
    struct bytes record;
    if (!layers_get(db, &place, &record))
        return false;
    record_receipt_parse(record, receipt);
    return true;
}

bool db_receipt_get(struct db *db, struct bytes client, uint64_t *request_id, struct bytes *reply)
{
    struct receipt_record receipt;
    if (!find(db, layers_hash(db, client), client, &receipt))
        return false;
    *request_id = receipt.request_id;
    *reply = receipt.reply;
    return true;
}

static void store(struct db *db, uint64_t hash, struct bytes client,
                  const struct receipt_record *receipt)
{
    unsigned char header[RECORD_RECEIPT_HEADER];
    struct place place = receipt_place(hash, client);
    record_receipt_header(header, receipt);
    layers_put(db, &place, bytes_of(header, sizeof header), receipt->reply);
}

static void store_due(struct db *db, int64_t due_ms, uint64_t hash, struct bytes client)
{
    struct bytes nothing = {0};
    struct place place = due_place(due_ms, hash, client);
    bool was_there = layers_put(db, &place, nothing, nothing);
    check(!was_there); /* L5 */
    if (due_ms < db->due_from_ms)
        db->due_from_ms = due_ms;
}

void db_receipt_put(struct db *db, struct bytes client, uint64_t request_id, struct bytes reply,
                    int64_t now_ms)
{
    uint64_t hash = layers_hash(db, client);
    struct receipt_record receipt, before;
    receipt = (struct receipt_record){.request_id = request_id,
                                      .used_ms = record_due_clamp(now_ms),
                                      .due_ms = record_due_clamp(now_ms),
                                      .reply = reply};
    bool is_known = find(db, hash, client, &before);
    if (is_known)
        receipt.due_ms = before.due_ms;
    store(db, hash, client, &receipt);
    if (is_known)
        return;
    store_due(db, receipt.due_ms, hash, client);
    db->state.receipts++;
}

/* The receipts whose time in TABLE_DUE is before `before_ms`, the oldest first, at most `count` of
 * them: their clients, each behind its size. */
static uint32_t collect_due(struct db *db, int64_t before_ms, uint32_t count,
                            struct buffer *clients)
{
    uint32_t found = 0;
    struct sources sources = merge_sources(db);
    struct merge merge;
    merge_open_whole(
        &merge, &sources, TABLE_DUE, 0,
        record_due_word(record_due_clamp(db->due_from_ms), 0)); /* not over what ended */
    bool is_more = merge_next_live(&merge);
    for (; is_more && found < count && record_due_time(merge.word) < before_ms; found++) {
        buffer_append(clients, &merge.name.size, sizeof merge.name.size);
        buffer_append_bytes(clients, merge.name);
        is_more = merge_next_live(&merge);
    }
    /* Where the merge stands now is the first that will be left. */
    db->due_from_ms = is_more ? record_due_time(merge.word) : INT64_MAX;
    merge_close(&merge);
    return found;
}

static void move(struct db *db, uint64_t hash, struct bytes client, struct receipt_record *receipt)
{
    receipt->due_ms = receipt->used_ms;
    store(db, hash, client, receipt);
    store_due(db, receipt->due_ms, hash, client);
}

/* A receipt that is due ends, or moves to the time of its last use.  True: it ended. */
static bool end_or_move(struct db *db, struct bytes client, int64_t before_ms)
{
    uint64_t hash = layers_hash(db, client);
    struct place place = receipt_place(hash, client);
    struct receipt_record receipt;
    bool is_known = find(db, hash, client, &receipt);
    check(is_known); /* L5 */
    int64_t due_ms = receipt.due_ms;
    bool is_ending = receipt.used_ms < before_ms;
    if (is_ending)
        layers_delete(db, &place);
    else /* at once: its reply is on loan */
        move(db, hash, client, &receipt);
    struct place due = due_place(due_ms, hash, client);
    bool was_due = layers_delete(db, &due);
    check(was_due); /* L5 */
    if (is_ending)
        db->state.receipts--;
    return is_ending;
}

uint32_t db_receipt_expire(struct db *db, int64_t before_ms, uint32_t count_max)
{
    if (before_ms <= db->due_from_ms)
        return 0;
    /* Collected first, because a table must not change under a merge. */
    struct buffer clients = {0};
    uint32_t count = collect_due(db, before_ms, count_max, &clients);
    uint32_t ended = 0;
    const char *at = clients.data;
    for (uint32_t i = 0; i < count; i++) {
        size_t size;
        memcpy(&size, at, sizeof size);
        if (end_or_move(db, bytes_of(at + sizeof size, size), before_ms))
            ended++;
        at += sizeof size + size;
    }
    buffer_deinit(&clients);
    return ended;
}
