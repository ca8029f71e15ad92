/* Committed entries to the state machine, in order, and reads once the state is new enough. */
#include <utlist.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "replica/replica_internal.h"
#include "replica/stamp.h"

/* The request, if one waits here, whose entry is at `pos`. */
static struct request *request_at(struct replica *replica, struct raft_pos pos)
{
    struct request *request = replica->proposed;
    /* Whose entry was passed would never be answered. */
    check(!request || request->pos.index >= pos.index || request->pos.term != pos.term);
    /* Another term: ours was overwritten in this very turn; replica_leadership_lost() comes
     * next. */
    if (!request || request->pos.index != pos.index || request->pos.term != pos.term)
        return NULL;
    return request;
}

/* A new leader's estimate may begin behind what its predecessor stamped and it has not yet applied;
 * the log's time only grows.  The same on every node, because the machine's time is part of its
 * state. */
static int64_t never_earlier(struct state_machine *machine, int64_t log_time_ms)
{
    int64_t latest = machine->ops->time_ms(machine);
    return log_time_ms > latest ? log_time_ms : latest;
}

/* A node that takes its replies slowly is not served ahead; the others are. */
static bool origin_has_room(const struct replica *replica, const struct request *request)
{
    struct transport *transport = replica->options.transport;
    return request->origin == RAFT_NOBODY || transport->ops->has_room(transport, request->origin);
}

/* Whether more is sent than the node of this client takes; only reads before writes come so far. */
static bool is_owed_too_much(struct replica *replica, const struct request *request, size_t size)
{
    const struct raft_members *members = raft_members(replica->raft);
    uint32_t place = raft_members_place(members, request->origin);
    if (place == members->count) /* a client of this node */
        return false;
    uint64_t *owed = &replica->owed[place];
    *owed = origin_has_room(replica, request) ? 0 : *owed + size;
    return *owed > OWED_BYTES_MAX;
}

static void answer_read(struct replica *replica, struct request *request)
{
    check(request->kind == REQUEST_READ);
    check(request->place == REQUEST_NOWHERE);
    struct bytes reply = buffer_bytes(&replica->reply);
    size_t size = reply.size + request->rest.size;
    if (is_owed_too_much(replica, request, size)) {
        request_finish(replica, request, REQUEST_NOT_DONE, bytes_of(NULL, 0));
        return;
    }
    if (request->reply_max && size > request->reply_max) {
        request_finish(replica, request, REQUEST_TOO_LARGE, bytes_of(NULL, 0));
        return;
    }
    replica->reads_done++;
    request_finish(replica, request, REQUEST_DONE, reply);
}

/* What has come of one slice of a read. */
enum slice {
    SLICE_LAST,
    SLICE_MORE,   /* the rest goes on in later turns, on the state that it began with */
    SLICE_NOT_NOW /* nothing was done */
};

/* Of this node; 0: of another. */
static uint64_t own_client(const struct request *request)
{
    return request && request->origin == RAFT_NOBODY ? request->client : 0;
}

/* As it was confirmed first, however often it is served. */
static uint32_t confirmed_holders(struct replica *replica, struct request *request)
{
    const struct read_batch *batch = request->batch;
    if (batch && !batch->is_again)
        request->read_index = batch->index;
    return replica_holders(replica, request);
}

/* `until_ms`: of one that begins while an entry is half done, see struct apply_context. */
static enum slice serve_until(struct replica *replica, struct request *request, int64_t now_ms,
                              int64_t until_ms)
{
    struct state_machine *machine = replica->options.machine;
    struct apply_context context = {.meaning = replica_meaning(replica),
                                    .database = request->database,
                                    .now_ms = now_ms,
                                    .client = own_client(request),
                                    .reply_max = request->reply_max,
                                    .is_followed = request->is_followed,
                                    .until_ms = until_ms,
                                    .may_wait = request->waiter != NULL};
    check(request->place == REQUEST_READING || request->place == REQUEST_BETWEEN ||
          request->place == REQUEST_SERVED);
    if (request->may_wait)
        context.holders = confirmed_holders(replica, request);
    bool is_present = !request->reading;
    buffer_clear(&replica->reply);
    if (machine->ops->read(machine, &request->reading, &context, blob_bytes(request->command),
                           request->protocol, &replica->reply, &request->rest)) {
        request_leave_place(replica, request);
        replica->served_bytes += replica->reply.size + request->rest.size;
        if (request->waiter && machine->ops->found_nothing(machine))
            replica_reader_found_nothing(replica, request, is_present);
        else
            answer_read(replica, request);
        return SLICE_LAST;
    }
    if (!request->reading) {
        replica->lacks_view = true;
        return SLICE_NOT_NOW;
    }
    void *reading = request->reading; /* leaving SERVED would drop it */
    request->reading = NULL;
    request_leave_place(replica, request);
    request->reading = reading;
    request->place = REQUEST_SERVED;
    DL_APPEND(replica->reading, request); /* behind the others */
    return SLICE_MORE;
}

