/* The keyspace as a whole: delete, look for, walk through, rename (Redis 7.2 db.c).
 *
 * A cursor is a place in hash order and holds no state, so a SCAN may go on at any node, through
 * any failover.
 *
 * The order of keys is that of the format on disk.  It changed once, when slots came before the
 * hash (meaning 2), and here meaning 1 does not keep the old way: `ONCE id n` with KEYS, SCAN or
 * RANDOMKEY in a log of then, executed again, keeps another order, cursor or key as its reply than
 * the build of then did.  Each is right by the promise of the command; only a repetition of that
 * very request could tell two nodes (or their db_hash) apart, and to keep the old order would mean
 * to sort all keys for each.
 *
 * Deterministic; loop thread only. */
#include "base/fatal.h"
#include "base/prng.h"
#include "command/commands.h"
#include "command/preparing.h"
#include "command/walk.h"
#include "resp/number.h"

void cmd_del(struct call *call)
{
    if (call_is_prepared(call))
        call_take_keys(call);
    for (uint32_t i = call_slice_prepared(call, 1); call_takes(call, i); i++) {
        call_looks_first(call, call->argv[i]);
        call->walk->count += call_delete(call, call->argv[i], "del");
    }
    if (!call->walk->unfinished && !call_stops(call))
        reply_integer(call->reply, (int64_t)call->walk->count);
}

void cmd_exists(struct call *call)
{
    for (uint32_t i = call_slice(call, 1); call_takes(call, i); i++)
        call->walk->count += call_look(call, call->argv[i], NULL) != DB_NONE;
    if (!call->walk->unfinished)
        reply_integer(call->reply, (int64_t)call->walk->count);
}

static const char *type_name(enum db_type type)
{
    switch (type) {
    case DB_NONE: return "none";
    case DB_STRING: return "string";
    case DB_LIST: return "list";
    case DB_SET: return "set";
    case DB_ZSET: return "zset";
    case DB_HASH: return "hash";
    case DB_STREAM: return "stream";
    }
    return "unknown";
}

void cmd_type(struct call *call)
{
    reply_simple(call->reply, type_name(call_look(call, call->argv[1], NULL)));
}

/* ---- walking ------------------------------------------------------------------ */

/* Keys found so far, as bulk strings. */
struct walk {
    struct walk_state *state;
    struct reply found; /* into state->found */
    struct bytes pattern;
    bool match_all;
    struct bytes type; /* name; size 0: any */
};

static void walk_key(void *context, struct bytes key, enum db_type type)
{
    struct walk *walk = context;
    if (!walk->match_all && !command_glob_match(walk->pattern, key, false))
        return;
    if (walk->type.data && !bytes_is(walk->type, type_name(type)))
        return;
    reply_bulk(&walk->found, key);
    walk->state->count++;
}

static void walk_init(struct walk *walk, const struct call *call)
{
    *walk = (struct walk){.match_all = true};
    walk->state = call->walk;
    walk->found = (struct reply){&walk->state->found, call->reply->protocol};
}

static uint64_t walk_keys(struct call *call, struct walk *walk, uint64_t cursor,
                          struct db_scan_limit limit)
{
    return call->view ? db_view_scan(call->view, call->database, cursor, limit, walk_key, walk)
                      : db_scan(call->db, call->database, cursor, limit, walk_key, walk);
}

void cmd_keys(struct call *call)
{
    struct walk walk;
    walk_init(&walk, call);
    walk.pattern = call->argv[1];
    walk.match_all = bytes_equal(walk.pattern, bytes_of("*", 1));
    struct walk_state *state = walk.state;
    uint64_t next = walk_keys(call, &walk, state->cursor, walk_slice());
    check(next == 0 || next > state->cursor); /* it comes to an end */
    state->cursor = next;
    state->unfinished = next != 0;
    if (call_keeps_parts(call, 0) && !state->unfinished)
        call_reply_parts(call, state->count);
}

void cmd_scan(struct call *call)
{
    uint64_t cursor;
    struct walk walk;
    struct walk_words words = {.takes_type = true};
    walk_init(&walk, call);
    if (!walk_cursor(call, 1, &cursor) || !walk_read_words(call, 2, &words))
        return;
    walk.pattern = words.pattern;
    walk.match_all = words.match_all;
    walk.type = words.type;
    /* COUNT is a hint, also in Redis: so many that are there, whether they match or not. */
    struct walk_scan scan = {.keys = (uint64_t)words.count};
    struct db_scan_limit limit = walk_scan_slice(call, cursor, &scan);
    walk_scan_end(call, &scan, &limit, walk_keys(call, &walk, call->walk->cursor, limit));
}

