/* Savepoints of the db: what is undone was never there.
 *
 * Random entries, some steps of which are undone again, with checkpoints, views, crashes and looks
 * at unresolved names, and at the state before them, in the midst of them.  A second db applies the
 * same entries without the steps that are undone, and a plain model keeps what keys have: contents,
 * hashes, effects, counters of the state and what is left in the kv have to be equal. */
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "test_db_run.h"

#include "data/layers.h"

enum { KEYS = 8, BASES = 3, ELEMENTS = 24, CLUSTER = DB_RUN_CLUSTER, ENTRIES = 800, RUNS = 8 };

static const unsigned database_of[BASES] = {0, 3, DB_DATABASES - 1};

enum kind { NOTHING, STRING, LARGE };

struct model_key {
    enum kind kind;
    int64_t deadline_ms;
    char text[8];               /* of a string */
    uint32_t element[ELEMENTS]; /* of rows, the second half of pages: values; 0: not there */
};

struct model {
    struct model_key key[BASES][KEYS];
};

/* Of the run that is under way. */
static const struct db *plain; /* the one that never saw what was undone */
static uint64_t beside;        /* dice for what must not be seen */
static uint64_t told[ENTRIES + 8];

/* ---- one step ---------------------------------------------------------------------- */

static struct bytes value_of(const uint32_t *value)
{
    return bytes_of(value, sizeof *value);
}

/* By parts, with more in between than stays. */
static void edit_page(struct db *db, uint64_t space, unsigned e, uint32_t value)
{
    static const char filler[50];
    struct db_page page;
    struct bytes bytes = value_of(&value);
    struct bytes parts[] = {bytes_of(bytes.data, 1), bytes_of(filler, value % sizeof filler),
                            bytes_of((const char *)bytes.data + 1, 3)};
    if (!db_page_look(db, NULL, space, e, &page)) {
        db_page_put(db, space, e, bytes);
        return;
    }
    db_page_edit(db, space, e, &page, 0, page.bytes.size, parts, 3);
    if (value % 5 == 0)
        page = (struct db_page){.entry = NULL};
    db_page_edit(db, space, e, &page, 1, 1 + value % sizeof filler, NULL, 0);
}

static void put_element(struct db *db, uint64_t space, unsigned e, uint32_t value)
{
    struct text text;
    struct bytes field = name(&text, "element", e);
    if (e >= ELEMENTS / 2 && value % 3 == 0)
        db_page_splice(db, space, e, 0, value_of(&value));
    else if (e >= ELEMENTS / 2 && value % 3 == 1)
        edit_page(db, space, e, value);
    else if (e >= ELEMENTS / 2)
        db_page_put(db, space, e, value_of(&value));
    else
        db_row_put(db, space, db_row_word(db, field), field, value_of(&value));
}

static void delete_element(struct db *db, uint64_t space, unsigned e)
{
    struct text text;
    struct bytes field = name(&text, "element", e);
    if (e >= ELEMENTS / 2)
        db_page_delete(db, space, e);
    else
        db_row_delete(db, space, db_row_word(db, field), field);
}

/* Changes elements of the large collection at the key, which it makes if there is none. */
static void change(struct db *db, unsigned base, struct bytes key, struct model_key *expected,
                   uint64_t *dice)
{
    struct db_record found = {0};
    db_find(db, NULL, database_of[base], key, &found, NULL);
    if (found.type != DB_HASH) {
        *expected = (struct model_key){.kind = LARGE};
        found = (struct db_record){.type = DB_HASH, .space = db_space_new(db, database_of[base])};
    }
    for (uint64_t many = 1 + prng_below(dice, 9); many > 0; many--) {
        unsigned e = (unsigned)prng_below(dice, ELEMENTS);
        bool is_put = prng_below(dice, 4) > 0;
        expected->element[e] = is_put ? (uint32_t)prng_next(dice) | 1 : 0;
        if (is_put)
            put_element(db, found.space, e, expected->element[e]);
        else
            delete_element(db, found.space, e);
    }
    db_put_collection(db, database_of[base], key, &found, key);
}

