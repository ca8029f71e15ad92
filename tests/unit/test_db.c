/* The db, one promise of db.h at a time; test_db_model.c has the random runs. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kv_memory.h"
#include "test_db.h"

#include "data/slot.h"

#include "data/convert.h"
#include "data/layers.h"

enum { CLUSTER = 5 };

struct fixture {
    struct kv *kv;
    struct db *db;
    struct db_options options;
    uint64_t index;
};

static unsigned woken; /* atomic */

static void wake(void *context)
{
    (void)context;
    __atomic_add_fetch(&woken, 1, __ATOMIC_RELEASE);
}

static void setup(struct fixture *f, uint64_t checkpoint_bytes, bool has_thread)
{
    *f = (struct fixture){.options = {.cluster = CLUSTER, .checkpoint_bytes = checkpoint_bytes}};
    if (has_thread)
        f->options.wake = wake;
    f->kv = mortal_open(kv_memory_open());
    f->db = db_open(f->kv, &f->options);
}

static void teardown(struct fixture *f)
{
    db_close(f->db);
    f->kv->ops->close(f->kv);
}

static void restart(struct fixture *f)
{
    db_close(f->db);
    kv_memory_crash(mortal_of(f->kv)->inner);
    mortal_set_lives(f->kv, -1);
    f->db = db_open(f->kv, &f->options);
    f->index = db_applied_index(f->db);
}

static struct bytes str(const char *text)
{
    return bytes_from_string(text);
}

static void put(struct fixture *f, const char *key, const char *value)
{
    db_put(f->db, 0, str(key), DB_STRING, str(value), 0);
}

static void applied(struct fixture *f)
{
    f->index++;
    db_applied(f->db, f->index, 1, (int64_t)f->index);
}

static void expect(struct fixture *f, const char *key, const char *value)
{
    struct bytes found;
    enum db_type type = db_get(f->db, 0, str(key), &found);
    assert_int_equal(type, value ? DB_STRING : DB_NONE);
    if (value)
        assert_true(bytes_equal(found, str(value)));
}

static void wait_for_checkpoint(struct fixture *f)
{
    while (db_persisted_index(f->db) != f->index) {
        sched_yield();
        db_poll(f->db);
    }
}

/* ---- keys ------------------------------------------------------------------------ */

static void test_keys(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 1 << 20, false);
    expect(&f, "a", NULL);
    assert_false(db_delete(f.db, 0, str("a")));
    put(&f, "a", "1");
    put(&f, "", "empty key");
    put(&f, "a", "a longer value than before, so that it moves");
    put(&f, "a", "short");
    assert_true(db_resolve(f.db, UINT64_MAX));
    assert_int_equal(db_size(f.db, 0), 2);
    expect(&f, "a", "short");
    expect(&f, "", "empty key");
    db_put(f.db, 0, bytes_of("a\0b", 3), DB_STRING, bytes_of("\0\0", 2), 0);
    struct bytes value;
    assert_int_equal(db_get(f.db, 0, bytes_of("a\0b", 3), &value), DB_STRING);
    assert_true(bytes_equal(value, bytes_of("\0\0", 2)));
    assert_int_equal(db_get(f.db, 0, str("a"), NULL), DB_STRING);
    assert_true(db_delete(f.db, 0, str("a")));
    assert_false(db_delete(f.db, 0, str("a")));
    assert_true(db_resolve(f.db, UINT64_MAX));
    assert_int_equal(db_size(f.db, 0), 2);
    applied(&f);
    teardown(&f);
}

/* A value that was lent may be put under any key, from every layer, in whole or in part. */
static void test_put_of_a_lent_value(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 1 << 20, false);
    for (int layer = 0; layer < 3; layer++) {
        struct bytes value;
        put(&f, "from", "0123456789");
        put(&f, "to", "old");
        applied(&f);
        if (layer > 0)
            db_checkpoint(f.db);
        if (layer > 1)
            restart(&f);
        assert_int_equal(db_get(f.db, 0, str("from"), &value), DB_STRING);
        db_put(f.db, 0, str("to"), DB_STRING, value, 0);
        expect(&f, "to", "0123456789");
        assert_int_equal(db_get(f.db, 0, str("from"), &value), DB_STRING);
        db_put(f.db, 0, str("from"), DB_STRING, bytes_of((const char *)value.data + 3, 4), 0);
        expect(&f, "from", "3456");
        applied(&f);
    }
    teardown(&f);
}

/* Who shows the counts gets them closer, and lets puts go on without a look. */
static void test_counts_that_are_shown(void **state)
{
    (void)state;
    struct fixture f;
    struct db_stats before, after;
    setup(&f, 1 << 20, true);
    put(&f, "a", "stored");
    put(&f, "b", "stored");
    put(&f, "c", "stored");
    applied(&f);
    db_checkpoint(f.db);
    wait_for_checkpoint(&f);
    put(&f, "a", "again");
    put(&f, "b", "again");
    assert_false(db_resolve_some(f.db, 1));
    db_stats(f.db, &before);
    put(&f, "c", "again");
    db_stats(f.db, &after);
    assert_int_equal(after.unresolved, before.unresolved + 1);
    assert_false(db_resolve(f.db, 1)); /* who waits for them has puts look, and comes to an end */
    db_stats(f.db, &before);
    put(&f, "d", "new");
    db_stats(f.db, &after);
    assert_int_equal(after.unresolved, before.unresolved);
    while (!db_resolve_some(f.db, 1)) {
    }
    assert_int_equal(db_size(f.db, 0), 4);
    teardown(&f);
}

/* The layers hide what is below them, while a checkpoint is under way and after it. */
static void test_layers(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 1 << 20, true);
    put(&f, "kept", "stored");
    put(&f, "changed", "stored");
    put(&f, "deleted", "stored");
    applied(&f);
    db_checkpoint(f.db);
    wait_for_checkpoint(&f);

    mortal_hold(f.kv, true);
    put(&f, "changed", "frozen");
    db_delete(f.db, 0, str("deleted"));
    put(&f, "new", "frozen");
    applied(&f);
    db_checkpoint(f.db);
    for (int done = 0; done < 2; done++) {
        expect(&f, "kept", "stored");
        expect(&f, "changed", "frozen");
        expect(&f, "deleted", NULL);
        expect(&f, "new", "frozen");
        assert_int_equal(db_resolve(f.db, UINT64_MAX), done); /* the rest is the checkpoint\'s */
        if (done)
            assert_int_equal(db_size(f.db, 0), 3);
        mortal_hold(f.kv, false);
        wait_for_checkpoint(&f);
    }

    mortal_hold(f.kv, true);
    put(&f, "deleted", "again");
    assert_true(db_delete(f.db, 0, str("kept")));
    assert_true(db_delete(f.db, 0, str("new")));
    put(&f, "brief", "never stored");
    assert_true(db_delete(f.db, 0, str("brief")));
    applied(&f);
    struct db_stats stats;
    db_stats(f.db, &stats);
    assert_int_equal(stats.dirty_keys, 4); /* "brief", too: nobody looked whether it is below */
    db_checkpoint(f.db);
    for (int done = 0; done < 2; done++) {
        expect(&f, "kept", NULL);
        expect(&f, "new", NULL);
        expect(&f, "changed", "frozen");
        expect(&f, "deleted", "again");
        assert_int_equal(db_resolve(f.db, UINT64_MAX), done); /* the rest is the checkpoint\'s */
        if (done)
            assert_int_equal(db_size(f.db, 0), 2);
        mortal_hold(f.kv, false);
        wait_for_checkpoint(&f);
    }
    restart(&f);
    assert_true(db_resolve(f.db, UINT64_MAX));
    assert_int_equal(db_size(f.db, 0), 2);
    expect(&f, "changed", "frozen");
    expect(&f, "deleted", "again");
    expect(&f, "kept", NULL);
    expect(&f, "new", NULL);
    teardown(&f);
}

