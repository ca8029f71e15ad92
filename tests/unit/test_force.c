/* A directory that becomes a cluster of its own: its log and its data together or not at all, with
 * an end at every write; nothing of the log is lost, and nobody else is in any list of it. */
#include "kv_memory.h"
#include "test_db.h"
#include "test_storage.h"

#include "base/blob.h"
#include "base/codec.h"
#include "data/snapshot.h"
#include "storage/raft_log.h"

enum { OLD = 0x11, NEW = 0x22, NODE = 1, OLD_LIFE = 70, NEW_LIFE = 80 };
enum { TERM = 3, VOTE = 2 };

/* The log has entries 1 to LAST, those of LISTS are lists of the old members, and the data those
 * up to `applied`. */
enum { LAST = 20 };
static const raft_index lists[] = {2, 9, 13, 14, 18};

static bool is_list(raft_index index)
{
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (lists[i] == index)
            return true;
    return false;
}

static struct raft_members old_members(void)
{
    return (struct raft_members){
        .count = 3,
        .list = {{.id = 0, .life = 60, .voter = true, .address = "10.0.0.1:1"},
                 {.id = NODE, .life = OLD_LIFE, .voter = true, .address = "10.0.0.2:1"},
                 {.id = 2, .life = 90, .voter = true, .address = "10.0.0.3:1"}}};
}

static struct raft_member survivor(void)
{
    struct raft_member member = old_members().list[1];
    member.life = NEW_LIFE;
    return member;
}

/* ---- a directory ----------------------------------------------------------------------- */

static struct blob *payload_of(raft_index index)
{
    struct buffer bytes = {0};
    struct raft_members members = old_members();
    if (is_list(index))
        raft_members_encode(&bytes, &members);
    else
        buffer_printf(&bytes, "command %llu", (unsigned long long)index);
    struct blob *blob = blob_copy(buffer_bytes(&bytes));
    buffer_deinit(&bytes);
    return blob;
}

static void append(struct raft_log *log, raft_index from, raft_index to)
{
    struct raft_entry entries[LAST];
    uint32_t count = 0;
    for (raft_index index = from; index <= to; index++) {
        struct blob *payload = payload_of(index);
        entries[count++] =
            (struct raft_entry){.pos = {1 + index / 10, index},
                                .type = is_list(index) ? RAFT_ENTRY_MEMBERS : RAFT_ENTRY_COMMAND,
                                .size = (uint32_t)payload->size,
                                .payload = payload};
    }
    struct raft_write write = {.term = TERM, .voted_for = VOTE, .entries = entries, .count = count};
    raft_log_write(log, &write, 1);
    for (uint32_t i = 0; i < count; i++)
        blob_release(entries[i].payload);
}

static void fill_log(struct kv *kv)
{
    struct raft_log_identity identity = {.node = NODE, .cluster = OLD};
    raft_log_set_identity(kv, &identity);
    raft_log_start(kv, OLD_LIFE);
    struct raft_log *log = raft_log_open(kv);
    append(log, 1, 5);
    append(log, 6, 16); /* cut at 12, and so longer than what counts of it */
    append(log, 12, 17);
    append(log, 18, 18);
    append(log, 19, LAST);
    raft_log_close(log);
}

static void fill_data(struct kv *kv, raft_index applied)
{
    struct db_options options = {.cluster = OLD, .checkpoint_bytes = UINT64_MAX};
    struct db *db = db_open(kv, &options);
    for (raft_index index = 1; index <= applied; index++) {
        char key[16];
        snprintf(key, sizeof key, "key%llu", (unsigned long long)index);
        db_begin(db, 5);
        db_at(db, (int64_t)index, true);
        db_put(db, 0, bytes_from_string(key), DB_STRING, bytes_from_string("x"), 0);
        db_applied(db, index, 1 + index / 10, (int64_t)index);
    }
    if (applied > 0)
        db_checkpoint(db);
    db_close(db);
}

