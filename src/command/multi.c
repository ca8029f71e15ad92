/* MULTI, EXEC, DISCARD, WATCH and UNWATCH on a connection (Redis 7.2 multi.c).
 *
 * Between MULTI and EXEC commands are looked at as always (name, number of words, password) and
 * queued; one that is refused there spoils the transaction.  What is wrong in a command's words
 * alone is not logged (meaning.c), so what it would answer is queued in its place; likewise what
 * a command answers that needs no data.  The database goes with each queued command; the
 * connection's own changes when EXEC was done.
 *
 * `ONCE id n EXEC` in the place of EXEC makes the whole transaction one exactly-once request: a
 * client that got no answer sends MULTI, the same commands and the same ONCE again.
 *
 * Loop thread only. */
#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "command/commands.h"
#include "command/connection.h"
#include "command/exec_form.h"
#include "command/server.h"
#include "resp/number.h"

/* What a connection answers for EXEC when it does not come to it; else: the request is to be
 * made. */
void cmd_exec_alone(struct call *call)
{
    struct transaction *transaction = &call->connection->transaction;
    if (!transaction->is_open) { /* what is watched is watched further */
        reply_error(call->reply, "ERR EXEC without MULTI");
        return;
    }
    check(transaction->is_aborted);
    transaction_end(transaction);
    reply_error(call->reply, "EXECABORT Transaction discarded because of previous errors.");
}

/* An EXEC that is refused is the end of the transaction all the same (7.2 multi.c); but not of what
 * a request under way waits for: behind that it is said again. */
void command_refuse_exec(struct call *call)
{
    struct transaction *transaction = &call->connection->transaction;
    if (transaction->awaits == AWAITS_NOTHING)
        transaction_end(transaction);
    reply_error(call->reply,
                "EXECABORT Transaction discarded because of: wrong number of arguments for "
                "'exec' command");
}

void cmd_multi(struct call *call)
{
    struct transaction *transaction = &call->connection->transaction;
    if (transaction->is_open) {
        reply_error(call->reply, "ERR MULTI calls can not be nested");
        return;
    }
    transaction->is_open = true;
    transaction->database = call->connection->database;
    call_reply_ok(call->reply);
}

void cmd_discard(struct call *call)
{
    struct transaction *transaction = &call->connection->transaction;
    if (!transaction->is_open) {
        reply_error(call->reply, "ERR DISCARD without MULTI");
        return;
    }
    transaction_end(transaction);
    call_reply_ok(call->reply);
}

void cmd_unwatch(struct call *call)
{
    transaction_unwatch(&call->connection->transaction);
    call_reply_ok(call->reply);
}

/* *before: words in front of EXEC: none, or those of ONCE. */
static bool is_exec(const struct command *command, const struct bytes *argv, uint32_t argc,
                    uint32_t *before)
{
    bool is_once = command->execute == cmd_once && argc == 4 && bytes_is(argv[3], "exec");
    *before = is_once ? 3 : 0;
    return is_once || command->execute == cmd_exec_alone;
}

/* ---- queueing ---------------------------------------------------------------------- */

/* What is done at once also inside MULTI. */
static bool is_queued(const struct command *command)
{
    command_fn *execute = command->execute;
    return execute != cmd_multi && execute != cmd_exec_alone && execute != cmd_discard &&
           execute != cmd_watch && execute != cmd_quit && execute != cmd_reset;
}

static bool may_be_queued(struct call *call, const struct connection *connection)
{
    uint64_t flags = call->command->flags;
    bool has_place =
        (flags & (CMD_READ | CMD_WRITE | CMD_PURE) && !command_is_change(call->command)) ||
        call->command->execute == cmd_select || call->command->execute == cmd_unwatch;
    size_t size = connection->transaction.elements.size + connection->transaction.watches.size;
    for (uint32_t i = 0; i < call->argc; i++)
        size += 8 + call->argv[i].size;
    if (!has_place)
        reply_error(call->reply, "ERR Command not allowed inside a transaction");
    else if (size > TRANSACTION_BYTES_MAX || connection->transaction.count == EXEC_COUNT_MAX)
        reply_error(call->reply, "ERR the transaction is too large");
    else
        return true;
    return false;
}

