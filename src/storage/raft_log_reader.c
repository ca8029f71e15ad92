/* The thread takes one reading after the other; those for a member wait behind those for another,
 * each of which is bounded.  It makes the payload blobs, and hands them over whole: their counters
 * are touched by one thread at a time. */
#include "storage/raft_log_reader.h"

#include <pthread.h>

#include "base/blob.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "base/thread.h"

struct queue {
    struct raft_log_reading *first, *last;
};

struct thread_log_reader {
    struct raft_log_reader base;

    /* -- set before the thread starts ------------------------------------- */
    struct raft_log *log; /* borrowed; raft_log_read is called by the thread alone */
    void (*wake)(void *context);
    void *context;
    pthread_t thread;

    /* -- both threads, under the mutex -------------------------------------- */
    pthread_mutex_t mutex;
    pthread_cond_t queued;
    struct queue asked, done;
    bool stopping;
};

struct raft_log_reading *raft_log_reading_new(raft_node_id owner, raft_index first, uint32_t count,
                                              uint64_t bytes_max)
{
    struct raft_log_reading *reading =
        memory_new(sizeof *reading + count * sizeof reading->entries[0]);
    reading->owner = owner;
    reading->first = first;
    reading->count = count;
    reading->bytes_max = bytes_max;
    return reading;
}

void raft_log_reading_free(struct raft_log_reading *reading)
{
    for (uint32_t i = 0; reading && i < reading->done; i++)
        blob_release(reading->entries[i].payload);
    memory_free(reading);
}

static void push(struct queue *queue, struct raft_log_reading *reading)
{
    reading->next = NULL;
    if (queue->last)
        queue->last->next = reading;
    else
        queue->first = reading;
    queue->last = reading;
}

static struct raft_log_reading *pop(struct queue *queue)
{
    struct raft_log_reading *reading = queue->first;
    if (!reading)
        return NULL;
    queue->first = reading->next;
    if (!queue->first)
        queue->last = NULL;
    return reading;
}

/* ---- the thread ------------------------------------------------------------------- */

/* NULL: we are to stop. */
static struct raft_log_reading *take(struct thread_log_reader *reader)
{
    struct raft_log_reading *reading = NULL;
    pthread_mutex_lock(&reader->mutex);
    while (!reader->asked.first && !reader->stopping)
        pthread_cond_wait(&reader->queued, &reader->mutex);
    if (!reader->stopping)
        reading = pop(&reader->asked);
    pthread_mutex_unlock(&reader->mutex);
    return reading;
}

static void *run(void *context)
{
    struct thread_log_reader *reader = context;
    for (struct raft_log_reading *reading; (reading = take(reader));) {
        reading->done = raft_log_read(reader->log, reading->first, reading->count,
                                      reading->bytes_max, reading->entries);
        pthread_mutex_lock(&reader->mutex);
        push(&reader->done, reading);
        pthread_mutex_unlock(&reader->mutex);
        reader->wake(reader->context);
    }
    return NULL;
}

/* ---- the loop's side ---------------------------------------------------------------- */

static void submit(struct raft_log_reader *base, struct raft_log_reading *reading)
{
    struct thread_log_reader *reader = (struct thread_log_reader *)base;
    pthread_mutex_lock(&reader->mutex);
    check(!reader->stopping);
    push(&reader->asked, reading);
    pthread_mutex_unlock(&reader->mutex);
    pthread_cond_signal(&reader->queued);
}

struct raft_log_reading *raft_log_reader_poll(struct raft_log_reader *base)
{
    struct thread_log_reader *reader = (struct thread_log_reader *)base;
    pthread_mutex_lock(&reader->mutex);
    struct raft_log_reading *reading = pop(&reader->done);
    pthread_mutex_unlock(&reader->mutex);
    return reading;
}

static const struct raft_log_reader_ops thread_ops = {.submit = submit};

static void start_thread(struct thread_log_reader *reader)
{
    int error = thread_start(&reader->thread, "log-reader", run, reader);
    if (error)
        fatal("cannot start the log reader's thread: %s", strerror(error));
}

struct raft_log_reader *raft_log_reader_start(struct raft_log *log, void (*wake)(void *context),
                                              void *context)
{
    struct thread_log_reader *reader = memory_new(sizeof *reader);
    reader->base.ops = &thread_ops;
    reader->log = log;
    reader->wake = wake;
    reader->context = context;
    pthread_mutex_init(&reader->mutex, NULL);
    pthread_cond_init(&reader->queued, NULL);
    start_thread(reader);
    return &reader->base;
}

void raft_log_reader_stop(struct raft_log_reader *base)
{
    struct thread_log_reader *reader = (struct thread_log_reader *)base;
    struct raft_log_reading *left;
    pthread_mutex_lock(&reader->mutex);
    reader->stopping = true;
    pthread_mutex_unlock(&reader->mutex);
    pthread_cond_signal(&reader->queued);
    pthread_join(reader->thread, NULL);
    while ((left = pop(&reader->asked)) || (left = pop(&reader->done)))
        raft_log_reading_free(left);
    pthread_cond_destroy(&reader->queued);
    pthread_mutex_destroy(&reader->mutex);
    memory_free(reader);
}
