/* The db against a plain model, with checkpoints and crashes at random places.
 *
 * A log of entries is made up from a seed: what entry i does depends on nothing but seed and i, so
 * it can be applied again after a crash, from the persisted index on, as a node does.  A second db
 * that never checkpoints applies the same entries: the two must be equal at every index. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include "kv_memory.h"
#include "test_db.h"

#include "data/layers.h"

/* A thread sanitizer makes all of it some twenty times slower. */
#ifdef __SANITIZE_THREAD__
enum { LIVES = 4, SHARE = 4 };
#elif defined __SANITIZE_ADDRESS__
enum { LIVES = 6, SHARE = 3 };
#else
enum { LIVES = 15, SHARE = 1 };
#endif
enum { KEYS = 60, BASES = 3, VIEWS = 3, CLIENTS = 12, VALUE_MAX = 6000, CLUSTER = 77, SEED = 78 };

struct model_key {
    bool is_present;
    uint64_t version;
    uint64_t seed; /* of the value */
    uint32_t size;
};

struct model_receipt {
    bool is_present;
    uint64_t request_id;
    int64_t used_ms, due_ms;
};

struct model_database {
    uint64_t keys;
    struct model_key key[KEYS];
};

struct model {
    uint64_t index;
    uint64_t receipts;
    struct model_database base[BASES];
    struct model_receipt receipt[CLIENTS];
};

struct run {
    uint64_t seed;
    uint64_t dice; /* what happens beside the log: checkpoints, crashes */
    bool has_thread;
    uint64_t checkpoint_bytes;
    uint64_t (*hash)(struct bytes, uint64_t); /* NULL: the db's own */
    uint64_t (*word)(struct bytes, uint64_t);
    bool is_rocksdb;
    uint64_t entries;

    struct kv *kv;
    struct db *db;
    struct kv *reference_kv;
    struct db *reference; /* never checkpoints */
    struct model model;
    uint64_t crashes;

    /* Views of db, and the model as it was when they were taken. */
    struct {
        struct db_view *view; /* NULL: none */
        struct model_database base[BASES];
    } views[VIEWS];
    uint64_t views_taken;
};

/* Those of the model, as the db numbers them. */
static const unsigned database_of[BASES] = {0, 1, DB_DATABASES - 1};

static unsigned woken; /* atomic */

/* RocksDB's library is not built for the thread sanitizer, which takes its locking for none. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:librocksdb.so\n";
}

static void wake(void *context)
{
    (void)context;
    __atomic_add_fetch(&woken, 1, __ATOMIC_RELEASE);
}

/* ---- names and values ------------------------------------------------------------ */

static struct bytes key_name(uint64_t key)
{
    static char text[32];
    if (key == 0)
        return bytes_of(text, 0);
    int size = snprintf(text, sizeof text, "%c%c%llu", (char)(key % 3), (char)(255 - key % 2),
                        (unsigned long long)key);
    return bytes_of(text, (size_t)size);
}

static struct bytes client_name(uint64_t client)
{
    static char text[32];
    return bytes_of(text,
                    (size_t)snprintf(text, sizeof text, "client-%llu", (unsigned long long)client));
}

static struct bytes value_of(const struct model_key *key)
{
    static char value[VALUE_MAX];
    uint64_t seed = key->seed;
    for (uint32_t i = 0; i < key->size; i++)
        value[i] = (char)prng_next(&seed);
    return bytes_of(value, key->size);
}

static struct bytes reply_of(const struct model_receipt *receipt)
{
    static char text[64];
    return bytes_of(text, (size_t)snprintf(text, sizeof text, "reply to %llu at %lld",
                                           (unsigned long long)receipt->request_id,
                                           (long long)receipt->used_ms));
}

/* Words, not only hashes, are equal for many keys. */
static uint64_t clashing_word(struct bytes key, uint64_t hash)
{
    (void)key;
    return hash;
}

static uint64_t clashing_hash(struct bytes name, uint64_t seed)
{
    static const uint64_t hashes[] = {0, 1, (uint64_t)1 << 63, UINT64_MAX - 1, UINT64_MAX};
    return hashes[XXH3_64bits_withSeed(name.data, name.size, seed) % 5];
}