/* 64 MB are copied once, into the buffer that is lent, and do not stay there. */
static void test_large_value(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 1 << 20, false);
    size_t size = (size_t)64 << 20;
    char *large = memory_resize(NULL, size);
    memset(large, 'x', size);
    db_put(f.db, 0, str("large"), DB_STRING, bytes_of(large, size), 0);
    put(&f, "small", "1");
    applied(&f);
    restart(&f);
    struct bytes value;
    assert_int_equal(db_get(f.db, 0, str("large"), &value), DB_STRING);
    assert_true(bytes_equal(value, bytes_of(large, size)));
    assert_ptr_equal(value.data, f.db->value.data + RECORD_HEADER_MIN);
    expect(&f, "small", "1");
    assert_true(f.db->value.capacity < size);
    memory_free(large);
    teardown(&f);
}

/* To look at a key and then change it costs one read of the store; what was read is forgotten when
 * the store may say something else. */
static void test_one_read(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 1 << 20, false);
    put(&f, "cold", "1");
    put(&f, "other", "1");
    applied(&f);
    db_checkpoint(f.db);
    restart(&f);
    uint64_t before = mortal_of(f.kv)->gets;
    expect(&f, "cold", "1");
    put(&f, "cold", "2");
    assert_int_equal(mortal_of(f.kv)->gets, before + 1);
    expect(&f, "absent", NULL);
    put(&f, "absent", "1");
    assert_int_equal(mortal_of(f.kv)->gets, before + 2);
    applied(&f);
    expect(&f, "other", "1");
    put(&f, "other", "2");
    applied(&f);
    db_checkpoint(f.db);
    applied(&f);
    db_checkpoint(f.db); /* an empty layer is frozen now: all is in the store alone */
    expect(&f, "other", "2");
    expect(&f, "cold", "2");
    expect(&f, "absent", "1");
    teardown(&f);
}

/* ---- flush ------------------------------------------------------------------------- */

/* How the kv is asked for names that were written without a look. */
struct looking {
    unsigned small; /* names, of 100 bytes */
    unsigned large; /* one behind the other, of LARGE_SIZE */
    bool restarts;  /* before they are written again: then it is not known what is stored */
};

enum { LARGE_SIZE = 300000 };

static void put_names(struct fixture *f, const char *format, unsigned count, size_t size)
{
    static char value[LARGE_SIZE];
    char name[32];
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, format, i);
        db_put(f->db, 0, str(name), DB_STRING, bytes_of(value, size), 0);
        applied(f);
    }
}

/* The most of them that a checkpoint asked for at once, and of their bytes. */
static struct mortal_kv looks_at_once(struct looking looking)
{
    struct fixture f;
    setup(&f, 256 << 20, false);
    for (int round = 0; round < 2; round++) {
        put_names(&f, "key:%u", looking.small, round == 0 ? 100 : 1);
        put_names(&f, "{tag}%u", looking.large, round == 0 ? LARGE_SIZE : 1);
        uint64_t before = mortal_of(f.kv)->gets;
        db_checkpoint(f.db);
        if (round == 1)
            assert_int_equal(mortal_of(f.kv)->gets, before + looking.small + looking.large);
        else if (looking.restarts)
            restart(&f);
    }
    assert_int_equal(db_size(f.db, 0), looking.small + looking.large);
    struct mortal_kv most = *mortal_of(f.kv);
    teardown(&f);
    return most;
}

/* Many at once where that costs no memory. */
static void test_looks_at_once(void **state)
{
    (void)state;
    assert_int_equal(looks_at_once((struct looking){.small = 200}).gets_at_once, KV_HEADS_MAX);
    struct mortal_kv most = looks_at_once((struct looking){.small = 200, .large = 32});
    assert_in_range(most.bytes_at_once, 2 * LARGE_SIZE, 1 << 20);
    assert_int_equal(most.gets_at_once, 3);
}

/* Few at first, of an earlier process; as many as ever when they were found to be small. */
static void test_looks_after_a_start(void **state)
{
    (void)state;
    struct looking looking = {.small = 200, .restarts = true};
    assert_int_equal(looks_at_once(looking).gets_at_once, 4);
    looking.small = 2000;
    assert_int_equal(looks_at_once(looking).gets_at_once, KV_HEADS_MAX);
    looking = (struct looking){.small = 200, .large = 32, .restarts = true};
    struct mortal_kv most = looks_at_once(looking);
    assert_in_range(most.bytes_at_once, 2 * LARGE_SIZE, 5 * LARGE_SIZE);
    assert_int_equal(most.gets_at_once, 4);
}

/* What was read is known, though an earlier process stored it. */
static void test_looks_know_what_was_read(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 256 << 20, false);
    put_names(&f, "{tag}%u", 32, LARGE_SIZE);
    db_checkpoint(f.db);
    restart(&f);
    assert_int_equal(db_get(f.db, 0, str("{tag}7"), NULL), DB_STRING);
    put_names(&f, "{tag}%u", 32, 1);
    db_checkpoint(f.db);
    assert_int_equal(mortal_of(f.kv)->gets_at_once, 3);
    teardown(&f);
}

static void test_flush(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 1 << 20, true);
    put(&f, "stored", "1");
    applied(&f);
    db_checkpoint(f.db);
    wait_for_checkpoint(&f);
    put(&f, "frozen", "1");
    applied(&f);
    mortal_hold(f.kv, true);
    db_checkpoint(f.db);
    put(&f, "active", "1");
    db_flush(f.db, 0);
    put(&f, "between", "1");
    db_flush(f.db, 0);
    expect(&f, "stored", NULL);
    expect(&f, "frozen", NULL);
    expect(&f, "active", NULL);
    expect(&f, "between", NULL);
    assert_int_equal(db_size(f.db, 0), 0);
    assert_false(db_delete(f.db, 0, str("stored")));
    put(&f, "frozen", "2");
    assert_int_equal(db_size(f.db, 0), 1);
    applied(&f);
    mortal_hold(f.kv, false);
    while (db_persisted_index(f.db) != f.index - 1) {
        sched_yield();
        db_poll(f.db);
    }
    /* The checkpoint that sweeps begins by itself with that look: it may be there already, or have
     * written the new key beside the two dead ones and not have swept them yet. */
    assert_in_range(stored_keys(f.kv, str("r")), 1, 3);
    expect(&f, "stored", NULL);
    db_checkpoint(f.db);
    wait_for_checkpoint(&f);
    assert_int_equal(stored_keys(f.kv, str("r")), 1);
    expect(&f, "frozen", "2");
    teardown(&f);
}

/* Wherever a crash falls in the checkpoint after a flush: the flush is there as a whole or not at
 * all, and the dead keys go sooner or later. */
static void test_flush_and_crash(void **state)
{
    (void)state;
    bool was_lost = false, was_left = false;
    for (int lives = 0; lives < 4; lives++) {
        struct fixture f;
        setup(&f, 1 << 20, false);
        put(&f, "old", "1");
        applied(&f);
        db_checkpoint(f.db);
        db_flush(f.db, 0);
        put(&f, "new", "1");
        mortal_set_lives(f.kv, lives);
        applied(&f); /* starts the checkpoint by itself, to give the space back */
        restart(&f);
        assert_true(db_resolve(f.db, UINT64_MAX));
        assert_int_equal(db_size(f.db, 0), 1);
        expect(&f, "old", f.index == 1 ? "1" : NULL);
        expect(&f, "new", f.index == 1 ? NULL : "1");
        was_lost |= f.index == 1;
        was_left |= f.index == 2 && stored_keys(f.kv, str("r")) == 2;
        if (f.index == 1)
            db_flush(f.db, 0);
        applied(&f);
        db_checkpoint(f.db);
        expect(&f, "old", NULL);
        assert_int_equal(stored_keys(f.kv, str("r")), db_size(f.db, 0));
        teardown(&f);
    }
    assert_true(was_lost);
    assert_true(was_left);
}

