/* Where a waiting request goes: into the log or a read round when this node leads, to the leader
 * when another does, nowhere while nobody does.
 *
 * Order: requests of one client take effect in the order in which they came (R3).
 *
 * Writes: queues are first in, first out; a forward names the term in which the sender knows the
 * receiver to lead, so that when one is refused every later one in that term is refused too (a node
 * leads a term once); nothing of a client is sent in a new term while something of it is still out
 * in an earlier one; and when one of a client is left waiting, so is all that it sent later.
 *
 * Reads: let p and q be the writes of a client before and after a read, in the log.  The read is
 * served from a state that has p and has not q:
 *
 *  - Not before p is applied: until then it is tied to p.
 *  - Not after q is applied: before apply.c executes q, it serves what its client sent before q and
 *    is not served yet.  Nothing has to be waited for there, for that q is committed confirms the
 *    read: q was proposed after the read came, so whatever was answered to anybody before the read
 *    came has a lower index than q (had a later leader committed something by then, its log would
 *    have been without q, and q could not be committed).  The state just before q holds all of
 *    that.
 *  - In between as soon as a round confirms it (raft/read_index.c), like a read that stands alone.
 *    A read for which q is proposed in the same step asks for no round: q's commit comes as soon.
 *    Nor does one for which p is: it waits for p anyway, and p was proposed after the read came, so
 *    that it is committed says the same as of q.
 *
 * So a run of alternating reads and writes is one proposal, and needs no round.
 *
 * Nor does a read that another node forwarded, where that node and this one are a majority: that it
 * was sent in this term, after it was asked, confirms it (raft/read_index.c).  Every forward names
 * the term in which its sender is when it sends it, and it is sent anew whenever it is asked again.
 *
 * When the order cannot be kept, the read ends as not done: once q was proposed or sent and what
 * becomes of it cannot be known here, the read must not be asked again, since it might see q.  What
 * was refused waits again whatever was sent behind it, because that will be refused too. */
#include <utlist.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "base/prng.h"
#include "replica/replica_internal.h"
#include "replica/stamp.h"

static const struct bytes no_reply = {NULL, 0};

/* ---- leading ----------------------------------------------------------------------------- */

/* A client with something still out in an earlier term has to wait for it. */
static bool overtakes(const struct replica *replica, const struct request *request)
{
    const struct request_line *line = request->line;
    check(line->out_count == 0 || line->out_term <= replica->status.term);
    return line->out_count > 0 && line->out_term < replica->status.term;
}

struct proposal {
    struct request *requests[REPLICA_ENTRIES_MAX];
    uint32_t count;
    uint64_t bytes;
};

/* As what it is to be proposed now.  True: in other words than it came in. */
static bool choose_words(struct replica *replica, struct request *request,
                         struct apply_context *context, struct command_parts *parts)
{
    bool is_restated = replica_prepare_propose(replica, request, context, parts);
    if (request->payload_is_restated != is_restated)
        request_drop_payload(replica, request); /* it is of other words */
    return is_restated;
}

static struct blob *take_payload(struct replica *replica, const struct apply_context *context,
                                 const struct command_parts *command, struct request *request)
{
    struct blob *payload = request->payload;
    if (!payload)
        return entry_stamp_parts(context, command);
    check(payload->size == STAMP_SIZE + request->payload_made);
    entry_stamp_made(context, payload);
    payload = blob_take(payload);
    request_drop_payload(replica, request);
    check(payload->references == 1);
    return payload;
}

static void add_to_proposal(struct replica *replica, struct proposal *proposal,
                            struct request *request)
{
    check(proposal->count < replica->options.raft.append_entries_max);
    check(request->kind == REQUEST_WRITE);
    check(request->admitted > 0);
    struct apply_context context = {.meaning = request->admitted,
                                    .database = request->database,
                                    .now_ms = replica->log_time_ms,
                                    .seed = prng_next(&replica->prng),
                                    .value_max = replica->value_max,
                                    .owner = replica_waiter_owner(replica, request)};
    struct command_parts parts;
    (void)choose_words(replica, request, &context, &parts);
    struct blob *payload = take_payload(replica, &context, &parts, request);
    replica->scratch[proposal->count] = (struct raft_entry){
        .type = RAFT_ENTRY_COMMAND,
        .size = (uint32_t)payload->size,
        .payload = payload,
    };
    proposal->requests[proposal->count++] = request;
    proposal->bytes += payload->size;
}

