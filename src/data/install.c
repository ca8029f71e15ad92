/* Receiving a snapshot: see snapshot.h.  Any one thread; the kv is touched in KV_STAGE alone, until
 * the caller's batch.
 *
 * The rows come in the order of the family, so they go into it as sorted runs that do not overlap.
 * What follows from them, the counts of keys by slot, is counted here and written at the end with
 * the state record, which is what makes a data family of them. */
#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "data/slots.h"
#include "data/snapshot_form.h"
#include "storage/raft_log.h"

struct db_install {
    struct kv *kv; /* borrowed; NULL: nothing is kept */
    uint64_t run_bytes;
    struct db_snapshot_about about;
    struct state state; /* of the head; of the end, when it is whole */
    bool is_begun, is_whole;
    uint64_t id, sum;
    struct buffer last;   /* the key of the last row */
    struct kv_bulk *bulk; /* the run under way; NULL: none */
    uint64_t bulk_bytes;

    struct slots *slots[DB_DATABASES];  /* keys that came; owned; NULL: none */
    uint64_t keys[DB_DATABASES];        /* their number */
    uint64_t named[DB_DATABASES];       /* of them with a space */
    uint64_t collections[DB_DATABASES]; /* rows of TABLE_SPACES */
    uint64_t receipts, due;
};

const char *db_install_text(enum db_install_result result)
{
    switch (result) {
    case DB_INSTALL_OK: return "sound";
    case DB_INSTALL_FOREIGN: return "no part of this snapshot";
    case DB_INSTALL_NEWER: return "in a newer format than this version knows";
    case DB_INSTALL_DAMAGED: return "damaged";
    case DB_INSTALL_ORDER: return "out of order";
    }
    return "?";
}

struct db_install *db_install_new(struct kv *kv, uint64_t run_bytes)
{
    struct db_install *install = memory_new(sizeof *install);
    install->kv = kv;
    install->run_bytes = run_bytes;
    if (kv)
        kv->ops->stage_clear(kv);
    return install;
}

/* Makes what came durable. */
static void end_run(struct db_install *install)
{
    if (install->bulk)
        install->kv->ops->bulk_commit(install->bulk);
    install->bulk = NULL;
    install->bulk_bytes = 0;
}

void db_install_free(struct db_install *install)
{
    if (!install)
        return;
    end_run(install);
    for (unsigned i = 0; i < DB_DATABASES; i++)
        memory_free(install->slots[i]);
    buffer_deinit(&install->last);
    memory_free(install);
}

/* ---- rows -------------------------------------------------------------------------- */

static int compare_keys(struct bytes one, struct bytes other)
{
    size_t size = one.size < other.size ? one.size : other.size;
    int order = size ? memcmp(one.data, other.data, size) : 0;
    return order ? order : (one.size > other.size) - (one.size < other.size);
}

/* False: the space is no database's. */
static bool database_of(const struct db_install *install, uint64_t space, unsigned *database)
{
    for (*database = 0; *database < DB_DATABASES; ++*database)
        if (install->state.databases[*database].space == space)
            return true;
    return false;
}

/* A collection has a space that is no database's, and was given out. */
static bool is_collection(const struct db_install *install, uint64_t space)
{
    unsigned database;
    return space > 0 && space < install->state.space_next &&
           !database_of(install, space, &database);
}

static bool is_sound_key(const struct db_install *install, const struct place *place,
                         struct bytes record)
{
    unsigned database;
    if (!database_of(install, place->space, &database) || !record_header_is_sound(record) ||
        record_word_slot(place->word) != record_slot(place->name))
        return false;
    uint64_t space = record_space(record);
    return space == 0 || is_collection(install, space);
}

static bool is_sound(const struct db_install *install, struct bytes key, struct bytes record,
                     struct place *place)
{
    unsigned database;
    if (!record_key_any(key, place))
        return false;
    switch (place->table) {
    case TABLE_KEYS: return is_sound_key(install, place, record);
    case TABLE_SPACES:
        return database_of(install, place->space, &database) &&
               is_collection(install, place->word) && place->name.size == 0;
    case TABLE_DEADLINES: return database_of(install, place->space, &database);
    case TABLE_ROWS:
    case TABLE_PAGES:
        return place->space == DB_SPACE_SERVER || is_collection(install, place->space);
    case TABLE_RECEIPTS:
    case TABLE_DUE:
    case TABLES: break;
    }
    return true;
}

