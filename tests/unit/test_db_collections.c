/* Large collections in the db against a plain model: made, changed, renamed, moved, written over
 * with and without a look, flushed, with checkpoints, crashes and views at random places; and
 * that nothing is left of them in the kv once they are gone.
 *
 * What entry i does depends on seed and i alone, so it is applied again after a crash.  A second db
 * that never checkpoints applies the same: equal hashes show that when a sweep came, or an
 * unresolved name was looked at, cannot be seen. */
#include <stdio.h>

#include "test_db_run.h"

#include "data/layers.h"

enum { KEYS = 12, BASES = 3, ELEMENTS = 200, CLUSTER = DB_RUN_CLUSTER, ENTRIES = 2000, RUNS = 12 };

static const unsigned database_of[BASES] = {0, 3, DB_DATABASES - 1};

enum kind { NOTHING, STRING, LARGE };

struct model_key {
    enum kind kind;
    uint32_t element[ELEMENTS]; /* its value; 0: not there */
    uint32_t count;
};

struct model {
    struct model_key key[BASES][KEYS];
};

static struct bytes value_of(const uint32_t *value)
{
    return bytes_of(value, sizeof *value);
}

/* ---- one entry ------------------------------------------------------------------ */

static void put_large(struct db *db, unsigned base, struct bytes key, uint64_t space,
                      uint32_t count)
{
    struct db_record record = {.type = DB_HASH, .space = space};
    db_put_collection(db, database_of[base], key, &record, value_of(&count));
}

/* Adds or overwrites `many` elements from `first` on; makes the collection if it is not there. */
static void change(struct db *db, struct model *model, unsigned base, unsigned k, uint64_t *dice)
{
    struct text text, element;
    struct bytes key = name(&text, "key", k);
    struct model_key *expected = &model->key[base][k];
    struct db_record found = {0};
    bool is_there = db_find(db, NULL, database_of[base], key, &found, NULL);
    assert_int_equal(is_there, expected->kind != NOTHING);
    if (!found.space) {
        *expected = (struct model_key){.kind = LARGE};
        found.space = db_space_new(db, database_of[base]);
    }
    unsigned many = 1 + (unsigned)prng_below(dice, prng_below(dice, 4) ? 5 : ELEMENTS);
    for (unsigned i = 0; i < many; i++) {
        unsigned e = (unsigned)prng_below(dice, ELEMENTS);
        struct bytes field = name(&element, "element", e);
        uint64_t word = db_row_word(db, field);
        uint32_t value = (uint32_t)prng_next(dice) | 1;
        bool was_there = expected->element[e] != 0;
        if (prng_below(dice, 4) == 0) {
            assert_int_equal(db_row_delete(db, found.space, word, field), was_there);
            expected->element[e] = 0;
            expected->count -= was_there;
        } else {
            assert_int_equal(db_row_put(db, found.space, word, field, value_of(&value)), was_there);
            expected->element[e] = value;
            expected->count += !was_there;
        }
    }
    put_large(db, base, key, found.space, expected->count);
}

static void move(struct db *db, struct model *model, unsigned base, unsigned k, uint64_t *dice)
{
    struct text text, other;
    unsigned to_base = (unsigned)prng_below(dice, BASES), to = (unsigned)prng_below(dice, KEYS);
    struct model_key *from = &model->key[base][k];
    bool is_there = db_rename(db, database_of[base], name(&text, "key", k), database_of[to_base],
                              name(&other, "key", to), NULL);
    assert_int_equal(is_there, from->kind != NOTHING);
    if (!is_there || from == &model->key[to_base][to])
        return;
    model->key[to_base][to] = *from;
    *from = (struct model_key){0};
}

static void apply_one(struct db *db, struct model *model, uint64_t *dice)
{
    struct text text;
    unsigned base = (unsigned)prng_below(dice, BASES), k = (unsigned)prng_below(dice, KEYS);
    struct bytes key = name(&text, "key", k);
    struct model_key *expected = &model->key[base][k];
    uint64_t what = prng_below(dice, 40);
    if (what < 24) {
        change(db, model, base, k, dice);
    } else if (what < 29) {
        assert_int_equal(db_delete(db, database_of[base], key), expected->kind != NOTHING);
        *expected = (struct model_key){0};
    } else if (what < 34) {
        db_put(db, database_of[base], key, DB_STRING, key, 0);
        *expected = (struct model_key){.kind = STRING};
    } else if (what < 38) {
        move(db, model, base, k, dice);
    } else if (what < 39) {
        unsigned other = (unsigned)prng_below(dice, BASES);
        db_swap(db, database_of[base], database_of[other]);
        for (unsigned i = 0; i < KEYS; i++) {
            struct model_key kept = model->key[base][i];
            model->key[base][i] = model->key[other][i];
            model->key[other][i] = kept;
        }
    } else {
        db_flush(db, database_of[base]);
        memset(model->key[base], 0, sizeof model->key[base]);
    }
}

