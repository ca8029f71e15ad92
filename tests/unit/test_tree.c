/* The counted tree against a plain array: random changes and looks, with checkpoints, crashes and
 * views at random places, with keys and without.
 *
 * What entry i does depends on seed, i and the array alone, so it is done again after a crash.
 * TREE_ENTRIES in the environment: how many entries a run has; each has some ten steps. */
#include <stdio.h>
#include <stdlib.h>

#include "kv_memory.h"
#include "test_db.h"

#include "data/page.h"
#include "data/tree.h"

enum { ITEMS_MAX = 6000, KEY_MAX = 24, LARGE_VALUE = 3000, ENTRIES = 1500, CLUSTER = 7 };

struct item {
    unsigned char key_size;
    char key[KEY_MAX];
    uint32_t value;
};

struct model {
    uint32_t count;
    struct item items[ITEMS_MAX];
};

struct run {
    uint64_t seed, dice, index;
    bool has_keys;
    struct kv *kv;
    struct db *db;
    struct model model, viewed;
    struct db_view *view;
    uint64_t steps;
};

static const struct bytes key_of_tree = {"tree", 4};
static const struct db_options options = {.cluster = CLUSTER, .checkpoint_bytes = 1 << 18};

/* ---- the model ------------------------------------------------------------------- */

static struct bytes key_of(const struct item *item)
{
    return bytes_of(item->key, item->key_size);
}

/* The bytes that a number stands for: mostly short, some larger than a page. */
static struct bytes value_of(uint32_t number, char *room)
{
    size_t size = number % 211 == 0 ? LARGE_VALUE : number % 40;
    memset(room, (int)(number % 251), size);
    return bytes_of(room, size);
}

static int compare_keys(struct bytes a, struct bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = memcmp(a.data, b.data, size);
    return order ? order : (int)a.size - (int)b.size;
}

