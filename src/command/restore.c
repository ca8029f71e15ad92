/* RESTORE (Redis 7.2 cluster.c): a key made of its serialized form, which may come from anywhere.
 *
 * It is checked, read and built in slices.  What is built has no key before all was read: if the
 * payload is damaged, nothing has happened.  A reader's bound is what a string may have here: so
 * much may be unpacked in all.
 *
 * Deterministic; loop thread only. */
#include "base/fatal.h"
#include "base/memory.h"
#include "command/ordered.h"
#include "command/preparing.h"
#include "command/rdb.h"
#include "command/series_build.h"
#include "command/sorted.h"
#include "command/string_parts.h"

#define ERROR_PAYLOAD "ERR DUMP payload version or checksum are wrong"
#define ERROR_FORMAT "ERR Bad data format"
#define ERROR_BUSY_KEY "BUSYKEY Target key name already exists."

enum {
    SLICE_ELEMENTS = 1000,
    SLICE_BYTES = 1 << 20,
    SLICE_SUM = 4 << 20,  /* bytes of a payload that are summed up in a slice; */
    WORDS_SUM = 256 << 10 /* a smaller one is, before it gets into the log */
};

struct words_of_restore {
    int64_t ttl_ms;
    bool replaces, is_absolute;
};

/* ---- words ------------------------------------------------------------------------------- */

static bool take_idle(struct call *call, uint32_t i)
{
    int64_t seconds;
    if (!call_integer(call, i, &seconds))
        return false;
    return seconds >= 0 || call_refuse(call, "ERR Invalid IDLETIME value, must be >= 0");
}

static bool take_frequency(struct call *call, uint32_t i)
{
    int64_t frequency;
    if (!call_integer(call, i, &frequency))
        return false;
    return (frequency >= 0 && frequency <= 255) ||
           call_refuse(call, "ERR Invalid FREQ value, must be >= 0 and <= 255");
}

/* False: answered.  IDLETIME and FREQ, of which there is at most one kind, say nothing here. */
static bool read_options(struct call *call, struct words_of_restore *words)
{
    bool has_idle = false, has_frequency = false;
    for (uint32_t i = 4; i < call->argc; i++) {
        bool has_more = i + 1 < call->argc;
        if (bytes_is(call->argv[i], "replace")) {
            words->replaces = true;
        } else if (bytes_is(call->argv[i], "absttl")) {
            words->is_absolute = true;
        } else if (has_more && !has_frequency && bytes_is(call->argv[i], "idletime")) {
            has_idle = true;
            if (!take_idle(call, ++i))
                return false;
        } else if (has_more && !has_idle && bytes_is(call->argv[i], "freq")) {
            has_frequency = true;
            if (!take_frequency(call, ++i))
                return false;
        } else {
            return call_refuse(call, ERROR_SYNTAX);
        }
    }
    return true;
}

static bool read_words(struct call *call, struct words_of_restore *words)
{
    *words = (struct words_of_restore){0};
    if (!read_options(call, words) || !call_integer(call, 2, &words->ttl_ms))
        return false;
    if (words->ttl_ms < 0)
        return call_refuse(call, "ERR Invalid TTL value, must be >= 0");
    if (words->ttl_ms > INT64_MAX / 2)
        return call_refuse(call, "ERR invalid expire time in 'restore' command");
    return rdb_knows_version(call->argv[3]) || call_refuse(call, ERROR_PAYLOAD);
}

/* All of a payload that the CRC covers. */
static struct bytes summed(struct bytes payload)
{
    return bytes_of(payload.data, payload.size - sizeof(uint64_t));
}

bool words_restore(struct call *call)
{
    struct words_of_restore words;
    struct bytes payload = call->argv[3];
    if (!read_words(call, &words))
        return false;
    return payload.size > WORDS_SUM || rdb_crc(0, summed(payload)) == rdb_footer_crc(payload) ||
           call_refuse(call, ERROR_PAYLOAD);
}

/* ---- what becomes of it --------------------------------------------------------------------- */

struct restoring {
    size_t summed; /* bytes, */
    uint64_t crc;  /* of which this is the sum */
    bool is_open;
    struct rdb_reader reader;
    struct fields fields;   /* a hash or a set, */
    struct ordered ordered; /* or a list or a sorted set, without a key yet */
    struct bytes string;    /* or a string: the reader's; if it is large, */
    uint64_t string_space;  /* its pages, */
    uint64_t string_at;     /* as far as they are there; */
    struct series_build stream;
    uint64_t count; /* elements */
};

