/* The keyspace as a whole: delete, look for, walk through, rename (Redis 7.2 db.c).
 *
 * A cursor is a place in hash order and holds no state, so a SCAN may go on at any node, through
 * any failover.
 *
 * The order of keys is that of the format on disk.  It changed once, when slots came before the hash
 * (meaning 2), and here meaning 1 does not keep the old way: `ONCE id n` with KEYS, SCAN or RANDOMKEY in
 * a log of then, executed again, keeps another order, cursor or key as its reply than the build of then
 * did.  Each is right by the promise of the command; only a repetition of that very request could tell
 * two nodes (or their db_hash) apart, and to keep the old order would mean to sort all keys for each.
 *
 * Deterministic; loop thread only. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "command/commands.h"
#include "resp/number.h"

void cmd_del(struct call *call)
{
    for (uint32_t i = call_slice(call, 1); call_takes(call, i); i++)
        call->walk->count += call_delete(call, call->argv[i], "del");
    if (!call->walk->unfinished)
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

/* A client may ask for any number of keys; what one turn of the event loop walks over is bounded,
 * so that a leader does not miss its heartbeats. */
enum { WALK_SLICE = 2000 };

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

static struct db_scan_limit walk_limit(uint64_t keys)
{
    return (struct db_scan_limit){.keys = keys, .rows = WALK_SLICE};
}

static uint64_t walk_scan(struct call *call, struct walk *walk, uint64_t cursor, uint64_t keys)
{
    struct db_scan_limit limit = walk_limit(keys);
    uint64_t next = call->view
                        ? db_view_scan(call->view, call->database, cursor, limit, walk_key, walk)
                        : db_scan(call->db, call->database, cursor, limit, walk_key, walk);
    check(next == 0 || next > cursor); /* it comes to an end */
    return next;
}

static void walk_match(struct walk *walk, struct bytes pattern)
{
    walk->pattern = pattern;
    walk->match_all = bytes_equal(pattern, bytes_of("*", 1));
}

void cmd_keys(struct call *call)
{
    struct walk walk;
    walk_init(&walk, call);
    walk_match(&walk, call->argv[1]);
    struct walk_state *state = walk.state;
    state->cursor = walk_scan(call, &walk, state->cursor, WALK_SLICE);
    state->unfinished = state->cursor != 0;
    if (call_keeps_parts(call, 0) && !state->unfinished)
        call_reply_parts(call, state->count);
}

/* As strtoul takes it: Redis's clients send back what they got, people type what they like. */
static bool parse_cursor(struct bytes word, uint64_t *cursor)
{
    char text[64], *end;
    if (word.size >= sizeof(text))
        return false;
    if (word.size)
        memcpy(text, word.data, word.size);
    text[word.size] = '\0';
    if (isspace((unsigned char)text[0]))
        return false;
    errno = 0;
    *cursor = strtoull(text, &end, 10);
    return *end == '\0' && errno != ERANGE;
}

/* False: answered with the error. */
static bool scan_options(struct call *call, struct walk *walk, int64_t *count)
{
    for (uint32_t i = 2; i < call->argc; i += 2) {
        bool has_operand = i + 1 < call->argc;
        if (has_operand && bytes_is(call->argv[i], "count")) {
            if (!call_integer(call, i + 1, count))
                return false;
            if (*count < 1) {
                reply_error(call->reply, ERROR_SYNTAX);
                return false;
            }
        } else if (has_operand && bytes_is(call->argv[i], "match")) {
            walk_match(walk, call->argv[i + 1]);
        } else if (has_operand && bytes_is(call->argv[i], "type")) {
            walk->type = call->argv[i + 1];
        } else {
            reply_error(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

void cmd_scan(struct call *call)
{
    uint64_t cursor;
    int64_t count = 10;
    struct walk walk;
    if (!parse_cursor(call->argv[1], &cursor)) {
        reply_error(call->reply, "ERR invalid cursor");
        return;
    }
    walk_init(&walk, call);
    if (!scan_options(call, &walk, &count))
        return;
    /* COUNT is a hint, also in Redis. */
    if (count > WALK_SLICE)
        count = WALK_SLICE;
    cursor = walk_scan(call, &walk, cursor, (uint64_t)count);
    struct buffer text = {0};
    buffer_printf(&text, "%llu", (unsigned long long)cursor);
    reply_array(call->reply, 2);
    reply_bulk(call->reply, buffer_bytes(&text));
    buffer_deinit(&text);
    call_reply_parts(call, walk.state->count);
}

/* Enough lookups on a busy disk for one turn of the event loop. */
enum { RESOLVE_SLICE = 256 };

/* The counts of keys may be asked.  False: not yet, the call is to be executed again. */
static bool counts_are_exact(struct call *call)
{
    call->walk->unfinished = !db_resolve(call->db, RESOLVE_SLICE);
    return !call->walk->unfinished;
}

void cmd_randomkey(struct call *call)
{
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
    if (!counts_are_exact(call))
        return;
    reply_integer(call->reply, (int64_t)db_size(call->db, call->database));
}
