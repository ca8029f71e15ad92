/* Deadlines of keys in the db against a plain model: given blindly and with a look, moved on,
 * taken away, renamed, moved, swapped and flushed, and ended in small portions, with checkpoints,
 * crashes and views at random places; and that nothing is left in the kv of a key whose time has
 * come.
 *
 * What entry i does depends on seed and i alone, and the log's time is i.  A second db that never
 * checkpoints applies the same: equal hashes show that what is due is found wherever it lies. */
#include <stdio.h>

#include "test_db_run.h"

#include "data/layers.h"

enum {
    KEYS = 16,
    BASES = 3,
    CLUSTER = DB_RUN_CLUSTER,
    ENTRIES = 1500,
    RUNS = 6,
    ELEMENTS = 5,
    FAR = 40
};

static const unsigned database_of[BASES] = {0, 3, DB_DATABASES - 1};

enum kind { NOTHING, STRING, LARGE };

struct model_key {
    enum kind kind;
    int64_t deadline_ms;
};

struct model {
    struct model_key key[BASES][KEYS];
};

static bool is_there(const struct model_key *key, int64_t now_ms)
{
    return key->kind != NOTHING && (key->deadline_ms == 0 || key->deadline_ms > now_ms);
}

/* ---- one entry ------------------------------------------------------------------ */

/* None, one that has passed, or one that will. */
static int64_t any_deadline(uint64_t *dice, int64_t now_ms)
{
    uint64_t what = prng_below(dice, 10);
    if (what < 2)
        return 0;
    if (what == 2)
        return 1 + (int64_t)prng_below(dice, (uint64_t)now_ms);
    return now_ms + 1 + (int64_t)prng_below(dice, FAR);
}

static void put_large(struct db *db, unsigned base, struct bytes key, int64_t deadline_ms)
{
    struct db_record record = {
        .type = DB_HASH, .deadline_ms = deadline_ms, .space = db_space_new(db, database_of[base])};
    for (unsigned i = 0; i < ELEMENTS; i++) {
        struct text text;
        struct bytes element = name(&text, "element", i);
        db_row_put(db, record.space, db_row_word(db, element), element, element);
    }
    db_put_collection(db, database_of[base], key, &record, key);
}

/* As EXPIRE, PERSIST, APPEND do. */
static void look_and_change(struct db *db, struct model_key *expected, unsigned base,
                            struct bytes key, int64_t deadline_ms, int64_t now_ms)
{
    struct db_record found;
    struct bytes payload;
    bool exists = db_find(db, NULL, database_of[base], key, &found, &payload);
    assert_int_equal(exists, is_there(expected, now_ms));
    if (!exists) {
        *expected = (struct model_key){0};
        return;
    }
    assert_int_equal(found.deadline_ms, expected->deadline_ms);
    found.deadline_ms = expected->deadline_ms = deadline_ms;
    db_put_collection(db, database_of[base], key, &found, payload);
}

static void move(struct db *db, struct model *model, unsigned base, unsigned k, int64_t now_ms,
                 uint64_t *dice)
{
    struct text text, other;
    unsigned to_base = (unsigned)prng_below(dice, BASES), to = (unsigned)prng_below(dice, KEYS);
    struct model_key *from = &model->key[base][k];
    bool moved = db_rename(db, database_of[base], name(&text, "key", k), database_of[to_base],
                           name(&other, "key", to), NULL);
    assert_int_equal(moved, is_there(from, now_ms));
    struct model_key kept = *from;
    if (!moved || from != &model->key[to_base][to])
        *from = (struct model_key){0};
    if (moved)
        model->key[to_base][to] = kept;
}

static void swap(struct db *db, struct model *model, unsigned base, unsigned other)
{
    db_swap(db, database_of[base], database_of[other]);
    for (unsigned i = 0; i < KEYS; i++) {
        struct model_key kept = model->key[base][i];
        model->key[base][i] = model->key[other][i];
        model->key[other][i] = kept;
    }
}

