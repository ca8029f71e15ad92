/* See backups.h.  A backup is a snapshot (src/data/snapshot.h), chunk behind chunk.  What is made
 * has the name NAME.part until it is whole and durable. */
#include "backups.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "data/snapshot.h"
#include "files.h"
#include "storage/kv.h"
#include "storage/raft_log.h"

enum { LATER_MS = 2, RESTORE_CACHE = 16 << 20 };

/* Once a second: how much there is by now. */
static void show_progress(const struct db_install *install, bool is_end)
{
    struct db_snapshot_about about;
    if (!file_progress_is_due(is_end))
        return;
    db_install_about(install, &about);
    fprintf(stderr, "\r%.1f MB, %" PRIu64 " rows", (double)about.bytes / 1e6, about.rows);
    if (is_end)
        fprintf(stderr, "\n");
}

static void print_about(const struct db_snapshot_about *about)
{
    time_t seconds = (time_t)(about->time_ms / 1000);
    char text[64] = "";
    struct tm time;
    if (gmtime_r(&seconds, &time))
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &time);
    printf("cluster   %016" PRIx64 "\n", about->cluster);
    printf("position  entry %" PRIu64 " of term %" PRIu64 ", %s\n", about->index, about->term,
           text);
    printf("meaning   %u\n", about->meaning);
    for (unsigned i = 0; i < DB_DATABASES; i++)
        if (about->keys[i] > 0)
            printf("keys      %" PRIu64 " in database %u\n", about->keys[i], i);
    printf("rows      %" PRIu64 ", %" PRIu64 " bytes, in %" PRIu64 " chunks\n", about->rows,
           about->bytes, about->chunks);
}

/* ---- from a node -------------------------------------------------------------------- */

