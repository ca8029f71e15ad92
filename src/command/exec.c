/* WATCH and EXEC on the data (Redis 7.2 multi.c).
 *
 * WATCH is a read of versions: the index of the entry that changed a key last.  EXEC is one
 * entry, or one read if it only reads: where a version is another one than was seen, nothing is
 * executed and the reply is null; else all commands are, with nothing in between.  One that
 * fails gives its error in its place, and the others are executed.
 *
 * A key that was absent, made, and deleted again between WATCH and EXEC counts as unchanged, since
 * it has no version; in Redis it does not.  Deterministic; loop thread only. */
#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "command/commands.h"
#include "command/exec_form.h"
#include "command/prepare.h"

static uint64_t version_of(struct call *call, unsigned database, struct bytes key)
{
    struct db_record found;
    if (!db_find(call->db, call->view, database, key, &found, NULL))
        return exec_version_absent;
    return found.version;
}

void cmd_watch(struct call *call)
{
    struct reply versions = {&call->walk->found, call->reply->protocol};
    for (uint32_t i = call_slice(call, 1); call_takes(call, i); i++)
        reply_integer(&versions, (int64_t)version_of(call, call->database, call->argv[i]));
    if (call->walk->unfinished)
        return;
    reply_array(call->reply, call->argc - 1);
    reply_raw(call->reply, buffer_bytes(&call->walk->found));
}

/* ---- the form ------------------------------------------------------------------------ */

/* The watch at *at, and moves on; false: malformed. */
static bool take_watch(struct bytes *rest, unsigned *database, uint64_t *version, struct bytes *key)
{
    const unsigned char *at = rest->data;
    if (rest->size < EXEC_WATCH_SIZE || at[0] >= DB_DATABASES)
        return false;
    size_t size = get_u32(at + 9);
    if (size > rest->size - EXEC_WATCH_SIZE)
        return false;
    *database = at[0];
    *version = get_u64(at + 1);
    *key = bytes_of(at + EXEC_WATCH_SIZE, size);
    *rest = bytes_of(at + EXEC_WATCH_SIZE + size, rest->size - EXEC_WATCH_SIZE - size);
    return true;
}

/* What an element carries; false: malformed.  argv is kept in `words`. */
struct element {
    enum exec_kind kind;
    unsigned database;
    struct bytes reply;
    const struct command *command;
    const struct bytes *argv;
    uint32_t argc;
};

static bool parse_command(struct element *element, struct bytes encoded, struct words *words)
{
    if (!command_decode(encoded, &words->argv, &element->argc, &words->capacity))
        return false;
    element->argv = words->argv;
    element->command = command_find(element->argv, element->argc);
    return element->command && element->command->execute != cmd_exec &&
           element->command->flags & (CMD_READ | CMD_WRITE) &&
           command_takes(element->command, element->argc);
}

static bool parse_element(struct bytes word, struct element *element, struct words *words)
{
    const unsigned char *at = word.data;
    if (word.size <= EXEC_HEAD_SIZE || at[0] > EXEC_REPLY || at[1] >= DB_DATABASES)
        return false;
    struct bytes rest = bytes_of(at + EXEC_HEAD_SIZE, word.size - EXEC_HEAD_SIZE);
    *element = (struct element){.kind = (enum exec_kind)at[0], .database = at[1]};
    if (element->kind == EXEC_COMMAND)
        return parse_command(element, rest, words);
    element->reply = rest;
    return true;
}

#define ERROR_MALFORMED "ERR malformed transaction"

static bool is_reply(struct bytes resp3)
{
    struct buffer ignored = {0};
    bool is_one = resp_3_to_2(resp3, &ignored);
    buffer_deinit(&ignored);
    return is_one;
}

static bool are_watches_right(struct bytes watches)
{
    struct bytes key;
    unsigned database;
    uint64_t version;
    while (watches.size > 0)
        if (!take_watch(&watches, &database, &version, &key))
            return false;
    return true;
}

static bool is_element_right(const struct call *call, uint32_t i, struct words *words)
{
    struct element element;
    if (!parse_element(call->argv[i], &element, words))
        return false;
    if (element.kind == EXEC_REPLY)
        return is_reply(element.reply);
    return element.command->flags & call->allows && command_since(element.command) <= call->meaning;
}

/* Of a forward: as if its commands came one by one. */
bool words_exec(struct call *call)
{
    struct words words = {0};
    call->allows = CMD_READ | CMD_WRITE;
    bool valid = are_watches_right(call->argv[1]);
    for (uint32_t i = EXEC_WORDS_BEFORE; valid && i < call->argc; i++)
        valid = is_element_right(call, i, &words);
    if (!valid)
        reply_error(call->reply, ERROR_MALFORMED);
    for (uint32_t i = EXEC_WORDS_BEFORE; valid && i < call->argc; i++) {
        struct element element;
        bool is_element = parse_element(call->argv[i], &element, &words);
        check(is_element);
        struct call inner = *call;
        inner.argv = element.argv;
        inner.argc = element.argc;
        inner.database = element.database;
        valid = element.kind != EXEC_COMMAND || command_admit(&inner);
    }
    memory_free(words.argv);
    return valid;
}

