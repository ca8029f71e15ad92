/* Deadlines of keys (Redis 7.2 expire.c): given, asked for, taken away; and ticks, which end the
 * keys whose deadline has come.
 *
 * Time is log time: of a write the stamp of its entry, of a read what the leader would stamp.  That
 * a key whose deadline has come is absent is seen to in data/, for every command alike.
 *
 * Deterministic; loop thread only. */
#include "base/fatal.h"
#include "command/commands.h"
#include "command/string_parts.h"
#include "resp/number.h"

/* ---- options of commands that write a string ---------------------------------------------- */

enum expiry_form call_expiry_form(struct bytes word)
{
    if (bytes_is(word, "ex"))
        return EXPIRY_EX;
    if (bytes_is(word, "px"))
        return EXPIRY_PX;
    if (bytes_is(word, "exat"))
        return EXPIRY_EXAT;
    return bytes_is(word, "pxat") ? EXPIRY_PXAT : EXPIRY_NONE;
}

bool call_take_expiry(struct call *call, struct expiry *expiry, uint32_t *i)
{
    enum expiry_form form = call_expiry_form(call->argv[*i]);
    if (form == EXPIRY_NONE || *i + 1 >= call->argc)
        return false;
    bool repeated = expiry->form == form && call->meaning >= COMMAND_MEANING_EXPIRY;
    if (expiry->form != EXPIRY_NONE && !repeated)
        return false;
    *expiry = (struct expiry){form, ++*i};
    return true;
}

static void reply_invalid(struct call *call)
{
    reply_error(call->reply, "ERR invalid expire time in '%s' command", call->command->name);
}

/* From what `form` says to Unix milliseconds, of what may be any number.  False: there is no such
 * time; answered. */
static bool to_deadline(struct call *call, enum expiry_form form, int64_t number,
                        int64_t *deadline_ms)
{
    bool is_seconds = form == EXPIRY_EX || form == EXPIRY_EXAT;
    bool is_relative = form == EXPIRY_EX || form == EXPIRY_PX;
    if (__builtin_mul_overflow(number, is_seconds ? 1000 : 1, deadline_ms) ||
        __builtin_add_overflow(*deadline_ms, is_relative ? call->now_ms : 0, deadline_ms)) {
        reply_invalid(call);
        return false;
    }
    return true;
}

bool call_deadline(struct call *call, const struct expiry *expiry, int64_t *deadline_ms)
{
    int64_t number;
    *deadline_ms = 0;
    if (expiry->form == EXPIRY_NONE)
        return true;
    if (!call_integer(call, expiry->at, &number))
        return false;
    if (number > 0)
        return to_deadline(call, expiry->form, number, deadline_ms);
    reply_invalid(call);
    return false;
}

/* ---- EXPIRE and the like ------------------------------------------------------------------ */

unsigned call_expiry_condition(struct bytes word)
{
    if (bytes_is(word, "nx"))
        return EXPIRY_IF_NONE;
    if (bytes_is(word, "xx"))
        return EXPIRY_IF_SOME;
    if (bytes_is(word, "gt"))
        return EXPIRY_IF_LATER;
    return bytes_is(word, "lt") ? EXPIRY_IF_EARLIER : 0;
}

/* False: answered. */
static bool read_conditions(struct call *call, unsigned *conditions)
{
    *conditions = 0;
    for (uint32_t i = 3; i < call->argc; i++) {
        struct bytes word = call->argv[i];
        unsigned condition = call_expiry_condition(word);
        if (!condition) {
            reply_error(call->reply, "ERR Unsupported option %.*s", call_printed_size(word),
                        (const char *)word.data);
            return false;
        }
        *conditions |= condition;
    }
    const char *wrong = NULL;
    if (*conditions & EXPIRY_IF_NONE && *conditions != EXPIRY_IF_NONE)
        wrong = "ERR NX and XX, GT or LT options at the same time are not compatible";
    else if (*conditions & EXPIRY_IF_LATER && *conditions & EXPIRY_IF_EARLIER)
        wrong = "ERR GT and LT options at the same time are not compatible";
    if (wrong)
        reply_error(call->reply, "%s", wrong);
    return !wrong;
}