/* Rows that entries may change, now or later, or never. */
static void foresee(struct db *db, uint64_t dice)
{
    struct db_foreseen foreseen[DB_FORESEEN_MAX] = {0};
    struct text keys[DB_FORESEEN_MAX], fields[DB_FORESEEN_MAX];
    for (unsigned i = 0; i < DB_FORESEEN_MAX; i++) {
        foreseen[i].database = database_of[prng_below(&dice, BASES)];
        foreseen[i].key = name(&keys[i], "key", (unsigned)prng_below(&dice, KEYS));
        foreseen[i].elements[0] =
            name(&fields[i], "element", (unsigned)prng_below(&dice, ELEMENTS / 4));
    }
    db_foresee(db, foreseen, DB_FORESEEN_MAX);
}

static void apply(struct db *db, void *model, uint64_t seed, uint64_t index)
{
    uint64_t dice = seed ^ index * 0x9e3779b97f4a7c15ull;
    if (index % 4 == 0)
        foresee(db, dice);
    db_begin(db, seed);
    for (uint64_t i = 1 + prng_below(&dice, 2); i > 0; i--)
        apply_one(db, model, &dice);
    db_applied(db, index, 1, (int64_t)index);
}

/* ---- comparing -------------------------------------------------------------------- */

struct comparison {
    const struct model_key *expected;
    uint32_t seen;
};

static void compare_row(void *context, struct bytes field, struct bytes value)
{
    struct comparison *comparison = context;
    char text[32] = {0};
    unsigned e;
    assert_in_range(field.size, 1, sizeof text - 1);
    memcpy(text, field.data, field.size);
    assert_int_equal(sscanf(text, "element%u", &e), 1);
    assert_in_range(e, 0, ELEMENTS - 1);
    assert_int_equal(value.size, sizeof comparison->expected->element[e]);
    assert_memory_equal(value.data, &comparison->expected->element[e], value.size);
    comparison->seen++;
}

static void compare_rows(struct db *db, struct db_view *view, uint64_t space,
                         const struct model_key *expected)
{
    struct comparison comparison = {.expected = expected};
    uint64_t cursor = 0;
    do
        cursor = db_row_scan(db, view, space, cursor, (struct db_scan_limit){.keys = 7, .rows = 50},
                             compare_row, &comparison);
    while (cursor != 0);
    assert_int_equal(comparison.seen, expected->count);
    for (unsigned e = 0; e < ELEMENTS; e += 17) {
        struct text text;
        struct bytes value, field = name(&text, "element", e);
        bool is_there = db_row_get(db, view, space, db_row_word(db, field), field, &value);
        assert_int_equal(is_there, expected->element[e] != 0);
        if (is_there)
            assert_memory_equal(value.data, &expected->element[e], value.size);
    }
}

static void compare(struct db *db, struct db_view *view, const void *expected_model, uint64_t index)
{
    const struct model *model = expected_model;
    (void)index;
    for (unsigned base = 0; base < BASES; base++) {
        for (unsigned k = 0; k < KEYS; k++) {
            const struct model_key *expected = &model->key[base][k];
            struct text text;
            struct db_record found = {0};
            struct bytes payload;
            bool is_there =
                db_find(db, view, database_of[base], name(&text, "key", k), &found, &payload);
            assert_int_equal(is_there, expected->kind != NOTHING);
            assert_int_equal(found.space != 0, expected->kind == LARGE);
            if (expected->kind != LARGE)
                continue;
            assert_int_equal(payload.size, sizeof expected->count);
            assert_memory_equal(payload.data, &expected->count, payload.size);
            compare_rows(db, view, found.space, expected);
        }
    }
}

/* ---- runs ------------------------------------------------------------------------------ */

static void finish(struct db_run *run)
{
    for (unsigned base = 0; base < BASES; base++)
        for (unsigned k = 0; k < KEYS; k++) {
            struct text text;
            db_delete(run->db, database_of[base], name(&text, "key", k));
        }
    db_run_store(run);
    assert_int_equal(db_run_rows(run, "r"), 0);
    db_run_store(run); /* what a checkpoint found dead that could not sweep goes with the next */
    assert_int_equal(db_run_rows(run, "u"), 0);
    assert_int_equal(db_run_rows(run, "v"), 0);
}

static void test_random_collections(void **state)
{
    static const struct db_run_kind kind = {sizeof(struct model), ENTRIES, apply, compare};
    (void)state;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct db_run *run = db_run_new(&kind, seed, seed % 2 ? 200000 : 1000000000, seed % 3 == 0);
        db_run_all(run);
        finish(run);
        db_run_free(run);
    }
}

/* ---- single promises ------------------------------------------------------------------- */

struct fixture {
    struct kv *kv;
    struct db *db;
    uint64_t index;
};

