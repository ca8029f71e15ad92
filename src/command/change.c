/* See change.h.
 *
 *     RAFT.NODE ADD host:port [LEARNER]                    :id
 *     RAFT.NODE REMOVE id [LIFE life] [FORCE]              +OK
 *     RAFT.NODE PROMOTE id                                 +OK, a voter when it has caught up
 *     RAFT.NODE DEMOTE id [LIFE life] [FORCE]              +OK
 *     RAFT.NODE REPLACE id [host:port] [LIFE life] [FORCE] +OK
 *     RAFT.TRANSFER_LEADER [id]                            +OK
 *
 * A life is what INFO raft shows, hexadecimal.
 *
 * What stands in the log under these names (in EXEC, say, by a member that does not look) is
 * refused where it is executed. */
#include "command/change.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/memory.h"
#include "command/commands.h"
#include "resp/number.h"

static const char error_node[] = "ERR a node's id is an integer from 0 on";
static const char error_address[] = "ERR an address is HOST:PORT";
static const char error_words[] = "ERR syntax error";
static const char error_life[] = "ERR a life is hexadecimal, as INFO raft shows it";

/* ---- words ------------------------------------------------------------------------------ */

static bool read_node(struct bytes word, raft_node_id *node)
{
    return number_parse_u64(word, node) && *node < RAFT_NOBODY;
}

/* host:port, printable; "" is none. */
static bool read_address(struct bytes word, char address[RAFT_ADDRESS_SIZE])
{
    const char *at = word.data;
    uint64_t port;
    size_t colon = word.size;
    if (word.size >= RAFT_ADDRESS_SIZE)
        return false;
    for (size_t i = 0; i < word.size; i++) {
        if (at[i] <= ' ' || at[i] > '~')
            return false;
        if (at[i] == ':')
            colon = i;
    }
    if (colon == 0 || colon >= word.size ||
        !number_parse_u64(bytes_of(at + colon + 1, word.size - colon - 1), &port) || port == 0 ||
        port > 65535)
        return false;
    memset(address, 0, RAFT_ADDRESS_SIZE);
    memcpy(address, at, word.size);
    return true;
}

/* The last word, if it is that one, is taken. */
static bool take_last(const struct bytes *argv, uint32_t *argc, uint32_t least, const char *word)
{
    bool is_there = *argc > least && bytes_is(argv[*argc - 1], word);
    *argc -= is_there;
    return is_there;
}

/* Up to sixteen digits, and not 0. */
static bool read_life(struct bytes word, uint64_t *life)
{
    char text[17], *end;
    if (word.size == 0 || word.size >= sizeof text)
        return false;
    memcpy(text, word.data, word.size);
    text[word.size] = '\0';
    *life = strtoull(text, &end, 16);
    return strspn(text, "0123456789abcdefABCDEF") == word.size && *life != 0;
}

/* LIFE and FORCE, from the end.  NULL, or what is wrong. */
static const char *take_options(const struct bytes *argv, uint32_t *argc,
                                struct replica_change *change)
{
    change->is_forced = take_last(argv, argc, 3, "force");
    if (*argc < 5 || !bytes_is(argv[*argc - 2], "life"))
        return NULL;
    *argc -= 2;
    return read_life(argv[*argc + 1], &change->life) ? NULL : error_life;
}

static const char *read_add(const struct bytes *argv, uint32_t argc, struct replica_change *change)
{
    change->kind = REPLICA_ADD;
    change->stays_learner = take_last(argv, &argc, 3, "learner");
    if (argc != 3)
        return error_words;
    return read_address(argv[2], change->address) ? NULL : error_address;
}

static const char *read_node_only(const struct bytes *argv, uint32_t argc,
                                  enum replica_change_kind kind, struct replica_change *change)
{
    const char *error = NULL;
    change->kind = kind;
    if (kind != REPLICA_PROMOTE)
        error = take_options(argv, &argc, change);
    if (error)
        return error;
    if (argc != 3)
        return error_words;
    return read_node(argv[2], &change->node) ? NULL : error_node;
}

