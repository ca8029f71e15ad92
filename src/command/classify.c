/* From words to the function that executes them.
 *
 * command_classify() refuses what can be refused without the data, in the order of Redis's
 * processCommand (7.2 server.c): unknown command, arity, authentication; then what our log cannot
 * carry.  The same lookup serves the state machine, so a command means the same everywhere.
 *
 * Loop thread only. */
#include <stdio.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "command/commands.h"
#include "command/connection.h"
#include "command/eval.h"
#include "command/server.h"

#define uthash_malloc(size) memory_new(size)
#define uthash_free(at, size) memory_free(at)
#define uthash_fatal(text) fatal("command table: %s", text)
#include <uthash.h>

enum { NAME_MAX_SIZE = 48, ERROR_WORDS_MAX = 128 };

/* ---- lookup ------------------------------------------------------------------ */

struct row {
    const struct command *command;
    UT_hash_handle hh;
};

/* Built at the first lookup; the table never changes. */
static struct row *rows;

static void index_rows(void)
{
    for (uint32_t i = 0; i < command_rows_count; i++) {
        struct row *row = memory_new(sizeof(*row));
        row->command = &command_rows[i];
        check(strlen(row->command->name) < NAME_MAX_SIZE);
        HASH_ADD_KEYPTR(hh, rows, row->command->name, strlen(row->command->name), row);
    }
}

/* Appends `name` in lower case to `lower`; false: too long for any command. */
static bool lower_name(struct bytes name, char *lower, size_t *size)
{
    const char *letters = name.data;
    if (name.size > NAME_MAX_SIZE - *size)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        char c = letters[i];
        lower[(*size)++] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    return true;
}

/* Often the one that was found before. */
static const struct command *find_row(const char *lower, size_t size)
{
    static const struct row *latest;
    struct row *row;
    if (latest && latest->hh.keylen == size && memcmp(latest->hh.key, lower, size) == 0)
        return latest->command;
    if (!rows)
        index_rows();
    HASH_FIND(hh, rows, lower, size, row);
    latest = row ? row : latest;
    return row ? row->command : NULL;
}

const struct command *command_lookup(struct bytes name)
{
    char lower[NAME_MAX_SIZE];
    size_t size = 0;
    return lower_name(name, lower, &size) ? find_row(lower, size) : NULL;
}

/* Mostly one of those that were found before, in the same letters; no container, whose second word
 * is a part of the name. */
struct recent {
    char name[NAME_MAX_SIZE];
    size_t size;
    const struct command *command;
};

enum { RECENT = 16 };

/* By its first letters and its size, so that those of one pipeline, GET and SET, HGET and HSET, do
 * not take the place of each other. */
static struct recent *recent_of(struct bytes name)
{
    static struct recent recent[RECENT];
    const unsigned char *letters = name.data;
    size_t letter_sum = name.size < 2 ? 0 : (size_t)letters[0] + letters[1];
    return &recent[(letter_sum + name.size) % RECENT];
}

static bool is_recent(const struct recent *recent, struct bytes name)
{
    return recent->command && name.size == recent->size &&
           memcmp(name.data, recent->name, name.size) == 0;
}

static void note_recent(struct recent *recent, struct bytes name, const struct command *command)
{
    memcpy(recent->name, name.data, name.size);
    recent->size = name.size;
    recent->command = command;
}

const struct command *command_find(const struct bytes *argv, uint32_t argc)
{
    struct recent *recent = argc > 0 ? recent_of(argv[0]) : NULL;
    char lower[NAME_MAX_SIZE];
    size_t size = 0;
    if (argc > 0 && is_recent(recent, argv[0]))
        return recent->command;
    if (argc == 0 || memchr(argv[0].data, '|', argv[0].size))
        return NULL; /* "client|id" is a name to talk about a command, not to call it */
    if (!lower_name(argv[0], lower, &size))
        return NULL;
    const struct command *command = find_row(lower, size);
    if (command && !(command->flags & CMD_CONTAINER))
        note_recent(recent, argv[0], command);
    if (!command || !(command->flags & CMD_CONTAINER) || argc == 1)
        return command;
    if (!lower_name(bytes_from_string("|"), lower, &size) || !lower_name(argv[1], lower, &size))
        return NULL;
    return find_row(lower, size);
}

const struct command *command_table(uint32_t *count, uint32_t *all)
{
    *count = command_rows_count;
    while (command_rows[*count - 1].flags & CMD_INTERNAL)
        --*count;
    if (all)
        *all = command_rows_count;
    return command_rows;
}

bool command_takes(const struct command *command, uint32_t argc)
{
    int64_t words = argc;
    return command->arity >= 0 ? words == command->arity : words >= -command->arity;
}

/* CAS had four words before there were deadlines. */
bool call_has_arity(const struct call *call)
{
    bool is_old_cas = call->command->execute == cmd_cas && call->meaning < COMMAND_MEANING_EXPIRY;
    return is_old_cas ? call->argc == 4 : command_takes(call->command, call->argc);
}

/* ---- refusals ------------------------------------------------------------------ */