/* A database knows nothing of the others' keys; two change places with all they have. */
static void test_databases(void **state)
{
    (void)state;
    struct fixture f;
    struct bytes value;
    setup(&f, 1 << 20, false);
    for (unsigned i = 0; i < DB_DATABASES; i++)
        db_put(f.db, i, str("key"), DB_STRING, bytes_of(&i, sizeof i), 0);
    db_put(f.db, 3, str("only in three"), DB_STRING, str("x"), 0);
    applied(&f);
    db_checkpoint(f.db);
    db_swap(f.db, 3, 4);
    db_flush(f.db, 5);
    applied(&f);
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < DB_DATABASES; i++) {
            unsigned expected = i == 3 ? 4 : i == 4 ? 3 : i;
            assert_true(db_resolve(f.db, UINT64_MAX));
            assert_int_equal(db_size(f.db, i), i == 4 ? 2 : i != 5);
            assert_int_equal(db_get(f.db, i, str("key"), &value), i == 5 ? DB_NONE : DB_STRING);
            if (i != 5)
                assert_true(bytes_equal(value, bytes_of(&expected, sizeof expected)));
        }
        db_checkpoint(f.db);
        restart(&f);
    }
    db_flush_all(f.db);
    for (unsigned i = 0; i < DB_DATABASES; i++)
        assert_int_equal(db_size(f.db, i), 0);
    applied(&f);
    db_checkpoint(f.db);
    assert_int_equal(stored_keys(f.kv, str("r")), 0);
    teardown(&f);
}

/* ---- scan ---------------------------------------------------------------------------- */

enum { STABLE = 300, PASSING = 300 };

struct counts {
    unsigned stable[STABLE];
    unsigned passing;
};

static struct db_scan_limit keys(uint64_t count)
{
    return (struct db_scan_limit){.keys = count, .rows = UINT64_MAX};
}

static void count_key(void *context, struct bytes key, enum db_type type)
{
    struct counts *counts = context;
    char text[32] = {0};
    assert_int_equal(type, DB_STRING);
    assert_true(key.size < sizeof text);
    memcpy(text, key.data, key.size);
    if (text[0] == 's')
        counts->stable[atoi(text + 1)]++;
    else
        counts->passing++;
}

static void change_something(struct fixture *f, uint64_t *dice)
{
    for (int i = 0; i < 10; i++) {
        char key[32];
        snprintf(key, sizeof key, "p%llu", (unsigned long long)prng_below(dice, PASSING));
        if (prng_below(dice, 2))
            put(f, key, "x");
        else
            db_delete(f->db, 0, str(key));
        snprintf(key, sizeof key, "s%llu", (unsigned long long)prng_below(dice, STABLE));
        put(f, key, "changed");
    }
    applied(f);
    if (prng_below(dice, 3) == 0)
        db_checkpoint(f->db);
    if (prng_below(dice, 3) == 0)
        db_poll(f->db);
}

/* Keys that are there all the time are given exactly once: hash order does not change. */
static void test_scan_while_keys_change(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct fixture f;
        uint64_t dice = seed, cursor = 0;
        struct counts counts = {0};
        setup(&f, seed % 2 ? 4000 : 1 << 20, seed % 3 == 0);
        for (int i = 0; i < STABLE; i++) {
            char key[32];
            snprintf(key, sizeof key, "s%d", i);
            put(&f, key, "x");
        }
        applied(&f);
        do {
            cursor = db_scan(f.db, 0, cursor, keys(1 + prng_below(&dice, 30)), count_key, &counts);
            change_something(&f, &dice);
            if (prng_below(&dice, 20) == 0 && db_persisted_index(f.db) == f.index)
                restart(&f);
        } while (cursor != 0);
        for (int i = 0; i < STABLE; i++)
            assert_int_equal(counts.stable[i], 1);
        assert_true(counts.passing <= PASSING);
        teardown(&f);
    }
}

static void count_one(void *context, struct bytes key, enum db_type type)
{
    (void)key;
    (void)type;
    ++*(uint64_t *)context;
}

static uint64_t fixed_hash; /* what every name hashes to */

static uint64_t hash_to_fixed(struct bytes name, uint64_t seed)
{
    (void)name;
    (void)seed;
    return fixed_hash;
}

static uint64_t word_is_hash(struct bytes key, uint64_t hash)
{
    (void)key;
    return hash;
}

static void test_scan_cursors(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 1 << 20, false);
    static const uint64_t hashes[] = {0, 1, 2047, 2048, 1ull << 63, UINT64_MAX - 2048, UINT64_MAX};
    f.db->hash = hash_to_fixed;
    f.db->word = word_is_hash;
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        fixed_hash = hashes[i];
        put(&f, "one", "x");
        put(&f, "two", "x");
    }
    /* Hashes that share their upper 53 bits come together: 0, 1 and 2047. */
    static const uint64_t given[] = {6, 8, 10, 12, 14};
    uint64_t cursor = 0, seen = 0;
    for (size_t i = 0; i < 5; i++) {
        cursor = db_scan(f.db, 0, cursor, keys(1), count_one, &seen);
        assert_int_equal(seen, given[i]);
        assert_true(cursor < (uint64_t)1 << 53);
        assert_int_equal(cursor == 0, i == 4);
    }
    /* Any number may come from a client. */
    seen = 0;
    assert_int_equal(db_scan(f.db, 0, UINT64_MAX, keys(10), count_one, &seen), 0);
    assert_int_equal(db_scan(f.db, 0, (uint64_t)1 << 53, keys(10), count_one, &seen), 0);
    assert_int_equal(seen, 0);
    assert_int_equal(db_scan(f.db, 0, ((uint64_t)1 << 53) - 1, keys(10), count_one, &seen), 0);
    assert_int_equal(seen, 2);
    seen = 0;
    assert_int_equal(db_scan(f.db, 0, 0, keys(UINT64_MAX), count_one, &seen), 0);
    assert_int_equal(seen, 14);
    seen = 0;
    assert_int_not_equal(db_scan(f.db, 0, 0, keys(0), count_one, &seen), 0);
    assert_int_equal(seen, 6);
    applied(&f);
    teardown(&f);
}

/* A slice that meets nothing but deleted keys ends too, and the next goes on behind them. */
static void test_scan_of_deleted(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t cursor = 0, seen = 0, slices = 0;
    setup(&f, 1 << 20, false);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 1000; i++) {
            char key[32];
            snprintf(key, sizeof key, "key %d", i);
            if (round == 0 || i == 999)
                put(&f, key, "x");
            else
                db_delete(f.db, 0, str(key));
        }
        applied(&f);
        if (round == 0)
            db_checkpoint(f.db);
    }
    do {
        struct db_scan_limit limit = {.keys = 1000, .rows = 100};
        cursor = db_scan(f.db, 0, cursor, limit, count_one, &seen);
        slices++;
    } while (cursor != 0);
    assert_int_equal(seen, 1);
    assert_int_equal(slices, 10);
    teardown(&f);
}

/* ---- views --------------------------------------------------------------------------- */

static void expect_in(struct db_view *view, const char *key, const char *value)
{
    struct bytes found;
    assert_int_equal(db_view_get(view, 0, str(key), &found), value ? DB_STRING : DB_NONE);
    if (value)
        assert_true(bytes_equal(found, str(value)));
}

/* What a view shows stays, though everything is changed, stored, flushed, swept. */
static void test_view(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 1 << 20, false);
    put(&f, "stored", "1");
    put(&f, "deleted", "1");
    applied(&f);
    db_checkpoint(f.db);
    put(&f, "layer", "1");
    put(&f, "stored", "2");
    db_delete(f.db, 0, str("deleted"));
    assert_null(db_view_new(f.db)); /* in the midst of an entry */
    applied(&f);
    struct db_view *view = db_view_new(f.db);
    assert_ptr_equal(db_view_new(f.db), view); /* shared */
    db_view_release(view);
    for (int round = 0; round < 5; round++) {
        expect_in(view, "stored", "2");
        expect_in(view, "layer", "1");
        expect_in(view, "deleted", NULL);
        expect_in(view, "later", NULL);
        uint64_t seen = 0;
        assert_int_equal(db_view_scan(view, 0, 0, keys(100), count_one, &seen), 0);
        assert_int_equal(seen, 2);
        put(&f, "stored", "3");
        put(&f, "later", "1");
        if (round == 3)
            db_flush(f.db, 0);
        applied(&f);
        if (round > 0)
            db_checkpoint(f.db);
    }
    struct db_stats stats;
    db_stats(f.db, &stats);
    assert_int_equal(stats.views, 1);
    db_view_release(view);
    applied(&f);
    db_checkpoint(f.db);
    assert_int_equal(stored_keys(f.kv, str("r")), db_size(f.db, 0)); /* now it was swept */
    teardown(&f);
}

