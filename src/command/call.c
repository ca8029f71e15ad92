/* What many commands do with their words.  Loop thread only. */
#include <ctype.h>

#include "base/buffer.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "command/commands.h"
#include "command/observer.h"
#include "command/preparing.h"
#include "command/string_parts.h"
#include "resp/number.h"

bool call_integer(struct call *call, uint32_t i, int64_t *value)
{
    if (number_parse_i64(call->argv[i], value))
        return true;
    reply_error(call->reply, ERROR_NOT_INTEGER);
    return false;
}

void call_wrong_arity(struct call *call)
{
    reply_error(call->reply, "ERR wrong number of arguments for '%s' command", call->command->name);
}

bool call_refuse(struct call *call, const char *error)
{
    reply_error(call->reply, "%s", error);
    return false;
}

enum { PRINTED_MAX = 128 };

int call_printed_size(struct bytes word)
{
    size_t max = word.size < PRINTED_MAX ? word.size : PRINTED_MAX;
    return (int)strnlen(word.data ? word.data : "", max);
}

void command_execute(struct call *call, uint64_t *took)
{
    struct command_observer *observer = call->observer;
    const struct buffer *out = call->reply->out;
    size_t before = out ? out->size : 0;
    if (observer)
        observer->begin(observer);
    bool puts = call->command->flags & CMD_PUTS;
    if (!puts || string_place_words(call))
        call->command->execute(call);
    check(call->database < DB_DATABASES);
    bool finished = !call->walk || (!call->walk->unfinished && !call->carry->command);
    if (puts && finished)
        string_drop_words(call);
    check(finished || !out || out->size == before);                /* the reply comes at the end, */
    check(!finished || !out || !call->walk || out->size > before); /* and it does come */
    if (!observer)
        return;
    bool failed = out && out->size > before && out->data[before] == '-';
    observer->end(observer, call, took, finished, failed);
}

void call_carry(struct call *call, const struct command *command, const struct bytes *argv,
                uint32_t argc, int protocol)
{
    check(!call->carry->command);
    check(command->flags & call->allows);
    check(command_takes(command, argc));
    *call->carry = (struct carry){.command = command,
                                  .argv = argv,
                                  .argc = argc,
                                  .allows = call->allows,
                                  .database = call->database,
                                  .protocol = protocol};
}

static void count_look(struct call *call, bool is_there)
{
    if (!call->observer || !(call->command->flags & CMD_READ))
        return;
    call->observer->keyspace_hits += is_there;
    call->observer->keyspace_misses += !is_there;
}

bool call_fields(struct call *call, struct bytes key, enum db_type type, struct fields *fields)
{
    bool is_of_type = fields_open(fields, call->db, call->view, call->database, key, type);
    fields->makes_old = call->meaning < COMMAND_MEANING_FIELDS;
    call_looks(call, key, fields->count > 0 ? &fields->record : NULL);
    bool counts = call->observer && call->command->flags & CMD_READ && !call->walk->unfinished;
    if (counts) {
        bool is_there = fields->count > 0 || !is_of_type;
        call->observer->keyspace_hits += is_there;
        call->observer->keyspace_misses += !is_there;
    }
    if (!is_of_type)
        reply_error(call->reply, ERROR_WRONG_TYPE);
    return is_of_type;
}

bool call_find(struct call *call, struct bytes key, struct db_record *found, struct bytes *payload)
{
    bool is_there = !call->view && !payload
                        ? db_lookup(call->db, call->database, key, found)
                        : db_find(call->db, call->view, call->database, key, found, payload);
    count_look(call, is_there);
    return is_there;
}

enum db_type call_look(struct call *call, struct bytes key, struct bytes *value)
{
    struct db_record found;
    return call_find(call, key, &found, value) ? found.type : DB_NONE;
}

/* What was found is a string, or there is nothing. */
static bool is_string(struct call *call, bool is_there, struct db_record *found,
                      struct bytes *value)
{
    if (!is_there) {
        *found = (struct db_record){.type = DB_NONE};
        *value = bytes_of(NULL, 0);
        return true;
    }
    if (found->type != DB_STRING)
        reply_error(call->reply, ERROR_WRONG_TYPE);
    return found->type == DB_STRING;
}

bool call_look_kept(struct call *call, struct bytes key, bool counts, struct db_record *found,
                    struct bytes *payload)
{
    bool is_there = db_find_kept(call->db, call->view, call->database, key, found, payload);
    if (counts)
        count_look(call, is_there);
    call_looks(call, key, is_there ? found : NULL);
    return is_there;
}