static void setup(struct fixture *f)
{
    struct db_options options = {
        .cluster = CLUSTER, .checkpoint_bytes = 1 << 30, .cache_bytes = 1 << 20};
    *f = (struct fixture){.kv = kv_memory_open()};
    f->db = db_open(f->kv, &options);
}

static void applied(struct fixture *f)
{
    f->index++;
    db_applied(f->db, f->index, 1, 1);
}

static void teardown(struct fixture *f)
{
    db_close(f->db);
    f->kv->ops->close(f->kv);
}

static uint64_t make(struct fixture *f, const char *key, uint32_t rows)
{
    uint64_t space = db_space_new(f->db, 0);
    struct db_record record = {.type = DB_HASH, .space = space};
    for (uint32_t i = 0; i < rows; i++) {
        struct text text;
        struct bytes field = name(&text, "element", i);
        db_row_put(f->db, space, db_row_word(f->db, field), field, value_of(&i));
    }
    db_put_collection(f->db, 0, bytes_from_string(key), &record, value_of(&rows));
    applied(f);
    return space;
}

static void test_written_over_without_a_look_is_swept(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    make(&f, "k", 1000);
    db_checkpoint(f.db);
    assert_int_equal(stored_keys(f.kv, bytes_from_string("u")), 1000);
    db_put(f.db, 0, bytes_from_string("k"), DB_STRING, bytes_from_string("x"), 0);
    applied(&f);
    db_checkpoint(f.db); /* finds out what it was, and sweeps */
    applied(&f);
    db_checkpoint(f.db);
    assert_int_equal(stored_keys(f.kv, bytes_from_string("u")), 0);
    assert_int_equal(stored_keys(f.kv, bytes_from_string("v")), 0);
    teardown(&f);
}

static void freeze(struct fixture *f)
{
    db_view_release(db_view_new(f->db));
}

static void write_over(struct fixture *f)
{
    db_put(f->db, 0, bytes_from_string("k"), DB_STRING, bytes_from_string("x"), 0);
    applied(f);
}

/* In an older layer of the same checkpoint, once more and with one below all that was stored. */
static void test_written_over_in_a_newer_layer_is_swept(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    make(&f, "k", 1000);
    freeze(&f);
    write_over(&f);
    db_checkpoint(f.db);
    applied(&f);
    db_checkpoint(f.db);
    assert_int_equal(stored_keys(f.kv, bytes_from_string("u")), 0);
    assert_int_equal(stored_keys(f.kv, bytes_from_string("v")), 0);
    make(&f, "k", 10);
    db_checkpoint(f.db);
    assert_int_equal(stored_keys(f.kv, bytes_from_string("u")), 10);
    write_over(&f);
    freeze(&f);
    make(&f, "k", 20);
    freeze(&f);
    write_over(&f);
    freeze(&f);
    make(&f, "k", 40);
    db_checkpoint(f.db);
    applied(&f);
    db_checkpoint(f.db);
    assert_int_equal(stored_keys(f.kv, bytes_from_string("u")), 40);
    assert_int_equal(stored_keys(f.kv, bytes_from_string("v")), 1);
    teardown(&f);
}

static void test_flushed_database_takes_its_collections_along(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    make(&f, "k", 1000);
    make(&f, "l", 10);
    uint64_t kept = make(&f, "m", 10);
    db_rename(f.db, 0, bytes_from_string("m"), 1, bytes_from_string("m"), NULL);
    applied(&f);
    db_checkpoint(f.db);
    make(&f, "n", 500);
    db_flush(f.db, 0);
    applied(&f);
    db_checkpoint(f.db);
    assert_int_equal(stored_keys(f.kv, bytes_from_string("u")), 10);
    assert_int_equal(stored_keys(f.kv, bytes_from_string("v")), 1);
    struct db_record found;
    assert_true(db_find(f.db, NULL, 1, bytes_from_string("m"), &found, NULL));
    assert_int_equal(found.space, kept);
    teardown(&f);
}

/* Of what came and went between two checkpoints nothing is written, not even that it is dead: the
 * view keeps the sweep away that would delete it again. */
static void test_made_and_dropped_is_not_stored(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    db_put(f.db, 0, bytes_from_string("other"), DB_STRING, bytes_from_string("x"), 0);
    applied(&f);
    struct db_view *view = db_view_new(f.db);
    for (int i = 0; i < 3; i++) {
        make(&f, "k", 10);
        assert_true(db_delete(f.db, 0, bytes_from_string("k")));
        applied(&f);
    }
    db_checkpoint(f.db);
    assert_int_equal(stored_keys(f.kv, bytes_from_string("u")), 0);
    assert_int_equal(stored_keys(f.kv, bytes_from_string("v")), 0);
    db_view_release(view);
    teardown(&f);
}

