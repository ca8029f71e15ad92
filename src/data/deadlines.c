/* Deadlines of keys, in order of time, and the end of those that have come.  Loop thread.
 *
 * A row is written when a key gets a deadline, without a look at what the key had before, and says
 * only that it may be time (L8).  When its own time comes, the record of the key is asked: it has
 * that deadline, and the key is deleted; a later one, and a row for that is written; none, or there
 * is no such key, and the row was all that was left.  What a database had dies with its space.
 *
 * A collection whose elements have deadlines has a row for the earliest of them.  When that comes,
 * who knows its elements deletes those whose time it is, some at a time, and a row for the next is
 * written, whose time has come if there are more. */
#include "base/fatal.h"
#include "data/merge.h"

enum {
    CHUNK_ROWS = 64,    /* collected at once, because a table must not change under a merge */
    CHUNK_ELEMENTS = 64 /* deleted in one call */
};

/* What one call may still do. */
struct portion {
    struct db_expiry *left;
    uint32_t elements;
};

static struct place row_place(const struct db *db, unsigned database, struct bytes key,
                              int64_t due_ms)
{
    return (struct place){.table = TABLE_DEADLINES,
                          .space = layers_space(db, database),
                          .word = record_due_word(due_ms, layers_hash(db, key)),
                          .name = key};
}

void layers_deadline_add(struct db *db, unsigned database, struct bytes key, int64_t deadline_ms)
{
    int64_t due_ms = record_due_clamp(deadline_ms);
    struct place place = row_place(db, database, key, due_ms);
    layers_say(db, &place);
    if (due_ms < db->deadline_from_ms[database])
        db->deadline_from_ms[database] = due_ms;
}

int64_t db_due_ms(const struct db *db)
{
    int64_t first = INT64_MAX;
    for (unsigned i = 0; i < DB_DATABASES; i++)
        if (db->deadline_from_ms[i] < first)
            first = db->deadline_from_ms[i];
    return first;
}

void layers_expired_drop(struct db *db, unsigned database, const struct place *place)
{
    const char *event = db->effects.event;
    if (!db->may_drop)
        return;
    bool was_there = layers_delete(db, place);
    check(was_there);
    layers_count(db, database, record_word_slot(place->word), -1);
    db->expired++;
    db_effects_name(db, "expired");
    layers_note_key(db, DB_EFFECT_DELETED, database, place->name);
    db_effects_name(db, event);
}

/* ---- rows that are due ------------------------------------------------------------------ */

/* Before the bytes of its key. */
struct due_row {
    int64_t due_ms;
    size_t key_size;
};

/* Some of the rows whose time has come, oldest first; less than was asked for: those are all. */
static uint32_t collect(struct db *db, unsigned database, struct db_expiry *left,
                        struct buffer *rows)
{
    uint32_t found = 0;
    struct sources sources = merge_sources(db);
    struct merge merge;
    merge_open_whole(&merge, &sources, TABLE_DEADLINES, layers_space(db, database),
                     record_due_word(record_due_clamp(db->deadline_from_ms[database]), 0));
    bool is_more = merge_next_live(&merge);
    while (is_more && found < CHUNK_ROWS && left->rows > 0 && left->bytes > 0 &&
           record_due_time(merge.word) <= db->now_ms) {
        struct due_row row = {record_due_time(merge.word), merge.name.size};
        buffer_append(rows, &row, sizeof row);
        buffer_append_bytes(rows, merge.name);
        found++;
        left->rows--;
        left->bytes -= merge.name.size < left->bytes ? merge.name.size : left->bytes;
        is_more = merge_next_live(&merge);
    }
    /* Where the merge stands now is the first that will be left. */
    db->deadline_from_ms[database] = is_more ? record_due_time(merge.word) : INT64_MAX;
    merge_close(&merge);
    return found;
}

/* False: there is no such key. */
static bool look(struct db *db, const struct place *place, struct db_record *found)
{
    struct bytes head;
    size_t size;
    bool is_there = layers_look(db, place, &head, &size);
    if (is_there)
        *found = layers_found(head, size, NULL);
    return is_there;
}

/* Ends elements of a key that is there, if some are due and any more may be ended in this call. */
static void expire_elements(struct db *db, unsigned database, struct bytes key,
                            const struct db_record *found, struct portion *portion)
{
    struct db_expiry *left = portion->left;
    uint32_t most = portion->elements < left->rows ? portion->elements : left->rows;
    if (!layers_is_over(db, found->elements_due_ms) || most == 0)
        return;
    check(db->elements_due);
    uint32_t gone = db->elements_due(db, database, key, most);
    check(gone > 0); /* else it would be due for ever */
    portion->elements -= gone < portion->elements ? gone : portion->elements;
    left->rows -= gone < left->rows ? gone : left->rows;
}

static void settle(struct db *db, unsigned database, struct bytes key, int64_t due_ms,
                   struct portion *portion)
{
    struct db_record found;
    struct place place = row_place(db, database, key, due_ms);
    layers_unsay(db, &place);
    place = layers_key(db, layers_space(db, database), key);
    if (!look(db, &place, &found))
        return;
    if (layers_is_over(db, found.deadline_ms)) {
        layers_expired_drop(db, database, &place);
        return;
    }
    expire_elements(db, database, key, &found, portion);
    if (!look(db, &place, &found))
        return;
    due_ms = layers_due_ms(found.deadline_ms, found.elements_due_ms);
    if (due_ms != 0)
        layers_deadline_add(db, database, key, due_ms); /* L8 */
}

/* False: none was due, or `left` is used up. */
static bool expire_some(struct db *db, unsigned database, struct db_expiry *left)
{
    struct buffer rows = {0};
    struct portion portion = {left, CHUNK_ELEMENTS};
    uint32_t count = collect(db, database, left, &rows);
    const char *at = rows.data;
    for (uint32_t i = 0; i < count; i++) {
        struct due_row row;
        memcpy(&row, at, sizeof row);
        settle(db, database, bytes_of(at + sizeof row, row.key_size), row.due_ms, &portion);
        at += sizeof row + row.key_size;
    }
    buffer_deinit(&rows);
    return count > 0 && left->rows > 0 && left->bytes > 0;
}

void db_elements_due(struct db *db, db_elements_due_fn *expire)
{
    db->elements_due = expire;
}

bool db_expire(struct db *db, struct db_expiry *left)
{
    check(db->may_drop);
    for (unsigned i = 0; i < DB_DATABASES; i++)
        if (db->deadline_from_ms[i] <= db->now_ms && expire_some(db, i, left))
            return true;
    return false;
}

void layers_deadlines_load(struct db *db)
{
    struct sources sources = merge_sources(db);
    for (unsigned i = 0; i < DB_DATABASES; i++) {
        struct merge merge;
        merge_open_whole(&merge, &sources, TABLE_DEADLINES, layers_space(db, i), 0);
        bool is_there = merge_next_live(&merge);
        db->deadline_from_ms[i] = is_there ? record_due_time(merge.word) : INT64_MAX;
        merge_close(&merge);
    }
}