static void free_restoring(void *kept)
{
    struct restoring *restoring = kept;
    rdb_close(&restoring->reader);
    fields_close(&restoring->fields);
    ordered_close(&restoring->ordered);
    series_build_close(&restoring->stream);
    memory_free(restoring);
}

static struct restoring *restoring_of(struct call *call)
{
    struct walk_state *walk = call->walk;
    if (!walk->kept) {
        walk->kept = memory_new(sizeof(struct restoring));
        walk->kept_free = free_restoring;
    }
    return walk->kept;
}

/* One that has got its key, or never gets it, is no longer ours. */
static void drop(struct call *call, struct restoring *restoring)
{
    uint64_t space = restoring->fields.record.space | restoring->ordered.record.space |
                     restoring->stream.series.record.space | restoring->string_space;
    if (space)
        db_space_drop(call->db, call->database, space);
}

/* False: there was one of the name already, or it does not belong there. */
static bool put(struct restoring *restoring, const struct rdb_element *element)
{
    struct fields *fields = &restoring->fields;
    struct ordered *ordered = &restoring->ordered;
    double before;
    restoring->count++;
    switch (restoring->reader.type) {
    case DB_STRING: restoring->string = element->value; return true;
    case DB_HASH: return !fields_put(fields, element->name, element->value);
    case DB_SET: return !fields_put(fields, element->name, bytes_of("", 0));
    case DB_LIST: ordered_insert_at(ordered, ordered->count, element->value); return true;
    case DB_ZSET:
        if (sorted_find(ordered, element->name, &before))
            return false;
        sorted_put(ordered, element->name, element->score, false, 0);
        return true;
    case DB_STREAM: return series_build_put(&restoring->stream, element);
    case DB_NONE: break;
    }
    return false;
}

/* Whether what was read is something. */
static bool is_whole(struct restoring *restoring)
{
    if (restoring->reader.type == DB_STREAM)
        return series_build_end(&restoring->stream);
    return restoring->count > 0;
}

/* False: not all of a large string is in its pages. */
static bool is_placed(struct call *call, struct restoring *restoring)
{
    return !string_is_whole_large(call, restoring->string.size) ||
           string_place_some(call, call->database, restoring->string, &restoring->string_space,
                             &restoring->string_at);
}

/* A slice.  NOTHING: it is not finished. */
static enum rdb_step build(struct call *call, struct restoring *restoring)
{
    struct rdb_element element;
    uint64_t work_end = db_work(call->db) + SLICE_BYTES;
    for (int i = 0; i < SLICE_ELEMENTS && db_work(call->db) < work_end; i++) {
        enum rdb_step step = rdb_next(&restoring->reader, &element);
        if (step == RDB_END)
            return is_whole(restoring) ? RDB_END : RDB_DAMAGED;
        if (step != RDB_NOTHING && step != RDB_GIVEN)
            return step;
        if (step == RDB_GIVEN && !put(restoring, &element))
            return RDB_DAMAGED;
    }
    return RDB_NOTHING;
}

/* Goes over it before anything is believed.  False: not finished, or answered. */
static bool is_intact(struct call *call, struct restoring *restoring)
{
    struct bytes payload = call->argv[3], all = summed(payload);
    size_t left = all.size - restoring->summed, size = left < SLICE_SUM ? left : SLICE_SUM;
    const char *from = (const char *)all.data + restoring->summed;
    restoring->crc = rdb_crc(restoring->crc, bytes_of(from, size));
    restoring->summed += size;
    call->walk->unfinished = restoring->summed < all.size;
    if (call->walk->unfinished)
        return false;
    return restoring->crc == rdb_footer_crc(payload) || call_refuse(call, ERROR_PAYLOAD);
}

/* False: answered. */
static bool open_payload(struct call *call, struct restoring *restoring)
{
    struct rdb_reader *reader = &restoring->reader;
    if (restoring->is_open)
        return true;
    restoring->is_open = true;
    if (!rdb_open(reader, call->argv[3], call->value_max))
        return call_refuse(call, ERROR_FORMAT);
    if (reader->type == DB_HASH || reader->type == DB_SET)
        fields_new(&restoring->fields, call->db, call->database, reader->type);
    if (reader->type == DB_LIST || reader->type == DB_ZSET)
        ordered_new(&restoring->ordered, call, call->argv[1], reader->type);
    if (reader->type == DB_STREAM)
        series_new(&restoring->stream.series, call, call->argv[1]);
    return true;
}

