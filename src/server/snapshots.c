/* See snapshots.h.  Jobs go to the thread and come back to the loop, in order; a job is one's or
 * the other's.  What a source's view shows is read by the thread alone; it is freed by the loop,
 * once no job has it. */
#include "server/snapshots.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "base/thread.h"

enum { READ_WORK = 1 << 20 }; /* then the thread looks whether it is to stop */

enum job_kind { JOB_READ, JOB_BEGIN, JOB_TAKE, JOB_DROP };

/* A view that is read. */
struct source {
    struct db_snapshot *snapshot;
    bool is_busy;   /* a job has it */
    bool is_closed; /* while busy: nobody waits for it any more */
};

struct job {
    struct job *next;
    enum job_kind kind;
    uint64_t id;           /* BEGIN, TAKE: the session */
    struct source *source; /* READ */
    struct blob *chunk;    /* TAKE: owned; READ: what came of it, NULL if nothing did */
    bool is_last;
    struct snapshot_staged staged; /* what came of TAKE */
};

struct queue {
    struct job *first, *last;
};

struct server_snapshots {
    struct snapshot_port port; /* first */
    struct server_snapshots_options options;
    pthread_t thread;
    atomic_bool is_stopping;

    /* -- the loop's ----------------------------------------------------------- */
    uint64_t id; /* of the session that is staged */

    /* -- the thread's, until it has stopped ----------------------------------- */
    struct db_install *install;

    /* -- both, under the mutex -------------------------------------------------- */
    pthread_mutex_t mutex;
    pthread_cond_t queued;
    struct queue asked, done;
};

static void push(struct queue *queue, struct job *job)
{
    job->next = NULL;
    if (queue->last)
        queue->last->next = job;
    else
        queue->first = job;
    queue->last = job;
}

static struct job *pop(struct queue *queue)
{
    struct job *job = queue->first;
    if (!job)
        return NULL;
    queue->first = job->next;
    if (!queue->first)
        queue->last = NULL;
    return job;
}

/* ---- the thread -------------------------------------------------------------------- */

static void read_chunk(struct server_snapshots *snapshots, struct job *job)
{
    struct db_snapshot *snapshot = job->source->snapshot;
    uint64_t number;
    while (!db_snapshot_next(snapshot, READ_WORK))
        if (snapshots->is_stopping)
            return;
    job->chunk = blob_copy(db_snapshot_chunk(snapshot, &number));
    job->is_last = db_snapshot_is_end(snapshot);
}

static void drop_install(struct server_snapshots *snapshots)
{
    if (!snapshots->install)
        return;
    db_install_free(snapshots->install);
    snapshots->install = NULL;
    snapshots->options.kv->ops->stage_clear(snapshots->options.kv);
}

static void begin_install(struct server_snapshots *snapshots)
{
    db_install_free(snapshots->install);
    snapshots->install = db_install_new(snapshots->options.kv, DB_INSTALL_RUN);
}

static void take_chunk(struct server_snapshots *snapshots, struct job *job)
{
    struct db_install *install = snapshots->install;
    struct db_snapshot_about about;
    enum db_install_result result = db_install_take(install, blob_bytes(job->chunk));
    db_install_about(install, &about);
    job->staged =
        (struct snapshot_staged){.id = job->id,
                                 .chunks = about.chunks,
                                 .rows = about.rows,
                                 .bytes = about.bytes,
                                 .is_whole = db_install_is_whole(install),
                                 .pos = {about.term, about.index},
                                 .error = result == DB_INSTALL_OK ? NULL : db_install_text(result)};
}

static void work(struct server_snapshots *snapshots, struct job *job)
{
    switch (job->kind) {
    case JOB_READ: read_chunk(snapshots, job); break;
    case JOB_BEGIN: begin_install(snapshots); break;
    case JOB_TAKE: take_chunk(snapshots, job); break;
    case JOB_DROP: drop_install(snapshots); break;
    }
}

/* NULL: it is to stop. */
static struct job *next_job(struct server_snapshots *snapshots)
{
    struct job *job = NULL;
    pthread_mutex_lock(&snapshots->mutex);
    while (!snapshots->asked.first && !snapshots->is_stopping)
        pthread_cond_wait(&snapshots->queued, &snapshots->mutex);
    if (!snapshots->is_stopping)
        job = pop(&snapshots->asked);
    pthread_mutex_unlock(&snapshots->mutex);
    return job;
}

static void *thread_main(void *context)
{
    struct server_snapshots *snapshots = context;
    for (struct job *job; (job = next_job(snapshots));) {
        work(snapshots, job);
        pthread_mutex_lock(&snapshots->mutex);
        push(&snapshots->done, job);
        pthread_mutex_unlock(&snapshots->mutex);
        snapshots->options.wake(snapshots->options.wake_context);
    }
    return NULL;
}

/* ---- the port ---------------------------------------------------------------------- */

static struct server_snapshots *snapshots_of(struct snapshot_port *port)
{
    return (struct server_snapshots *)port;
}

