/* WAIT and WAITAOF (Redis 7.2 replication.c).
 *
 * They come after the replies to all that the client wrote before, and ask the leader, as a read
 * that may wait (replica/readers.c): a majority confirms its position, behind which all of that is,
 * and it counts the other members that have said to hold as much on their disks.  They wait until
 * there are as many as was asked for.  What is in memory counts for nothing here, so both count the
 * same.
 *
 * Inside MULTI, and where not all members know of waiting, they are answered at once by the node of
 * the client: what was acknowledged is on the disks of a majority, the leader's among them, so that
 * many of the others have it for certain.  Loop thread only. */
#include "command/commands.h"
#include "command/server.h"
#include "resp/number.h"

static bool read_timeout(struct call *call, uint32_t i)
{
    int64_t ms;
    const char *error = NULL;
    if (!number_parse_i64(call->argv[i], &ms))
        error = "ERR timeout is not an integer or out of range";
    else if (ms < 0)
        error = "ERR timeout is negative";
    return !error || call_refuse(call, error);
}

/* Other members that certainly have what was acknowledged. */
static uint32_t certain_others(struct call *call)
{
    struct server_raft raft;
    call->server->ops->raft(call->server, &raft);
    uint32_t voters = 0;
    for (uint32_t i = 0; i < raft.members_count; i++)
        voters += raft.members[i].voter;
    return voters / 2;
}

/* ---- words ---------------------------------------------------------------------------- */

/* False: answered. */
static bool read_wait(struct call *call, int64_t *replicas)
{
    return call_integer(call, 1, replicas) && read_timeout(call, 2);
}

static bool read_waitaof(struct call *call, int64_t *replicas)
{
    int64_t local;
    if (!call_integer(call, 1, &local))
        return false;
    if (local < 0 || local > 1)
        return call_refuse(call, "ERR value is out of range, value must between 0 and 1");
    if (!number_parse_i64(call->argv[2], replicas) || *replicas < 0)
        return call_refuse(call, "ERR value is out of range, must be positive");
    return read_timeout(call, 3);
}

static bool is_waitaof(const struct command *command)
{
    return command->execute == cmd_waitaof || command->execute == cmd_acknowledged_aof;
}

bool command_is_wait(const struct command *command)
{
    return command->execute == cmd_wait || command->execute == cmd_acknowledged ||
           is_waitaof(command);
}

bool command_wait_timeout(const struct command *command, const struct bytes *argv, uint32_t argc,
                          uint32_t *timeout)
{
    int64_t replicas;
    struct reply nowhere = {NULL, 2};
    struct call call = {.command = command, .argv = argv, .argc = argc, .reply = &nowhere};
    *timeout = is_waitaof(command) ? 3 : 2;
    return is_waitaof(command) ? read_waitaof(&call, &replicas) : read_wait(&call, &replicas);
}

/* ---- answers -------------------------------------------------------------------------- */

/* What is acknowledged is on the leader's own disk, too. */
static void reply_aof(struct call *call, uint32_t holders)
{
    reply_array(call->reply, 2);
    reply_integer(call->reply, 1);
    reply_integer(call->reply, holders);
}

void cmd_wait(struct call *call)
{
    int64_t replicas;
    if (read_wait(call, &replicas))
        reply_integer(call->reply, certain_others(call));
}

void cmd_waitaof(struct call *call)
{
    int64_t replicas;
    if (read_waitaof(call, &replicas))
        reply_aof(call, certain_others(call));
}

void cmd_acknowledged(struct call *call)
{
    int64_t replicas = 0;
    if (!read_wait(call, &replicas))
        return;
    if (call->holders < replicas)
        call_found_nothing(call);
    reply_integer(call->reply, call->holders);
}

void cmd_acknowledged_aof(struct call *call)
{
    int64_t replicas = 0;
    if (!read_waitaof(call, &replicas))
        return;
    if (call->holders < replicas)
        call_found_nothing(call);
    reply_aof(call, call->holders);
}