static void propose(struct replica *replica, struct proposal *proposal)
{
    if (proposal->count == 0)
        return;
    /* replica->scratch also serves outgoing appends of this very step: keep our own copy. */
    struct raft_entry entries[REPLICA_ENTRIES_MAX];
    memcpy(entries, replica->scratch, proposal->count * sizeof entries[0]);
    struct raft_input input = {.type = RAFT_INPUT_PROPOSE, .propose = {entries, proposal->count}};
    enum raft_result result = replica_step(replica, &input);
    check(result == RAFT_OK); /* it was asked before anything was copied */
    check(entries[proposal->count - 1].pos.index == replica->status.last.index);
    for (uint32_t i = 0; i < proposal->count; i++) {
        struct request *request = proposal->requests[i];
        check(entries[i].pos.index == entries[0].pos.index + i);
        check(entries[i].pos.term == replica->status.term);
        check(request->place == REQUEST_NOWHERE);
        check(!replica->proposed || replica->proposed->prev->pos.index < entries[i].pos.index);
        blob_release(entries[i].payload);
        request->pos = entries[i].pos;
        request->place = REQUEST_PROPOSED;
        DL_APPEND(replica->proposed, request);
        if (request->waiter)
            request->waiter->doubt = replica->status.term;
    }
    proposal->count = 0;
    proposal->bytes = 0;
}

/* A read whose confirmation failed: it asks again, unless a later write of its client is in the
 * log. */
static void ask_again(struct replica *replica, struct request *read)
{
    check(read->kind == REQUEST_READ);
    check(read->place == REQUEST_READING || read->place == REQUEST_TIED);
    const struct request *write = read->line->last_write;
    if (!write || write->id < read->id) {
        request_wait(replica, read);
        return;
    }
    request_leave_place(replica, read);
    read->place = REQUEST_BETWEEN;
}

static void fail_batch(struct replica *replica, struct read_batch *batch)
{
    batch->failed = true;
    while (batch->requests)
        ask_again(replica, batch->requests);
    request_batch_unlist(replica, batch);
}

void replica_reads_failed(struct replica *replica, uint64_t batch_id)
{
    struct read_batch *batch, *following;
    DL_FOREACH_SAFE(replica->batches, batch, following)
    {
        if (batch->id == batch_id && !batch->confirmed)
            fail_batch(replica, batch);
    }
}

void replica_join_batch(struct read_batch *batch, struct request *request)
{
    check(request->place == REQUEST_NOWHERE);
    check(!request->batch);
    check(!batch->failed);
    request->batch = batch;
    batch->count++;
    if (request->behind) {
        check(request->behind->kind == REQUEST_WRITE);
        check(request->behind->id < request->id); /* R3 */
        request->place = REQUEST_TIED;
        DL_APPEND(request->behind->tied, request);
    } else {
        request->place = REQUEST_READING;
        DL_APPEND(batch->requests, request);
    }
}

/* By age, also when it was not listed for a while: of two reads of one client behind a write, the
 * earlier is served first. */
static void list_batch(struct replica *replica, struct read_batch *batch)
{
    check(!batch->listed);
    check(!batch->failed);
    struct read_batch *first = replica->batches, *at = first ? first->prev : NULL;
    batch->listed = true;
    while (at && at->id > batch->id)
        at = at == first ? NULL : at->prev;
    if (at)
        DL_APPEND_ELEM(replica->batches, at, batch);
    else
        DL_PREPEND(replica->batches, batch);
}

void replica_release_tied(struct replica *replica, struct request *write)
{
    check(write->kind == REQUEST_WRITE);
    while (write->tied) {
        struct request *read = write->tied;
        check(read->place == REQUEST_TIED);
        check(read->behind == write);
        struct read_batch *batch = read->batch;
        if (batch->failed) {
            ask_again(replica, read);
            continue;
        }
        DL_DELETE(write->tied, read);
        read->place = REQUEST_READING;
        read->behind = NULL;
        DL_APPEND(batch->requests, read);
        if (!batch->listed)
            list_batch(replica, batch);
    }
}

