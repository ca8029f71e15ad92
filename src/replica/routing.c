/* Where a waiting request goes: into the log or a read round when this node leads, to the leader when
 * another does, nowhere while nobody does.
 *
 * Order: requests of one client take effect in the order in which they came.  Queues are first in,
 * first out; a forward names the term in which the sender knows the receiver to lead, so that when
 * one is refused every later one in that term is refused too (a node leads a term once); and nothing
 * of a client is sent in a new term while something of it is still out in an earlier one. */
#include <utlist.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "base/prng.h"
#include "replica/replica_internal.h"

enum { PROPOSE_BYTES_MAX = 8 << 20 }; /* in one turn, about: each is copied */

static const struct bytes no_reply = {NULL, 0};

struct request *request_new(enum request_kind kind, int protocol, uint64_t client,
                            struct blob *command, request_done *done, void *context)
{
    struct request *request = memory_new(sizeof *request);
    request->kind = kind;
    request->protocol = protocol;
    request->client = client;
    request->command = command;
    request->done = done;
    request->context = context;
    request->origin = RAFT_NOBODY;
    request->sent_to = RAFT_NOBODY;
    return request;
}

/* ---- queues --------------------------------------------------------------------------- */

/* Into the waiting queue by age: one that comes back goes before those that came later. */
void request_wait(struct replica *replica, struct request *request)
{
    struct request *older = replica->waiting ? replica->waiting->prev : NULL; /* the last */
    while (older && older->id > request->id)
        older = older == replica->waiting ? NULL : older->prev;
    if (older)
        DL_APPEND_ELEM(replica->waiting, older, request);
    else
        DL_PREPEND(replica->waiting, request);
    replica->waiting_count++;
    replica->waiting_bytes += request->command->size;
    replica->try_waiting = true;
}

static void stop_waiting(struct replica *replica, struct request *request)
{
    DL_DELETE(replica->waiting, request);
    replica->waiting_count--;
    replica->waiting_bytes -= request->command->size;
}

static void stop_forwarded(struct replica *replica, struct request *request)
{
    DL_DELETE(replica->forwarded, request);
    HASH_DEL(replica->forwarded_by_id, request);
}

static void answer_origin(struct replica *replica, const struct request *request, bool refused,
                          enum request_outcome outcome, struct bytes reply)
{
    struct transport *transport = replica->options.transport;
    struct forward_reply answer = {
        .run_id = request->origin_run_id,
        .id = request->origin_id,
        .refused = refused,
        .outcome = outcome,
        .reply = reply,
    };
    transport->ops->forward_reply(transport, request->origin, &answer);
}

static void request_free(struct replica *replica, struct request *request)
{
    replica->under_way_count--;
    blob_release(request->command);
    memory_free(request);
}

void request_finish(struct replica *replica, struct request *request, enum request_outcome outcome,
                    struct bytes reply)
{
    if (request->origin != RAFT_NOBODY)
        answer_origin(replica, request, false, outcome, reply);
    else if (request->done && request->context)
        request->done(request->context, request, outcome, reply);
    request_free(replica, request);
}

/* Certainly not executed here: its origin may try elsewhere. */
static void refuse(struct replica *replica, struct request *request)
{
    answer_origin(replica, request, true, REQUEST_NOT_DONE, no_reply);
    request_free(replica, request);
}

/* What is known of a request that leaves without a reply after it was sent or proposed. */
static enum request_outcome outcome_without_reply(const struct request *request)
{
    return request->kind == REQUEST_WRITE ? REQUEST_UNKNOWN : REQUEST_NOT_DONE;
}

void replica_submit(struct replica *replica, struct request *request)
{
    request->id = ++replica->next_request_id;
    replica->under_way_count++;
    request_wait(replica, request);
}

static void forget_context(struct request *queue, const void *context)
{
    struct request *request;
    DL_FOREACH(queue, request)
    {
        if (request->context == context)
            request->context = NULL;
    }
}

