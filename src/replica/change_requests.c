/* Changes of members that clients ask for.  Like any write such a request goes to the leader; there
 * it becomes an entry that holds the whole list, or is refused with the reason, and is answered
 * when that entry is applied.
 *
 * One change at a time, and one voter in each: the core holds that.  What would leave voters of
 * whom no majority answers is refused: the cluster would stand still.
 *
 * A leader that is to be taken out, or to have no vote any more, hands over first: then nothing
 * that is under way is left in doubt.  The request waits meanwhile, and goes to the next leader
 * with all that waits. */
#include <stdarg.h>
#include <stdio.h>
#include <utlist.h>

#include "base/fatal.h"
#include "replica/replica_internal.h"

enum { ERROR_SIZE = 256 };

/* What is to be done about a request. */
enum plan {
    PLAN_REFUSE, /* `error` says why */
    PLAN_PROPOSE,
    PLAN_ANSWER,    /* it is so already */
    PLAN_HAND_OVER, /* first */
};

struct planning {
    const struct replica_change *change;
    struct raft_members members; /* the next list */
    uint32_t place;              /* of the member that it is about */
    char error[ERROR_SIZE];
};

__attribute__((format(printf, 2, 3))) static enum plan refuse(struct planning *planning,
                                                              const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(planning->error, sizeof planning->error, format, arguments);
    va_end(arguments);
    return PLAN_REFUSE;
}

/* ---- who answers --------------------------------------------------------------------------- */

static bool answers(const struct replica *replica, raft_node_id node)
{
    struct raft_peer_status peer;
    return node == replica->options.raft.id ||
           (replica_peer_status(replica, node, &peer) && peer.active);
}

/* Who asks for it says which node is meant: one that was sent late, behind the same change and a
 * node that joined by it, is about another. */
static enum plan check_life(struct planning *planning)
{
    const struct replica_change *change = planning->change;
    check(planning->place < planning->members.count);
    uint64_t life = planning->members.list[planning->place].life;
    if (change->life == 0 || change->life == life)
        return PLAN_PROPOSE;
    return refuse(planning, "node %llu has the life %016llx, not %016llx",
                  (unsigned long long)change->node, (unsigned long long)life,
                  (unsigned long long)change->life);
}

/* Of the voters that are left without it. */
static enum plan check_majority(const struct replica *replica, struct planning *planning)
{
    uint32_t voters = raft_members_voters(&planning->members), there = 0;
    for (uint32_t place = 0; place < planning->members.count; place++)
        there += planning->members.list[place].voter &&
                 answers(replica, planning->members.list[place].id);
    if (voters == 0)
        return refuse(planning, "it is the last voter");
    if (there <= voters / 2 && !planning->change->is_forced)
        return refuse(planning,
                      "%u of the %u voters that would be left answer, no majority: the cluster "
                      "would stand still (FORCE does it all the same)",
                      there, voters);
    return PLAN_PROPOSE;
}

/* ---- places ---------------------------------------------------------------------------------- */

static uint32_t place_at(const struct raft_members *members, const char *address)
{
    uint32_t place = 0;
    while (place < members->count && strcmp(members->list[place].address, address) != 0)
        place++;
    return place;
}

static void take_place_out(struct raft_members *members, uint32_t place)
{
    check(place < members->count);
    members->count--;
    memmove(members->list + place, members->list + place + 1,
            (members->count - place) * sizeof members->list[0]);
}

/* Of a new name, behind all others. */
static enum plan new_place(struct planning *planning)
{
    struct raft_members *members = &planning->members;
    if (members->count == RAFT_MEMBERS_MAX)
        return refuse(planning, "there are %d members already, and no more can be",
                      RAFT_MEMBERS_MAX);
    raft_node_id id = members->count ? members->list[members->count - 1].id + 1 : 0;
    planning->place = members->count;
    members->list[members->count++] = (struct raft_member){.id = id};
    return PLAN_PROPOSE;
}

static struct raft_member *member_of(struct planning *planning)
{
    check(planning->place < planning->members.count);
    return &planning->members.list[planning->place];
}

static enum plan address_taken(struct planning *planning, uint32_t place)
{
    check(place < planning->members.count);
    unsigned long long node = planning->members.list[place].id;
    return refuse(planning,
                  "node %llu has the address %s: if its data directory is lost, say RAFT.NODE "
                  "REPLACE %llu",
                  node, planning->change->address, node);
}

/* ---- the kinds of change ----------------------------------------------------------------------
 * */

static enum plan plan_add(struct planning *planning)
{
    const struct replica_change *change = planning->change;
    uint32_t at = place_at(&planning->members, change->address);
    if (at < planning->members.count)
        return address_taken(planning, at);
    if (new_place(planning) == PLAN_REFUSE)
        return PLAN_REFUSE;
    struct raft_member *member = member_of(planning);
    member->joining = !change->stays_learner;
    memcpy(member->address, change->address, sizeof member->address);
    return PLAN_PROPOSE;
}