static void take_fields(struct call *call, struct fields *fields)
{
    struct fields made = *fields;
    struct buffer aside = {0};
    uint64_t space, count;
    fields_put_aside(&made, &aside, &space, &count);
    fields_new(fields, call->db, call->database, made.record.type);
    fields_take_back(fields, &aside, call_take_space(call, call->database, space), count);
    fields_close(&made);
    buffer_deinit(&aside);
}

/* What was made beside the db is the db's. */
static void take_prepared(struct call *call, struct restoring *restoring)
{
    switch (restoring->reader.type) {
    case DB_HASH:
    case DB_SET: take_fields(call, &restoring->fields); break;
    case DB_LIST:
    case DB_ZSET: ordered_take_made(&restoring->ordered, call); break;
    case DB_STREAM: series_take_made(&restoring->stream.series, call); break;
    case DB_STRING:
        restoring->string_space = call_take_space(call, call->database, restoring->string_space);
        break;
    case DB_NONE: break;
    }
}

static void save_string(struct call *call, const struct restoring *restoring, int64_t deadline_ms)
{
    struct db_record record = {
        .type = DB_STRING, .deadline_ms = deadline_ms, .space = restoring->string_space};
    struct bytes key = call->argv[1], value = restoring->string;
    db_effects_name(call->db, "restore");
    if (record.space)
        db_string_put(call->db, call->database, key, &record, value.size);
    else
        db_put_collection(call->db, call->database, key, &record, value);
}

static void save(struct call *call, struct restoring *restoring, int64_t deadline_ms)
{
    switch (restoring->reader.type) {
    case DB_STRING: save_string(call, restoring, deadline_ms); break;
    case DB_HASH:
    case DB_SET:
        restoring->fields.record.deadline_ms = deadline_ms;
        fields_save_as(&restoring->fields, call->argv[1], "restore");
        break;
    case DB_LIST:
    case DB_ZSET:
        restoring->ordered.record.deadline_ms = deadline_ms;
        ordered_save(&restoring->ordered, "restore");
        break;
    case DB_STREAM:
        restoring->stream.series.record.deadline_ms = deadline_ms;
        series_save(&restoring->stream.series, "restore");
        break;
    case DB_NONE: check(!"a type that rdb_open() takes");
    }
}

static void finish(struct call *call, struct restoring *restoring,
                   const struct words_of_restore *words)
{
    int64_t deadline_ms = words->ttl_ms;
    if (deadline_ms > 0 && !words->is_absolute)
        deadline_ms += call->now_ms;
    if (deadline_ms > 0 && deadline_ms <= call->now_ms) {
        drop(call, restoring);
        call_delete(call, call->argv[1], "del");
    } else {
        save(call, restoring, deadline_ms);
    }
    call_reply_ok(call->reply);
}

static bool is_there(struct call *call)
{
    struct db_record found;
    struct bytes key = call->argv[1];
    return call->view ? db_find_kept(call->db, call->view, call->database, key, &found, NULL)
                      : db_lookup(call->db, call->database, key, &found);
}

/* One slice, or what is left of one that was prepared.  NOTHING: not finished, or answered. */
static enum rdb_step read_some(struct call *call, struct restoring *restoring)
{
    if (call_is_prepared(call)) {
        take_prepared(call, restoring);
        return RDB_END;
    }
    if (!restoring->is_open && !is_intact(call, restoring))
        return RDB_NOTHING;
    if (!open_payload(call, restoring))
        return RDB_NOTHING;
    enum rdb_step step = restoring->string_space ? RDB_END : build(call, restoring);
    if (step == RDB_END && !is_placed(call, restoring))
        step = RDB_NOTHING;
    call->walk->unfinished = step == RDB_NOTHING;
    return step == RDB_END && call_stops(call) ? RDB_NOTHING : step;
}

void cmd_restore(struct call *call)
{
    struct words_of_restore words;
    struct walk_state *walk = call->walk;
    if (!read_words(call, &words))
        return;
    bool begins = !walk->unfinished || call_is_prepared(call);
    if (begins && !words.replaces && is_there(call)) {
        walk->unfinished = false;
        call_refuse(call, ERROR_BUSY_KEY);
        return;
    }
    struct restoring *restoring = restoring_of(call);
    enum rdb_step step = read_some(call, restoring);
    if (step == RDB_NOTHING)
        return;
    walk->unfinished = false;
    if (step == RDB_END) {
        finish(call, restoring, &words);
        return;
    }
    drop(call, restoring);
    call_refuse(call, step == RDB_TOO_LARGE ? ERROR_TOO_LARGE : ERROR_FORMAT);
}