static void apply_one(struct db *db, struct model *model, int64_t now_ms, uint64_t *dice)
{
    struct text text;
    unsigned base = (unsigned)prng_below(dice, BASES), k = (unsigned)prng_below(dice, KEYS);
    struct bytes key = name(&text, "key", k);
    struct model_key *expected = &model->key[base][k];
    int64_t deadline_ms = any_deadline(dice, now_ms);
    uint64_t what = prng_below(dice, 60);
    if (what < 16) {
        db_put(db, database_of[base], key, DB_STRING, key, deadline_ms);
        *expected = (struct model_key){STRING, deadline_ms};
    } else if (what < 24) {
        put_large(db, base, key, deadline_ms);
        *expected = (struct model_key){LARGE, deadline_ms};
    } else if (what < 38) {
        look_and_change(db, expected, base, key, deadline_ms, now_ms);
    } else if (what < 42) {
        bool exists = db_delete(db, database_of[base], key);
        assert_int_equal(exists, is_there(expected, now_ms));
        *expected = (struct model_key){0};
    } else if (what < 48) {
        move(db, model, base, k, now_ms, dice);
    } else if (what < 58) {
        struct db_expiry left = {.rows = 1 + (uint32_t)prng_below(dice, 8), .bytes = UINT64_MAX};
        while (db_expire(db, &left))
            ;
    } else if (what < 59) {
        swap(db, model, base, (unsigned)prng_below(dice, BASES));
    } else if (prng_below(dice, 4) == 0) {
        db_flush(db, database_of[base]);
        memset(model->key[base], 0, sizeof model->key[base]);
    }
}

static void apply(struct db *db, void *model, uint64_t seed, uint64_t index)
{
    uint64_t dice = seed ^ index * 0x9e3779b97f4a7c15ull;
    int64_t now_ms = (int64_t)index;
    db_begin(db, seed);
    db_at(db, now_ms, true);
    for (uint64_t i = 1 + prng_below(&dice, 3); i > 0; i--)
        apply_one(db, model, now_ms, &dice);
    db_applied(db, index, 1, now_ms);
}

/* ---- comparing -------------------------------------------------------------------- */

static void count_key(void *context, struct bytes key, enum db_type type)
{
    unsigned *count = context;
    (void)key;
    assert_int_not_equal(type, DB_NONE);
    ++*count;
}

/* A sample that is large enough is all there is, wherever it begins. */
static void compare_sample(struct db *db, const struct model_key *keys, unsigned base,
                           int64_t now_ms)
{
    struct db_sample sample, expected = {.is_all = true};
    for (unsigned k = 0; k < KEYS; k++) {
        if (!is_there(&keys[k], now_ms))
            continue;
        expected.keys++;
        if (keys[k].deadline_ms == 0)
            continue;
        expected.timed++;
        expected.left_ms += (double)(keys[k].deadline_ms - now_ms);
    }
    for (uint64_t i = 0; i < 3; i++) {
        db_sample(db, database_of[base], i << 62, 4 * ENTRIES, now_ms, &sample);
        assert_int_equal(sample.keys, expected.keys);
        assert_int_equal(sample.timed, expected.timed);
        assert_true(sample.left_ms == expected.left_ms);
        assert_true(sample.is_all);
    }
}

