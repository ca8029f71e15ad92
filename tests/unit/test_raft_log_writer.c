/* The group-commit thread: what is reported is durable and in order, groups form while the disk is
 * busy, blobs stay until the loop thread releases them, and stop drains. */
#include "kv_memory.h"
#include "test_raft_log_model.h"

#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "storage/raft_log_writer.h"

/* ---- a store whose commits wait at a gate ------------------------------------------- */

struct gated_kv {
    struct proxy_kv proxy; /* of a store in memory */
    sem_t arrived;         /* a commit is at the gate */
    sem_t open;            /* one commit may pass */
    int commits;           /* atomic */
};

static void gated_commit(struct kv *kv, struct kv_batch *batch, bool sync)
{
    struct gated_kv *gate = (struct gated_kv *)kv;
    sem_post(&gate->arrived);
    sem_wait(&gate->open);
    proxy_commit(kv, batch, sync);
    __atomic_add_fetch(&gate->commits, 1, __ATOMIC_SEQ_CST);
}

static void gated_open(struct gated_kv *gate)
{
    *gate = (struct gated_kv){.commits = 0};
    proxy_init(&gate->proxy, kv_memory_open());
    gate->proxy.ops.commit = gated_commit;
    sem_init(&gate->arrived, 0, 0);
    sem_init(&gate->open, 0, 0);
}

static void gated_close(struct gated_kv *gate)
{
    gate->proxy.below->ops->close(gate->proxy.below);
    sem_destroy(&gate->arrived);
    sem_destroy(&gate->open);
}

/* ---- what the loop would do ----------------------------------------------------------- */

struct loop {
    sem_t woken;
    uint64_t durable; /* as it was told */
};

static void wake(void *context, uint64_t durable)
{
    ((struct loop *)context)->durable = durable;
    sem_post(&((struct loop *)context)->woken);
}

/* What does not come within so long will not come. */
static void wait_for(sem_t *sem)
{
    enum { PATIENCE_S = 20 };
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    if (sem_timedwait(sem, &until) != 0)
        fail_msg("waited for %d s in vain", PATIENCE_S);
}

static void submit_one(struct raft_log_writer *writer, uint64_t seq, struct blob *blob)
{
    struct raft_entry entry = {
        .pos = {1, seq}, .size = blob ? (uint32_t)blob->size : 0, .payload = blob};
    struct raft_write write = {
        .seq = seq, .term = 1, .voted_for = 0, .entries = &entry, .count = 1};
    writer->ops->submit(writer, &write);
    memset(&entry, 0xee, sizeof entry); /* the writer has its own copy */
}

static void test_groups(void **state)
{
    (void)state;
    struct gated_kv gate;
    gated_open(&gate);
    struct raft_log *log = raft_log_open(&gate.proxy.base);
    struct loop loop;
    struct raft_log_writer_stats stats;
    sem_init(&loop.woken, 0, 0);
    struct raft_log_writer *writer = raft_log_writer_start(log, wake, &loop);
    struct blob *blob = blob_copy(bytes_from_string("payload"));

    assert_int_equal(raft_log_writer_poll(writer), 0);
    submit_one(writer, 1, blob);
    wait_for(&gate.arrived); /* the first write is at the disk: all others gather behind it */
    for (uint64_t seq = 2; seq <= 11; seq++)
        submit_one(writer, seq, seq % 2 ? blob : NULL);
    assert_int_equal(blob->references, 1 + 1 + 5);
    assert_int_equal(raft_log_writer_poll(writer), 0); /* nothing is durable */
    raft_log_writer_stats(writer, &stats);
    assert_int_equal(stats.syncs, 0);
    assert_int_equal(stats.queued_bytes, 11 * 16 + 6 * 7);

    sem_post(&gate.open);
    wait_for(&loop.woken);
    wait_for(&gate.arrived);
    assert_int_equal(blob->references, 1 + 1 + 5); /* released by the loop, not before */
    assert_int_equal(loop.durable, 1);
    assert_int_equal(raft_log_writer_poll(writer), 1);
    assert_int_equal(blob->references, 1 + 5);

    sem_post(&gate.open);
    wait_for(&loop.woken);
    assert_int_equal(loop.durable, 11);
    assert_int_equal(raft_log_writer_poll(writer), 11);
    assert_int_equal(gate.commits, 2);
    assert_int_equal(blob->references, 1);
    raft_log_writer_stats(writer, &stats);
    assert_int_equal(stats.syncs, 2);
    assert_int_equal(stats.queued_bytes, 0);
    assert_true(stats.sync_us_max <= stats.sync_us_total);

    raft_log_writer_stop(writer);
    kv_memory_crash(gate.proxy.below);
    raft_log_close(log);
    log = raft_log_open(&gate.proxy.base);
    struct raft_saved saved = {0};
    raft_log_saved(log, &saved);
    assert_int_equal(saved.entries_count, 11);
    raft_log_close(log);
    blob_release(blob);
    gated_close(&gate);
    sem_destroy(&loop.woken);
}