static uint64_t hash_of(const struct run *run, struct bytes name)
{
    return run->reference->hash(name, SEED);
}

static unsigned slot_of(const struct run *run, uint64_t key)
{
    struct bytes name = key_name(key);
    return record_word_slot(run->db->word(name, hash_of(run, name)));
}

/* ---- the log ------------------------------------------------------------------------ */

/* `dbs`: those to be changed with the model, up to a NULL. */
static void apply_put(struct run *run, struct db **dbs, uint64_t *dice)
{
    uint64_t number = prng_below(dice, KEYS), base = prng_below(dice, BASES);
    struct model_key *key = &run->model.base[base].key[number];
    key->seed = prng_next(dice);
    key->size = (uint32_t)prng_below(dice, prng_below(dice, 20) ? 60 : VALUE_MAX);
    key->version = run->model.index;
    for (; *dbs; dbs++)
        db_put(*dbs, database_of[base], key_name(number), DB_STRING, value_of(key), 0);
    run->model.base[base].keys += !key->is_present;
    key->is_present = true;
}

/* The value of one key goes to another, straight from where it lies. */
static void apply_copy(struct run *run, struct db **dbs, uint64_t *dice)
{
    uint64_t from = prng_below(dice, KEYS), to = prng_below(dice, KEYS);
    uint64_t base_from = prng_below(dice, BASES), base_to = prng_below(dice, BASES);
    struct model_key *key = &run->model.base[base_from].key[from];
    for (; *dbs; dbs++) {
        struct bytes value;
        enum db_type type = db_get(*dbs, database_of[base_from], key_name(from), &value);
        assert_int_equal(type, key->is_present ? DB_STRING : DB_NONE);
        if (type != DB_NONE)
            db_put(*dbs, database_of[base_to], key_name(to), type, value, 0);
    }
    if (!key->is_present)
        return;
    struct model_database *base = &run->model.base[base_to];
    base->keys += !base->key[to].is_present;
    base->key[to] = *key;
    base->key[to].version = run->model.index;
}

/* Into a value that is there, and back: what comes of it is compared at once. */
static void apply_splice(struct run *run, struct db **dbs, uint64_t *dice)
{
    static char wanted[3 * VALUE_MAX], part[VALUE_MAX];
    uint64_t number = prng_below(dice, KEYS), base = prng_below(dice, BASES);
    struct model_key *key = &run->model.base[base].key[number];
    if (!key->is_present)
        return;
    size_t offset = prng_below(dice, key->size + 10), size = prng_below(dice, 200);
    size_t wanted_size = offset + size > key->size ? offset + size : key->size;
    memset(part, (char)prng_next(dice), size);
    memset(wanted, 0, sizeof wanted);
    if (key->size)
        memcpy(wanted, value_of(key).data, key->size);
    memcpy(wanted + offset, part, size);
    key->version = run->model.index;
    for (; *dbs; dbs++) {
        struct bytes value;
        struct db_record found;
        db_splice(*dbs, database_of[base], key_name(number), offset, bytes_of(part, size));
        assert_true(db_lookup(*dbs, database_of[base], key_name(number), &found));
        assert_int_equal(found.version, run->model.index);
        assert_int_equal(db_get(*dbs, database_of[base], key_name(number), &value), DB_STRING);
        assert_int_equal(value.size, wanted_size);
        assert_memory_equal(value.data, wanted, wanted_size);
        if (key->size)
            db_splice(*dbs, database_of[base], key_name(number), 0, value_of(key));
        db_get(*dbs, database_of[base], key_name(number), &value);
        db_put(*dbs, database_of[base], key_name(number), DB_STRING,
               bytes_of(value.data, key->size), 0);
    }
}

static void apply_delete(struct run *run, struct db **dbs, uint64_t *dice)
{
    uint64_t number = prng_below(dice, KEYS), base = prng_below(dice, BASES);
    struct model_key *key = &run->model.base[base].key[number];
    for (; *dbs; dbs++)
        assert_int_equal(db_delete(*dbs, database_of[base], key_name(number)), key->is_present);
    run->model.base[base].keys -= key->is_present;
    key->is_present = false;
}