/* As a reader sees it at that time. */
static void compare(struct db *db, struct db_view *view, const void *expected_model, uint64_t index)
{
    const struct model *model = expected_model;
    int64_t now_ms = (int64_t)index;
    db_at(db, now_ms, false);
    for (unsigned base = 0; base < BASES; base++) {
        unsigned living = 0, given = 0;
        for (unsigned k = 0; k < KEYS; k++) {
            const struct model_key *expected = &model->key[base][k];
            struct text text;
            struct db_record found;
            bool exists = db_find(db, view, database_of[base], name(&text, "key", k), &found, NULL);
            assert_int_equal(exists, is_there(expected, now_ms));
            living += exists;
            if (exists)
                assert_int_equal(found.deadline_ms, expected->deadline_ms);
        }
        struct db_scan_limit all = {.keys = UINT64_MAX, .rows = UINT64_MAX};
        if (view)
            db_view_scan(view, database_of[base], 0, all, count_key, &given);
        else
            db_scan(db, database_of[base], 0, all, count_key, &given);
        assert_int_equal(given, living);
        if (!view)
            compare_sample(db, model->key[base], base, now_ms);
    }
}

/* ---- runs ------------------------------------------------------------------------------ */

static void expire_all(struct db *db, int64_t now_ms)
{
    struct db_expiry left = {.rows = UINT32_MAX, .bytes = UINT64_MAX};
    db_at(db, now_ms, true);
    while (db_expire(db, &left))
        ;
    assert_true(db_due_ms(db) > now_ms);
}

/* Whoever has no deadline stays. */
static void finish(struct db_run *run)
{
    const struct model *model = run->model;
    uint64_t end = run->index + FAR, living = 0, keys = 0;
    expire_all(run->db, (int64_t)end);
    expire_all(run->reference, (int64_t)end);
    compare(run->db, NULL, model, end);
    assert_int_equal(db_hash(run->db), db_hash(run->reference));
    for (unsigned base = 0; base < BASES; base++) {
        keys += db_size(run->db, database_of[base]);
        for (unsigned k = 0; k < KEYS; k++)
            living += is_there(&model->key[base][k], (int64_t)end);
    }
    assert_int_equal(keys, living);
    assert_true(db_due_ms(run->db) == INT64_MAX);
    for (unsigned base = 0; base < BASES; base++)
        db_flush(run->db, database_of[base]);
    db_run_store(run);
    db_run_store(run); /* what a checkpoint found dead that could not sweep goes with the next */
    assert_int_equal(db_run_rows(run, "r"), 0);
    assert_int_equal(db_run_rows(run, "u"), 0);
    assert_int_equal(db_run_rows(run, "v"), 0);
    assert_int_equal(db_run_rows(run, "w"), 0);
}

static void test_random(void **state)
{
    static const struct db_run_kind kind = {sizeof(struct model), ENTRIES, apply, compare};
    (void)state;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        uint64_t checkpoint_bytes = seed % 3 == 0 ? UINT64_MAX : 1500 + 400 * seed;
        struct db_run *run = db_run_new(&kind, seed, checkpoint_bytes, seed % 2 == 0);
        db_run_all(run);
        finish(run);
        db_run_free(run);
    }
}

/* ---- by hand --------------------------------------------------------------------------- */

struct world {
    struct kv *kv;
    struct db *db;
    uint64_t index;
};

static const struct db_options plain = {.cluster = CLUSTER, .checkpoint_bytes = UINT64_MAX};

static int open_world(void **state)
{
    struct world *world = memory_new(sizeof *world);
    world->kv = kv_memory_open();
    world->db = db_open(world->kv, &plain);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    db_close(world->db);
    world->kv->ops->close(world->kv);
    memory_free(world);
    return 0;
}

static struct bytes word(const char *text)
{
    return bytes_from_string(text);
}

static void entry(struct world *world, int64_t now_ms)
{
    db_begin(world->db, 1);
    db_at(world->db, now_ms, true);
}

static void end(struct world *world)
{
    world->index++;
    db_applied(world->db, world->index, 1, 1);
}

static void put(struct world *world, const char *key, int64_t deadline_ms)
{
    db_effects_name(world->db, "set");
    db_put(world->db, 0, word(key), DB_STRING, word("v"), deadline_ms);
}

