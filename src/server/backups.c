/* See backups.h. */
#include "server/backups.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>

#include "base/fatal.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/snapshot.h"
#include "server/backup_file.h"
#include "server/ticks.h"

enum {
    STREAMS_MAX = 2,        /* each holds a view */
    STREAM_IDLE_S = 60,     /* then a stream is given up */
    CHUNK_WORK = 512 << 10, /* for one command */
    NAME_MAX_SIZE = 200
};

struct stream {
    uint64_t id; /* 0: free */
    struct db_snapshot *snapshot;
    int64_t used_us;
    uint64_t next;      /* number of the chunk that was not given yet */
    uint64_t bandwidth; /* in force */
    int64_t paced_us;   /* since then, */
    uint64_t bytes;     /* and given since then */
};

struct server_backups {
    struct server_backups_options options;
    struct stream streams[STREAMS_MAX];
    struct backup_file *file; /* under way; NULL: none */
    struct db_snapshot *snapshot;
    struct server_backup about; /* of the present one, or the last */
};

static int64_t now_us(void)
{
    return server_ticks_clock_ns() / 1000;
}

struct server_backups *server_backups_new(const struct server_backups_options *options)
{
    struct server_backups *backups = memory_new(sizeof *backups);
    backups->options = *options;
    return backups;
}

static struct db_snapshot *take_snapshot(struct server_backups *backups, char *error, size_t size)
{
    struct db_snapshot *snapshot = db_snapshot_new(backups->options.db, DB_SNAPSHOT_CHUNK);
    if (!snapshot)
        snprintf(error, size, "TRYAGAIN a command is half done, or a checkpoint has to end before");
    return snapshot;
}

/* ---- files ------------------------------------------------------------------------------- */

/* No way out of the directory, and nothing hidden. */
static bool is_name(struct bytes name)
{
    const char *at = name.data;
    if (name.size == 0 || name.size > NAME_MAX_SIZE || at[0] == '.')
        return false;
    for (size_t i = 0; i < name.size; i++) {
        bool is_letter = (at[i] >= 'a' && at[i] <= 'z') || (at[i] >= 'A' && at[i] <= 'Z');
        bool is_digit = at[i] >= '0' && at[i] <= '9';
        bool is_mark = at[i] == '.' || at[i] == '_' || at[i] == '-';
        if (!is_letter && !is_digit && !is_mark)
            return false;
    }
    return true;
}

static bool may_start(const struct server_backups *backups, struct bytes name, char *error,
                      size_t size)
{
    if (!backups->options.config->backup_dir[0])
        snprintf(error, size, "ERR no backup-dir is configured");
    else if (backups->file)
        snprintf(error, size, "ERR a backup is under way");
    else if (!is_name(name))
        snprintf(error, size, "ERR a backup is named with letters, digits, '-', '_' and '.'");
    else
        return true;
    return false;
}

bool server_backups_start(struct server_backups *backups, struct bytes name, char *error,
                          size_t size)
{
    const struct config *config = backups->options.config;
    struct server_backup about = {.is_under_way = true};
    char reason[256];
    if (!may_start(backups, name, error, size))
        return false;
    struct db_snapshot *snapshot = take_snapshot(backups, error, size);
    if (!snapshot)
        return false;
    memcpy(about.name, name.data, name.size);
    struct backup_file_options options = {.snapshot = snapshot,
                                          .directory = config->backup_dir,
                                          .name = about.name,
                                          .bandwidth = config->snapshot_bandwidth,
                                          .wake = backups->options.wake,
                                          .wake_context = backups->options.wake_context};
    struct db_snapshot_about state;
    db_snapshot_about(snapshot, &state);
    about.index = state.index;
    backups->file = server_backup_file_start(&options, reason, sizeof reason);
    if (!backups->file) {
        snprintf(error, size, "ERR %s", reason);
        db_snapshot_free(snapshot);
        return false;
    }
    backups->snapshot = snapshot;
    backups->about = about;
    log_notice("backup %s: started, of entry %" PRIu64, about.name, about.index);
    return true;
}

static void end_file(struct server_backups *backups)
{
    struct server_backup *about = &backups->about;
    about->bytes = server_backup_file_bytes(backups->file);
    server_backup_file_end(backups->file, about->error, sizeof about->error);
    db_snapshot_free(backups->snapshot);
    backups->file = NULL;
    backups->snapshot = NULL;
    about->is_under_way = false;
    if (about->error[0])
        log_warning("backup %s: failed: %s", about->name, about->error);
    else
        log_notice("backup %s: done, %" PRIu64 " bytes", about->name, about->bytes);
}