/* When the layers are at their bound a view has to wait for a checkpoint. */
static void test_many_views(void **state)
{
    (void)state;
    struct fixture f;
    struct db_view *views[LAYERS_MAX];
    unsigned count = 0;
    setup(&f, 1 << 20, true);
    mortal_hold(f.kv, true);
    for (;;) {
        put(&f, "key", "x");
        applied(&f);
        struct db_view *view = db_view_new(f.db);
        if (!view)
            break;
        assert_true(count < LAYERS_MAX);
        views[count++] = view;
    }
    assert_true(count > 2);
    mortal_hold(f.kv, false);
    wait_for_checkpoint(&f);
    struct db_view *view = db_view_new(f.db);
    assert_non_null(view);
    db_view_release(view);
    while (count > 0)
        db_view_release(views[--count]);
    teardown(&f);
}

/* The same seed gives the same key whatever the checkpoints; over seeds every key comes up. */
static void test_random(void **state)
{
    (void)state;
    struct fixture f;
    struct buffer first = {0}, second = {0};
    setup(&f, 1 << 20, false);
    assert_false(db_random(f.db, 0, 1, &first));
    put(&f, "a", "x");
    put(&f, "b", "x");
    put(&f, "c", "x");
    unsigned seen = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        assert_true(db_resolve(f.db, UINT64_MAX));
        assert_true(db_random(f.db, 0, seed, &first));
        if (seed == 100) {
            applied(&f);
            db_checkpoint(f.db);
            restart(&f);
        }
        assert_true(db_random(f.db, 0, seed, &second));
        assert_true(bytes_equal(buffer_bytes(&first), buffer_bytes(&second)));
        seen |= 1u << (first.data[0] - 'a');
    }
    assert_int_equal(seen, 7);
    buffer_deinit(&first);
    buffer_deinit(&second);
    teardown(&f);
}

/* ---- receipts --------------------------------------------------------------------------- */

static void expect_receipt(struct fixture *f, const char *client, uint64_t request,
                           const char *reply)
{
    uint64_t found;
    struct bytes bytes;
    assert_int_equal(db_receipt_get(f->db, str(client), &found, &bytes), reply != NULL);
    if (!reply)
        return;
    assert_int_equal(found, request);
    assert_true(bytes_equal(bytes, str(reply)));
}

static void test_receipts(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 1 << 20, false);
    expect_receipt(&f, "alice", 0, NULL);
    db_receipt_put(f.db, str("alice"), 1, str("+OK"), 1000);
    db_receipt_put(f.db, str("bob"), 7, str(""), 1001);
    db_receipt_put(f.db, str("alice"), 2, str("+2"), 1002);
    db_flush(f.db, 0);
    put(&f, "alice", "a key, not a receipt");
    applied(&f);
    for (int restarted = 0; restarted < 2; restarted++) {
        expect_receipt(&f, "alice", 2, "+2");
        expect_receipt(&f, "bob", 7, "");
        expect(&f, "alice", "a key, not a receipt");
        db_checkpoint(f.db);
        restart(&f);
    }
    /* Alice was used again at 1002, so she stays when what is older than that ends. */
    assert_int_equal(db_receipt_expire(f.db, 1000, 10), 0);
    assert_int_equal(db_receipt_expire(f.db, 1002, 10), 1);
    expect_receipt(&f, "alice", 2, "+2");
    expect_receipt(&f, "bob", 0, NULL);
    assert_int_equal(db_receipt_expire(f.db, 1003, 10), 1);
    expect_receipt(&f, "alice", 0, NULL);
    assert_int_equal(db_receipt_expire(f.db, INT64_MAX, 10), 0);
    applied(&f);
    db_checkpoint(f.db);
    assert_int_equal(stored_keys(f.kv, str("s")), 0);
    assert_int_equal(stored_keys(f.kv, str("t")), 0);
    teardown(&f);
}

