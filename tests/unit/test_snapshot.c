/* Snapshots of a db: that what is installed is what the view showed, whatever was applied, stored
 * and swept meanwhile, and goes on like every other node; that a store has the old state or the new
 * after an end of the machine at any write; and that no damaged, cut, repeated, left out or foreign
 * chunk is taken. */
#include "test_db_run.h"
#include "test_storage.h"

#include "base/codec.h"
#include "data/content.h"
#include "data/layers.h"
#include "data/snapshot_form.h"
#include "storage/raft_log.h"

enum {
    KEYS = 40,
    BASES = 3,
    ENTRIES = 500,
    RUNS = 6,
    CHUNKS_MAX = 200,
    CHUNK_BYTES = 5000,
    RUN_BYTES = 20000,
    CLUSTER = DB_RUN_CLUSTER
};

static const unsigned database_of[BASES] = {0, 4, DB_DATABASES - 1};

/* ---- entries ----------------------------------------------------------------------- */

static void put_large(struct db *db, unsigned database, struct bytes key, uint64_t *dice)
{
    struct db_record record = {.type = DB_HASH, .space = db_space_new(db, database)};
    for (uint64_t i = prng_below(dice, 60); i > 0; i--) {
        struct text text;
        struct bytes element = name(&text, "element", (unsigned)i);
        db_row_put(db, record.space, db_row_word(db, element), element, key);
    }
    for (uint64_t i = prng_below(dice, 4); i > 0; i--)
        db_page_put(db, record.space, i, key);
    record.deadline_ms = prng_below(dice, 3) ? 0 : 1 + (int64_t)prng_below(dice, 2 * ENTRIES);
    db_put_collection(db, database, key, &record, key);
}

static void change_large(struct db *db, unsigned database, struct bytes key, uint64_t *dice)
{
    struct db_record found;
    struct text text;
    struct bytes element = name(&text, "element", (unsigned)prng_below(dice, 60));
    if (!db_find(db, NULL, database, key, &found, NULL) || found.type != DB_HASH)
        return;
    if (!db_row_delete(db, found.space, db_row_word(db, element), element))
        db_row_put(db, found.space, db_row_word(db, element), element, element);
    db_page_delete(db, found.space, 1);
    db_put_collection(db, database, key, &found, element);
}

static void apply_one(struct db *db, uint64_t *dice)
{
    static const char long_value[3000] = "a value of some length";
    struct text text, other;
    unsigned database = database_of[prng_below(dice, BASES)];
    unsigned to = database_of[prng_below(dice, BASES)];
    struct bytes key = name(&text, "key", (unsigned)prng_below(dice, KEYS));
    uint64_t what = prng_below(dice, 60);
    if (what % 7 == 0)
        db_row_put(db, DB_SPACE_SERVER, db_row_word(db, key), key, key);
    if (what % 17 == 0)
        db_row_delete(db, DB_SPACE_SERVER, db_row_word(db, key), key);
    if (what < 20)
        db_put(db, database, key, DB_STRING, bytes_of(long_value, prng_below(dice, 3000)),
               what < 5 ? 1 + (int64_t)prng_below(dice, 2 * ENTRIES) : 0);
    else if (what < 35)
        put_large(db, database, key, dice);
    else if (what < 45)
        change_large(db, database, key, dice);
    else if (what < 50)
        db_delete(db, database, key);
    else if (what < 54)
        db_rename(db, database, key, to, name(&other, "key", (unsigned)prng_below(dice, KEYS)),
                  NULL);
    else if (what < 58)
        db_receipt_put(db, key, 1, bytes_of("+OK", 3), (int64_t)db_applied_index(db));
    else if (what == 58)
        db_swap(db, database, to);
    else if (prng_below(dice, 3) == 0)
        db_flush(db, database);
}

static void apply(struct db *db, void *model, uint64_t seed, uint64_t index)
{
    uint64_t dice = seed ^ index * 0x9e3779b97f4a7c15ull;
    (void)model;
    db_begin(db, seed);
    db_at(db, 0, true);
    db_note_meaning(db, 5);
    for (uint64_t i = 1 + prng_below(&dice, 3); i > 0; i--)
        apply_one(db, &dice);
    db_applied(db, index, 1 + index / 100, (int64_t)index);
}

static void compare(struct db *db, struct db_view *view, const void *model, uint64_t index)
{
    (void)db;
    (void)view;
    (void)model;
    (void)index;
}

static const struct db_run_kind kind = {
    .model_size = 1, .entries = ENTRIES, .apply = apply, .compare = compare};