bool call_find_kept(struct call *call, struct bytes key, struct db_record *found,
                    struct bytes *value)
{
    bool is_there = call_look_kept(call, key, !call->walk->unfinished, found, value);
    return is_string(call, is_there, found, value);
}

bool call_get_string(struct call *call, struct bytes key, struct bytes *value, bool *exists)
{
    struct db_record found;
    bool is_right = is_string(call, call_find(call, key, &found, value), &found, value);
    *exists = is_right && found.type != DB_NONE;
    return is_right;
}

void call_put_string(struct call *call, struct bytes key, struct bytes value, const char *event)
{
    check(call->allows & CMD_WRITE);
    check(value.size <= VALUE_SIZE_MAX);
    db_effects_name(call->db, event);
    string_put(call, key, value, 0);
}

void call_change_string(struct call *call, struct bytes key, const struct db_record *found,
                        struct bytes value, const char *event)
{
    struct db_record changed = {.type = DB_STRING, .deadline_ms = found->deadline_ms};
    if (found->deadline_ms == 0) {
        call_put_string(call, key, value, event);
        return;
    }
    db_effects_name(call->db, event);
    if (string_is_whole_large(call, value.size))
        string_put(call, key, value, found->deadline_ms);
    else
        db_put_collection(call->db, call->database, key, &changed, value);
}

void call_put_until(struct call *call, struct bytes key, struct bytes value, int64_t deadline_ms)
{
    db_effects_name(call->db, "set");
    string_put(call, key, value, deadline_ms);
    if (deadline_ms != 0)
        db_effects_also(call->db, call->database, key, "expire");
}

void call_found_nothing(struct call *call)
{
    call->found_nothing = call->may_wait;
}

bool call_delete(struct call *call, struct bytes key, const char *event)
{
    check(call->allows & CMD_WRITE);
    db_effects_name(call->db, event);
    return db_delete(call->db, call->database, key);
}

/* A slice: so many keys, fewer if they come with more data.  A key that has to be fetched from a
 * busy disk takes 0.1 ms. */
enum { SLICE_BYTES = 1 << 20, SLICE_KEYS = 256 };

void call_begin_slice(struct call *call)
{
    struct walk_state *walk = call->walk;
    walk->unfinished = false;
    walk->budget = SLICE_BYTES;
    walk->work = db_work(call->db);
}

uint32_t call_slice(struct call *call, uint32_t first)
{
    struct walk_state *walk = call->walk;
    check(first <= call->argc);
    check(!walk->unfinished || (walk->cursor >= first && walk->cursor < call->argc));
    if (!walk->unfinished)
        walk->cursor = first;
    call_begin_slice(call);
    return (uint32_t)walk->cursor;
}

bool call_takes(struct call *call, uint32_t i)
{
    struct walk_state *walk = call->walk;
    check(!walk->unfinished);
    if (i >= call->argc)
        return false;
    int64_t work = (int64_t)(db_work(call->db) - walk->work);
    if (walk->budget <= work) {
        walk->cursor = i;
        walk->unfinished = true;
        return false;
    }
    walk->budget -= SLICE_BYTES / SLICE_KEYS;
    return true;
}

bool call_may_step(struct call *call)
{
    struct walk_state *walk = call->walk;
    walk->unfinished = walk->budget <= (int64_t)(db_work(call->db) - walk->work);
    walk->budget -= SLICE_BYTES / SLICE_KEYS;
    return !walk->unfinished;
}

enum { CHECKED_WORDS = 1 << 15 }; /* in a slice: to look at them alone is quick */

/* *i goes on to the first behind a slice. */
static bool check_some_words(struct call *call, uint32_t *i, uint32_t step,
                             bool (*is_right)(struct call *call, uint32_t i))
{
    uint32_t end = call->argc - *i > CHECKED_WORDS ? *i + CHECKED_WORDS : call->argc;
    for (; *i < end; *i += step)
        if (!is_right(call, *i))
            return false;
    return true;
}

bool call_admits_words(struct call *call, uint32_t first, uint32_t step,
                       bool (*is_right)(struct call *call, uint32_t i))
{
    return check_some_words(call, &first, step, is_right);
}

bool call_checks_words(struct call *call, uint32_t first, uint32_t step,
                       bool (*is_right)(struct call *call, uint32_t i))
{
    struct walk_state *walk = call->walk;
    if (walk->second_round)
        return true;
    uint32_t i = walk->unfinished ? (uint32_t)walk->cursor : first;
    walk->unfinished = false;
    if (!check_some_words(call, &i, step, is_right))
        return false;
    walk->cursor = i;
    walk->unfinished = i < call->argc;
    walk->second_round = !walk->unfinished;
    return walk->second_round;
}

