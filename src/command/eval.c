/* EVAL, EVALSHA and their _RO forms (Redis 7.2 eval.c, script.c).
 *
 * A script is a frame that carries commands (execution.h): it runs on its machine until it calls
 * one, which is carried, and goes on with the reply; or until its slice is over.  All of it is one
 * entry, or one read.
 *
 *     run  ---- calls a command ---->  carried  ---- call->carried ---->  run
 *      |
 *      +-- ended -->  keep what it wrote  or, if it failed, undo it  -->  reply
 *
 * What a script wrote that raises an error, or passes a bound, is undone; Redis keeps it.  A script
 * that returns an error has chosen to, and keeps what it wrote.
 *
 * One that was long before is run before its entry, beside the db (preparing.h), savepoint and all;
 * its entry takes over what it wrote, and its reply.  Deterministic; loop thread only. */
#include "command/eval.h"

#include <ctype.h>
#include <stdio.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "command/preparing.h"
#include "command/script_store.h"
#include "command/waiting.h"
#include "resp/number.h"
#include "script/script.h"

enum { WORK_PER_INSTRUCTION = 4, KEYS_FROM = 3, REFUSAL_SIZE = 80 };

enum phase { PHASE_RUNS, PHASE_KEEPS, PHASE_UNDOES };

/* What is kept of a script from one step to the next. */
struct running {
    struct script *script;
    char sha[SCRIPT_SHA_SIZE + 1];
    enum phase phase;
    unsigned database; /* SELECT's, for the rest of the script */
    bool may_write;
    bool has_savepoint;
    uint64_t spent; /* that the db was told of */
};

static void running_free(void *kept)
{
    struct running *running = kept;
    script_pool_give_back(running->script);
    memory_free(running);
}

/* ---- words ---------------------------------------------------------------------------------- */

static bool read_key_count(struct call *call, uint32_t *count)
{
    int64_t keys;
    if (!call_integer(call, 2, &keys))
        return false;
    if (keys > (int64_t)call->argc - KEYS_FROM)
        return call_refuse(call, "ERR Number of keys can't be greater than number of args");
    if (keys < 0)
        return call_refuse(call, "ERR Number of keys can't be negative");
    *count = (uint32_t)keys;
    return true;
}

bool words_eval(struct call *call)
{
    uint32_t keys;
    if (!read_key_count(call, &keys))
        return false;
    return call->argv[1].size <= SCRIPT_BODY_MAX ||
           call_refuse(call, "ERR the script is too large");
}

/* ---- what a script calls --------------------------------------------------------------------- */

static bool knows_command(const struct bytes *argv, uint32_t argc)
{
    const struct command *command = command_find(argv, argc);
    return command && !(command->flags & CMD_INTERNAL);
}

/* NULL; else why it cannot be called from this script. */
static const char *refusal_of(const struct running *running, const struct command *command,
                              const struct script_call *called)
{
    if (!command || command->flags & CMD_INTERNAL)
        return "Unknown Redis command called from script";
    if (!command_takes(command, called->argc))
        return "Wrong number of args calling Redis command from script";
    if (command->flags & CMD_NOSCRIPT || command->execute == cmd_once)
        return "This Redis command is not allowed from script";
    if (command->flags & CMD_WRITE && !running->may_write)
        return "Write commands are not allowed from read-only scripts.";
    return NULL;
}

/* XREAD and XREADGROUP are for scripts, but not so that they would wait. */
static bool would_block(const struct command *command, const struct script_call *called,
                        char text[REFUSAL_SIZE])
{
    struct waiting waiting;
    if (!command_waiting_find(command, called->argv, called->argc, &waiting))
        return false;
    snprintf(text, REFUSAL_SIZE, "%.*s command is not allowed with BLOCK option from scripts",
             (int)called->argv[0].size, (const char *)called->argv[0].data);
    return true;
}

static void select_database(struct running *running, const struct script_call *called,
                            struct reply *reply)
{
    int64_t database;
    if (!number_parse_i64(called->argv[1], &database)) {
        reply_error(reply, "%s", ERROR_NOT_INTEGER);
    } else if (database < 0 || database >= DB_DATABASES) {
        reply_error(reply, "%s", ERROR_DATABASE);
    } else {
        running->database = (unsigned)database;
        call_reply_ok(reply);
    }
}