void replica_abandon(struct replica *replica, void *context)
{
    struct read_batch *batch;
    forget_context(replica->waiting, context);
    forget_context(replica->proposed, context);
    forget_context(replica->forwarded, context);
    if (replica->reading && replica->reading->context == context)
        replica->reading->context = NULL;
    DL_FOREACH(replica->batches, batch)
    forget_context(batch->requests, context);
}

/* ---- leading ----------------------------------------------------------------------------- */

/* A client with something still out in an earlier term has to wait for it. */
static bool overtakes(const struct replica *replica, const struct request *request)
{
    const struct request *out;
    if (request->origin != RAFT_NOBODY)
        return false;
    DL_FOREACH(replica->forwarded, out)
    {
        if (out->sent_in_term >= replica->status.term)
            return false; /* the queue is in order of sending */
        if (out->client == request->client)
            return true;
    }
    return false;
}

struct proposal {
    struct request *requests[REPLICA_ENTRIES_MAX];
    uint32_t count;
    uint64_t bytes;
};

static void add_to_proposal(struct replica *replica, struct proposal *proposal,
                            struct request *request)
{
    struct apply_context context = {.now_ms = replica->log_time_ms,
                                    .seed = prng_next(&replica->prng),
                                    .value_max = replica->value_max};
    struct blob *payload = entry_stamp(&context, request->command);
    replica->scratch[proposal->count] = (struct raft_entry){
        .type = RAFT_ENTRY_COMMAND,
        .size = (uint32_t)payload->size,
        .payload = payload,
    };
    proposal->requests[proposal->count++] = request;
    proposal->bytes += payload->size;
}

/* False: the core cannot take more now; the requests wait again. */
static bool propose(struct replica *replica, struct proposal *proposal)
{
    if (proposal->count == 0)
        return true;
    /* replica->scratch also serves outgoing appends of this very step: keep our own copy. */
    struct raft_entry entries[REPLICA_ENTRIES_MAX];
    memcpy(entries, replica->scratch, proposal->count * sizeof entries[0]);
    struct raft_input input = {.type = RAFT_INPUT_PROPOSE, .propose = {entries, proposal->count}};
    enum raft_result result = replica_step(replica, &input);
    for (uint32_t i = 0; i < proposal->count; i++) {
        struct request *request = proposal->requests[i];
        blob_release(entries[i].payload);
        if (result != RAFT_OK) {
            request_wait(replica, request);
            continue;
        }
        request->pos = entries[i].pos;
        DL_APPEND(replica->proposed, request);
    }
    proposal->count = 0;
    proposal->bytes = 0;
    return result == RAFT_OK;
}

static void read_together(struct replica *replica, struct request *requests)
{
    struct read_batch *batch = memory_new(sizeof *batch);
    batch->id = ++replica->next_read_id;
    batch->requests = requests;
    DL_APPEND(replica->batches, batch);
    struct raft_input input = {.type = RAFT_INPUT_READ, .read = {batch->id}};
    if (replica_step(replica, &input) != RAFT_OK)
        replica_reads_failed(replica, batch->id);
}

void replica_reads_failed(struct replica *replica, uint64_t batch_id)
{
    struct read_batch *batch, *following;
    struct request *request, *next;
    DL_FOREACH_SAFE(replica->batches, batch, following)
    {
        if (batch->id != batch_id)
            continue;
        DL_FOREACH_SAFE(batch->requests, request, next)
        {
            DL_DELETE(batch->requests, request);
            request_wait(replica, request);
        }
        DL_DELETE(replica->batches, batch);
        memory_free(batch);
    }
}

/* The queue as it stands: writes in one or more proposals, all reads in one round.  True: large
 * writes are left for the next turn. */