bool call_kept(const struct call *call, void *kept, size_t size)
{
    const struct walk_state *walk = call->walk;
    if (!walk->unfinished || !walk->kept)
        return false;
    memcpy(kept, walk->kept, size);
    return true;
}

void call_keep(struct call *call, const void *kept, size_t size)
{
    struct walk_state *walk = call->walk;
    if (!walk->kept)
        walk->kept = memory_new(size);
    walk->kept_free = memory_free;
    memcpy(walk->kept, kept, size);
}

/* Parts are put aside in pieces of at least this size; a larger value becomes one of its own. */
enum { PIECE_BYTES = 32 * 1024 };

static void put_aside(struct walk_state *walk)
{
    rope_append(&walk->parts, buffer_bytes(&walk->found));
    buffer_clear(&walk->found);
}

bool call_keeps_parts(struct call *call, size_t more)
{
    struct walk_state *walk = call->walk;
    size_t size = walk->parts.size + walk->found.size;
    bool is_unwanted = call->reply_max > 0 && size > call->reply_max;
    if (walk->found.size >= PIECE_BYTES)
        put_aside(walk);
    if (!is_unwanted && size + more <= REPLY_SIZE_MAX)
        return true;
    walk->unfinished = false;
    if (is_unwanted)
        call_reply_parts(call, 0); /* it counts as large, and nobody gets it */
    else
        reply_error(call->reply, ERROR_REPLY_TOO_LARGE);
    return false;
}

void call_add_bytes(struct call *call, struct bytes bytes)
{
    struct walk_state *walk = call->walk;
    if (bytes.size < PIECE_BYTES) {
        buffer_append_bytes(&walk->found, bytes);
        return;
    }
    if (walk->found.size > 0)
        put_aside(walk);
    rope_append(&walk->parts, bytes);
}

void call_add_part(struct call *call, struct bytes value, bool exists)
{
    struct walk_state *walk = call->walk;
    struct reply found = {&walk->found, call->reply->protocol};
    if (!exists || value.size < PIECE_BYTES) {
        call_reply_value(&found, value, exists);
        return;
    }
    buffer_printf(&walk->found, "$%zu\r\n", value.size);
    call_add_bytes(call, value);
    buffer_append(&walk->found, "\r\n", 2);
}

void call_reply_parts(struct call *call, uint64_t count)
{
    reply_array(call->reply, count);
    call_end_parts(call);
}

void call_end_parts(struct call *call)
{
    struct walk_state *walk = call->walk;
    if (call->rest && walk->parts.size >= PIECE_BYTES) {
        put_aside(walk);
        rope_join(call->rest, &walk->parts);
        return;
    }
    if (!call->reply->out)
        return;
    for (struct bytes part; (part = rope_front(&walk->parts)).size;
         rope_drop(&walk->parts, part.size))
        reply_raw(call->reply, part);
    reply_raw(call->reply, buffer_bytes(&walk->found));
}

void call_reply_value(struct reply *reply, struct bytes value, bool exists)
{
    if (exists)
        reply_bulk(reply, value);
    else
        reply_null(reply);
}

void call_reply_resp3(struct reply *reply, struct bytes resp3)
{
    if (!reply->out)
        return;
    if (reply->protocol >= 3)
        reply_raw(reply, resp3);
    else
        check(resp_3_to_2(resp3, reply->out));
}

void call_reply_ok(struct reply *reply)
{
    reply_simple(reply, "OK");
}

void call_reply_help(struct call *call, const char *const *lines)
{
    const char *name = call->command->name;
    char title[64];
    size_t size = strcspn(name, "|");
    check(size < sizeof(title));
    for (size_t i = 0; i < size; i++)
        title[i] = (char)toupper((unsigned char)name[i]);
    title[size] = '\0';
    struct buffer first = {0};
    buffer_printf(&first, "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", title);
    buffer_append_byte(&first, '\0');
    uint64_t count = 0;
    while (lines[count])
        count++;
    reply_array(call->reply, count + 3);
    reply_simple(call->reply, first.data);
    for (uint64_t i = 0; i < count; i++)
        reply_simple(call->reply, lines[i]);
    reply_simple(call->reply, "HELP");
    reply_simple(call->reply, "    Prints this help.");
    buffer_deinit(&first);
}