enum command_class command_classify_in_transaction(struct call *call, struct connection *connection)
{
    struct transaction *transaction = &connection->transaction;
    uint32_t before;
    if (is_exec(call->command, call->argv, call->argc, &before)) {
        bool is_once = before > 0;
        if (is_once && !words_once(call))
            return COMMAND_REFUSED;
        if (transaction->is_open && !transaction->is_aborted)
            return is_once || transaction->has_writes ? COMMAND_WRITE : COMMAND_READ;
        call->command = command_lookup(bytes_from_string("exec"));
        return COMMAND_LOCAL;
    }
    if (call->command->execute == cmd_watch && transaction->is_open) {
        reply_error(call->reply, "ERR WATCH inside MULTI is not allowed");
        return COMMAND_REFUSED;
    }
    if (call->command->execute == cmd_watch &&
        !transaction_may_watch(transaction, call->argv, call->argc)) {
        reply_error(call->reply, "ERR too much is watched");
        return COMMAND_REFUSED;
    }
    if (!transaction->is_open)
        return COMMAND_OTHER;
    if (!is_queued(call->command))
        return COMMAND_OTHER;
    if (may_be_queued(call, connection))
        return COMMAND_QUEUED;
    transaction->is_aborted = true;
    return COMMAND_REFUSED;
}

/* What the command answers without the data; false: it is to be executed. */
static bool answer_now(struct connection *connection, struct call *call)
{
    struct transaction *transaction = &connection->transaction;
    call->database = transaction->database;
    if (!command_admit_found(call)) /* its words are wrong */
        return true;
    if (call->command->flags & (CMD_READ | CMD_WRITE))
        return false;
    if (call->command->execute == cmd_unwatch) { /* EXEC does that anyway */
        call_reply_ok(call->reply);
        return true;
    }
    uint8_t database = connection->database;
    uint64_t took = 0;
    connection->database = transaction->database;
    command_execute(call, &took);
    transaction->selects |= connection->database != transaction->database;
    transaction->database = connection->database;
    connection->database = database;
    return true;
}

static void append_element(struct transaction *transaction, enum exec_kind kind,
                           struct bytes content)
{
    unsigned char head[4 + EXEC_HEAD_SIZE];
    put_u32(head, (uint32_t)(EXEC_HEAD_SIZE + content.size));
    head[4] = (unsigned char)kind;
    head[5] = transaction->database;
    buffer_append(&transaction->elements, head, sizeof head);
    buffer_append_bytes(&transaction->elements, content);
    transaction->count++;
}

void command_queue(struct connection *connection, struct server *server,
                   const struct command *command, const struct bytes *argv, uint32_t argc,
                   struct blob *encoded)
{
    struct transaction *transaction = &connection->transaction;
    struct buffer out = {0};
    struct reply now = {&out, 3}; /* ONCE keeps replies in that form */
    struct reply queued = {connection_is_silent(connection) ? NULL : &connection->out.bytes,
                           connection->protocol};
    struct call call = {.command = command,
                        .argv = argv,
                        .argc = argc,
                        .reply = &now,
                        .connection = connection,
                        .server = server,
                        .meaning = command_meaning_newest,
                        .now_ms = server->ops->now_ms(server)};
    check(transaction->is_open);
    if (answer_now(connection, &call)) {
        append_element(transaction, EXEC_REPLY, buffer_bytes(&out));
    } else {
        encoded = encoded ? blob_take(encoded) : command_encode(argv, argc);
        append_element(transaction, EXEC_COMMAND, blob_bytes(encoded));
        blob_release(encoded);
        transaction->has_writes |= (command->flags & CMD_WRITE) != 0;
    }
    buffer_deinit(&out);
    reply_simple(&queued, "QUEUED");
}

/* ---- EXEC and WATCH as requests ---------------------------------------------------------- */

/* What it is called on its way to the leader; NULL: as it is said. */
static const char *name_of(const struct command *command)
{
    if (command->execute == cmd_sort_ro) /* a SORT that is a read */
        return command->name;
    if (command->execute == cmd_wait)
        return WAIT_NAME;
    return command->execute == cmd_waitaof ? WAITAOF_NAME : NULL;
}

bool command_will_be_encoded(const struct command *command, enum command_class class)
{
    if (class == COMMAND_QUEUED)
        return (command->flags & (CMD_READ | CMD_WRITE)) != 0;
    return (class == COMMAND_READ || class == COMMAND_WRITE) && !name_of(command) &&
           !command_is_subscribe(command);
}

static struct blob *encode_as(const struct command *command, const struct bytes *argv,
                              uint32_t argc, struct blob *encoded)
{
    const char *name = name_of(command);
    if (!name)
        return encoded ? blob_take(encoded) : command_encode(argv, argc);
    struct bytes *words = memory_copy(argv, argc * sizeof *argv);
    words[0] = bytes_from_string(name);
    struct blob *request = command_encode(words, argc);
    memory_free(words);
    return request;
}

/* A SUBSCRIBE, kept until the position is there. */
static struct blob *ask_position(struct transaction *transaction, const struct bytes *argv,
                                 uint32_t argc)
{
    struct bytes name = bytes_from_string(POSITION_NAME);
    struct blob *words = command_encode(argv, argc);
    buffer_clear(&transaction->asked);
    buffer_append_bytes(&transaction->asked, blob_bytes(words));
    blob_release(words);
    transaction->awaits = AWAITS_POSITION;
    return command_encode(&name, 1);
}