/* Enough lookups on a busy disk for one turn of the event loop. */
enum { RESOLVE_SLICE = 256 };

/* The counts of keys may be asked.  False: not yet, the call is to be executed again. */
static bool counts_are_exact(struct call *call)
{
    call->walk->unfinished = !db_resolve(call->db, RESOLVE_SLICE);
    return !call->walk->unfinished;
}

/* Counts are of the present state alone: a read that goes on has what was applied meanwhile in
 * them.  Where that may not be, the keys of its view are walked through. */
static bool walks_view(const struct call *call)
{
    return call->view && call->is_followed;
}

/* Counted, and drawn with the same chance as each before. */
static void meet_key(void *context, struct bytes key, enum db_type type)
{
    struct walk_state *walk = context;
    (void)type;
    if (prng_below(&walk->seed, ++walk->count) > 0)
        return;
    buffer_clear(&walk->found);
    buffer_append_bytes(&walk->found, key);
}

/* False: there are more. */
static bool walk_view(struct call *call)
{
    struct walk_state *walk = call->walk;
    if (walk->cursor == 0)
        walk->seed = call->seed;
    walk->cursor =
        db_view_scan(call->view, call->database, walk->cursor, walk_slice(), meet_key, walk);
    walk->unfinished = walk->cursor != 0;
    return !walk->unfinished;
}

void cmd_randomkey(struct call *call)
{
    struct walk_state *walk = call->walk;
    if (walks_view(call)) {
        if (walk_view(call))
            call_reply_value(call->reply, buffer_bytes(&walk->found), walk->count > 0);
        return;
    }
    if (!counts_are_exact(call))
        return;
    struct buffer key = {0};
    bool exists = db_random(call->db, call->database, call->seed, &key);
    call_reply_value(call->reply, buffer_bytes(&key), exists);
    buffer_deinit(&key);
}

/* ---- renaming --------------------------------------------------------------------- */

static void rename_key(struct call *call)
{
    db_effects_name(call->db, "rename_from");
    bool is_there = db_rename(call->db, call->database, call->argv[1], call->database,
                              call->argv[2], "rename_to");
    check(is_there);
}

static bool has_source(struct call *call)
{
    if (db_get(call->db, call->database, call->argv[1], NULL) != DB_NONE)
        return true;
    reply_error(call->reply, "ERR no such key");
    return false;
}

void cmd_rename(struct call *call)
{
    if (!has_source(call))
        return;
    if (!bytes_equal(call->argv[1], call->argv[2]))
        rename_key(call);
    call_reply_ok(call->reply);
}

void cmd_renamenx(struct call *call)
{
    if (!has_source(call))
        return;
    bool free_name = db_get(call->db, call->database, call->argv[2], NULL) == DB_NONE;
    if (free_name)
        rename_key(call);
    reply_integer(call->reply, free_name);
}

/* ---- all of it -------------------------------------------------------------------- */

bool words_flush(struct call *call)
{
    bool valid =
        call->argc == 1 ||
        (call->argc == 2 && (bytes_is(call->argv[1], "async") || bytes_is(call->argv[1], "sync")));
    if (!valid)
        reply_error(call->reply, ERROR_SYNTAX);
    return valid;
}

/* ASYNC and SYNC are the same here: the db gives the space back later in any case. */
void cmd_flushdb(struct call *call)
{
    if (!words_flush(call))
        return;
    db_flush(call->db, call->database);
    call_reply_ok(call->reply);
}

void cmd_flushall(struct call *call)
{
    if (!words_flush(call))
        return;
    db_flush_all(call->db);
    call_reply_ok(call->reply);
}

void cmd_dbsize(struct call *call)
{
    if (walks_view(call)) {
        if (walk_view(call))
            reply_integer(call->reply, (int64_t)call->walk->count);
        return;
    }
    if (!counts_are_exact(call))
        return;
    reply_integer(call->reply, (int64_t)db_size(call->db, call->database));
}