/* A copy in slices of any size has each row once, wherever slices end. */
static void test_copies_in_slices(void **state)
{
    enum { ROWS = 100 };
    struct fixture f;
    (void)state;
    setup(&f);
    uint64_t space = make(&f, "k", ROWS / 2);
    db_checkpoint(f.db);
    for (uint32_t i = ROWS / 2; i < ROWS; i++) {
        struct text text;
        struct bytes field = name(&text, "element", i);
        db_row_put(f.db, space, db_row_word(f.db, field), field, value_of(&i));
    }
    for (uint64_t rows = 1; rows < 12; rows++) {
        struct db_scan_limit limit = {.rows = rows, .bytes = rows % 2 ? 1 << 20 : 30};
        uint64_t word = 0, slices = 1, copy = make(&f, "copy", 0);
        while (db_space_copy(f.db, NULL, space, copy, false, &word, limit))
            slices++;
        assert_in_range(slices, ROWS / rows, ROWS + 1);
        for (uint32_t i = 0; i < ROWS; i++) {
            struct text text;
            struct bytes field = name(&text, "element", i), value;
            assert_true(db_row_get(f.db, NULL, copy, db_row_word(f.db, field), field, &value));
            assert_true(bytes_equal(value, value_of(&i)));
        }
    }
    applied(&f);
    teardown(&f);
}

/* A row that is drawn, and how often. */
static void draw(void *context, struct bytes field, struct bytes value)
{
    uint32_t *drawn = context, i;
    (void)field;
    memcpy(&i, value.data, sizeof i);
    drawn[i]++;
}

/* Chi-square with 99 degrees of freedom: above 148 once in a thousand seeds; this is one seed. */
static void draw_many(bool is_stored)
{
    enum { ROWS = 100, DRAWS = 20000 };
    struct fixture f;
    uint32_t drawn[ROWS] = {0};
    uint64_t seed = 5;
    double chi = 0;
    setup(&f);
    uint64_t space = make(&f, "k", ROWS / 2);
    if (is_stored)
        db_checkpoint(f.db);
    else
        db_view_release(db_view_new(f.db));      /* a layer of its own */
    for (uint32_t i = ROWS / 2; i < ROWS; i++) { /* half below, half above */
        struct text text;
        struct bytes field = name(&text, "element", i);
        db_row_put(f.db, space, db_row_word(f.db, field), field, value_of(&i));
    }
    for (unsigned i = 0; i < DRAWS; i++)
        db_row_random(f.db, NULL, space, ROWS, &seed, draw, drawn);
    for (unsigned i = 0; i < ROWS; i++) {
        double off = drawn[i] - (double)DRAWS / ROWS;
        chi += off * off / ((double)DRAWS / ROWS);
    }
    assert_true(chi < 148);
    applied(&f);
    teardown(&f);
}

static void test_draws_are_uniform(void **state)
{
    (void)state;
    draw_many(true);
    draw_many(false);
}

/* ---- rows that were read, and are kept ------------------------------------------------- */

static void put_row(struct fixture *f, uint64_t space, unsigned number, uint32_t value)
{
    struct text text;
    struct bytes field = name(&text, "element", number);
    db_row_put(f->db, space, db_row_word(f->db, field), field, value_of(&value));
    applied(f);
}

/* expected 0: none. */
static void expect_row(struct fixture *f, uint64_t space, unsigned number, uint32_t expected)
{
    struct text text;
    struct bytes value, field = name(&text, "element", number);
    bool is_there = db_row_get(f->db, NULL, space, db_row_word(f->db, field), field, &value);
    assert_int_equal(is_there, expected != 0);
    if (expected)
        assert_memory_equal(value.data, &expected, sizeof expected);
}

/* Twice: the second releases the layers that the first stored. */
static void store(struct fixture *f)
{
    for (int i = 0; i < 2; i++) {
        db_put(f->db, 0, bytes_from_string("other"), DB_STRING, bytes_from_string("x"), 0);
        applied(f);
        db_checkpoint(f->db);
    }
}

static uint64_t work_of_a_look(struct fixture *f, uint64_t space, unsigned number,
                               uint32_t expected)
{
    uint64_t before = db_work(f->db);
    expect_row(f, space, number, expected);
    return db_work(f->db) - before;
}

static void test_row_that_was_read_is_kept(void **state)
{
    struct fixture f;
    struct db_stats stats;
    (void)state;
    setup(&f);
    uint64_t space = make(&f, "k", 1000);
    store(&f);
    assert_true(work_of_a_look(&f, space, 5, 5) >= LAYERS_FETCH_WORK);
    assert_true(work_of_a_look(&f, space, 6, 6) >= LAYERS_FETCH_WORK);
    assert_true(work_of_a_look(&f, space, 5, 5) < LAYERS_FETCH_WORK); /* the kv is not asked */
    db_stats(f.db, &stats);
    assert_true(stats.cached_bytes > 0);
    store(&f); /* nothing of rows */
    assert_true(work_of_a_look(&f, space, 5, 5) < LAYERS_FETCH_WORK);
    put_row(&f, space, 7, 70);
    store(&f); /* nobody told the cache */
    assert_true(work_of_a_look(&f, space, 5, 5) >= LAYERS_FETCH_WORK);
    teardown(&f);
}