struct blob *command_take_request(struct connection *connection, const struct command *command,
                                  const struct bytes *argv, uint32_t argc, struct blob *encoded)
{
    struct transaction *transaction = &connection->transaction;
    uint32_t before;
    if (command->execute == cmd_watch) {
        transaction_watch_begin(transaction, connection->database, argv, argc);
        transaction->awaits = AWAITS_VERSIONS;
    }
    if (command_is_subscribe(command))
        return ask_position(transaction, argv, argc);
    if (!is_exec(command, argv, argc, &before))
        return encode_as(command, argv, argc, encoded);
    struct blob *request = transaction_encode(transaction, argv, before);
    bool selects = transaction->selects;
    uint8_t database = transaction->database;
    transaction_end(transaction);
    if (selects) {
        transaction->awaits = AWAITS_EXEC;
        transaction->database = database;
    }
    return request;
}

/* Of one queued command, if it is a read. */
static void each_key_queued(struct bytes element, command_key_fn *each, void *context)
{
    const unsigned char *at = element.data;
    struct bytes *argv = NULL;
    uint32_t argc, capacity = 0;
    struct bytes encoded = bytes_of(at + EXEC_HEAD_SIZE, element.size - EXEC_HEAD_SIZE);
    if (at[0] != EXEC_COMMAND)
        return;
    bool is_decoded = command_decode(encoded, &argv, &argc, &capacity);
    check(is_decoded); /* command_queue() encoded it */
    const struct command *command = command_find(argv, argc);
    if (command && command->flags & CMD_READ)
        command_each_key(command, argv, argc, each, context);
    memory_free(argv);
}

void command_each_key_read(const struct connection *connection, const struct command *command,
                           const struct bytes *argv, uint32_t argc, command_key_fn *each,
                           void *context)
{
    uint32_t before;
    if (!is_exec(command, argv, argc, &before)) {
        if (command->flags & CMD_READ && command->execute != cmd_watch)
            command_each_key(command, argv, argc, each, context);
        return;
    }
    const unsigned char *at = (const unsigned char *)connection->transaction.elements.data;
    size_t left = connection->transaction.elements.size;
    while (left > 0) {
        uint32_t size = get_u32(at);
        each_key_queued(bytes_of(at + 4, size), each, context);
        at += 4 + size;
        left -= 4 + size;
    }
}

bool command_needs_reply(const struct connection *connection, const struct command *command,
                         const struct bytes *argv, uint32_t argc)
{
    uint32_t before;
    return command->execute == cmd_watch || command_is_subscribe(command) ||
           (connection->transaction.selects && is_exec(command, argv, argc, &before));
}

/* Of EXEC: an array, not null. */
static bool is_executed(struct bytes reply)
{
    const char *first = reply.data;
    return reply.size > 1 && first[0] == '*' && first[1] != '-';
}

/* `:<position>`; false: it is an error. */
static bool read_position(struct bytes reply, uint64_t *position)
{
    const char *first = reply.data;
    return reply.size > 3 && first[0] == ':' &&
           number_parse_u64(bytes_of(first + 1, reply.size - 3), position);
}

/* Executes the SUBSCRIBE that was kept, which says itself what is to be said. */
static void subscribe_now(struct connection *connection, struct server *server)
{
    struct buffer words = connection->transaction.asked;
    struct bytes *argv = NULL;
    uint32_t argc, capacity = 0;
    connection->transaction.asked = (struct buffer){0};
    bool is_decoded = command_decode(buffer_bytes(&words), &argv, &argc, &capacity);
    check(is_decoded); /* ask_position() encoded it */
    command_run_local(connection, server, command_find(argv, argc), argv, argc);
    memory_free(argv);
    buffer_deinit(&words);
}

struct bytes command_reply_came(struct connection *connection, struct server *server, bool is_done,
                                struct bytes reply)
{
    struct transaction *transaction = &connection->transaction;
    enum transaction_awaits awaited = transaction->awaits;
    transaction->awaits = AWAITS_NOTHING;
    switch (awaited) {
    case AWAITS_NOTHING: break;
    case AWAITS_EXEC:
        if (is_done && is_executed(reply))
            connection->database = transaction->database;
        break;
    case AWAITS_VERSIONS:
        if (is_done && transaction_watch_end(transaction, reply))
            reply = bytes_from_string("+OK\r\n");
        buffer_deinit(&transaction->asked);
        break;
    case AWAITS_POSITION:
        if (is_done && read_position(reply, &connection->position)) {
            subscribe_now(connection, server);
            return bytes_of(NULL, 0);
        }
        buffer_deinit(&transaction->asked);
        break;
    }
    return reply;
}
