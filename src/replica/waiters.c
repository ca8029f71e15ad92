/* Requests that may wait: BLPOP and its like, from their node's side and the leader's.
 *
 * Such a request is a write that is proposed when it seems to find something, and parked at the
 * leader while it does not (parking.c).  Nothing about waiting is in the replicated state.  What
 * has to hold is that it is executed at most once with an effect, and that its client hears of it,
 * also when the leader dies between the two.  Therefore its entry says whose it is: the node that
 * its client is connected to meets it in its own log, and answers from there if the leader's reply
 * did not come.  So it always becomes known what was executed:
 *
 *  - What was sent to, or proposed by, the leader of a term may be executed by entries of that
 *    term (`doubt`), until this node has applied an entry of a later one: behind it there are none
 *    of the earlier.  Was it not executed until then, it is sent to the next leader.
 *  - Where the same leader leads on, and only a connection was lost, it has dropped what it had for
 *    that node, and noted where its log ended then (`disowned`).  What is sent again is refused
 *    until the node has applied as far (`seen`).
 *  - What was refused was certainly not executed by that leader.
 *
 * It is ordered by the time for which it has waited, which its node sends along: no clock is
 * compared with another's.  Each forward has a number of its own, so that a late answer to an
 * earlier one is known as that.
 *
 * A request that is cancelled ends as cancelled as soon as it is certain that it was not, and will
 * not be, executed: at once where it is parked here, and when the leader says so else.  An entry
 * that is under way wins.  Who has a client is looked at once before, however short its timeout:
 * what is there when it comes is not "nothing". */
#include <utlist.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "replica/replica_internal.h"
#include "replica/stamp.h"

static const struct bytes no_reply = {NULL, 0};

enum { STRAIGHT_TICKS = 5 };

/* ---- life ----------------------------------------------------------------------------- */

static bool is_local(const struct request *request)
{
    return request->origin == RAFT_NOBODY;
}

void replica_waiter_enter(struct replica *replica, struct request *request)
{
    struct waiter *waiter = request->waiter;
    if (!waiter)
        waiter = request->waiter = memory_new(sizeof *waiter);
    check(request->may_wait);
    check(!waiter->places);
    check(!waiter->woken_for);
    waiter->request = request;
    if (!is_local(request))
        return;
    waiter->id = request->id;
    waiter->since_ms = replica->now_ms;
    HASH_ADD(hh, replica->waiters, id, sizeof waiter->id, waiter);
}

void replica_waiter_free(struct replica *replica, struct waiter *waiter)
{
    if (!waiter)
        return;
    check(waiter->places_count == 0);
    check(waiter->request->waiter == waiter);
    check(waiter->request->place != REQUEST_AWAY); /* an answer would find it */
    check(waiter->request->place != REQUEST_PARKED);
    check(!waiter->counting_prev);
    replica_parking_settle(replica, waiter->woken_for);
    if (is_local(waiter->request))
        HASH_DEL(replica->waiters, waiter);
    waiter->request->waiter = NULL;
    memory_free(waiter);
}

struct request *replica_waiter_of(struct replica *replica, const struct request_owner *owner)
{
    struct waiter *waiter = NULL;
    if (owner->node != replica->options.raft.id || owner->run_id != replica->options.run_id)
        return NULL;
    HASH_FIND(hh, replica->waiters, &owner->waiter_id, sizeof owner->waiter_id, waiter);
    return waiter && waiter->request->kind == REQUEST_WRITE ? waiter->request : NULL;
}

struct request_owner replica_waiter_owner(const struct replica *replica,
                                          const struct request *request)
{
    if (!request->waiter)
        return (struct request_owner){.run_id = 0};
    bool local = is_local(request);
    return (struct request_owner){
        .run_id = local ? replica->options.run_id : request->origin_run_id,
        .node = local ? replica->options.raft.id : request->origin,
        .waiter_id = request->waiter->id,
    };
}

/* Nobody waits for it any more. */
static bool is_abandoned(const struct request *request)
{
    return is_local(request) && !request->context;
}