/* The write before it was proposed behind `before`, where the log ended when this look began.  One
 * that may wait has to know what index was confirmed. */
static bool is_confirmed_by_write(const struct request *read, raft_index before)
{
    const struct request *write = read->behind;
    return write && write->place == REQUEST_PROPOSED && write->pos.index > before &&
           !read->may_wait;
}

static struct read_batch *new_batch(struct replica *replica)
{
    struct read_batch *batch = memory_new(sizeof *batch);
    batch->id = ++replica->next_read_id;
    batch->time_ms = replica->log_time_ms;
    return batch;
}

/* That its origin is what the list of members says is looked at here, since the core knows no
 * lives: what another life promised is no member's promise. */
static struct raft_ack ack_of(const struct replica *replica, const struct request *read)
{
    bool is_said =
        read->sent_term > 0 && replica_is_member(replica, read->origin, read->origin_life);
    return (struct raft_ack){.from = read->origin, .term = is_said ? read->sent_term : 0};
}

/* What its client asked before waits for a round, and this one must not be served sooner.  One that
 * was acknowledged in this look waits for none: it stands in the batch that this one joins, since a
 * client has one origin, and in front. */
static bool is_behind_a_round(const struct request *read)
{
    const struct request *before = read->line_prev;
    return read != read->line->requests &&
           (before->place == REQUEST_READING || before->place == REQUEST_TIED) &&
           !before->batch->confirmed && !before->batch->is_acked;
}

/* What confirms the reads of one look at the queue. */
struct confirming {
    struct read_batch *by_write; /* NULL: none is */
    struct read_batch *by_ack[RAFT_MEMBERS_MAX];
    struct raft_ack acks[RAFT_MEMBERS_MAX];
    uint32_t acks_count;
    struct read_batch *by_round;
};

/* Listed when the first of those writes is applied. */
static void join_by_write(struct replica *replica, struct confirming *confirming,
                          struct request *read)
{
    check(read->behind); /* so it is TIED, and its batch may be listed later */
    if (!confirming->by_write) {
        confirming->by_write = new_batch(replica);
        confirming->by_write->confirmed = true;
    }
    replica_join_batch(confirming->by_write, read);
}

/* Those of one member together: each brings its own acknowledgement, and they say the same. */
static void join_by_ack(struct replica *replica, struct confirming *confirming,
                        struct request *read, struct raft_ack ack)
{
    check(read->origin == ack.from);
    check(ack.term == replica->status.term);
    uint32_t at = 0;
    while (at < confirming->acks_count && confirming->acks[at].from != ack.from)
        at++;
    if (at == confirming->acks_count) {
        check(at < RAFT_MEMBERS_MAX); /* members alone */
        confirming->acks_count++;
        confirming->acks[at] = ack;
        confirming->by_ack[at] = new_batch(replica);
        confirming->by_ack[at]->is_acked = true;
    }
    replica_join_batch(confirming->by_ack[at], read);
    replica->reads_acknowledged++;
}

/* Of the write before it nothing has to be known any more, and it may be over first. */
static void stand_between(struct request *read)
{
    read->behind = NULL;
    read->place = REQUEST_BETWEEN;
}

static void join(struct replica *replica, struct confirming *confirming, struct request *read,
                 raft_index before)
{
    struct raft_ack ack = ack_of(replica, read);
    check(read->place == REQUEST_NOWHERE);
    if (read->behind && read->line->last_write != read->behind)
        stand_between(read);
    else if (is_confirmed_by_write(read, before))
        join_by_write(replica, confirming, read);
    else if (raft_ack_suffices(replica->raft, ack) && !is_behind_a_round(read))
        join_by_ack(replica, confirming, read, ack);
    else
        replica_join_batch(confirming->by_round, read);
}

static void confirm(struct replica *replica, struct read_batch *batch, struct raft_ack ack)
{
    struct raft_input input = {.type = RAFT_INPUT_READ, .read = {.id = batch->id, .ack = ack}};
    list_batch(replica, batch);
    batch->is_acked = false;
    if (batch->count == 0)
        request_batch_unlist(replica, batch);
    else if (replica_step(replica, &input) != RAFT_OK)
        fail_batch(replica, batch);
}