/* What every node has after entry `index`. */
static uint64_t hash_after(uint64_t seed, uint64_t index)
{
    struct kv *kv = kv_memory_open();
    struct db_options options = {.cluster = CLUSTER, .checkpoint_bytes = UINT64_MAX};
    struct db *db = db_open(kv, &options);
    for (uint64_t i = 1; i <= index; i++)
        apply(db, NULL, seed, i);
    uint64_t hash = db_hash(db);
    db_close(db);
    kv->ops->close(kv);
    return hash;
}

/* ---- chunks kept in memory --------------------------------------------------------- */

struct chunks {
    struct buffer list[CHUNKS_MAX];
    unsigned count;
};

static void keep(struct chunks *chunks, const struct db_snapshot *snapshot)
{
    uint64_t number;
    struct bytes chunk = db_snapshot_chunk(snapshot, &number);
    assert_int_equal(number, chunks->count);
    assert_true(chunks->count < CHUNKS_MAX);
    assert_int_equal(db_install_chunk_size(chunk), chunk.size);
    buffer_append_bytes(&chunks->list[chunks->count++], chunk);
}

static void chunks_free(struct chunks *chunks)
{
    for (unsigned i = 0; i < chunks->count; i++)
        buffer_deinit(&chunks->list[i]);
    chunks->count = 0;
}

static void read_all(struct db *db, uint64_t work, struct chunks *chunks)
{
    struct db_snapshot *snapshot = db_snapshot_new(db, CHUNK_BYTES);
    assert_non_null(snapshot);
    while (!db_snapshot_is_end(snapshot))
        if (db_snapshot_next(snapshot, work))
            keep(chunks, snapshot);
    db_snapshot_free(snapshot);
}

/* The state of a seed, as chunks. */
static void chunks_of(uint64_t seed, uint64_t index, struct chunks *chunks)
{
    struct kv *kv = kv_memory_open();
    struct db_options options = {.cluster = CLUSTER, .checkpoint_bytes = 20000};
    struct db *db = db_open(kv, &options);
    for (uint64_t i = 1; i <= index; i++)
        apply(db, NULL, seed, i);
    read_all(db, UINT64_MAX, chunks);
    db_close(db);
    kv->ops->close(kv);
}

static struct bytes chunk_of(const struct chunks *chunks, unsigned i)
{
    return buffer_bytes(&chunks->list[i]);
}

static void take_all(struct db_install *install, const struct chunks *chunks)
{
    for (unsigned i = 0; i < chunks->count; i++)
        assert_int_equal(db_install_take(install, chunk_of(chunks, i)), DB_INSTALL_OK);
    assert_true(db_install_is_whole(install));
}

/* What two nodes are compared by. */
static uint64_t content_of(struct db *db, uint64_t work)
{
    struct db_content *content = NULL;
    while (!(content = db_content_new(db)))
        db_wait(db), db_poll(db);
    while (!db_content_next(content, work))
        ;
    uint64_t hash = db_content_hash(content);
    db_content_free(content);
    return hash;
}

static void adopt(struct kv *kv, struct db_install *install, uint64_t cluster)
{
    struct kv_batch *batch = kv->ops->batch_new(kv);
    db_install_put(install, batch, cluster);
    kv->ops->batch_put(batch, KV_META, bytes_of("adopted", 7), bytes_of("yes", 3));
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
}

static void install_all(struct kv *kv, const struct chunks *chunks, uint64_t cluster,
                        uint64_t run_bytes)
{
    struct db_install *install = db_install_new(kv, run_bytes);
    take_all(install, chunks);
    adopt(kv, install, cluster);
    db_install_free(install);
}

static uint64_t hash_of(struct kv *kv, uint64_t *index)
{
    struct db_options options = {.cluster = CLUSTER, .checkpoint_bytes = UINT64_MAX};
    struct db *db = db_open(kv, &options);
    uint64_t hash = db_hash(db);
    *index = db_applied_index(db);
    db_close(db);
    return hash;
}

/* A store with the state of another log. */
static struct kv *store_with(struct kv *inner, uint64_t seed, uint64_t index)
{
    struct kv *kv = mortal_open(inner);
    struct db_options options = {.cluster = CLUSTER, .checkpoint_bytes = 10000};
    struct db *db = db_open(kv, &options);
    for (uint64_t i = 1; i <= index; i++)
        apply(db, NULL, seed, i);
    db_checkpoint(db);
    db_close(db);
    return kv;
}

/* ---- tests ------------------------------------------------------------------------- */

/* Applies entries and disturbs the source while the snapshot is read. */
static void read_beside(struct db_run *run, struct chunks *chunks)
{
    struct db_snapshot *snapshot = NULL;
    while (!(snapshot = db_snapshot_new(run->db, CHUNK_BYTES)))
        db_wait(run->db), db_poll(run->db);
    struct db_snapshot_about about;
    db_snapshot_about(snapshot, &about);
    assert_int_equal(about.index, run->index);
    assert_int_equal(about.cluster, CLUSTER);
    while (!db_snapshot_is_end(snapshot)) {
        if (db_snapshot_next(snapshot, 4000))
            keep(chunks, snapshot);
        if (run->index < ENTRIES)
            apply(run->db, NULL, run->seed, ++run->index);
        if (prng_below(&run->dice, 10) == 0)
            db_checkpoint(run->db);
        db_poll(run->db);
    }
    db_snapshot_free(snapshot);
}