/* How much of a word Redis prints into an error: it takes words for C strings. */
static int printed_size(struct bytes word, size_t max)
{
    if (word.size < max)
        max = word.size;
    return (int)strnlen(word.data ? word.data : "", max);
}

static char to_upper(char letter)
{
    return letter >= 'a' && letter <= 'z' ? (char)(letter - ('a' - 'A')) : letter;
}

/* Redis's commands have a HELP; of ours the subcommands are named. */
static void refuse_subcommand(struct reply *reply, const struct command *container,
                              struct bytes word)
{
    char upper[NAME_MAX_SIZE] = "", help[NAME_MAX_SIZE + sizeof "|help"];
    size_t size = strlen(container->name);
    struct buffer names = {0};
    for (size_t i = 0; i < size; i++)
        upper[i] = to_upper(container->name[i]);
    snprintf(help, sizeof help, "%s|help", container->name);
    for (uint32_t i = 0; i < command_rows_count; i++)
        if (strncmp(command_rows[i].name, help, size + 1) == 0)
            for (const char *name = command_rows[i].name + size; *name; name++)
                buffer_append_byte(&names, *name == '|' ? ' ' : to_upper(*name));
    if (command_lookup(bytes_from_string(help)))
        reply_error(reply, "ERR unknown subcommand '%.*s'. Try %s HELP.",
                    printed_size(word, ERROR_WORDS_MAX), (const char *)word.data, upper);
    else
        reply_error(reply, "ERR unknown subcommand '%.*s'. %s has%.*s.",
                    printed_size(word, ERROR_WORDS_MAX), (const char *)word.data, upper,
                    (int)names.size, names.size ? names.data : "");
    buffer_deinit(&names);
}

static void refuse_unknown(struct reply *reply, const struct bytes *argv, uint32_t argc)
{
    const struct command *container = command_lookup(argv[0]);
    int size = printed_size(argv[0], ERROR_WORDS_MAX);
    if (container && container->flags & CMD_CONTAINER) {
        refuse_subcommand(reply, container, argv[1]);
        return;
    }
    struct buffer words = {0};
    for (uint32_t i = 1; i < argc && words.size < ERROR_WORDS_MAX; i++)
        buffer_printf(&words, "'%.*s' ", printed_size(argv[i], ERROR_WORDS_MAX - words.size),
                      (const char *)argv[i].data);
    reply_error(reply, "ERR unknown command '%.*s', with args beginning with: %.*s", size,
                (const char *)argv[0].data, (int)words.size, words.size ? words.data : "");
    buffer_deinit(&words);
}

static bool is_too_large(const struct bytes *argv, uint32_t argc)
{
    uint64_t size = 4;
    if (argc > COMMAND_WORDS_MAX)
        return true;
    for (uint32_t i = 0; i < argc; i++) {
        if (argv[i].size > VALUE_SIZE_MAX)
            return true;
        size += 4 + argv[i].size;
    }
    return size > COMMAND_ENCODED_MAX;
}

static bool is_of(const struct command *command, uint8_t meaning)
{
    return command_since(command) <= meaning;
}

/* False: no such command, or not with so many words; answered.  is_said: by a client, as it is; it
 * is not carried by another. */
static bool find(struct call *call, bool is_said)
{
    call->command = command_find(call->argv, call->argc);
    if (!call->command || !is_of(call->command, command_meaning_newest) ||
        (call->connection && call->command->flags & CMD_INTERNAL)) {
        refuse_unknown(call->reply, call->argv, call->argc);
        return false;
    }
    if (call_has_arity(call))
        return true;
    if (is_said && call->command->execute == cmd_exec_alone)
        command_refuse_exec(call);
    else
        call_wrong_arity(call);
    return false;
}

/* In the data, there is nothing yet that could have been written under a later meaning. */
static bool refuse_meaning(struct call *call)
{
    bool is_local = call->command->flags & CMD_LOCAL;
    uint8_t needed = command_since(call->command);
    if (call->database > 0 && !is_local && needed < COMMAND_MEANING_DATABASES)
        needed = COMMAND_MEANING_DATABASES;
    if (needed <= call->meaning)
        return false;
    reply_error(call->reply,
                "ERR %s%s needs meaning %u, and not every member has said that it knows more than "
                "%u: start "
                "each of them once, upgrade the older",
                call->command->name, call->database ? " in a database other than 0" : "", needed,
                call->meaning);
    return true;
}

/* What ONCE carries, as a call of its own. */
static bool admit_carried(struct call *call)
{
    struct call inner = *call;
    inner.argv += 3;
    inner.argc -= 3;
    if (!find(&inner, false))
        return false;
    if (inner.command->flags & (CMD_READ | CMD_WRITE) && inner.command->execute != cmd_once &&
        inner.command->execute != cmd_debug && !command_is_change(inner.command))
        return !refuse_meaning(&inner) && (!inner.command->words || inner.command->words(&inner));
    reply_error(call->reply, "ERR ONCE cannot carry '%s'", inner.command->name);
    return false;
}

/* They are executed at once, some us a word: what nobody means is refused.  COMMAND GETKEYS has a
 * whole command behind it, and takes no longer than to read that. */