/* TIME is that of the log. */
static void tell_time(struct call *call, struct reply *reply)
{
    char digits[NUMBER_I64_SIZE];
    call_needs_its_entry(call);
    reply_array(reply, 2);
    reply_bulk(reply, bytes_of(digits, number_format_i64(call->now_ms / 1000, digits)));
    reply_bulk(reply, bytes_of(digits, number_format_i64(call->now_ms % 1000 * 1000, digits)));
}

/* Of commands that run on the node that a client is connected to, those whose answer is the same on
 * all of them.  False: it is none. */
static bool answer_here(struct call *call, struct running *running, const struct command *command,
                        const struct script_call *called)
{
    struct buffer out = {0};
    struct reply reply = {&out, called->protocol};
    if (command->execute == cmd_select)
        select_database(running, called, &reply);
    else if (command->execute == cmd_time)
        tell_time(call, &reply);
    else if (command->execute == cmd_ping && called->argc == 1)
        reply_simple(&reply, "PONG");
    else if (command->execute == cmd_ping || command->execute == cmd_echo)
        reply_bulk(&reply, called->argv[1]);
    else
        return false;
    script_answer(running->script, buffer_bytes(&out));
    buffer_deinit(&out);
    return true;
}

/* True: the command is carried; false: the script has its answer already, or is ended. */
static bool serve(struct call *call, struct running *running)
{
    struct script_call called = script_called(running->script);
    const struct command *command = command_find(called.argv, called.argc);
    const char *refusal = refusal_of(running, command, &called);
    if (!refusal && command->flags & CMD_LOCAL) {
        if (answer_here(call, running, command, &called))
            return false;
        refusal = "This Redis command is not allowed from script";
    }
    char text[REFUSAL_SIZE];
    if (!refusal && would_block(command, &called, text))
        refusal = text;
    if (refusal) {
        script_refuse(running->script, refusal);
        return false;
    }
    bool writes = command->flags & CMD_WRITE;
    if (writes && running->has_savepoint && db_savepoint_is_full(call->db)) {
        script_end(running->script, "it changes too much");
        return false;
    }
    if (writes && !running->has_savepoint) {
        db_savepoint(call->db);
        running->has_savepoint = true;
    }
    call_carry(call, command, called.argv, called.argc, called.protocol);
    call->carry->database = running->database;
    if (!running->may_write)
        call->carry->allows = CMD_READ;
    return true;
}

/* ---- running --------------------------------------------------------------------------------- */

/* True: nothing is left to do before the reply. */
static bool keep_or_undo(struct call *call, struct running *running)
{
    if (!running->has_savepoint)
        return true;
    bool is_done = running->phase == PHASE_UNDOES ? db_rollback(call->db) : db_release(call->db);
    running->has_savepoint = !is_done;
    return is_done;
}

static void end(struct call *call, struct running *running)
{
    bool failed;
    struct bytes reply = script_reply(running->script, &failed);
    if (running->phase == PHASE_RUNS)
        running->phase = failed ? PHASE_UNDOES : PHASE_KEEPS;
    if (call->preparing && failed) { /* its entry finds that again, and has something to undo */
        call_needs_its_entry(call);
        call->walk->unfinished = true;
        return;
    }
    call->walk->unfinished = !keep_or_undo(call, running);
    if (!call->walk->unfinished && !call_stops(call))
        reply_raw(call->reply, reply);
}

static void note_spent(struct call *call, struct running *running)
{
    uint64_t spent = script_spent(running->script);
    db_spend(call->db, (spent - running->spent) * WORK_PER_INSTRUCTION);
    running->spent = spent;
}

/* In a preparation of its words: the machine gets them, and what the script does is left to its
 * entry. */
static void load(struct call *call, struct running *running)
{
    script_slice(running->script);
    enum script_step step = script_go_on(running->script);
    note_spent(call, running);
    check(step != SCRIPT_CALLS);
    call->walk->unfinished = step == SCRIPT_PAUSES;
    if (step == SCRIPT_ENDS)
        end(call, running);
    else if (script_is_waiting(running->script))
        (void)call_stops(call);
}