static void test_reader_does_not_delete(void **state)
{
    struct world *world = *state;
    struct db_record found;
    entry(world, 1);
    put(world, "k", 10);
    end(world);
    db_at(world->db, 9, false);
    assert_true(db_lookup(world->db, 0, word("k"), &found));
    db_at(world->db, 10, false);
    assert_false(db_lookup(world->db, 0, word("k"), &found));
    assert_int_equal(db_size(world->db, 0), 1);
    struct buffer key = {0};
    assert_false(db_random(world->db, 0, 1, &key));
    buffer_deinit(&key);
    entry(world, 10);
    assert_false(db_lookup(world->db, 0, word("k"), &found));
    assert_int_equal(db_size(world->db, 0), 0);
    end(world);
}

struct seen {
    char text[256];
};

static void note(void *context, const struct db_effect *effect)
{
    struct seen *seen = context;
    size_t used = strlen(seen->text);
    snprintf(seen->text + used, sizeof seen->text - used, "%s %.*s, ", effect->event,
             (int)effect->key.size, (const char *)effect->key.data);
}

/* Each change of a key that was over, and whoever ends it. */
static void test_effects(void **state)
{
    struct world *world = *state;
    struct seen seen = {""};
    struct db_record found;
    db_effects_want(world->db, true);
    entry(world, 1);
    put(world, "a", 10);
    put(world, "b", 10);
    put(world, "c", 10);
    db_effects_drain(world->db, note, &seen);
    assert_string_equal(seen.text, "set a, set b, set c, ");
    end(world);
    seen.text[0] = '\0';
    entry(world, 10);
    db_effects_name(world->db, "del");
    assert_false(db_delete(world->db, 0, word("a")));
    db_effects_name(world->db, "append");
    assert_false(db_lookup(world->db, 0, word("b"), &found));
    db_put(world->db, 0, word("b"), DB_STRING, word("v"), 0);
    expire_all(world->db, 10);
    db_effects_drain(world->db, note, &seen);
    assert_string_equal(seen.text, "expired a, expired b, append b, expired c, ");
    end(world);
    struct db_stats stats;
    db_stats(world->db, &stats);
    assert_int_equal(stats.expired, 3);
}

/* A portion is what was asked for, and what it leaves comes next. */
static void test_portions(void **state)
{
    struct world *world = *state;
    entry(world, 1);
    for (unsigned i = 0; i < 1000; i++) {
        struct text text;
        db_effects_name(world->db, "set");
        db_put(world->db, i % 2, name(&text, "key", i), DB_STRING, word("v"), 10 + i % 7);
    }
    end(world);
    for (unsigned left = 1000; left > 0; left -= 100) {
        struct db_expiry portion = {.rows = 100, .bytes = UINT64_MAX};
        entry(world, 20);
        while (db_expire(world->db, &portion))
            ;
        assert_int_equal(portion.rows, 0);
        assert_int_equal(db_size(world->db, 0) + db_size(world->db, 1), left - 100);
        end(world);
    }
    assert_true(db_due_ms(world->db) > 20);
}

static void put_collection(struct world *world, const char *key, int64_t deadline_ms,
                           int64_t elements_due_ms)
{
    struct db_record record = {.type = DB_HASH,
                               .deadline_ms = deadline_ms,
                               .space = db_space_new(world->db, 0),
                               .elements_due_ms = elements_due_ms};
    db_put_collection(world->db, 0, word(key), &record, word("p"));
}

/* What comes nearer is found at its time, not at the one that it had before. */
static void test_nearer(void **state)
{
    struct world *world = *state;
    struct db_expiry all = {.rows = UINT32_MAX, .bytes = UINT64_MAX};
    entry(world, 1);
    for (int64_t due_ms = 1000; due_ms >= 20; due_ms -= 980) {
        put(world, "s", due_ms);
        put_collection(world, "c", due_ms, 0);
        put_collection(world, "e", 0, due_ms + 10);
    }
    end(world);
    assert_int_equal(db_size(world->db, 0), 3);
    entry(world, 20);
    while (db_expire(world->db, &all))
        ;
    assert_int_equal(db_size(world->db, 0), 1);
    assert_int_equal(db_due_ms(world->db), 30);
    end(world);
}