static bool has_too_many_words(const struct call *call)
{
    const struct command *command = call->command;
    bool is_at_once = command->flags & CMD_LOCAL || command->execute == cmd_script_exists;
    bool finds_keys =
        command->execute == cmd_command_getkeys || command->execute == cmd_command_getkeysandflags;
    uint32_t most = finds_keys ? KEYS_WORDS_MAX : LOCAL_WORDS_MAX;
    return is_at_once && call->argc > most && !command_is_divided(command);
}

bool command_admit_found(struct call *call)
{
    if (call->database >= DB_DATABASES) {
        reply_error(call->reply, ERROR_DATABASE);
        return false;
    }
    if (refuse_meaning(call))
        return false;
    if (has_too_many_words(call)) {
        reply_error(call->reply, "ERR command is too large");
        return false;
    }
    if (call->command->words && !call->command->words(call))
        return false;
    if (call->command->execute == cmd_once && !admit_carried(call))
        return false;
    if (call->command->flags & (CMD_READ | CMD_WRITE) && is_too_large(call->argv, call->argc)) {
        reply_error(call->reply, "ERR command is too large");
        return false;
    }
    return true;
}

bool command_admit(struct call *call)
{
    return find(call, false) && command_admit_found(call);
}

static bool is_let_in(const struct connection *connection, struct call *call)
{
    if (connection->authenticated || call->command->flags & CMD_NO_AUTH)
        return true;
    reply_error(call->reply, "NOAUTH Authentication required.");
    return false;
}

/* What DEBUG PROTOCOL answers is no reply that could stand in another. */
static bool may_debug(const struct connection *connection, struct call *call)
{
    if (call->command->execute != cmd_debug)
        return true;
    if (!connection->may_debug)
        reply_error(call->reply,
                    "ERR DEBUG command not allowed. If the enable-debug-command option is set to "
                    "\"local\", you can run it from a local connection, otherwise you need to set "
                    "this option in the configuration file, and then restart the server.");
    else if (connection->transaction.is_open)
        reply_error(call->reply, "ERR Command not allowed inside a transaction");
    else
        return true;
    return false;
}

static enum command_class class_of(const struct command *command)
{
    if (command_is_subscribe(command) || command_is_wait(command)) /* they ask the leader */
        return COMMAND_READ;
    if (command->flags & CMD_LOCAL)
        return COMMAND_LOCAL;
    return command->flags & CMD_READ ? COMMAND_READ : COMMAND_WRITE;
}

/* ---- what the network calls -------------------------------------------------------- */

static void step_reply_mode(struct connection *connection)
{
    if (connection->reply_mode == CONNECTION_REPLY_SKIP_NEXT)
        connection->reply_mode = CONNECTION_REPLY_SKIP;
    else if (connection->reply_mode == CONNECTION_REPLY_SKIP)
        connection->reply_mode = CONNECTION_REPLY_ON;
}

enum command_class command_classify(struct connection *connection, const struct bytes *argv,
                                    uint32_t argc, const struct command **command)
{
    check(argc > 0);
    check(connection->database < DB_DATABASES);
    step_reply_mode(connection);
    struct reply reply = {connection_is_silent(connection) ? NULL : &connection->out.bytes,
                          connection->protocol};
    struct call call = {.argv = argv,
                        .argc = argc,
                        .reply = &reply,
                        .connection = connection,
                        .meaning = command_meaning_newest,
                        .database = connection->database};
    bool is_found = find(&call, true) && is_let_in(connection, &call) &&
                    command_may_be_said(connection, &call) &&
                    command_watch_lets(connection, &call) &&
                    command_monitor_lets(connection, &call) && may_debug(connection, &call);
    *command = call.command;
    if (!is_found) {
        connection->transaction.is_aborted |= connection->transaction.is_open;
        return COMMAND_REFUSED;
    }
    enum command_class class = command_classify_in_transaction(&call, connection);
    if (class == COMMAND_OTHER && call.command->execute == cmd_sort && sort_is_read(&call))
        call.command = command_lookup(bytes_from_string("sort_ro"));
    *command = call.command;
    if (class == COMMAND_OTHER)
        class = command_admit_found(&call) ? class_of(call.command) : COMMAND_REFUSED;
    if (class != COMMAND_REFUSED)
        connection->last_command = (*command)->name;
    return class;
}

void command_run_local(struct connection *connection, struct server *server,
                       const struct command *command, const struct bytes *argv, uint32_t argc)
{
    check(command->flags & CMD_LOCAL);
    struct reply reply = {connection_is_silent(connection) ? NULL : &connection->out.bytes,
                          connection->protocol};
    struct call call = {.command = command,
                        .argv = argv,
                        .argc = argc,
                        .reply = &reply,
                        .connection = connection,
                        .server = server,
                        .client = connection->id,
                        .meaning = command_meaning_newest,
                        .database = connection->database,
                        .observer = server->observer,
                        .now_ms = server->ops->now_ms(server)};
    uint64_t took = 0;
    command_execute(&call, &took);
}