/* Many receipts of one millisecond end a few at a time; strange times do no harm. */
static void test_receipts_end_in_slices(void **state)
{
    (void)state;
    struct fixture f;
    struct db_stats stats;
    setup(&f, 1000, false);
    for (uint64_t i = 0; i < 1000; i++) {
        char client[32];
        snprintf(client, sizeof client, "client %d", (int)i);
        db_receipt_put(f.db, str(client), i, str("+OK"), 5000);
        applied(&f);
    }
    db_receipt_put(f.db, str("past"), 1, str("+OK"), INT64_MIN);
    db_receipt_put(f.db, str("future"), 1, str("+OK"), INT64_MAX);
    assert_int_equal(db_receipt_expire(f.db, 5001, 0), 0);
    assert_int_equal(db_receipt_expire(f.db, 5000, 100), 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(db_receipt_expire(f.db, 5001, 100), 100);
    assert_int_equal(db_receipt_expire(f.db, 5001, 100), 0);
    db_stats(f.db, &stats);
    assert_int_equal(stats.receipts, 1);
    expect_receipt(&f, "future", 1, "+OK");
    applied(&f);
    teardown(&f);
}

/* ---- checkpoints --------------------------------------------------------------------------- */

/* Until the changes in memory are at a bound; returns how many bytes of them there are. */
static uint64_t put_until(struct fixture *f, bool (*ready)(const struct db *db), uint64_t *puts)
{
    struct db_stats stats;
    while (ready(f->db)) {
        char key[32];
        snprintf(key, sizeof key, "key %llu", (unsigned long long)*puts);
        put(f, key, "some value or other");
        applied(f);
        assert_true(++*puts < 10000);
    }
    db_stats(f->db, &stats);
    assert_true(stats.checkpoint_under_way);
    return stats.dirty_bytes;
}

static uint64_t put_until_held_up(struct fixture *f, uint64_t *puts)
{
    return put_until(f, db_ready, puts);
}

/* The bound follows the checkpoint's thread up to `bytes`, and no farther for a while. */
static uint64_t put_until_it_is(struct fixture *f, uint64_t bytes, uint64_t *puts)
{
    uint64_t reached = 0;
    for (int turns = 0; reached < bytes; turns++) {
        assert_true(turns < 100000);
        usleep(100);
        reached = put_until_held_up(f, puts);
    }
    usleep(2000);
    return put_until_held_up(f, puts);
}

/* The bound grows with what the checkpoint has done, so that writers wait for a part of it. */
static void test_bound(void **state)
{
    (void)state;
    struct fixture f;
    struct db_stats stats;
    uint64_t puts = 0;
    setup(&f, 100000, true);
    mortal_hold(f.kv, true);
    mortal_hold_puts(f.kv, 0);
    uint64_t first = put_until_it_is(&f, 140000, &puts); /* of two steps a name one is done */
    assert_true(first < 146000);
    mortal_hold_puts(f.kv, -1);
    uint64_t second = put_until_it_is(&f, 187500, &puts); /* all but the commit */
    assert_true(second < 188500);
    assert_int_equal(db_persisted_index(f.db), 0);
    db_poll(f.db); /* too early */
    assert_false(db_ready(f.db));
    mortal_hold(f.kv, false);
    db_wait(f.db);
    assert_true(db_ready(f.db));
    db_poll(f.db);
    assert_true(db_persisted_index(f.db) > 0);
    wait_for_checkpoint(&f); /* db_poll() started the next by itself */
    db_stats(f.db, &stats);
    assert_int_equal(stats.checkpoints, 2);
    assert_int_equal(stats.dirty_bytes, 0);
    assert_int_equal(stats.keys, puts);
    teardown(&f);
}

static void put_large(struct fixture *f, const char *key, size_t size)
{
    char *value = memory_new(size);
    db_put(f->db, 0, str(key), DB_STRING, bytes_of(value, size), 0);
    applied(f);
    memory_free(value);
}

/* A checkpoint is under way, and stays so, with all room for others. */
static void hold_a_checkpoint(struct fixture *f, uint64_t *puts)
{
    struct db_stats stats;
    mortal_hold(f->kv, true);
    mortal_hold_puts(f->kv, 0);
    do {
        char key[32];
        snprintf(key, sizeof key, "key %llu", (unsigned long long)*puts);
        put(f, key, "some value or other");
        applied(f);
        db_stats(f->db, &stats);
        assert_true(++*puts < 10000);
    } while (!stats.checkpoint_under_way);
    assert_true(db_ready(f->db) && db_ready_for_large(f->db));
}

static void let_it_go(struct fixture *f)
{
    mortal_hold_puts(f->kv, -1);
    mortal_hold(f->kv, false);
    db_wait(f->db);
}

/* What an entry made at once, small ones behind it do not wait for, though another large one does;
 * and with two of them the bound is where it was. */
static void test_large_entry_leaves_room(void **state)
{
    enum { BOUND = 100000, LARGE = 10 * BOUND };
    struct fixture f;
    uint64_t puts = 0;
    (void)state;
    setup(&f, BOUND, true);
    hold_a_checkpoint(&f, &puts);
    put_large(&f, "large", LARGE);
    assert_true(db_ready(f.db));
    assert_false(db_ready_for_large(f.db));
    assert_in_range(put_until_held_up(&f, &puts), LARGE + BOUND, LARGE + 2 * BOUND);
    let_it_go(&f);
    assert_true(db_ready_for_large(f.db));
    db_poll(f.db); /* the next checkpoint takes it */
    db_wait(f.db);
    assert_int_equal(db_persisted_index(f.db), f.index);
    hold_a_checkpoint(&f, &puts);
    assert_in_range(put_until(&f, db_ready_for_large, &puts), BOUND / 2, BOUND / 2 + 1000);
    assert_true(db_ready(f.db)); /* the other half stays for others */
    assert_in_range(put_until_held_up(&f, &puts), BOUND, 2 * BOUND);
    let_it_go(&f);
    db_poll(f.db);
    db_wait(f.db);
    hold_a_checkpoint(&f, &puts);
    put_large(&f, "large", LARGE);
    put_large(&f, "other", LARGE);
    assert_false(db_ready(f.db));
    let_it_go(&f);
    teardown(&f);
}

/* So does what was made beside and is of no use: it is in memory until a checkpoint frees it. */
static void test_large_one_that_is_dropped_leaves_room(void **state)
{
    enum { BOUND = 100000 };
    struct fixture f;
    uint64_t puts = 0;
    (void)state;
    setup(&f, BOUND, true);
    hold_a_checkpoint(&f, &puts);
    struct db *beside = db_beside_new(f.db, NULL);
    uint64_t space = db_space_new(beside, 0);
    char *value = memory_new(10 * BOUND);
    db_row_put(beside, space, 1, str("row"), bytes_of(value, 10 * BOUND));
    memory_free(value);
    db_beside_free(beside);
    assert_true(db_ready(f.db));
    assert_false(db_ready_for_large(f.db));
    let_it_go(&f);
    teardown(&f);
}

/* And what a view kept: stored long ago, and memory to be freed when the view ends. */
static void test_view_that_ends_leaves_room(void **state)
{
    enum { BOUND = 100000, LARGE = 10 * BOUND };
    struct fixture f;
    struct db_stats stats;
    uint64_t puts = 0;
    (void)state;
    setup(&f, BOUND, true);
    put_large(&f, "large", LARGE);
    struct db_view *before = db_view_new(f.db);
    put_large(&f, "other", LARGE);
    struct db_view *view = db_view_new(f.db);
    db_view_release(before);
    db_wait(f.db); /* the first was taken at once */
    db_checkpoint(f.db);
    db_wait(f.db);
    assert_int_equal(db_persisted_index(f.db), f.index);
    hold_a_checkpoint(&f, &puts);
    db_view_release(view);
    db_stats(f.db, &stats);
    assert_in_range(stats.dirty_bytes, 2 * LARGE, 2 * LARGE + BOUND / 2);
    assert_true(db_ready(f.db));
    assert_false(db_ready_for_large(f.db));
    assert_in_range(put_until_held_up(&f, &puts), 2 * LARGE + BOUND, 2 * LARGE + 2 * BOUND);
    let_it_go(&f);
    teardown(&f);
}

/* An entry that takes what was made beside has made it at once. */
static void test_large_one_that_is_taken_leaves_room(void **state)
{
    enum { BOUND = 100000, LARGE = 10 * BOUND };
    struct fixture f;
    struct db_stats stats;
    uint64_t puts = 0;
    (void)state;
    setup(&f, BOUND, true);
    put(&f, "some", "value"); /* the seed of the hash is chosen */
    applied(&f);
    hold_a_checkpoint(&f, &puts);
    struct db *beside = db_beside_new(f.db, NULL);
    uint64_t space = db_space_new(beside, 0);
    char *value = memory_new(LARGE);
    db_row_put(beside, space, 1, str("row"), bytes_of(value, LARGE));
    memory_free(value);
    db_beside_adopt(f.db, beside, 0, space);
    applied(&f);
    db_beside_free(beside);
    db_stats(f.db, &stats);
    assert_true(stats.dirty_bytes >= LARGE);
    assert_true(db_ready(f.db));
    assert_false(db_ready_for_large(f.db));
    assert_in_range(put_until_held_up(&f, &puts), LARGE + BOUND, LARGE + 2 * BOUND);
    let_it_go(&f);
    teardown(&f);
}

/* The log can be cut even if nothing new is kept in memory. */
static void test_persisted_index_advances(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 1 << 20, false);
    for (int i = 0; i < 1000000; i++)
        applied(&f);
    assert_int_equal(db_persisted_index(f.db), f.index);
    char value[1000] = {0};
    for (int i = 0; i < 10000; i++) {
        db_put(f.db, 0, str("hot"), DB_STRING, bytes_of(value, sizeof value), 0);
        applied(&f);
    }
    assert_true(db_persisted_index(f.db) > 1000000);
    /* No change and no entry: no checkpoint. */
    struct db_stats stats, again;
    db_checkpoint(f.db);
    db_stats(f.db, &stats);
    db_checkpoint(f.db);
    db_poll(f.db);
    db_stats(f.db, &again);
    assert_int_equal(stats.checkpoints, again.checkpoints);
    teardown(&f);
}

/* A byte that is copied counts, and so does a look into the kv. */
static void test_work(void **state)
{
    static char value[100000];
    struct fixture f;
    (void)state;
    setup(&f, 1 << 20, false);
    uint64_t before = db_work(f.db);
    db_put(f.db, 0, bytes_from_string("k"), DB_STRING, bytes_of(value, sizeof value), 0);
    assert_in_range(db_work(f.db) - before, sizeof value, 2 * sizeof value);
    db_applied(f.db, 1, 1, 1);
    db_checkpoint(f.db);
    restart(&f);
    before = db_work(f.db);
    struct bytes found;
    assert_int_equal(db_get(f.db, 0, bytes_from_string("k"), &found), DB_STRING);
    assert_in_range(db_work(f.db) - before, sizeof value, 2 * sizeof value);
    teardown(&f);
}

/* To find the place of a row, and memory for it, is work too, whether it is put, deleted or
 * undone. */
static void test_rows_are_work(void **state)
{
    enum { ROWS = 1000, LEAST = 512 };
    struct fixture f;
    uint64_t before;
    (void)state;
    setup(&f, 1 << 20, false);
    uint64_t space = db_space_new(f.db, 0);
    for (int round = 0; round < 2; round++) {
        db_savepoint(f.db);
        before = db_work(f.db);
        for (uint64_t i = 0; i < ROWS; i++)
            db_row_put(f.db, space, i, str("r"), str("v"));
        assert_in_range(db_work(f.db) - before, ROWS * LEAST, ROWS * (LEAST + 10));
        before = db_work(f.db);
        assert_true(round == 0 ? db_rollback(f.db) : db_release(f.db));
        assert_true(db_work(f.db) - before >= ROWS * LEAST);
    }
    before = db_work(f.db);
    for (uint64_t i = 0; i < ROWS; i++)
        db_row_delete(f.db, space, i, str("r"));
    assert_true(db_work(f.db) - before >= ROWS * LEAST);
    applied(&f);
    teardown(&f);
}