static bool serve_waiting(struct replica *replica)
{
    struct request *request, *following, *reads = NULL;
    struct proposal proposal = {.count = 0};
    bool room = true, more = false;
    DL_FOREACH_SAFE(replica->waiting, request, following)
    {
        if (overtakes(replica, request))
            continue;
        if (request->kind == REQUEST_READ) {
            stop_waiting(replica, request);
            DL_APPEND(reads, request);
            continue;
        }
        if (!room)
            continue;
        bool much = proposal.bytes >= PROPOSE_BYTES_MAX;
        if (much || proposal.count == replica->options.raft.append_entries_max) {
            bool taken = propose(replica, &proposal);
            more = taken && much;
            room = taken && !much;
        }
        if (!room)
            continue;
        stop_waiting(replica, request);
        add_to_proposal(replica, &proposal, request);
    }
    propose(replica, &proposal);
    if (reads)
        read_together(replica, reads);
    return more;
}

/* ---- following ------------------------------------------------------------------------------ */

static void forward_one(struct replica *replica, struct request *request)
{
    struct transport *transport = replica->options.transport;
    struct forward forward = {
        .run_id = replica->options.run_id,
        .id = request->id,
        .term = replica->status.term,
        .kind = request->kind,
        .protocol = request->protocol,
        .client = request->client,
        .reply_max = request->reply_max,
        .command = request->command,
    };
    if (!transport->ops->forward(transport, replica->status.leader, &forward)) {
        replica->try_waiting = true; /* not connected yet: at the next tick */
        return;
    }
    stop_waiting(replica, request);
    request->sent_to = replica->status.leader;
    request->sent_in_term = replica->status.term;
    DL_APPEND(replica->forwarded, request);
    HASH_ADD(hh, replica->forwarded_by_id, id, sizeof request->id, request);
    replica->requests_forwarded++;
}

static void forward_waiting(struct replica *replica)
{
    struct request *request, *following;
    bool leader_known = replica->status.leader != RAFT_NOBODY;
    DL_FOREACH_SAFE(replica->waiting, request, following)
    {
        if (request->origin != RAFT_NOBODY) {
            stop_waiting(replica, request);
            refuse(replica, request);
        } else if (leader_known && !overtakes(replica, request)) {
            forward_one(replica, request);
        }
    }
}

bool replica_route_waiting(struct replica *replica)
{
    if (!replica->waiting || !replica->try_waiting)
        return false;
    replica->try_waiting = false;
    if (!replica_leads(replica)) {
        forward_waiting(replica);
        return false;
    }
    bool more = serve_waiting(replica);
    replica->try_waiting |= more;
    return more;
}

/* ---- forwards of others, and answers to ours -------------------------------------------------- */

void replica_receive_forward(struct replica *replica, raft_node_id from,
                             const struct forward *forward)
{
    struct request *request = request_new(forward->kind, forward->protocol, forward->client,
                                          blob_take(forward->command), NULL, NULL);
    request->origin = from;
    request->origin_id = forward->id;
    request->origin_run_id = forward->run_id;
    request->reply_max = forward->reply_max;
    request->id = ++replica->next_request_id;
    request->deadline_ms = INT64_MAX; /* its origin keeps the time */
    replica->under_way_count++;
    if (replica_leads(replica) && forward->term == replica->status.term)
        request_wait(replica, request);
    else
        refuse(replica, request);
}

void replica_receive_forward_reply(struct replica *replica, raft_node_id from,
                                   const struct forward_reply *reply)
{
    struct request *request = NULL;
    if (reply->run_id != replica->options.run_id)
        return; /* to an earlier life of this node */
    HASH_FIND(hh, replica->forwarded_by_id, &reply->id, sizeof reply->id, request);
    if (!request || request->sent_to != from)
        return; /* ended by its deadline meanwhile */
    stop_forwarded(replica, request);
    if (reply->refused)
        request_wait(replica, request);
    else
        request_finish(replica, request, reply->outcome, reply->reply);
    replica->try_waiting = true;
}