static void *open_gate(void *context)
{
    struct gated_kv *gate = context;
    usleep(20000);
    for (int i = 0; i < 10; i++)
        sem_post(&gate->open);
    return NULL;
}

/* stop() returns only once everything submitted is on disk, and gives all blobs back. */
static void test_stop_drains(void **state)
{
    (void)state;
    struct gated_kv gate;
    gated_open(&gate);
    struct raft_log *log = raft_log_open(&gate.proxy.base);
    struct loop loop;
    sem_init(&loop.woken, 0, 0);
    struct raft_log_writer *writer = raft_log_writer_start(log, wake, &loop);
    struct blob *blob = blob_copy(bytes_from_string("payload"));
    submit_one(writer, 1, blob);
    wait_for(&gate.arrived); /* the others are in the queue when it is told to stop */
    for (uint64_t seq = 2; seq <= 5; seq++)
        submit_one(writer, seq, blob);
    pthread_t opener;
    pthread_create(&opener, NULL, open_gate, &gate);
    raft_log_writer_stop(writer);
    assert_int_equal(blob->references, 1);
    pthread_join(opener, NULL);
    kv_memory_crash(gate.proxy.below);
    raft_log_close(log);
    log = raft_log_open(&gate.proxy.base);
    struct raft_saved saved = {0};
    raft_log_saved(log, &saved);
    assert_int_equal(saved.entries_count, 5);
    raft_log_close(log);
    blob_release(blob);
    gated_close(&gate);
    sem_destroy(&loop.woken);
}

static void test_stop_idle(void **state)
{
    (void)state;
    struct kv *kv = kv_memory_open();
    struct raft_log *log = raft_log_open(kv);
    struct loop loop;
    sem_init(&loop.woken, 0, 0);
    raft_log_writer_stop(raft_log_writer_start(log, wake, &loop));
    raft_log_close(log);
    kv->ops->close(kv);
    sem_destroy(&loop.woken);
}

/* The loop writes, polls, reads and trims while the writer works, as a replica does. */
static void busy_loop(struct kv *kv, uint64_t seed, uint64_t count)
{
    struct loop loop;
    struct model *model = model_new(seed); /* as submitted */
    struct raft_log *log = raft_log_open(kv);
    sem_init(&loop.woken, 0, 0);
    struct raft_log_writer *writer = raft_log_writer_start(log, wake, &loop);
    uint64_t durable = 0;
    raft_index *ends = memory_new((count + 1) * sizeof *ends); /* last index after each write */
    raft_index readable = 0; /* durable and not cut by anything submitted since */
    for (uint64_t seq = 1; seq <= count; seq++) {
        struct model_write write;
        raft_index before = model->last;
        model_write(model, &write);
        write.write.seq = seq;
        writer->ops->submit(writer, &write.write);
        model_write_release(&write);
        raft_index kept = model->last - write.write.count;
        if (kept < before && readable > kept)
            readable = kept;
        ends[seq] = model->last;
        for (uint64_t i = durable + 1; i < seq; i++) /* under way: counts up to the cut only */
            if (ends[i] > kept)
                ends[i] = kept;
        uint64_t now = raft_log_writer_poll(writer);
        assert_true(now >= durable);
        assert_true(now <= seq);
        for (; durable < now; durable++)
            if (ends[durable + 1] > readable)
                readable = ends[durable + 1];
        if (readable > model->committed && prng_below(&model->prng, 4) == 0)
            model->committed += prng_below(&model->prng, readable - model->committed + 1);
        if (readable > model->first.index) {
            raft_index first =
                model->first.index + 1 + prng_below(&model->prng, readable - model->first.index);
            uint32_t most = readable - first + 1 > 50 ? 50 : (uint32_t)(readable - first + 1);
            assert_read(model, log, first, most, UINT64_MAX);
        }
        if (prng_below(&model->prng, 30) == 0)
            raft_log_trim(log, model_trim(model), NULL);
        if (prng_below(&model->prng, 50) == 0)
            usleep(1000);
    }
    while (raft_log_writer_poll(writer) < count)
        wait_for(&loop.woken);
    raft_log_writer_stop(writer);
    raft_log_close(log);
    log = raft_log_open(kv);
    assert_saved(model, log);
    raft_log_close(log);
    memory_free(ends);
    memory_free(model);
    sem_destroy(&loop.woken);
}

static void test_busy_memory(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct kv *kv = kv_memory_open();
        busy_loop(kv, seed, 3000);
        kv->ops->close(kv);
    }
}

static void test_busy_rocksdb(void **state)
{
    (void)state;
    char *directory = temporary_new();
    struct kv *kv = open_rocksdb(directory);
    busy_loop(kv, 9, 3000);
    kv->ops->close(kv);
    temporary_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups),       cmocka_unit_test(test_stop_drains),
        cmocka_unit_test(test_stop_idle),    cmocka_unit_test(test_busy_memory),
        cmocka_unit_test(test_busy_rocksdb),
    };
    return cmocka_run_group_tests_name("raft_log_writer", tests, NULL, NULL);
}