static void finish_cancelled(struct replica *replica, struct request *request)
{
    check(request->kind == REQUEST_WRITE);
    check(request->place != REQUEST_PROPOSED); /* R2 */
    request_leave_place(replica, request);
    request_finish(replica, request, REQUEST_CANCELLED, no_reply);
}

static void refuse(struct replica *replica, struct request *request)
{
    check(request->place != REQUEST_PROPOSED); /* R2 */
    check(!is_local(request));
    request_leave_place(replica, request);
    request_refuse(replica, request);
}

static bool is_read(const struct request *request)
{
    return request->kind == REQUEST_READ;
}

/* Whether an entry that this node has not applied yet may execute it. */
bool replica_waiter_in_doubt(const struct replica *replica, const struct request *request)
{
    raft_term doubt = request->waiter->doubt;
    check(doubt <= replica->status.term);
    return doubt != 0 && raft_term_at(replica->raft, replica->status.applied) <= doubt;
}

/* ---- at the leader -------------------------------------------------------------------- */

/* The place of the node among those whose connection was lost, or behind the last. */
static uint32_t disowned_place(const struct replica *replica, raft_node_id node)
{
    uint32_t place = 0;
    while (place < replica->disowned_count && replica->disowned[place].node != node)
        place++;
    return place;
}

static void disown(struct replica *replica, raft_node_id node)
{
    raft_index last = replica->status.last.index;
    uint32_t place = disowned_place(replica, node);
    if (place == RAFT_MEMBERS_MAX) {
        replica->disowned_any = last;
        return;
    }
    if (place == replica->disowned_count)
        replica->disowned_count++;
    check(replica->disowned_count <= RAFT_MEMBERS_MAX);
    replica->disowned[place].node = node;
    replica->disowned[place].last = last;
}

static bool is_the_same(const struct request *one, const struct request *other)
{
    return other->waiter && other->waiter->id == one->waiter->id &&
           other->origin_run_id == one->origin_run_id;
}

/* Its node has lost a connection and sends it again, and this node has not lost one, or not yet, or
 * earlier: what it has of it already must not be executed beside it. */
static void supersede(struct replica *replica, const struct request *request)
{
    struct request *earlier, *following;
    DL_FOREACH_SAFE2(request->line->requests, earlier, following, line_next)
    {
        if (earlier == request || !is_the_same(request, earlier))
            continue;
        if (earlier->place != REQUEST_PROPOSED) {
            refuse(replica, earlier);
            continue;
        }
        earlier->waiter->is_disowned = true;
        disown(replica, request->origin);
    }
}

/* It is not executed, or if it is proposed not parked again. */
static void end_of_foreign(struct replica *replica, struct request *request)
{
    if (request->place == REQUEST_PROPOSED && request->waiter)
        request->waiter->is_disowned = true;
    else if (request->place != REQUEST_PROPOSED && request->place != REQUEST_HANDING_OVER)
        refuse(replica, request);
}

/* Beside one that may wait nothing of its client is under way: that is what its node keeps to, so
 * what stands before it, and one that waits before any other, was given up there.  Here it would be
 * overtaken: what is parked has no place in its client's order. */
void replica_waiters_give_way(struct replica *replica, struct request *request)
{
    struct request *earlier, *following;
    check(!is_local(request));
    check(!request->line_next);
    if (!request->waiter) {
        if (request != request->line->requests && request->line_prev->waiter)
            end_of_foreign(replica, request->line_prev);
        return;
    }
    DL_FOREACH_SAFE2(request->line->requests, earlier, following, line_next)
    {
        if (earlier != request)
            end_of_foreign(replica, earlier);
    }
}

void replica_waiter_arrived(struct replica *replica, struct request *request,
                            const struct forward *forward)
{
    check(!is_local(request));
    check(request->place == REQUEST_WAITING || request->place == REQUEST_RETURNED);
    request->waiter->id = forward->waiter_id;
    request->waiter->seen = forward->seen;
    request->waiter->since_ms = replica->now_ms - (int64_t)forward->waited_ms;
    supersede(replica, request);
}

