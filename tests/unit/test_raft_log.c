/* The Raft log against a plain model, on both stores, with crashes; then cuts at every boundary,
 * chunks that have to be split, and damage, which must end the process with a clear message. */
#include "kv_memory.h"
#include "test_raft_log_model.h"

#include "base/codec.h"
#include "storage/chunk.h"

/* ---- random histories --------------------------------------------------------------- */

struct run {
    char *directory; /* NULL: in memory */
    struct kv *kv;
    struct raft_log *log;
    struct model *model;
    struct raft_pos first_stored; /* a crash takes a trim back to here */
};

static void write_group(struct run *run)
{
    enum { GROUP_MAX = 6 };
    struct model_write *writes = memory_new(GROUP_MAX * sizeof *writes);
    struct raft_write list[GROUP_MAX];
    uint32_t count = 1 + (uint32_t)prng_below(&run->model->prng, GROUP_MAX);
    for (uint32_t i = 0; i < count; i++) {
        model_write(run->model, &writes[i]);
        list[i] = writes[i].write;
    }
    raft_log_write(run->log, list, count);
    for (uint32_t i = 0; i < count; i++)
        model_write_release(&writes[i]);
    memory_free(writes);
    run->first_stored = run->model->first;
}

static void read_some(struct run *run)
{
    struct model *model = run->model;
    uint64_t held = model->last - model->first.index;
    if (held == 0)
        return;
    raft_index first = model->first.index + 1 + prng_below(&model->prng, held);
    uint64_t left = model->last - first + 1;
    uint32_t count = 1 + (uint32_t)prng_below(&model->prng, left < 200 ? left : 200);
    uint64_t bytes_max = prng_below(&model->prng, 3) ? UINT64_MAX : prng_below(&model->prng, 3000);
    assert_read(model, run->log, first, count, bytes_max);
}

static void reopen(struct run *run, bool crash)
{
    raft_log_close(run->log);
    if (run->directory) {
        run->kv->ops->close(run->kv);
        run->kv = open_rocksdb(run->directory);
    } else if (crash) {
        kv_memory_crash(run->kv);
        run->model->first = run->first_stored;
    }
    run->log = raft_log_open(run->kv);
    assert_saved(run->model, run->log);
    raft_log_forget_saved(run->log); /* first_stored stays: a clean close is not synced */
}

static void step(struct run *run)
{
    struct model *model = run->model;
    switch (prng_below(&model->prng, 20)) {
    case 0: reopen(run, prng_below(&model->prng, 2)); break;
    case 1: model_commit(model); break;
    case 2: raft_log_trim(run->log, model_trim(model), NULL); break;
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
    case 8: read_some(run); break;
    default: write_group(run);
    }
}

static void random_run(bool rocksdb, uint64_t seed, int steps)
{
    struct run run = {.model = model_new(seed)};
    print_message("seed %llu\n", (unsigned long long)seed);
    run.directory = rocksdb ? temporary_new() : NULL;
    run.kv = rocksdb ? open_rocksdb(run.directory) : kv_memory_open();
    run.log = raft_log_open(run.kv);
    assert_saved(run.model, run.log);
    for (int i = 0; i < steps; i++)
        step(&run);
    reopen(&run, true);
    for (raft_index at = run.model->first.index + 1; at <= run.model->last; at += 64)
        assert_read(run.model, run.log, at,
                    (uint32_t)(run.model->last - at + 1 < 64 ? run.model->last - at + 1 : 64),
                    UINT64_MAX);
    raft_log_close(run.log);
    run.kv->ops->close(run.kv);
    if (run.directory)
        temporary_remove(run.directory);
    memory_free(run.model);
}

static void test_random_memory(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        random_run(false, seed, 3000);
}

static void test_random_rocksdb(void **state)
{
    (void)state;
    random_run(true, 100, 400);
}

/* ---- small histories ------------------------------------------------------------------ */

/* One write of entries first .. first+count-1, all of `term`, whose payload is the term in
 * decimal. */
static void append(struct raft_log *log, raft_term term, raft_index first, uint32_t count)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)term);
    struct raft_entry *entries = memory_new(count * sizeof *entries);
    for (uint32_t i = 0; i < count; i++)
        entries[i] = (struct raft_entry){.pos = {.term = term, .index = first + i},
                                         .size = (uint32_t)strlen(text),
                                         .payload = blob_copy(bytes_from_string(text))};
    struct raft_write write = {.term = term, .voted_for = 1, .entries = entries, .count = count};
    raft_log_write(log, &write, 1);
    for (uint32_t i = 0; i < count; i++)
        blob_release(entries[i].payload);
    memory_free(entries);
}

