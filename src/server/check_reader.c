/* See check_reader.h. */
#include "server/check_reader.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "base/thread.h"
#include "server/pace.h"
#include "server/ticks.h"

enum { WORK = 256 << 10, LOWEST_PRIORITY = 19 };

struct check_reader {
    struct check_reader_options options;
    int64_t began_ns;
    bool is_whole; /* the thread's until it is joined */
    pthread_t thread;
    atomic_uint_fast64_t bytes;
    atomic_bool is_stopping, is_done;
};

static void *thread_main(void *context)
{
    struct check_reader *reader = context;
    struct db_snapshot_about about;
    (void)setpriority(PRIO_PROCESS, 0, LOWEST_PRIORITY); /* of this thread; else it is not nice */
    while (!reader->is_stopping && !reader->is_whole) {
        reader->is_whole = db_content_next(reader->options.content, WORK);
        db_content_about(reader->options.content, &about);
        reader->bytes = about.bytes;
        server_keep_pace(reader->began_ns, reader->bytes, reader->options.bandwidth,
                         &reader->is_stopping);
    }
    reader->is_done = true;
    reader->options.wake(reader->options.wake_context);
    return NULL;
}

struct check_reader *server_check_reader_start(const struct check_reader_options *options)
{
    struct check_reader *reader = memory_new(sizeof *reader);
    reader->options = *options;
    reader->began_ns = server_ticks_clock_ns();
    int error = thread_start(&reader->thread, "check", thread_main, reader);
    if (error)
        fatal("cannot start the thread of a check: %s", strerror(error));
    return reader;
}

uint64_t server_check_reader_bytes(const struct check_reader *reader)
{
    return reader->bytes;
}

bool server_check_reader_is_done(const struct check_reader *reader)
{
    return reader->is_done;
}

void server_check_reader_stop(struct check_reader *reader)
{
    reader->is_stopping = true;
}

bool server_check_reader_end(struct check_reader *reader, struct db_snapshot_about *about,
                             uint64_t *hash)
{
    reader->is_stopping = true;
    if (pthread_join(reader->thread, NULL) != 0)
        fatal("cannot join the thread of a check");
    bool is_whole = reader->is_whole;
    db_content_about(reader->options.content, about);
    *hash = is_whole ? db_content_hash(reader->options.content) : 0;
    db_content_free(reader->options.content);
    memory_free(reader);
    return is_whole;
}
