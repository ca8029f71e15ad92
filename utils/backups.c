/* See backups.h.  A backup is a snapshot (src/data/snapshot.h), chunk behind chunk.  What is made
 * has the name NAME.part until it is whole and durable. */
#include "backups.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "data/snapshot.h"
#include "storage/kv.h"
#include "storage/raft_log.h"

enum { PATH_MAX_SIZE = 4096, LATER_MS = 2, PROGRESS_S = 1, RESTORE_CACHE = 16 << 20 };

static bool failed(const char *what, const char *about)
{
    fprintf(stderr, "%s %s: %s\n", what, about, strerror(errno));
    return false;
}

static bool refused(const char *what, const char *about)
{
    fprintf(stderr, "%s: %s\n", what, about);
    return false;
}

/* Once a second: how much there is by now. */
static void show_progress(const struct db_install *install, bool is_end)
{
    static time_t last;
    struct db_snapshot_about about;
    time_t now = time(NULL);
    if (now - last < PROGRESS_S && !is_end)
        return;
    last = now;
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

/* The directory that holds a path. */
static bool sync_parent(const char *path)
{
    char parent[PATH_MAX_SIZE];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = '\0';
    int fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_done = fd >= 0 && fsync(fd) == 0;
    if (!is_done)
        failed("cannot sync the directory of", path);
    if (fd >= 0)
        close(fd);
    return is_done;
}

static bool is_free(const char *path)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return errno == ENOENT || failed("cannot use", path);
    return refused(path, "exists already");
}

/* ---- from a node -------------------------------------------------------------------- */

static bool write_chunk(int fd, struct bytes chunk, const char *path)
{
    while (chunk.size > 0) {
        ssize_t written = write(fd, chunk.data, chunk.size);
        if (written < 0 && errno != EINTR)
            return failed("cannot write", path);
        if (written > 0)
            chunk = bytes_of((const char *)chunk.data + written, chunk.size - (size_t)written);
    }
    return true;
}

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
    refused("the node", !reply                             ? connection->errstr
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
        is_well = result == DB_INSTALL_OK ? write_chunk(fd, chunk, path)
                                          : refused("a chunk is", db_install_text(result));
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
    snprintf(part, sizeof part, "%s.part", path);
    if (!is_free(path))
        return false;
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return failed("cannot create", part);
    bool is_done = read_snapshot(connection, fd, part) &&
                   (fsync(fd) == 0 || failed("cannot sync", part)) &&
                   (link(part, path) == 0 || failed("cannot name", path));
    close(fd);
    unlink(part);
    return is_done && sync_parent(path);
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
            return !ferror(file) || failed("cannot read", path);
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
        return refused(path, "ends before the end of the snapshot");
    uint64_t size = db_install_chunk_size(buffer_bytes(chunk));
    if (size == 0)
        return refused(path, "is no backup, or damaged: no chunk begins where one should");
    if (!read_bytes(file, chunk, size, path))
        return false;
    enum db_install_result result = db_install_take(install, buffer_bytes(chunk));
    show_progress(install, false);
    if (result == DB_INSTALL_OK)
        return true;
    struct db_snapshot_about about;
    db_install_about(install, &about);
    fprintf(stderr, "\n%s: chunk %" PRIu64 " is %s\n", path, about.chunks,
            chunk->size < size ? "cut short" : db_install_text(result));
    return false;
}

static bool take_file(const char *path, struct db_install *install)
{
    FILE *file = fopen(path, "re");
    struct buffer chunk = {0};
    if (!file)
        return failed("cannot open", path);
    while (!db_install_is_whole(install) && take_chunk(file, install, &chunk, path))
        ;
    bool is_whole = db_install_is_whole(install);
    if (is_whole && fgetc(file) != EOF)
        is_whole = refused(path, "something follows behind the end of the snapshot");
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

static bool fill(const char *path, const char *directory)
{
    const struct kv_options options = {.cache_bytes = RESTORE_CACHE,
                                       .log_memtable_bytes = RESTORE_CACHE,
                                       .wal_bytes_max = 4 * RESTORE_CACHE};
    char error[1024];
    struct kv *kv = kv_rocksdb_open(directory, &options, error, sizeof error);
    if (!kv)
        return refused(directory, error);
    struct db_install *install = db_install_new(kv, DB_INSTALL_RUN);
    bool is_whole = take_file(path, install);
    if (is_whole)
        commit(kv, install);
    db_install_free(install);
    kv->ops->close(kv);
    return is_whole;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

bool backup_restore(const char *path, const char *directory)
{
    char part[PATH_MAX_SIZE];
    int length = snprintf(part, sizeof part, "%s.part", directory);
    if (length < 0 || (size_t)length >= sizeof part)
        return refused(directory, "the name is too long");
    if (!is_free(directory) || !is_free(part))
        return false;
    bool is_done = fill(path, part) &&
                   (rename(part, directory) == 0 || failed("cannot name", directory)) &&
                   sync_parent(directory);
    if (!is_done)
        nftw(part, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return is_done;
}
