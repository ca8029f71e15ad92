/* A member that goes on from a state: who sent it, and leads, does not cut the log under it before
 * it has caught up.  Excused is a log that is too long by far, and a member that gets no further.
 *
 * The replica looks at its members now and then, and this at every event: who lacks no more than
 * the bounds for a moment has caught up here, whether that was seen there or not. */
#include <inttypes.h>

#include "base/limits.h"
#include "raft/raft_internal.h"
#include "sim.h"

enum { PATIENCE_US = 50000000 }; /* a leader has a little more */

void sim_check_begun(const struct sim_node *from, struct sim_node *to, raft_index index)
{
    to->going_on =
        (struct sim_going_on){.sender = from->id, .sender_life = from->life, .index = index};
}

void sim_check_goes_on(struct sim_node *node, raft_index index)
{
    struct sim_going_on *going_on = &node->going_on;
    going_on->is_adopted = going_on->index == index;
    going_on->moved_us = sim.now_us;
}

static void end(struct sim_going_on *going_on)
{
    *going_on = (struct sim_going_on){.index = 0};
}

/* The leader's place for it; members.count: none, or one that is of no use. */
static uint32_t place_of(const struct raft *raft, const struct sim_node *member)
{
    uint32_t place = 0;
    while (place < raft->members.count &&
           sim_directory_of(&raft->members.list[place]) != member->directory)
        place++;
    return member->is_old ? raft->members.count : place;
}

static void check_member(const struct sim_node *leader, const struct raft *raft,
                         const struct raft_status *status, struct sim_node *member)
{
    struct sim_going_on *going_on = &member->going_on;
    uint32_t place = place_of(raft, member);
    if (status->role != RAFT_LEADER || place == raft->members.count) {
        end(going_on);
        return;
    }
    raft_index match = raft->state.progress[place].match;
    raft_index lacks = status->last.index - match;
    raft_index held = status->last.index - leader->before.first.index;
    bool is_near = lacks <= sim.log_entries_max;
    if (match > going_on->match && match >= going_on->index) {
        if (going_on->match == 0 && !is_near) {
            going_on->is_far = true;
            sim.coverage.went_on_far_behind++;
        }
        going_on->match = match;
        going_on->moved_us = sim.now_us;
    }
    bool is_excused = sim.now_us - going_on->moved_us > PATIENCE_US ||
                      held / SENDING_LOG_FACTOR > sim.log_entries_max;
    if (is_excused || (going_on->match > 0 && is_near)) {
        sim.coverage.caught_up += going_on->is_far && is_near;
        end(going_on);
    } else if (going_on->match > 0 && status->first.index > match) {
        sim_fail("node %" PRIu64 " cuts its log up to %" PRIu64 " under node %" PRIu64
                 ", which has %" PRIu64 " since it was sent a state",
                 leader->id, status->first.index, member->id, match);
    }
}

void sim_check_cut(const struct sim_node *node, const struct raft *raft,
                   const struct raft_status *status)
{
    for (uint32_t i = 0; i < sim.options.nodes; i++) {
        struct sim_node *member = &sim.nodes[i];
        if (member->going_on.is_adopted && member->going_on.sender == node->id &&
            member->going_on.sender_life == node->life)
            check_member(node, raft, status, member);
    }
}