/* One round for all that need one. */
static void read_together(struct replica *replica, struct request *reads, raft_index before)
{
    struct request *request, *next;
    struct confirming confirming = {.by_round = new_batch(replica)};
    DL_FOREACH_SAFE(reads, request, next)
    {
        DL_DELETE(reads, request);
        join(replica, &confirming, request, before);
    }
    for (uint32_t i = 0; i < confirming.acks_count; i++)
        confirm(replica, confirming.by_ack[i], confirming.acks[i]);
    confirming.by_round->id = ++replica->next_read_id; /* behind the others, see list_batch() */
    confirm(replica, confirming.by_round, (struct raft_ack){0});
}

/* What one look at the queue takes from it. */
struct taking {
    struct proposal proposal;
    struct request *reads;
    size_t copies; /* bytes of large writes that this turn may still copy */
    bool room;     /* the core takes more, and the turn too */
    bool more;     /* large writes are left for the next turn, whole or in part */
};

static void take_read(struct replica *replica, struct taking *taking, struct request *request)
{
    check(request->kind == REQUEST_READ);
    request_leave_place(replica, request);
    request->behind = request->line->last_write;
    DL_APPEND(taking->reads, request);
}

static bool take_write(struct replica *replica, struct taking *taking, struct request *request)
{
    struct proposal *proposal = &taking->proposal;
    bool much = proposal->bytes >= PROPOSE_BYTES_MAX;
    if (taking->room && (much || proposal->count == replica->options.raft.append_entries_max)) {
        propose(replica, proposal);
        taking->room = !much && raft_takes_proposals(replica->raft);
        taking->more |= much;
    }
    if (!taking->room)
        return false;
    check(!request->line->last_write || request->line->last_write->id < request->id); /* R3 */
    request_leave_place(replica, request);
    add_to_proposal(replica, proposal, request);
    request->line->last_write = request;
    replica_parking_fed(replica, request);
    return true;
}

enum admission { ADMITTED, REFUSED, LATER, DECODING };

/* Of very many words some in each turn, of one request at a time. */
static bool is_decoded(struct replica *replica, struct request *request)
{
    struct state_machine *machine = replica->options.machine;
    if (!machine->ops->decode(machine, request->command)) {
        if (!replica->decoding)
            replica->decoding = request;
        return false;
    }
    if (replica->decoding == request)
        replica->decoding = NULL;
    return true;
}

/* What this node's own clients sent was looked at by their connections, under the newest
 * meaning. */
static enum admission admit(struct replica *replica, struct request *request)
{
    struct state_machine *machine = replica->options.machine;
    uint8_t meaning = replica_meaning(replica);
    if (request->origin == RAFT_NOBODY && meaning == machine->ops->meaning_known(machine))
        request->admitted = meaning;
    if (request->admitted == meaning) {
        if (replica->decoding == request) /* the members came to agree meanwhile */
            request_end_decoding(replica);
        return ADMITTED;
    }
    struct apply_context context = {.meaning = meaning, .database = request->database};
    if (!is_decoded(replica, request))
        return replica->decoding == request ? DECODING : LATER;
    buffer_clear(&replica->reply);
    if (machine->ops->admit(machine, &context, blob_bytes(request->command), request->protocol,
                            &replica->reply)) {
        request->admitted = meaning;
        return ADMITTED;
    }
    /* A new leader may not have applied yet what shows that more was agreed on. */
    return replica_serves(replica) ? REFUSED : LATER;
}

static bool is_change(const struct replica *replica, const struct request *request,
                      struct replica_change *change)
{
    struct state_machine *machine = replica->options.machine;
    return machine->ops->change(machine, blob_bytes(request->command), change);
}

/* A list of members is a proposal by itself. */
static bool take_change(struct replica *replica, struct taking *taking, struct request *request,
                        const struct replica_change *change)
{
    propose(replica, &taking->proposal);
    bool taken =
        raft_takes_proposals(replica->raft) && replica_change_take(replica, request, change);
    taking->room = raft_takes_proposals(replica->raft);
    return taken;
}

