/* Life, inputs, and what becomes of one core step's output.
 *
 * Every input is one step of the core, never nested: what the step wants done goes to ports that do
 * not call back.  Replies, reads and proposals are done in replica_run(). */
#include "replica/replica.h"

#include "base/fatal.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/prng.h"
#include "raft/trace.h"
#include "replica/replica_internal.h"

/* After a pause (a stopped process, a starved machine) time is caught up with only this far at a
 * time, so that what peers sent meanwhile is read before an election is called. */
enum { TICKS_AT_ONCE_MAX = 4 };

/* ---- one step ---------------------------------------------------------------------- */

static void keep_entries(struct replica *replica, const struct raft_write *write)
{
    for (uint32_t i = 0; i < write->count; i++)
        entry_cache_put(&replica->cache, &write->entries[i]);
}

/* What core and replica know of the same thing. */
static void check_borders(const struct replica *replica)
{
    const struct raft_status *status = &replica->status;
    const struct entry_cache *cache = &replica->cache;
    check(cache->last == status->last.index);
    check(cache->first <= cache->last + 1);
    check(cache->first <= status->durable + 1); /* what the disk lacks is in memory */
    check(status->applied <= replica->apply_to);
    check(replica->apply_to <= status->commit); /* N3 */
    check(replica->apply_to <= status->durable);
    check(replica->leader_term <= status->term);
    check(replica->shown_term <= status->term);
    check(status->role == RAFT_LEADER || status->leader != replica->options.raft.id);
    check(replica->members.count == raft_members(replica->raft)->count); /* places agree */
}

static bool has_said(struct transport *transport, const struct raft_message *message)
{
    return message->type == RAFT_APPEND_RESPONSE && transport->ops->has_said &&
           transport->ops->has_said(transport, message);
}

static void send(struct replica *replica, const struct raft_message *message)
{
    check(message->from == replica->options.raft.id);
    check(message->to != message->from);
    struct transport *transport = replica->options.transport;
    if (replica->is_told_durable && has_said(transport, message))
        return;
    struct raft_message said = replica_shown_say(replica, message);
    transport->ops->send(transport, &said, NULL);
}

/* Than the one that was promised last. */
static bool is_another(const struct replica *replica, const struct raft_message *message)
{
    const struct raft_append_response *before = &replica->promised;
    const struct raft_append_response *now = &message->append_response;
    return replica->promised_behind != replica->written || before->hint.index != now->hint.index ||
           before->round != now->round;
}

/* What is promised does not outlive the term, nor a leader or a role, in which it was: told behind
 * such a step that the write is durable, the core would say something else. */
static void promise(struct replica *replica, const struct raft_output *output)
{
    struct transport *transport = replica->options.transport;
    struct raft_message message;
    check(output->write.seq == 0 || output->write.seq == replica->written + 1); /* N2 */
    check(output->write.seq != 0 || output->write.count == 0);
    if (output->write.seq)
        replica->written = output->write.seq;
    if (!transport->ops->promise)
        return;
    if (output->role_changed) {
        transport->ops->take_back(transport);
        replica->unpromised = replica->written;
    }
    if (!raft_promised(replica->raft, &message) || !is_another(replica, &message))
        return;
    check(message.type == RAFT_APPEND_RESPONSE);
    check(message.append_response.matched);
    check(message.term >= replica->status.term);
    check(replica->written > 0);
    replica->promised = message.append_response;
    replica->promised_behind = replica->written;
    if (!transport->ops->promise(transport, &message, replica->written))
        replica->unpromised = replica->written;
}

static void do_output(struct replica *replica, const struct raft_output *output)
{
    promise(replica, output);
    if (output->write.seq) {
        keep_entries(replica, &output->write);
        replica->options.writer->ops->submit(replica->options.writer, &output->write);
    }
    for (uint32_t i = 0; i < output->messages_count; i++) {
        const struct raft_message *message = &output->messages[i];
        if (message->type == RAFT_APPEND_REQUEST && message->append_request.count > 0)
            replica_feed_append(replica, message);
        else
            send(replica, message);
    }
    for (uint32_t i = 0; i < output->reads_count; i++)
        replica_reads_confirmed(replica, &output->reads[i]);
    for (uint32_t i = 0; i < output->reads_failed_count; i++)
        replica_reads_failed(replica, output->reads_failed[i]);
    check(output->apply_to <= replica->cache.last);
    replica->apply_to = output->apply_to;
}

static void trace(struct replica *replica)
{
    replica->options.trace(replica->options.trace_context, buffer_bytes(&replica->trace));
    buffer_clear(&replica->trace);
}