static void assert_payload(struct raft_log *log, raft_index index, const char *expected)
{
    struct raft_entry entry;
    assert_int_equal(raft_log_read(log, index, 1, 0, &entry), 1);
    assert_true(bytes_equal(blob_bytes(entry.payload), bytes_from_string(expected)));
    blob_release(entry.payload);
}

/* Entries 1 .. last, as a string of one digit a term. */
static void assert_terms(struct raft_log *log, const char *expected)
{
    struct raft_saved saved = {0};
    raft_log_saved(log, &saved);
    assert_int_equal(saved.first.index + saved.entries_count, strlen(expected));
    for (uint64_t i = 0; i < saved.entries_count; i++)
        assert_int_equal(saved.entries[i].pos.term, expected[saved.first.index + i] - '0');
    for (raft_index index = saved.first.index + 1; index <= strlen(expected); index++)
        assert_payload(log, index, (char[]){expected[index - 1], '\0'});
}

/* Four chunks, the last of one entry, cut at every place, with every chunk in the reader's cache
 * before. */
static void test_cut_everywhere(void **state)
{
    (void)state;
    for (raft_index cut = 1; cut <= 14; cut++)
        for (raft_index cached = 1; cached <= 13; cached++) {
            struct kv *kv = kv_memory_open();
            struct raft_log *log = raft_log_open(kv);
            char expected[24] = "1111222222333";
            append(log, 1, 1, 4);
            append(log, 2, 5, 6);
            append(log, 3, 11, 2);
            append(log, 3, 13, 1);
            assert_payload(log, cached, (char[]){expected[cached - 1], '\0'});
            append(log, 4, cut, 2);
            memcpy(expected + cut - 1, "44", 3);
            assert_payload(log, cut, "4"); /* before another chunk is read instead */
            for (raft_index index = 1; index <= cut + 1; index++)
                assert_payload(log, index, (char[]){expected[index - 1], '\0'});
            raft_log_close(log);
            kv_memory_crash(kv);
            log = raft_log_open(kv);
            assert_terms(log, expected);
            raft_log_close(log);
            kv->ops->close(kv);
        }
}

/* A cut leaves the chunk before it longer than its valid part; then it is trimmed into. */
static void test_trim_into_shadowed_chunk(void **state)
{
    (void)state;
    for (raft_index trim = 1; trim <= 12; trim++) {
        struct kv *kv = kv_memory_open();
        struct raft_log *log = raft_log_open(kv);
        append(log, 1, 1, 10);
        append(log, 2, 6, 4); /* 11111 2222 */
        append(log, 3, 8, 5); /* 11111 22 33333 */
        const char *expected = "111112233333";
        raft_log_trim(
            log, (struct raft_pos){.term = (raft_term)(expected[trim - 1] - '0'), .index = trim},
            NULL);
        for (raft_index index = trim + 1; index <= 12; index++)
            assert_payload(log, index, (char[]){expected[index - 1], '\0'});
        append(log, 4, 13, 1); /* carries out the trim */
        expected = "1111122333334";
        raft_log_close(log);
        kv_memory_crash(kv);
        log = raft_log_open(kv);
        struct raft_saved saved = {0};
        raft_log_saved(log, &saved);
        assert_int_equal(saved.first.index, trim);
        assert_int_equal(saved.first.term, expected[trim - 1] - '0');
        assert_terms(log, expected);
        raft_log_close(log);
        kv->ops->close(kv);
    }
}

/* A trim is lost in a crash as a whole; files must not be gone while the old first position is
 * back. */
static void test_trim_is_not_synced(void **state)
{
    (void)state;
    struct kv *kv = kv_memory_open();
    struct raft_log *log = raft_log_open(kv);
    append(log, 1, 1, 2);
    append(log, 2, 3, 2);
    raft_log_trim(log, (struct raft_pos){.term = 1, .index = 2}, NULL);
    raft_log_close(log);
    kv_memory_crash(kv);
    log = raft_log_open(kv);
    assert_terms(log, "1122");
    raft_log_trim(log, (struct raft_pos){.term = 2, .index = 4}, NULL); /* all of it */
    append(log, 2, 5, 1);
    raft_log_close(log);
    kv_memory_crash(kv);
    log = raft_log_open(kv);
    assert_terms(log, "11222");
    raft_log_close(log);
    kv->ops->close(kv);
}

