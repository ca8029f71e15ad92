/* Requests: life, the queue they wait in, their client's line, their deadlines.
 *
 * A line holds what one client has under way on this node, in the order in which it came.  It
 * answers at once what would otherwise need a look at everybody's requests: what of a client is out
 * in an earlier term, which write stands before a read, what is left before a write that is
 * applied, and what to drop when the client is gone. */
#include <string.h>
#include <utlist.h>
#include <xxhash.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "replica/replica_internal.h"

static const struct bytes no_reply = {NULL, 0};

struct request *request_new(enum request_kind kind, int protocol, uint64_t client,
                            struct blob *command, request_done *done, void *context)
{
    struct request *request = memory_new(sizeof *request);
    check(command);
    check(protocol == 2 || protocol == 3);
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

void request_drop_payload(struct replica *replica, struct request *request)
{
    if (!request->payload)
        return;
    check(replica->made_bytes >= request->command->size);
    replica->made_bytes -= request->command->size;
    blob_release(request->payload);
    request->payload = NULL;
    request->payload_made = 0;
    request->payload_is_restated = false;
}

/* ---- lines ------------------------------------------------------------------------------ */

static uint64_t hash_of_key(const struct replica *replica, const struct request_line_key *key)
{
    return XXH3_64bits_withSeed(key, sizeof *key, replica->options.secret);
}

static struct request_line *line_of(struct hash_link *link)
{
    return (struct request_line *)link;
}

static struct request_line *find_line(struct replica *replica, raft_node_id origin, uint64_t client)
{
    struct request_line_key key = {.origin = origin, .client = client};
    struct request_line *line = replica->recent_line;
    if (line && line->key.origin == origin && line->key.client == client)
        return line;
    struct hash_link *link = hash_table_find(&replica->lines_by_key, hash_of_key(replica, &key));
    while (link && memcmp(&line_of(link)->key, &key, sizeof key) != 0)
        link = hash_table_next(link);
    return link ? line_of(link) : NULL;
}

struct request *request_of_client(struct replica *replica, raft_node_id origin, uint64_t client)
{
    struct request_line *line = find_line(replica, origin, client);
    return line ? line->requests->line_prev : NULL; /* the list is closed that way */
}

static void join_line(struct replica *replica, struct request *request)
{
    struct request_line *line = find_line(replica, request->origin, request->client);
    if (!line) {
        line = memory_new(sizeof *line);
        line->key = (struct request_line_key){.origin = request->origin, .client = request->client};
        hash_table_add(&replica->lines_by_key, &line->link, hash_of_key(replica, &line->key));
        DL_APPEND(replica->lines, line);
    }
    check(!request->line);
    check(!line->requests || line->requests->line_prev->id < request->id); /* R3 */
    replica->recent_line = line;
    request->line = line;
    DL_APPEND2(line->requests, request, line_prev, line_next);
}

static void leave_line(struct replica *replica, struct request *request)
{
    struct request_line *line = request->line;
    check(line->last_write != request);
    DL_DELETE2(line->requests, request, line_prev, line_next);
    if (line->requests)
        return;
    check(!line->last_write);
    check(line->out_count == 0);
    hash_table_remove(&replica->lines_by_key, &line->link);
    DL_DELETE(replica->lines, line);
    if (replica->recent_line == line)
        replica->recent_line = NULL;
    memory_free(line);
}

/* ---- places ----------------------------------------------------------------------------- */

static void count_waiting(struct replica *replica, const struct request *request, bool comes)
{
    check(comes || replica->waiting_count > 0);
    check(comes || replica->waiting_bytes >= request->command->size);
    uint64_t by = comes ? 1 : UINT64_MAX; /* one less */
    replica->waiting_count += by;
    replica->waiting_bytes += by * request->command->size;
    if (request->kind == REQUEST_READ)
        replica->waiting_reads += by;
    if (request->origin != RAFT_NOBODY)
        replica->waiting_foreign += by;
}

/* By age: what comes back goes before what came later, all of it in one pass (see below). */
void request_wait(struct replica *replica, struct request *request)
{
    struct request *last = replica->waiting ? replica->waiting->prev : NULL;
    request_leave_place(replica, request);
    check(request->line);
    check(!request->tied);
    check(!request->batch);
    check(!request->reading);
    if (last && last->id > request->id) {
        request->place = REQUEST_RETURNED;
        DL_APPEND(replica->returned, request);
    } else {
        request->place = REQUEST_WAITING;
        DL_APPEND(replica->waiting, request);
    }
    count_waiting(replica, request, true);
    replica->try_waiting = true;
}

static int by_age(const struct request *a, const struct request *b)
{
    return a->id < b->id ? -1 : 1;
}

void request_merge_returned(struct replica *replica)
{
    struct request *request, *following, *at = replica->waiting;
    if (!replica->returned)
        return;
    DL_SORT(replica->returned, by_age);
    DL_FOREACH_SAFE(replica->returned, request, following)
    {
        while (at && at->id < request->id)
            at = at->next;
        DL_DELETE(replica->returned, request);
        check(request->place == REQUEST_RETURNED);
        check(!at || at->id > request->id);
        request->place = REQUEST_WAITING;
        if (at)
            DL_PREPEND_ELEM(replica->waiting, at, request);
        else
            DL_APPEND(replica->waiting, request);
    }
}

static void leave_batch(struct request *request)
{
    struct read_batch *batch = request->batch;
    request->batch = NULL;
    check(batch->count > 0);
    if (--batch->count == 0 && !batch->listed)
        memory_free(batch);
}

void request_batch_unlist(struct replica *replica, struct read_batch *batch)
{
    check(batch->listed);
    check(!batch->requests);
    DL_DELETE(replica->batches, batch);
    batch->listed = false;
    if (batch->count == 0)
        memory_free(batch);
}

static void leave_forwarded(struct replica *replica, struct request *request)
{
    DL_DELETE(replica->forwarded, request);
    HASH_DEL(replica->forwarded_by_id, request);
    check(replica->forwarded_bytes >= request->command->size);
    check(request->line->out_count > 0);
    check(request->sent_to != RAFT_NOBODY);
    replica->forwarded_bytes -= request->command->size;
    request->line->out_count--;
}

void request_end_decoding(struct replica *replica)
{
    replica->decoding = NULL;
    (void)replica->options.machine->ops->decode(replica->options.machine, NULL);
}

/* It is in no queue then, but still in its client's line. */
void request_leave_place(struct replica *replica, struct request *request)
{
    enum request_place place = request->place;
    request->place = REQUEST_NOWHERE;
    if (request == replica->decoding)
        request_end_decoding(replica);
    switch (place) {
    case REQUEST_NOWHERE: break;
    case REQUEST_BETWEEN: check(!request->behind); break;
    case REQUEST_WAITING:
        DL_DELETE(replica->waiting, request);
        count_waiting(replica, request, false);
        break;
    case REQUEST_RETURNED:
        DL_DELETE(replica->returned, request);
        count_waiting(replica, request, false);
        break;
    case REQUEST_PROPOSED:
        DL_DELETE(replica->proposed, request);
        check(request->kind == REQUEST_WRITE);
        check(request->pos.index > 0);
        if (request->line->last_write == request)
            request->line->last_write = NULL;
        break;
    case REQUEST_FORWARDED: leave_forwarded(replica, request); break;
    case REQUEST_TELLING: DL_DELETE(replica->telling, request); break;
    case REQUEST_HANDING_OVER: DL_DELETE(replica->handing_over, request); break;
    case REQUEST_READING:
        DL_DELETE(request->batch->requests, request);
        check(request->batch->listed);
        leave_batch(request);
        break;
    case REQUEST_TIED:
        DL_DELETE(request->behind->tied, request);
        check(request->kind == REQUEST_READ);
        request->behind = NULL;
        leave_batch(request);
        break;
    case REQUEST_SERVED:
        DL_DELETE(replica->reading, request);
        if (request->reading)
            replica->options.machine->ops->read_drop(replica->options.machine, request->reading);
        request->reading = NULL;
        break;
    case REQUEST_PARKED: replica_unpark(replica, request); break;
    case REQUEST_WOKEN: DL_DELETE(replica->woken, request); break;
    case REQUEST_AWAY:
        DL_DELETE(replica->away, request);
        HASH_DELETE(sent_hh, replica->waiters_sent, request->waiter);
        break;
    }
}

/* ---- life ------------------------------------------------------------------------------- */

void request_enter(struct replica *replica, struct request *request)
{
    check(request->place == REQUEST_NOWHERE);
    request->id = ++replica->next_request_id;
    replica->under_way_count++;
    join_line(replica, request);
    if (request->may_wait)
        replica_waiter_enter(replica, request);
    else if (request->origin == RAFT_NOBODY)
        request_begin_timing(replica, request, request->deadline_ms);
    request_wait(replica, request);
}

void request_begin_timing(struct replica *replica, struct request *request, int64_t deadline_ms)
{
    if (request->timed)
        return;
    request->deadline_ms = deadline_ms;
    request->timed = true;
    DL_APPEND2(replica->timed, request, timed_prev, timed_next);
}

static void stop_timing(struct replica *replica, struct request *request)
{
    if (request->timed)
        DL_DELETE2(replica->timed, request, timed_prev, timed_next);
    request->timed = false;
}

void request_put_off(struct replica *replica, struct request *request, int64_t by_ms)
{
    if (request->origin != RAFT_NOBODY || request->deadline_ms >= INT64_MAX - by_ms)
        return; /* its origin keeps the time */
    stop_timing(replica, request);
    request_begin_timing(replica, request, request->deadline_ms + by_ms);
}

void request_foresee(const struct request *request)
{
    enum { CACHE_LINE = 64 };
    if (!request)
        return;
    __builtin_prefetch(request->command, 1);
    for (size_t at = 0; request->next && at < sizeof *request; at += CACHE_LINE)
        __builtin_prefetch((const char *)request->next + at, 1);
}

static void answer_origin(struct replica *replica, struct request *request, bool refused,
                          enum request_outcome outcome, struct bytes reply)
{
    check(!refused || outcome == REQUEST_NOT_DONE); /* R2 */
    check(!refused || request->told == 0);
    check(outcome == REQUEST_DONE || reply.size == 0);
    struct transport *transport = replica->options.transport;
    struct forward_reply answer = {
        .run_id = request->origin_run_id,
        .id = request->origin_id,
        .refused = refused,
        .outcome = outcome,
        .told = request->told,
        .reply = reply,
        .rest = outcome == REQUEST_DONE ? &request->rest : NULL,
    };
    transport->ops->forward_reply(transport, request->origin, &answer);
}

static void request_free(struct replica *replica, struct request *request)
{
    check(!request->tied);
    replica_prepare_ends(replica, request);
    request_leave_place(replica, request);
    replica_waiter_free(replica, request->waiter);
    leave_line(replica, request);
    stop_timing(replica, request);
    check(!request->batch);
    check(!request->reading);
    replica->under_way_count--;
    request_drop_payload(replica, request);
    blob_release(request->command);
    blob_release(request->reply);
    rope_deinit(&request->rest);
    memory_free(request);
}

void request_finish(struct replica *replica, struct request *request, enum request_outcome outcome,
                    struct bytes reply)
{
    /* R2: what is in the log is done, or nobody knows. */
    check(request->place != REQUEST_PROPOSED || outcome == REQUEST_DONE ||
          outcome == REQUEST_UNKNOWN);
    check(request->kind == REQUEST_READ || outcome != REQUEST_TOO_LARGE);
    request_leave_place(replica, request);
    if (request->origin != RAFT_NOBODY)
        answer_origin(replica, request, false, outcome, reply);
    else if (request->done && request->context)
        request->done(request->context, request, outcome, reply);
    request_free(replica, request);
}

void request_refuse(struct replica *replica, struct request *request)
{
    check(request->origin != RAFT_NOBODY);
    check(request->place != REQUEST_PROPOSED); /* R2 */
    answer_origin(replica, request, true, REQUEST_NOT_DONE, no_reply);
    request_free(replica, request);
}

/* What the entry told is told on every node when that node applies it: to this node's own clients
 * before they get the reply. */
void request_tell(struct replica *replica, struct request *request, struct bytes reply)
{
    const struct state_machine *machine = replica->options.machine;
    check(request->kind == REQUEST_WRITE);
    check(request->origin == RAFT_NOBODY);
    check(request->told > 0);
    if (request->told <= machine->ops->applied_index(replica->options.machine)) {
        request_finish(replica, request, REQUEST_DONE, reply);
        return;
    }
    request_leave_place(replica, request);
    request->reply = blob_copy(reply);
    request->place = REQUEST_TELLING;
    DL_APPEND(replica->telling, request);
}

void request_told(struct replica *replica, raft_index applied)
{
    while (replica->telling && replica->telling->told <= applied) {
        struct request *request = replica->telling;
        check(request->place == REQUEST_TELLING);
        request_finish(replica, request, REQUEST_DONE, blob_bytes(request->reply));
    }
}

enum request_outcome request_outcome_unanswered(const struct request *request)
{
    return request->kind == REQUEST_WRITE ? REQUEST_UNKNOWN : REQUEST_NOT_DONE;
}

/* What cannot be true of it says as much as no answer. */
enum request_outcome request_outcome_said(const struct request *request,
                                          enum request_outcome outcome)
{
    bool is_read = request->kind == REQUEST_READ;
    switch (outcome) {
    case REQUEST_DONE:
    case REQUEST_NOT_DONE: return outcome;
    case REQUEST_TOO_LARGE:
        if (is_read && request->reply_max > 0)
            return outcome;
        break;
    case REQUEST_CANCELLED:
        if (!is_read && request->waiter && request->waiter->is_cancelled)
            return outcome;
        break;
    case REQUEST_UNKNOWN: break;
    }
    return request_outcome_unanswered(request);
}

void replica_submit(struct replica *replica, struct request *request)
{
    check(request->origin == RAFT_NOBODY);
    check(!request->line);
    check(request->client != 0);
    request_enter(replica, request);
}

/* Reads need not be served any more; what a client asked to be changed is changed. */
void replica_abandon(struct replica *replica, uint64_t client)
{
    struct request_line *line = find_line(replica, RAFT_NOBODY, client);
    struct request *request, *following;
    if (!line)
        return;
    DL_FOREACH_SAFE2(line->requests, request, following, line_next)
    {
        request->context = NULL;
        if (request->waiter)
            replica_waiter_cancel(replica, request);
        else if (request->kind == REQUEST_READ)
            request_finish(replica, request, REQUEST_NOT_DONE, no_reply);
    }
}

/* ---- deadlines ---------------------------------------------------------------------------- */

static void expire(struct replica *replica, struct request *request)
{
    check(request->timed);
    check(request->origin == RAFT_NOBODY); /* else its origin keeps the time */
    check(request->place != REQUEST_NOWHERE);
    stop_timing(replica, request);
    if (replica_prepare_is_under_way(replica, request))
        return; /* it waits for nobody but this node */
    switch (request->place) {
    case REQUEST_PROPOSED:
        /* It keeps its place, for the order of the log, but nobody waits for it any more. */
        if (request->context)
            request->done(request->context, request, REQUEST_UNKNOWN, no_reply);
        request->context = NULL;
        break;
    case REQUEST_AWAY:
    case REQUEST_FORWARDED:
    case REQUEST_HANDING_OVER:
    case REQUEST_TELLING:
        request_finish(replica, request, request_outcome_unanswered(request), no_reply);
        break;
    case REQUEST_WAITING:
    case REQUEST_RETURNED:
        request_finish(replica, request,
                       request->waiter ? request_outcome_unanswered(request) : REQUEST_NOT_DONE,
                       no_reply);
        break;
    case REQUEST_NOWHERE:
    case REQUEST_PARKED:
    case REQUEST_WOKEN:
    case REQUEST_READING:
    case REQUEST_TIED:
    case REQUEST_BETWEEN: request_finish(replica, request, REQUEST_NOT_DONE, no_reply); break;
    case REQUEST_SERVED: break; /* it waits for nobody any more, and has its state: it goes on */
    }
}

/* They come with rising deadlines (CONFIG SET request-timeout aside, which counts from the
 * next). */
void replica_expire_requests(struct replica *replica)
{
    while (replica->timed && replica->timed->deadline_ms <= replica->now_ms)
        expire(replica, replica->timed);
}

static void finish_line(struct replica *replica, struct request_line *line)
{
    struct request *request, *following;
    DL_FOREACH_SAFE2(line->requests, request, following, line_next)
    {
        bool out = request->place == REQUEST_PROPOSED || request->place == REQUEST_FORWARDED ||
                   request->place == REQUEST_TELLING || request->place == REQUEST_HANDING_OVER ||
                   (request->waiter && request->waiter->doubt != 0);
        while (request->tied)
            request_leave_place(replica, request->tied);
        request_finish(replica, request,
                       out ? request_outcome_unanswered(request) : REQUEST_NOT_DONE, no_reply);
    }
}

void replica_finish_everything(struct replica *replica)
{
    struct request_line *line, *next_line;
    struct read_batch *batch, *following;
    DL_FOREACH_SAFE(replica->lines, line, next_line)
    {
        finish_line(replica, line);
    }
    DL_FOREACH_SAFE(replica->batches, batch, following)
    {
        request_batch_unlist(replica, batch);
    }
    /* With the last of them goes all that was counted of them. */
    check(replica->under_way_count == 0);
    check(replica->waiting_count == 0);
    check(replica->waiting_bytes == 0);
    check(replica->waiting_reads == 0);
    check(replica->waiting_foreign == 0);
    check(replica->forwarded_bytes == 0);
    check(replica->made_bytes == 0);
    check(replica->parked_count == 0);
    check(replica->parked_bytes == 0);
    check(replica->parked_places == 0);
    check(!replica->parking);
    check(!replica->waiters);
    check(!replica->timed);
    check(!replica->preparing);
}