/* So many changes that the cache is told of all that was stored. */
static void change_much(struct fixture *f)
{
    static const char large[30000];
    for (int i = 0; i < 8; i++) {
        db_put(f->db, 0, bytes_from_string("other"), DB_STRING, bytes_of(large, sizeof large), 0);
        applied(f);
    }
}

/* The second releases the layers that the first stored. */
static void store_and_tell(struct fixture *f)
{
    for (int i = 0; i < 2; i++) {
        change_much(f);
        db_checkpoint(f->db);
    }
    change_much(f);
}

static void delete_row(struct fixture *f, uint64_t space, unsigned number)
{
    struct text text;
    struct bytes field = name(&text, "element", number);
    assert_true(db_row_delete(f->db, space, db_row_word(f->db, field), field));
    applied(f);
}

static void test_what_was_stored_is_kept_when_its_layers_go(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    uint64_t space = make(&f, "k", 3000); /* more than are told behind one entry */
    store_and_tell(&f);
    for (unsigned i = 1; i < 3000; i += 100)
        assert_true(work_of_a_look(&f, space, i, i) < LAYERS_FETCH_WORK);
    put_row(&f, space, 5, 50);
    delete_row(&f, space, 6);
    store_and_tell(&f);
    assert_true(work_of_a_look(&f, space, 5, 50) < LAYERS_FETCH_WORK);
    expect_row(&f, space, 6, 0);
    assert_true(work_of_a_look(&f, space, 7, 7) < LAYERS_FETCH_WORK);
    for (unsigned i = 1; i < 3000; i++)
        put_row(&f, space, i, i + 10000);
    store_and_tell(&f);
    for (unsigned i = 1; i < 3000; i++)
        expect_row(&f, space, i, i + 10000);
    teardown(&f);
}

/* What telling the cache costs, behind an entry that changes nothing. */
static uint64_t work_of_telling(struct fixture *f)
{
    uint64_t before = db_work(f->db);
    applied(f);
    return db_work(f->db) - before;
}

/* So that a turn that applies many entries ends. */
static void test_what_is_told_is_work(void **state)
{
    enum { ROW_WORK = 4096, ROWS = 3000, AT_ONCE = 1024 };
    static const char large[1 << 20];
    struct fixture f;
    (void)state;
    setup(&f);
    make(&f, "k", ROWS);
    db_checkpoint(f.db);
    assert_int_equal(work_of_telling(&f), 0); /* nothing was changed since */
    db_put(f.db, 0, bytes_from_string("other"), DB_STRING, bytes_of(large, sizeof large), 0);
    uint64_t all = 0;
    for (unsigned left = ROWS; left > 0; left -= left < AT_ONCE ? left : AT_ONCE) {
        uint64_t work = work_of_telling(&f), rows = left < AT_ONCE ? left : AT_ONCE;
        assert_in_range(work, ROW_WORK * rows, ROW_WORK * (rows + 1) + 100 * rows);
        all += work;
    }
    assert_true(all >= ROW_WORK * ROWS);
    assert_int_equal(work_of_telling(&f), 0);
    teardown(&f);
}

/* Of spaces that have no rows any more only so many are passed over behind one entry. */
static void test_spaces_without_rows_are_told_some_at_a_time(void **state)
{
    enum { SPACES = 5000, WORK_MAX = 8 << 20 };
    static const char large[1 << 20];
    struct fixture f;
    (void)state;
    setup(&f);
    for (unsigned i = 0; i < SPACES; i++) {
        uint64_t space = db_space_new(f.db, 0);
        put_row(&f, space, 1, 1);
        delete_row(&f, space, 1);
    }
    uint64_t kept = make(&f, "k", 10), all = 0, work;
    db_checkpoint(f.db);
    db_put(f.db, 0, bytes_from_string("other"), DB_STRING, bytes_of(large, sizeof large), 0);
    while ((work = work_of_telling(&f)) > 0) {
        assert_true(work <= WORK_MAX);
        all += work;
    }
    assert_true(all > WORK_MAX);
    db_checkpoint(f.db);
    assert_true(work_of_a_look(&f, kept, 5, 5) < LAYERS_FETCH_WORK); /* it came to an end */
    teardown(&f);
}

static void expect_page(struct fixture *f, uint64_t space, uint64_t number, char byte, size_t size)
{
    struct bytes page;
    assert_true(db_page_get(f->db, NULL, space, number, &page));
    assert_int_equal(page.size, size);
    assert_int_equal(((const char *)page.data)[0], byte);
}