static void test_trim_deletes(void **state)
{
    (void)state;
    struct kv *kv = kv_memory_open();
    struct raft_log *log = raft_log_open(kv);
    append(log, 1, 1, 2);
    append(log, 1, 3, 2);
    append(log, 1, 5, 2);
    raft_log_trim(log, (struct raft_pos){.term = 1, .index = 5}, NULL);
    append(log, 1, 7, 1);
    struct bytes key, value;
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_LOG, bytes_of("", 0), kv_family_end());
    assert_true(
        kv->ops->iter_next(iter, &key, &value)); /* of chunks 1, 3, 5 only the last is left */
    assert_int_equal(get_u64_ordered(key.data), 5);
    kv->ops->iter_free(iter);
    raft_log_close(log);
    kv->ops->close(kv);
}

/* Builds of before trimmed without deleting: the first trim after a start deletes that too. */
static void test_trim_deletes_from_the_beginning(void **state)
{
    (void)state;
    struct kv *kv = kv_memory_open();
    struct raft_log *log = raft_log_open(kv);
    struct buffer chunk = {0};
    unsigned char one[8];
    put_u64_ordered(one, 1);
    append(log, 1, 1, 2);
    append(log, 1, 3, 2);
    append(log, 1, 5, 2);
    assert_true(kv->ops->get(kv, KV_LOG, bytes_of(one, sizeof one), &chunk));
    raft_log_trim(log, (struct raft_pos){.term = 1, .index = 2}, NULL);
    append(log, 1, 7, 1);
    raft_log_close(log);
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_put(batch, KV_LOG, bytes_of(one, sizeof one), buffer_bytes(&chunk));
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
    buffer_deinit(&chunk);
    log = raft_log_open(kv);
    raft_log_trim(log, (struct raft_pos){.term = 1, .index = 5}, NULL);
    append(log, 1, 8, 1);
    struct bytes key, value;
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_LOG, bytes_of("", 0), kv_family_end());
    assert_true(kv->ops->iter_next(iter, &key, &value));
    assert_int_equal(get_u64_ordered(key.data), 5);
    kv->ops->iter_free(iter);
    raft_log_close(log);
    kv->ops->close(kv);
}

struct dying_kv {
    struct proxy_kv proxy;
    bool dead;
};

/* The power goes after the first commit: term, vote, cut, entries and trim are in that one, or a
 * crash could keep some of a write and not the rest. */
static void commit_once(struct kv *kv, struct kv_batch *batch, bool sync)
{
    struct dying_kv *dying = (struct dying_kv *)kv;
    if (dying->dead)
        return;
    proxy_commit(kv, batch, sync);
    dying->dead = true;
}

static void test_a_write_is_one_commit(void **state)
{
    (void)state;
    for (raft_index trim = 0; trim <= 2; trim++) {
        struct kv *kv = kv_memory_open();
        struct dying_kv dying = {.dead = false};
        proxy_init(&dying.proxy, kv);
        struct raft_log *log = raft_log_open(&dying.proxy.base);
        append(log, 1, 1, 2);
        append(log, 1, 3, 4);
        if (trim)
            raft_log_trim(log, (struct raft_pos){.term = 1, .index = trim}, NULL);
        dying.proxy.ops.commit = commit_once;
        append(log, 2, 5, 3);
        assert_true(dying.dead);
        raft_log_close(log);
        kv_memory_crash(kv);
        log = raft_log_open(kv);
        assert_terms(log, "1111222");
        struct raft_saved saved = {0};
        raft_log_saved(log, &saved);
        assert_int_equal(saved.term, 2);
        assert_int_equal(saved.first.index, trim);
        raft_log_close(log);
        kv->ops->close(kv);
    }
}

/* Trimmed to the end, closed and opened: the position before the first entry is all there is. */
static void test_trim_all(void **state)
{
    (void)state;
    struct kv *kv = kv_memory_open();
    struct raft_log *log = raft_log_open(kv);
    append(log, 3, 1, 4);
    raft_log_trim(log, (struct raft_pos){.term = 3, .index = 4}, NULL);
    raft_log_close(log);
    log = raft_log_open(kv);
    struct raft_saved saved = {0};
    raft_log_saved(log, &saved);
    assert_int_equal(saved.entries_count, 0);
    assert_int_equal(saved.first.index, 4);
    assert_int_equal(saved.first.term, 3);
    append(log, 3, 5, 1);
    assert_payload(log, 5, "3");
    raft_log_close(log);
    kv->ops->close(kv);
}