bool call_expiry_holds(unsigned conditions, int64_t present_ms, int64_t deadline_ms)
{
    bool has_one = present_ms != 0;
    if (conditions & EXPIRY_IF_NONE && has_one)
        return false;
    if (conditions & EXPIRY_IF_SOME && !has_one)
        return false;
    if (conditions & EXPIRY_IF_LATER && (!has_one || deadline_ms <= present_ms))
        return false;
    return !(conditions & EXPIRY_IF_EARLIER && has_one && deadline_ms >= present_ms);
}

/* False: answered. */
static bool read_expire(struct call *call, enum expiry_form form, unsigned *conditions,
                        int64_t *deadline_ms)
{
    int64_t number;
    return read_conditions(call, conditions) && call_integer(call, 2, &number) &&
           to_deadline(call, form, number, deadline_ms);
}

/* Another deadline, or none (0), for a key that was just looked up with its payload. */
static void change_deadline(struct call *call, struct db_record *found, struct bytes payload,
                            int64_t deadline_ms, const char *event)
{
    found->deadline_ms = deadline_ms;
    db_effects_name(call->db, event);
    db_put_collection(call->db, call->database, call->argv[1], found, payload);
}

/* A time that has passed deletes the key. */
static void end_at(struct call *call, struct db_record *found, struct bytes payload,
                   int64_t deadline_ms)
{
    if (deadline_ms <= call->now_ms)
        call_delete(call, call->argv[1], "del");
    else
        change_deadline(call, found, payload, deadline_ms, "expire");
}

static void expire(struct call *call, enum expiry_form form)
{
    unsigned conditions;
    int64_t deadline_ms;
    struct db_record found;
    struct bytes payload;
    if (!read_expire(call, form, &conditions, &deadline_ms))
        return;
    bool holds = db_find_kept(call->db, NULL, call->database, call->argv[1], &found, &payload) &&
                 call_expiry_holds(conditions, found.deadline_ms, deadline_ms);
    if (holds)
        end_at(call, &found, payload, deadline_ms);
    reply_integer(call->reply, holds);
}

void cmd_expire(struct call *call)
{
    expire(call, EXPIRY_EX);
}

void cmd_pexpire(struct call *call)
{
    expire(call, EXPIRY_PX);
}

void cmd_expireat(struct call *call)
{
    expire(call, EXPIRY_EXAT);
}

void cmd_pexpireat(struct call *call)
{
    expire(call, EXPIRY_PXAT);
}

static bool words_expire_as(struct call *call, enum expiry_form form)
{
    unsigned conditions;
    int64_t deadline_ms;
    return read_expire(call, form, &conditions, &deadline_ms);
}

bool words_expire(struct call *call)
{
    return words_expire_as(call, EXPIRY_EX);
}

bool words_pexpire(struct call *call)
{
    return words_expire_as(call, EXPIRY_PX);
}

bool words_expireat(struct call *call)
{
    return words_expire_as(call, EXPIRY_EXAT);
}

bool words_pexpireat(struct call *call)
{
    return words_expire_as(call, EXPIRY_PXAT);
}

void cmd_persist(struct call *call)
{
    struct db_record found;
    struct bytes payload;
    bool changes = db_find_kept(call->db, NULL, call->database, call->argv[1], &found, &payload) &&
                   found.deadline_ms != 0;
    if (changes)
        change_deadline(call, &found, payload, 0, "persist");
    reply_integer(call->reply, changes);
}

/* ---- TTL and the like ---------------------------------------------------------------------- */

/* -2: no such key; -1: it has no deadline. */
static int64_t deadline_of(struct call *call)
{
    struct db_record found;
    if (!call_find(call, call->argv[1], &found, NULL))
        return -2;
    return found.deadline_ms ? found.deadline_ms : -1;
}

static int64_t left_of(struct call *call)
{
    int64_t deadline_ms = deadline_of(call);
    return deadline_ms < 0 ? deadline_ms : deadline_ms - call->now_ms;
}

/* To the nearest second, as Redis does. */
static int64_t to_seconds(int64_t ms)
{
    return ms < 0 ? ms : ms / 1000 + (ms % 1000 >= 500);
}

void cmd_ttl(struct call *call)
{
    reply_integer(call->reply, to_seconds(left_of(call)));
}

void cmd_pttl(struct call *call)
{
    reply_integer(call->reply, left_of(call));
}

