/* MEMORY (Redis 7.2 object.c).
 *
 * What a key takes is what is stored of it, in memory or on disk: the data are not all in memory
 * here.  Loop thread only. */
#include "base/fatal.h"
#include "command/ordered.h"
#include "command/series.h"
#include "command/server.h"
#include "command/sorted.h"
#include "command/walk.h"
#include "resp/number.h"

/* ---- MEMORY USAGE -------------------------------------------------------------------------- */

enum {
    SAMPLES = 5,       /* looked at, if nobody says how many */
    KEY_BYTES = 26,    /* of a key, besides its name and its payload: place and header, */
    ELEMENT_BYTES = 17 /* and of an element of a large collection: the place of its row */
};

struct usage {
    struct walk_state *walk; /* count: bytes so far, of `seen` elements */
    uint64_t samples;        /* that are wanted */
};

static bool read_samples(struct call *call, uint64_t *samples)
{
    int64_t number = SAMPLES;
    for (uint32_t i = 3; i < call->argc; i += 2) {
        if (i + 1 == call->argc || !bytes_is(call->argv[i], "samples")) {
            reply_error(call->reply, ERROR_SYNTAX);
            return false;
        }
        if (!call_integer(call, i + 1, &number))
            return false;
        if (number < 0) {
            reply_error(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    *samples = number == 0 ? UINT64_MAX : (uint64_t)number;
    return true;
}

static void weigh_field(void *context, struct bytes name, struct bytes value)
{
    struct usage *usage = context;
    usage->walk->count += name.size + value.size + ELEMENT_BYTES;
    usage->walk->seen++;
}

static bool weigh_entry(void *context, struct bytes key, struct bytes value)
{
    weigh_field(context, key, value);
    return true;
}

static uint64_t slice_of(const struct usage *usage)
{
    uint64_t left = usage->samples - usage->walk->seen;
    return left < WALK_SLICE ? left : WALK_SLICE;
}

/* A slice of a large hash or set.  Returns how many elements it has. */
static uint64_t weigh_fields(struct call *call, struct usage *usage, enum db_type type)
{
    struct fields fields;
    struct db_scan_limit limit = {
        .keys = slice_of(usage), .rows = WALK_SLICE, .bytes = WALK_SLICE_BYTES};
    bool is_of_type = call_fields(call, call->argv[2], type, &fields);
    check(is_of_type);
    uint64_t count = fields.count;
    usage->walk->cursor = fields_scan(&fields, usage->walk->cursor, limit, weigh_field, usage);
    fields_close(&fields);
    usage->walk->unfinished = usage->walk->cursor != 0 && usage->walk->seen < usage->samples;
    return count;
}

/* Of a large list or sorted set; the rows of the latter's members come on top. */
static uint64_t weigh_ordered(struct call *call, struct usage *usage, enum db_type type)
{
    struct ordered ordered;
    bool is_of_type = ordered_open(&ordered, call, call->argv[2], type);
    check(is_of_type);
    uint64_t count = ordered.count, end = usage->walk->seen + slice_of(usage);
    uint64_t work_end = db_work(call->db) + WALK_SLICE_BYTES;
    if (end > count)
        end = count;
    while (usage->walk->seen < end && db_work(call->db) < work_end)
        ordered_walk(&ordered, usage->walk->seen, end - usage->walk->seen, false, weigh_entry,
                     usage);
    ordered_close(&ordered);
    usage->walk->unfinished = usage->walk->seen < count && usage->walk->seen < usage->samples;
    return count;
}

/* The entries of a stream; what its groups have is not counted. */
static uint64_t weigh_stream(struct call *call, struct usage *usage)
{
    struct series stream;
    bool is_stream = series_open(&stream, call, call->argv[2]);
    check(is_stream);
    uint64_t count = stream.entries.root.count, end = usage->walk->seen + slice_of(usage);
    uint64_t work_end = db_work(call->db) + WALK_SLICE_BYTES;
    if (end > count)
        end = count;
    while (usage->walk->seen < end && db_work(call->db) < work_end)
        db_tree_walk(&stream.entries, usage->walk->seen, end - usage->walk->seen, false,
                     weigh_entry, usage);
    usage->walk->unfinished = usage->walk->seen < count && usage->walk->seen < usage->samples;
    return count;
}

void cmd_memory_usage(struct call *call)
{
    struct db_record found;
    struct usage usage = {.walk = call->walk};
    uint64_t count = 0, weight = 1;
    if (!read_samples(call, &usage.samples))
        return;
    if (!db_find(call->db, call->view, call->database, call->argv[2], &found, NULL)) {
        call_look(call, call->argv[2], NULL); /* counts as a miss */
        reply_null(call->reply);
        return;
    }
    bool is_of_fields = found.type == DB_HASH || found.type == DB_SET;
    if (found.space && is_of_fields)
        count = weigh_fields(call, &usage, found.type);
    else if (found.space && (found.type == DB_LIST || found.type == DB_ZSET))
        count = weigh_ordered(call, &usage, found.type);
    else if (found.type == DB_STREAM)
        count = weigh_stream(call, &usage);
    if (call->walk->unfinished)
        return;
    if (found.type == DB_ZSET)
        weight = 2;
    double mean = call->walk->seen ? (double)call->walk->count / (double)call->walk->seen : 0;
    uint64_t elements = (uint64_t)(mean * (double)(count * weight));
    reply_integer(call->reply, (int64_t)(KEY_BYTES + call->argv[2].size + found.size + elements));
}

/* ---- the rest of MEMORY ---------------------------------------------------------------------- */

void cmd_memory_doctor(struct call *call)
{
    static const char text[] =
        "This instance keeps its data on disk: what it has in memory are caches, recent changes "
        "and clients' buffers, each bounded by its directive. INFO memory and INFO raft say how "
        "much of them there is.\n";
    reply_verbatim(call->reply, bytes_from_string(text));
}

void cmd_memory_malloc_stats(struct call *call)
{
    reply_bulk_string(call->reply, "Stats not supported for the current allocator");
}

void cmd_memory_purge(struct call *call)
{
    call_reply_ok(call->reply);
}

static void pair(struct call *call, const char *name, uint64_t value)
{
    reply_bulk_string(call->reply, name);
    reply_integer(call->reply, (int64_t)value);
}

/* Those of Redis's fields that there is something to say about. */
void cmd_memory_stats(struct call *call)
{
    struct server_stats stats;
    uint64_t counts[DB_DATABASES], keys = 0;
    call->server->ops->stats(call->server, &stats);
    call->server->ops->memory(call->server, &stats);
    call->server->ops->keys(call->server, counts);
    for (unsigned i = 0; i < DB_DATABASES; i++)
        keys += counts[i];
    uint64_t used = stats.memory_used, startup = stats.memory_startup;
    uint64_t dataset =
        used > startup + stats.memory_clients ? used - startup - stats.memory_clients : 0;
    reply_map(call->reply, 14);
    pair(call, "peak.allocated", stats.memory_peak);
    pair(call, "total.allocated", used);
    pair(call, "startup.allocated", startup);
    pair(call, "replication.backlog", 0);
    pair(call, "clients.slaves", 0);
    pair(call, "clients.normal", stats.memory_clients);
    pair(call, "cluster.links", 0);
    pair(call, "aof.buffer", 0);
    pair(call, "lua.caches", 0);
    pair(call, "functions.caches", 0);
    pair(call, "overhead.total", used - dataset);
    pair(call, "keys.count", keys);
    pair(call, "dataset.bytes", dataset);
    pair(call, "allocator.resident", stats.memory_rss);
}

void cmd_memory_help(struct call *call)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    Return memory problems reports.",
        "MALLOC-STATS",
        "    Return internal statistics report from the memory allocator.",
        "PURGE",
        "    Attempt to purge dirty pages for reclamation by the allocator.",
        "STATS",
        "    Return information about the memory usage of the server.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return memory in bytes used by <key> and its value. Nested values are",
        "    sampled up to <count> times (default: 5, 0 means sample all).",
        NULL};
    call_reply_help(call, lines);
}