/* Writes of one group that cut each other. */
static void test_merge(void **state)
{
    (void)state;
    struct kv *kv = kv_memory_open();
    struct raft_log *log = raft_log_open(kv);
    append(log, 1, 1, 6);
    struct raft_entry a[3], b[2], c[1];
    for (uint32_t i = 0; i < 3; i++)
        a[i] = (struct raft_entry){
            .pos = {2, 5 + i}, .size = 1, .payload = blob_copy(bytes_of("2", 1))};
    for (uint32_t i = 0; i < 2; i++)
        b[i] = (struct raft_entry){
            .pos = {3, 3 + i}, .size = 1, .payload = blob_copy(bytes_of("3", 1))};
    c[0] = (struct raft_entry){.pos = {4, 4}, .size = 1, .payload = blob_copy(bytes_of("4", 1))};
    const struct raft_write writes[] = {
        {.term = 2, .voted_for = 0, .entries = a, .count = 3}, /* 1111 222 */
        {.term = 3, .voted_for = 1, .entries = b, .count = 2}, /* 11 33 */
        {.term = 4, .voted_for = 1, .entries = c, .count = 1}, /* 11 3 4 */
        {.term = 5, .voted_for = RAFT_NOBODY},
    };
    raft_log_write(log, writes, 4);
    assert_payload(log, 3, "3");
    assert_payload(log, 4, "4");
    raft_log_close(log);
    kv_memory_crash(kv);
    log = raft_log_open(kv);
    assert_terms(log, "1134");
    struct raft_saved saved = {0};
    raft_log_saved(log, &saved);
    assert_int_equal(saved.term, 5);
    assert_int_equal(saved.voted_for, RAFT_NOBODY);
    raft_log_close(log);
    kv->ops->close(kv);
    for (uint32_t i = 0; i < 3; i++)
        blob_release(a[i].payload);
    for (uint32_t i = 0; i < 2; i++)
        blob_release(b[i].payload);
    blob_release(c[0].payload);
}

/* Groups that are too big for one chunk, and entries that are too big for any. */
static void test_split(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {3 << 20, 3 << 20, 3 << 20, 0, 30 << 20, 0, 7, 8 << 20, 9};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    struct kv *kv = kv_memory_open();
    struct raft_log *log = raft_log_open(kv);
    struct model *model = model_new(5);
    struct raft_entry entries[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        struct blob *blob = blob_new(sizes[i]);
        payload_fill(blob->data, sizes[i], i);
        model->entries[i + 1] = (struct model_entry){.term = 1, .size = sizes[i], .seed = i};
        entries[i] = (struct raft_entry){.pos = {1, i + 1}, .size = sizes[i], .payload = blob};
    }
    model->last = COUNT;
    model->term = 1;
    struct raft_write write = {
        .term = 1, .voted_for = RAFT_NOBODY, .entries = entries, .count = COUNT};
    raft_log_write(log, &write, 1);
    for (raft_index first = 1; first <= COUNT; first++)
        assert_read(model, log, first, (uint32_t)(COUNT - first + 1), UINT64_MAX);
    assert_read(model, log, 1, COUNT, 1); /* always one */
    raft_log_close(log);
    log = raft_log_open(kv);
    assert_saved(model, log);

    raft_index firsts[COUNT + 1];
    uint32_t chunks = 0;
    struct bytes key, value;
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_LOG, bytes_of("", 0), kv_family_end());
    while (kv->ops->iter_next(iter, &key, &value))
        firsts[chunks++] = get_u64_ordered(key.data);
    kv->ops->iter_free(iter);
    const raft_index expected[] = {1, 3, 5, 6, 8, 9};
    assert_int_equal(chunks, sizeof expected / sizeof expected[0]);
    assert_memory_equal(firsts, expected, sizeof expected);

    append(log, 2, 4, 1); /* and one cut takes several of them away */
    assert_payload(log, 4, "2");
    raft_log_close(log);
    log = raft_log_open(kv);
    struct raft_saved saved = {0};
    raft_log_saved(log, &saved);
    assert_int_equal(saved.entries_count, 4);
    raft_log_close(log);
    kv->ops->close(kv);
    for (uint32_t i = 0; i < COUNT; i++)
        blob_release(entries[i].payload);
    memory_free(model);
}

static void test_identity(void **state)
{
    (void)state;
    struct kv *kv = kv_memory_open();
    struct raft_log_identity identity;
    assert_false(raft_log_identity(kv, &identity));
    raft_log_set_identity(kv, &(struct raft_log_identity){.node = 3, .cluster = UINT64_MAX - 1});
    kv_memory_crash(kv);
    assert_true(raft_log_identity(kv, &identity));
    assert_int_equal(identity.node, 3);
    assert_int_equal(identity.cluster, UINT64_MAX - 1);
    kv->ops->close(kv);
}