/* What its node sent before a connection was lost may be executed yet, as far as it knows. */
static bool is_too_early(const struct replica *replica, const struct request *request)
{
    uint32_t place = disowned_place(replica, request->origin);
    raft_index seen = request->waiter->seen;
    if (is_local(request))
        return false;
    return place < replica->disowned_count ? seen < replica->disowned[place].last
                                           : seen < replica->disowned_any;
}

bool replica_waiter_finds(struct replica *replica, const struct request *request)
{
    struct state_machine *machine = replica->options.machine;
    struct apply_context context = {.meaning = replica_meaning(replica),
                                    .database = request->database,
                                    .now_ms = replica_read_time_ms(replica)};
    return !machine->ops->would_wait(machine, &context, blob_bytes(request->command));
}

/* False: it ended. */
static bool park(struct replica *replica, struct request *request)
{
    request->waiter->doubt = 0;
    request->waiter->is_looked_at = true;
    return replica_park(replica, request);
}

/* At its old place; only then may others be woken. */
static void park_again(struct replica *replica, struct request *request)
{
    struct waiter *waiter = request->waiter;
    struct parking_key *key = waiter->woken_for;
    waiter->woken_for = NULL;
    park(replica, request);
    replica_parking_settle(replica, key);
}

/* Of one that is cancelled: a look would change nothing. */
static bool is_to_end(const struct waiter *waiter)
{
    return waiter->is_gone || waiter->is_looked_at;
}

/* The state of this node may be older than the cluster's: what is parked by it is not answered, and
 * what it lacks wakes whoever waits for it when it is applied. */
enum waiter_take replica_waiter_take(struct replica *replica, struct request *request)
{
    if (is_read(request))
        return replica_reader_take(replica, request);
    check(!request->waiter->woken_for);
    check(!request->waiter->places);
    if (is_too_early(replica, request)) {
        refuse(replica, request);
        return WAITER_TAKEN;
    }
    if (replica_waiter_in_doubt(replica, request) || replica->applying.payload) {
        replica->try_waiting = true;
        return WAITER_STAYS;
    }
    if (request->waiter->is_cancelled && is_to_end(request->waiter)) {
        finish_cancelled(replica, request);
        return WAITER_TAKEN;
    }
    if (replica_meaning(replica) < STAMP_MEANING_WAITS) { /* it is answered at once */
        replica_waiter_free(replica, request->waiter);
        return WAITER_GOES_ON;
    }
    bool finds = replica_waiter_finds(replica, request);
    if (finds && !replica_parking_has_others(replica, request))
        return WAITER_GOES_ON;
    if (request->waiter->is_cancelled) {
        finish_cancelled(replica, request);
        return WAITER_TAKEN;
    }
    if (park(replica, request) && finds)
        replica_parking_touch_keys(replica, request->waiter);
    return WAITER_TAKEN;
}

void replica_waiter_found_nothing(struct replica *replica, struct request *request)
{
    struct waiter *waiter = request->waiter;
    if (request->place != REQUEST_PROPOSED) /* by another node, who parks it again */
        return;
    check(!request->tied);
    check(waiter->doubt == request->pos.term);
    request_leave_place(replica, request);
    if (waiter->is_disowned)
        request_refuse(replica, request);
    else if (waiter->is_cancelled || is_abandoned(request))
        finish_cancelled(replica, request);
    else
        park_again(replica, request);
}

/* The connection to this node was lost: it sends again what waits on. */
void replica_waiters_of_lost(struct replica *replica, raft_node_id node)
{
    struct request *request, *following;
    disown(replica, node);
    replica_readers_of_lost(replica, node);
    DL_FOREACH_SAFE(replica->parked, request, following)
    {
        if (request->origin == node)
            refuse(replica, request);
    }
    DL_FOREACH_SAFE(replica->woken, request, following)
    {
        if (request->origin == node)
            refuse(replica, request);
    }
    DL_FOREACH_SAFE(replica->waiting, request, following)
    {
        if (request->origin == node && request->waiter)
            refuse(replica, request);
    }
    DL_FOREACH(replica->proposed, request)
    {
        if (request->origin == node && request->waiter)
            request->waiter->is_disowned = true;
    }
}