/* Nothing but what is seen: no dead rows, and each row that is there once. */
static void expect_rows(struct kv *kv, uint64_t rows)
{
    static const char *const tables[] = {"r", "s", "t", "u", "v", "w", "x"};
    uint64_t found = 0;
    for (unsigned i = 0; i < sizeof tables / sizeof *tables; i++)
        found += stored_keys(kv, bytes_from_string(tables[i]));
    assert_int_equal(found, rows);
}

static void one_run(uint64_t seed, bool has_thread)
{
    struct db_run *run = db_run_new(&kind, seed, 3000 + 20000 * (seed % 3), has_thread);
    struct chunks chunks = {0};
    uint64_t at = ENTRIES / 4 + prng_below(&run->dice, ENTRIES / 2), index;
    while (run->index < at) {
        apply(run->db, NULL, seed, ++run->index);
        if (prng_below(&run->dice, 50) == 0)
            db_checkpoint(run->db);
        db_poll(run->db);
    }
    read_beside(run, &chunks);

    struct kv *kv = store_with(kv_memory_open(), seed + 100, 80);
    struct db_install *install = db_install_new(kv, RUN_BYTES);
    take_all(install, &chunks);
    struct db_snapshot_about about;
    db_install_about(install, &about);
    assert_int_equal(about.index, at);
    assert_int_equal(about.term, 1 + at / 100);
    assert_int_equal(about.time_ms, at);
    assert_int_equal(about.meaning, 5);
    adopt(kv, install, CLUSTER);
    db_install_free(install);
    expect_rows(kv, about.rows);
    assert_int_equal(hash_of(kv, &index), hash_after(seed, at));
    assert_int_equal(index, at);

    struct db *db = db_open(kv, &run->options); /* and it goes on like the others */
    for (uint64_t i = at + 1; i <= run->index; i++)
        apply(db, NULL, seed, i);
    assert_int_equal(content_of(db, UINT64_MAX), content_of(run->db, 5000));
    assert_int_equal(db_hash(db), db_hash(run->db));
    assert_int_equal(content_of(db, 7000), content_of(run->db, UINT64_MAX)); /* names resolved */
    db_close(db);
    kv->ops->close(kv);
    chunks_free(&chunks);
    db_run_free(run);
}

static void test_is_the_state_of_its_index(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= RUNS; seed++)
        one_run(seed, seed % 2 == 0);
}

/* However it is divided, the chunks are the same. */
static void test_slices(void **state)
{
    (void)state;
    struct kv *kv = store_with(kv_memory_open(), 5, ENTRIES);
    struct db_options options = {.cluster = CLUSTER, .checkpoint_bytes = UINT64_MAX};
    struct db *db = db_open(kv, &options);
    struct chunks whole = {0}, sliced = {0};
    read_all(db, UINT64_MAX, &whole);
    read_all(db, 1, &sliced);
    assert_true(whole.count > 3);
    assert_int_equal(whole.count, sliced.count);
    for (unsigned i = 0; i < whole.count; i++)
        assert_true(bytes_equal(chunk_of(&whole, i), chunk_of(&sliced, i)));
    chunks_free(&whole);
    chunks_free(&sliced);
    db_close(db);
    kv->ops->close(kv);
}

/* Each of these is a difference, as small as there are. */
static void change_a_bit(struct db *db, unsigned what)
{
    struct text text, other;
    struct bytes key = name(&text, "key", 1), value = name(&other, "value", what == 1);
    db_begin(db, 5);
    db_at(db, 0, true);
    db_put(db, what == 2, key, DB_STRING, value, what == 3);
    if (what == 4)
        db_receipt_put(db, key, 1, bytes_of("+OK", 3), 1);
    if (what == 5)
        db_row_put(db, DB_SPACE_SERVER, 1, key, key);
    if (what == 10 || what == 11) /* names alone tell them apart */
        db_row_put(db, DB_SPACE_SERVER, 1, bytes_of(what == 10 ? "a" : "b", 1), value);
    if (what == 6)
        db_note_meaning(db, 6);
    db_applied(db, 1, what == 7 ? 2 : 1, what == 8 ? 2 : 1);
    if (what == 9)
        db_applied(db, 2, 1, 1);
}

