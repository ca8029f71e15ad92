/* DUMP (Redis 7.2 cluster.c, rdb.c): what is at a key, as rdb.h has it.  A long one goes on in
 * slices, on a view.  Loop thread only. */
#include "base/fatal.h"
#include "command/ordered.h"
#include "command/rdb.h"
#include "command/series_dump.h"
#include "command/sorted.h"
#include "command/string_parts.h"
#include "command/walk.h"

enum {
    COPIED_MAX = 32 * 1024, /* bytes of a string that is put together with others */
    STREAM_PIECES = 40      /* in a slice, of up to a hundred entries */
};

struct dumping {
    struct call *call;
    struct buffer out; /* owned: what is not given yet */
    bool has_values;   /* of fields: they are a hash's */
};

/* The checksum so far is what the walk keeps as seed: nothing is drawn. */
static void add(struct dumping *dumping, struct bytes bytes)
{
    struct call *call = dumping->call;
    call->walk->seed = rdb_crc(call->walk->seed, bytes);
    call_add_bytes(call, bytes);
}

static void flush(struct dumping *dumping)
{
    if (dumping->out.size > 0)
        add(dumping, buffer_bytes(&dumping->out));
    buffer_clear(&dumping->out);
}

static void write_string(struct dumping *dumping, struct bytes string)
{
    if (string.size <= COPIED_MAX) {
        rdb_write_string(&dumping->out, string);
        return;
    }
    rdb_write_size(&dumping->out, string.size);
    flush(dumping);
    add(dumping, string);
}

/* In the first slice. */
static void begin(struct dumping *dumping, enum rdb_kind kind, uint64_t count)
{
    if (dumping->call->walk->unfinished)
        return;
    rdb_write_kind(&dumping->out, kind);
    rdb_write_size(&dumping->out, count);
}

static void reply_dump(struct dumping *dumping)
{
    struct call *call = dumping->call;
    struct walk_state *walk = call->walk;
    struct buffer header = {0};
    flush(dumping);
    rdb_write_footer(&dumping->out, walk->seed);
    call_add_bytes(call, buffer_bytes(&dumping->out));
    buffer_printf(&header, "$%zu\r\n", walk->parts.size + walk->found.size);
    call_add_bytes(call, bytes_from_string("\r\n"));
    reply_raw(call->reply, buffer_bytes(&header));
    call_end_parts(call);
    buffer_deinit(&header);
}

/* Whether all is given; else the next slice begins at `cursor`. */
static void end_slice(struct dumping *dumping, bool is_all, uint64_t cursor)
{
    struct walk_state *walk = dumping->call->walk;
    walk->cursor = cursor;
    walk->unfinished = !is_all;
    flush(dumping);
    if (call_keeps_parts(dumping->call, 0) && is_all)
        reply_dump(dumping);
}

static void dump_string(struct dumping *dumping)
{
    struct call *call = dumping->call;
    struct string string;
    bool is_string = string_open(call, call->argv[1], &string);
    check(is_string && string.found.type == DB_STRING);
    uint64_t size = string.found.size, at = call->walk->cursor;
    if (!string.found.space) {
        rdb_write_kind(&dumping->out, RDB_STRING);
        write_string(dumping, string.value);
        end_slice(dumping, true, 0);
        return;
    }
    begin(dumping, RDB_STRING, size);
    flush(dumping);
    struct bytes part = string_part(call, &string, at, WALK_SLICE_BYTES);
    add(dumping, part);
    end_slice(dumping, at + part.size == size, at + part.size);
}

static void write_field(void *context, struct bytes name, struct bytes value)
{
    struct dumping *dumping = context;
    write_string(dumping, name);
    if (dumping->has_values)
        write_string(dumping, value);
}

static void dump_fields(struct dumping *dumping, enum db_type type)
{
    struct call *call = dumping->call;
    struct fields fields;
    struct db_scan_limit limit = {
        .keys = WALK_SLICE, .rows = WALK_SLICE, .bytes = WALK_SLICE_BYTES};
    bool is_of_type = call_fields(call, call->argv[1], type, &fields);
    check(is_of_type);
    if (fields.record.elements_due_ms != 0) {
        reply_error(call->reply,
                    "ERR fields of the hash have deadlines, for which there is no "
                    "form in DUMP's version %d",
                    RDB_VERSION);
        fields_close(&fields);
        return;
    }
    begin(dumping, type == DB_HASH ? RDB_HASH : RDB_SET, fields.count);
    dumping->has_values = type == DB_HASH;
    uint64_t cursor = fields_scan(&fields, call->walk->cursor, limit, write_field, dumping);
    end_slice(dumping, cursor == 0, cursor);
    fields_close(&fields);
}

static bool write_element(void *context, struct bytes key, struct bytes value)
{
    struct dumping *dumping = context;
    (void)key;
    write_string(dumping, value);
    return dumping->out.size < WALK_SLICE_BYTES;
}

static bool write_member(void *context, struct bytes key, struct bytes value)
{
    struct dumping *dumping = context;
    write_string(dumping, sorted_member(key));
    rdb_write_double(&dumping->out, sorted_score(key, value));
    return dumping->out.size < WALK_SLICE_BYTES;
}

/* A sorted set is given from its end, as Redis does it: the next one of a reader's is the first. */
static void dump_ordered(struct dumping *dumping, enum db_type type)
{
    struct call *call = dumping->call;
    struct ordered ordered;
    bool is_list = type == DB_LIST, is_of_type = ordered_open(&ordered, call, call->argv[1], type);
    check(is_of_type);
    begin(dumping, is_list ? RDB_LIST : RDB_ZSET, ordered.count);
    uint64_t at = call->walk->cursor, end = at + WALK_SLICE, work_end = db_work(call->db);
    work_end += WALK_SLICE_BYTES;
    while (at < ordered.count && at < end && db_work(call->db) < work_end)
        at += ordered_walk(&ordered, is_list ? at : ordered.count - 1 - at, ordered.count - at,
                           !is_list, is_list ? write_element : write_member, dumping);
    end_slice(dumping, at == ordered.count, at);
    ordered_close(&ordered);
}

static void dump_stream(struct dumping *dumping)
{
    struct walk_state *walk = dumping->call->walk;
    struct series stream;
    bool is_of_type = series_open(&stream, dumping->call, dumping->call->argv[1]), is_all = false;
    check(is_of_type && stream.is_there);
    uint64_t work_end = db_work(dumping->call->db) + WALK_SLICE_BYTES;
    for (int i = 0; i < STREAM_PIECES && !is_all && dumping->out.size < WALK_SLICE_BYTES &&
                    db_work(dumping->call->db) < work_end;
         i++)
        is_all = series_dump(&stream, walk, &dumping->out);
    end_slice(dumping, is_all, walk->cursor);
}

static void dump(struct dumping *dumping, enum db_type type)
{
    switch (type) {
    case DB_STRING: dump_string(dumping); break;
    case DB_HASH:
    case DB_SET: dump_fields(dumping, type); break;
    case DB_LIST:
    case DB_ZSET: dump_ordered(dumping, type); break;
    case DB_STREAM: dump_stream(dumping); break;
    case DB_NONE: fatal("data: a key of the type %d cannot be dumped", type);
    }
}

void cmd_dump(struct call *call)
{
    struct dumping dumping = {.call = call};
    struct db_record found;
    if (db_find(call->db, call->view, call->database, call->argv[1], &found, NULL)) {
        dump(&dumping, found.type);
    } else {
        call_look(call, call->argv[1], NULL); /* counts as a miss */
        reply_null(call->reply);
    }
    buffer_deinit(&dumping.out);
}