/* Two collections, and how many of their elements are due. */
static struct {
    uint32_t left[2], most;
} elements;

static uint32_t end_elements(struct db *db, unsigned database, struct bytes key, uint32_t most)
{
    struct db_record found;
    struct bytes payload;
    uint32_t *left = &elements.left[bytes_equal(key, word("b"))];
    uint32_t gone = most < *left ? most : *left;
    assert_true(most > 0);
    elements.most = most > elements.most ? most : elements.most;
    *left -= gone;
    assert_true(db_find(db, NULL, database, key, &found, &payload));
    if (*left == 0)
        found.elements_due_ms = 0;
    db_put_collection(db, database, key, &found, payload);
    return gone;
}

/* Elements are of a portion like keys, and one call ends 64 of them, whosever they are. */
static void test_portions_of_elements(void **state)
{
    enum { DUE = 150, A_CALL = 64, ROWS = 100 };
    struct world *world = *state;
    elements.left[0] = elements.left[1] = DUE;
    elements.most = 0;
    db_elements_due(world->db, end_elements);
    entry(world, 1);
    db_effects_name(world->db, "hset");
    put_collection(world, "a", 0, 10);
    put_collection(world, "b", 0, 10);
    end(world);
    entry(world, 10);
    db_effects_name(world->db, "hexpired");
    struct db_expiry portion = {.rows = ROWS, .bytes = UINT64_MAX};
    assert_true(db_expire(world->db, &portion));
    assert_int_equal(elements.most, A_CALL);
    assert_int_equal(elements.left[0] + elements.left[1], 2 * DUE - A_CALL);
    assert_int_equal(portion.rows, ROWS - 2 - A_CALL); /* and two rows were looked at */
    while (db_expire(world->db, &portion))
        ;
    assert_int_equal(portion.rows, 0);
    assert_int_equal(elements.left[0] + elements.left[1], 2 * DUE - (ROWS - 2 - 2));
    end(world);
    for (int64_t i = 11; elements.left[0] + elements.left[1] > 0; i++) {
        assert_true(i < 20);
        portion = (struct db_expiry){.rows = ROWS, .bytes = UINT64_MAX};
        entry(world, i);
        db_effects_name(world->db, "hexpired");
        while (db_expire(world->db, &portion))
            ;
        end(world);
    }
    assert_int_equal(elements.most, A_CALL);
    assert_int_equal(db_due_ms(world->db), INT64_MAX);
}

/* Large names end a portion too. */
static void test_portions_of_bytes(void **state)
{
    struct world *world = *state;
    struct db_expiry portion = {.rows = 100, .bytes = 7};
    entry(world, 1);
    for (unsigned i = 100; i < 110; i++) {
        struct text text;
        db_effects_name(world->db, "set");
        db_put(world->db, 0, name(&text, "k", i), DB_STRING, word("v"), 10);
    }
    end(world);
    entry(world, 10);
    while (db_expire(world->db, &portion))
        ;
    assert_int_equal(db_size(world->db, 0), 8); /* 4 of 7 bytes, then the other 3 */
    end(world);
}

/* A deadline that is moved on again and again has one row. */
static void test_moved_on(void **state)
{
    struct world *world = *state;
    entry(world, 1);
    put(world, "k", 10);
    end(world);
    for (int64_t i = 2; i < 100; i++) {
        struct db_record found;
        entry(world, i < 9 ? i : 9);
        assert_true(db_lookup(world->db, 0, word("k"), &found));
        found.deadline_ms = i + 10;
        db_put_collection(world->db, 0, word("k"), &found, word("v"));
        end(world);
    }
    assert_int_equal(
        overlay_entries(&world->db->active->tables[TABLE_DEADLINES], layers_space(world->db, 0)),
        1);
    entry(world, 10);
    expire_all(world->db, 10);
    assert_int_equal(db_due_ms(world->db), 109);
    expire_all(world->db, 109);
    assert_int_equal(db_size(world->db, 0), 0);
    end(world);
}

