/* WAIT and WAITAOF (Redis 7.2 replication.c).
 *
 * They come after the replies to all that the client wrote before.  What was acknowledged there is
 * applied, so it is on the disks of a majority, the leader's among them: that many of the others
 * have it for certain.  More may, and nobody waits for them: a count that is reached says the same
 * as in Redis, one that is not says no more than that it is not certain.
 *
 * Local, loop thread only. */
#include "command/commands.h"
#include "command/server.h"
#include "resp/number.h"

static bool read_count(struct call *call, uint32_t i, int64_t *count)
{
    return call_integer(call, i, count);
}

static bool read_timeout(struct call *call, uint32_t i)
{
    int64_t ms;
    const char *error = NULL;
    if (!number_parse_i64(call->argv[i], &ms))
        error = "ERR timeout is not an integer or out of range";
    else if (ms < 0)
        error = "ERR timeout is negative";
    if (error)
        reply_error(call->reply, "%s", error);
    return !error;
}

/* Other members that certainly have what was acknowledged. */
static int64_t certain_others(struct call *call)
{
    struct server_raft raft;
    call->server->ops->raft(call->server, &raft);
    uint32_t voters = 0;
    for (uint32_t i = 0; i < raft.members_count; i++)
        voters += raft.members[i].voter;
    return voters / 2;
}

void cmd_wait(struct call *call)
{
    int64_t replicas;
    if (read_count(call, 1, &replicas) && read_timeout(call, 2))
        reply_integer(call->reply, certain_others(call));
}

void cmd_waitaof(struct call *call)
{
    int64_t local, replicas;
    if (!read_count(call, 1, &local))
        return;
    if (local < 0 || local > 1) {
        reply_error(call->reply, "ERR value is out of range, value must between 0 and 1");
        return;
    }
    if (!number_parse_i64(call->argv[2], &replicas) || replicas < 0) {
        reply_error(call->reply, "ERR value is out of range, must be positive");
        return;
    }
    if (!read_timeout(call, 3))
        return;
    reply_array(call->reply, 2);
    reply_integer(call->reply, 1);
    reply_integer(call->reply, certain_others(call));
}