static void put_string(struct db *db, unsigned base, struct bytes key, struct model_key *expected,
                       int64_t now_ms, uint64_t *dice)
{
    *expected = (struct model_key){.kind = STRING};
    memset(expected->text, 'a' + (char)prng_below(dice, 26), sizeof expected->text);
    if (prng_below(dice, 2))
        expected->deadline_ms = now_ms + 1 + (int64_t)prng_below(dice, 60);
    db_put(db, database_of[base], key, DB_STRING, bytes_of(expected->text, sizeof expected->text),
           expected->deadline_ms);
}

static void splice(struct db *db, unsigned base, struct bytes key, struct model_key *expected,
                   uint64_t *dice)
{
    uint64_t offset = prng_below(dice, sizeof expected->text);
    if (db_get(db, database_of[base], key, NULL) != DB_STRING)
        return;
    expected->text[offset] = 'A' + (char)prng_below(dice, 26);
    db_splice(db, database_of[base], key, offset, bytes_of(expected->text + offset, 1));
}

static void move(struct db *db, struct model *model, unsigned base, unsigned k, uint64_t *dice)
{
    struct text text, other;
    unsigned to_base = (unsigned)prng_below(dice, BASES), to = (unsigned)prng_below(dice, KEYS);
    struct model_key *from = &model->key[base][k];
    bool is_there = db_rename(db, database_of[base], name(&text, "key", k), database_of[to_base],
                              name(&other, "key", to), "rename_to");
    if (!is_there || from == &model->key[to_base][to])
        return;
    model->key[to_base][to] = *from;
    *from = (struct model_key){0};
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

static void take_step(struct db *db, struct model *model, int64_t now_ms, uint64_t *dice)
{
    struct text text;
    unsigned base = (unsigned)prng_below(dice, BASES), k = (unsigned)prng_below(dice, KEYS);
    struct bytes key = name(&text, "key", k);
    struct model_key *expected = &model->key[base][k];
    uint64_t what = prng_below(dice, 40);
    db_effects_name(db, "step");
    if (what < 12) {
        change(db, base, key, expected, dice);
    } else if (what < 17) {
        db_delete(db, database_of[base], key);
        *expected = (struct model_key){0};
    } else if (what < 26) {
        put_string(db, base, key, expected, now_ms, dice);
    } else if (what < 30) {
        splice(db, base, key, expected, dice);
    } else if (what < 34) {
        move(db, model, base, k, dice);
    } else if (what < 36) {
        swap(db, model, base, (unsigned)prng_below(dice, BASES));
    } else if (what < 37) {
        db_flush(db, database_of[base]);
        memset(model->key[base], 0, sizeof model->key[base]);
    } else if (what < 38) {
        db_receipt_put(db, key, prng_next(dice), key, now_ms);
    } else {
        db_receipt_expire(db, now_ms - 20, 3);
    }
}

/* ---- comparing keys ------------------------------------------------------------------- */

static void compare_element(struct db *db, struct db_view *view, uint64_t space, unsigned e,
                            uint32_t expected)
{
    struct text text;
    struct bytes field = name(&text, "element", e), value;
    bool is_there = e >= ELEMENTS / 2
                        ? db_page_get(db, view, space, e, &value)
                        : db_row_get(db, view, space, db_row_word(db, field), field, &value);
    assert_int_equal(is_there, expected != 0);
    if (is_there)
        assert_true(bytes_equal(value, value_of(&expected)));
}

static void compare_key(struct db *db, struct db_view *view, unsigned base, unsigned k,
                        const struct model_key *expected)
{
    struct text text;
    struct db_record found;
    struct bytes value;
    bool is_over = expected->deadline_ms != 0 && expected->deadline_ms <= db_now_ms(db);
    bool is_there = db_find(db, view, database_of[base], name(&text, "key", k), &found, &value);
    assert_int_equal(is_there, expected->kind != NOTHING && !is_over);
    if (!is_there)
        return;
    assert_int_equal(found.type, expected->kind == STRING ? DB_STRING : DB_HASH);
    assert_int_equal(found.deadline_ms, expected->deadline_ms);
    if (expected->kind == STRING)
        assert_true(bytes_equal(value, bytes_of(expected->text, sizeof expected->text)));
    for (unsigned e = 0; e < ELEMENTS && expected->kind == LARGE; e++)
        compare_element(db, view, found.space, e, expected->element[e]);
}

/* ---- what was before an entry ---------------------------------------------------------- */

static struct model before_entry;
static struct db_view *kept; /* of the state before it */

/* Whatever the entry has done so far: a view shows the state before it, and who is not given one
 * looks there too. */
static void look_before(struct db *db)
{
    if (!db_is_parted(db))
        return;
    struct db_view *view = kept ? kept : db_view_new(db);
    assert_non_null(view);
    assert_int_equal(db_view_index(view), db_applied_index(db));
    for (unsigned is_given = 0; is_given < 2; is_given++) {
        db_at(db, db_now_ms(db), false);
        db_look_at(db, view, 0, true);
        for (unsigned i = 0; i < BASES * KEYS; i++)
            compare_key(db, is_given ? view : NULL, i / KEYS, i % KEYS,
                        &before_entry.key[i / KEYS][i % KEYS]);
        assert_true(db_look_end(db));
        db_at(db, db_now_ms(db), true);
    }
    if (!kept && prng_below(&beside, 2))
        kept = view;
    else if (!kept)
        db_view_release(view);
}

static void begin_entry(struct db *db, const struct model *model)
{
    if (db == plain || prng_below(&beside, 2) || !db_part(db))
        return;
    before_entry = *model;
}

/* With a view held over its end, or without. */
static void end_entry(struct db *db, uint64_t index)
{
    bool is_held_over = prng_below(&beside, 2);
    if (kept && !is_held_over)
        db_view_release(kept);
    db_applied(db, index, 1, (int64_t)index);
    if (kept && is_held_over)
        db_view_release(kept);
    kept = NULL;
}

/* ---- one entry ------------------------------------------------------------------------- */

/* Nothing of this may be seen. */
static void disturb(struct db *db)
{
    uint64_t what = prng_below(&beside, 8);
    if (what == 0)
        db_poll(db);
    else if (what == 1)
        db_resolve(db, 1 + prng_below(&beside, 10));
    else if (what == 2)
        look_before(db);
}

/* Steps that are undone, or not. */
static void execute(struct db *db, struct model *model, int64_t now_ms, uint64_t dice)
{
    struct model *before = memory_copy(model, sizeof *model);
    bool is_undone = prng_below(&dice, 2);
    if (is_undone && db == plain) {
        memory_free(before);
        return;
    }
    db_savepoint(db);
    if (is_undone && prng_below(&dice, 2)) /* then the model is no model any more */
        db_at(db, now_ms + 30, true);
    for (uint64_t steps = prng_below(&dice, 10); steps > 0; steps--) {
        take_step(db, model, now_ms, &dice);
        disturb(db);
    }
    db_at(db, now_ms, true);
    while (!(is_undone ? db_rollback(db) : db_release(db)))
        ;
    if (is_undone)
        *model = *before;
    memory_free(before);
}

static void end_deadlines(struct db *db, struct model *model, int64_t now_ms)
{
    struct db_expiry all = {UINT32_MAX, UINT64_MAX};
    struct model_key *key = &model->key[0][0];
    while (db_expire(db, &all))
        ;
    for (unsigned i = 0; i < BASES * KEYS; i++)
        if (key[i].deadline_ms != 0 && key[i].deadline_ms <= now_ms)
            key[i] = (struct model_key){0};
}

static void hear(void *context, const struct db_effect *effect)
{
    uint64_t *sum = context, type = effect->type;
    *sum = XXH3_64bits_withSeed(effect->key.data, effect->key.size,
                                *sum + type * 1000 + effect->database * 100 + effect->other);
    if (effect->event)
        *sum += strlen(effect->event);
}

static void apply(struct db *db, void *model, uint64_t seed, uint64_t index)
{
    uint64_t dice = seed ^ index * 0x9e3779b97f4a7c15ull, sum = 1;
    int64_t now_ms = (int64_t)index;
    db_effects_want(db, true);
    begin_entry(db, model);
    db_begin(db, seed);
    db_at(db, now_ms, true);
    end_deadlines(db, model, now_ms);
    for (uint64_t parts = 1 + prng_below(&dice, 3); parts > 0; parts--) {
        uint64_t inner = prng_next(&dice);
        if (inner % 3 == 0)
            take_step(db, model, now_ms, &inner);
        else
            execute(db, model, now_ms, inner);
        if (prng_below(&beside, 4) == 0)
            look_before(db);
    }
    db_effects_drain(db, hear, &sum);
    if (db == plain)
        told[index] = sum;
    else
        assert_int_equal(sum, told[index]);
    end_entry(db, index);
}

/* ---- comparing --------------------------------------------------------------------------- */

static void compare_state(struct db *db)
{
    for (unsigned i = 0; i < DB_DATABASES; i++) {
        assert_int_equal(layers_space(db, i), layers_space(plain, i));
        assert_int_equal(db_size(db, i), db_size(plain, i));
    }
    for (unsigned base = 0; base < BASES; base++)
        for (unsigned slot = 0; slot < SLOTS; slot++)
            assert_int_equal(db_slot_size(db, database_of[base], slot),
                             db_slot_size(plain, database_of[base], slot));
    assert_int_equal(db->state.space_next, plain->state.space_next);
    assert_int_equal(db->state.receipts, plain->state.receipts);
}

static void compare(struct db *db, struct db_view *view, const void *context, uint64_t index)
{
    const struct model *model = context;
    for (unsigned base = 0; base < BASES; base++)
        for (unsigned k = 0; k < KEYS; k++)
            compare_key(db, view, base, k, &model->key[base][k]);
    if (view || db_applied_index(plain) != index)
        return;
    assert_int_equal(db_hash(db), db_hash((struct db *)(uintptr_t)plain));
    compare_state(db);
}

static const struct db_run_kind kind = {sizeof(struct model), ENTRIES, apply, compare};

/* Nothing stays in the kv of what was undone, nor of what is gone. */
static void compare_leftovers(struct db_run *run)
{
    uint64_t keys = 0;
    db_effects_want(run->db, false);
    db_flush_all(run->db);
    db_run_store(run);
    db_run_store(run);
    static const char *const tables[] = {"r", "u", "v", "w", "x"};
    for (unsigned i = 0; i < sizeof tables / sizeof *tables; i++)
        keys += db_run_rows(run, tables[i]);
    assert_int_equal(keys, 0);
}

static void run_all(bool has_thread)
{
    static const uint64_t checkpoint_bytes[] = {0, 2000, 20000, UINT64_MAX / 4};
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct db_run *run = db_run_new(&kind, seed, checkpoint_bytes[seed % 4], has_thread);
        plain = run->reference;
        beside = seed;
        db_run_all(run);
        compare_leftovers(run);
        db_run_free(run);
    }
}