bool replica_leads(const struct replica *replica)
{
    return replica->status.role == RAFT_LEADER;
}

bool replica_serves(const struct replica *replica)
{
    return replica_leads(replica) &&
           raft_term_at(replica->raft, replica->status.applied) == replica->status.term;
}

static void note_role(struct replica *replica, const struct raft_status *before)
{
    const struct raft_status *now = &replica->status;
    if (before->role != now->role || before->term != now->term)
        log_verbose("%s in term %llu", raft_role_name(now->role), (unsigned long long)now->term);
    if (before->role == RAFT_LEADER && now->role != RAFT_LEADER && now->disk_hangs)
        log_warning("no longer leader: the disk has finished no write for %llu ms",
                    (unsigned long long)now->disk_silent_ticks * replica->options.tick_ms);
    if (now->leader != before->leader && now->leader != RAFT_NOBODY)
        log_notice("leader of term %llu is node %llu", (unsigned long long)now->term,
                   (unsigned long long)now->leader);
    if (now->leader == RAFT_NOBODY && before->leader != RAFT_NOBODY)
        log_notice("no leader is known any more, in term %llu", (unsigned long long)now->term);
    check(now->role != RAFT_LEADER || now->leader == replica->options.raft.id);
    check(now->role != RAFT_LEADER || now->voted_for == replica->options.raft.id);
    if (now->role == RAFT_LEADER && before->role != RAFT_LEADER)
        replica->elections++;
    if (now->role == RAFT_LEADER && (before->role != RAFT_LEADER || before->term != now->term)) {
        replica_shown_led(replica);
        replica_log_time_begin(replica);
        memset(replica->rounds, 0, sizeof replica->rounds);
    }
    replica->try_waiting = true;
}

enum raft_result replica_step(struct replica *replica, const struct raft_input *input)
{
    struct raft_output output;
    struct raft_status before = replica->status;
    check(!replica->stepping);
    replica->stepping = true;
    enum raft_result result = raft_step(replica->raft, input, &output);
    if (output.write.count > 0)
        replica_members_follow(replica);
    if (replica->options.trace) {
        raft_trace_step(&replica->trace, replica->raft, input, &output);
        trace(replica);
    }
    do_output(replica, &output);
    raft_status(replica->raft, &replica->status);
    check(replica->status.term >= before.term);
    /* One vote a term. */
    check(replica->status.term > before.term || before.voted_for == RAFT_NOBODY ||
          replica->status.voted_for == before.voted_for);
    check(replica->status.commit >= before.commit);
    check(replica->status.applied >= before.applied);
    check(replica->status.first.index >= before.first.index);
    check(result == RAFT_OK || replica->status.last.index == before.last.index);
    /* Leader Append-Only. */
    check(!output.write.count || before.role != RAFT_LEADER ||
          replica->status.role != RAFT_LEADER || replica->status.last.index > before.last.index);
    check(output.role_changed || replica->status.role == before.role);
    check(output.role_changed || replica->status.term == before.term);
    check(output.role_changed || replica->status.leader == before.leader);
    check_borders(replica);
    if (output.role_changed)
        note_role(replica, &before);
    replica->stepping = false;
    return result;
}

/* ---- inputs ---------------------------------------------------------------------------- */

void replica_tick(struct replica *replica, int64_t now_ms, int64_t unix_ms)
{
    check(!replica->stepping);
    check(now_ms >= replica->now_ms);
    replica->now_ms = now_ms;
    replica->unix_ms = unix_ms;
    struct raft_input input = {.type = RAFT_INPUT_TICK};
    int64_t tick_ms = replica->options.tick_ms;
    int64_t ticks = (now_ms - replica->last_tick_ms) / tick_ms;
    if (ticks > TICKS_AT_ONCE_MAX) {
        ticks = TICKS_AT_ONCE_MAX;
        replica->last_tick_ms = now_ms;
    } else if (ticks > 0) {
        replica->last_tick_ms += ticks * tick_ms;
    }
    for (int64_t i = 0; i < ticks; i++)
        replica_step(replica, &input);
    if (ticks > 0) {
        replica->try_waiting = true;
        replica_log_time_tick(replica);
        replica_members_tick(replica);
        replica_expire_requests(replica);
        replica_sendings_tick(replica);
        replica_install_tick(replica);
        replica_trim_log(replica);
    }
}