static uint64_t content_after_a_change(unsigned what, uint64_t cluster)
{
    struct kv *kv = kv_memory_open();
    struct db_options options = {.cluster = cluster, .checkpoint_bytes = UINT64_MAX};
    struct db *db = db_open(kv, &options);
    change_a_bit(db, what);
    uint64_t hash = content_of(db, UINT64_MAX);
    db_close(db);
    kv->ops->close(kv);
    return hash;
}

static void test_content_tells_apart(void **state)
{
    enum { KINDS = 12 };
    uint64_t hashes[KINDS];
    (void)state;
    for (unsigned i = 0; i < KINDS; i++) {
        hashes[i] = content_after_a_change(i, CLUSTER);
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(hashes[i], hashes[j]);
    }
    assert_int_equal(content_after_a_change(0, CLUSTER), hashes[0]);
    assert_int_equal(content_after_a_change(0, CLUSTER + 1), hashes[0]);
}

static void test_nothing(void **state)
{
    (void)state;
    struct chunks chunks = {0};
    uint64_t index;
    chunks_of(1, 0, &chunks);
    assert_int_equal(chunks.count, 2);
    struct kv *kv = store_with(kv_memory_open(), 9, 50);
    install_all(kv, &chunks, CLUSTER, RUN_BYTES);
    assert_int_equal(hash_of(kv, &index), hash_after(1, 0));
    assert_int_equal(index, 0);
    chunks_free(&chunks);
    kv->ops->close(kv);
}

static void expect_old_or_new(struct kv *kv, bool must_be_new, uint64_t old, uint64_t new)
{
    uint64_t index;
    struct buffer value = {0};
    uint64_t hash = hash_of(kv, &index);
    bool is_new = kv->ops->get(kv, KV_META, bytes_of("adopted", 7), &value);
    assert_int_equal(hash, is_new ? new : old);
    if (must_be_new)
        assert_true(is_new);
    buffer_deinit(&value);
}

/* The machine ends after so many writes; false: it did not come to that. */
static bool end_after(const struct chunks *chunks, int lives, uint64_t old, uint64_t new)
{
    struct kv *kv = store_with(kv_memory_open(), 30, 60);
    mortal_set_lives(kv, lives);
    install_all(kv, chunks, CLUSTER, RUN_BYTES);
    bool is_over = mortal_is_dead(kv);
    kv_memory_crash(mortal_of(kv)->inner);
    mortal_set_lives(kv, -1);
    expect_old_or_new(kv, !is_over, old, new);
    install_all(kv, chunks, CLUSTER, RUN_BYTES); /* from the beginning */
    expect_old_or_new(kv, true, old, new);
    kv->ops->close(kv);
    return is_over;
}

static void test_an_end_at_any_write(void **state)
{
    (void)state;
    struct chunks chunks = {0};
    chunks_of(3, ENTRIES, &chunks);
    uint64_t old = hash_after(30, 60), new = hash_after(3, ENTRIES);
    int lives = 0;
    while (end_after(&chunks, lives, old, new))
        lives++;
    assert_true(lives >= 4); /* emptying, rows, state, switch */
    chunks_free(&chunks);
}

/* ---- with the log, as a member does that fell behind ------------------------------- */

enum {
    OLD_ENTRIES = ENTRIES + 20,
    OLD_TERM = 3,
    PRESENT_TERM = 9,
    PRESENT_VOTE = 2,
    MEMBERS_AT = 90
};

static void write_old_log(struct kv *kv)
{
    struct raft_log *log = raft_log_open(kv);
    struct raft_entry entries[OLD_ENTRIES];
    for (unsigned i = 0; i < OLD_ENTRIES; i++)
        entries[i] = (struct raft_entry){.pos = {OLD_TERM, i + 1}, .type = RAFT_ENTRY_NOOP};
    struct raft_write before = {1, PRESENT_TERM, PRESENT_VOTE, entries, ENTRIES};
    struct raft_write behind = {2, PRESENT_TERM, PRESENT_VOTE, entries + ENTRIES,
                                OLD_ENTRIES - ENTRIES};
    raft_log_write(log, &before, 1);
    raft_log_write(log, &behind, 1); /* a chunk of its own, behind the state's position */
    raft_log_close(log);
}

static void adopt_with_log(struct kv *kv, const struct chunks *chunks)
{
    struct raft_log *log = raft_log_open(kv);
    struct db_install *install = db_install_new(kv, RUN_BYTES);
    struct raft_log_members members = {.index = MEMBERS_AT,
                                       .list = {.count = 1, .list = {{.id = 7, .voter = true}}}};
    take_all(install, chunks);
    db_install_adopt(install, log, &members, CLUSTER);
    db_install_free(install);
    raft_log_close(log);
}