static void test_in_caller(void **state)
{
    (void)state;
    run_all(false);
}

static void test_in_thread(void **state)
{
    (void)state;
    run_all(true);
}

/* ---- much at once --------------------------------------------------------------- */

static void put_many(struct db *db, unsigned from, unsigned to, char value)
{
    struct text text;
    db_effects_name(db, "set");
    for (unsigned i = from; i < to; i++)
        db_put(db, 0, name(&text, "many", i), DB_STRING, bytes_of(&value, 1), 0);
}

static void delete_many(struct db *db, unsigned from, unsigned to)
{
    struct text text;
    db_effects_name(db, "del");
    for (unsigned i = from; i < to; i++)
        db_delete(db, 0, name(&text, "many", i));
}

/* More than is undone or released at a time, while a checkpoint of the layers below is under way
 * and ends in between. */
static void end_in_slices(bool is_undone)
{
    enum { MANY = 3 * SAVEPOINT_STEPS };
    struct db_run *run = db_run_new(&kind, 1, UINT64_MAX / 4, true);
    struct db *db = run->db;
    db_begin(db, 1);
    put_many(db, 0, 2 * MANY, 'a');
    db_applied(db, 1, 1, 1);
    db_checkpoint(db);
    db_wait(db);
    db_begin(db, 1);
    put_many(db, MANY / 2, MANY, 'b'); /* unresolved when it is frozen */
    db_applied(db, 2, 1, 2);
    db_begin(run->reference, 1);
    put_many(run->reference, 0, 2 * MANY, 'a');
    db_applied(run->reference, 1, 1, 1);
    db_begin(run->reference, 1);
    put_many(run->reference, MANY / 2, MANY, 'b');
    db_applied(run->reference, 2, 1, 2);
    mortal_hold_puts(run->kv, 10);
    db_checkpoint(db);
    db_begin(db, 1);
    db_savepoint(db);
    put_many(db, 0, MANY, 'c');
    delete_many(db, MANY / 4, MANY / 2);
    put_many(db, 2 * MANY, 2 * MANY + 10, 'd');
    unsigned calls = 1;
    for (; !(is_undone ? db_rollback(db) : db_release(db)); calls++) {
        mortal_hold_puts(run->kv, -1);
        db_wait(db);
    }
    assert_int_equal(calls, 4);
    db_applied(db, 3, 1, 3);
    assert_int_equal(db_hash(db) == db_hash(run->reference), is_undone);
    assert_int_equal(db_size(db, 0), is_undone ? 2 * MANY : 2 * MANY + 10 - MANY / 4);
    db_run_free(run);
}