void replica_waiter_give_back(struct replica *replica, struct request *request)
{
    check(!request->tied);
    replica_parking_settle(replica, request->waiter->woken_for);
    request->waiter->woken_for = NULL;
    if (is_local(request))
        request_wait(replica, request);
    else
        refuse(replica, request);
}

/* Those that are proposed: see replica_leadership_lost(). */
void replica_waiters_leadership_lost(struct replica *replica)
{
    while (replica->parked)
        replica_waiter_give_back(replica, replica->parked);
    while (replica->woken)
        replica_waiter_give_back(replica, replica->woken);
    /* Nobody waits at this node any more, for any key. */
    check(replica->parked_count == 0);
    check(replica->parked_bytes == 0);
    check(replica->parked_places == 0);
    check(!replica->parking);
    check(!replica->touched);
    check(!replica->counting);
    replica->disowned_count = 0;
    replica->disowned_any = 0;
}

/* ---- at its node ---------------------------------------------------------------------- */

static void go_away(struct replica *replica, struct request *request)
{
    struct waiter *waiter = request->waiter;
    check(replica->status.leader != RAFT_NOBODY);
    check(replica->status.leader != replica->options.raft.id);
    request_leave_place(replica, request);
    request->place = REQUEST_AWAY;
    request->sent_to = replica->status.leader;
    DL_APPEND(replica->away, request);
    HASH_ADD(sent_hh, replica->waiters_sent, sent_id, sizeof waiter->sent_id, waiter);
    waiter->sent_term = replica->status.term;
    waiter->doubt_before = waiter->doubt;
    if (!is_read(request))
        waiter->doubt = replica->status.term;
    replica->requests_forwarded++;
}

void replica_waiter_send_cancel(struct replica *replica, const struct request *request)
{
    check(request->place == REQUEST_AWAY);
    struct forward_cancel cancel = {.run_id = replica->options.run_id,
                                    .id = request->waiter->sent_id,
                                    .client = request->client,
                                    .is_gone = is_abandoned(request)};
    struct transport *transport = replica->options.transport;
    transport->ops->cancel(transport, request->sent_to, &cancel);
}

/* Clocks are read once a tick, so what comes straight from its client has not waited: its arrival
 * counts. */
static uint64_t waited_ms(const struct replica *replica, const struct waiter *waiter)
{
    int64_t waited = replica->now_ms - waiter->since_ms;
    return waited < STRAIGHT_TICKS * (int64_t)replica->options.tick_ms ? 0 : (uint64_t)waited;
}

static bool send(struct replica *replica, struct request *request)
{
    struct transport *transport = replica->options.transport;
    struct waiter *waiter = request->waiter;
    check(is_local(request)); /* a forward goes one step */
    waiter->sent_id = ++replica->next_request_id;
    struct forward forward = {
        .run_id = replica->options.run_id,
        .id = waiter->sent_id,
        .term = replica->status.term,
        .kind = request->kind,
        .protocol = request->protocol,
        .database = request->database,
        .client = request->client,
        .reply_max = request->reply_max,
        .command = request->command,
        .may_wait = true,
        .waiter_id = waiter->id,
        .seen = replica->status.applied,
        .waited_ms = waited_ms(replica, waiter),
    };
    if (!transport->ops->forward(transport, replica->status.leader, &forward)) {
        replica->try_waiting = true; /* not connected yet: at the next tick */
        return false;
    }
    go_away(replica, request);
    waiter->is_looked_at = true; /* or is before the cancel */
    if (waiter->is_cancelled)
        replica_waiter_send_cancel(replica, request);
    return true;
}