/* Data and log are both old or both new, and no promise is taken back.  True: new. */
static bool expect_in_step(struct kv *kv, uint64_t old, uint64_t new)
{
    uint64_t index;
    uint64_t hash = hash_of(kv, &index);
    struct raft_log *log = raft_log_open(kv);
    struct raft_saved saved = {0};
    raft_log_saved(log, &saved);
    bool is_new = saved.first.index > 0;
    assert_int_equal(saved.term, PRESENT_TERM);
    assert_int_equal(saved.voted_for, PRESENT_VOTE);
    assert_int_equal(hash, is_new ? new : old);
    assert_int_equal(saved.entries_count, is_new ? 0 : OLD_ENTRIES);
    assert_int_equal(saved.first.index, is_new ? ENTRIES : 0);
    assert_int_equal(saved.first.term, is_new ? 1 + ENTRIES / 100 : 0);
    if (is_new)
        assert_int_equal(index, saved.first.index);
    struct raft_log_members members = {0};
    assert_int_equal(raft_log_members(kv, &members), is_new);
    assert_int_equal(members.index, is_new ? MEMBERS_AT : 0);
    assert_int_equal(members.list.count, is_new);
    raft_log_close(log);
    return is_new;
}

static bool ends_with_log_after(const struct chunks *chunks, int lives, uint64_t old, uint64_t new)
{
    struct kv *kv = store_with(kv_memory_open(), 30, 10);
    write_old_log(kv);
    mortal_set_lives(kv, lives);
    adopt_with_log(kv, chunks);
    bool is_over = mortal_is_dead(kv);
    kv_memory_crash(mortal_of(kv)->inner);
    mortal_set_lives(kv, -1);
    bool is_new = expect_in_step(kv, old, new);
    assert_true(is_new || is_over);
    if (!is_new) {
        adopt_with_log(kv, chunks);
        assert_true(expect_in_step(kv, old, new));
    }
    kv->ops->close(kv);
    return is_over;
}

static void test_log_and_data_change_together(void **state)
{
    (void)state;
    struct chunks chunks = {0};
    chunks_of(3, ENTRIES, &chunks);
    uint64_t old = hash_after(30, 10), new = hash_after(3, ENTRIES);
    int lives = 0;
    while (ends_with_log_after(&chunks, lives, old, new))
        lives++;
    assert_true(lives >= 4); /* emptying, rows, state, switch */
    chunks_free(&chunks);
}

/* What is appended behind the state is there after a restart, and nothing else. */
static void test_log_goes_on_behind_the_state(void **state)
{
    (void)state;
    struct chunks chunks = {0};
    char *directory = temporary_new();
    chunks_of(3, ENTRIES, &chunks);
    struct kv *kv = store_with(open_rocksdb(directory), 30, 10);
    write_old_log(kv);
    adopt_with_log(kv, &chunks);
    struct raft_log *log = raft_log_open(kv);
    struct raft_entry entry = {.pos = {PRESENT_TERM, ENTRIES + 1}, .type = RAFT_ENTRY_NOOP};
    struct raft_write write = {1, PRESENT_TERM, PRESENT_VOTE, &entry, 1};
    raft_log_write(log, &write, 1);
    raft_log_close(log);
    kv->ops->close(kv);
    kv = mortal_open(open_rocksdb(directory));
    log = raft_log_open(kv);
    struct raft_saved saved = {0};
    raft_log_saved(log, &saved);
    assert_int_equal(saved.first.index, ENTRIES);
    assert_int_equal(saved.entries_count, 1);
    assert_int_equal(saved.entries[0].pos.index, ENTRIES + 1);
    raft_log_close(log);
    kv->ops->close(kv);
    chunks_free(&chunks);
    temporary_remove(directory);
}

/* Of a real store, from process to process, back and forth. */
static void test_on_disk(void **state)
{
    (void)state;
    char *directory = temporary_new();
    struct chunks chunks[2] = {0};
    uint64_t hash[2] = {hash_after(40, 100), hash_after(41, 120)}, index;
    chunks_of(40, 100, &chunks[0]);
    chunks_of(41, 120, &chunks[1]);
    struct kv *kv = store_with(open_rocksdb(directory), 42, 90);
    uint64_t now = hash_after(42, 90);
    for (int lives = 0, round = 0; round < 2; lives++) {
        mortal_set_lives(kv, lives % 5);
        install_all(kv, &chunks[round], CLUSTER, UINT64_MAX);
        bool must_be_old = lives % 5 < 4; /* the fourth write is the switch */
        mortal_set_lives(kv, -1);
        kv->ops->close(kv);
        kv = mortal_open(open_rocksdb(directory));
        if (!must_be_old)
            now = hash[round++];
        assert_int_equal(hash_of(kv, &index), now);
    }
    kv->ops->close(kv);
    chunks_free(&chunks[0]);
    chunks_free(&chunks[1]);
    temporary_remove(directory);
}