static void test_slices(void **state)
{
    (void)state;
    end_in_slices(true);
    end_in_slices(false);
}

/* ---- what is found out meanwhile ------------------------------------------------------------- */

/* One large collection, stored, and written over without a look. */
static struct db_run *write_over(bool has_thread)
{
    struct db_run *run = db_run_new(&kind, 1, UINT64_MAX / 4, has_thread);
    struct model_key unused = {0};
    struct bytes key = bytes_from_string("key");
    uint64_t dice = 1;
    db_effects_name(run->db, "step");
    db_begin(run->db, 1);
    change(run->db, 0, key, &unused, &dice);
    db_run_store(run);
    assert_true(db_run_rows(run, "u") > 0);
    db_begin(run->db, 1);
    db_put(run->db, 0, key, DB_STRING, key, 0);
    return run;
}

static void test_found_dead(void **state)
{
    (void)state;
    struct db_run *run = write_over(false);
    db_savepoint(run->db);
    assert_true(db_resolve(run->db, 10));
    assert_true(db_rollback(run->db));
    assert_int_equal(db_size(run->db, 0), 1);
    db_run_store(run);
    assert_int_equal(db_run_rows(run, "u"), 0);
    db_run_free(run);
}

static void test_counted_while_flushed(void **state)
{
    (void)state;
    struct db_run *run = write_over(true);
    db_applied(run->db, ++run->index, 1, 1);
    assert_int_equal(db_size(run->db, 0), 2); /* nobody looked */
    mortal_hold(run->kv, true);
    db_checkpoint(run->db);
    db_begin(run->db, 1);
    db_savepoint(run->db);
    db_flush(run->db, 0);
    mortal_hold(run->kv, false);
    db_wait(run->db);
    assert_int_equal(db_size(run->db, 0), 0);
    assert_true(db_rollback(run->db));
    assert_int_equal(db_size(run->db, 0), 1);
    db_run_free(run);
}

