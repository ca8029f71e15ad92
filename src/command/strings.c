/* Strings: set, get, cut and paste (Redis 7.2 t_string.c).
 *
 * A value read from the db is borrowed until the next db_* call, so whoever changes a value in part
 * copies it first.  Deterministic; loop thread only. */
#include "base/fatal.h"
#include "command/commands.h"
#include "command/preparing.h"
#include "command/set_options.h"
#include "command/string_parts.h"

void cmd_get(struct call *call)
{
    struct string string;
    if (!string_open(call, call->argv[1], &string))
        return;
    string_reply_whole(call, &string);
}

/* ---- SET -------------------------------------------------------------------- */

struct set_options {
    enum set_condition condition;
    struct bytes operand; /* of IFEQ and those like it */
    bool get;
    bool keep_ttl;
    struct expiry expiry;
};

static bool take_condition(struct set_options *options, enum set_condition condition)
{
    if (options->condition != SET_ALWAYS && options->condition != condition)
        return false;
    options->condition = condition;
    return true;
}

/* Takes the option at argv[*i], and its operand; false: there is none of that kind there. */
static bool take_option(struct call *call, struct set_options *options, uint32_t *i)
{
    struct bytes word = call->argv[*i];
    bool has_operand = *i + 1 < call->argc;
    if (bytes_is(word, "nx"))
        return take_condition(options, SET_NX);
    if (bytes_is(word, "xx"))
        return take_condition(options, SET_XX);
    if (bytes_is(word, "get"))
        return options->get = true;
    if (bytes_is(word, "keepttl") && options->expiry.form == EXPIRY_NONE)
        return options->keep_ttl = true;
    if (!options->keep_ttl && call_take_expiry(call, &options->expiry, i))
        return true;
    enum set_condition condition = set_condition_named(word, call->meaning);
    if (!has_operand || condition == SET_ALWAYS)
        return false;
    if (options->condition != SET_ALWAYS) /* a second operand would be ambiguous */
        return false;
    options->operand = call->argv[++*i];
    return take_condition(options, condition);
}

/* False: answered.  Old logs hold what is refused here, so cmd_set() asks, too. */
static bool read_options(struct call *call, struct set_options *options, int64_t *deadline_ms)
{
    for (uint32_t i = 3; i < call->argc; i++)
        if (!take_option(call, options, &i)) {
            reply_error(call->reply, ERROR_SYNTAX);
            return false;
        }
    if (!set_operand_fits(call, options->condition, options->operand))
        return false;
    if (call->meaning >= COMMAND_MEANING_EXPIRY)
        return call_deadline(call, &options->expiry, deadline_ms);
    *deadline_ms = 0;
    if (options->expiry.form != EXPIRY_NONE)
        reply_error(call->reply, ERROR_NO_EXPIRY);
    return options->expiry.form == EXPIRY_NONE;
}

bool words_set(struct call *call)
{
    struct set_options options = {0};
    int64_t deadline_ms;
    return read_options(call, &options, &deadline_ms);
}

/* What the conditions and the reply ask for.  False: wrong type, answered. */
static bool look_before_set(struct call *call, const struct set_options *options,
                            struct string *string)
{
    struct bytes key = call->argv[1];
    *string = (struct string){.found.type = DB_NONE};
    if (options->get || options->condition >= SET_IFEQ)
        return string_open(call, key, string);
    if (options->condition != SET_ALWAYS || options->keep_ttl)
        db_lookup(call->db, call->database, key, &string->found);
    return true;
}

void cmd_set(struct call *call)
{
    struct set_options options = {0};
    struct string string;
    int64_t deadline_ms;
    if (!read_options(call, &options, &deadline_ms) || !look_before_set(call, &options, &string))
        return;
    if (options.get)
        string_reply_whole(call, &string);
    if (call->walk->unfinished)
        return;
    bool set = set_condition_holds(call, options.condition, options.operand, &string);
    if (set && !options.get)
        call_reply_ok(call->reply);
    else if (!options.get)
        reply_null(call->reply);
    if (set && options.keep_ttl)
        call_change_string(call, call->argv[1], &string.found, call->argv[2], "set");
    else if (set)
        call_put_until(call, call->argv[1], call->argv[2], deadline_ms);
}

/* ---- the older forms ----------------------------------------------------------- */

void cmd_setnx(struct call *call)
{
    bool absent = db_get(call->db, call->database, call->argv[1], NULL) == DB_NONE;
    if (absent)
        call_put_string(call, call->argv[1], call->argv[2], "set");
    reply_integer(call->reply, absent);
}

void cmd_getset(struct call *call)
{
    struct string string;
    if (!string_open(call, call->argv[1], &string))
        return;
    string_reply_whole(call, &string);
    if (!call->walk->unfinished)
        call_put_string(call, call->argv[1], call->argv[2], "set");
}

void cmd_getdel(struct call *call)
{
    struct string string;
    if (!string_open(call, call->argv[1], &string))
        return;
    string_reply_whole(call, &string);
    if (!call->walk->unfinished && string.found.type != DB_NONE)
        call_delete(call, call->argv[1], "del");
}

/* ---- many keys ------------------------------------------------------------------ */

