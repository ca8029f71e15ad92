/* Group commit in a thread of its own, so that no fsync ever holds up reads and heartbeats.
 *
 *     loop                          writer
 *     submit ---> filling ==take==> writing ---> raft_log_write (synced)
 *     poll   <--- done    <==give== writing ---> wake
 *
 * Writes gather in a `struct group` while the thread is busy with the one before, and the whole
 * group becomes one batch: the slower the disk, the bigger the batch.  Three or so groups go round
 * and keep their arrays, so a submitted write costs no allocation.
 *
 * The thread only reads payload blobs; they are taken in submit and released in poll, in the loop
 * thread, because their counter is not atomic.  The queue needs no bound of its own: the core
 * bounds what it has under way. */
#include "storage/raft_log_writer.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "base/blob.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "base/thread.h"
#include "storage/chunk.h"

enum { GROUP_ENTRIES_KEPT = 1 << 16 };

/* Writes that become durable together. */
struct group {
    struct group *next;
    struct raft_write *writes; /* owned; their entries are in `entries`, set by point_at_entries */
    uint32_t writes_count;
    size_t writes_capacity;
    struct raft_entry *entries; /* owned, of all writes in order; each holds its blob */
    size_t entries_count;
    size_t entries_capacity;
    uint64_t bytes;
};

struct thread_log_writer {
    struct raft_log_writer base;

    /* -- set before the thread starts ------------------------------------- */
    struct raft_log *log; /* borrowed; raft_log_write is called by the thread alone */
    void (*wake)(void *context, uint64_t durable);
    void *context;
    pthread_t thread;

    /* -- both threads, under the mutex -------------------------------------- */
    pthread_mutex_t mutex;
    struct group *filling; /* never NULL */
    struct group *done;    /* durable; blobs not yet released */
    struct group *spare;   /* at most a few */
    uint64_t durable;      /* highest seq */
    bool stopping;
    struct raft_log_writer_stats stats;

    /* -- both threads --------------------------------------------------------- */
    /* One for each group, from its first write on, and one to stop.  Not a condition: who wakes
     * from one leaves the mutex with a system call more. */
    sem_t queued;

    /* -- loop ---------------------------------------------------------------- */
    uint64_t submitted; /* highest seq */
};

static struct thread_log_writer *writer_of(struct raft_log_writer *writer)
{
    return (struct thread_log_writer *)writer;
}

/* ---- groups ----------------------------------------------------------------- */

static void *grow(void *array, size_t *capacity, size_t needed, size_t size)
{
    if (needed <= *capacity)
        return array;
    size_t larger = *capacity ? *capacity : 64;
    while (larger < needed)
        larger *= 2;
    *capacity = larger;
    return memory_resize(array, larger * size);
}

static uint64_t group_add(struct group *group, const struct raft_write *write)
{
    uint64_t bytes = 0;
    group->writes = grow(group->writes, &group->writes_capacity, (size_t)group->writes_count + 1,
                         sizeof *group->writes);
    group->entries = grow(group->entries, &group->entries_capacity,
                          group->entries_count + write->count, sizeof *group->entries);
    group->writes[group->writes_count++] = *write;
    for (uint32_t i = 0; i < write->count; i++) {
        struct raft_entry entry = write->entries[i];
        if (entry.payload)
            blob_take(entry.payload);
        group->entries[group->entries_count++] = entry;
        bytes += chunk_entry_bytes(&entry);
    }
    group->bytes += bytes;
    return bytes;
}

/* The array of entries moves while it grows, so this waits until it is complete. */
static void point_at_entries(struct group *group)
{
    const struct raft_entry *entries = group->entries;
    for (uint32_t i = 0; i < group->writes_count; i++) {
        group->writes[i].entries = entries;
        entries += group->writes[i].count;
    }
    check(entries == group->entries + group->entries_count);
}

/* Loop thread: the counters of blobs.  The other thread read them last, so they are asked for
 * ahead. */
static void group_release_blobs(struct group *group)
{
    enum { AHEAD = 8 };
    for (size_t i = 0; i < group->entries_count; i++) {
        if (i + AHEAD < group->entries_count)
            __builtin_prefetch(group->entries[i + AHEAD].payload, 1);
        blob_release(group->entries[i].payload);
    }
    group->entries_count = 0;
    group->writes_count = 0;
    group->bytes = 0;
}

static void group_free(struct group *group)
{
    memory_free(group->writes);
    memory_free(group->entries);
    memory_free(group);
}

/* ---- the thread --------------------------------------------------------------- */

