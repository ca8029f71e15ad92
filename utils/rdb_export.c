/* To Redis: the state of a backup, in a store beside the file that is made, is read key by key with
 * DUMP, at the time of the backup; so the same backup gives the same file.  What is past its time
 * when the file is loaded, Redis leaves out by itself. */
#include "rdb_files.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "backups.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "command/command.h"
#include "command/rdb_file.h"
#include "data/snapshot.h"
#include "files.h"
#include "offline.h"

enum { NAME_SHOWN = 64, WRITTEN_AT_ONCE = 1 << 20, SCANNED = 1000, FIELDS_AT_ONCE = 1000 };

struct export
{
    const char *part;
    int fd;
    bool drops_field_deadlines;
    struct offline offline;
    uint64_t crc, bytes, keys, libraries, hashes, fields; /* of those: deadlines dropped */
    struct buffer out, reply;
};

/* ---- the file ------------------------------------------------------------------------------ */

static void show_progress(const struct export *export, bool is_end)
{
    if (file_progress_is_due(is_end))
        fprintf(stderr, "\r%.1f MB written, %" PRIu64 " keys%s", (double)export->bytes / 1e6,
                export->keys, is_end ? "\n" : "");
}

static bool flush(struct export *export)
{
    struct bytes out = buffer_bytes(&export->out);
    bool is_done = file_write(export->fd, out, export->part);
    export->crc = rdb_crc(export->crc, out);
    export->bytes += out.size;
    buffer_clear(&export->out);
    show_progress(export, false);
    return is_done;
}

static bool refused_key(unsigned database, struct bytes key, const char *why)
{
    int size = (int)(key.size < NAME_SHOWN ? key.size : NAME_SHOWN);
    file_progress_end_line();
    fprintf(stderr, "the key %.*s in database %u: %s\n", size, (const char *)key.data, database,
            why);
    return false;
}

/* ---- deadlines of fields ------------------------------------------------------------------- */

/* What HPERSIST says of each: 1 where there was one. */
static uint64_t count_dropped(const redisReply *reply)
{
    uint64_t count = 0;
    for (size_t i = 0; i < reply->elements; i++)
        count += reply->element[i]->integer == 1;
    return count;
}

static redisReply *parse(struct buffer *reply)
{
    void *parsed = NULL;
    redisReader *reader = redisReaderCreate();
    check(reader);
    bool is_whole = redisReaderFeed(reader, reply->data, reply->size) == REDIS_OK &&
                    redisReaderGetReply(reader, &parsed) == REDIS_OK && parsed;
    check(is_whole);
    redisReaderFree(reader);
    return parsed;
}

static bool persist_some(struct export *export, unsigned database, struct bytes key,
                         redisReply *const *names, size_t count)
{
    char digits[24];
    struct bytes words[4 + FIELDS_AT_ONCE] = {bytes_from_string("HPERSIST"), key,
                                              bytes_from_string("FIELDS")};
    snprintf(digits, sizeof digits, "%zu", count);
    words[3] = bytes_from_string(digits);
    for (size_t i = 0; i < count; i++)
        words[4 + i] = bytes_of(names[i]->str, names[i]->len);
    if (!offline_write(&export->offline, database, words, (uint32_t)(4 + count), &export->reply))
        return refused_key(database, key, offline_error(&export->reply));
    redisReply *said = parse(&export->reply);
    export->fields += count_dropped(said);
    freeReplyObject(said);
    return true;
}

static bool drop_field_deadlines(struct export *export, unsigned database, struct bytes key)
{
    struct bytes words[] = {bytes_from_string("HKEYS"), key};
    if (!offline_read(&export->offline, database, words, 2, &export->reply))
        return refused_key(database, key, offline_error(&export->reply));
    redisReply *names = parse(&export->reply);
    bool is_done = true;
    export->hashes++;
    for (size_t at = 0; is_done && at < names->elements; at += FIELDS_AT_ONCE) {
        size_t left = names->elements - at, count = left < FIELDS_AT_ONCE ? left : FIELDS_AT_ONCE;
        is_done = persist_some(export, database, key, names->element + at, count);
    }
    freeReplyObject(names);
    return is_done;
}

/* ---- keys ---------------------------------------------------------------------------------- */

/* Some names of a scan, each behind its size, u64. */
static void note_name(void *context, struct bytes key, enum db_type type)
{
    struct buffer *names = context;
    uint64_t size = key.size;
    (void)type;
    buffer_append(names, &size, sizeof size);
    buffer_append_bytes(names, key);
}