static void force(struct kv *kv)
{
    struct raft_member member = survivor();
    struct raft_log *log = raft_log_open(kv);
    db_stored_force(kv, log, NEW, &member);
    raft_log_close(log);
}

/* ---- what is there ------------------------------------------------------------------------ */

static void expect_only(const struct raft_members *list)
{
    struct raft_members expected = {.count = 1, .list = {survivor()}};
    assert_true(raft_members_equal(list, &expected));
}

/* Every entry behind the beginning, with its own bytes; but a list is that of the new cluster. */
static void expect_entries(struct raft_log *log, raft_index first, bool is_new)
{
    struct raft_entry entries[LAST];
    uint32_t count = (uint32_t)(LAST - first);
    assert_int_equal(raft_log_read(log, first + 1, count, UINT64_MAX, entries), count);
    for (uint32_t i = 0; i < count; i++) {
        struct raft_members list;
        struct blob *payload = entries[i].payload;
        raft_index index = first + 1 + i;
        struct blob *before = payload_of(index);
        assert_int_equal(entries[i].pos.index, index);
        assert_int_equal(entries[i].pos.term, 1 + index / 10);
        assert_int_equal(entries[i].type, is_list(index) ? RAFT_ENTRY_MEMBERS : RAFT_ENTRY_COMMAND);
        if (is_list(index) && is_new) {
            assert_true(raft_members_decode(&list, blob_bytes(payload)));
            expect_only(&list);
        } else {
            assert_int_equal(payload->size, before->size);
            assert_memory_equal(payload->data, before->data, before->size);
        }
        blob_release(before);
        blob_release(payload);
    }
}

static void expect_log(struct kv *kv, raft_index applied, bool is_new)
{
    struct raft_log_members members = {.index = 0};
    struct raft_saved saved = {0};
    struct raft_log *log = raft_log_open(kv);
    raft_log_saved(log, &saved);
    raft_index first = is_new ? applied : 0;
    assert_int_equal(saved.first.index, first);
    assert_int_equal(saved.first.term, first ? 1 + first / 10 : 0);
    assert_int_equal(saved.entries_count, LAST - first);
    assert_int_equal(saved.term, TERM); /* no promise is taken back */
    assert_int_equal(saved.voted_for, VOTE);
    expect_entries(log, first, is_new);
    assert_int_equal(raft_log_members(kv, &members), is_new);
    if (is_new)
        expect_only(&members.list);
    assert_int_equal(members.index, first);
    raft_log_close(log);
}

static void expect_data(struct kv *kv, raft_index applied, uint64_t cluster)
{
    struct db_snapshot_about about;
    assert_int_equal(db_stored_about(kv, &about), applied ? DB_STORED_STATE : DB_STORED_NOTHING);
    assert_int_equal(about.index, applied);
    assert_int_equal(about.cluster, applied ? cluster : 0);
    struct db_options options = {.cluster = cluster, .checkpoint_bytes = UINT64_MAX};
    struct db *db = db_open(kv, &options);
    assert_int_equal(db_applied_index(db), applied);
    assert_int_equal(db_size(db, 0), applied);
    db_close(db);
}

/* All is old, or all is new.  True: new. */
static bool expect_old_or_new(struct kv *kv, raft_index applied)
{
    struct raft_log_identity identity;
    assert_true(raft_log_identity(kv, &identity));
    bool is_new = identity.cluster == NEW;
    assert_int_equal(identity.node, NODE);
    assert_true(is_new || identity.cluster == OLD);
    expect_log(kv, applied, is_new);
    expect_data(kv, applied, identity.cluster);
    struct raft_log_life life = raft_log_start(kv, 99);
    assert_int_equal(life.life, is_new ? NEW_LIFE : OLD_LIFE);
    assert_int_equal(life.starts, is_new ? 1 : 2);
    return is_new;
}

/* ---- tests -------------------------------------------------------------------------------- */