static const char *read_replace(const struct bytes *argv, uint32_t argc,
                                struct replica_change *change)
{
    change->kind = REPLICA_REPLACE;
    const char *error = take_options(argv, &argc, change);
    if (error)
        return error;
    if (argc > 4)
        return error_words;
    if (!read_node(argv[2], &change->node))
        return error_node;
    return argc == 3 || read_address(argv[3], change->address) ? NULL : error_address;
}

static const char *read_transfer(const struct bytes *argv, uint32_t argc,
                                 struct replica_change *change)
{
    change->kind = REPLICA_TRANSFER;
    change->node = RAFT_NOBODY;
    return argc == 1 || read_node(argv[1], &change->node) ? NULL : error_node;
}

/* A node made it: "" is no address of clients. */
static const char *read_join(const struct bytes *argv, struct replica_change *change)
{
    uint64_t meaning;
    change->kind = REPLICA_JOIN;
    if (!number_parse_u64(argv[1], &change->life) || change->life == 0 ||
        !read_address(argv[2], change->address) ||
        (argv[3].size && !read_address(argv[3], change->client)) ||
        !number_parse_u64(argv[4], &meaning) || meaning > UINT8_MAX)
        return error_words;
    change->meaning = (uint8_t)meaning;
    return NULL;
}

/* NULL, or what is wrong.  The number of words is right. */
static const char *read_change(const struct bytes *argv, uint32_t argc,
                               struct replica_change *change)
{
    *change = (struct replica_change){.node = RAFT_NOBODY};
    if (bytes_is(argv[0], JOIN_NAME))
        return read_join(argv, change);
    if (bytes_is(argv[0], "raft.transfer_leader"))
        return read_transfer(argv, argc, change);
    if (bytes_is(argv[1], "add"))
        return read_add(argv, argc, change);
    if (bytes_is(argv[1], "remove"))
        return read_node_only(argv, argc, REPLICA_REMOVE, change);
    if (bytes_is(argv[1], "promote"))
        return read_node_only(argv, argc, REPLICA_PROMOTE, change);
    if (bytes_is(argv[1], "demote"))
        return read_node_only(argv, argc, REPLICA_DEMOTE, change);
    return read_replace(argv, argc, change);
}

bool words_raft_change(struct call *call)
{
    struct replica_change change;
    const char *error = read_change(call->argv, call->argc, &change);
    if (error)
        reply_error(call->reply, "%s", error);
    return !error;
}

/* ---- in and out ---------------------------------------------------------------------------- */

bool command_is_change(const struct command *command)
{
    return command->execute == cmd_raft_change;
}

/* Every write is asked: a look at the name is all that most cost. */
static bool may_be_change(struct bytes encoded)
{
    const unsigned char *at = encoded.data;
    if (encoded.size < 4 + 4 + 6 || (at[8] | 0x20) != 'r' || at[12] != '.')
        return false;
    return strchr("ntj", at[13] | 0x20) != NULL; /* neither raft.exec nor raft.position */
}

bool command_change(struct bytes encoded, struct replica_change *change)
{
    struct bytes *argv = NULL;
    uint32_t argc, capacity = 0;
    if (!may_be_change(encoded))
        return false;
    bool is_decoded = command_decode(encoded, &argv, &argc, &capacity);
    const struct command *command = is_decoded ? command_find(argv, argc) : NULL;
    bool is_change = command && command_is_change(command) && command_takes(command, argc) &&
                     !read_change(argv, argc, change);
    memory_free(argv);
    return is_change;
}

struct blob *command_join(const struct replica_change *change)
{
    char life[24], meaning[8];
    snprintf(life, sizeof life, "%" PRIu64, change->life);
    snprintf(meaning, sizeof meaning, "%u", change->meaning);
    const struct bytes words[] = {bytes_from_string(JOIN_NAME), bytes_from_string(life),
                                  bytes_from_string(change->address),
                                  bytes_from_string(change->client), bytes_from_string(meaning)};
    return command_encode(words, sizeof words / sizeof words[0]);
}

void cmd_raft_change(struct call *call)
{
    reply_error(call->reply, "ERR '%s' cannot be carried by another command", call->command->name);
}
