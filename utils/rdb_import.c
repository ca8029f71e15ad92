/* From Redis: each value of the file becomes a RESTORE, each library a FUNCTION LOAD, and these are
 * the entries of a log that nobody has to keep.
 *
 * The file is gone through twice: once to know that it is sound, when nothing is made yet, and once
 * to take it over.  What only the second time shows, a field twice or a library that does not load,
 * takes away what was made.
 *
 * Each import has an origin of its own, so that directories of two imports, which need not agree
 * about what was past its time, are never of one cluster. */
#include "rdb_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backups.h"
#include "base/fatal.h"
#include "command/rdb_file.h"
#include "files.h"
#include "offline.h"
#include "storage/raft_log.h"

enum { NAME_SHOWN = 64, FIRST_TERM = 1 };

struct import {
    const char *path;
    struct bytes bytes; /* of the file */
    int64_t now_ms;
    uint64_t keys, libraries, expired, empty;
    uint64_t in_database[DB_DATABASES];
    struct buffer payload, reply;
};

/* ---- what is said -------------------------------------------------------------------------- */

static void show_progress(const struct import *import, const char *what, size_t at, bool is_end)
{
    if (file_progress_is_due(is_end))
        fprintf(stderr, "\r%s: %.1f of %.1f MB, %" PRIu64 " keys%s", what, (double)at / 1e6,
                (double)import->bytes.size / 1e6, import->keys, is_end ? "\n" : "");
}

static bool refused_at(const struct import *import, const struct rdb_file *file, const char *why)
{
    file_progress_end_line();
    fprintf(stderr, "%s: at byte %zu: %s\n", import->path, file->item, why);
    return false;
}

static bool refused_key(const struct import *import, const struct rdb_file *file, const char *why)
{
    int size = (int)(file->name.size < NAME_SHOWN ? file->name.size : NAME_SHOWN);
    file_progress_end_line();
    fprintf(stderr, "%s: at byte %zu: the key %.*s in database %u: %s\n", import->path, file->item,
            size, (const char *)file->name.data, file->database, why);
    return false;
}

static void tell_module(const struct import *import, const struct rdb_file *file)
{
    file_progress_end_line();
    fprintf(stderr, "%s: at byte %zu: left out: what the module %s keeps beside the keys\n",
            import->path, file->item, file->module);
}

static void print_about(const struct import *import)
{
    for (unsigned i = 0; i < DB_DATABASES; i++)
        if (import->in_database[i] > 0)
            printf("keys      %" PRIu64 " in database %u\n", import->in_database[i], i);
    if (import->libraries > 0)
        printf("functions %" PRIu64 " libraries\n", import->libraries);
    if (import->expired > 0)
        printf("left out  %" PRIu64 " keys whose time has passed\n", import->expired);
    if (import->empty > 0)
        printf("left out  %" PRIu64 " keys without an element, as Redis does\n", import->empty);
}

/* ---- the file ------------------------------------------------------------------------------ */

/* Whether Redis would not load it either. */
static bool is_left_out(struct import *import, const struct rdb_file *file)
{
    bool is_expired = file->has_deadline && file->deadline_ms <= import->now_ms;
    bool is_empty = file->elements == 0;
    import->expired += is_expired;
    import->empty += is_empty && !is_expired;
    return is_expired || is_empty;
}

static bool restore(struct import *import, struct rdb_file *file, struct offline *offline)
{
    char deadline[24];
    struct buffer *payload = &import->payload;
    if (is_left_out(import, file))
        return true;
    buffer_clear(payload);
    buffer_append_byte(payload, (char)file->kind);
    buffer_append_bytes(payload, file->value);
    rdb_write_footer(payload, rdb_crc(0, buffer_bytes(payload)));
    snprintf(deadline, sizeof deadline, "%" PRId64, file->has_deadline ? file->deadline_ms : 0);
    struct bytes words[] = {bytes_from_string("RESTORE"), file->name, bytes_from_string(deadline),
                            buffer_bytes(payload), bytes_from_string("ABSTTL")};
    if (!offline_write(offline, file->database, words, 5, &import->reply))
        return refused_key(import, file, offline_error(&import->reply));
    import->keys++;
    import->in_database[file->database]++;
    return true;
}