static bool ends_after(int lives, raft_index applied)
{
    struct kv *kv = mortal_open(kv_memory_open());
    fill_log(kv);
    fill_data(kv, applied);
    mortal_set_lives(kv, lives);
    force(kv);
    bool is_over = mortal_is_dead(kv);
    kv_memory_crash(mortal_of(kv)->inner);
    mortal_set_lives(kv, -1);
    bool is_new = expect_old_or_new(kv, applied);
    assert_true(is_new || is_over); /* it was synced */
    kv->ops->close(kv);
    return is_over;
}

/* Wherever the data stand: nothing stored, before a list, at one, in a chunk that was cut, at the
 * end of the log. */
static void test_an_end_at_any_write(void **state)
{
    (void)state;
    for (raft_index applied = 0; applied <= LAST; applied++) {
        int lives = 0;
        while (ends_after(lives, applied))
            lives++;
        assert_in_range(lives, 1, 3);
    }
}

/* From process to process; and what is written and stored later stays in step. */
static void test_on_disk(void **state)
{
    (void)state;
    char *directory = temporary_new();
    struct kv *kv = open_rocksdb(directory);
    fill_log(kv);
    fill_data(kv, 10);
    kv->ops->close(kv);
    kv = open_rocksdb(directory);
    force(kv);
    kv->ops->close(kv);
    kv = open_rocksdb(directory);
    assert_true(expect_old_or_new(kv, 10));
    struct db_options options = {.cluster = NEW, .checkpoint_bytes = UINT64_MAX};
    struct db *db = db_open(kv, &options);
    db_begin(db, 9);
    db_at(db, 11, true);
    db_put(db, 0, bytes_from_string("key11"), DB_STRING, bytes_from_string("x"), 0);
    db_applied(db, 11, 2, 11);
    db_checkpoint(db);
    db_close(db);
    kv->ops->close(kv);
    kv = open_rocksdb(directory);
    expect_data(kv, 11, NEW);
    kv->ops->close(kv);
    temporary_remove(directory);
}

/* A log that was cut short before goes on from where it began. */
static void test_of_a_trimmed_log(void **state)
{
    (void)state;
    struct kv *kv = kv_memory_open();
    fill_log(kv);
    fill_data(kv, 13);
    struct raft_log *log = raft_log_open(kv);
    struct raft_log_members members = {.index = 9, .list = old_members()};
    raft_log_trim(log, (struct raft_pos){2, 13}, &members);
    struct raft_write write = {.term = TERM, .voted_for = VOTE};
    raft_log_write(log, &write, 1);
    raft_log_close(log);
    force(kv);
    kv_memory_crash(kv);
    assert_true(expect_old_or_new(kv, 13));
    kv->ops->close(kv);
}

static void put_state(struct kv *kv, struct bytes record)
{
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_put(batch, KV_DATA, bytes_of("\0", 1), record);
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
}

static void test_unsound_state(void **state)
{
    (void)state;
    struct db_snapshot_about about;
    struct buffer record = {0};
    struct kv *kv = kv_memory_open();
    fill_data(kv, 10);
    assert_true(kv->ops->get(kv, KV_DATA, bytes_of("\0", 1), &record));
    put_state(kv, bytes_of(record.data, record.size - 1));
    assert_int_equal(db_stored_about(kv, &about), DB_STORED_UNSOUND);
    record.data[0] = 2; /* a format of before, and one of later */
    put_state(kv, buffer_bytes(&record));
    assert_int_equal(db_stored_about(kv, &about), DB_STORED_UNSOUND);
    record.data[0] = 4;
    put_state(kv, buffer_bytes(&record));
    assert_int_equal(db_stored_about(kv, &about), DB_STORED_UNSOUND);
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_delete(batch, KV_DATA, bytes_of("\0", 1)); /* rows of nobody */
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
    assert_int_equal(db_stored_about(kv, &about), DB_STORED_UNSOUND);
    buffer_deinit(&record);
    kv->ops->close(kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_end_at_any_write),
        cmocka_unit_test(test_on_disk),
        cmocka_unit_test(test_of_a_trimmed_log),
        cmocka_unit_test(test_unsound_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
