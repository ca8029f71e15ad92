/* See backup_file.h.  What is written is NAME.part until it is whole and synced: a file of the name
 * that was asked for is a whole one.  The disk here is not the store's: an error of it ends the
 * backup, not the node. */
#include "server/backup_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "server/pace.h"
#include "server/ticks.h"
#include "storage/durable.h"

enum { WORK = 1 << 20, ERROR_SIZE = 256 };

struct backup_file {
    struct backup_file_options options;
    char *name; /* owned */
    int directory, fd;
    int64_t began_ns;
    char error[ERROR_SIZE]; /* the thread's until it is joined */
    pthread_t thread;
    atomic_uint_fast64_t bytes;
    atomic_bool is_stopping, is_done;
};

static void part_name(const struct backup_file *file, char part[512])
{
    snprintf(part, 512, "%s.part", file->name);
}

static bool failed(struct backup_file *file, const char *what)
{
    snprintf(file->error, sizeof file->error, "cannot %s: %s", what, strerror(errno));
    return false;
}

static bool write_all(struct backup_file *file, struct bytes bytes)
{
    while (bytes.size > 0) {
        ssize_t written = write(file->fd, bytes.data, bytes.size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return failed(file, "write");
        if (!durable_begin(file->fd, file->bytes, (uint64_t)written))
            return failed(file, "write");
        file->bytes += (uint64_t)written;
        bytes = bytes_of((const char *)bytes.data + written, bytes.size - (size_t)written);
    }
    return true;
}

static bool write_snapshot(struct backup_file *file)
{
    struct db_snapshot *snapshot = file->options.snapshot;
    uint64_t number;
    while (!db_snapshot_is_end(snapshot)) {
        if (file->is_stopping) {
            snprintf(file->error, sizeof file->error, "the node stops");
            return false;
        }
        if (!db_snapshot_next(snapshot, WORK))
            continue;
        if (!write_all(file, db_snapshot_chunk(snapshot, &number)))
            return false;
        server_keep_pace(file->began_ns, file->bytes, file->options.bandwidth, &file->is_stopping);
    }
    return true;
}

/* Renaming would write over a file that came meanwhile; a link does not. */
static bool give_name(struct backup_file *file, const char *part)
{
    if (fsync(file->fd) != 0)
        return failed(file, "sync");
    if (linkat(file->directory, part, file->directory, file->name, 0) != 0)
        return failed(file, "name the file");
    return fsync(file->directory) == 0 || failed(file, "sync the directory");
}

static void *thread_main(void *context)
{
    struct backup_file *file = context;
    char part[512];
    part_name(file, part);
    if (write_snapshot(file))
        give_name(file, part);
    unlinkat(file->directory, part, 0);
    file->is_done = true;
    file->options.wake(file->options.wake_context);
    return NULL;
}

static void deinit(struct backup_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    if (file->directory >= 0)
        close(file->directory);
    memory_free(file->name);
    memory_free(file);
}

static bool open_file(struct backup_file *file)
{
    char part[512];
    struct stat status;
    part_name(file, part);
    file->directory = open(file->options.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->directory < 0)
        return failed(file, "open backup-dir");
    if (fstatat(file->directory, file->name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        snprintf(file->error, sizeof file->error, "there is a file of this name");
        return false;
    }
    file->fd =
        openat(file->directory, part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
    return file->fd >= 0 || failed(file, "create the file");
}

struct backup_file *server_backup_file_start(const struct backup_file_options *options, char *error,
                                             size_t size)
{
    struct backup_file *file = memory_new(sizeof *file);
    file->options = *options;
    file->name = memory_string(options->name);
    file->directory = file->fd = -1;
    file->began_ns = server_ticks_clock_ns();
    if (!open_file(file)) {
        snprintf(error, size, "%s", file->error);
        deinit(file);
        return NULL;
    }
    if (pthread_create(&file->thread, NULL, thread_main, file) != 0)
        fatal("cannot start a thread for a backup");
    return file;
}

uint64_t server_backup_file_bytes(const struct backup_file *file)
{
    return file->bytes;
}

bool server_backup_file_is_done(const struct backup_file *file)
{
    return file->is_done;
}

void server_backup_file_end(struct backup_file *file, char *error, size_t size)
{
    file->is_stopping = true;
    if (pthread_join(file->thread, NULL) != 0)
        fatal("cannot join the thread of a backup");
    snprintf(error, size, "%s", file->error);
    deinit(file);
}