void server_backups_poll(struct server_backups *backups)
{
    if (backups->file && server_backup_file_is_done(backups->file))
        end_file(backups);
}

void server_backups_describe(const struct server_backups *backups, struct server_backup *backup)
{
    *backup = backups->about;
    if (backups->file)
        backup->bytes = server_backup_file_bytes(backups->file);
    for (unsigned i = 0; i < STREAMS_MAX; i++)
        backup->streams += backups->streams[i].id != 0;
}

/* ---- streams ------------------------------------------------------------------------------- */

static struct stream *find(struct server_backups *backups, uint64_t id)
{
    for (unsigned i = 0; i < STREAMS_MAX; i++)
        if (backups->streams[i].id == id)
            return &backups->streams[i];
    return NULL;
}

static void end_stream(struct stream *stream)
{
    db_snapshot_free(stream->snapshot);
    *stream = (struct stream){0};
}

bool server_backups_begin(struct server_backups *backups, uint64_t *id, char *error, size_t size)
{
    struct stream *stream = find(backups, 0);
    if (!stream) {
        snprintf(error, size, "ERR too many snapshots are being read");
        return false;
    }
    struct db_snapshot *snapshot = take_snapshot(backups, error, size);
    if (!snapshot)
        return false;
    do
        if (RAND_bytes((unsigned char *)id, sizeof *id) != 1)
            fatal("the system has no random bytes to give");
    while ((*id >>= 1) == 0); /* as a signed integer it is positive */
    *stream = (struct stream){.id = *id, .snapshot = snapshot, .used_us = now_us()};
    return true;
}

/* More would be beyond the bandwidth.  What was given before CONFIG SET does not count: after much
 * of it nothing would come for long. */
static bool is_ahead(const struct server_backups *backups, struct stream *stream)
{
    uint64_t bandwidth = backups->options.config->snapshot_bandwidth;
    if (bandwidth != stream->bandwidth) {
        stream->bandwidth = bandwidth;
        stream->paced_us = now_us();
        stream->bytes = 0;
    }
    return bandwidth > 0 &&
           (double)stream->bytes / (double)bandwidth * 1e6 > (double)(now_us() - stream->paced_us);
}

enum server_chunk server_backups_chunk(struct server_backups *backups, uint64_t id, uint64_t number,
                                       struct bytes *chunk)
{
    struct stream *stream = id ? find(backups, id) : NULL;
    uint64_t made = 0;
    if (!stream)
        return SERVER_CHUNK_UNKNOWN;
    struct db_snapshot *snapshot = stream->snapshot;
    stream->used_us = now_us();
    bool is_made = db_snapshot_is_made(snapshot);
    if (is_made)
        *chunk = db_snapshot_chunk(snapshot, &made);
    if (is_made && made == number)
        return SERVER_CHUNK_OK; /* again */
    if (number != stream->next || (is_made && db_snapshot_is_end(snapshot)))
        return SERVER_CHUNK_UNKNOWN;
    if (is_ahead(backups, stream) || !db_snapshot_next(snapshot, CHUNK_WORK))
        return SERVER_CHUNK_LATER;
    *chunk = db_snapshot_chunk(snapshot, &made);
    check(made == number);
    stream->next = number + 1;
    stream->bytes += chunk->size;
    return SERVER_CHUNK_OK;
}

bool server_backups_end(struct server_backups *backups, uint64_t id)
{
    struct stream *stream = id ? find(backups, id) : NULL;
    if (stream)
        end_stream(stream);
    return stream != NULL;
}

void server_backups_tick(struct server_backups *backups)
{
    for (unsigned i = 0; i < STREAMS_MAX; i++) {
        struct stream *stream = &backups->streams[i];
        if (!stream->id || now_us() - stream->used_us < STREAM_IDLE_S * 1000000ll)
            continue;
        log_warning("a snapshot that a client began to read is given up: it asked for no more");
        end_stream(stream);
    }
}

void server_backups_free(struct server_backups *backups)
{
    if (backups->file)
        end_file(backups);
    for (unsigned i = 0; i < STREAMS_MAX; i++)
        if (backups->streams[i].id)
            end_stream(&backups->streams[i]);
    memory_free(backups);
}