static void expect_refused(struct db_install *install, struct bytes chunk)
{
    struct db_snapshot_about before, after;
    db_install_about(install, &before);
    assert_int_not_equal(db_install_take(install, chunk), DB_INSTALL_OK);
    db_install_about(install, &after);
    assert_memory_equal(&before, &after, sizeof before);
}

static void damage(struct db_install *install, struct bytes chunk, uint64_t *dice)
{
    struct buffer copy = {0};
    buffer_append_bytes(&copy, chunk);
    for (size_t i = 0; i < chunk.size; i += 1 + (i < 64 ? 0 : prng_below(dice, chunk.size / 30))) {
        char flip = (char)(1 << prng_below(dice, 8));
        copy.data[i] ^= flip;
        expect_refused(install, buffer_bytes(&copy));
        copy.data[i] ^= flip;
    }
    for (int i = 0; i < 30; i++) /* cut short */
        expect_refused(install, bytes_of(copy.data, prng_below(dice, chunk.size)));
    buffer_append_byte(&copy, 0);
    expect_refused(install, buffer_bytes(&copy));
    buffer_deinit(&copy);
}

static void test_damaged_cut_and_out_of_order(void **state)
{
    (void)state;
    struct chunks chunks = {0}, foreign = {0};
    uint64_t dice = 1;
    chunks_of(6, ENTRIES, &chunks);
    chunks_of(6, ENTRIES - 1, &foreign);
    struct kv *kv = kv_memory_open();
    struct db_install *install = db_install_new(kv, RUN_BYTES);
    assert_true(chunks.count > 3);
    for (unsigned i = 0; i < chunks.count; i++) {
        assert_false(db_install_is_whole(install));
        for (unsigned other = 0; other < chunks.count; other++)
            if (other != i)
                expect_refused(install, chunk_of(&chunks, other));
        if (i > 0 && i < foreign.count)
            expect_refused(install, chunk_of(&foreign, i));
        damage(install, chunk_of(&chunks, i), &dice);
        assert_int_equal(db_install_take(install, chunk_of(&chunks, i)), DB_INSTALL_OK);
        expect_refused(install, chunk_of(&chunks, i));
    }
    assert_true(db_install_is_whole(install));
    uint64_t index;
    adopt(kv, install, CLUSTER);
    assert_int_equal(hash_of(kv, &index), hash_after(6, ENTRIES));
    db_install_free(install);
    chunks_free(&chunks);
    chunks_free(&foreign);
    kv->ops->close(kv);
}

/* ---- chunks that are not what a db sends, with right checksums --------------------- */

struct forger {
    struct db_install *install;
    struct buffer chunk;
    uint64_t id, number;
    struct state state;
};

static void forge_head(struct forger *forger)
{
    unsigned char state[RECORD_STATE_SIZE];
    forger->install = db_install_new(NULL, RUN_BYTES);
    forger->state = record_state_first();
    forger->state.space_next = 50;
    forger->number = 1;
    record_state_encode(state, &forger->state, CLUSTER);
    db_snapshot_chunk_begin(&forger->chunk);
    buffer_append(&forger->chunk, state, sizeof state);
    forger->id = db_snapshot_chunk_end(&forger->chunk, SNAPSHOT_HEAD, 0, 0);
    assert_int_equal(db_install_take(forger->install, buffer_bytes(&forger->chunk)), DB_INSTALL_OK);
    db_snapshot_chunk_begin(&forger->chunk);
}

static void forge_row(struct forger *forger, enum table table, uint64_t space, uint64_t word,
                      const char *row, struct bytes value)
{
    struct buffer key = {0};
    struct place place = {table, space, word, bytes_from_string(row)};
    record_key(&key, &place);
    db_snapshot_chunk_row(&forger->chunk, buffer_bytes(&key), value);
    buffer_deinit(&key);
}

static enum db_install_result forge_end(struct forger *forger)
{
    db_snapshot_chunk_end(&forger->chunk, SNAPSHOT_ROWS, forger->number, forger->id);
    enum db_install_result result = db_install_take(forger->install, buffer_bytes(&forger->chunk));
    db_install_free(forger->install);
    buffer_deinit(&forger->chunk);
    return result;
}

static struct bytes forge_record(unsigned char *out, uint64_t space)
{
    struct header header = {.type = DB_HASH, .space = space};
    return bytes_of(out, record_header_encode(out, &header));
}