static void apply_flush(struct run *run, struct db **dbs, uint64_t *dice)
{
    uint64_t base = prng_below(dice, BASES + 1); /* or all of them */
    for (; *dbs; dbs++)
        if (base == BASES)
            db_flush_all(*dbs);
        else
            db_flush(*dbs, database_of[base]);
    for (uint64_t i = 0; i < BASES; i++)
        if (base == BASES || base == i)
            memset(&run->model.base[i], 0, sizeof run->model.base[i]);
}

static void apply_swap(struct run *run, struct db **dbs, uint64_t *dice)
{
    uint64_t one = prng_below(dice, BASES), other = prng_below(dice, BASES);
    for (; *dbs; dbs++)
        db_swap(*dbs, database_of[one], database_of[other]);
    struct model_database base = run->model.base[one];
    run->model.base[one] = run->model.base[other];
    run->model.base[other] = base;
}

static void apply_receipt(struct run *run, struct db **dbs, uint64_t *dice, int64_t now_ms)
{
    uint64_t client = prng_below(dice, CLIENTS);
    struct model_receipt *receipt = &run->model.receipt[client];
    receipt->request_id = prng_next(dice);
    receipt->used_ms = now_ms;
    if (!receipt->is_present)
        receipt->due_ms = now_ms;
    for (; *dbs; dbs++)
        db_receipt_put(*dbs, client_name(client), receipt->request_id, reply_of(receipt), now_ms);
    run->model.receipts += !receipt->is_present;
    receipt->is_present = true;
}

/* The present receipt that is first in order of due time and name; CLIENTS if there is none. */
static uint64_t first_due(const struct run *run, const bool *done)
{
    uint64_t first = CLIENTS, first_word = 0;
    for (uint64_t i = 0; i < CLIENTS; i++) {
        const struct model_receipt *receipt = &run->model.receipt[i];
        if (!receipt->is_present || done[i])
            continue;
        uint64_t word = record_due_word(receipt->due_ms, hash_of(run, client_name(i)));
        bool is_before = first == CLIENTS || word < first_word;
        if (!is_before && word == first_word) {
            char name[32] = {0};
            struct bytes other = client_name(first);
            memcpy(name, other.data, other.size);
            is_before = overlay_name_compare(client_name(i), bytes_of(name, other.size)) < 0;
        }
        if (is_before) {
            first = i;
            first_word = word;
        }
    }
    return first;
}

static void apply_expire(struct run *run, struct db **dbs, uint64_t *dice, int64_t now_ms)
{
    int64_t before_ms = now_ms - (int64_t)prng_below(dice, 400);
    uint32_t count = (uint32_t)prng_below(dice, 5), ended = 0;
    bool done[CLIENTS] = {0};
    for (uint32_t i = 0; i < count; i++) {
        uint64_t client = first_due(run, done);
        if (client == CLIENTS || run->model.receipt[client].due_ms >= before_ms)
            break;
        struct model_receipt *receipt = &run->model.receipt[client];
        done[client] = true;
        receipt->due_ms = receipt->used_ms;
        receipt->is_present = receipt->used_ms >= before_ms;
        ended += !receipt->is_present;
    }
    run->model.receipts -= ended;
    for (; *dbs; dbs++)
        assert_int_equal(db_receipt_expire(*dbs, before_ms, count), ended);
}

static void apply_one(struct run *run, struct db **dbs, uint64_t *dice, int64_t now_ms)
{
    uint64_t what = prng_below(dice, 1000);
    if (what < 450)
        apply_put(run, dbs, dice);
    else if (what < 500)
        apply_copy(run, dbs, dice);
    else if (what < 550)
        apply_splice(run, dbs, dice);
    else if (what < 800)
        apply_delete(run, dbs, dice);
    else if (what < 806)
        apply_flush(run, dbs, dice);
    else if (what < 812)
        apply_swap(run, dbs, dice);
    else if (what < 900)
        apply_receipt(run, dbs, dice, now_ms);
    else if (what < 950)
        apply_expire(run, dbs, dice, now_ms);
}