/* More of them may take long, whatever they are; the simulator builds this with fewer. */
#ifndef EXEC_LONG_COMMANDS
#define EXEC_LONG_COMMANDS 256
#endif

/* ---- execution -------------------------------------------------------------------------- */

static bool is_right(struct call *call, uint32_t i)
{
    return is_element_right(call, i, &call->walk->words);
}

/* In slices, walk->second_round: it is.  False: it is not, answered; or not all was looked at. */
static bool is_well_formed(struct call *call)
{
    struct walk_state *walk = call->walk;
    if (walk->second_round)
        return true;
    if ((!walk->unfinished && !are_watches_right(call->argv[1])) ||
        !call_checks_words(call, EXEC_WORDS_BEFORE, 1, is_right)) {
        if (!walk->unfinished)
            reply_error(call->reply, ERROR_MALFORMED);
        return false;
    }
    walk->cursor = 0;
    return true;
}

/* In slices, walk->cursor: how many bytes of the watches are behind.  False: one is another now,
 * answered; or not all were looked at yet. */
static bool are_unchanged(struct call *call)
{
    struct walk_state *walk = call->walk;
    struct bytes watches = call->argv[1], key;
    struct bytes rest =
        bytes_of((const char *)watches.data + walk->cursor, watches.size - walk->cursor);
    unsigned database;
    uint64_t version;
    call_begin_slice(call);
    if (call_is_prepared(call)) /* the keys that are watched are among those that it looked at */
        return true;
    for (; rest.size > 0; walk->cursor = watches.size - rest.size) {
        if (!call_may_step(call))
            return false;
        bool is_watch = take_watch(&rest, &database, &version, &key);
        check(is_watch);
        call_looks_in(call, database, key);
        if (version_of(call, database, key) != version) {
            reply_null_array(call->reply);
            return false;
        }
    }
    return true;
}

/* Executes from element walk->count on, until one has to be carried or all are done. */
static void go_on(struct call *call)
{
    struct walk_state *walk = call->walk;
    struct reply found = {&walk->found, call->reply->protocol};
    for (; walk->count < call->argc - EXEC_WORDS_BEFORE; walk->count++) {
        struct element element;
        bool is_element =
            parse_element(call->argv[EXEC_WORDS_BEFORE + walk->count], &element, &walk->words);
        check(is_element);
        if (element.kind == EXEC_COMMAND) {
            call_carry(call, element.command, element.argv, element.argc, call->reply->protocol);
            call->carry->database = element.database;
            return;
        }
        call_reply_resp3(&found, element.reply);
    }
    if (call_stops(call))
        return;
    reply_array(call->reply, walk->count);
    reply_raw(call->reply, buffer_bytes(&walk->found));
}

bool command_exec_may_take_long(const struct call *call)
{
    struct words words = {0};
    bool may = call->argc - EXEC_WORDS_BEFORE > EXEC_LONG_COMMANDS;
    for (uint32_t i = EXEC_WORDS_BEFORE; i < call->argc && !may; i++) {
        struct element element;
        if (!parse_element(call->argv[i], &element, &words) || element.kind != EXEC_COMMAND)
            continue;
        struct call inner = {.command = element.command,
                             .argv = element.argv,
                             .argc = element.argc,
                             .meaning = call->meaning};
        may = command_may_take_long(&inner);
    }
    memory_free(words.argv);
    return may;
}

/* Of many, only their words are counted, which is quick, until there are enough. */
uint64_t command_exec_prepares(struct call *call)
{
    enum { LOOKED_AT_MAX = 64, WORDS_EACH = 2, ENOUGH = 1 << 20 };
    struct words words = {0};
    uint64_t elements = 0;
    bool is_looked_at = call->argc - EXEC_WORDS_BEFORE <= LOOKED_AT_MAX;
    for (uint32_t i = EXEC_WORDS_BEFORE; i < call->argc && elements < ENOUGH; i++) {
        struct element element;
        struct bytes word = call->argv[i];
        if (word.size <= EXEC_HEAD_SIZE)
            break;
        word = bytes_of((const char *)word.data + EXEC_HEAD_SIZE, word.size - EXEC_HEAD_SIZE);
        elements += command_word_count(word) / WORDS_EACH;
        if (!is_looked_at || !command_may_be_long(word))
            continue;
        if (!parse_element(call->argv[i], &element, &words) || element.kind != EXEC_COMMAND)
            continue;
        struct call inner = *call;
        inner.command = element.command;
        inner.argv = element.argv;
        inner.argc = element.argc;
        inner.database = element.database;
        elements += command_prepares(&inner);
    }
    memory_free(words.argv);
    return elements;
}

void cmd_exec(struct call *call)
{
    struct walk_state *walk = call->walk;
    if (call_is_prepared(call))
        call_take_keys(call);
    if (call->carried) {
        buffer_append_bytes(&walk->found, *call->carried);
        walk->count++;
    } else if (!is_well_formed(call) || !are_unchanged(call)) {
        return;
    }
    go_on(call);
}