/* What is written into a large value costs itself, once the value is there. */
static void test_splice_costs_its_part(void **state)
{
    static char value[100000];
    struct fixture f;
    struct bytes found;
    (void)state;
    setup(&f, 1 << 20, false);
    db_put(f.db, 0, str("k"), DB_STRING, bytes_of(value, sizeof value), 0);
    db_applied(f.db, 1, 1, 1);
    db_checkpoint(f.db);
    restart(&f);
    uint64_t before = db_work(f.db);
    db_splice(f.db, 0, str("k"), 3, str("abc"));
    assert_in_range(db_work(f.db) - before, 2 * sizeof value,
                    3 * sizeof value);                      /* fetched, copied */
    db_splice(f.db, 0, str("k"), sizeof value, str("end")); /* grows, for more than this once */
    before = db_work(f.db);
    for (int i = 0; i < 1000; i++)
        db_splice(f.db, 0, str("k"), sizeof value + 3 + (size_t)i, str("x"));
    db_splice(f.db, 0, str("k"), 0, str("begin"));
    assert_true(db_work(f.db) - before < 20000);
    assert_int_equal(db_get(f.db, 0, str("k"), &found), DB_STRING);
    assert_int_equal(found.size, sizeof value + 3 + 1000);
    assert_memory_equal(found.data, "beginc", 6);
    assert_memory_equal((const char *)found.data + sizeof value - 1, "\0endxx", 6);
    teardown(&f);
}

/* What deletes free is given back without waiting for others to write, if it is a good part of what
 * is stored; whether it was there, in a layer or written over. */
static void test_deletes_give_space_back(void **state)
{
    enum { NAMES = 40 };
    static char value[10000];
    struct fixture f;
    char name[16];
    uint64_t index = 0;
    (void)state;
    setup(&f, 100000, false);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < NAMES; i++) {
            snprintf(name, sizeof name, "%d", i);
            db_put(f.db, 0, str(name), DB_STRING, bytes_of(value, sizeof value), 0);
            db_applied(f.db, ++index, 1, 1);
        }
        db_checkpoint(f.db);
        if (round == 0)
            restart(&f);
        uint64_t before = mortal_of(f.kv)->reclaims;
        mortal_of(f.kv)->stored = round ? 400000 : 4000000;
        for (int i = 0; i < NAMES; i++) {
            snprintf(name, sizeof name, "%d", i);
            if (i % 7 == 0)
                put(&f, name, "in the way");
            assert_true(db_delete(f.db, 0, str(name)));
            db_applied(f.db, ++index, 1, 1);
        }
        db_checkpoint(f.db);
        assert_int_equal(db_persisted_index(f.db), index);
        if (round == 0)
            assert_int_equal(mortal_of(f.kv)->reclaims, before); /* little beside what is stored */
        else
            assert_in_range(mortal_of(f.kv)->reclaims - before, 2, 4);
    }
    put(&f, "stored", "value");
    db_applied(f.db, ++index, 1, 1);
    db_checkpoint(f.db);
    uint64_t before = mortal_of(f.kv)->reclaims;
    db_flush(f.db, 0);
    db_applied(f.db, ++index, 1, 1);
    assert_int_equal(mortal_of(f.kv)->reclaims, before + 1);
    teardown(&f);
}

static uint64_t checkpoints(const struct fixture *f)
{
    struct db_stats stats;
    db_stats(f->db, &stats);
    return stats.checkpoints;
}

/* Whether it is worth to give back what is free is asked again when as much more is, not with each
 * entry. */
static void test_freed_is_asked_for_once(void **state)
{
    static char value[10000];
    struct fixture f;
    (void)state;
    setup(&f, 5000, false);
    db_put(f.db, 0, str("k"), DB_STRING, bytes_of(value, sizeof value), 0);
    applied(&f);
    db_checkpoint(f.db);
    mortal_of(f.kv)->stored = 4000000; /* little is free beside that */
    uint64_t before = checkpoints(&f);
    assert_true(db_delete(f.db, 0, str("k")));
    applied(&f);
    assert_int_equal(checkpoints(&f), before + 1);
    for (int i = 0; i < 20; i++) {
        put(&f, "small", "v");
        applied(&f);
    }
    assert_int_equal(checkpoints(&f), before + 1);
    assert_int_equal(mortal_of(f.kv)->reclaims, 0);
    teardown(&f);
}

/* What comes and goes in memory frees nothing of what is stored. */
static void test_what_was_never_stored_frees_nothing(void **state)
{
    static char value[2000];
    struct fixture f;
    (void)state;
    setup(&f, 4500, false);
    for (int i = 0; i < 3; i++) {
        db_put(f.db, 0, str("k"), DB_STRING, bytes_of(value, sizeof value), 0);
        assert_true(db_delete(f.db, 0, str("k")));
        applied(&f);
    }
    assert_int_equal(checkpoints(&f), 0);
    teardown(&f);
}

static uint64_t dirty(const struct fixture *f)
{
    struct db_stats stats;
    db_stats(f->db, &stats);
    return stats.dirty_bytes;
}

/* Memory counts until it is given back: of what was flushed with the next checkpoint, of a large
 * value that became a small one at once. */
static void test_memory_that_counts(void **state)
{
    enum { NAMES = 10, SIZE = 10000 };
    static char value[SIZE];
    struct fixture f;
    char name[16];
    (void)state;
    setup(&f, 1 << 30, false);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "%d", i);
        db_put(f.db, 0, str(name), DB_STRING, bytes_of(value, sizeof value), 0);
    }
    assert_in_range(dirty(&f), NAMES * SIZE, 2 * NAMES * SIZE);
    put(&f, "0", "small");
    assert_in_range(dirty(&f), (NAMES - 1) * SIZE, NAMES * SIZE);
    db_flush(f.db, 0);
    assert_true(dirty(&f) >= (NAMES - 1) * SIZE);
    applied(&f);
    db_checkpoint(f.db);
    assert_true(dirty(&f) < SIZE);
    teardown(&f);
}

static void ignore(void *context, const struct db_effect *effect)
{
    (void)effect;
    ++*(unsigned *)context;
}

/* An entry that changed very many keys does not leave its memory behind. */
static void test_room_for_effects_is_given_back(void **state)
{
    enum { NAMES = 20000 };
    struct fixture f;
    unsigned told = 0;
    char name[16];
    (void)state;
    setup(&f, 1 << 30, false);
    db_effects_want(f.db, true);
    db_effects_name(f.db, "set");
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "%d", i);
        put(&f, name, "v");
    }
    assert_true(f.db->effects.noted.capacity > 100 * 1024);
    db_effects_drain(f.db, ignore, &told);
    assert_int_equal(told, NAMES);
    assert_true(f.db->effects.noted.capacity <= 100 * 1024);
    applied(&f);
    teardown(&f);
}

/* Keys of the first and of the last slot, written blindly where they are stored already. */
static void test_counts_of_the_outmost_slots(void **state)
{
    static const unsigned slots[] = {0, 1, 16382, 16383};
    struct fixture f;
    char name[32];
    (void)state;
    setup(&f, 1 << 20, false);
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 4; i++) {
            unsigned number = 0;
            do
                snprintf(name, sizeof name, "key %u", number++);
            while (record_slot(str(name)) != slots[i]);
            put(&f, name, "v");
        }
        applied(&f);
        db_checkpoint(f.db);
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(db_slot_size(f.db, 0, slots[i]), 1);
        assert_int_equal(db_size(f.db, 0), 4);
    }
    teardown(&f);
}

/* Deleted, written blindly and deleted again, in two layers of one checkpoint: the newest says that
 * below it there is none, and the kv still has it. */