void replica_forwards_lost_to(struct replica *replica, raft_node_id node)
{
    struct request *request, *following;
    DL_FOREACH_SAFE(replica->forwarded, request, following)
    {
        if (request->sent_to != node)
            continue;
        stop_forwarded(replica, request);
        if (request->kind == REQUEST_READ)
            request_wait(replica, request);
        else
            request_finish(replica, request, REQUEST_UNKNOWN, no_reply);
    }
    replica->try_waiting = true;
}

/* ---- endings ------------------------------------------------------------------------------------ */

/* What was appended may commit under the next leader or be overwritten: nobody here can know. What
 * was not appended goes to the next leader with the waiting. */
void replica_leadership_lost(struct replica *replica)
{
    struct request *request, *following;
    DL_FOREACH_SAFE(replica->proposed, request, following)
    {
        DL_DELETE(replica->proposed, request);
        request_finish(replica, request, REQUEST_UNKNOWN, no_reply);
    }
    /* Confirmed reads that were not yet applied could still be served, but their index may be far. */
    struct read_batch *batch, *next;
    DL_FOREACH_SAFE(replica->batches, batch, next)
    replica_reads_failed(replica, batch->id);
    replica->try_waiting = true;
}

/* Requests that a client waits for come with rising deadlines, so each queue is looked at only as
 * far as its first that has time left. */
static struct request *expired(const struct replica *replica, struct request *queue)
{
    struct request *request;
    DL_FOREACH(queue, request)
    {
        if (request->origin == RAFT_NOBODY)
            return request->deadline_ms <= replica->now_ms ? request : NULL;
    }
    return NULL;
}

/* A proposed one keeps its place, for the order of the log, but nobody waits for it any more. */
static void expire_proposed(struct replica *replica)
{
    struct request *request;
    DL_FOREACH(replica->proposed, request)
    {
        if (request->origin != RAFT_NOBODY || !request->context)
            continue;
        if (request->deadline_ms > replica->now_ms)
            return;
        request->done(request->context, request, REQUEST_UNKNOWN, no_reply);
        request->context = NULL;
    }
}

void replica_expire_requests(struct replica *replica)
{
    struct request *request;
    while ((request = expired(replica, replica->waiting))) {
        stop_waiting(replica, request);
        request_finish(replica, request, REQUEST_NOT_DONE, no_reply);
    }
    while ((request = expired(replica, replica->forwarded))) {
        stop_forwarded(replica, request);
        request_finish(replica, request, outcome_without_reply(request), no_reply);
    }
    struct read_batch *batch;
    DL_FOREACH(replica->batches, batch)
    {
        while ((request = expired(replica, batch->requests))) {
            DL_DELETE(batch->requests, request);
            request_finish(replica, request, REQUEST_NOT_DONE, no_reply);
        }
    }
    expire_proposed(replica);
}

static void finish_queue(struct replica *replica, struct request **queue,
                         enum request_outcome outcome)
{
    struct request *request, *following;
    DL_FOREACH_SAFE(*queue, request, following)
    {
        DL_DELETE(*queue, request);
        request_finish(replica, request, outcome, no_reply);
    }
}

void replica_finish_everything(struct replica *replica)
{
    struct read_batch *batch, *following;
    if (replica->reading)
        request_finish(replica, replica->reading, REQUEST_NOT_DONE, no_reply);
    replica->reading = NULL;
    finish_queue(replica, &replica->waiting, REQUEST_NOT_DONE);
    finish_queue(replica, &replica->proposed, REQUEST_UNKNOWN);
    HASH_CLEAR(hh, replica->forwarded_by_id);
    finish_queue(replica, &replica->forwarded, REQUEST_UNKNOWN);
    DL_FOREACH_SAFE(replica->batches, batch, following)
    {
        finish_queue(replica, &batch->requests, REQUEST_NOT_DONE);
        DL_DELETE(replica->batches, batch);
        memory_free(batch);
    }
}