/* It may ask again, if it did not hear the answer. */
static enum plan plan_join(struct planning *planning)
{
    const struct replica_change *change = planning->change;
    struct raft_members *members = &planning->members;
    for (uint32_t place = 0; place < members->count; place++) {
        planning->place = place;
        if (members->list[place].life == change->life)
            return PLAN_ANSWER;
    }
    planning->place = place_at(members, change->address);
    bool is_kept = planning->place < members->count && !member_of(planning)->voter &&
                   member_of(planning)->life == 0;
    if (planning->place < members->count && !is_kept)
        return address_taken(planning, planning->place);
    if (!is_kept) {
        if (new_place(planning) == PLAN_REFUSE)
            return PLAN_REFUSE;
        member_of(planning)->joining = true;
    }
    member_of(planning)->life = change->life;
    memcpy(member_of(planning)->address, change->address, sizeof change->address);
    memcpy(member_of(planning)->client, change->client, sizeof change->client);
    return PLAN_PROPOSE;
}

static enum plan plan_remove(const struct replica *replica, struct planning *planning)
{
    bool was_voter = member_of(planning)->voter;
    take_place_out(&planning->members, planning->place);
    return was_voter ? check_majority(replica, planning) : PLAN_PROPOSE;
}

static enum plan plan_promote(struct planning *planning)
{
    struct raft_member *member = member_of(planning);
    if (member->voter || member->joining)
        return PLAN_ANSWER;
    member->joining = true;
    return PLAN_PROPOSE;
}

static enum plan plan_demote(const struct replica *replica, struct planning *planning)
{
    struct raft_member *member = member_of(planning);
    bool was_voter = member->voter;
    if (!was_voter && !member->joining)
        return PLAN_ANSWER;
    member->voter = member->joining = false;
    return was_voter ? check_majority(replica, planning) : PLAN_PROPOSE;
}

/* The one that takes the place becomes what the lost one was. */
static enum plan plan_replace(const struct replica *replica, struct planning *planning)
{
    const struct replica_change *change = planning->change;
    struct raft_member *member = member_of(planning);
    bool was_voter = member->voter;
    uint32_t at = place_at(&planning->members, change->address);
    if (at < planning->members.count && at != planning->place)
        return address_taken(planning, at);
    if (change->address[0] != '\0')
        memcpy(member->address, change->address, sizeof member->address);
    member->client[0] = '\0';
    member->life = 0;
    member->joining |= was_voter;
    member->voter = false;
    return was_voter ? check_majority(replica, planning) : PLAN_PROPOSE;
}

static enum plan plan_transfer(const struct replica *replica, struct planning *planning)
{
    raft_node_id node = planning->change->node;
    if (node == replica->options.raft.id)
        return PLAN_ANSWER;
    if (node != RAFT_NOBODY && !member_of(planning)->voter)
        return refuse(planning, "node %llu is a learner and cannot lead", (unsigned long long)node);
    if (node != RAFT_NOBODY && !answers(replica, node))
        return refuse(planning, "node %llu does not answer", (unsigned long long)node);
    return PLAN_HAND_OVER;
}

/* Whom it is about is there, and may be. */
static enum plan plan(const struct replica *replica, struct planning *planning)
{
    const struct replica_change *change = planning->change;
    bool is_new = change->kind == REPLICA_ADD || change->kind == REPLICA_JOIN;
    bool is_any = change->kind == REPLICA_TRANSFER && change->node == RAFT_NOBODY;
    planning->place = raft_members_place(&planning->members, change->node);
    if (!is_new && !is_any && planning->place == planning->members.count)
        return refuse(planning, "there is no node %llu", (unsigned long long)change->node);
    if (!is_new && !is_any && check_life(planning) == PLAN_REFUSE)
        return PLAN_REFUSE;
    switch (change->kind) {
    case REPLICA_ADD: return plan_add(planning);
    case REPLICA_JOIN: return plan_join(planning);
    case REPLICA_REMOVE: return plan_remove(replica, planning);
    case REPLICA_PROMOTE: return plan_promote(planning);
    case REPLICA_DEMOTE: return plan_demote(replica, planning);
    case REPLICA_REPLACE: return plan_replace(replica, planning);
    case REPLICA_TRANSFER: return plan_transfer(replica, planning);
    }
    check(!"a kind of change");
    return PLAN_REFUSE;
}

/* A leader does not take its own vote away. */
static bool hands_over_first(const struct replica *replica, const struct replica_change *change)
{
    bool takes_out = change->kind == REPLICA_REMOVE || change->kind == REPLICA_DEMOTE ||
                     change->kind == REPLICA_REPLACE;
    return takes_out && change->node == replica->options.raft.id;
}