static void test_rows_that_make_no_sense(void **state)
{
    (void)state;
    unsigned char record[RECORD_HEADER_MAX];
    struct bytes nothing = {0}, sound = forge_record(record, 30);
    uint64_t word = record_key_word(bytes_from_string("a"), 0);
    for (int i = 0; i < 11; i++) {
        struct forger forger = {0};
        forge_head(&forger);
        switch (i) {
        case 0: forge_row(&forger, TABLE_KEYS, 1, word, "a", sound); break; /* it does */
        case 1: forge_row(&forger, TABLE_KEYS, 17, word, "a", sound); break;
        case 2: forge_row(&forger, TABLE_KEYS, 1, word, "another slot", sound); break;
        case 3: forge_row(&forger, TABLE_KEYS, 1, word, "a", bytes_of(record, 11)); break;
        case 4: forge_row(&forger, TABLE_KEYS, 1, word, "a", bytes_of(record, 13)); break;
        case 5: forge_row(&forger, TABLE_ROWS, 50, 0, "a", nothing); break;
        case 6: forge_row(&forger, TABLE_PAGES, 3, 0, "", nothing); break;
        case 7: forge_row(&forger, TABLE_SPACES, 30, 1, "", nothing); break;
        case 8: forge_row(&forger, TABLE_DEADLINES, 30, 1, "", nothing); break;
        case 9:
            forge_row(&forger, TABLE_ROWS, 30, 5, "b", nothing);
            forge_row(&forger, TABLE_ROWS, 30, 5, "a", nothing);
            break;
        case 10: db_snapshot_chunk_row(&forger.chunk, bytes_of("q", 1), nothing); break;
        }
        assert_int_equal(forge_end(&forger), i == 0 ? DB_INSTALL_OK : DB_INSTALL_DAMAGED);
    }
}

/* Each database has a space of its own, of those that were given out. */
static void test_heads_that_make_no_sense(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        unsigned char record[RECORD_STATE_SIZE + 1] = {0};
        struct state head = record_state_first();
        struct buffer chunk = {0};
        struct db_install *install = db_install_new(NULL, RUN_BYTES);
        head.space_next = 50;
        head.databases[7].space = 49; /* the last of them */
        switch (i) {
        case 0: break; /* it does make sense */
        case 1: head.databases[7].space = 50; break;
        case 2: head.databases[7].space = UINT64_MAX; break;
        case 3: head.databases[7].space = 0; break;
        case 4: head.databases[7].space = head.databases[DB_DATABASES - 1].space; break;
        case 5: break; /* a byte too many */
        }
        record_state_encode(record, &head, CLUSTER);
        db_snapshot_chunk_begin(&chunk);
        buffer_append(&chunk, record, RECORD_STATE_SIZE + (i == 5));
        db_snapshot_chunk_end(&chunk, SNAPSHOT_HEAD, 0, 0);
        if (i == 0)
            assert_int_equal(db_install_take(install, buffer_bytes(&chunk)), DB_INSTALL_OK);
        else
            expect_refused(install, buffer_bytes(&chunk));
        db_install_free(install);
        buffer_deinit(&chunk);
    }
}

enum wrong {
    NOTHING_WRONG,
    ONE_KEY_MORE,
    NO_PLACE_OF_A_COLLECTION,
    A_RECEIPT_MORE,
    A_TIME_OF_NO_RECEIPT,
    ONE_ROW_MORE,
    ONE_BYTE_MORE,
    ANOTHER_SUM,
    ANOTHER_CLUSTER,
    ANOTHER_INDEX,
    A_BYTE_BEHIND,
    AN_UNKNOWN_KIND,
    WRONGS
};

/* A state of one collection without rows. */
static enum db_install_result forge_whole(enum wrong wrong)
{
    unsigned char state[RECORD_STATE_SIZE], record[RECORD_HEADER_MAX], totals[24];
    struct bytes nothing = {0};
    struct forger forger = {0};
    forge_head(&forger);
    db_install_free(forger.install); /* it begins anew, with a head of these */
    forger.install = db_install_new(NULL, RUN_BYTES);
    forger.state.receipts = wrong == A_RECEIPT_MORE;
    record_state_encode(state, &forger.state, CLUSTER);
    db_snapshot_chunk_begin(&forger.chunk);
    buffer_append(&forger.chunk, state, sizeof state);
    forger.id = db_snapshot_chunk_end(&forger.chunk, SNAPSHOT_HEAD, 0, 0);
    assert_int_equal(db_install_take(forger.install, buffer_bytes(&forger.chunk)), DB_INSTALL_OK);

    db_snapshot_chunk_begin(&forger.chunk);
    forge_row(&forger, TABLE_KEYS, 1, record_key_word(bytes_from_string("a"), 0), "a",
              forge_record(record, 30));
    if (wrong == A_TIME_OF_NO_RECEIPT)
        forge_row(&forger, TABLE_DUE, 0, 1, "client", nothing);
    if (wrong != NO_PLACE_OF_A_COLLECTION)
        forge_row(&forger, TABLE_SPACES, 1, 30, "", nothing);
    uint64_t sum = db_snapshot_sum(0, forger.id);
    sum = db_snapshot_sum(sum, db_snapshot_chunk_end(&forger.chunk, SNAPSHOT_ROWS, 1, forger.id));
    assert_int_equal(db_install_take(forger.install, buffer_bytes(&forger.chunk)), DB_INSTALL_OK);