static void put_page(struct fixture *f, uint64_t space, uint64_t number, char byte, size_t size)
{
    char page[4096];
    memset(page, byte, sizeof page);
    db_page_put(f->db, space, number, bytes_of(page, size));
    applied(f);
}

static void test_pages_that_were_stored_are_told(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    uint64_t space = make(&f, "k", 10);
    for (uint64_t i = 1; i < 20; i++)
        put_page(&f, space, i, 'a', 1000);
    put_page(&f, space, 30, 'a', 4000); /* too large to be kept before it is read */
    store_and_tell(&f);
    expect_page(&f, space, 30, 'a', 4000);
    put_page(&f, space, 5, 'b', 1000);
    put_page(&f, space, 6, 'c', 900);
    put_page(&f, space, 30, 'd', 4000);
    store_and_tell(&f);
    expect_page(&f, space, 5, 'b', 1000);
    expect_page(&f, space, 6, 'c', 900);
    expect_page(&f, space, 7, 'a', 1000);
    expect_page(&f, space, 30, 'd', 4000);
    teardown(&f);
}

static void test_row_that_was_read_is_changed(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    uint64_t space = make(&f, "k", 1000);
    store(&f);
    for (unsigned i = 1; i < 1000; i++)
        expect_row(&f, space, i, i);
    put_row(&f, space, 5, 50);
    struct text text;
    struct bytes field = name(&text, "element", 6);
    assert_true(db_row_delete(f.db, space, db_row_word(f.db, field), field));
    applied(&f);
    for (int i = 0; i < 3; i++) { /* above, in the layers; stored, and there too; stored alone */
        expect_row(&f, space, 5, 50);
        expect_row(&f, space, 6, 0);
        expect_row(&f, space, 7, 7);
        db_put(f.db, 0, bytes_from_string("other"), DB_STRING, bytes_from_string("x"), 0);
        applied(&f);
        db_checkpoint(f.db);
    }
    expect_row(&f, space, 5, 50);
    expect_row(&f, space, 6, 0);
    put_row(&f, space, 6, 60);
    store(&f);
    expect_row(&f, space, 6, 60);
    teardown(&f);
}

/* Its view holds what was stored, but the db looks there no more. */
static void test_row_that_was_read_is_changed_behind_a_view(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    uint64_t space = make(&f, "k", 1000);
    store(&f);
    expect_row(&f, space, 5, 5);
    put_row(&f, space, 5, 50);
    struct db_view *view = db_view_new(f.db);
    store(&f);
    expect_row(&f, space, 5, 50);
    db_view_release(view);
    teardown(&f);
}

/* ---- rows that are looked for together --------------------------------------------------- */

static void foresee_rows(struct fixture *f, unsigned first, unsigned count)
{
    struct db_foreseen foreseen[DB_FORESEEN_MAX] = {0};
    struct text fields[DB_FORESEEN_MAX];
    for (unsigned i = 0; i < count; i++) {
        foreseen[i].key = bytes_from_string("k");
        foreseen[i].elements[0] = name(&fields[i], "element", first + i);
    }
    db_foresee(f->db, foreseen, count);
}

/* ---- draws from what was kept ------------------------------------------------------------ */

static void note_drawn(void *context, struct bytes field, struct bytes value)
{
    struct buffer *drawn = context;
    buffer_clear(drawn);
    buffer_append_bytes(drawn, field);
    buffer_append_bytes(drawn, value);
}

/* A view has no cache. */
static void expect_draws_of_a_view(struct fixture *f, uint64_t space, uint64_t count)
{
    enum { DRAWS = 400 };
    struct buffer ours = {0}, other = {0};
    struct db_view *view = db_view_new(f->db);
    assert_non_null(view);
    for (uint64_t i = 0; i < DRAWS; i++) {
        uint64_t seed = i, same = i;
        db_row_random(f->db, NULL, space, count, &seed, note_drawn, &ours);
        db_row_random(f->db, view, space, count, &same, note_drawn, &other);
        assert_true(bytes_equal(buffer_bytes(&ours), buffer_bytes(&other)));
        assert_true(seed == same);
    }
    db_view_release(view);
    buffer_deinit(&ours);
    buffer_deinit(&other);
}

/* Some get a value, some of these a large one, others go. */
static void change_rows(struct fixture *f, uint64_t space, unsigned round, bool is_there[1000])
{
    static const char large[3000];
    for (unsigned i = round; i < 1000; i += 17) {
        struct text text;
        struct bytes field = name(&text, "element", i);
        uint64_t word = db_row_word(f->db, field);
        is_there[i] = i % 3 != round % 3;
        if (is_there[i])
            db_row_put(f->db, space, word, field, bytes_of(large, i % 4 ? i % 50 : sizeof large));
        else
            db_row_delete(f->db, space, word, field);
    }
    applied(f);
}