/* ---- the bound ------------------------------------------------------------------------------- */

/* How many names of an entry there is room for, wherever they were before. */
static unsigned fill(struct db *db, uint64_t index, bool is_stored, bool is_wanted)
{
    static char value[4096];
    struct text text;
    unsigned i = 0;
    db->changes_max = 1 << 20;
    for (unsigned k = 0; k < 300; k += 2)
        db_put(db, 0, name(&text, "wide", k), DB_STRING, bytes_of(value, 100), 0);
    db_applied(db, index, 1, 1);
    if (is_stored)
        db_checkpoint(db);
    db_effects_want(db, is_wanted);
    db_effects_name(db, "set");
    db_savepoint(db);
    for (; !db_savepoint_is_full(db) && i < 1000; i++)
        db_put(db, 0, name(&text, "wide", i), DB_STRING, bytes_of(value, sizeof value), 0);
    while (!db_rollback(db))
        ;
    assert_false(db_savepoint_is_full(db));
    return i;
}

static void test_bound(void **state)
{
    (void)state;
    struct db_run *run = db_run_new(&kind, 1, UINT64_MAX / 4, false);
    unsigned names = fill(run->db, 1, false, false);
    assert_in_range(names, 200, 256);
    assert_int_equal(fill(run->db, 2, true, false), names);
    assert_int_equal(fill(run->reference, 1, false, false), names);
    db_run_free(run);
}

