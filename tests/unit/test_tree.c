/* The counted tree against a plain array: random changes and looks, with checkpoints, crashes and
 * views at random places, with keys and without.
 *
 * What entry i does depends on seed, i and the array alone, so it is done again after a crash.
 * TREE_ENTRIES in the environment: how many entries a run has; each has some ten steps. */
#include <stdio.h>
#include <stdlib.h>

#include "kv_memory.h"
#include "test_db.h"

#include "data/layers.h"
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

/* False: the last key has no room for a byte more. */
static bool set_above(const struct model *model, struct item *item)
{
    const struct item *last = &model->items[model->count - 1];
    if (model->count == 0 || last->key_size == KEY_MAX)
        return false;
    memcpy(item->key, last->key, KEY_MAX);
    item->key_size = last->key_size;
    item->key[item->key_size++] = 'x';
    return true;
}

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
    bool is_last = has_keys && where == 1 && set_above(model, &item);
    if (has_keys)
        rank = model_rank(model, key_of(&item), &is_there);
    if (is_there || model->count == ITEMS_MAX)
        return;
    model_insert(model, rank, &item);
    if (tree && is_last)
        db_tree_append(tree, key_of(&item), value_of(item.value, room));
    else if (tree && has_keys)
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

/* An entry gets another key, near its own or not. */
static void move(struct model *model, struct db_tree *tree, uint64_t *dice)
{
    struct item item, from;
    char room[LARGE_VALUE];
    bool is_there;
    any_item(true, dice, &item);
    if (model->count == 0)
        return;
    uint32_t rank = (uint32_t)prng_below(dice, model->count);
    from = model->items[rank];
    if (prng_below(dice, 2)) {
        memcpy(item.key, from.key, KEY_MAX);
        item.key_size = from.key_size;
        item.key[item.key_size - 1] += (char)(1 + prng_below(dice, 3));
    }
    model_rank(model, key_of(&item), &is_there);
    if (is_there)
        return;
    model_cut(model, rank, 1);
    model_insert(model, model_rank(model, key_of(&item), &is_there), &item);
    if (tree)
        db_tree_move(tree, key_of(&from), key_of(&item), value_of(item.value, room));
}

struct taken {
    struct bytes expected;
    unsigned count;
};

static bool compare_taken(void *context, struct bytes key, struct bytes value)
{
    struct taken *taken = context;
    (void)key;
    assert_true(bytes_equal(value, taken->expected));
    taken->count++;
    return false;
}

static void take(struct model *model, struct db_tree *tree, uint64_t *dice)
{
    char room[LARGE_VALUE];
    if (model->count == 0)
        return;
    uint64_t where = prng_below(dice, 3);
    uint32_t rank = where == 0 ? 0 : where == 1 ? model->count - 1 : model->count / 2;
    struct taken taken = {.expected = value_of(model->items[rank].value, room)};
    model_cut(model, rank, 1);
    if (!tree)
        return;
    db_tree_take(tree, rank, compare_taken, &taken);
    assert_int_equal(taken.count, 1);
}