static void submit(struct server_snapshots *snapshots, struct job job)
{
    struct job *kept = memory_copy(&job, sizeof job);
    pthread_mutex_lock(&snapshots->mutex);
    push(&snapshots->asked, kept);
    pthread_mutex_unlock(&snapshots->mutex);
    pthread_cond_signal(&snapshots->queued);
}

static void *open_source(struct snapshot_port *port, struct raft_pos *pos, uint64_t *bytes)
{
    const struct server_snapshots_options *options = &snapshots_of(port)->options;
    struct db_snapshot *snapshot = db_snapshot_new(options->db, DB_SNAPSHOT_CHUNK);
    struct db_snapshot_about about;
    if (!snapshot)
        return NULL;
    db_snapshot_about(snapshot, &about);
    *pos = (struct raft_pos){about.term, about.index};
    *bytes = db_snapshot_expected(options->kv);
    struct source *source = memory_new(sizeof *source);
    source->snapshot = snapshot;
    return source;
}

static void free_source(struct source *source)
{
    db_snapshot_free(source->snapshot);
    memory_free(source);
}

static void read_source(struct snapshot_port *port, void *source)
{
    struct source *read = source;
    check(!read->is_busy && !read->is_closed);
    read->is_busy = true;
    submit(snapshots_of(port), (struct job){.kind = JOB_READ, .source = read});
}

static void close_source(struct snapshot_port *port, void *source)
{
    struct source *closed = source;
    (void)port;
    closed->is_closed = true;
    if (!closed->is_busy)
        free_source(closed);
}

static void begin(struct snapshot_port *port, uint64_t id)
{
    snapshots_of(port)->id = id;
    submit(snapshots_of(port), (struct job){.kind = JOB_BEGIN, .id = id});
}

static void take(struct snapshot_port *port, struct blob *chunk)
{
    struct server_snapshots *snapshots = snapshots_of(port);
    submit(snapshots,
           (struct job){.kind = JOB_TAKE, .id = snapshots->id, .chunk = blob_take(chunk)});
}

static void drop(struct snapshot_port *port)
{
    submit(snapshots_of(port), (struct job){.kind = JOB_DROP});
}

static const struct snapshot_port_ops port_ops = {
    .open = open_source,
    .read = read_source,
    .close = close_source,
    .begin = begin,
    .take = take,
    .drop = drop,
};

/* ---- what is done ------------------------------------------------------------------ */

/* Frees the job.  `replica` NULL: nobody is told. */
static void finish(struct job *job, struct replica *replica)
{
    struct source *source = job->source;
    if (source) {
        source->is_busy = false;
        if (replica && !source->is_closed && job->chunk) {
            replica_snapshot_read(replica, source, job->chunk, job->is_last);
            job->chunk = NULL;
        }
        if (source->is_closed)
            free_source(source);
    }
    if (job->kind == JOB_TAKE && replica)
        replica_snapshot_staged(replica, &job->staged);
    blob_release(job->chunk);
    memory_free(job);
}

void server_snapshots_poll(struct server_snapshots *snapshots, struct replica *replica)
{
    for (;;) {
        pthread_mutex_lock(&snapshots->mutex);
        struct job *job = pop(&snapshots->done);
        pthread_mutex_unlock(&snapshots->mutex);
        if (!job)
            return;
        finish(job, replica);
    }
}

/* ---- life -------------------------------------------------------------------------- */

struct snapshot_port *server_snapshots_port(struct server_snapshots *snapshots)
{
    return &snapshots->port;
}

static void start_thread(struct server_snapshots *snapshots)
{
    int error = thread_start(&snapshots->thread, "snapshots", thread_main, snapshots);
    if (error)
        fatal("cannot start the thread of snapshots: %s", strerror(error));
}

struct server_snapshots *server_snapshots_start(const struct server_snapshots_options *options)
{
    struct server_snapshots *snapshots = memory_new(sizeof *snapshots);
    snapshots->port.ops = &port_ops;
    snapshots->options = *options;
    pthread_mutex_init(&snapshots->mutex, NULL);
    pthread_cond_init(&snapshots->queued, NULL);
    start_thread(snapshots);
    return snapshots;
}

void server_snapshots_stop(struct server_snapshots *snapshots)
{
    struct job *left;
    pthread_mutex_lock(&snapshots->mutex);
    snapshots->is_stopping = true;
    pthread_mutex_unlock(&snapshots->mutex);
    pthread_cond_signal(&snapshots->queued);
    if (pthread_join(snapshots->thread, NULL) != 0)
        fatal("cannot join the thread of snapshots");
    while ((left = pop(&snapshots->asked)) || (left = pop(&snapshots->done)))
        finish(left, NULL);
}

struct db_install *server_snapshots_staged(struct server_snapshots *snapshots)
{
    return snapshots->install;
}

void server_snapshots_free(struct server_snapshots *snapshots)
{
    db_install_free(snapshots->install);
    pthread_cond_destroy(&snapshots->queued);
    pthread_mutex_destroy(&snapshots->mutex);
    memory_free(snapshots);
}