void cmd_expiretime(struct call *call)
{
    reply_integer(call->reply, to_seconds(deadline_of(call)));
}

void cmd_pexpiretime(struct call *call)
{
    reply_integer(call->reply, deadline_of(call));
}

/* ---- strings --------------------------------------------------------------------------------- */

static void set_until(struct call *call, enum expiry_form form)
{
    struct expiry expiry = {form, 2};
    int64_t deadline_ms;
    if (!call_deadline(call, &expiry, &deadline_ms))
        return;
    call_put_until(call, call->argv[1], call->argv[3], deadline_ms);
    call_reply_ok(call->reply);
}

void cmd_setex(struct call *call)
{
    set_until(call, EXPIRY_EX);
}

void cmd_psetex(struct call *call)
{
    set_until(call, EXPIRY_PX);
}

bool words_setex(struct call *call)
{
    int64_t deadline_ms;
    return call_deadline(call, &(struct expiry){EXPIRY_EX, 2}, &deadline_ms);
}

bool words_psetex(struct call *call)
{
    int64_t deadline_ms;
    return call_deadline(call, &(struct expiry){EXPIRY_PX, 2}, &deadline_ms);
}

/* False: answered.  The number is looked at when there is such a key, as in Redis. */
static bool read_getex(struct call *call, struct expiry *expiry, bool *persists)
{
    for (uint32_t i = 2; i < call->argc; i++) {
        bool is_persist = bytes_is(call->argv[i], "persist") && expiry->form == EXPIRY_NONE;
        *persists |= is_persist;
        if (!is_persist && (*persists || !call_take_expiry(call, expiry, &i))) {
            reply_error(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

bool words_getex(struct call *call)
{
    struct expiry expiry = {EXPIRY_NONE, 0};
    bool persists = false;
    return read_getex(call, &expiry, &persists);
}

void cmd_getex(struct call *call)
{
    struct expiry expiry = {EXPIRY_NONE, 0};
    bool persists = false;
    int64_t deadline_ms;
    struct string string;
    if (!read_getex(call, &expiry, &persists) || !string_open(call, call->argv[1], &string))
        return;
    bool exists = string.found.type != DB_NONE;
    if (exists && !call_deadline(call, &expiry, &deadline_ms))
        return;
    string_reply_whole(call, &string);
    if (call->walk->unfinished)
        return;
    struct db_record found = string.found;
    struct bytes value = string.value;
    if (exists && found.space) /* of its pages the record names the space alone */
        db_find_kept(call->db, NULL, call->database, call->argv[1], &found, &value);
    if (exists && expiry.form != EXPIRY_NONE)
        end_at(call, &found, value, deadline_ms);
    else if (exists && persists && found.deadline_ms != 0)
        change_deadline(call, &found, value, 0, "persist");
}

/* ---- ticks ----------------------------------------------------------------------------------- */

enum {
    /* What one may look at: some milliseconds, if all has to be fetched. */
    TICK_ROWS = 2048,
    TICK_BYTES = 1 << 20,
    TICK_SLICE_CALLS = 8, /* of db_expire(), */
    TICK_SLICE_WORK = 1 << 20
};

static void cmd_tick(struct call *call)
{
    struct walk_state *walk = call->walk;
    struct db_expiry left = {.rows = TICK_ROWS - (uint32_t)walk->count,
                             .bytes = TICK_BYTES - walk->cursor};
    uint64_t work_end = db_work(call->db) + TICK_SLICE_WORK;
    bool is_more = true;
    for (int i = 0; is_more && i < TICK_SLICE_CALLS && db_work(call->db) < work_end; i++)
        is_more = db_expire(call->db, &left);
    walk->count = TICK_ROWS - left.rows;
    walk->cursor = TICK_BYTES - left.bytes;
    walk->unfinished = is_more;
    if (!is_more)
        call_reply_ok(call->reply);
}

/* Not in the table, and with a name that nothing there is found by: a client cannot say it, and a
 * member not forward it. */
const struct command command_tick = {
    "raft|tick", 1,        CMD_WRITE | (uint64_t)COMMAND_MEANING_EXPIRY << CMD_SINCE_SHIFT,
    {0, 0, 0},   cmd_tick, NULL};