/* All rows of a body, before any of them counts. */
static bool are_sound(const struct db_install *install, struct bytes body)
{
    struct bytes key, value, last = buffer_bytes(&install->last);
    struct place place;
    if (body.size == 0)
        return false;
    while (body.size > 0) {
        if (!db_snapshot_row_take(&body, &key, &value) || compare_keys(last, key) >= 0 ||
            !is_sound(install, key, value, &place))
            return false;
        last = key;
    }
    return true;
}

static void count_key(struct db_install *install, const struct place *place, struct bytes record)
{
    unsigned database;
    bool is_known = database_of(install, place->space, &database);
    check(is_known);
    if (!install->slots[database])
        install->slots[database] = memory_new(sizeof *install->slots[database]);
    layers_slots_add(install->slots[database], record_word_slot(place->word), 1);
    install->keys[database]++;
    install->named[database] += record_space(record) != 0;
}

static void count_row(struct db_install *install, const struct place *place, struct bytes record)
{
    unsigned database;
    if (place->table == TABLE_KEYS)
        count_key(install, place, record);
    if (place->table == TABLE_SPACES && database_of(install, place->space, &database))
        install->collections[database]++;
    install->receipts += place->table == TABLE_RECEIPTS;
    install->due += place->table == TABLE_DUE;
    install->about.rows++;
}

static void stage_row(struct db_install *install, struct bytes key, struct bytes value)
{
    const struct kv_ops *ops = install->kv->ops;
    if (!install->bulk)
        install->bulk = ops->bulk_new(install->kv, KV_STAGE);
    ops->bulk_put(install->bulk, key, value);
    install->bulk_bytes += key.size + value.size;
    if (install->bulk_bytes >= install->run_bytes)
        end_run(install);
}

static enum db_install_result take_rows(struct db_install *install, struct bytes body)
{
    struct bytes key = {0}, value;
    if (!are_sound(install, body))
        return DB_INSTALL_DAMAGED;
    while (db_snapshot_row_take(&body, &key, &value)) {
        struct place place;
        record_key_any(key, &place);
        count_row(install, &place, value);
        install->about.bytes += key.size + value.size;
        if (install->kv)
            stage_row(install, key, value);
    }
    buffer_clear(&install->last);
    buffer_append_bytes(&install->last, key);
    return DB_INSTALL_OK;
}

/* ---- head and end -------------------------------------------------------------------- */

static enum db_install_result take_head(struct db_install *install,
                                        const struct snapshot_chunk *chunk)
{
    uint64_t cluster;
    if (!record_state_parse(chunk->body, &cluster, &install->state))
        return DB_INSTALL_NEWER; /* its checksum is right */
    install->about = db_snapshot_about_state(&install->state, cluster);
    install->id = chunk->checksum;
    install->is_begun = true;
    return DB_INSTALL_OK;
}

/* What the head said, but for the number of keys. */
static bool agrees_with_head(const struct db_install *install, const struct state *end)
{
    struct state expected = install->state;
    for (unsigned i = 0; i < DB_DATABASES; i++) {
        if (expected.databases[i].space != end->databases[i].space)
            return false;
        expected.databases[i].keys = end->databases[i].keys;
    }
    unsigned char one[RECORD_STATE_SIZE], other[RECORD_STATE_SIZE];
    record_state_encode(one, &expected, 0);
    record_state_encode(other, end, 0);
    return memcmp(one, other, sizeof one) == 0;
}

static bool agrees_with_rows(const struct db_install *install, const struct state *end,
                             const unsigned char *totals)
{
    for (unsigned i = 0; i < DB_DATABASES; i++)
        if (end->databases[i].keys != install->keys[i] ||
            install->named[i] != install->collections[i])
            return false;
    return end->receipts == install->receipts && install->due == install->receipts &&
           get_u64(totals) == install->about.rows && get_u64(totals + 8) == install->about.bytes &&
           get_u64(totals + 16) == install->sum;
}