/* The next entry of the log, on the model and on `dbs`. */
static void apply_entry(struct run *run, struct db **dbs)
{
    uint64_t index = ++run->model.index;
    uint64_t dice = run->seed * 1000003 + index;
    int64_t now_ms = 1700000000000 + (int64_t)index * 5;
    for (struct db **db = dbs; *db; db++)
        db_begin(*db, SEED - 1 + index); /* the first one's counts */
    for (uint64_t count = prng_below(&dice, 5); count > 0; count--) {
        apply_one(run, dbs, &dice, now_ms);
        if (*dbs && prng_below(&run->dice, 20) == 0)
            db_poll(*dbs); /* must not take half an entry into a checkpoint */
    }
    for (; *dbs; dbs++)
        db_applied(*dbs, index, index / 100, now_ms);
}

/* ---- comparing ------------------------------------------------------------------------- */

struct seen {
    uint64_t count;
    bool key[KEYS];
};

static void see(void *context, struct bytes name, enum db_type type)
{
    struct seen *seen = context;
    assert_int_equal(type, DB_STRING);
    for (uint64_t i = 0; i < KEYS; i++)
        if (bytes_equal(key_name(i), name)) {
            assert_false(seen->key[i]);
            seen->key[i] = true;
            seen->count++;
            return;
        }
    fail_msg("scan gave an unknown key");
}

static void verify_record(struct run *run, uint64_t base, uint64_t number)
{
    const struct model_key *key = &run->model.base[base].key[number];
    struct db_record found;
    bool is_present = db_lookup(run->db, database_of[base], key_name(number), &found);
    assert_int_equal(is_present, key->is_present);
    if (!is_present)
        return;
    assert_int_equal(found.type, DB_STRING);
    assert_int_equal(found.size, key->size);
    assert_int_equal(found.version, key->version);
    assert_int_equal(found.deadline_ms, 0);
}

static void verify_slots(struct run *run, uint64_t base)
{
    uint64_t expected[KEYS] = {0}, sum = 0;
    for (uint64_t i = 0; i < KEYS; i++)
        for (uint64_t j = 0; j < KEYS && run->model.base[base].key[i].is_present; j++)
            expected[j] += slot_of(run, i) == slot_of(run, j);
    for (uint64_t i = 0; i < KEYS; i++)
        assert_int_equal(db_slot_size(run->db, database_of[base], slot_of(run, i)), expected[i]);
    for (unsigned slot = 0; slot < SLOTS; slot++)
        sum += db_slot_size(run->db, database_of[base], slot);
    assert_int_equal(sum, run->model.base[base].keys);
}

/* The counts are made exact a few names at a time, or by a checkpoint. */
static void resolve(struct run *run)
{
    while (!db_resolve(run->db, 1 + prng_below(&run->dice, 40))) {
        sched_yield();
        db_poll(run->db);
    }
}

static void verify_scan(struct run *run, uint64_t base)
{
    struct seen seen = {0};
    uint64_t cursor = 0, calls = 0;
    do {
        uint64_t before = seen.count, count = prng_below(&run->dice, 20);
        struct db_scan_limit limit = {.keys = count, .rows = UINT64_MAX};
        cursor = db_scan(run->db, database_of[base], cursor, limit, see, &seen);
        assert_true(cursor == 0 || seen.count - before >= (count ? count : 1));
        assert_true(++calls <= KEYS + 1);
    } while (cursor != 0);
    for (uint64_t i = 0; i < KEYS; i++)
        assert_int_equal(seen.key[i], run->model.base[base].key[i].is_present);
}

static void verify_random(struct run *run, uint64_t base)
{
    struct buffer key = {0};
    struct bytes value;
    unsigned database = database_of[base];
    bool is_found = db_random(run->db, database, prng_next(&run->dice), &key);
    assert_int_equal(is_found, run->model.base[base].keys > 0);
    if (is_found)
        assert_int_equal(db_get(run->db, database, buffer_bytes(&key), &value), DB_STRING);
    buffer_deinit(&key);
}