static void go_on(struct call *call)
{
    struct running *running = call->walk->kept;
    struct script *script = running->script;
    if (call->preparing && !call->preparing->is_whole) {
        load(call, running);
        return;
    }
    call->walk->unfinished = false;
    if (running->phase != PHASE_RUNS) {
        end(call, running);
        return;
    }
    if (call->carried)
        script_answer(script, *call->carried);
    script_slice(script);
    enum script_step step;
    bool is_carried = false;
    do
        step = script_go_on(script);
    while (step == SCRIPT_CALLS && !(is_carried = serve(call, running)));
    note_spent(call, running);
    if (is_carried)
        return;
    call->walk->unfinished = step == SCRIPT_PAUSES;
    if (step == SCRIPT_ENDS)
        end(call, running);
}

/* False: answered. */
static bool may_run(struct call *call, struct bytes body, bool is_read_only, bool *may_write)
{
    struct buffer error = {0};
    unsigned flags;
    bool is_right = script_flags_of(body, &flags, &error);
    if (!is_right)
        reply_error(call->reply, "%.*s", (int)error.size, error.data);
    buffer_deinit(&error);
    if (!is_right)
        return false;
    *may_write = !is_read_only && !(flags & SCRIPT_NO_WRITES);
    if (is_read_only && flags & SCRIPT_HAS_LINE && !(flags & SCRIPT_NO_WRITES))
        return call_refuse(call,
                           "ERR Can not execute a script with write flag using *_ro command.");
    return true;
}

/* NULL: answered. */
static struct running *take_machine(struct call *call, const char *sha)
{
    struct script *script = script_pool_take(call);
    if (!script) {
        reply_error(call->reply, "BUSY too many scripts that read are under way");
        return NULL;
    }
    struct running *running = memory_new(sizeof *running);
    running->script = script;
    running->database = call->database;
    memcpy(running->sha, sha, sizeof running->sha);
    call->walk->kept = running;
    call->walk->kept_free = running_free;
    return running;
}

/* `body` is not kept beyond the first step, which compiles it. */
static void begin(struct call *call, struct bytes body, struct running *running, bool is_library)
{
    uint32_t keys = 0;
    bool is_right = read_key_count(call, &keys);
    check(is_right);
    struct script_run run = {.sha = bytes_of(running->sha, SCRIPT_SHA_SIZE),
                             .body = body,
                             .keys = call->argv + KEYS_FROM,
                             .key_count = keys,
                             .arguments = call->argv + KEYS_FROM + keys,
                             .argument_count = call->argc - KEYS_FROM - keys,
                             .protocol = call->reply->protocol,
                             .seed = call->seed,
                             .waits = call->preparing && !call->preparing->is_whole,
                             .is_library = is_library,
                             .function = call->argv[1],
                             .knows_command = knows_command};
    script_begin(running->script, &run);
    go_on(call);
}

/* EVALSHA knows from now on what EVAL ran. */
static void keep_body(struct call *call, struct bytes sha)
{
    struct bytes known;
    if (!script_store_get(call, sha, &known))
        script_store_put(call, sha, call->argv[1], false);
}

/* All of it was run before this entry, and holds. */
static void take_whole(struct call *call, struct running *running)
{
    bool failed;
    call_take_keys(call);
    call_begins_prepared(call);
    if (call->command->execute == cmd_eval)
        keep_body(call, bytes_of(running->sha, SCRIPT_SHA_SIZE));
    reply_raw(call->reply, script_reply(running->script, &failed));
    check(!failed);
}

bool call_goes_on(struct call *call)
{
    struct running *running = call->walk->kept;
    if (!running)
        return false;
    if (call_is_prepared(call) && running->phase != PHASE_RUNS) {
        take_whole(call, running);
        return true;
    }
    if (call_is_prepared(call)) {
        call_begins_prepared(call);
        return false;
    }
    go_on(call);
    return true;
}