/* False: answered.  A key without one is gone by the time of the backup. */
static bool write_key(struct export *export, unsigned database, struct bytes key)
{
    struct offline *offline = &export->offline;
    struct bytes words[] = {bytes_from_string("DUMP"), key};
    struct db_record found;
    db_at(offline->db, offline->now_ms, false);
    if (!db_lookup(offline->db, database, key, &found))
        return true;
    if (found.elements_due_ms != 0) {
        if (!export->drops_field_deadlines)
            return refused_key(database, key,
                               "fields of the hash have deadlines, which Redis 7.2 does not know: "
                               "--drop-field-deadlines exports them without");
        if (!drop_field_deadlines(export, database, key))
            return false;
    }
    if (!offline_read(offline, database, words, 2, &export->reply))
        return refused_key(database, key, offline_error(&export->reply));
    rdb_file_write_key(&export->out, key, offline_bulk(&export->reply), found.deadline_ms);
    export->keys++;
    return export->out.size < WRITTEN_AT_ONCE || flush(export);
}

static bool write_names(struct export *export, unsigned database, const struct buffer *names)
{
    for (size_t at = 0; at < names->size;) {
        uint64_t size;
        memcpy(&size, names->data + at, sizeof size);
        at += sizeof size;
        if (!write_key(export, database, bytes_of(names->data + at, size)))
            return false;
        at += size;
    }
    return true;
}

static bool write_database(struct export *export, unsigned database)
{
    struct db *db = export->offline.db;
    struct db_scan_limit limit = {.keys = SCANNED, .rows = SCANNED};
    struct buffer names = {0};
    uint64_t cursor = 0;
    bool is_done = true;
    if (db_size(db, database) == 0)
        return true;
    rdb_file_write_database(&export->out, database, db_size(db, database));
    do {
        buffer_clear(&names);
        db_at(db, export->offline.now_ms, false);
        cursor = db_scan(db, database, cursor, limit, note_name, &names);
        is_done = write_names(export, database, &names);
    } while (is_done && cursor != 0);
    buffer_deinit(&names);
    return is_done;
}

/* A dump of them is what stands in a file, with a footer. */
static bool write_functions(struct export *export)
{
    struct bytes words[] = {bytes_from_string("FUNCTION"), bytes_from_string("DUMP")};
    if (!offline_read(&export->offline, 0, words, 2, &export->reply))
        return file_refused("functions", offline_error(&export->reply));
    struct bytes dump = offline_bulk(&export->reply);
    check(dump.size >= RDB_FOOTER);
    buffer_append(&export->out, dump.data, dump.size - RDB_FOOTER);
    return true;
}

static bool write_file(struct export *export)
{
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%" PRId64, export->offline.now_ms / 1000);
    rdb_file_write_header(&export->out);
    rdb_file_write_aux(&export->out, "ctime", bytes_from_string(seconds));
    if (!write_functions(export))
        return false;
    for (unsigned i = 0; i < DB_DATABASES; i++)
        if (!write_database(export, i))
            return false;
    if (!flush(export))
        return false;
    rdb_file_write_end(&export->out, export->crc);
    bool is_done = flush(export);
    show_progress(export, is_done);
    return is_done;
}

/* ---- */

static void print_about(const struct export *export)
{
    printf("keys      %" PRIu64 "\n", export->keys);
    if (export->hashes > 0)
        printf("dropped   deadlines of %" PRIu64 " fields in %" PRIu64 " hashes\n", export->fields,
               export->hashes);
}

/* A later version may have data that this one would read wrongly. */
static bool read_store(struct export *export, struct kv *kv, const struct db_snapshot_about *about)
{
    if (about->meaning > command_meaning_newest)
        return file_refused("the backup", "of a newer version than this one");
    offline_open(&export->offline, kv, about->term, about->time_ms, 0);
    bool is_done = write_file(export);
    offline_close(&export->offline);
    return is_done;
}

static bool write_part(struct export *export, const char *backup, const char *store)
{
    struct kv *kv = backup_store(store);
    if (!kv)
        return false;
    struct db_snapshot_about about;
    bool is_done = backup_fill(backup, kv, &about) && read_store(export, kv, &about);
    kv->ops->close(kv);
    return is_done;
}

bool rdb_export(const char *backup, const char *path, bool drops_field_deadlines)
{
    char part[PATH_MAX_SIZE], store[PATH_MAX_SIZE];
    struct export export = {.part = part, .drops_field_deadlines = drops_field_deadlines};
    if (!file_beside(path, ".part", part) || !file_beside(path, ".store", store) ||
        !file_is_free(path) || !file_is_free(store))
        return false;
    export.fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (export.fd < 0)
        return file_failed("cannot create", part);
    bool is_done = write_part(&export, backup, store) && file_give_name(export.fd, part, path);
    close(export.fd);
    unlink(part);
    file_remove_tree(store);
    buffer_deinit(&export.out);
    buffer_deinit(&export.reply);
    if (is_done)
        print_about(&export);
    return is_done;
}
