/* RAFT.CHECK: whether all members have the same data.
 *
 *     RAFT.CHECK [TIMEOUT ms]   begins a check, or joins the one under way, and answers when all
 *                               members have, or after that time (a minute)
 *     RAFT.CHECK STATUS         how far the newest one is; null: there was none since the start
 *
 * Both answer with a map of the check; the client's connection waits in net/, server/checks.h does
 * the work.  Local, loop thread only; the entries (check.h) are executed on every node. */
#include "command/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command/commands.h"
#include "command/server.h"
#include "resp/number.h"

enum { WAIT_MS = 60000 };

static const char error_carried[] = "ERR this command cannot be carried by another one";

/* ---- entries ---------------------------------------------------------------------------- */

static bool read_id(struct bytes word, struct command_check_notice *notice)
{
    return number_parse_u64(word, &notice->id) && notice->id != 0;
}

static bool read_found(const struct bytes *argv, struct command_check_notice *notice)
{
    uint64_t found;
    notice->kind = CHECK_FOUND;
    bool is_right = read_id(argv[1], notice) && number_parse_u64(argv[2], &notice->node) &&
                    number_parse_u64(argv[3], &notice->life) && number_parse_u64(argv[4], &found) &&
                    found < CHECK_FOUND_KINDS && number_parse_u64(argv[5], &notice->hash) &&
                    number_parse_u64(argv[6], &notice->rows) &&
                    number_parse_u64(argv[7], &notice->bytes);
    notice->found = is_right ? (enum command_check_found)found : CHECK_BUSY;
    return is_right;
}

bool words_compare(struct call *call)
{
    struct command_check_notice notice;
    return read_id(call->argv[1], &notice) || call_refuse(call, "ERR a check has a number");
}

bool words_compared(struct call *call)
{
    struct command_check_notice notice;
    return read_found(call->argv, &notice) || call_refuse(call, "ERR a finding has numbers");
}

void cmd_compare(struct call *call)
{
    struct command_check_notice notice = {.kind = CHECK_BEGINS};
    if (!call->notice) {
        reply_error(call->reply, "%s", error_carried);
        return;
    }
    if (!read_id(call->argv[1], &notice)) {
        (void)words_compare(call);
        return;
    }
    *call->notice = notice;
    call_reply_ok(call->reply);
}

void cmd_compared(struct call *call)
{
    struct command_check_notice notice = {0};
    if (!call->notice) {
        reply_error(call->reply, "%s", error_carried);
        return;
    }
    if (!read_found(call->argv, &notice)) {
        (void)words_compared(call);
        return;
    }
    *call->notice = notice;
    call_reply_ok(call->reply);
}

struct blob *command_check_encode(const struct command_check_notice *notice)
{
    enum { NUMBERS = 7 };
    const uint64_t numbers[NUMBERS] = {
        notice->id,   notice->node, notice->life, (uint64_t)notice->found,
        notice->hash, notice->rows, notice->bytes};
    char texts[NUMBERS][24];
    bool begins = notice->kind == CHECK_BEGINS;
    struct bytes words[1 + NUMBERS] = {bytes_from_string(begins ? COMPARE_NAME : COMPARED_NAME)};
    for (unsigned i = 0; i < NUMBERS; i++) {
        snprintf(texts[i], sizeof texts[i], "%" PRIu64, numbers[i]);
        words[1 + i] = bytes_from_string(texts[i]);
    }
    return command_encode(words, begins ? 2 : 1 + NUMBERS);
}

/* ---- a client's ------------------------------------------------------------------------- */

static bool is_status(const struct bytes *argv, uint32_t argc)
{
    return argc == 2 && bytes_is(argv[1], "status");
}

/* NULL, or what is wrong. */
static const char *read_wait(const struct bytes *argv, uint32_t argc, int64_t *wait_ms)
{
    *wait_ms = WAIT_MS;
    if (argc == 1)
        return NULL;
    if (argc != 3 || !bytes_is(argv[1], "timeout"))
        return "ERR syntax error";
    if (!number_parse_i64(argv[2], wait_ms))
        return "ERR timeout is not an integer or out of range";
    return *wait_ms < 0 ? "ERR timeout is negative" : NULL;
}

bool words_raft_check(struct call *call)
{
    int64_t wait_ms;
    const char *error =
        is_status(call->argv, call->argc) ? NULL : read_wait(call->argv, call->argc, &wait_ms);
    return !error || call_refuse(call, error);
}

bool command_check_wait_ms(const struct command *command, const struct bytes *argv, uint32_t argc,
                           int64_t *wait_ms)
{
    return command->execute == cmd_raft_check && !is_status(argv, argc) &&
           !read_wait(argv, argc, wait_ms);
}

const char *command_check_verdict(enum server_check_verdict verdict)
{
    switch (verdict) {
    case SERVER_CHECK_RUNNING: return "running";
    case SERVER_CHECK_EQUAL: return "equal";
    case SERVER_CHECK_DIFFERENT: return "different";
    case SERVER_CHECK_UNDECIDED: return "undecided";
    case SERVER_CHECK_INCOMPLETE: return "incomplete";
    }
    return "?";
}

const char *command_check_state(enum server_check_state state)
{
    switch (state) {
    case SERVER_CHECK_MEMBER_WAITING: return "waiting";
    case SERVER_CHECK_MEMBER_BUSY: return "busy";
    case SERVER_CHECK_MEMBER_ANSWERED: return "answered";
    case SERVER_CHECK_MEMBER_EQUAL: return "equal";
    case SERVER_CHECK_MEMBER_DIFFERS: return "differs";
    }
    return "?";
}

static void pair_u64(struct reply *reply, const char *name, uint64_t value)
{
    reply_bulk_string(reply, name);
    reply_integer(reply, (int64_t)value);
}

static void reply_member(struct reply *reply, const struct server_check *check,
                         const struct server_check_member *member)
{
    char hash[20];
    snprintf(hash, sizeof hash, "%016" PRIx64, member->hash);
    reply_map(reply, 6);
    pair_u64(reply, "id", member->id);
    pair_u64(reply, "index", check->index);
    reply_bulk_string(reply, "hash");
    if (member->state >= SERVER_CHECK_MEMBER_ANSWERED)
        reply_bulk_string(reply, hash);
    else
        reply_null(reply);
    reply_bulk_string(reply, "state");
    reply_bulk_string(reply, command_check_state(member->state));
    pair_u64(reply, "rows", member->rows);
    pair_u64(reply, "bytes", member->bytes);
}

static void reply_check(struct reply *reply, const struct server_check *check)
{
    char id[20];
    snprintf(id, sizeof id, "%016" PRIx64, check->id);
    reply_map(reply, 6);
    reply_bulk_string(reply, "check");
    reply_bulk_string(reply, id);
    pair_u64(reply, "index", check->index);
    reply_bulk_string(reply, "verdict");
    reply_bulk_string(reply, command_check_verdict(check->verdict));
    pair_u64(reply, "bytes", check->bytes);
    pair_u64(reply, "bytes-expected", check->bytes_expected);
    reply_bulk_string(reply, "members");
    reply_array(reply, check->members_count);
    for (uint32_t i = 0; i < check->members_count; i++)
        reply_member(reply, check, &check->members[i]);
}

void cmd_raft_check(struct call *call)
{
    struct server_check check;
    call->server->ops->check(call->server, &check);
    if (check.error[0])
        reply_error(call->reply, "%s", check.error);
    else if (check.id == 0)
        reply_null(call->reply);
    else
        reply_check(call->reply, &check);
}