static enum slice serve_one(struct replica *replica, struct request *request, int64_t now_ms)
{
    return serve_until(replica, request, now_ms, 0);
}

static bool unstamp(const struct raft_entry *entry, struct apply_context *context,
                    struct bytes *command)
{
    *context = (struct apply_context){.pos = entry->pos};
    return entry->payload && entry_unstamp(blob_bytes(entry->payload), context, command);
}

/* Reads that come next: what they look for lies anywhere in memory, like what entries change
 * (foresee). */
struct reads_ahead {
    struct foreseen list[FORESEEN_MAX];
    uint32_t count;
};

static void add_ahead(struct reads_ahead *ahead, const struct request *read)
{
    check(ahead->count < FORESEEN_MAX);
    ahead->list[ahead->count++] = (struct foreseen){read->database, blob_bytes(read->command)};
}

static void foresee_reads(struct replica *replica, const struct reads_ahead *ahead)
{
    struct state_machine *machine = replica->options.machine;
    if (ahead->count > 1) /* one alone is served as soon */
        machine->ops->foresee(machine, ahead->list, ahead->count);
}

static void foresee_batch(struct replica *replica, const struct request *read)
{
    struct reads_ahead ahead;
    ahead.count = 0;
    for (; read && ahead.count < FORESEEN_MAX; read = read->next)
        add_ahead(&ahead, read);
    foresee_reads(replica, &ahead);
}

/* Behind the next write, too: where reads and writes take turns, that is all that is ahead. */
static void foresee_line(struct replica *replica, const struct request *read)
{
    struct request_line *line = read->line;
    struct reads_ahead ahead; /* not zeroed: this is asked for each read */
    ahead.count = 0;
    if (read->id <= line->foreseen_to)
        return;
    for (; read && ahead.count < FORESEEN_MAX; read = read->line_next) {
        if (read->kind == REQUEST_READ)
            add_ahead(&ahead, read);
        line->foreseen_to = read->id;
    }
    foresee_reads(replica, &ahead);
}

/* What the client of this write sent before it sees the state before it, at the time of the write:
 * that is committed, and confirms both (routing.c).  False: not all is served, the write has to
 * wait. */
static bool serve_reads_before(struct replica *replica, const struct raft_entry *entry)
{
    struct request *write = request_at(replica, entry->pos);
    struct request *read = write ? write->line->requests : NULL;
    struct apply_context context = {.now_ms = 0}; /* a list of members has no time */
    struct bytes command;
    if (read == write || (entry->type == RAFT_ENTRY_COMMAND && !unstamp(entry, &context, &command)))
        return true;
    int64_t now_ms = never_earlier(replica->options.machine, context.now_ms);
    while (read != write) {
        foresee_line(replica, read);
        struct request *following = read->line_next;
        check(read->kind == REQUEST_READ || read->place == REQUEST_TELLING);
        if (read->place == REQUEST_TELLING) { /* done, and about to be answered */
            read = following;
            continue;
        }
        read->is_followed = true;
        if (read->place != REQUEST_SERVED) { /* that has its state already */
            check(read->place == REQUEST_BETWEEN || read->place == REQUEST_READING);
            replica->held_up = replica->served_bytes >= SERVE_BYTES_MAX ||
                               serve_one(replica, read, now_ms) == SLICE_NOT_NOW;
            if (replica->held_up)
                return false;
        }
        read = following;
    }
    return true;
}

static void answer_write(struct replica *replica, struct request *request, bool found_nothing)
{
    check(request->kind == REQUEST_WRITE);
    check(request->place == REQUEST_PROPOSED || request->waiter);
    if (request->place == REQUEST_PROPOSED) /* one that waits may be anywhere */
        request_foresee(request->next);
    replica_release_tied(replica, request); /* by its deadline it may be over for its client */
    if (found_nothing) {
        replica_waiter_found_nothing(replica, request);
        return;
    }
    request_finish(replica, request, REQUEST_DONE, buffer_bytes(&replica->reply));
}