static uint32_t model_rank(const struct model *model, struct bytes key, bool *is_there)
{
    uint32_t low = 0, high = model->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (compare_keys(key_of(&model->items[middle]), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *is_there = low < model->count && bytes_equal(key_of(&model->items[low]), key);
    return low;
}

static void model_insert(struct model *model, uint32_t rank, const struct item *item)
{
    memmove(model->items + rank + 1, model->items + rank,
            (model->count - rank) * sizeof *model->items);
    model->items[rank] = *item;
    model->count++;
}

static void model_cut(struct model *model, uint32_t rank, uint32_t count)
{
    memmove(model->items + rank, model->items + rank + count,
            (model->count - rank - count) * sizeof *model->items);
    model->count -= count;
}

/* Keys of few letters, so that many have a long part in common, and some are the other's begin. */
static void any_item(bool has_keys, uint64_t *dice, struct item *item)
{
    *item = (struct item){.value = (uint32_t)prng_next(dice)};
    if (!has_keys)
        return;
    bool is_number = prng_below(dice, 2);
    item->key_size = is_number ? 8 : (unsigned char)(1 + prng_below(dice, KEY_MAX - 1));
    for (unsigned i = 0; i < item->key_size; i++)
        item->key[i] = (char)(is_number ? prng_next(dice) : i % 3 ? 0 : prng_below(dice, 3));
}

/* ---- one entry: on the model, and on the tree if there is one ------------------------- */

static void insert(struct model *model, struct db_tree *tree, bool has_keys, uint64_t *dice)
{
    struct item item;
    char room[LARGE_VALUE];
    bool is_there = false;
    any_item(has_keys, dice, &item);
    uint64_t where = prng_below(dice, 4); /* a list grows at its ends, mostly */
    uint32_t rank = where == 0   ? 0
                    : where == 1 ? model->count
                                 : (uint32_t)prng_below(dice, model->count + 1);
    if (has_keys)
        rank = model_rank(model, key_of(&item), &is_there);
    if (is_there || model->count == ITEMS_MAX)
        return;
    model_insert(model, rank, &item);
    if (tree && has_keys)
        assert_int_equal(db_tree_insert(tree, key_of(&item), value_of(item.value, room)), rank);
    else if (tree)
        db_tree_insert_at(tree, rank, value_of(item.value, room));
}

static void cut(struct model *model, struct db_tree *tree, uint64_t *dice)
{
    uint32_t rank = (uint32_t)prng_below(dice, model->count + 1), left = model->count - rank;
    uint32_t count = left ? 1 : 0;
    if (prng_below(dice, 20) == 0)
        count = (uint32_t)prng_below(dice, (prng_below(dice, 20) ? left / 8 : left) + 1);
    model_cut(model, rank, count);
    uint64_t pages = 1 + prng_below(dice, 20);
    while (tree && count > 0) {
        uint32_t cut = (uint32_t)db_tree_cut(tree, rank, count, pages);
        assert_in_range(cut, 1, count);
        count -= cut;
    }
}

/* Grows for a while, then shrinks. */
static uint64_t change(struct model *model, struct db_tree *tree, bool has_keys, uint64_t index,
                       uint64_t *dice)
{
    uint64_t steps = 1 + prng_below(dice, 20);
    unsigned inserts = index / 300 % 2 == 0 ? 7 : 3;
    for (uint64_t i = 0; i < steps; i++)
        if (prng_below(dice, 10) < inserts)
            insert(model, tree, has_keys, dice);
        else
            cut(model, tree, dice);
    return steps;
}

static void find_tree(struct db *db, struct db_view *view, struct db_tree *tree)
{
    struct db_record found;
    struct bytes payload;
    *tree = (struct db_tree){.db = db, .view = view};
    if (!db_find(db, view, 0, key_of_tree, &found, &payload))
        return;
    tree->space = found.space;
    assert_true(db_tree_root_decode(payload, &tree->root));
}

static void apply(struct run *run, struct model *model, struct db *db, uint64_t index)
{
    uint64_t dice = run->seed ^ index * 0x9e3779b97f4a7c15ull;
    struct db_tree tree;
    if (!db) {
        change(model, NULL, run->has_keys, index, &dice);
        return;
    }
    unsigned char root[DB_TREE_ROOT_SIZE];
    db_begin(db, run->seed);
    find_tree(db, NULL, &tree);
    if (!tree.space)
        tree.space = db_space_new(db, 0);
    run->steps += change(model, &tree, run->has_keys, index, &dice);
    assert_int_equal(tree.root.count, model->count);
    db_tree_root_encode(root, &tree.root);
    struct db_record record = {.type = DB_ZSET, .space = tree.space};
    db_put_collection(db, 0, key_of_tree, &record, bytes_of(root, sizeof root));
    db_applied(db, index, 1, (int64_t)index);
}

/* ---- comparing --------------------------------------------------------------------- */

struct comparison {
    const struct model *model;
    uint32_t next;
    bool is_backward;
    uint64_t enough; /* ends after so many */
};

static bool compare_item(void *context, struct bytes key, struct bytes value)
{
    struct comparison *comparison = context;
    char room[LARGE_VALUE];
    assert_in_range(comparison->next, 0, comparison->model->count - 1);
    const struct item *item = &comparison->model->items[comparison->next];
    assert_true(bytes_equal(key, key_of(item)));
    assert_true(bytes_equal(value, value_of(item->value, room)));
    comparison->next += comparison->is_backward ? -1u : 1u;
    return --comparison->enough > 0;
}

static void walk(const struct db_tree *tree, struct comparison *comparison, uint32_t rank,
                 uint32_t count)
{
    comparison->next = rank;
    while (count > 0) {
        uint64_t given =
            db_tree_walk(tree, rank, count, comparison->is_backward, compare_item, comparison);
        assert_in_range(given, 1, count);
        count -= (uint32_t)given;
        rank = comparison->is_backward ? rank - (uint32_t)given : rank + (uint32_t)given;
        assert_int_equal(comparison->next, rank);
    }
}

static void compare_all(struct run *run, struct db_view *view, const struct model *model)
{
    struct db_tree tree;
    struct db_tree_shape shape;
    find_tree(run->db, view, &tree);
    assert_int_equal(tree.root.count, model->count);
    db_tree_check(&tree, run->has_keys, &shape);
    struct comparison comparison = {.model = model, .enough = UINT64_MAX};
    walk(&tree, &comparison, 0, model->count);
    comparison.is_backward = true;
    if (model->count)
        walk(&tree, &comparison, model->count - 1, model->count);
}

static void look(struct run *run, struct db_view *view, const struct model *model)
{
    struct db_tree tree;
    struct item item;
    bool is_there, is_expected;
    find_tree(run->db, view, &tree);
    any_item(run->has_keys, &run->dice, &item);
    if (run->has_keys) {
        uint32_t rank = model_rank(model, key_of(&item), &is_expected);
        assert_int_equal(db_tree_rank(&tree, key_of(&item), &is_there), rank);
        assert_int_equal(is_there, is_expected);
    }
    if (model->count == 0)
        return;
    uint32_t rank = (uint32_t)prng_below(&run->dice, model->count);
    struct bytes key, value;
    db_tree_get(&tree, rank, &key, &value);
    struct comparison comparison = {.model = model, .next = rank, .enough = UINT64_MAX};
    compare_item(&comparison, key, value);
    if (run->has_keys) {
        key = key_of(&model->items[rank]);
        assert_int_equal(db_tree_rank(&tree, key, &is_there), rank);
        assert_true(is_there);
    }
    uint32_t left = model->count - rank;
    walk(&tree, &comparison, rank, 1 + (uint32_t)prng_below(&run->dice, left < 200 ? left : 200));
    comparison.is_backward = true;
    comparison.enough = 1 + prng_below(&run->dice, 9);
    comparison.next = rank;
    uint64_t wanted = comparison.enough;
    uint64_t given = db_tree_walk(&tree, rank, rank + 1, true, compare_item, &comparison);
    assert_in_range(given, 1, wanted);
}

/* ---- runs ------------------------------------------------------------------------------ */

static void release_view(struct run *run)
{
    if (run->view)
        db_view_release(run->view);
    run->view = NULL;
}

static void crash(struct run *run)
{
    release_view(run);
    db_close(run->db);
    kv_memory_crash(mortal_of(run->kv)->inner);
    mortal_set_lives(run->kv, -1);
    run->db = db_open(run->kv, &options);
    run->model.count = 0;
    for (uint64_t i = 1; i <= db_applied_index(run->db); i++)
        apply(run, &run->model, NULL, i);
    compare_all(run, NULL, &run->model);
    for (uint64_t i = db_applied_index(run->db); i < run->index; i++)
        apply(run, &run->model, run->db, i + 1);
}

static void disturb(struct run *run)
{
    uint64_t what = prng_below(&run->dice, 200);
    if (what < 4)
        db_checkpoint(run->db);
    else if (what < 6)
        compare_all(run, NULL, &run->model);
    else if (what < 10 && run->view) {
        compare_all(run, run->view, &run->viewed);
        look(run, run->view, &run->viewed);
        release_view(run);
    } else if (what < 14 && !run->view) {
        run->view = db_view_new(run->db);
        run->viewed = run->model;
    } else if (what < 15)
        mortal_set_lives(run->kv, (int)prng_below(&run->dice, 6));
    if (mortal_is_dead(run->kv))
        crash(run);
}

static void run_once(uint64_t seed, bool has_keys, uint64_t entries)
{
    struct run *run = memory_new(sizeof *run);
    run->seed = run->dice = seed;
    run->has_keys = has_keys;
    run->kv = mortal_open(kv_memory_open());
    run->db = db_open(run->kv, &options);
    while (run->index < entries) {
        apply(run, &run->model, run->db, ++run->index);
        for (unsigned i = 0; i < 5; i++)
            look(run, NULL, &run->model);
        disturb(run);
    }
    compare_all(run, NULL, &run->model);
    print_message("seed %llu: %llu steps\n", (unsigned long long)seed,
                  (unsigned long long)run->steps);
    release_view(run);
    mortal_set_lives(run->kv, -1);
    db_checkpoint(run->db);
    assert_int_equal(stored_keys(run->kv, bytes_of("x", 1)) > 0, run->model.count > 0);
    db_delete(run->db, 0, key_of_tree);
    for (unsigned i = 0; i < 3; i++) {
        run->index++;
        db_applied(run->db, run->index, 1, (int64_t)run->index);
        db_checkpoint(run->db);
    }
    assert_int_equal(stored_keys(run->kv, bytes_of("x", 1)), 0);
    db_close(run->db);
    run->kv->ops->close(run->kv);
    memory_free(run);
}

static void run_many(bool has_keys)
{
    const char *wanted = getenv("TREE_ENTRIES");
    uint64_t entries = wanted ? strtoull(wanted, NULL, 10) : ENTRIES;
    for (uint64_t seed = 1; seed <= 3; seed++)
        run_once(seed, has_keys, entries);
}

static void test_with_keys(void **state)
{
    (void)state;
    run_many(true);
}

static void test_without_keys(void **state)
{
    (void)state;
    run_many(false);
}

/* ---- shapes ------------------------------------------------------------------------------ */

struct bench {
    struct kv *kv;
    struct db *db;
    struct db_tree tree;
};

static void bench_open(struct bench *bench)
{
    bench->kv = kv_memory_open();
    bench->db = db_open(bench->kv, &options);
    db_begin(bench->db, 1);
    bench->tree = (struct db_tree){.db = bench->db, .space = db_space_new(bench->db, 0)};
}

static void bench_close(struct bench *bench)
{
    db_close(bench->db);
    bench->kv->ops->close(bench->kv);
}

/* What comes in order, at either end, fills its pages. */
static void test_in_order(void **state)
{
    (void)state;
    for (int at_end = 0; at_end <= 1; at_end++) {
        struct bench bench;
        struct db_tree_shape shape;
        bench_open(&bench);
        for (unsigned i = 0; i < 20000; i++)
            db_tree_insert_at(&bench.tree, at_end ? i : 0, bytes_of("twelve bytes", 12));
        db_tree_check(&bench.tree, false, &shape);
        assert_true(shape.bytes / shape.pages > 1900);
        bench_close(&bench);
    }
}

/* Taking out nearly everything leaves few pages, taking out all of it none. */
static void test_pages_are_given_back(void **state)
{
    struct bench bench;
    struct db_tree_shape shape;
    uint64_t dice = 5;
    (void)state;
    bench_open(&bench);
    for (unsigned i = 0; i < 20000; i++)
        db_tree_insert_at(&bench.tree, prng_below(&dice, i + 1), bytes_of("twelve bytes", 12));
    db_tree_check(&bench.tree, false, &shape);
    uint64_t pages = shape.pages;
    while (bench.tree.root.count > 200)
        db_tree_cut(&bench.tree, prng_below(&dice, bench.tree.root.count), 1, 1);
    db_tree_check(&bench.tree, false, &shape);
    assert_true(shape.pages < pages / 20);
    while (bench.tree.root.count > 0)
        db_tree_cut(&bench.tree, 0, bench.tree.root.count, 1);
    db_tree_check(&bench.tree, false, &shape);
    assert_int_equal(shape.pages, 0);
    for (uint64_t number = 1; number <= bench.tree.root.next; number++) {
        struct bytes page;
        assert_false(db_page_get(bench.db, NULL, bench.tree.space, number, &page));
    }
    bench_close(&bench);
}

/* Inner pages of several levels are joined as the tree shrinks, and it grows again after. */
static void test_inner_pages_are_joined(void **state)
{
    struct bench bench;
    struct db_tree_shape shape;
    uint64_t dice = 7;
    (void)state;
    bench_open(&bench);
    for (unsigned round = 0; round < 3; round++) {
        while (bench.tree.root.count < 30000) {
            uint64_t number = prng_next(&dice);
            db_tree_insert(&bench.tree, bytes_of(&number, sizeof number), (struct bytes){0});
        }
        assert_in_range(bench.tree.root.height, 3, 4);
        while (bench.tree.root.count > 1000) {
            db_tree_cut(&bench.tree, prng_below(&dice, bench.tree.root.count), 1, 1);
            if (bench.tree.root.count % 1000 == 0)
                db_tree_check(&bench.tree, true, &shape);
        }
    }
    bench_close(&bench);
}

/* A cut of many costs the pages that it takes away, and no more than it may. */
static void test_cuts_are_bounded(void **state)
{
    struct bench bench;
    (void)state;
    bench_open(&bench);
    for (unsigned i = 0; i < 100000; i++)
        db_tree_insert_at(&bench.tree, i, bytes_of("twelve bytes", 12));
    uint64_t calls = 0;
    while (bench.tree.root.count > 1000) {
        uint64_t work = db_work(bench.db);
        db_tree_cut(&bench.tree, 500, bench.tree.root.count - 1000, 10);
        assert_true(db_work(bench.db) - work < 1 << 18);
        calls++;
    }
    assert_in_range(calls, 50, 100);
    struct db_tree_shape shape;
    db_tree_check(&bench.tree, false, &shape);
    bench_close(&bench);
}

/* Keys of many KB: the bounds between them stay short, or the tree at least flat. */
static void test_large_keys(void **state)
{
    struct bench bench;
    struct db_tree_shape shape;
    static char key[20000];
    (void)state;
    bench_open(&bench);
    for (unsigned i = 0; i < 2000; i++) {
        memcpy(key + (i % 2 ? 0 : sizeof key - 4), &(uint32_t){i * 2654435761u}, 4);
        db_tree_insert(&bench.tree, bytes_of(key, sizeof key), (struct bytes){0});
    }
    db_tree_check(&bench.tree, true, &shape);
    assert_in_range(bench.tree.root.height, 2, 8);
    bench_close(&bench);
}

/* ---- damage ------------------------------------------------------------------------------- */

/* Reads what is there without going beyond it; what is accepted is in the shortest form. */
static void read_any(struct bytes page)
{
    struct page_entry entry;
    struct page_child child;
    struct buffer again = {0};
    page_init(&again, 0);
    for (size_t at = PAGE_HEADER; at < page.size && page_read(page, at, &entry); at = entry.end) {
        assert_in_range(entry.end, at + 1, page.size);
        assert_int_equal(page_entry_size(entry.key, entry.value), entry.end - entry.at);
        size_t size = again.size;
        page_insert(&again, again.size, entry.key, entry.value);
        assert_memory_equal(again.data + size, (const char *)page.data + entry.at,
                            entry.end - entry.at);
        page_read_child(page, at, &entry, &child);
    }
    buffer_deinit(&again);
}

static void test_damaged_pages(void **state)
{
    uint64_t dice = 1;
    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        struct buffer page = {0};
        page_init(&page, 0);
        for (unsigned i = 0; i < 10; i++) {
            char text[200] = {0};
            page_insert(&page, page.size, bytes_of(text, prng_below(&dice, 200)),
                        bytes_of(text, prng_below(&dice, 20)));
        }
        for (uint64_t i = prng_below(&dice, 5); i > 0; i--)
            page.data[prng_below(&dice, page.size)] = (char)prng_next(&dice);
        /* A copy of just that size, so that a sanitizer sees what goes beyond. */
        size_t size = prng_below(&dice, page.size + 1);
        char *copy = memory_copy(page.data, size);
        read_any(bytes_of(copy, size));
        memory_free(copy);
        buffer_deinit(&page);
    }
}

static void test_damaged_roots(void **state)
{
    struct db_tree_root root = {.count = 5, .page = 3, .next = 4, .height = 1}, again;
    unsigned char bytes[DB_TREE_ROOT_SIZE];
    (void)state;
    db_tree_root_encode(bytes, &root);
    assert_true(db_tree_root_decode(bytes_of(bytes, sizeof bytes), &again));
    assert_int_equal(again.count, 5);
    assert_int_equal(again.page, 3);
    assert_int_equal(again.next, 4);
    assert_int_equal(again.height, 1);
    assert_false(db_tree_root_decode(bytes_of(bytes, sizeof bytes - 1), &again));
    bytes[8] = 5; /* a page that was not made yet */
    assert_false(db_tree_root_decode(bytes_of(bytes, sizeof bytes), &again));
    bytes[8] = 0;
    assert_false(db_tree_root_decode(bytes_of(bytes, sizeof bytes), &again));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_keys),
        cmocka_unit_test(test_without_keys),
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_pages_are_given_back),
        cmocka_unit_test(test_cuts_are_bounded),
        cmocka_unit_test(test_large_keys),
        cmocka_unit_test(test_damaged_pages),
        cmocka_unit_test(test_damaged_roots),
        cmocka_unit_test(test_inner_pages_are_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