/* Another is drawn each time, and only the first counts; each start does. */
static void test_life(void **state)
{
    (void)state;
    struct kv *kv = kv_memory_open();
    for (uint64_t starts = 1; starts <= 3; starts++) {
        struct raft_log_life life = raft_log_start(kv, 100 + starts);
        assert_int_equal(life.life, 101);
        assert_int_equal(life.starts, starts);
        kv_memory_crash(kv);
    }
    kv->ops->close(kv);
}

/* Of each node the life heard last, and with how many starts at most. */
static void test_remember(void **state)
{
    static const struct {
        raft_node_id node;
        struct raft_log_life life;
        bool may;
    } heard[] = {{1, {5, 3}, true}, {1, {5, 3}, true}, {1, {5, 4}, true},  {1, {5, 3}, false},
                 {2, {5, 1}, true}, {1, {6, 1}, true}, {1, {6, 9}, true},  {1, {6, 8}, false},
                 {1, {6, 9}, true}, {2, {5, 2}, true}, {2, {5, 1}, false}, {1, {6, 10}, true}};
    (void)state;
    struct kv *kv = kv_memory_open();
    struct raft_log *log = raft_log_open(kv);
    for (size_t i = 0; i < sizeof heard / sizeof *heard; i++)
        assert_int_equal(raft_log_remember(log, heard[i].node, &heard[i].life), heard[i].may);
    append(log, 1, 1, 1); /* it is stored with the next commit */
    raft_log_remember(log, 1, &(struct raft_log_life){6, 50});
    kv_memory_crash(kv);
    raft_log_close(log);
    log = raft_log_open(kv);
    assert_false(raft_log_remember(log, 1, &(struct raft_log_life){6, 9}));
    assert_false(raft_log_remember(log, 2, &(struct raft_log_life){5, 1}));
    assert_true(raft_log_remember(log, 2, &(struct raft_log_life){5, 2}));
    assert_true(raft_log_remember(log, 1, &(struct raft_log_life){6, 51}));
    raft_log_close(log);
    kv->ops->close(kv);
}

static struct raft_members two_members(uint64_t life)
{
    return (struct raft_members){
        .count = 2,
        .list = {{.id = 1, .life = life, .voter = true, .address = "10.0.0.1:1"},
                 {.id = 4, .life = 9, .address = "10.0.0.4:1", .client = "10.0.0.4:2"}}};
}

static void append_members(struct raft_log *log, raft_index index, uint64_t life)
{
    struct raft_members members = two_members(life);
    struct buffer bytes = {0};
    raft_members_encode(&bytes, &members);
    struct raft_entry entry = {.pos = {1, index},
                               .type = RAFT_ENTRY_MEMBERS,
                               .size = (uint32_t)bytes.size,
                               .payload = blob_copy(buffer_bytes(&bytes))};
    struct raft_write write = {.term = 1, .voted_for = 1, .entries = &entry, .count = 1};
    raft_log_write(log, &write, 1);
    blob_release(entry.payload);
    buffer_deinit(&bytes);
}

/* The core reads them at the start: they come with their payload, and no other entry does. */
static void test_lists_come_back(void **state)
{
    (void)state;
    struct kv *kv = kv_memory_open();
    struct raft_log *log = raft_log_open(kv);
    append(log, 1, 1, 2);
    append_members(log, 3, 5);
    append_members(log, 4, 6); /* cut by the next */
    append(log, 1, 4, 1);
    append_members(log, 5, 7);
    raft_log_close(log);
    log = raft_log_open(kv);
    struct raft_saved saved = {0};
    struct raft_members members, expected[] = {two_members(5), two_members(7)};
    raft_log_saved(log, &saved);
    assert_int_equal(saved.entries_count, 5);
    assert_true(raft_members_decode(&members, blob_bytes(saved.entries[2].payload)));
    assert_memory_equal(&members, &expected[0], sizeof members);
    assert_true(raft_members_decode(&members, blob_bytes(saved.entries[4].payload)));
    assert_memory_equal(&members, &expected[1], sizeof members);
    for (int i = 0; i < 5; i++)
        assert_true(i == 2 || i == 4 || !saved.entries[i].payload);
    raft_log_close(log);
    kv->ops->close(kv);
}