static void test_deleted_in_two_layers(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 1 << 20, false);
    put(&f, "k", "stored");
    put(&f, "other", "stored");
    applied(&f);
    db_checkpoint(f.db);
    assert_true(db_delete(f.db, 0, str("k")));
    applied(&f);
    struct db_view *view = db_view_new(f.db);
    put(&f, "k", "again");
    assert_true(db_delete(f.db, 0, str("k")));
    applied(&f);
    expect(&f, "k", NULL);
    db_view_release(view);
    db_checkpoint(f.db);
    expect(&f, "k", NULL);
    restart(&f);
    expect(&f, "k", NULL);
    expect(&f, "other", "stored");
    assert_int_equal(db_size(f.db, 0), 1);
    teardown(&f);
}

/* Every key has the same chance, wherever it lies: chi-square over keys of the kv, of a layer and
 * of active, among them many that are deleted. */
static void test_random_keys_are_uniform(void **state)
{
    enum { NAMES = 300, DRAWS = 60000 };
    static unsigned drawn[NAMES];
    struct fixture f;
    struct buffer key = {0};
    char name[16];
    uint64_t index = 0, living = 0;
    double sum = 0;
    (void)state;
    setup(&f, 1 << 20, false);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "{tag}%d", i); /* of one slot */
        put(&f, name + (i % 2 ? 5 : 0), "value");
        db_applied(f.db, ++index, 1, 1);
        if (i == NAMES / 3)
            db_checkpoint(f.db);
    }
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "{tag}%d", i);
        living += i % 3 > 0;
        if (i % 3 == 0)
            assert_true(db_delete(f.db, 0, str(name + (i % 2 ? 5 : 0))));
    }
    db_applied(f.db, ++index, 1, 1);
    while (!db_resolve(f.db, 1000))
        continue;
    for (uint64_t seed = 1; seed <= DRAWS; seed++) {
        assert_true(db_random(f.db, 0, seed, &key));
        buffer_append_byte(&key, '\0');
        drawn[atoi(key.data + (key.data[0] == '{' ? 5 : 0))]++;
    }
    for (int i = 0; i < NAMES; i++) {
        double wanted = i % 3 ? (double)DRAWS / (double)living : 0;
        double off = (double)drawn[i] - wanted;
        if (wanted > 0)
            sum += off * off / wanted;
        else
            assert_int_equal(drawn[i], 0);
    }
    /* 199 degrees of freedom: the mean is 199, the deviation 20. */
    if (sum < 120 || sum > 290)
        fail_msg("chi-square is %.1f", sum);
    buffer_deinit(&key);
    teardown(&f);
}

/* Also what is only looked at: the kv had to fetch it whole. */
static void test_looking_at_large_values_is_work(void **state)
{
    static char value[100000];
    struct fixture f;
    struct db_record record;
    (void)state;
    setup(&f, 1 << 20, false);
    db_put(f.db, 0, str("k"), DB_STRING, bytes_of(value, sizeof value), 0);
    db_applied(f.db, 1, 1, 1);
    db_checkpoint(f.db);
    restart(&f);
    uint64_t before = db_work(f.db);
    assert_true(db_lookup(f.db, 0, str("k"), &record));
    assert_true(db_work(f.db) - before >= sizeof value);
    teardown(&f);
}

static void test_position(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 1 << 20, false);
    assert_int_equal(db_applied_index(f.db), 0);
    assert_int_equal(db_persisted_index(f.db), 0);
    db_applied(f.db, 7, 2, 5000);
    db_applied(f.db, 9, 3, 4000);
    assert_int_equal(db_applied_index(f.db), 9);
    assert_int_equal(db_meaning(f.db), 0);
    db_note_meaning(f.db, 2);
    db_note_meaning(f.db, 1);
    assert_int_equal(db_meaning(f.db), 2);
    assert_int_equal(db_time_ms(f.db), 5000);
    db_checkpoint(f.db);
    restart(&f);
    assert_int_equal(db_applied_index(f.db), 9);
    assert_int_equal(db_persisted_index(f.db), 9);
    assert_int_equal(db_meaning(f.db), 2);
    assert_int_equal(db_time_ms(f.db), 5000);
    teardown(&f);
}

/* ---- formats --------------------------------------------------------------------------------- */

/* The databases of a state record: database 0 has space 17 and two keys, the others their first. */
#define EMPTY(space) space "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define DATABASES                                                                                  \
    "\x11\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0" /* */                                                     \
        EMPTY("\2") EMPTY("\3") EMPTY("\4") EMPTY("\5") EMPTY("\6") EMPTY("\7") EMPTY("\x8")       \
            EMPTY("\x9") EMPTY("\xa") EMPTY("\xb") EMPTY("\xc") EMPTY("\xd") EMPTY("\xe")          \
                EMPTY("\xf") EMPTY("\x10")

/* Slot 0xab << 6, the first of its group, has two keys. */
#define ZEROS8 "\0\0\0\0\0\0\0\0"
#define ZEROS56 ZEROS8 ZEROS8 ZEROS8 ZEROS8 ZEROS8 ZEROS8 ZEROS8
#define SLOTS_OF_KEY                                                                               \
    "\2\0\0\0\0\0\0\0" ZEROS56 ZEROS56 ZEROS56 ZEROS56 ZEROS56 ZEROS56 ZEROS56 ZEROS56 ZEROS56

/* What record.c's table says, to the byte: later versions must read it. */
static void test_format(void **state)
{
    (void)state;
    static const struct {
        struct bytes key, value;
    } expected[] = {
#define ROW(key, value)                                                                            \
    {                                                                                              \
        {key, sizeof(key) - 1},                                                                    \
        {                                                                                          \
            value, sizeof(value) - 1                                                               \
        }                                                                                          \
    }
        ROW("\0", "\3\0\0\0"
                  "\5\0\0\0\0\0\0\0"
                  "\2\0\0\0\0\0\0\0"
                  "\4\0\0\0\0\0\0\0"
                  "\3\0\0\0\0\0\0\0"
                  "\6\0\0\0\0\0\0\0"
                  "\x12\0\0\0\0\0\0\0"
                  "\1\0\0\0\0\0\0\0" DATABASES),
        ROW("c\0\0\0\0\0\0\0\x11\0\xab", SLOTS_OF_KEY),
        ROW("r\0\0\0\0\0\0\0\x11\xab\0\0\0\0\0\0\xcdkey", "\1\1\0\0\2\0\0\0\0\0\0\0value"),
        ROW("r\0\0\0\0\0\0\0\x11\xab\0\0\0\0\0\0\xcdlate",
            "\1\1\1\0\2\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0"),
        ROW("s\xab\0\0\0\0\0\0\xcd"
            "client",
            "\1\0\x0b\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0+OK"),
        ROW("t\0\0\0\0\0\x3a\xb0\0"
            "client",
            ""),
        ROW("w\0\0\0\0\0\0\0\x11\0\0\0\0\0\x7a\xb0\0late", ""),
#undef ROW
    };
    struct fixture f;
    setup(&f, 1 << 20, false);
    fixed_hash = 0xab000000000000cd;
    f.db->hash = hash_to_fixed;
    f.db->word = word_is_hash;
    db_applied(f.db, 1, 4, 0);
    db_begin(f.db, 6);
    db_flush(f.db, 0);
    put(&f, "key", "value");
    db_put(f.db, 0, str("late"), DB_STRING, str(""), 7);
    db_receipt_put(f.db, str("client"), 11, str("+OK"), 3);
    db_applied(f.db, 2, 4, 3);
    db_checkpoint(f.db);
    struct kv_iter *iter = f.kv->ops->iter_new(f.kv, KV_DATA, (struct bytes){0}, kv_family_end());
    struct bytes key, value;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_true(f.kv->ops->iter_next(iter, &key, &value));
        assert_true(bytes_equal(key, expected[i].key));
        assert_true(bytes_equal(value, expected[i].value));
    }
    assert_false(f.kv->ops->iter_next(iter, &key, &value));
    f.kv->ops->iter_free(iter);
    teardown(&f);
}

static void store(struct kv *kv, struct bytes key, struct bytes value)
{
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_put(batch, KV_DATA, key, value);
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
}

/* Opens the store and reads the key "key" in a process of its own; true: it ended with fatal(). */
static bool is_refused(struct kv *kv, const struct db_options *options)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(STDOUT_FILENO); /* the message */
        struct db *db = db_open(kv, options);
        db->hash = hash_to_fixed;
        db->word = word_is_hash;
        uint64_t request;
        struct bytes value;
        db_get(db, 0, str("key"), &value);
        db_receipt_get(db, str("client"), &request, &value);
        _Exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 70);
    return WEXITSTATUS(status) == 70;
}