static enum db_install_result take_end(struct db_install *install, struct bytes body)
{
    struct state end;
    uint64_t cluster;
    const unsigned char *at = body.data;
    if (body.size != SNAPSHOT_END_SIZE ||
        !record_state_parse(bytes_of(at, RECORD_STATE_SIZE), &cluster, &end) ||
        cluster != install->about.cluster || !agrees_with_head(install, &end) ||
        !agrees_with_rows(install, &end, at + RECORD_STATE_SIZE))
        return DB_INSTALL_DAMAGED;
    install->state = end;
    for (unsigned i = 0; i < DB_DATABASES; i++)
        install->about.keys[i] = end.databases[i].keys;
    install->is_whole = true;
    return DB_INSTALL_OK;
}

static enum db_install_result take_body(struct db_install *install,
                                        const struct snapshot_chunk *chunk)
{
    if (install->is_whole || (chunk->kind == SNAPSHOT_HEAD) == install->is_begun ||
        chunk->number != install->about.chunks)
        return DB_INSTALL_ORDER;
    if (chunk->kind == SNAPSHOT_HEAD)
        return take_head(install, chunk);
    return chunk->kind == SNAPSHOT_ROWS ? take_rows(install, chunk->body)
                                        : take_end(install, chunk->body);
}

enum db_install_result db_install_take(struct db_install *install, struct bytes bytes)
{
    struct snapshot_chunk chunk;
    enum db_install_result result = db_snapshot_chunk_parse(bytes, install->id, &chunk);
    if (result == DB_INSTALL_OK)
        result = take_body(install, &chunk);
    if (result != DB_INSTALL_OK)
        return result;
    install->sum = db_snapshot_sum(install->sum, chunk.checksum);
    install->about.chunks++;
    return DB_INSTALL_OK;
}

bool db_install_is_whole(const struct db_install *install)
{
    return install->is_whole;
}

uint64_t db_install_sum(const struct db_install *install)
{
    check(install->is_whole);
    return install->sum;
}

void db_install_about(const struct db_install *install, struct db_snapshot_about *about)
{
    *about = install->about;
}

/* ---- the switch ------------------------------------------------------------------------ */

static void put_counts(struct db_install *install, struct kv_bulk *bulk, unsigned database)
{
    const struct slots *slots = install->slots[database];
    struct buffer key = {0};
    unsigned char record[RECORD_GROUP_SIZE];
    for (unsigned group = 0; slots && group < RECORD_GROUPS; group++) {
        if (slots->groups[group] == 0)
            continue;
        record_group_key(&key, install->state.databases[database].space, group);
        layers_slots_encode(slots, group, record);
        install->kv->ops->bulk_put(bulk, buffer_bytes(&key), bytes_of(record, sizeof record));
    }
    buffer_deinit(&key);
}

/* The database with the least space from `from` on, which it moves behind it. */
static unsigned next_database(const struct db_install *install, uint64_t *from)
{
    unsigned next = DB_DATABASES;
    for (unsigned i = 0; i < DB_DATABASES; i++) {
        uint64_t space = install->state.databases[i].space;
        if (space >= *from &&
            (next == DB_DATABASES || space < install->state.databases[next].space))
            next = i;
    }
    check(next < DB_DATABASES);
    *from = install->state.databases[next].space + 1;
    return next;
}

void db_install_put(struct db_install *install, struct kv_batch *batch, uint64_t cluster)
{
    const struct kv_ops *ops = install->kv->ops;
    unsigned char state[RECORD_STATE_SIZE];
    uint64_t from = 0;
    check(install->is_whole);
    end_run(install);
    /* Until the first entry chose a seed, the cluster's id was the seed: that of the old one. */
    if (cluster != install->about.cluster && install->state.hash_seed == 0)
        install->state.hash_seed = install->about.cluster;
    struct kv_bulk *bulk = ops->bulk_new(install->kv, KV_STAGE);
    record_state_encode(state, &install->state, cluster);
    ops->bulk_put(bulk, record_state_key(), bytes_of(state, sizeof state));
    for (unsigned i = 0; i < DB_DATABASES; i++)
        put_counts(install, bulk, next_database(install, &from));
    ops->bulk_commit(bulk);
    ops->batch_adopt(batch);
}

void db_install_adopt(struct db_install *install, struct raft_log *log,
                      const struct raft_log_members *members, uint64_t cluster)
{
    struct kv *kv = install->kv;
    struct kv_batch *batch = kv->ops->batch_new(kv);
    struct raft_pos pos = {install->about.term, install->about.index};
    raft_log_replace(log, batch, pos, members);
    db_install_put(install, batch, cluster);
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
}