/* With the beginning that it belongs to, or not at all. */
static void test_list_of_the_beginning(void **state)
{
    (void)state;
    struct kv *kv = kv_memory_open();
    struct raft_log *log = raft_log_open(kv);
    struct raft_log_members stored = {0}, trimmed = {.index = 2, .list = two_members(5)};
    append(log, 1, 1, 1);
    append_members(log, 2, 5);
    append(log, 1, 3, 1);
    assert_false(raft_log_members(kv, &stored));
    raft_log_trim(log, (struct raft_pos){1, 2}, &trimmed);
    assert_false(raft_log_members(kv, &stored)); /* not yet: the next commit does both */
    append(log, 1, 4, 1);
    kv_memory_crash(kv);
    assert_true(raft_log_members(kv, &stored));
    assert_memory_equal(&stored, &trimmed, sizeof stored);
    raft_log_trim(log, (struct raft_pos){1, 3}, NULL);
    append(log, 1, 5, 1);
    assert_true(raft_log_members(kv, &stored));
    assert_memory_equal(&stored, &trimmed, sizeof stored);
    raft_log_close(log);
    kv->ops->close(kv);
}

/* A directory that is to join begins with no members, whatever is configured. */
static void test_join(void **state)
{
    (void)state;
    struct kv *kv = kv_memory_open();
    struct raft_log_identity identity;
    struct raft_log_members members = {.index = 7};
    raft_log_join(kv, &(struct raft_log_identity){.node = 3, .cluster = 8});
    kv_memory_crash(kv);
    assert_true(raft_log_identity(kv, &identity));
    assert_int_equal(identity.node, 3);
    assert_int_equal(identity.cluster, 8);
    assert_true(raft_log_members(kv, &members));
    assert_int_equal(members.index, 0);
    assert_int_equal(members.list.count, 0);
    kv->ops->close(kv);
}

static void look_at_members(void *context)
{
    struct raft_log_members members;
    raft_log_members(context, &members);
}

static void test_damaged_list(void **state)
{
    (void)state;
    struct kv *kv = kv_memory_open();
    struct buffer value = {0};
    raft_log_join(kv, &(struct raft_log_identity){.node = 3, .cluster = 8});
    struct bytes key = bytes_from_string("members");
    assert_true(kv->ops->get(kv, KV_META, key, &value));
    for (size_t i = 0; i < value.size; i++) {
        struct kv_batch *batch = kv->ops->batch_new(kv);
        value.data[i] ^= 1;
        kv->ops->batch_put(batch, KV_META, key, buffer_bytes(&value));
        kv->ops->commit(kv, batch, true);
        kv->ops->batch_free(batch);
        value.data[i] ^= 1;
        assert_fatal(look_at_members, kv, "\"members\" in the store is damaged");
    }
    buffer_deinit(&value);
    kv->ops->close(kv);
}

/* A restored directory: an empty log that goes on behind the position of the state. */
static void test_begins_at_a_position(void **state)
{
    (void)state;
    struct kv *kv = kv_memory_open();
    struct kv_batch *batch = kv->ops->batch_new(kv);
    assert_int_equal(raft_log_origin(kv), 0);
    raft_log_begin(kv, batch, (struct raft_pos){.term = 4, .index = 90}, 77);
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
    kv_memory_crash(kv);
    assert_int_equal(raft_log_origin(kv), 77);
    for (uint64_t entries = 0; entries < 2; entries++) {
        struct raft_log *log = raft_log_open(kv);
        struct raft_saved saved = {0};
        raft_log_saved(log, &saved);
        assert_int_equal(saved.term, 4 + entries);
        assert_int_equal(saved.voted_for, RAFT_NOBODY);
        assert_int_equal(saved.first.term, 4);
        assert_int_equal(saved.first.index, 90);
        assert_int_equal(saved.entries_count, entries);
        struct raft_entry entry = {.pos = {.term = 5, .index = 91}, .type = RAFT_ENTRY_NOOP};
        struct raft_write write = {
            .term = 5, .voted_for = RAFT_NOBODY, .entries = &entry, .count = 1};
        raft_log_write(log, &write, 1);
        raft_log_close(log);
    }
    kv->ops->close(kv);
}

/* A vote for nobody is not the same as no record, and node 0 is somebody. */
static void test_vote(void **state)
{
    (void)state;
    struct kv *kv = kv_memory_open();
    struct raft_log *log = raft_log_open(kv);
    struct raft_saved saved = {0};
    raft_log_saved(log, &saved);
    assert_int_equal(saved.term, 0);
    assert_int_equal(saved.voted_for, RAFT_NOBODY);
    const raft_node_id votes[] = {RAFT_NOBODY, 0, 2};
    for (raft_term term = 1; term <= 3; term++) {
        struct raft_write write = {.term = term, .voted_for = votes[term - 1]};
        raft_log_write(log, &write, 1);
        raft_log_close(log);
        kv_memory_crash(kv);
        log = raft_log_open(kv);
        raft_log_saved(log, &saved);
        assert_int_equal(saved.term, term);
        assert_int_equal(saved.voted_for, votes[term - 1]);
    }
    raft_log_close(log);
    kv->ops->close(kv);
}