static void expect_same_draws(void (*keep)(struct fixture *f))
{
    struct fixture f;
    bool is_there[1000];
    memset(is_there, true, sizeof is_there);
    setup(&f);
    uint64_t space = make(&f, "k", 1000);
    store(&f);
    for (unsigned round = 0; round < 17; round++) {
        uint64_t count = 0;
        change_rows(&f, space, round, is_there);
        for (unsigned i = 0; i < 1000; i++)
            count += is_there[i];
        expect_draws_of_a_view(&f, space, count);
        expect_draws_of_a_view(&f, space, count / 2); /* of larger buckets */
        db_checkpoint(f.db);
        expect_draws_of_a_view(&f, space, count);
        if (round % 3 == 0)
            keep(&f);
    }
    teardown(&f);
}

static void test_draws_of_what_is_kept_are_the_same(void **state)
{
    (void)state;
    expect_same_draws(store);
    expect_same_draws(store_and_tell);
}

/* All of them go, and come back, by and by. */
static void test_draws_follow_what_is_told(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    uint64_t space = make(&f, "k", 1000);
    uint64_t count = 999; /* element 0 has a value of its own */
    store_and_tell(&f);
    for (unsigned round = 0; round < 12; round++) {
        expect_draws_of_a_view(&f, space, 1000);
        for (unsigned i = 1 + round % 6; i < 1000; i += 6) {
            if (round < 6)
                delete_row(&f, space, i);
            else
                put_row(&f, space, i, i + 1);
            count += round < 6 ? -1 : 1;
        }
        store_and_tell(&f);
        expect_draws_of_a_view(&f, space, count + 1);
    }
    teardown(&f);
}

/* A row that is put twice before it is stored, in layers of their own: the newer one is not the
 * first of that name, but the kv had none.  So few that buckets stay of the size they were. */
static void test_draws_count_a_new_row_of_two_layers(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    uint64_t space = make(&f, "k", 700);
    store_and_tell(&f);
    expect_draws_of_a_view(&f, space, 700);
    for (unsigned i = 700; i < 1000; i++)
        put_row(&f, space, i, i);
    freeze(&f);
    for (unsigned i = 700; i < 1000; i++)
        put_row(&f, space, i, i + 1);
    store_and_tell(&f);
    expect_draws_of_a_view(&f, space, 1000);
    teardown(&f);
}

/* The key's record is in active. */
static uint64_t make_stored(struct fixture *f)
{
    uint64_t space = make(f, "k", 1000);
    uint32_t count = 1000;
    struct db_record record = {.type = DB_HASH, .space = space};
    store(f);
    db_put_collection(f->db, 0, bytes_from_string("k"), &record, value_of(&count));
    applied(f);
    return space;
}

static void test_rows_are_looked_for_together(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    uint64_t space = make_stored(&f), before = db_work(f.db);
    foresee_rows(&f, 1, DB_FORESEEN_MAX);
    assert_true(db_work(f.db) - before >= DB_FORESEEN_MAX * LAYERS_FETCH_WORK);
    for (unsigned i = 1; i <= DB_FORESEEN_MAX; i++)
        assert_true(work_of_a_look(&f, space, i, i) < LAYERS_FETCH_WORK);
    foresee_rows(&f, 999, 4); /* the last of them, and some that are not there */
    assert_true(work_of_a_look(&f, space, 999, 999) < LAYERS_FETCH_WORK);
    assert_true(work_of_a_look(&f, space, 1001, 0) < LAYERS_FETCH_WORK);
    foresee_rows(&f, 998, 4); /* what was looked for is not looked for again, */
    foresee_rows(&f, 999, 3);
    assert_true(work_of_a_look(&f, space, 998, 998) >= LAYERS_FETCH_WORK);
    for (unsigned i = 100; i < 108; i++)
        expect_row(&f, space, i, i);
    before = db_work(f.db);
    foresee_rows(&f, 100, 8); /* nor what was read */
    assert_int_equal(db_work(f.db), before);
    foresee_rows(&f, 500, 1); /* one is read when it is wanted */
    assert_true(work_of_a_look(&f, space, 500, 500) >= LAYERS_FETCH_WORK);
    teardown(&f);
}

static void test_row_that_was_looked_for_is_changed(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f);
    uint64_t space = make_stored(&f);
    foresee_rows(&f, 1, DB_FORESEEN_MAX);
    put_row(&f, space, 5, 50);
    expect_row(&f, space, 5, 50);
    store(&f);
    expect_row(&f, space, 5, 50);
    expect_row(&f, space, 6, 6);
    teardown(&f);
}

/* Of those that are found to be larger than was thought, after a start, the head is not the
 * whole. */
