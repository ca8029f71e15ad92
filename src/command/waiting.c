/* See waiting.h.  Deterministic; loop thread only. */
#include "command/waiting.h"

#include <xxhash.h>

#include "base/fatal.h"
#include "base/limits.h"
#include "base/memory.h"
#include "command/lists.h"
#include "command/ordered.h"
#include "command/sorted_sets.h"
#include "command/streams.h"
#include "replica/replica.h"
#include "resp/number.h"

enum { SECOND_MS = 1000 };

/* ---- words ---------------------------------------------------------------------------- */

static bool is_mpop(const struct command *command)
{
    return command->execute == cmd_blmpop || command->execute == cmd_bzmpop;
}

static bool is_move(const struct command *command)
{
    return command->execute == cmd_blmove || command->execute == cmd_brpoplpush;
}

static bool is_of_streams(const struct command *command)
{
    return command->execute == cmd_xread || command->execute == cmd_xreadgroup;
}

static bool is_of_sorted_sets(const struct command *command)
{
    return command->execute == cmd_bzpopmin || command->execute == cmd_bzpopmax ||
           command->execute == cmd_bzmpop;
}

bool command_waiting_find(const struct command *command, const struct bytes *argv, uint32_t argc,
                          struct waiting *waiting)
{
    int64_t keys = 0;
    *waiting = (struct waiting){.first = 1, .timeout = argc - 1, .in_seconds = true};
    if (!(command->flags & CMD_BLOCKING))
        return false;
    if (is_of_streams(command))
        return series_waiting_find(command, argv, argc, waiting);
    if (command_is_wait(command)) {
        waiting->in_seconds = false;
        return command_wait_timeout(command, argv, argc, &waiting->timeout);
    }
    if (is_mpop(command)) {
        if (argc < 3 || !number_parse_i64(argv[2], &keys) || keys < 1 || keys > argc - 3)
            return false;
        *waiting =
            (struct waiting){.first = 3, .keys = (uint32_t)keys, .timeout = 1, .in_seconds = true};
        return true;
    }
    waiting->keys = is_move(command) ? 1 : argc - 2;
    return argc >= 3;
}

/* Rounded up.  NULL, or what is wrong with it. */
static const char *read_seconds(struct bytes word, int64_t now_ms, int64_t *timeout_ms)
{
    long double seconds;
    if (!number_parse_long_double(word, &seconds))
        return "ERR timeout is not a float or out of range";
    long double ms = seconds * SECOND_MS;
    if (ms >= 9223372036854775807.0L)
        return "ERR timeout is out of range";
    if (ms < 0)
        return "ERR timeout is negative";
    *timeout_ms = (int64_t)ms;
    *timeout_ms += (long double)*timeout_ms < ms;
    return *timeout_ms > INT64_MAX - now_ms ? "ERR timeout is out of range" : NULL;
}

static bool check_timeout(struct call *call, uint32_t i)
{
    int64_t timeout_ms;
    const char *error = read_seconds(call->argv[i], call->now_ms, &timeout_ms);
    return !error || call_refuse(call, error);
}

static bool check_keys(struct call *call)
{
    struct waiting waiting;
    return !command_waiting_find(call->command, call->argv, call->argc, &waiting) ||
           waiting.keys <= WAIT_KEYS_MAX ||
           call_refuse(call, "ERR a command cannot wait for so many keys");
}

bool words_bpop(struct call *call)
{
    return check_timeout(call, call->argc - 1) && check_keys(call);
}

bool words_blmove(struct call *call)
{
    return words_lmove(call) && check_timeout(call, 5);
}

bool words_brpoplpush(struct call *call)
{
    return check_timeout(call, 3);
}

static bool check_behind_timeout(struct call *call, command_words_fn *words)
{
    if (!check_timeout(call, 1))
        return false;
    call->argv++;
    call->argc--;
    bool is_right = words(call);
    call->argv--;
    call->argc++;
    return is_right && check_keys(call);
}

bool words_blmpop(struct call *call)
{
    return check_behind_timeout(call, words_lmpop);
}

bool words_bzmpop(struct call *call)
{
    return check_behind_timeout(call, words_zmpop);
}

int64_t command_wait_ms(const struct command *command, const struct bytes *argv, uint32_t argc)
{
    struct waiting waiting;
    int64_t timeout_ms = 0;
    if (!command_waiting_find(command, argv, argc, &waiting))
        return COMMAND_AT_ONCE;
    bool is_number = waiting.in_seconds ? !read_seconds(argv[waiting.timeout], 0, &timeout_ms)
                                        : number_parse_i64(argv[waiting.timeout], &timeout_ms);
    check(is_number);
    return timeout_ms;
}

struct blob *command_ask_again(struct bytes request, struct bytes reply)
{
    struct bytes *argv = NULL;
    uint32_t argc, capacity = 0;
    struct blob *again = NULL;
    const struct command *command =
        command_decode(request, &argv, &argc, &capacity) ? command_find(argv, argc) : NULL;
    if (command && command->execute == cmd_xread)
        again = series_read_again(command, argv, argc, reply);
    memory_free(argv);
    return again;
}

/* ---- the present state ---------------------------------------------------------------- */

/* A key that is there has something, or another type, which is answered. */
bool command_would_wait(struct call *call)
{
    struct waiting waiting;
    struct db_record found;
    if (!command_waiting_find(call->command, call->argv, call->argc, &waiting))
        return false;
    if (call->command->execute == cmd_xreadgroup)
        return series_would_wait(call);
    for (uint32_t i = 0; i < waiting.keys; i++)
        if (db_lookup(call->db, call->database, call->argv[waiting.first + i], &found))
            return false;
    return true;
}

/* What the first of them takes. */
static uint64_t count_of(const struct call *call)
{
    int64_t count = 1;
    bool has_count = is_mpop(call->command) && bytes_is(call->argv[call->argc - 2], "count");
    if (has_count && number_parse_i64(call->argv[call->argc - 1], &count) && count > 1)
        return (uint64_t)count;
    return 1;
}

uint64_t command_waiting_count(struct call *call, struct bytes key)
{
    struct ordered found;
    if (is_of_streams(call->command))
        return series_finds_something(call, key);
    enum db_type type = is_of_sorted_sets(call->command) ? DB_ZSET : DB_LIST;
    bool is_there = ordered_open(&found, call, key, type) && found.count > 0;
    uint64_t count = count_of(call);
    uint64_t served = is_there ? (found.count + count - 1) / count : 0;
    ordered_close(&found);
    return served;
}

enum { OF_LISTS = 1, OF_SORTED_SETS, OF_STREAMS };

uint64_t command_waiting_kind(const struct call *call)
{
    if (call->command->execute == cmd_xreadgroup) {
        struct bytes group = series_waiting_group(call);
        return XXH3_64bits(group.data, group.size) << WAIT_CLASS_BITS | OF_STREAMS;
    }
    return is_of_sorted_sets(call->command) ? OF_SORTED_SETS : OF_LISTS;
}

uint64_t command_feeds(struct bytes request, struct bytes *key)
{
    struct bytes argv[2];
    if (command_first_words(request, argv, 2) < 2)
        return 0;
    const struct command *command = command_find(argv, 2);
    command_fn *execute = command ? command->execute : NULL;
    *key = argv[1];
    if (execute == cmd_lpush || execute == cmd_rpush)
        return OF_LISTS;
    if (execute == cmd_zadd)
        return OF_SORTED_SETS;
    return execute == cmd_xadd ? OF_STREAMS : 0;
}