/* ---- damage ------------------------------------------------------------------------------ */

/* A reading that comes while the log is cut or trimmed under it: not there, and no damage. */
struct changing_kv {
    struct proxy_kv proxy;
    struct raft_log *log;
    void (*change)(struct raft_log *log);
};

static bool change_and_get(struct kv *kv, enum kv_family family, struct bytes key,
                           struct buffer *value)
{
    struct changing_kv *changing = (struct changing_kv *)kv;
    void (*change)(struct raft_log * log) = changing->change;
    changing->change = NULL;
    if (change)
        change(changing->log);
    return proxy_get(kv, family, key, value);
}

static void cut_all_but_one(struct raft_log *log)
{
    append(log, 2, 2, 1);
}

static void cut_to_a_shorter_chunk(struct raft_log *log)
{
    append(log, 2, 4, 1);
}

static void trim_and_delete(struct raft_log *log)
{
    raft_log_trim(log, (struct raft_pos){.term = 1, .index = 6}, NULL);
    append(log, 1, 7, 1);
}

static void test_change_under_a_reading(void **state)
{
    static void (*const changes[])(struct raft_log *) = {cut_all_but_one, cut_to_a_shorter_chunk,
                                                         trim_and_delete};
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct kv *kv = kv_memory_open();
        struct changing_kv changing = {.change = NULL};
        proxy_init(&changing.proxy, kv);
        changing.proxy.ops.get = change_and_get;
        changing.log = raft_log_open(&changing.proxy.base);
        append(changing.log, 1, 1, 3);
        append(changing.log, 1, 4, 3);
        changing.change = changes[i];
        struct raft_entry entry;
        assert_int_equal(raft_log_read(changing.log, 6, 1, 0, &entry), 0);
        assert_null(changing.change);
        assert_int_equal(raft_log_read(changing.log, 100, 1, 0, &entry), 0);
        raft_log_close(changing.log);
        kv->ops->close(kv);
    }
}

struct damage {
    struct kv *kv;
    struct raft_log *log;
};

static void open_log(void *context)
{
    raft_log_open(((struct damage *)context)->kv);
}

static void read_log(void *context)
{
    struct raft_entry entry;
    raft_log_read(((struct damage *)context)->log, 5, 1, 0, &entry);
}

static void read_identity(void *context)
{
    struct raft_log_identity identity;
    raft_log_identity(((struct damage *)context)->kv, &identity);
}

static struct bytes index_key(unsigned char *key, raft_index index)
{
    put_u64_ordered(key, index);
    return bytes_of(key, 8);
}

static void store(struct kv *kv, enum kv_family family, struct bytes key, struct bytes value)
{
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_put(batch, family, key, value);
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
}

static void erase(struct kv *kv, enum kv_family family, struct bytes key)
{
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_delete(batch, family, key);
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
}

/* Changes every byte of the value in turn, and its length; `function` must not get past it. */
static void damage_value(struct damage *damage, enum kv_family family, struct bytes key,
                         void (*function)(void *context), const char *text)
{
    struct buffer value = {0};
    struct kv *kv = damage->kv;
    assert_true(kv->ops->get(kv, family, key, &value));
    for (size_t i = 0; i < value.size; i++) {
        value.data[i] = (char)(value.data[i] ^ 0x10);
        store(kv, family, key, buffer_bytes(&value));
        assert_fatal(function, damage, i == 0 ? "version" : text);
        value.data[i] = (char)(value.data[i] ^ 0x10);
    }
    for (size_t size = 0; size < value.size; size += 7) {
        store(kv, family, key, bytes_of(value.data, size));
        assert_fatal(function, damage, "");
    }
    store(kv, family, key, buffer_bytes(&value));
    buffer_deinit(&value);
}