void replica_receive(struct replica *replica, const struct raft_message *message, uint64_t life,
                     int64_t clock_ms)
{
    check(message->to == replica->options.raft.id);
    check(message->from != message->to);
    bool answers = message->type == RAFT_VOTE_RESPONSE || message->type == RAFT_APPEND_RESPONSE;
    if (answers && !replica_is_member(replica, message->from, life))
        return;
    if (clock_ms != 0)
        replica_clock_heard(replica, message->from, clock_ms);
    struct raft_input input = {.type = RAFT_INPUT_MESSAGE, .message = message};
    replica_step(replica, &input);
    replica_shown_heard(replica, message);
}

void replica_persisted(struct replica *replica, uint64_t seq)
{
    if (seq == 0)
        return;
    struct raft_input input = {.type = RAFT_INPUT_PERSISTED, .persisted = {seq}};
    check(seq <= replica->written);
    check(!replica->is_told_durable);
    replica->is_told_durable = true;
    replica_step(replica, &input);
    replica->is_told_durable = false;
    if (replica->unpromised <= seq)
        replica->unpromised = 0;
    replica->try_waiting = true;
}

bool replica_awaits_disk(const struct replica *replica)
{
    bool is_promised = replica->options.transport->ops->promise && replica->unpromised == 0;
    return raft_awaits_disk(replica->raft, is_promised);
}

void replica_log_read(struct replica *replica, struct raft_log_reading *reading)
{
    if (reading->owner == replica->options.raft.id)
        replica_replay_read(replica, reading);
    else
        replica_feed_read(replica, reading);
}

/* Behind it somebody is going to ask for entries: this node to apply them, members to get them.
 * Who lacks more than is here has to be given it from the disk first. */
static raft_index wanted_behind(const struct replica *replica)
{
    struct raft_peer_status peers[RAFT_MEMBERS_MAX];
    uint32_t count = replica_leads(replica) ? raft_peers(replica->raft, peers) : 0;
    raft_index wanted = replica->status.applied;
    for (uint32_t i = 0; i < count; i++)
        if (peers[i].match < wanted && peers[i].match + 1 >= replica->cache.first)
            wanted = peers[i].match;
    return wanted;
}

/* Memory that comes round soon is still near the processor; of what nobody asks for little is
 * kept, for members that were a moment behind when the leader changed. */
static void shrink_cache(struct replica *replica)
{
    const struct replica_options *options = &replica->options;
    entry_cache_shrink(&replica->cache, replica->status.durable, options->cache_bytes);
    entry_cache_shrink(&replica->cache, wanted_behind(replica), options->cache_calm_bytes);
}

/* What holds between turns: of one thing that is counted, queued and looked for in several places,
 * and of what only a leader has. */
static void check_turn(const struct replica *replica)
{
    check(!replica->returned || replica->try_waiting);
    check((replica->waiting || replica->returned) == (replica->waiting_count > 0));
    check(replica->waiting_reads <= replica->waiting_count);
    check(replica->waiting_foreign <= replica->waiting_count);
    check(replica->waiting_count <= replica->under_way_count);
    check(!replica->forwarded == !replica->forwarded_by_id);
    check(replica->forwarded || replica->forwarded_bytes == 0);
    check(!replica->away == !replica->waiters_sent);
    check(!replica->counting || replica->parked);
    if (replica->was_leader || replica_leads(replica))
        return;
    check(!replica->proposed);
    check(!replica->parked);
    check(!replica->woken);
    check(!replica->batches);
    check(!replica->preparing);
    check(replica->told_last == 0);
}

bool replica_run(struct replica *replica)
{
    check(!replica->stepping);
    replica->served_bytes = 0;
    replica->lacks_view = false;
    replica_handle_losses(replica);
    replica_begin_turn(replica);
    bool more = replica_apply_some(replica);
    /* After applying: what was committed before the leadership went still gets its reply. */
    bool lost = replica->was_leader &&
                (!replica_leads(replica) || replica->status.term != replica->leader_term);
    replica->was_leader = replica_leads(replica);
    replica->leader_term = replica->status.term;
    if (lost)
        replica_leadership_lost(replica);
    replica_handing_over_ended(replica);
    replica_waiters_outlive(replica);
    replica_tick_propose(replica);
    if (replica_prepare_some(replica))
        more = true;
    if (replica_route_waiting(replica))
        more = true;
    /* Alone, a write may be durable by now; a long one has a slice a turn. */
    if (!replica->applying.payload && replica_apply_some(replica))
        more = true;
    replica_readers_count(replica);
    if (replica_serve_reads(replica))
        more = true;
    replica_spread_commit(replica);
    bool wakes = replica->touched && replica_leads(replica) && !replica->applying.payload;
    if (replica_tick_is_wanted(replica) || wakes || replica_prepare_waits(replica))
        more = true;
    replica_sendings_run(replica);
    replica_feed_all(replica);
    shrink_cache(replica);
    check_turn(replica);
    return more;
}