/* A large entry is made before it is proposed, some of it in each turn: a copy of 500 MB in one
 * would take tenths of a second; and behind its preparation, which may find other words for it.
 * True: there is more.  What waits so is bounded; what is over that is copied at once, and so is
 * what has an owner in front.  (A waiter is there from request_enter() on, or never: none comes
 * when a payload is begun.) */
static bool is_being_made(struct replica *replica, struct taking *taking, struct request *request)
{
    size_t size = request->command->size;
    struct apply_context context = {.now_ms = replica->log_time_ms};
    struct command_parts parts;
    if (size <= ENTRY_MADE_BYTES_MAX || request->waiter)
        return false;
    bool is_restated = choose_words(replica, request, &context, &parts);
    if (!request->payload && replica->made_bytes > 0 &&
        replica->made_bytes + size > WAITING_BYTES_MAX)
        return false;
    size_t before = request->payload_made;
    replica->made_bytes += request->payload ? 0 : size;
    request->payload_is_restated = is_restated;
    bool is_made =
        entry_make_some(&request->payload, &request->payload_made, &parts, taking->copies);
    check(request->payload_made >= before);
    check(request->payload_made - before <= taking->copies);
    taking->copies -= request->payload_made - before;
    taking->more |= !is_made;
    return !is_made;
}

/* False: it has to wait, and what its client sent later too. */
static bool take(struct replica *replica, struct taking *taking, struct request *request)
{
    check(request->place == REQUEST_WAITING);
    if (request->line->held_in == replica->pass || overtakes(replica, request))
        return false;
    enum admission admission = admit(replica, request);
    if (admission == LATER || admission == DECODING) {
        taking->more |= admission == DECODING;
        replica->try_waiting = true;
        return false;
    }
    if (admission == REFUSED) {
        request_finish(replica, request, REQUEST_DONE, buffer_bytes(&replica->reply));
        return true;
    }
    if (request->waiter) {
        enum waiter_take waiter = replica_waiter_take(replica, request);
        if (waiter != WAITER_GOES_ON)
            return waiter == WAITER_TAKEN;
    }
    struct replica_change change;
    if (request->kind == REQUEST_WRITE && is_change(replica, request, &change))
        return take_change(replica, taking, request, &change);
    if (request->kind == REQUEST_WRITE && !replica_prepare_take(replica, request))
        return false;
    if (request->kind == REQUEST_WRITE && is_being_made(replica, taking, request))
        return false;
    if (request->kind == REQUEST_WRITE)
        return take_write(replica, taking, request);
    take_read(replica, taking, request);
    return true;
}

/* Those for whom there is something, before any that came later; and those whom a write of this
 * turn feeds. */
static void propose_woken(struct replica *replica, struct taking *taking)
{
    struct request *request, *following;
    DL_FOREACH_SAFE(replica->woken, request, following)
    {
        check(request->place == REQUEST_WOKEN);
        if (!take_write(replica, taking, request))
            return;
    }
}

/* Not what it has room for, 8 KB that would be zeroed in each turn. */
static void begin_taking(struct replica *replica, struct taking *taking)
{
    taking->proposal.count = 0;
    taking->proposal.bytes = 0;
    taking->reads = NULL;
    taking->copies = ENTRY_MADE_BYTES_MAX;
    taking->room = raft_takes_proposals(replica->raft);
    taking->more = false;
}

/* The queue as it stands: writes in one or more proposals, all reads in one round.  True: large
 * writes are left for the next turn. */
static bool serve_waiting(struct replica *replica)
{
    struct request *request, *following;
    struct taking taking;
    check(replica_leads(replica));
    check(!replica->returned);
    begin_taking(replica, &taking);
    raft_index before = replica->status.last.index;
    replica_parking_wake(replica);
    propose_woken(replica, &taking);
    DL_FOREACH_SAFE(replica->waiting, request, following)
    {
        if (!taking.room && replica->waiting_reads == 0)
            break;
        if (!replica_leads(replica)) /* it handed over in this very pass */
            break;
        if (!take(replica, &taking, request))
            request->line->held_in = replica->pass;
    }
    replica_parking_wake_fed(replica);
    propose_woken(replica, &taking);
    propose(replica, &taking.proposal);
    if (taking.reads)
        read_together(replica, taking.reads, before);
    return taking.more;
}

/* ---- following ------------------------------------------------------------------------------ */