/* ---- what is answered ---------------------------------------------------------------------- */

static void end_with(struct replica *replica, struct request *request, const char *text)
{
    request_finish(replica, request, REQUEST_DONE, bytes_from_string(text));
}

static void end_with_error(struct replica *replica, struct request *request, const char *word,
                           const char *why)
{
    char text[ERROR_SIZE + 32];
    snprintf(text, sizeof text, "-%s %s\r\n", word, why);
    end_with(replica, request, text);
}

/* Who is taken in is told by what name. */
static void print_reply(const struct planning *planning, char *text, size_t size)
{
    const struct replica_change *change = planning->change;
    if (change->kind == REPLICA_ADD || change->kind == REPLICA_JOIN)
        snprintf(text, size, ":%llu\r\n",
                 (unsigned long long)planning->members.list[planning->place].id);
    else
        snprintf(text, size, "+OK\r\n");
}

static void propose(struct replica *replica, struct request *request,
                    const struct planning *planning)
{
    char reply[32];
    struct raft_pos pos;
    enum raft_result result = replica_propose_members(replica, &planning->members, &pos);
    if (result != RAFT_OK) {
        end_with_error(replica, request, "ERR", "such a list cannot follow the present one");
        return;
    }
    check(request->kind == REQUEST_WRITE);
    check(request->place == REQUEST_WAITING);
    check(!replica->proposed || replica->proposed->prev->pos.index < pos.index);
    print_reply(planning, reply, sizeof reply);
    request_leave_place(replica, request);
    request->reply = blob_copy(bytes_from_string(reply));
    request->pos = pos;
    request->place = REQUEST_PROPOSED;
    request->line->last_write = request;
    DL_APPEND(replica->proposed, request);
    if (planning->change->kind == REPLICA_JOIN)
        replica_announced(replica, planning->members.list[planning->place].id,
                          planning->change->meaning);
}

/* ---- handing over -----------------------------------------------------------------------------
 * */

static bool begin_handing_over(struct replica *replica, raft_node_id to)
{
    struct raft_input input = {.type = RAFT_INPUT_TRANSFER, .node = to};
    return replica_step(replica, &input) == RAFT_OK;
}

static void hand_over(struct replica *replica, struct request *request,
                      const struct replica_change *change)
{
    if (!begin_handing_over(replica, change->node)) {
        end_with_error(replica, request, "ERR", "nobody who could lead answers");
        return;
    }
    check(replica->status.transferring || !replica_leads(replica));
    request_leave_place(replica, request);
    request->place = REQUEST_HANDING_OVER;
    DL_APPEND(replica->handing_over, request);
}

void replica_handing_over_ended(struct replica *replica)
{
    bool leads = replica_leads(replica);
    if (leads && replica->status.transferring)
        return;
    while (replica->handing_over) {
        check(replica->handing_over->place == REQUEST_HANDING_OVER);
        if (leads)
            end_with_error(replica, replica->handing_over, "ERR",
                           "the other did not catch up within an election timeout: this node leads "
                           "on");
        else
            end_with(replica, replica->handing_over, "+OK\r\n");
    }
}

/* ---- the whole ---------------------------------------------------------------------------------
 * */

/* False: this leader does not know yet what was decided before it. */
static bool may_begin(struct replica *replica, struct request *request, bool *ended)
{
    *ended = true;
    if (raft_takes_members(replica->raft)) {
        *ended = false;
        return true;
    }
    if (!replica_serves(replica))
        return false;
    end_with_error(replica, request, "TRYAGAIN", "another change of members is under way");
    return true;
}

bool replica_change_take(struct replica *replica, struct request *request,
                         const struct replica_change *change)
{
    struct planning planning = {.change = change, .members = *raft_members(replica->raft)};
    check(replica_leads(replica));
    bool ended;
    if (!may_begin(replica, request, &ended))
        return false;
    if (ended)
        return true;
    if (!replica_all_know_lists(replica)) {
        end_with_error(replica, request, "ERR",
                       "not every member has said that it knows of changes");
        return true;
    }
    enum plan next = plan(replica, &planning);
    if (next == PLAN_PROPOSE && hands_over_first(replica, change)) {
        /* It waits: this node leads no more, or the other did not come. */
        if (begin_handing_over(replica, RAFT_NOBODY))
            return false;
        end_with_error(replica, request, "ERR", "nobody who could lead instead answers");
        return true;
    }
    char reply[32];
    switch (next) {
    case PLAN_REFUSE: end_with_error(replica, request, "ERR", planning.error); break;
    case PLAN_PROPOSE: propose(replica, request, &planning); break;
    case PLAN_HAND_OVER: hand_over(replica, request, change); break;
    case PLAN_ANSWER:
        print_reply(&planning, reply, sizeof reply);
        end_with(replica, request, reply);
        break;
    }
    return true;
}