bool command_script_is_same(struct call *call)
{
    const struct running *running = call->walk->kept;
    struct bytes body;
    if (!running || call->command->execute == cmd_eval)
        return true;
    struct bytes sha = bytes_of(running->sha, SCRIPT_SHA_SIZE);
    return call->command->execute == cmd_evalsha ? script_store_get(call, sha, &body)
                                                 : command_function_is(call, sha);
}

/* Its words are in a machine already, if it is this code that was prepared. */
static bool goes_on_prepared(struct call *call, struct bytes sha)
{
    struct running *running = call->walk->kept;
    if (!running)
        return false;
    bool is_it = bytes_equal(bytes_of(running->sha, SCRIPT_SHA_SIZE), sha);
    if (is_it)
        go_on(call);
    else
        running_free(running);
    call->walk->kept = is_it ? running : NULL;
    return is_it;
}

void call_run_function(struct call *call, struct bytes sha, struct bytes code, bool may_write)
{
    char name[SCRIPT_SHA_SIZE + 1] = "";
    check(sha.size == SCRIPT_SHA_SIZE);
    memcpy(name, sha.data, SCRIPT_SHA_SIZE);
    if (goes_on_prepared(call, sha))
        return;
    struct running *running = take_machine(call, name);
    if (!running)
        return;
    running->may_write = may_write;
    begin(call, code, running, true);
}

/* False: answered. */
static bool store(struct call *call, struct running *running, struct bytes body)
{
    struct bytes name = bytes_of(running->sha, SCRIPT_SHA_SIZE), known;
    if (script_store_get(call, name, &known))
        return true;
    struct buffer error = {0};
    bool compiles = script_compiles(running->script, name, body, &error);
    if (compiles)
        script_store_put(call, name, body, false);
    else
        reply_raw(call->reply, buffer_bytes(&error));
    buffer_deinit(&error);
    return compiles;
}

static void eval(struct call *call, bool is_read_only)
{
    char sha[SCRIPT_SHA_SIZE + 1];
    struct bytes body = call->argv[1], name = bytes_of(sha, SCRIPT_SHA_SIZE);
    uint32_t keys;
    bool may_write;
    if (call_goes_on(call))
        return;
    if (!read_key_count(call, &keys) || !may_run(call, body, is_read_only, &may_write))
        return;
    script_sha(body, sha);
    if (call->walk->kept) { /* it was prepared, so it compiles */
        keep_body(call, name);
        bool is_it = goes_on_prepared(call, name);
        check(is_it);
        return;
    }
    struct running *running = take_machine(call, sha);
    if (!running)
        return;
    running->may_write = may_write;
    if (!is_read_only && !call->preparing && !store(call, running, body))
        return;
    begin(call, body, running, false);
}

void cmd_eval(struct call *call)
{
    eval(call, false);
}

void cmd_eval_ro(struct call *call)
{
    eval(call, true);
}

static void evalsha(struct call *call, bool is_read_only)
{
    char sha[SCRIPT_SHA_SIZE + 1] = "";
    struct bytes given = call->argv[1], body;
    uint32_t keys;
    bool may_write;
    if (call_goes_on(call))
        return;
    if (!read_key_count(call, &keys))
        return;
    for (size_t i = 0; given.size == SCRIPT_SHA_SIZE && i < given.size; i++)
        sha[i] = (char)tolower(((const unsigned char *)given.data)[i]);
    if (given.size != SCRIPT_SHA_SIZE ||
        !script_store_get(call, bytes_of(sha, SCRIPT_SHA_SIZE), &body)) {
        call_refuse(call, "NOSCRIPT No matching script. Please use EVAL.");
        return;
    }
    if (!may_run(call, body, is_read_only, &may_write) ||
        goes_on_prepared(call, bytes_of(sha, SCRIPT_SHA_SIZE)))
        return;
    struct running *running = take_machine(call, sha);
    if (!running)
        return;
    running->may_write = may_write;
    begin(call, body, running, false);
}

void cmd_evalsha(struct call *call)
{
    evalsha(call, false);
}

void cmd_evalsha_ro(struct call *call)
{
    evalsha(call, true);
}