/* False: not sent. */
static bool forward_one(struct replica *replica, struct request *request)
{
    struct transport *transport = replica->options.transport;
    check(request->origin == RAFT_NOBODY); /* a forward goes one step */
    check(replica->status.leader != replica->options.raft.id);
    check(replica->status.leader != RAFT_NOBODY);
    check(request->place == REQUEST_WAITING);
    struct forward forward = {
        .run_id = replica->options.run_id,
        .id = request->id,
        .term = replica->status.term,
        .kind = request->kind,
        .protocol = request->protocol,
        .database = request->database,
        .client = request->client,
        .reply_max = request->reply_max,
        .command = request->command,
    };
    if (replica->forwarded_bytes >= FORWARDED_BYTES_MAX ||
        HASH_COUNT(replica->forwarded_by_id) >= FORWARDED_COUNT_MAX)
        return false; /* until some are answered */
    if (!transport->ops->forward(transport, replica->status.leader, &forward)) {
        replica->try_waiting = true; /* not connected yet: at the next tick */
        return false;
    }
    struct request_line *line = request->line;
    request_drop_payload(replica, request); /* made in an office of before */
    request_leave_place(replica, request);
    request->place = REQUEST_FORWARDED;
    request->sent_to = replica->status.leader;
    DL_APPEND(replica->forwarded, request);
    HASH_ADD(hh, replica->forwarded_by_id, id, sizeof request->id, request);
    replica->forwarded_bytes += request->command->size;
    check(line->out_count == 0 || line->out_term == replica->status.term);
    line->out_count++;
    line->out_term = replica->status.term;
    if (request->kind == REQUEST_WRITE)
        line->sent_write = request->id;
    replica->requests_forwarded++;
    return true;
}

static void forward_waiting(struct replica *replica)
{
    struct request *request, *following;
    check(!replica->returned);
    bool open = replica->status.leader != RAFT_NOBODY;
    DL_FOREACH_SAFE(replica->waiting, request, following)
    {
        if (!open && replica->waiting_foreign == 0)
            break;
        if (request->origin != RAFT_NOBODY) {
            request_leave_place(replica, request);
            request_refuse(replica, request);
        } else if (request->line->held_in == replica->pass || overtakes(replica, request)) {
            request->line->held_in = replica->pass;
        } else if (open && request->waiter) {
            open = replica_waiter_send(replica, request);
        } else if (open) {
            open = forward_one(replica, request);
        }
    }
}

/* The others learn of a commit with the next entries or the next heartbeat.  Where somebody waits
 * there for what an entry tells, that is late; the heartbeats of a round say it now, as far as
 * their member is known to have what was committed, and again when somebody has it who did not
 * then.  Nobody waits for that round. */
void replica_spread_commit(struct replica *replica)
{
    struct raft_input input = {.type = RAFT_INPUT_READ,
                               .read = {.id = ++replica->next_read_id, .asks_all = true}};
    bool is_wanted = replica->has_told;
    replica->has_told = false;
    if (!replica_leads(replica)) {
        replica->told_last = 0;
        return;
    }
    check(replica->told_last <= replica->status.applied);
    uint32_t holders = replica->told_last ? replica_have(replica, replica->told_last) : 0;
    if (!is_wanted && holders <= replica->told_holders)
        return;
    replica->told_holders = holders;
    if (replica_step(replica, &input) == RAFT_BUSY)
        replica->has_told = true; /* so many rounds are asked for: one of them will do */
}

bool replica_route_waiting(struct replica *replica)
{
    if (!replica->try_waiting)
        return false;
    replica->try_waiting = false;
    request_merge_returned(replica);
    replica->pass++;
    if (!replica_leads(replica)) {
        forward_waiting(replica);
        return false;
    }
    bool more = serve_waiting(replica);
    replica->try_waiting |= more;
    return more;
}

/* ---- forwards of others, and answers to ours ------------------------------------------------- */