/* ---- samples --------------------------------------------------------------------------- */

/* Keys of one slot, every other with a deadline. */
static void put_tagged(struct world *world, unsigned from, unsigned to, struct bytes value)
{
    entry(world, 1);
    db_effects_name(world->db, "set");
    for (unsigned i = from; i < to; i++) {
        struct text text;
        db_put(world->db, 0, name(&text, "{tag}", i), DB_STRING, value, i % 2 ? 0 : 101);
    }
    end(world);
}

static struct db_sample sample_of(struct world *world, uint64_t place, uint64_t keys)
{
    struct db_sample sample;
    db_sample(world->db, 0, place, keys, 1, &sample);
    return sample;
}

/* All is before most places: it goes on at the first key, and counts none twice. */
static void test_sample_goes_round(void **state)
{
    enum { MANY = 5000, SOME = 1000, PLACES = 1000 };
    struct world *world = *state;
    put_tagged(world, 0, MANY, word("v"));
    uint64_t slot = record_slot(word("{tag}0"));
    for (uint64_t i = 0; i < PLACES; i++) {
        /* Anywhere, and within the slot. */
        uint64_t step = i << 54, first = slot << (64 - SLOT_BITS);
        uint64_t places[] = {step, first + (step >> SLOT_BITS)};
        for (unsigned k = 0; k < 2; k++) {
            struct db_sample sample = sample_of(world, places[k], SOME);
            assert_int_equal(sample.keys, SOME);
            assert_in_range(sample.timed, SOME / 3, 2 * SOME / 3);
            assert_true(sample.left_ms == 100.0 * (double)sample.timed);
            assert_false(sample.is_all);
        }
        struct db_sample all = sample_of(world, places[1], MANY);
        assert_int_equal(all.keys, MANY);
        assert_int_equal(all.timed, MANY / 2);
        assert_true(all.is_all);
    }
    assert_false(sample_of(world, 0, MANY - 1).is_all);
    assert_true(sample_of(world, UINT64_MAX, MANY).is_all);
}

/* Fewer than were wanted are not all there are. */
static void test_sample_of_much(void **state)
{
    enum { LARGE_ONES = 800, VALUE = 1000, DELETED = 5000, SOME = 1000 };
    struct world *world = *state;
    struct db_sample sample = sample_of(world, 0, SOME);
    assert_true(sample.is_all);
    assert_int_equal(sample.keys, 0);
    char value[VALUE];
    memset(value, 'v', sizeof value);
    put_tagged(world, 0, LARGE_ONES, bytes_of(value, sizeof value));
    sample = sample_of(world, 0, SOME);
    assert_false(sample.is_all);
    assert_in_range(sample.keys, 200, (256 << 10) / VALUE + 1);
    entry(world, 1);
    db_flush(world->db, 0);
    end(world);
    put_tagged(world, 0, DELETED, word("v"));
    db_checkpoint(world->db);
    entry(world, 1);
    db_effects_name(world->db, "del");
    for (unsigned i = 0; i < DELETED; i++) {
        struct text text;
        db_delete(world->db, 0, name(&text, "{tag}", i));
    }
    put(world, "{tag}", 101);
    end(world);
    for (uint64_t i = 0; i < 100; i++) {
        sample = sample_of(world, i << 57, SOME);
        assert_false(sample.is_all);
        assert_in_range(sample.keys, 0, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test_setup_teardown(test_reader_does_not_delete, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_effects, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_nearer, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_portions, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_portions_of_bytes, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_portions_of_elements, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_moved_on, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_sample_goes_round, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_sample_of_much, open_world, close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