static void verify_base(struct run *run, uint64_t base)
{
    const struct model_database *model = &run->model.base[base];
    resolve(run);
    assert_int_equal(db_size(run->db, database_of[base]), model->keys);
    verify_slots(run, base);
    for (uint64_t i = 0; i < KEYS; i++) {
        struct bytes value;
        verify_record(run, base, i);
        bool is_present = db_get(run->db, database_of[base], key_name(i), &value) != DB_NONE;
        assert_int_equal(is_present, model->key[i].is_present);
        if (is_present)
            assert_true(bytes_equal(value, value_of(&model->key[i])));
    }
    verify_scan(run, base);
    verify_random(run, base);
}

static void verify(struct run *run)
{
    assert_int_equal(db_applied_index(run->db), run->model.index);
    for (uint64_t base = 0; base < BASES; base++)
        verify_base(run, base);
    for (uint64_t i = 0; i < CLIENTS; i++) {
        const struct model_receipt *receipt = &run->model.receipt[i];
        uint64_t request_id;
        struct bytes reply;
        bool is_present = db_receipt_get(run->db, client_name(i), &request_id, &reply);
        assert_int_equal(is_present, receipt->is_present);
        if (!is_present)
            continue;
        assert_int_equal(request_id, receipt->request_id);
        assert_true(bytes_equal(reply, reply_of(receipt)));
    }
    struct db_stats stats;
    db_stats(run->db, &stats);
    assert_int_equal(stats.receipts, run->model.receipts);
    if (db_applied_index(run->reference) == run->model.index)
        assert_int_equal(db_hash(run->db), db_hash(run->reference));
}

/* ---- views ------------------------------------------------------------------------------ */

static void verify_view(struct run *run, unsigned number)
{
    struct db_view *view = run->views[number].view;
    for (uint64_t base = 0; base < BASES; base++) {
        const struct model_database *model = &run->views[number].base[base];
        unsigned database = database_of[base];
        for (uint64_t i = 0; i < KEYS; i++) {
            struct bytes value;
            bool is_present = db_view_get(view, database, key_name(i), &value) != DB_NONE;
            assert_int_equal(is_present, model->key[i].is_present);
            if (is_present)
                assert_true(bytes_equal(value, value_of(&model->key[i])));
        }
        struct seen seen = {0};
        struct db_scan_limit limit = {.keys = UINT64_MAX, .rows = 1 + prng_below(&run->dice, 9)};
        uint64_t cursor = 0;
        do
            cursor = db_view_scan(view, database, cursor, limit, see, &seen);
        while (cursor != 0);
        assert_int_equal(seen.count, model->keys);
    }
}

static void release_view(struct run *run, unsigned number)
{
    if (!run->views[number].view)
        return;
    verify_view(run, number);
    db_view_release(run->views[number].view);
    run->views[number].view = NULL;
}

static void release_views(struct run *run)
{
    for (unsigned i = 0; i < VIEWS; i++)
        release_view(run, i);
}

/* Takes a view, or looks at one that is there and perhaps lets it go. */
static void use_view(struct run *run)
{
    unsigned number = (unsigned)prng_below(&run->dice, VIEWS);
    if (run->views[number].view) {
        if (prng_below(&run->dice, 3) == 0)
            release_view(run, number);
        else
            verify_view(run, number);
        return;
    }
    run->views[number].view = db_view_new(run->db);
    if (!run->views[number].view)
        return;
    assert_int_equal(db_view_index(run->views[number].view), run->model.index);
    memcpy(run->views[number].base, run->model.base, sizeof run->model.base);
    run->views_taken++;
}

/* ---- the run ---------------------------------------------------------------------------- */

static struct db *open_db(const struct run *run, struct kv *kv, uint64_t checkpoint_bytes)
{
    struct db_options options = {.cluster = CLUSTER, .checkpoint_bytes = checkpoint_bytes};
    if (run->has_thread)
        options.wake = wake;
    struct db *db = db_open(kv, &options);
    if (run->hash)
        db->hash = run->hash;
    if (run->word)
        db->word = run->word;
    return db;
}

static void wait_until_ready(struct run *run)
{
    while (!db_ready(run->db)) {
        sched_yield();
        db_poll(run->db);
    }
}

