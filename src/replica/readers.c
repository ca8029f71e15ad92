/* Reads that may wait: XREAD with BLOCK, and WAIT.
 *
 * Such a read is first a read like any other: confirmed by a round, served by the leader.  Finds it
 * nothing, it is parked there (parking.c), and looked at whenever an entry touches one of its keys.
 * It takes nothing from others, so it has no place in their order, and it is in no entry, so
 * nothing about it is ever in doubt: what is lost with a leader or a connection is asked again.
 *
 * What was parked is served without another round.  What was acknowledged to anybody before the
 * read came is in the state that it was parked by, since that was confirmed; so it is in every
 * state that this leader applies later, whoever leads by then, and each of them was, while the read
 * waited, the state of the cluster.
 *
 * One without keys (WAIT) waits until more members have on their disks what was confirmed with it.
 *
 * Cancelled, it becomes a read that does not wait, and answers what it finds: that it is nothing is
 * said only by who has looked. */
#include <utlist.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "replica/replica_internal.h"
#include "replica/stamp.h"

static const struct bytes no_reply = {NULL, 0};

static struct read_batch *batch_of_those_again(struct replica *replica)
{
    struct read_batch *last = replica->batches ? replica->batches->prev : NULL;
    if (last && last->is_again)
        return last;
    struct read_batch *batch = memory_new(sizeof *batch);
    batch->id = ++replica->next_read_id;
    batch->confirmed = batch->listed = batch->is_again = true;
    DL_APPEND(replica->batches, batch);
    return batch;
}

void replica_reader_wake(struct replica *replica, struct request *request)
{
    check(request->kind == REQUEST_READ);
    check(request->place == REQUEST_PARKED);
    request_leave_place(replica, request);
    replica_join_batch(batch_of_those_again(replica), request);
}

void replica_reader_found_nothing(struct replica *replica, struct request *request, bool is_present)
{
    check(request->place == REQUEST_NOWHERE);
    check(request->kind == REQUEST_READ);
    check(request->waiter->doubt == 0);
    if (!is_present) { /* what came meanwhile woke nobody */
        request_wait(replica, request);
        return;
    }
    if (!replica_park(replica, request) || request->waiter->places_count > 0)
        return;
    check(!request->waiter->counting_prev);
    request->waiter->holders = replica_holders(replica, request);
    DL_APPEND2(replica->counting, request->waiter, counting_prev, counting_next);
}

/* ---- members ----------------------------------------------------------------------------- */

/* What is committed is not taken back, so who has an entry that this leader has has all before. */
uint32_t replica_holders(const struct replica *replica, const struct request *request)
{
    return replica_leads(replica) ? replica_have(replica, request->read_index) : 0;
}

void replica_readers_count(struct replica *replica)
{
    struct waiter *waiter, *following;
    struct raft_peer_status peers[RAFT_MEMBERS_MAX];
    raft_index sum = 0;
    if (!replica->counting) {
        replica->counted = 0;
        return;
    }
    uint32_t count = raft_peers(replica->raft, peers);
    for (uint32_t i = 0; i < count; i++)
        sum += peers[i].match;
    if (sum == replica->counted)
        return;
    replica->counted = sum;
    DL_FOREACH_SAFE2(replica->counting, waiter, following, counting_next)
    {
        check(waiter->request->place == REQUEST_PARKED);
        check(waiter->places_count == 0);
        if (replica_holders(replica, waiter->request) > waiter->holders)
            replica_reader_wake(replica, waiter->request);
    }
}

/* ---- leaving ----------------------------------------------------------------------------- */

/* A leader that stamps an older meaning does not know of waiting. */
enum waiter_take replica_reader_take(struct replica *replica, struct request *request)
{
    if (request->waiter->is_cancelled || replica_meaning(replica) < STAMP_MEANING_WAITS)
        replica_waiter_free(replica, request->waiter);
    return WAITER_GOES_ON;
}

void replica_reader_cancel(struct replica *replica, struct request *request)
{
    bool is_abandoned = request->origin == RAFT_NOBODY && !request->context;
    request->waiter->is_cancelled = true;
    if (request->place == REQUEST_AWAY)
        replica_waiter_send_cancel(replica, request);
    if (is_abandoned) {
        request_finish(replica, request, REQUEST_NOT_DONE, no_reply);
        return;
    }
    if (request->place == REQUEST_AWAY)
        return;
    if (request->place == REQUEST_PARKED)
        replica_reader_wake(replica, request);
    if (replica_leads(replica)) /* or it is cancelled behind being sent */
        replica_waiter_free(replica, request->waiter);
}

/* The connection to this node was lost, and it asks again. */
void replica_readers_of_lost(struct replica *replica, raft_node_id node)
{
    struct request_line *line, *next_line;
    DL_FOREACH_SAFE(replica->lines, line, next_line)
    {
        struct request *request = line->requests->line_prev; /* what waits is the newest */
        if (line->key.origin != node || request->kind != REQUEST_READ || !request->waiter)
            continue;
        request_leave_place(replica, request);
        request_refuse(replica, request);
    }
}