/* A slice of one in pages, of which walk->seen bytes are given; in `i` is its word. */
static void add_slice(struct call *call, uint32_t i, const struct string *string)
{
    enum { SLICE = 1 << 20 };
    struct walk_state *walk = call->walk;
    uint64_t size = string->found.size;
    if (walk->seen == 0)
        buffer_printf(&walk->found, "$%llu\r\n", (unsigned long long)size);
    struct bytes part = string_part(call, string, walk->seen, SLICE);
    walk->seen += part.size;
    walk->budget -= (int64_t)part.size;
    call_add_bytes(call, part);
    if (walk->seen < size) {
        walk->cursor = i;
        walk->unfinished = true;
        return;
    }
    buffer_append(&walk->found, "\r\n", 2);
    walk->seen = 0;
}

void cmd_mget(struct call *call)
{
    struct walk_state *walk = call->walk;
    for (uint32_t i = call_slice(call, 1); call_takes(call, i); i++) {
        struct string string;
        bool exists =
            call_look_kept(call, call->argv[i], walk->seen == 0, &string.found, &string.value) &&
            string.found.type == DB_STRING;
        if (!call_keeps_parts(call, exists ? string.found.size - walk->seen : 0))
            return;
        if (exists && string.found.space) {
            add_slice(call, i, &string);
            if (walk->unfinished)
                return;
            continue;
        }
        call_add_part(call, string.value, exists);
        if (exists)
            walk->budget -= (int64_t)string.value.size;
    }
    if (!walk->unfinished)
        call_reply_parts(call, call->argc - 1);
}

bool words_pairs(struct call *call)
{
    if (call->argc % 2 == 0)
        call_wrong_arity(call);
    return call->argc % 2 != 0;
}

/* False: not all of them yet. */
static bool set_pairs(struct call *call)
{
    if (call_is_prepared(call))
        call_take_keys(call);
    for (uint32_t i = call_slice_prepared(call, 1); call_takes(call, i); i += 2)
        call_put_string(call, call->argv[i], call->argv[i + 1], "set");
    return !call->walk->unfinished && !call_stops(call);
}

void cmd_mset(struct call *call)
{
    if (!words_pairs(call))
        return;
    if (set_pairs(call))
        call_reply_ok(call->reply);
}

/* False: one of the keys is there, or not all were looked at yet. */
static bool are_free(struct call *call)
{
    for (uint32_t i = call_slice(call, 1); call_takes(call, i); i += 2) {
        call_looks_first(call, call->argv[i]);
        if (db_get(call->db, call->database, call->argv[i], NULL) != DB_NONE) {
            reply_integer(call->reply, 0);
            return false;
        }
    }
    return !call->walk->unfinished;
}

void cmd_msetnx(struct call *call)
{
    if (!words_pairs(call))
        return;
    bool *sets = &call->walk->second_round;
    if (!*sets && !are_free(call))
        return;
    *sets = true;
    if (set_pairs(call))
        reply_integer(call->reply, 1);
}

/* ---- parts of a string ------------------------------------------------------------ */

void cmd_strlen(struct call *call)
{
    struct db_record found = {0};
    bool exists = db_lookup(call->db, call->database, call->argv[1], &found);
    if (exists && found.type != DB_STRING)
        reply_error(call->reply, ERROR_WRONG_TYPE);
    else
        reply_integer(call->reply, (int64_t)found.size);
}

void cmd_append(struct call *call)
{
    struct string string;
    struct bytes key = call->argv[1], part = call->argv[2];
    if (!string_open(call, key, &string))
        return;
    uint64_t end = string.found.size + part.size;
    if (end > call->value_max) {
        reply_error(call->reply, ERROR_TOO_LARGE);
        return;
    }
    if (!string_make_room(call, key, &string, end))
        return;
    bool is_written = string.found.type != DB_NONE
                          ? string_write_some(call, key, &string, string.found.size, part, "append")
                          : string_put_some(call, key, part, "append");
    if (is_written)
        reply_integer(call->reply, (int64_t)end);
}

void cmd_getrange(struct call *call)
{
    int64_t start, end;
    struct string string;
    if (!call_integer(call, 2, &start) || !call_integer(call, 3, &end) ||
        !string_open(call, call->argv[1], &string))
        return;
    int64_t size = (int64_t)string.found.size;
    bool reversed = start < 0 && end < 0 && start > end;
    if (start < 0)
        start = start + size > 0 ? start + size : 0;
    if (end < 0)
        end = end + size > 0 ? end + size : 0;
    if (end >= size)
        end = size - 1;
    if (reversed || size == 0 || start > end)
        reply_bulk(call->reply, bytes_of("", 0));
    else
        string_reply(call, &string, (uint64_t)start, (uint64_t)(end - start + 1));
}

/* False: answered. */
static bool read_offset(struct call *call, int64_t *offset)
{
    if (!call_integer(call, 2, offset))
        return false;
    if (*offset < 0)
        reply_error(call->reply, "ERR offset is out of range");
    return *offset >= 0;
}

bool words_setrange(struct call *call)
{
    int64_t offset;
    return read_offset(call, &offset);
}

void cmd_setrange(struct call *call)
{
    int64_t offset;
    struct string string;
    struct bytes key = call->argv[1], part = call->argv[3];
    if (!read_offset(call, &offset) || !string_open(call, key, &string))
        return;
    uint64_t end = (uint64_t)offset + part.size, size = string.found.size;
    if (part.size == 0) {
        reply_integer(call->reply, (int64_t)size);
        return;
    }
    if (end > call->value_max) {
        reply_error(call->reply, ERROR_TOO_LARGE);
        return;
    }
    if (!string_make_room(call, key, &string, end))
        return;
    if (string_write_some(call, key, &string, (uint64_t)offset, part, "setrange"))
        reply_integer(call->reply, (int64_t)(size > end ? size : end));
}