void replica_receive_forward(struct replica *replica, raft_node_id from, uint64_t life,
                             const struct forward *forward)
{
    struct request *request = request_new(forward->kind, forward->protocol, forward->client,
                                          blob_take(forward->command), NULL, NULL);
    request->origin = from;
    request->origin_id = forward->id;
    request->origin_run_id = forward->run_id;
    request->origin_life = life;
    request->sent_term = forward->term;
    request->database = forward->database;
    request->reply_max = forward->reply_max;
    request->deadline_ms = INT64_MAX; /* its origin keeps the time */
    request->may_wait = forward->may_wait;
    request_enter(replica, request);
    if (request->waiter)
        replica_waiter_arrived(replica, request, forward);
    if (!replica_leads(replica) || forward->term != replica->status.term) {
        request_leave_place(replica, request);
        request_refuse(replica, request);
        return;
    }
    replica_waiters_give_way(replica, request);
}

void replica_receive_forward_reply(struct replica *replica, raft_node_id from,
                                   const struct forward_reply *reply)
{
    struct request *request = replica->forwarded; /* nearly always they come in order */
    if (reply->run_id != replica->options.run_id)
        return; /* to an earlier life of this node */
    if (!request || request->id != reply->id)
        HASH_FIND(hh, replica->forwarded_by_id, &reply->id, sizeof reply->id, request);
    if (!request)
        replica_waiter_answered(replica, from, reply);
    if (!request || request->sent_to != from)
        return; /* ended by its deadline meanwhile */
    check(request->place == REQUEST_FORWARDED);
    check(request->origin == RAFT_NOBODY);
    request_foresee(request->next);
    request->told = request->kind == REQUEST_WRITE ? reply->told : 0;
    if (reply->refused)
        request_wait(replica, request);
    else if (request->told && reply->outcome == REQUEST_DONE)
        request_tell(replica, request, reply->reply);
    else
        request_finish(replica, request, request_outcome_said(request, reply->outcome),
                       reply->reply);
    replica->try_waiting = true;
}

void replica_forwards_lost_to(struct replica *replica, raft_node_id node)
{
    struct request *request, *following;
    replica_waiters_lost_to(replica, node);
    replica_waiters_of_lost(replica, node);
    DL_FOREACH_SAFE(replica->forwarded, request, following)
    {
        if (request->sent_to != node)
            continue;
        check(request->place == REQUEST_FORWARDED);
        if (request->kind == REQUEST_READ && request->id > request->line->sent_write)
            request_wait(replica, request);
        else
            request_finish(replica, request, request_outcome_unanswered(request), no_reply);
    }
    replica->try_waiting = true;
}

/* ---- the end of a leadership ----------------------------------------------------------------- */

/* What its client sent before a write whose outcome nobody here can know. */
static void end_reads_before(struct replica *replica, struct request *write)
{
    struct request *read = write->line->requests;
    while (read != write) {
        struct request *following = read->line_next;
        check(read->kind == REQUEST_READ || read->place == REQUEST_TELLING);
        if (read->place != REQUEST_SERVED && read->place != REQUEST_TELLING)
            request_finish(replica, read, REQUEST_NOT_DONE, no_reply);
        read = following;
    }
}

/* What was appended may commit under the next leader or be overwritten. What was not appended goes
 * to the next leader with the waiting. */
void replica_leadership_lost(struct replica *replica)
{
    struct request *request, *following;
    struct read_batch *batch, *next;
    /* Confirmed reads that were not yet applied could still be served, but their index may be
     * far. */
    DL_FOREACH_SAFE(replica->batches, batch, next)
    {
        fail_batch(replica, batch);
    }
    DL_FOREACH_SAFE(replica->proposed, request, following)
    {
        check(request->place == REQUEST_PROPOSED);
        end_reads_before(replica, request);
        while (request->tied)
            ask_again(replica, request->tied);
        if (request->waiter && request->context)
            replica_waiter_give_back(replica, request); /* its entry, if there is one, tells */
        else
            request_finish(replica, request, REQUEST_UNKNOWN, no_reply);
    }
    check(!replica->batches);
    check(!replica->proposed);
    /* What their clients sent behind them is proposed elsewhere now, and applied here unseen. */
    DL_FOREACH(replica->reading, request)
    {
        request->is_followed = true;
    }
    replica_waiters_leadership_lost(replica);
    replica_prepare_office_lost(replica);
    replica_sendings_office_lost(replica);
    replica_holds_office_lost(replica);
    replica->try_waiting = true;
}