static void step(struct run *run)
{
    struct db *both[] = {run->db, run->reference, NULL};
    if (run->model.index != db_applied_index(run->reference))
        both[1] = NULL; /* a replay: the reference has been here */
    apply_entry(run, both);
    if (prng_below(&run->dice, 60) == 0)
        db_checkpoint(run->db);
    if (prng_below(&run->dice, 10) == 0)
        db_poll(run->db);
    if (prng_below(&run->dice, 12) == 0 && !mortal_is_dead(run->kv))
        use_view(run);
    wait_until_ready(run);
}

static void model_at(struct run *run, uint64_t index)
{
    struct db *none[] = {NULL};
    run->model = (struct model){0};
    while (run->model.index < index)
        apply_entry(run, none);
}

/* The store dies a few writes from now.  What the db says when it is dead does not count. */
static void crash(struct run *run)
{
    uint64_t promised = db_persisted_index(run->db);
    release_views(run);
    mortal_set_lives(run->kv, (int)prng_below(&run->dice, 5));
    for (uint64_t more = prng_below(&run->dice, 60); more > 0 && !mortal_is_dead(run->kv); more--) {
        promised = db_persisted_index(run->db);
        step(run);
    }
    for (unsigned i = 0; i < VIEWS; i++) /* taken of a store that is dead by now */
        if (run->views[i].view) {
            db_view_release(run->views[i].view);
            run->views[i].view = NULL;
        }
    db_close(run->db);
    if (!run->is_rocksdb)
        kv_memory_crash(mortal_of(run->kv)->inner);
    mortal_set_lives(run->kv, -1);
    run->db = open_db(run, run->kv, run->checkpoint_bytes);
    uint64_t persisted = db_persisted_index(run->db);
    assert_true(persisted >= promised);
    assert_int_equal(db_applied_index(run->db), persisted);
    model_at(run, persisted);
    verify(run);
    run->crashes++;
}

static void settle(struct run *run)
{
    while (db_persisted_index(run->db) != db_applied_index(run->db)) {
        db_checkpoint(run->db);
        sched_yield();
        db_poll(run->db);
    }
}

static void make_directory(char *directory)
{
    const char *parent = getenv("TMPDIR");
    snprintf(directory, 256, "%s/test_db_XXXXXX", parent ? parent : "/tmp");
    assert_non_null(mkdtemp(directory));
}

static struct kv *open_rocksdb_in(const char *directory)
{
    const struct kv_options options = {.cache_bytes = 1 << 20,
                                       .log_memtable_bytes = 1 << 20,
                                       .wal_bytes_max = 8 << 20,
                                       .open_tables_max = 16};
    char error[256];
    struct kv *kv = kv_rocksdb_open(directory, &options, error, sizeof error);
    if (!kv)
        fail_msg("%s", error);
    return kv;
}

static struct kv *open_rocksdb(char *directory)
{
    make_directory(directory);
    return open_rocksdb_in(directory);
}

static void remove_directory(const char *directory)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    assert_int_equal(system(command), 0);
}

static void execute(struct run *run)
{
    char directory[256] = "";
    run->dice = run->seed * 31;
    run->kv = mortal_open(run->is_rocksdb ? open_rocksdb(directory) : kv_memory_open());
    run->db = open_db(run, run->kv, run->checkpoint_bytes);
    run->reference_kv = kv_memory_open();
    run->reference = open_db(run, run->reference_kv, UINT64_MAX / 4);
    while (run->model.index < run->entries) {
        step(run);
        if (prng_below(&run->dice, 100) == 0)
            verify(run);
        if (prng_below(&run->dice, 200) == 0)
            crash(run);
    }
    verify(run);
    release_views(run);
    assert_true(run->views_taken > 0);
    settle(run);
    /* A crash between a checkpoint and its sweep leaves dead keys until the next checkpoint, and
     * the last crash may have left nothing else to do: make one more. */
    step(run);
    settle(run);
    verify(run);
    release_views(run);
    db_poll(run->db);
    settle(run);
    /* Nothing is left over: no dead space, no tombstone kept as a key, one place in time each. */
    uint64_t keys = 0;
    for (uint64_t base = 0; base < BASES; base++)
        keys += run->model.base[base].keys;
    assert_int_equal(stored_keys(run->kv, bytes_of("r", 1)), keys);
    assert_int_equal(stored_keys(run->kv, bytes_of("s", 1)), run->model.receipts);
    assert_int_equal(stored_keys(run->kv, bytes_of("t", 1)), run->model.receipts);
    assert_true(run->crashes > 0);
    assert_int_equal(db_persisted_index(run->reference), 0);
    db_close(run->db);
    db_close(run->reference);
    run->kv->ops->close(run->kv);
    run->reference_kv->ops->close(run->reference_kv);
    if (run->is_rocksdb)
        remove_directory(directory);
}