/* ---- the earlier format ---------------------------------------------------------------- */

/* The data family as a build of before wrote it , a line a row: key and value in
 * hexadecimal. */
static void load_dump(struct kv *kv, const char *path)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char line[4096];
    struct kv_batch *batch = kv->ops->batch_new(kv);
    while (fgets(line, sizeof line, file)) {
        unsigned char row[2][2048];
        size_t sizes[2] = {0}, part = 0;
        for (const char *at = line; *at && *at != '\n'; at++) {
            unsigned byte;
            if (*at == ' ') {
                part = 1;
                continue;
            }
            assert_int_equal(sscanf(at, "%2x", &byte), 1);
            row[part][sizes[part]++] = (unsigned char)byte;
            at++;
        }
        kv->ops->batch_put(batch, KV_DATA, bytes_of(row[0], sizes[0]), bytes_of(row[1], sizes[1]));
    }
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
    fclose(file);
}

static void expect_converted(struct fixture *f)
{
    char key[32], value[64];
    assert_int_equal(db_size(f->db, 0), 201);
    assert_int_equal(db_applied_index(f->db), 207);
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        snprintf(value, sizeof value, "value of %d", i);
        expect(f, key, value);
    }
    expect(f, "{tag}binary", "");
    expect(f, "dead", NULL);
    struct db_record found;
    assert_true(db_lookup(f->db, 0, str("key:7"), &found));
    assert_int_equal(found.version, 0);
    assert_int_equal(db_slot_size(f->db, 0, record_slot(str("tag"))), 1);
    expect_receipt(f, "client-1", 3, "_\r\n");
    uint64_t seen = 0;
    assert_int_equal(db_scan(f->db, 0, 0, keys(1000), count_one, &seen), 0);
    assert_int_equal(seen, 201);
    db_hash(f->db);
}

/* A store of before is read and written anew at its first start, wherever that is interrupted. */
static void test_earlier_format(void **state)
{
    (void)state;
    unsigned interrupted = 0;
    for (int lives = 0; lives < 20; lives++) {
        struct fixture f = {
            .options = {.cluster = 0xfa037494a14c5fb8, .checkpoint_bytes = 1 << 20}};
        f.kv = mortal_open(kv_memory_open());
        load_dump(f.kv, "tests/compat/keys-of-format-1.txt");
        struct buffer record = {0};
        bool is_old;
        assert_true(f.kv->ops->get(f.kv, KV_DATA, record_state_key(), &record));
        struct state old = record_state_decode(buffer_bytes(&record), f.options.cluster, &is_old);
        buffer_deinit(&record);
        assert_true(is_old);
        mortal_set_lives(f.kv, lives);
        db_convert_keys(f.kv, &old, f.options.cluster, 5000);
        interrupted += mortal_is_dead(f.kv);
        kv_memory_crash(mortal_of(f.kv)->inner);
        mortal_set_lives(f.kv, -1);
        for (int start = 0; start < 2; start++) {
            f.db = db_open(f.kv, &f.options);
            f.index = db_applied_index(f.db);
            expect_converted(&f);
            assert_int_equal(stored_keys(f.kv, str("k")), 0);
            assert_int_equal(stored_keys(f.kv, str("r")), 201);
            if (start == 0)
                db_close(f.db);
        }
        put(&f, "key:7", "changed");
        applied(&f);
        db_checkpoint(f.db);
        restart(&f);
        expect(&f, "key:7", "changed");
        assert_int_equal(db_size(f.db, 0), 201);
        teardown(&f);
    }
    assert_true(interrupted > 8 && interrupted < 20);
}

static void test_damage_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 1 << 20, false);
    fixed_hash = 0;
    f.db->hash = hash_to_fixed;
    f.db->word = word_is_hash;
    put(&f, "key", "value");
    db_receipt_put(f.db, str("client"), 1, str("+OK"), 0);
    applied(&f);
    db_checkpoint(f.db);
    assert_false(is_refused(f.kv, &f.options));
    f.options.cluster++;
    assert_true(is_refused(f.kv, &f.options));
    f.options.cluster--;

    struct bytes key = bytes_of("r\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0key", 20);
    struct bytes receipt = bytes_of("s\0\0\0\0\0\0\0\0client", 15);
    struct buffer value = {0};
    assert_true(f.kv->ops->get(f.kv, KV_DATA, key, &value));
    store(f.kv, key, bytes_of("\1\1\2\0\0\0\0\0\0\0\0\0value", 17)); /* a later version's flag */
    assert_true(is_refused(f.kv, &f.options));
    store(f.kv, key, bytes_of("\1\1\1\0\0\0\0\0\0\0\0\0value", 17)); /* half a deadline */
    assert_true(is_refused(f.kv, &f.options));
    store(f.kv, key, bytes_of("\1", 1));
    assert_true(is_refused(f.kv, &f.options));
    store(f.kv, key, buffer_bytes(&value));
    assert_false(is_refused(f.kv, &f.options));
    assert_true(f.kv->ops->get(f.kv, KV_DATA, receipt, &value));
    store(f.kv, receipt, bytes_of(value.data, 25));
    assert_true(is_refused(f.kv, &f.options));
    store(f.kv, receipt, buffer_bytes(&value));
    assert_false(is_refused(f.kv, &f.options));

    assert_true(f.kv->ops->get(f.kv, KV_DATA, bytes_of("\0", 1), &value));
    store(f.kv, bytes_of("\0", 1), bytes_of(value.data, 59));
    assert_true(is_refused(f.kv, &f.options));
    value.data[0] = 4;
    store(f.kv, bytes_of("\0", 1), buffer_bytes(&value));
    assert_true(is_refused(f.kv, &f.options));
    struct kv_batch *batch = f.kv->ops->batch_new(f.kv);
    f.kv->ops->batch_delete(batch, KV_DATA, bytes_of("\0", 1));
    f.kv->ops->commit(f.kv, batch, true);
    f.kv->ops->batch_free(batch);
    assert_true(is_refused(f.kv, &f.options));
    buffer_deinit(&value);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_put_of_a_lent_value),
        cmocka_unit_test(test_counts_that_are_shown),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_large_value),
        cmocka_unit_test(test_one_read),
        cmocka_unit_test(test_looks_at_once),
        cmocka_unit_test(test_looks_after_a_start),
        cmocka_unit_test(test_looks_know_what_was_read),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_databases),
        cmocka_unit_test(test_flush_and_crash),
        cmocka_unit_test(test_scan_while_keys_change),
        cmocka_unit_test(test_scan_cursors),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_scan_of_deleted),
        cmocka_unit_test(test_view),
        cmocka_unit_test(test_many_views),
        cmocka_unit_test(test_receipts),
        cmocka_unit_test(test_receipts_end_in_slices),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_large_entry_leaves_room),
        cmocka_unit_test(test_view_that_ends_leaves_room),
        cmocka_unit_test(test_large_one_that_is_taken_leaves_room),
        cmocka_unit_test(test_large_one_that_is_dropped_leaves_room),
        cmocka_unit_test(test_persisted_index_advances),
        cmocka_unit_test(test_work),
        cmocka_unit_test(test_rows_are_work),
        cmocka_unit_test(test_splice_costs_its_part),
        cmocka_unit_test(test_looking_at_large_values_is_work),
        cmocka_unit_test(test_deletes_give_space_back),
        cmocka_unit_test(test_freed_is_asked_for_once),
        cmocka_unit_test(test_what_was_never_stored_frees_nothing),
        cmocka_unit_test(test_memory_that_counts),
        cmocka_unit_test(test_room_for_effects_is_given_back),
        cmocka_unit_test(test_counts_of_the_outmost_slots),
        cmocka_unit_test(test_deleted_in_two_layers),
        cmocka_unit_test(test_random_keys_are_uniform),
        cmocka_unit_test(test_position),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_earlier_format),
        cmocka_unit_test(test_damage_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