/* To change the same again costs no room, but its effects do, heard or not; what was released stays
 * counted until the entry ends. */
static uint64_t change_one(struct db *db, uint64_t limit, bool is_wanted)
{
    static char key[20];
    uint64_t count = 0;
    db->changes_max = 1 << 20;
    db_effects_want(db, is_wanted);
    db_effects_name(db, "set");
    for (unsigned part = 0; part < 2; part++) {
        db_savepoint(db);
        for (; !db_savepoint_is_full(db) && count < limit * (part + 1); count++)
            db_put(db, 0, bytes_of(key, sizeof key), DB_STRING, bytes_of(key, count % 9), 0);
        while (!db_release(db))
            ;
    }
    return count;
}

static void ignore(void *context, const struct db_effect *effect)
{
    (void)context;
    (void)effect;
}

static void test_one_name(void **state)
{
    (void)state;
    struct db_run *run = db_run_new(&kind, 1, UINT64_MAX / 4, false);
    uint64_t count = change_one(run->db, UINT64_MAX / 4, false);
    assert_in_range(count, 10000, 30000);
    db_applied(run->db, 1, 1, 1);
    assert_false(db_savepoint_is_full(run->db));
    assert_in_range(change_one(run->reference, count / 2 + 1, true), count - 10, count);
    db_effects_drain(run->reference, ignore, NULL);
    db_run_free(run);
}

/* A message changes nothing and takes room until the entry ends, heard or not. */
static void test_messages(void **state)
{
    static char text[1000];
    (void)state;
    struct db_run *run = db_run_new(&kind, 1, UINT64_MAX / 4, false);
    struct db *dbs[] = {run->db, run->reference};
    for (int i = 0; i < 2; i++) {
        unsigned count = 0;
        dbs[i]->changes_max = 1 << 20;
        db_effects_want(dbs[i], i > 0);
        db_savepoint(dbs[i]);
        for (; !db_savepoint_is_full(dbs[i]) && count < 10000; count++)
            db_effects_message(dbs[i], false, true, bytes_of("a", 1), bytes_of(text, sizeof text));
        assert_in_range(count, 900, 1048);
        if (dbs[i]->effects.is_wanted) /* each of them, though they are equal */
            assert_true(dbs[i]->effects.noted.size >= count * sizeof text);
        while (!db_rollback(dbs[i]))
            ;
    }
    db_run_free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_found_dead),
        cmocka_unit_test(test_counted_while_flushed),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_one_name),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_in_caller),
        cmocka_unit_test(test_in_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