/* Grows for a while, then shrinks. */
static uint64_t change(struct model *model, struct db_tree *tree, bool has_keys, uint64_t index,
                       uint64_t *dice)
{
    uint64_t steps = 1 + prng_below(dice, 20);
    unsigned inserts = index / 300 % 2 == 0 ? 7 : 3;
    for (uint64_t i = 0; i < steps; i++)
        if (has_keys && prng_below(dice, 4) == 0)
            move(model, tree, dice);
        else if (prng_below(dice, 10) < inserts)
            insert(model, tree, has_keys, dice);
        else if (prng_below(dice, 4) == 0)
            take(model, tree, dice);
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

/* Of all bytes of all pages, and of the root. */
static uint64_t fold(const struct db_tree *tree)
{
    unsigned char root[DB_TREE_ROOT_SIZE];
    db_tree_root_encode(root, &tree->root);
    uint64_t sum = 0xcbf29ce484222325;
    struct bytes page = bytes_of(root, sizeof root);
    for (uint64_t number = 0; number <= tree->root.next; number++) {
        bool is_there = number == 0 || db_page_get(tree->db, NULL, tree->space, number, &page);
        for (size_t i = 0; is_there && i < page.size; i++)
            sum = (sum ^ ((const unsigned char *)page.data)[i]) * 0x100000001b3;
        sum = (sum ^ is_there) * 0x100000001b3;
    }
    return sum;
}

/* What the entries of meaning 6 leave, byte by byte, and what they change for the bound of a
 * savepoint: it is published, so it never changes. */
static void test_shapes_stay_as_they_are(void **state)
{
    enum { STEPS = 30000, SAVED = 20000 };
    static char room[LARGE_VALUE];
    uint64_t dice = 11, sums[2], changes[2];
    (void)state;
    for (int has_keys = 0; has_keys <= 1; has_keys++) {
        struct bench bench;
        bench_open(&bench);
        for (unsigned i = 0; i < STEPS; i++) {
            struct item item;
            bool is_there = false, grows = i / 5000 % 2 == 0;
            uint64_t count = bench.tree.root.count, end = prng_below(&dice, 4);
            uint64_t rank = end == 0 ? 0 : end == 1 ? count : prng_below(&dice, count + 1);
            any_item(has_keys, &dice, &item);
            if (i == SAVED)
                db_savepoint(bench.db);
            if (has_keys)
                db_tree_rank(&bench.tree, key_of(&item), &is_there);
            if (prng_below(&dice, 10) >= (grows ? 7 : 3))
                db_tree_cut(&bench.tree, rank, rank < count, 1);
            else if (!is_there && has_keys)
                db_tree_insert(&bench.tree, key_of(&item), value_of(item.value, room));
            else if (!is_there)
                db_tree_insert_at(&bench.tree, rank, value_of(item.value, room));
        }
        sums[has_keys] = fold(&bench.tree);
        changes[has_keys] = bench.db->changes;
        while (!db_release(bench.db))
            ;
        bench_close(&bench);
    }
    assert_int_equal(sums[0], 0xb18a8d79e0ed70d5);
    assert_int_equal(sums[1], 0x614945521da2e792);
    assert_int_equal(changes[0], 389449);
    assert_int_equal(changes[1], 350749);
}

/* Two trees that are told the same, in two ways. */
struct twins {
    struct bench one, other;
    uint64_t dice;
};

static void assert_twins(struct twins *twins)
{
    assert_true(fold(&twins->one.tree) == fold(&twins->other.tree));
    assert_int_equal(twins->one.db->changes, twins->other.db->changes);
}

/* Most of a key is in the bounds, so that there are inner pages of several levels. */
enum { TWIN_PREFIX = 60, TWIN_KEY = TWIN_PREFIX + 8, TWIN_REST = 20 };

struct twin_key {
    unsigned char bytes[TWIN_KEY + TWIN_REST];
};

static struct bytes twin_key(struct twin_key *key, uint64_t number)
{
    memset(key->bytes, 'k', sizeof key->bytes);
    put_u64_ordered(key->bytes + TWIN_PREFIX, number);
    return bytes_of(key->bytes, TWIN_KEY + number % TWIN_REST);
}

static uint64_t number_at(const struct db_tree *tree, uint64_t rank)
{
    struct bytes key, value;
    db_tree_get(tree, rank, &key, &value);
    return get_u64_ordered((const unsigned char *)key.data + TWIN_PREFIX);
}

static void move_to(struct twins *twins, uint64_t number, uint64_t next)
{
    struct twin_key from_room, to_room;
    struct db_tree *one = &twins->one.tree, *other = &twins->other.tree;
    bool is_there;
    struct bytes from = twin_key(&from_room, number), to = twin_key(&to_room, next);
    db_tree_rank(one, to, &is_there);
    if (is_there)
        return;
    struct bytes value = bytes_of("value", prng_below(&twins->dice, 6));
    db_tree_move(one, from, to, value);
    uint64_t rank = db_tree_rank(other, from, NULL);
    db_tree_cut(other, rank, 1, UINT64_MAX);
    db_tree_insert(other, to, value);
}

static void move_twins(struct twins *twins)
{
    const struct db_tree *tree = &twins->one.tree;
    uint64_t number = number_at(tree, prng_below(&twins->dice, tree->root.count));
    uint64_t far = (uint64_t)1 << prng_below(&twins->dice, 40);
    move_to(twins, number, number + prng_below(&twins->dice, 2 * far) - far);
}

/* Within a savepoint too, where all that is touched counts. */
static void move_in_savepoint(struct twins *twins)
{
    struct bench *all[] = {&twins->one, &twins->other};
    struct db_tree_root before = twins->one.tree.root;
    bool is_undone = prng_below(&twins->dice, 2);
    for (unsigned i = 0; i < 2; i++)
        db_savepoint(all[i]->db);
    for (uint64_t i = prng_below(&twins->dice, 20); i > 0; i--)
        move_twins(twins);
    assert_twins(twins);
    for (unsigned i = 0; i < 2; i++) {
        while (is_undone ? !db_rollback(all[i]->db) : !db_release(all[i]->db))
            ;
        if (is_undone)
            all[i]->tree.root = before;
    }
}

static void test_a_move_is_a_cut_and_an_insert(void **state)
{
    struct twins *twins = memory_new(sizeof *twins);
    (void)state;
    bench_open(&twins->one);
    bench_open(&twins->other);
    twins->dice = 3;
    for (unsigned round = 0; round < 12; round++) {
        uint64_t wanted = round % 3 == 0 ? 9000 : round % 3 == 1 ? 900 : 2;
        while (twins->one.tree.root.count != wanted) {
            struct twin_key room;
            uint64_t count = twins->one.tree.root.count, rank = prng_below(&twins->dice, count + 1);
            if (count > 0 && prng_below(&twins->dice, 4) == 0)
                move_twins(twins);
            if (count > 0 && count % 500 == 0)
                assert_twins(twins);
            struct bytes key = twin_key(&room, prng_next(&twins->dice) >> 20);
            bool is_there;
            db_tree_rank(&twins->one.tree, key, &is_there);
            for (unsigned i = 0; i < 2 && !is_there; i++) {
                struct db_tree *tree = i ? &twins->other.tree : &twins->one.tree;
                if (count < wanted)
                    db_tree_insert(tree, key, bytes_of("value", count % 6));
                else
                    db_tree_cut(tree, rank, rank < count, UINT64_MAX);
            }
        }
        for (unsigned i = 0; i < 2000; i++) {
            if (prng_below(&twins->dice, 40) == 0)
                move_in_savepoint(twins);
            else
                move_twins(twins);
            if (i % 50 == 0)
                assert_twins(twins);
        }
        struct db_tree_shape shape;
        db_tree_check(&twins->one.tree, true, &shape);
    }
    bench_close(&twins->one);
    bench_close(&twins->other);
    memory_free(twins);
}

/* An inner page that is small waits for a cut below it, and then joins the one before it, from
 * which so much was taken out that both fit into one. */
static void test_a_move_joins_inner_pages(void **state)
{
    struct twins *twins = memory_new(sizeof *twins);
    struct bench *all[] = {&twins->one, &twins->other};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct db_tree *tree = &all[i]->tree;
        bench_open(all[i]);
        uint64_t number = 0, more = 100;
        for (; more > 0; number += 1000, more -= tree->root.height == 3) {
            struct twin_key room;
            db_tree_insert(tree, twin_key(&room, number), bytes_of("value", 5));
        }
        uint64_t gone = tree->root.count / 2;
        assert_int_equal(db_tree_cut(tree, 50, gone, UINT64_MAX), gone);
        assert_int_equal(tree->root.height, 3);
    }
    assert_twins(twins);
    uint64_t last = number_at(&twins->one.tree, twins->one.tree.root.count - 30);
    move_to(twins, last, last + 20);
    assert_twins(twins);
    for (unsigned i = 0; i < 2; i++)
        bench_close(all[i]);
    memory_free(twins);
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

/* Two entries fill a leaf, so that an append changes pages on all levels now and then. */
enum { WIDE_VALUE = 900 };

static void append_wide(struct bench *bench, uint64_t number)
{
    static const char value[WIDE_VALUE];
    struct twin_key room;
    db_tree_append(&bench->tree, twin_key(&room, number), bytes_of(value, sizeof value));
}

static bool end_of(const struct bench *bench, uint64_t *count)
{
    return db_tree_end(&bench->tree, sizeof(struct twin_key), WIDE_VALUE, count);
}

/* Pages above the two lowest levels are not promised to have room. */
static void test_an_append_at_the_end_is_told(void **state)
{
    enum { WIDE = 16000 };
    struct bench bench;
    uint64_t local = 0, end;
    (void)state;
    bench_open(&bench);
    for (uint64_t i = 0; i < WIDE; i++) {
        uint32_t height = bench.tree.root.height;
        bool is_local = end_of(&bench, &end);
        append_wide(&bench, i);
        assert_false(is_local && bench.tree.root.height > height);
        assert_false(is_local && (end > bench.tree.root.count || end < 20));
        local += is_local;
    }
    assert_int_equal(bench.tree.root.height, 4);
    assert_in_range(local, WIDE * 9 / 10, WIDE - 10);
    bench_close(&bench);
}

/* As long as more is left than what is called its end, a tree is the same whether its front is cut
 * off before an append or after it. */
static void test_a_cut_at_the_front_is_apart_from_an_append(void **state)
{
    enum { ROUNDS = 400, STEPS_MAX = 64 };
    struct twins *twins = memory_new(sizeof *twins);
    struct bench *one = &twins->one, *other = &twins->other;
    uint64_t number = 0, dice = 11, apart = 0;
    (void)state;
    bench_open(one);
    bench_open(other);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t pages[STEPS_MAX], end, wanted = 400 + prng_below(&dice, 2500);
        unsigned steps = 0;
        for (; one->tree.root.count < wanted; number++) {
            append_wide(one, number);
            append_wide(other, number);
        }
        if (!end_of(other, &end))
            continue;
        for (; steps < STEPS_MAX; steps++) {
            pages[steps] = 1 + prng_below(&dice, 40);
            if (other->tree.root.count <= end + 3 * pages[steps])
                break;
            db_tree_cut(&other->tree, 0, other->tree.root.count, pages[steps]);
            assert_true(other->tree.root.count > end);
        }
        append_wide(other, number);
        append_wide(one, number++);
        for (unsigned i = 0; i < steps; i++)
            db_tree_cut(&one->tree, 0, one->tree.root.count - 1, pages[i]);
        assert_twins(twins);
        apart += steps > 0;
    }
    assert_true(apart > ROUNDS / 2);
    bench_close(one);
    bench_close(other);
    memory_free(twins);
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
        cmocka_unit_test(test_an_append_at_the_end_is_told),
        cmocka_unit_test(test_a_cut_at_the_front_is_apart_from_an_append),
        cmocka_unit_test(test_large_keys),
        cmocka_unit_test(test_damaged_pages),
        cmocka_unit_test(test_damaged_roots),
        cmocka_unit_test(test_inner_pages_are_joined),
        cmocka_unit_test(test_shapes_stay_as_they_are),
        cmocka_unit_test(test_a_move_is_a_cut_and_an_insert),
        cmocka_unit_test(test_a_move_joins_inner_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