/* False: not finished. */
static bool apply_command(struct replica *replica, const struct raft_entry *entry)
{
    struct state_machine *machine = replica->options.machine;
    struct apply_context context;
    struct bytes command;
    if (!unstamp(entry, &context, &command))
        fatal("log entry %llu cannot be understood", (unsigned long long)entry->pos.index);
    replica_meaning_met(replica, entry->pos.index, context.meaning);
    context.now_ms = never_earlier(machine, context.now_ms);
    struct request *request = request_at(replica, entry->pos);
    if (!request)
        request = replica_waiter_of(replica, &context.owner);
    context.client = own_client(request);
    context.is_read_before = replica_leads(replica) && entry->pos.term == replica->status.term &&
                             context.meaning >= STAMP_MEANING_SHOWN;
    context.rest = request ? &request->rest : NULL;
    buffer_clear(&replica->reply);
    if (!machine->ops->apply(machine, &context, command, request ? request->protocol : 2,
                             request ? &replica->reply : NULL))
        return false;
    check(machine->ops->applied_index(machine) == entry->pos.index - 1);
    machine->ops->applied(machine, entry->pos, context.now_ms, context.meaning);
    check(machine->ops->time_ms(machine) == context.now_ms); /* the log's time never falls */
    bool told = machine->ops->told(machine);
    replica->has_told |= told;
    if (told)
        replica->told_last = entry->pos.index;
    request_told(replica, entry->pos.index);
    if (!request)
        return true;
    request->told = told ? entry->pos.index : 0;
    answer_write(replica, request, context.owner.run_id && machine->ops->found_nothing(machine));
    return true;
}

/* The list of members that it asked for is committed. */
static void answer_change(struct replica *replica, struct request *request)
{
    if (!request)
        return;
    check(request->reply);
    replica_release_tied(replica, request);
    request_finish(replica, request, REQUEST_DONE, blob_bytes(request->reply));
}

/* False: a long write came; it goes on in the next turn, and nothing is applied until it is
 * finished, nor anything read but what was before it (shown.c).  Or reads before it are not all
 * served (held_up). */
static bool apply_entry(struct replica *replica, const struct raft_entry *entry)
{
    struct state_machine *machine = replica->options.machine;
    check(!replica->applying.payload);
    check(entry->pos.index <= replica->apply_to); /* N3 */
    if (!serve_reads_before(replica, entry))
        return false;
    if (entry->type != RAFT_ENTRY_COMMAND) {
        check(machine->ops->applied_index(machine) == entry->pos.index - 1);
        machine->ops->applied(machine, entry->pos, 0, 0);
        answer_change(replica, request_at(replica, entry->pos));
        return true;
    }
    if (apply_command(replica, entry))
        return true;
    check(entry->payload);
    replica->applying = *entry;
    blob_take(entry->payload);
    return false;
}

static void tell_applied(struct replica *replica, raft_index index)
{
    struct raft_input input = {.type = RAFT_INPUT_APPLIED, .index = index};
    replica_step(replica, &input);
    check(replica->status.applied == index);
    check(replica->options.machine->ops->applied_index(replica->options.machine) == index); /* N4 */
}

/* True: the long write is finished. */
static bool go_on_applying(struct replica *replica)
{
    check(replica->applying.type == RAFT_ENTRY_COMMAND);
    check(replica->applying.pos.index == replica->status.applied + 1);
    if (!apply_command(replica, &replica->applying))
        return false;
    blob_release(replica->applying.payload);
    replica->applying.payload = NULL;
    tell_applied(replica, replica->applying.pos.index);
    return true;
}

void replica_begin_turn(struct replica *replica)
{
    struct state_machine *machine = replica->options.machine;
    replica->work_end = machine->ops->work(machine) + TURN_WORK_MAX;
}

/* So much was done that the event loop should have its turn. */
static bool is_turn_over(const struct replica *replica)
{
    struct state_machine *machine = replica->options.machine;
    return machine->ops->work(machine) >= replica->work_end;
}

/* From memory, or read back; NULL: it is asked for. */
static const struct raft_entry *entry_at(struct replica *replica, raft_index index)
{
    const struct raft_entry *entry = entry_cache_get(&replica->cache, index);
    if (!entry)
        return replica_replay_get(replica, index);
    replica_replay_forget(replica);
    return entry;
}

/* What an entry changes lies anywhere in memory: to wait for that takes as long as all else that is
 * done with a small one.  So it is asked for some entries ahead; and for several of them at once,
 * since to find it means to wait for memory, too, which then is one time for all. */
static void foresee(struct replica *replica, raft_index first)
{
    struct state_machine *machine = replica->options.machine;
    struct foreseen entries[FORESEEN_MAX];
    uint32_t count = 0;
    for (raft_index index = first; index < first + FORESEEN_MAX; index++) {
        struct apply_context context;
        struct bytes command;
        const struct raft_entry *entry =
            index <= replica->apply_to ? entry_cache_get(&replica->cache, index) : NULL;
        if (entry && entry->type == RAFT_ENTRY_COMMAND && unstamp(entry, &context, &command))
            entries[count++] = (struct foreseen){context.database, command};
    }
    machine->ops->foresee(machine, entries, count);
}