void replica_set_value_max(struct replica *replica, uint32_t value_max)
{
    replica->value_max = value_max;
}

void replica_transfer(struct replica *replica)
{
    struct raft_input input = {.type = RAFT_INPUT_TRANSFER, .node = RAFT_NOBODY};
    if (!replica->status.transferring)
        replica_step(replica, &input);
}

bool replica_congested(const struct replica *replica)
{
    return replica->waiting_count >= replica->options.waiting_max ||
           replica->waiting_bytes >= WAITING_BYTES_MAX;
}

/* ---- life -------------------------------------------------------------------------------- */

struct replica *replica_new(const struct replica_options *options, int64_t now_ms, int64_t unix_ms)
{
    struct replica *replica = memory_new(sizeof *replica);
    replica->options = *options;
    if (options->waiting_max == 0)
        replica->options.waiting_max = WAITING_MAX;
    replica->now_ms = replica->last_tick_ms = now_ms;
    replica->unix_ms = unix_ms;
    replica->prng = options->seed;
    check(options->raft.append_entries_max <= REPLICA_ENTRIES_MAX);
    check(options->raft.id != RAFT_NOBODY);
    check(options->run_id != 0); /* which is nobody's: struct request_owner */
    check(options->tick_ms > 0);

    struct raft_saved saved;
    raft_log_saved(options->log, &saved);
    saved.members = options->members.list;
    saved.members_index = options->members.index;
    saved.applied = options->machine->ops->applied_index(options->machine);
    raft_index last = saved.first.index + saved.entries_count;
    /* The state machine's own position is durable only together with its data, and the log was cut
     * only below it; anything else means that files of different lives were mixed. */
    if (saved.applied < saved.first.index || saved.applied > last)
        fatal("the data was applied up to index %llu, but the log holds %llu to %llu",
              (unsigned long long)saved.applied, (unsigned long long)saved.first.index,
              (unsigned long long)last);
    replica->raft = raft_new(&options->raft, &saved);
    raft_log_forget_saved(options->log);
    replica->members = *raft_members(replica->raft);
    replica_meaning_follow(replica);
    if (options->trace) {
        raft_trace_boot(&replica->trace, replica->raft, options->self.life);
        trace(replica);
    }
    raft_status(replica->raft, &replica->status);
    entry_cache_init(&replica->cache, last);
    check(replica->status.applied == saved.applied);
    replica->apply_to = replica->status.applied;
    options->machine->ops->listen(options->machine, replica_parking_touched, replica);
    check_borders(replica);
    replica_log_time_tick(replica);
    return replica;
}

void replica_free(struct replica *replica)
{
    replica_finish_everything(replica);
    hash_table_deinit(&replica->lines_by_key);
    hash_table_deinit(&replica->parking_by_name);
    replica_sendings_give_up(replica, UINT64_MAX, "this node stops");
    for (uint32_t place = 0; place < RAFT_MEMBERS_MAX; place++)
        replica_feed_clear(&replica->feeds[place]);
    replica_replay_forget(replica);
    entry_cache_deinit(&replica->cache);
    blob_release(replica->applying.payload);
    buffer_deinit(&replica->reply);
    buffer_deinit(&replica->parking_name);
    buffer_deinit(&replica->trace);
    memory_free(replica->losses);
    raft_free(replica->raft);
    memory_free(replica);
}

void replica_status(const struct replica *replica, struct replica_status *status)
{
    *status = (struct replica_status){
        .raft = replica->status,
        .requests_waiting = replica->waiting_count,
        .requests_under_way = replica->under_way_count,
        .requests_forwarded = replica->requests_forwarded,
        .elections = replica->elections,
        .reads_done = replica->reads_done,
        .reads_acknowledged = replica->reads_acknowledged,
        .parked = replica->parked_count,
        .parked_keys = replica_parking_keys(replica),
        .oldest_write_ms = (uint64_t)replica->status.disk_silent_ticks * replica->options.tick_ms,
    };
    status->peers_count = raft_peers(replica->raft, status->peers);
    status->serving = replica_serves(replica);
    status->meaning = replica_meaning(replica);
    replica_clock_status(replica, status);
    replica_sendings_status(replica, status);
    replica_install_status(replica, status);
    for (uint32_t place = 0; place < replica->members.count; place++)
        status->held[place] = replica->holds[place].index;
}