static void execute_all(const struct run *plan, uint64_t seeds)
{
    static const uint64_t checkpoint_bytes[] = {0, 2000, 20000, UINT64_MAX / 4};
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct run *run = memory_copy(plan, sizeof *run);
        run->seed = seed;
        run->checkpoint_bytes = checkpoint_bytes[seed % 4];
        execute(run);
        memory_free(run);
    }
}

/* ---- killed in earnest --------------------------------------------------------------------- */

/* Compares what is there with the model, then changes it for ever; sends its persisted index. */
_Noreturn static void live(uint64_t life, const char *directory, uint64_t promised, int out)
{
    struct run run = {.seed = 1, .dice = life, .has_thread = true, .is_rocksdb = true};
    run.kv = mortal_open(open_rocksdb_in(directory));
    run.db = open_db(&run, run.kv, 3000);
    run.reference_kv = kv_memory_open();
    run.reference = open_db(&run, run.reference_kv, UINT64_MAX / 4); /* for its hash alone */
    assert_true(db_persisted_index(run.db) >= promised);
    model_at(&run, db_persisted_index(run.db));
    run.reference->state.index = UINT64_MAX; /* it is nowhere */
    verify(&run);
    for (;;) {
        uint64_t persisted = db_persisted_index(run.db);
        if (write(out, &persisted, sizeof persisted) != sizeof persisted)
            _Exit(1);
        for (uint64_t steps = prng_below(&run.dice, 50); steps > 0; steps--)
            step(&run);
    }
}

/* The last persisted index that the process sent before it was killed. */
static uint64_t live_and_die(uint64_t life, const char *directory, uint64_t promised)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        live(life, directory, promised, ends[1]);
    close(ends[1]);
    uint64_t persisted = 0, dice = life * 7919;
    uint64_t enough = promised + prng_below(&dice, 300);
    ssize_t size;
    do
        size = read(ends[0], &persisted, sizeof persisted);
    while (size == sizeof persisted && persisted < enough);
    usleep((useconds_t)prng_below(&dice, 10000));
    kill(child, SIGKILL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(size, sizeof persisted); /* else it did not get through verify() */
    assert_true(WIFSIGNALED(status));
    while (read(ends[0], &persisted, sizeof persisted) == sizeof persisted)
        ;
    close(ends[0]);
    return persisted;
}

/* The parent opens no store: RocksDB's threads do not survive a fork. */
static void test_killed(void **state)
{
    (void)state;
    char directory[256];
    uint64_t promised = 0;
    make_directory(directory);
    for (uint64_t life = 1; life <= LIVES; life++)
        promised = live_and_die(life, directory, promised);
    assert_true(promised > 30 * LIVES);
    remove_directory(directory);
}

static void test_in_caller(void **state)
{
    (void)state;
    execute_all(&(struct run){.entries = 2500}, 12 / SHARE);
}

static void test_in_thread(void **state)
{
    (void)state;
    execute_all(&(struct run){.entries = 2500, .has_thread = true}, 8 / SHARE);
    assert_true(woken > 0);
}

static void test_equal_hashes(void **state)
{
    (void)state;
    execute_all(&(struct run){.entries = 2500, .hash = clashing_hash, .word = clashing_word},
                12 / SHARE);
}

static void test_on_rocksdb(void **state)
{
    (void)state;
    execute_all(&(struct run){.entries = 1200 / SHARE, .is_rocksdb = true}, 2);
    execute_all(&(struct run){.entries = 1200 / SHARE, .is_rocksdb = true, .has_thread = true}, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed), /* before this process has threads */
        cmocka_unit_test(test_in_caller),    cmocka_unit_test(test_in_thread),
        cmocka_unit_test(test_equal_hashes), cmocka_unit_test(test_on_rocksdb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
