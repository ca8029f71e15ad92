/* RAFT.BACKUP and RAFT.SNAPSHOT: a snapshot of this node's state into a file of backup-dir, or to
 * the client, a chunk at a time (data/snapshot.h says what a chunk is).
 *
 *     RAFT.BACKUP name            starts one; INFO raft says how far it is
 *     RAFT.SNAPSHOT BEGIN         :id
 *     RAFT.SNAPSHOT CHUNK id n    the chunk number n; null: ask again; number n - 1 is not needed
 *     RAFT.SNAPSHOT END id        +OK
 *
 * Local, loop thread only. */
#include "command/commands.h"
#include "command/server.h"

enum { ERROR_SIZE = 400 };

void cmd_raft_backup(struct call *call)
{
    char error[ERROR_SIZE];
    if (call->server->ops->backup(call->server, call->argv[1], error, sizeof error))
        reply_simple(call->reply, "Background backup started");
    else
        reply_error(call->reply, "%s", error);
}

void cmd_raft_snapshot_begin(struct call *call)
{
    char error[ERROR_SIZE];
    uint64_t id;
    if (call->server->ops->snapshot_begin(call->server, &id, error, sizeof error))
        reply_integer(call->reply, (int64_t)id);
    else
        reply_error(call->reply, "%s", error);
}

static void reply_unknown(struct call *call)
{
    reply_error(call->reply, "ERR no such snapshot, or chunk of it, is being read");
}

void cmd_raft_snapshot_chunk(struct call *call)
{
    int64_t id, number;
    struct bytes chunk;
    if (!call_integer(call, 2, &id) || !call_integer(call, 3, &number))
        return;
    switch (
        call->server->ops->snapshot_chunk(call->server, (uint64_t)id, (uint64_t)number, &chunk)) {
    case SERVER_CHUNK_OK: reply_bulk(call->reply, chunk); break;
    case SERVER_CHUNK_LATER: reply_null(call->reply); break;
    case SERVER_CHUNK_UNKNOWN: reply_unknown(call); break;
    }
}

void cmd_raft_snapshot_end(struct call *call)
{
    int64_t id;
    if (!call_integer(call, 2, &id))
        return;
    if (call->server->ops->snapshot_end(call->server, (uint64_t)id))
        call_reply_ok(call->reply);
    else
        reply_unknown(call);
}