static void test_whole_of_a_large_row_is_read(void **state)
{
    static char large[8192];
    struct fixture f;
    struct text text;
    struct bytes value;
    uint32_t count = 1000;
    (void)state;
    setup(&f);
    uint64_t space = make_stored(&f);
    struct db_record record = {.type = DB_HASH, .space = space};
    struct bytes field = name(&text, "element", 1);
    memset(large, 'l', sizeof large);
    db_row_put(f.db, space, db_row_word(f.db, field), field, bytes_of(large, sizeof large));
    applied(&f);
    store(&f);
    db_put_collection(f.db, 0, bytes_from_string("k"), &record, value_of(&count));
    applied(&f);
    foresee_rows(&f, 1, 3);
    assert_true(db_row_get(f.db, NULL, space, db_row_word(f.db, field), field, &value));
    assert_true(bytes_equal(value, bytes_of(large, sizeof large)));
    teardown(&f);
}

/* One that is large is in memory alone. */
static void test_large_rows_are_not_looked_for_together(void **state)
{
    static char large[1 << 20];
    struct fixture f;
    struct text text;
    (void)state;
    setup(&f);
    uint64_t space = make_stored(&f);
    struct bytes field = name(&text, "element", 1);
    db_row_put(f.db, space, db_row_word(f.db, field), field, bytes_of(large, sizeof large));
    applied(&f);
    uint64_t before = db_work(f.db);
    foresee_rows(&f, 2, DB_FORESEEN_MAX);
    assert_int_equal(db_work(f.db), before);
    teardown(&f);
}

/* What was looked for before is no key of what is gathered now: its memory may be gone. */
static void test_names_of_other_sizes_are_looked_for_together(void **state)
{
    struct db_foreseen foreseen[2] = {{.key = bytes_from_string("k")},
                                      {.key = bytes_from_string("k")}};
    struct fixture f;
    struct text text;
    static const char large[200];
    (void)state;
    setup(&f);
    make_stored(&f);
    for (int i = 0; i < 4; i++)
        foresee_rows(&f, 10 * (unsigned)i, 4);
    foreseen[0].elements[0] = bytes_of(large, sizeof large);
    foreseen[1].elements[0] = name(&text, "element", 77);
    uint64_t before = db_work(f.db);
    db_foresee(f.db, foreseen, 2);
    assert_true(db_work(f.db) > before);
    teardown(&f);
}

/* They would be hashed, and stay in memory. */
static void test_large_elements_are_not_looked_for_together(void **state)
{
    struct db_foreseen foreseen[DB_FORESEEN_MAX] = {0};
    struct fixture f;
    (void)state;
    setup(&f);
    make_stored(&f);
    char *large = memory_new(LAYERS_HEAD_MAX + 1);
    for (unsigned surplus = 0; surplus <= 1; surplus++) {
        for (unsigned i = 0; i < DB_FORESEEN_MAX; i++) {
            foreseen[i].key = bytes_from_string("k");
            foreseen[i].elements[0] = bytes_of(large, LAYERS_HEAD_MAX + surplus - 2 * i);
        }
        for (unsigned i = 1; surplus > 0 && i < DB_FORESEEN_MAX; i++)
            foreseen[i].elements[0] = foreseen[0].elements[0];
        uint64_t before = db_work(f.db);
        db_foresee(f.db, foreseen, DB_FORESEEN_MAX);
        assert_int_equal(db_work(f.db) > before, surplus == 0);
    }
    memory_free(large);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_over_without_a_look_is_swept),
        cmocka_unit_test(test_written_over_in_a_newer_layer_is_swept),
        cmocka_unit_test(test_flushed_database_takes_its_collections_along),
        cmocka_unit_test(test_made_and_dropped_is_not_stored),
        cmocka_unit_test(test_copies_in_slices),
        cmocka_unit_test(test_draws_are_uniform),
        cmocka_unit_test(test_draws_of_what_is_kept_are_the_same),
        cmocka_unit_test(test_draws_follow_what_is_told),
        cmocka_unit_test(test_draws_count_a_new_row_of_two_layers),
        cmocka_unit_test(test_row_that_was_read_is_kept),
        cmocka_unit_test(test_what_was_stored_is_kept_when_its_layers_go),
        cmocka_unit_test(test_what_is_told_is_work),
        cmocka_unit_test(test_spaces_without_rows_are_told_some_at_a_time),
        cmocka_unit_test(test_pages_that_were_stored_are_told),
        cmocka_unit_test(test_row_that_was_read_is_changed),
        cmocka_unit_test(test_row_that_was_read_is_changed_behind_a_view),
        cmocka_unit_test(test_rows_are_looked_for_together),
        cmocka_unit_test(test_row_that_was_looked_for_is_changed),
        cmocka_unit_test(test_whole_of_a_large_row_is_read),
        cmocka_unit_test(test_large_rows_are_not_looked_for_together),
        cmocka_unit_test(test_names_of_other_sizes_are_looked_for_together),
        cmocka_unit_test(test_large_elements_are_not_looked_for_together),
        cmocka_unit_test(test_random_collections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