bool replica_apply_some(struct replica *replica)
{
    struct state_machine *machine = replica->options.machine;
    replica->held_up = replica->held_back = false;
    if (replica->applying.payload && !go_on_applying(replica))
        return true;
    raft_index applied = replica->status.applied;
    raft_index before = applied, foreseen = applied;
    uint64_t bytes = 0;
    while (applied < replica->apply_to && applied - before < APPLY_ENTRIES_MAX &&
           bytes < APPLY_BYTES_MAX && !is_turn_over(replica) && !replica->applying.payload &&
           !replica->held_up && machine->ops->ready(machine)) {
        const struct raft_entry *entry = entry_at(replica, applied + 1);
        if (!entry)
            break;
        replica->held_back = replica_shown_holds(replica, entry);
        if (replica->held_back)
            break;
        check(entry->pos.index == applied + 1);
        check(entry->pos.term == raft_term_at(replica->raft, applied + 1));
        bytes += entry->size;
        if (applied + FORESEEN_MAX / 2 >= foreseen) {
            foresee(replica, foreseen + 1);
            foreseen += FORESEEN_MAX;
        }
        applied += apply_entry(replica, entry);
    }
    check(applied <= replica->apply_to);
    check(!replica->applying.payload || replica->applying.pos.index == applied + 1);
    if (applied > before)
        tell_applied(replica, applied);
    bool waits = replica->replay_asked || replica->held_back ||
                 (replica->held_up && replica->lacks_view) || !machine->ops->ready(machine);
    return replica->applying.payload || (applied < replica->apply_to && !waits);
}

void replica_reads_confirmed(struct replica *replica, const struct raft_read *read)
{
    struct read_batch *batch;
    DL_FOREACH(replica->batches, batch)
    {
        if (batch->id != read->id)
            continue;
        check(!batch->confirmed);
        check(!batch->failed);
        check(read->index <= replica->cache.last);
        batch->confirmed = true;
        batch->index = read->index;
        return;
    }
}

/* False: a long read came or the bytes of this turn are used up, the rest has to wait. */
static bool serve_batch(struct replica *replica, struct read_batch *batch)
{
    struct request *request, *following;
    check(batch->confirmed);
    check(batch->index <= replica->status.applied);
    int64_t now_ms = replica_read_time_ms(replica); /* reads change nothing that is due */
    uint32_t passed = 0;
    DL_FOREACH_SAFE(batch->requests, request, following)
    {
        check(request->batch == batch);
        if (passed++ % FORESEEN_MAX == 0)
            foresee_batch(replica, request);
        if (replica->served_bytes >= SERVE_BYTES_MAX || is_turn_over(replica))
            return false;
        if (!origin_has_room(replica, request))
            continue;
        if (serve_one(replica, request, now_ms) == SLICE_NOT_NOW)
            return false;
    }
    return true;
}

/* What its client sent before is done, or has its state already. */
static bool is_next_of_client(const struct request *request)
{
    const struct request *first = request->line->requests;
    while (first->place == REQUEST_SERVED || first->place == REQUEST_TELLING)
        first = first->line_next;
    return first == request;
}

/* An entry is half done: from the state before it those that can be (shown.c); one that waits would
 * miss what the entry touches.  False: as below. */
static bool serve_before(struct replica *replica, struct read_batch *batch)
{
    struct request *request, *following;
    int64_t until_ms = replica_tick_was_seen(replica, batch) ? 0 : batch->time_ms;
    DL_FOREACH_SAFE(batch->requests, request, following)
    {
        raft_index entry = replica->applying.pos.index;
        if (replica->served_bytes >= SERVE_BYTES_MAX || is_turn_over(replica))
            return false;
        if (request->waiter || request->no_earlier == entry || !is_next_of_client(request) ||
            !origin_has_room(replica, request))
            continue;
        int64_t now_ms = replica_read_time_ms(replica);
        if (serve_until(replica, request, now_ms, until_ms) == SLICE_NOT_NOW)
            request->no_earlier = entry;
    }
    return true;
}

static bool serve_due(struct replica *replica, struct read_batch *batch)
{
    if (!batch->confirmed)
        return true;
    if (replica->applying.payload)
        return serve_before(replica, batch);
    bool is_due = batch->index <= replica->status.applied && replica_tick_was_seen(replica, batch);
    return !is_due || serve_batch(replica, batch);
}

bool replica_serve_reads(struct replica *replica)
{
    struct read_batch *batch, *following;
    bool is_half_done = replica->applying.payload;
    replica_begin_turn(replica);
    check(!replica->reading || replica->reading->place == REQUEST_SERVED);
    if (replica->reading)
        serve_one(replica, replica->reading, 0); /* it has the time of its first slice */
    if (is_half_done && !replica_reads_go_on(replica))
        return true;
    DL_FOREACH_SAFE(replica->batches, batch, following)
    {
        if (!serve_due(replica, batch))
            return !replica->lacks_view || replica->reading;
        if (!batch->requests && (batch->confirmed || batch->count == 0))
            request_batch_unlist(replica, batch);
    }
    return is_half_done || replica->reading;
}