    struct db_snapshot_about about;
    db_install_about(forger.install, &about);
    forger.state.databases[0].keys = 1 + (wrong == ONE_KEY_MORE);
    forger.state.index += wrong == ANOTHER_INDEX;
    record_state_encode(state, &forger.state, CLUSTER + (wrong == ANOTHER_CLUSTER));
    put_u64(totals, about.rows + (wrong == ONE_ROW_MORE));
    put_u64(totals + 8, about.bytes + (wrong == ONE_BYTE_MORE));
    put_u64(totals + 16, sum + (wrong == ANOTHER_SUM));
    db_snapshot_chunk_begin(&forger.chunk);
    buffer_append(&forger.chunk, state, sizeof state);
    buffer_append(&forger.chunk, totals, sizeof totals);
    buffer_append(&forger.chunk, "", wrong == A_BYTE_BEHIND);
    db_snapshot_chunk_end(&forger.chunk, wrong == AN_UNKNOWN_KIND ? SNAPSHOT_KINDS : SNAPSHOT_END,
                          2, forger.id);
    enum db_install_result result = db_install_take(forger.install, buffer_bytes(&forger.chunk));
    assert_int_equal(db_install_is_whole(forger.install), result == DB_INSTALL_OK);
    db_install_free(forger.install);
    buffer_deinit(&forger.chunk);
    return result;
}

static void test_ends_that_do_not_agree(void **state)
{
    (void)state;
    for (enum wrong wrong = NOTHING_WRONG; wrong < WRONGS; wrong++)
        assert_int_equal(forge_whole(wrong),
                         wrong == NOTHING_WRONG ? DB_INSTALL_OK : DB_INSTALL_DAMAGED);
}

/* It says so before anything that an older build knows: its checksum may be another one. */
static void test_of_a_newer_format(void **state)
{
    (void)state;
    struct chunks chunks = {0};
    chunks_of(8, 100, &chunks);
    struct buffer copy = {0};
    buffer_append_bytes(&copy, chunk_of(&chunks, 0));
    copy.data[4]++;
    struct db_install *install = db_install_new(NULL, RUN_BYTES);
    assert_int_equal(db_install_take(install, buffer_bytes(&copy)), DB_INSTALL_NEWER);
    db_install_free(install);
    buffer_deinit(&copy);
    chunks_free(&chunks);
}

/* Each of them fits into 32 bits, their sum does not. */
static void test_sizes_that_wrap(void **state)
{
    (void)state;
    unsigned char record[RECORD_HEADER_MAX];
    uint64_t word = record_key_word(bytes_from_string("a"), 0);
    for (uint32_t beyond = 0; beyond < 8; beyond++) {
        struct forger forger = {0};
        forge_head(&forger);
        size_t row = forger.chunk.size;
        forge_row(&forger, TABLE_KEYS, 1, word, "a", forge_record(record, 30));
        unsigned char *sizes = (unsigned char *)forger.chunk.data + row;
        put_u32(sizes + 4, beyond - get_u32(sizes));
        assert_int_equal(forge_end(&forger), DB_INSTALL_DAMAGED);
    }
}

/* A restored state is of no cluster until it is opened. */
static void test_of_another_cluster(void **state)
{
    (void)state;
    struct chunks chunks = {0};
    chunks_of(8, 100, &chunks);
    struct kv *kv = kv_memory_open();
    install_all(kv, &chunks, RECORD_NO_CLUSTER, RUN_BYTES);
    struct db_options options = {.cluster = 99, .checkpoint_bytes = UINT64_MAX};
    struct db *db = db_open(kv, &options);
    assert_int_equal(db_hash(db), hash_after(8, 100));
    apply(db, NULL, 8, 101);
    db_checkpoint(db);
    db_close(db);
    db = db_open(kv, &options);
    assert_int_equal(db_hash(db), hash_after(8, 101));
    db_close(db);
    chunks_free(&chunks);
    kv->ops->close(kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_the_state_of_its_index),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_content_tells_apart),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_an_end_at_any_write),
        cmocka_unit_test(test_log_and_data_change_together),
        cmocka_unit_test(test_log_goes_on_behind_the_state),
        cmocka_unit_test(test_on_disk),
        cmocka_unit_test(test_damaged_cut_and_out_of_order),
        cmocka_unit_test(test_rows_that_make_no_sense),
        cmocka_unit_test(test_heads_that_make_no_sense),
        cmocka_unit_test(test_ends_that_do_not_agree),
        cmocka_unit_test(test_of_a_newer_format),
        cmocka_unit_test(test_sizes_that_wrap),
        cmocka_unit_test(test_of_another_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