/* A leader that does not know of waiting answers at once. */
bool replica_waiter_send(struct replica *replica, struct request *request)
{
    struct waiter *waiter = request->waiter;
    bool is_same_leader = waiter->doubt == replica->status.term;
    if (replica_waiter_in_doubt(replica, request) && !is_same_leader) {
        replica->try_waiting = true;
        return true;
    }
    if (!is_read(request) && waiter->is_cancelled && is_to_end(waiter) &&
        !replica_waiter_in_doubt(replica, request)) {
        finish_cancelled(replica, request);
        return true;
    }
    if (waiter->refused_ms == replica->now_ms + 1) {
        replica->try_waiting = true; /* not in every turn */
        return true;
    }
    uint8_t announced = replica_announced_by(replica, replica->status.leader);
    if (announced == 0) {
        replica->try_waiting = true; /* not connected yet */
        return false;
    }
    if (announced >= STAMP_MEANING_WAITS)
        return send(replica, request);
    replica_waiter_free(replica, waiter);
    replica->try_waiting = true;
    return true;
}

void replica_waiter_answered(struct replica *replica, raft_node_id from,
                             const struct forward_reply *reply)
{
    struct waiter *waiter = NULL;
    HASH_FIND(sent_hh, replica->waiters_sent, &reply->id, sizeof reply->id, waiter);
    if (!waiter || waiter->request->sent_to != from)
        return;
    struct request *request = waiter->request;
    check(request->place == REQUEST_AWAY);
    check(is_local(request));
    check(waiter->sent_term <= replica->status.term);
    replica->try_waiting = true;
    enum request_outcome outcome = request_outcome_said(request, reply->outcome);
    if (!reply->refused && outcome != REQUEST_UNKNOWN) {
        request_finish(replica, request, outcome, reply->reply);
        return;
    }
    if (reply->refused) {
        waiter->doubt = waiter->doubt_before;
        waiter->refused_ms = replica->now_ms + 1;
    }
    request_wait(replica, request);
}

/* With an entry of a later term applied, the leader of an earlier one executes nothing any more,
 * whether it says so or not. */
void replica_waiters_outlive(struct replica *replica)
{
    struct request *request, *following;
    raft_term term = raft_term_at(replica->raft, replica->status.applied);
    if (term == replica->outlived)
        return;
    check(term > replica->outlived); /* terms never fall along the log */
    replica->outlived = term;
    DL_FOREACH_SAFE(replica->away, request, following)
    {
        if (request->waiter->sent_term < term)
            request_wait(replica, request);
    }
}

void replica_waiters_lost_to(struct replica *replica, raft_node_id node)
{
    struct request *request, *following;
    DL_FOREACH_SAFE(replica->away, request, following)
    {
        if (request->sent_to == node)
            request_wait(replica, request);
    }
}

void replica_waiter_cancel(struct replica *replica, struct request *request)
{
    bool abandoned = is_abandoned(request);
    if (is_read(request)) {
        replica_reader_cancel(replica, request);
        return;
    }
    request->waiter->is_cancelled = true;
    request->waiter->is_gone |= abandoned;
    if (request->place == REQUEST_PROPOSED) /* that decides */
        return;
    if (request->place == REQUEST_AWAY)
        replica_waiter_send_cancel(replica, request);
    bool is_certain = request->place != REQUEST_AWAY &&
                      (!is_local(request) || !replica_waiter_in_doubt(replica, request));
    if (abandoned || (is_certain && is_to_end(request->waiter)))
        finish_cancelled(replica, request);
}

void replica_cancel(struct replica *replica, uint64_t client, int64_t deadline_ms)
{
    struct request *request = request_of_client(replica, RAFT_NOBODY, client);
    if (!request || (request->waiter && request->waiter->is_cancelled))
        return;
    request_begin_timing(replica, request, deadline_ms);
    if (request->waiter)
        replica_waiter_cancel(replica, request);
}

void replica_receive_cancel(struct replica *replica, raft_node_id from,
                            const struct forward_cancel *cancel)
{
    struct request *request = request_of_client(replica, from, cancel->client);
    if (request && request->waiter && request->origin_id == cancel->id &&
        request->origin_run_id == cancel->run_id) {
        request->waiter->is_gone |= cancel->is_gone;
        replica_waiter_cancel(replica, request);
    }
}