static uint64_t monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Waits for writes.  NULL: none are left and we are to stop. */
static struct group *take_group(struct thread_log_writer *writer)
{
    struct group *group = NULL;
    while (sem_wait(&writer->queued) != 0)
        check(errno == EINTR);
    pthread_mutex_lock(&writer->mutex);
    check(writer->filling->writes_count > 0 || writer->stopping);
    if (writer->filling->writes_count) {
        group = writer->filling;
        writer->filling = writer->spare;
        if (writer->spare)
            writer->spare = writer->spare->next;
        else
            writer->filling = memory_new(sizeof *writer->filling);
    }
    pthread_mutex_unlock(&writer->mutex);
    return group;
}

static uint64_t give_group(struct thread_log_writer *writer, struct group *group, uint64_t took_us)
{
    uint64_t durable = group->writes[group->writes_count - 1].seq;
    pthread_mutex_lock(&writer->mutex);
    group->next = writer->done;
    writer->done = group;
    writer->durable = durable;
    writer->stats.syncs++;
    writer->stats.sync_us_total += took_us;
    if (took_us > writer->stats.sync_us_max)
        writer->stats.sync_us_max = took_us;
    writer->stats.queued_bytes -= group->bytes;
    pthread_mutex_unlock(&writer->mutex);
    return durable;
}

static void *run(void *context)
{
    struct thread_log_writer *writer = context;
    for (struct group *group; (group = take_group(writer));) {
        point_at_entries(group);
        uint64_t start_us = monotonic_us();
        raft_log_write(writer->log, group->writes, group->writes_count);
        uint64_t durable = give_group(writer, group, monotonic_us() - start_us);
        writer->wake(writer->context, durable);
    }
    return NULL;
}

/* ---- the loop's side ------------------------------------------------------------- */

static void wake_thread(struct thread_log_writer *writer)
{
    if (sem_post(&writer->queued) != 0)
        fatal("a semaphore: %s", strerror(errno));
}

static void submit(struct raft_log_writer *base, const struct raft_write *write)
{
    struct thread_log_writer *writer = writer_of(base);
    check(write->seq > writer->submitted);
    writer->submitted = write->seq;
    pthread_mutex_lock(&writer->mutex);
    check(!writer->stopping);
    bool first = writer->filling->writes_count == 0;
    writer->stats.queued_bytes += group_add(writer->filling, write);
    pthread_mutex_unlock(&writer->mutex);
    if (first)
        wake_thread(writer);
}

uint64_t raft_log_writer_poll(struct raft_log_writer *base)
{
    struct thread_log_writer *writer = writer_of(base);
    pthread_mutex_lock(&writer->mutex);
    uint64_t durable = writer->durable;
    struct group *done = writer->done;
    writer->done = NULL;
    pthread_mutex_unlock(&writer->mutex);
    while (done) {
        struct group *group = done;
        done = group->next;
        group_release_blobs(group);
        if (group->entries_capacity > GROUP_ENTRIES_KEPT) {
            group_free(group);
            continue;
        }
        pthread_mutex_lock(&writer->mutex);
        group->next = writer->spare;
        writer->spare = group;
        pthread_mutex_unlock(&writer->mutex);
    }
    return durable;
}

void raft_log_writer_stats(struct raft_log_writer *base, struct raft_log_writer_stats *stats)
{
    struct thread_log_writer *writer = writer_of(base);
    pthread_mutex_lock(&writer->mutex);
    *stats = writer->stats;
    pthread_mutex_unlock(&writer->mutex);
}

static const struct raft_log_writer_ops thread_ops = {.submit = submit};

static void start_thread(struct thread_log_writer *writer)
{
    int error = thread_start(&writer->thread, "log-writer", run, writer);
    if (error)
        fatal("cannot start the log writer's thread: %s", strerror(error));
}

struct raft_log_writer *raft_log_writer_start(struct raft_log *log,
                                              void (*wake)(void *context, uint64_t durable),
                                              void *context)
{
    struct thread_log_writer *writer = memory_new(sizeof *writer);
    writer->base.ops = &thread_ops;
    writer->log = log;
    writer->wake = wake;
    writer->context = context;
    pthread_mutex_init(&writer->mutex, NULL);
    if (sem_init(&writer->queued, 0, 0) != 0)
        fatal("a semaphore: %s", strerror(errno));
    writer->filling = memory_new(sizeof *writer->filling);
    start_thread(writer);
    return &writer->base;
}

void raft_log_writer_stop(struct raft_log_writer *base)
{
    struct thread_log_writer *writer = writer_of(base);
    pthread_mutex_lock(&writer->mutex);
    writer->stopping = true;
    pthread_mutex_unlock(&writer->mutex);
    wake_thread(writer);
    pthread_join(writer->thread, NULL);
    raft_log_writer_poll(base);
    while (writer->spare) {
        struct group *group = writer->spare;
        writer->spare = group->next;
        group_free(group);
    }
    group_free(writer->filling);
    sem_destroy(&writer->queued);
    pthread_mutex_destroy(&writer->mutex);
    memory_free(writer);
}