static redisReply *ask(redisContext *connection, int type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* NULL, and said so: an error, no answer, or one of another type; a null is none. */
static redisReply *ask(redisContext *connection, int type, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(connection, format, arguments);
    va_end(arguments);
    if (reply && (reply->type == type || reply->type == REDIS_REPLY_NIL))
        return reply;
    file_refused("the node", !reply                             ? connection->errstr
                             : reply->type == REDIS_REPLY_ERROR ? reply->str
                                                                : "a reply of another type");
    freeReplyObject(reply);
    return NULL;
}

/* Takes the next chunk if it is there.  False: it is over. */
static bool read_chunk(redisContext *connection, long long id, struct db_install *install, int fd,
                       const char *path)
{
    struct db_snapshot_about about;
    struct timespec later = {.tv_nsec = LATER_MS * 1000000};
    db_install_about(install, &about);
    redisReply *reply = ask(connection, REDIS_REPLY_STRING, "RAFT.SNAPSHOT CHUNK %lld %llu", id,
                            (unsigned long long)about.chunks);
    if (!reply)
        return false;
    bool is_well = true;
    if (reply->type == REDIS_REPLY_NIL) {
        nanosleep(&later, NULL);
    } else {
        struct bytes chunk = bytes_of(reply->str, reply->len);
        enum db_install_result result = db_install_take(install, chunk);
        is_well = result == DB_INSTALL_OK ? file_write(fd, chunk, path)
                                          : file_refused("a chunk is", db_install_text(result));
    }
    freeReplyObject(reply);
    show_progress(install, false);
    return is_well;
}

static bool read_snapshot(redisContext *connection, int fd, const char *path)
{
    redisReply *begun = ask(connection, REDIS_REPLY_INTEGER, "RAFT.SNAPSHOT BEGIN");
    if (!begun)
        return false;
    struct db_install *install = db_install_new(NULL, 0);
    long long id = begun->integer;
    freeReplyObject(begun);
    while (!db_install_is_whole(install) && read_chunk(connection, id, install, fd, path))
        ;
    bool is_whole = db_install_is_whole(install);
    if (is_whole) {
        struct db_snapshot_about about;
        db_install_about(install, &about);
        show_progress(install, true);
        print_about(&about);
    }
    db_install_free(install);
    freeReplyObject(redisCommand(connection, "RAFT.SNAPSHOT END %lld", id));
    return is_whole;
}

bool backup_read(redisContext *connection, const char *path)
{
    char part[PATH_MAX_SIZE];
    if (!file_beside(path, ".part", part) || !file_is_free(path))
        return false;
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return file_failed("cannot create", part);
    bool is_done = read_snapshot(connection, fd, part) && file_give_name(fd, part, path);
    close(fd);
    unlink(part);
    return is_done;
}

/* ---- from a file --------------------------------------------------------------------- */

/* Fills the cleared buffer with the next `size` bytes, or what there is of them. */
static bool read_bytes(FILE *file, struct buffer *bytes, uint64_t size, const char *path)
{
    enum { STEP = 1 << 20 }; /* what a damaged size says is not believed at once */
    while (bytes->size < size) {
        uint64_t left = size - bytes->size;
        size_t step = left < STEP ? (size_t)left : STEP;
        buffer_reserve(bytes, step);
        size_t got = fread(bytes->data + bytes->size, 1, step, file);
        bytes->size += got;
        if (got < step)
            return !ferror(file) || file_failed("cannot read", path);
    }
    return true;
}

/* False: it is over, well or not. */
static bool take_chunk(FILE *file, struct db_install *install, struct buffer *chunk,
                       const char *path)
{
    buffer_clear(chunk);
    if (!read_bytes(file, chunk, DB_SNAPSHOT_HEADER, path))
        return false;
    if (chunk->size == 0)
        return file_refused(path, "ends before the end of the snapshot");
    uint64_t size = db_install_chunk_size(buffer_bytes(chunk));
    if (size == 0)
        return file_refused(path, "is no backup, or damaged: no chunk begins where one should");
    if (!read_bytes(file, chunk, size, path))
        return false;
    enum db_install_result result = db_install_take(install, buffer_bytes(chunk));
    show_progress(install, false);
    if (result == DB_INSTALL_OK)
        return true;
    struct db_snapshot_about about;
    db_install_about(install, &about);
    file_progress_end_line();
    fprintf(stderr, "%s: chunk %" PRIu64 " is %s\n", path, about.chunks,
            chunk->size < size ? "cut short" : db_install_text(result));
    return false;
}

static bool take_file(const char *path, struct db_install *install)
{
    FILE *file = fopen(path, "re");
    struct buffer chunk = {0};
    if (!file)
        return file_failed("cannot open", path);
    while (!db_install_is_whole(install) && take_chunk(file, install, &chunk, path))
        ;
    bool is_whole = db_install_is_whole(install);
    if (is_whole && fgetc(file) != EOF)
        is_whole = file_refused(path, "something follows behind the end of the snapshot");
    if (is_whole)
        show_progress(install, true);
    buffer_deinit(&chunk);
    fclose(file);
    return is_whole;
}

bool backup_verify(const char *path)
{
    struct db_snapshot_about about;
    struct db_install *install = db_install_new(NULL, 0);
    bool is_sound = take_file(path, install);
    db_install_about(install, &about);
    if (is_sound) {
        print_about(&about);
        printf("sound\n");
    }
    db_install_free(install);
    return is_sound;
}

/* ---- a data directory ---------------------------------------------------------------- */

/* Equal for all nodes that are made of the same file, and for no other. */
static uint64_t origin_of(const struct db_install *install)
{
    uint64_t origin = db_install_sum(install);
    return origin ? origin : 1;
}

static void commit(struct kv *kv, struct db_install *install)
{
    struct db_snapshot_about about;
    db_install_about(install, &about);
    struct kv_batch *batch = kv->ops->batch_new(kv);
    struct raft_pos pos = {.term = about.term, .index = about.index};
    db_install_put(install, batch, 0);
    raft_log_begin(kv, batch, pos, origin_of(install));
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
    print_about(&about);
}

struct kv *backup_store(const char *directory)
{
    const struct kv_options options = {.cache_bytes = RESTORE_CACHE,
                                       .log_memtable_bytes = RESTORE_CACHE,
                                       .wal_bytes_max = 4 * RESTORE_CACHE};
    char error[1024];
    struct kv *kv = kv_rocksdb_open(directory, &options, error, sizeof error);
    if (!kv)
        file_refused(directory, error);
    return kv;
}

bool backup_fill(const char *path, struct kv *kv, struct db_snapshot_about *about)
{
    struct db_install *install = db_install_new(kv, DB_INSTALL_RUN);
    bool is_whole = take_file(path, install);
    if (is_whole)
        commit(kv, install);
    db_install_about(install, about);
    db_install_free(install);
    return is_whole;
}

static bool fill(const char *path, const char *directory)
{
    struct db_snapshot_about about;
    struct kv *kv = backup_store(directory);
    if (!kv)
        return false;
    bool is_whole = backup_fill(path, kv, &about);
    kv->ops->close(kv);
    return is_whole;
}

bool backup_restore(const char *path, const char *directory)
{
    char part[PATH_MAX_SIZE];
    if (!file_beside(directory, ".part", part) || !file_is_free(directory) || !file_is_free(part))
        return false;
    bool is_done = fill(path, part) && file_give_directory_name(part, directory);
    if (!is_done)
        file_remove_tree(part);
    return is_done;
}