static void test_damage(void **state)
{
    (void)state;
    unsigned char key[8];
    struct damage damage = {.kv = kv_memory_open()};
    struct kv *kv = damage.kv;
    damage.log = raft_log_open(kv);
    append(damage.log, 1, 1, 2);
    append(damage.log, 1, 3, 2);
    append(damage.log, 2, 5, 3);
    append(damage.log, 2, 8, 1);
    raft_log_trim(damage.log, (struct raft_pos){1, 3}, NULL);
    append(damage.log, 2, 9, 1);
    raft_log_set_identity(kv, &(struct raft_log_identity){1, 2});

    damage_value(&damage, KV_LOG, index_key(key, 5), open_log, "chunk at entry 5 is damaged");
    damage_value(&damage, KV_LOG, index_key(key, 5), read_log, "chunk at entry 5 is damaged");
    damage_value(&damage, KV_META, bytes_from_string("vote"), open_log, "\"vote\" in the store is");
    damage_value(&damage, KV_META, bytes_from_string("first"), open_log,
                 "\"first\" in the store is");
    damage_value(&damage, KV_META, bytes_from_string("identity"), read_identity,
                 "\"identity\" in the store is");
    raft_log_close(damage.log);
    damage.log = raft_log_open(kv); /* all is well again */
    assert_terms(damage.log, "111122222");
    raft_log_close(damage.log);
    kv->ops->close(kv);
}

static void test_falling_terms(void **state)
{
    (void)state;
    unsigned char key[8];
    struct buffer chunk = {0};
    struct damage damage = {.kv = kv_memory_open()};
    damage.log = raft_log_open(damage.kv);
    append(damage.log, 3, 1, 4);
    raft_log_close(damage.log);
    chunk_encode(&chunk, &(struct raft_entry){.pos = {2, 5}, .type = RAFT_ENTRY_NOOP}, 1);
    store(damage.kv, KV_LOG, index_key(key, 5), buffer_bytes(&chunk));
    assert_fatal(open_log, &damage, "entry 5 is of term 2, after one of term 3");
    damage.kv->ops->close(damage.kv);
    buffer_deinit(&chunk);
}

static void test_holes(void **state)
{
    (void)state;
    unsigned char key[8];
    struct buffer value = {0};
    struct damage damage = {.kv = kv_memory_open()};
    struct kv *kv = damage.kv;
    damage.log = raft_log_open(kv);
    append(damage.log, 1, 1, 4);
    append(damage.log, 2, 5, 3);
    append(damage.log, 2, 8, 1);

    assert_true(kv->ops->get(kv, KV_LOG, index_key(key, 5), &value));
    erase(kv, KV_LOG, index_key(key, 5));
    assert_fatal(open_log, &damage, "hole: entries 5 to 7 are missing");
    assert_fatal(read_log, &damage, "chunk at entry 5 is gone");
    store(kv, KV_LOG, index_key(key, 4), buffer_bytes(&value));
    assert_fatal(open_log, &damage, "another one than its key says");
    erase(kv, KV_LOG, index_key(key, 4));
    store(kv, KV_LOG, index_key(key, 5), buffer_bytes(&value));

    store(kv, KV_LOG, bytes_from_string("key"), buffer_bytes(&value));
    assert_fatal(open_log, &damage, "not ours");
    erase(kv, KV_LOG, bytes_from_string("key"));

    raft_log_trim(damage.log, (struct raft_pos){1, 2}, NULL);
    append(damage.log, 3, 8, 1);
    assert_true(kv->ops->get(kv, KV_LOG, index_key(key, 1), &value));
    erase(kv, KV_LOG, index_key(key, 1));
    assert_fatal(open_log, &damage, "hole: entries 3 to 4 are missing");
    erase(kv, KV_LOG, index_key(key, 5));
    erase(kv, KV_LOG, index_key(key, 8));
    assert_fatal(open_log, &damage, "chunk at entry 1 is missing");
    erase(kv, KV_META, bytes_from_string("vote"));
    store(kv, KV_LOG, index_key(key, 1), buffer_bytes(&value));
    assert_fatal(open_log, &damage, "the node only knew term 0");
    raft_log_close(damage.log);
    kv->ops->close(kv);
    buffer_deinit(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_remember),
        cmocka_unit_test(test_lists_come_back),
        cmocka_unit_test(test_list_of_the_beginning),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_damaged_list),
        cmocka_unit_test(test_vote),
        cmocka_unit_test(test_begins_at_a_position),
        cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_change_under_a_reading),
        cmocka_unit_test(test_trim_into_shadowed_chunk),
        cmocka_unit_test(test_trim_is_not_synced),
        cmocka_unit_test(test_trim_deletes),
        cmocka_unit_test(test_trim_deletes_from_the_beginning),
        cmocka_unit_test(test_a_write_is_one_commit),
        cmocka_unit_test(test_trim_all),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_holes),
        cmocka_unit_test(test_falling_terms),
        cmocka_unit_test(test_random_memory),
        cmocka_unit_test(test_random_rocksdb),
    };
    return cmocka_run_group_tests_name("raft_log", tests, NULL, NULL);
}