static bool load(struct import *import, struct rdb_file *file, struct offline *offline)
{
    struct bytes words[] = {bytes_from_string("FUNCTION"), bytes_from_string("LOAD"), file->value};
    if (!offline_write(offline, 0, words, 3, &import->reply))
        return refused_at(import, file, offline_error(&import->reply));
    import->libraries++;
    return true;
}

/* offline NULL: it is looked at, no more. */
static bool take_item(struct import *import, struct rdb_file *file, enum rdb_file_step step,
                      struct offline *offline)
{
    switch (step) {
    case RDB_FILE_REFUSED: return refused_at(import, file, file->refusal);
    case RDB_FILE_MODULE:
        if (!offline)
            tell_module(import, file);
        return true;
    case RDB_FILE_KEY:
        if (offline)
            return restore(import, file, offline);
        import->keys++;
        return true;
    case RDB_FILE_LIBRARY: return !offline || load(import, file, offline);
    case RDB_FILE_END:
        if (!offline && file->has_no_sum)
            fprintf(stderr, "%s: has no checksum: damage may go unnoticed\n", import->path);
        return true;
    }
    return false;
}

static bool go_through(struct import *import, struct offline *offline)
{
    struct rdb_file file;
    enum rdb_file_step step = RDB_FILE_KEY;
    const char *what = offline ? "taken over" : "looked at";
    bool is_well = true;
    import->keys = 0;
    rdb_file_open(&file, import->bytes);
    while (is_well && step != RDB_FILE_END) {
        step = rdb_file_next(&file);
        is_well = take_item(import, &file, step, offline);
        show_progress(import, what, file.words.at, is_well && step == RDB_FILE_END);
    }
    rdb_file_close(&file);
    return is_well;
}

/* ---- the directory ------------------------------------------------------------------------- */

static uint64_t random_number(void)
{
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        fatal("no random numbers: %s", strerror(errno));
    return number;
}

/* The log begins behind an entry, so there is one, whatever the file has. */
static bool take_over(struct import *import, struct kv *kv)
{
    struct offline offline;
    struct bytes first = bytes_from_string("FLUSHALL");
    offline_open(&offline, kv, FIRST_TERM, import->now_ms, random_number());
    bool is_done = offline_write(&offline, 0, &first, 1, &import->reply);
    is_done = is_done && go_through(import, &offline);
    struct raft_pos pos = offline_store(&offline);
    offline_close(&offline);
    if (!is_done)
        return false;
    struct kv_batch *batch = kv->ops->batch_new(kv);
    raft_log_begin(kv, batch, pos, random_number() | 1);
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
    return true;
}

static bool fill(struct import *import, const char *directory)
{
    struct kv *kv = backup_store(directory);
    if (!kv)
        return false;
    bool is_done = take_over(import, kv);
    kv->ops->close(kv);
    return is_done;
}

static bool make_directory(struct import *import, const char *directory)
{
    char part[PATH_MAX_SIZE];
    if (!file_beside(directory, ".part", part) || !file_is_free(directory) || !file_is_free(part))
        return false;
    if (!go_through(import, NULL))
        return false;
    bool is_done = fill(import, part) && file_give_directory_name(part, directory);
    if (is_done)
        print_about(import);
    else
        file_remove_tree(part);
    return is_done;
}

/* ---- */

static bool map(struct import *import)
{
    struct stat status;
    int fd = open(import->path, O_RDONLY | O_CLOEXEC);
    bool is_open = fd >= 0 && fstat(fd, &status) == 0;
    if (!is_open)
        file_failed("cannot open", import->path);
    if (is_open && status.st_size > 0) {
        void *at = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        is_open = at != MAP_FAILED || file_failed("cannot read", import->path);
        if (is_open)
            import->bytes = bytes_of(at, (size_t)status.st_size);
    }
    if (fd >= 0)
        close(fd);
    return is_open;
}

bool rdb_import(const char *path, const char *directory)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct import import = {.path = path,
                            .bytes = bytes_of("", 0),
                            .now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000};
    if (!map(&import))
        return false;
    bool is_done = make_directory(&import, directory);
    if (import.bytes.size > 0)
        munmap((void *)(uintptr_t)import.bytes.data, import.bytes.size);
    buffer_deinit(&import.payload);
    buffer_deinit(&import.reply);
    return is_done;
}
