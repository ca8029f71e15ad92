/* The cluster's clock, which a leader stamps its entries with and serves its reads by.
 *
 * A single wall clock must not drag it: one leader whose clock is an hour ahead would end every
 * exactly-once receipt.  So each answer carries its sender's clock, but for one to an append that
 * leaves without the sender's loop (net/promises.c), which says 0, no clock; under steady writes it
 * comes with the answers to heartbeats alone.  The leader keeps, for each voter, by how much that
 * clock is ahead of its own monotonic one.  Its estimate
 *
 *   - begins at the highest log time applied, and never falls;
 *   - moves on with the monotonic clock;
 *   - is held between the latest time that a majority of all clocks has reached, and the earliest
 *     that a majority has not passed: with all clocks known, the median.  Below, it jumps there;
 *     above, it moves on slower until the clocks have caught up.  Between, it is left alone: of two
 *     clocks that disagree nobody can say which is wrong, and the one that is must not pull.
 *
 * A majority holds one right clock at least, as long as no more than a minority is wrong: so what
 * pulls is right.  The median of those that happen to be heard would not do: of three heard of
 * five, two may be wrong.  Before a majority's clocks are known the monotonic clock alone counts; a
 * leader knows them from the votes that it was elected by.
 *
 * Log time that once ran ahead (a cluster of one whose clock was set ten years on, and back) goes
 * on from there at nearly its pace: what ends after an hour of log time still ends. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/log.h"
#include "replica/replica_internal.h"

enum {
    FRESH_MS = 2000, /* each heartbeat is answered */
    FAR_MS = 1000,   /* then the operator hears of it */
    SLOWER_BY = 16   /* ahead of the middle, this part of the time does not count */
};

/* What a majority of the voters' clocks has reached, and has not passed, if a majority's are
 * known. */
struct middle {
    bool known;
    int64_t low_ms, high_ms;
};

void replica_clock_heard(struct replica *replica, raft_node_id from, int64_t clock_ms)
{
    const struct raft_members *members = raft_members(replica->raft);
    uint32_t place = raft_members_place(members, from);
    if (place < members->count)
        replica->clocks[place].said_ms = clock_ms;
}

/* What was said since the last time: held against a clock of ours that is read after it was said,
 * so it may seem behind, by its way here and a tick, but never ahead.  Our own is always heard. */
static void take_clocks(struct replica *replica)
{
    const struct raft_members *members = raft_members(replica->raft);
    uint32_t self = raft_members_place(members, replica->options.raft.id);
    if (self < members->count) /* a node that is no member leads nobody */
        replica->clocks[self].said_ms = replica->unix_ms;
    for (uint32_t place = 0; place < members->count; place++) {
        struct replica_clock *clock = &replica->clocks[place];
        if (clock->said_ms != 0)
            *clock = (struct replica_clock){.known = true,
                                            .ahead_ms = clock->said_ms - replica->now_ms,
                                            .heard_ms = replica->now_ms};
        else if (replica->now_ms - clock->heard_ms > FRESH_MS)
            clock->known = false;
    }
}

static int compare(const void *a, const void *b)
{
    const int64_t *one = a, *other = b;
    return (*one > *other) - (*one < *other);
}

static struct middle middle_of(const struct replica *replica)
{
    const struct raft_members *members = raft_members(replica->raft);
    int64_t clocks[RAFT_MEMBERS_MAX];
    uint32_t voters = 0, count = 0;
    for (uint32_t place = 0; place < members->count; place++) {
        if (!members->list[place].voter)
            continue;
        voters++;
        if (replica->clocks[place].known)
            clocks[count++] = replica->now_ms + replica->clocks[place].ahead_ms;
    }
    uint32_t majority = voters / 2 + 1;
    if (count < majority)
        return (struct middle){.known = false};
    qsort(clocks, count, sizeof clocks[0], compare);
    check(clocks[count - majority] <= clocks[majority - 1]);
    return (struct middle){true, clocks[count - majority], clocks[majority - 1]};
}

/* Once when it begins, and once when it is over; the band between keeps it from repeating. */
static void note_distance(struct replica *replica, uint32_t place, int64_t distance_ms)
{
    bool *is_far = &replica->clock_is_far[place];
    int64_t size_ms = distance_ms < 0 ? -distance_ms : distance_ms;
    unsigned long long node = raft_members(replica->raft)->list[place].id;
    if (!*is_far && size_ms > FAR_MS)
        log_warning("the clock of node %llu is %" PRId64 " ms %s the others'", node, size_ms,
                    distance_ms < 0 ? "behind" : "ahead of");
    else if (*is_far && size_ms < FAR_MS / 2)
        log_notice("the clock of node %llu agrees with the others' again", node);
    else
        return;
    *is_far = !*is_far;
}

static void note_distances(struct replica *replica)
{
    struct replica_status status = {.peers_count = 0};
    replica_clock_status(replica, &status);
    for (uint32_t place = 0; place < RAFT_MEMBERS_MAX; place++)
        if (status.clock_known[place])
            note_distance(replica, place, status.clock_offset_ms[place]);
}

void replica_log_time_begin(struct replica *replica)
{
    check(replica_leads(replica));
    replica->log_time_ms = 0;
    replica->log_time_at_ms = replica->now_ms;
    replica->slowed_ms = 0;
    memset(replica->clock_is_far, 0, sizeof replica->clock_is_far);
    replica_log_time_tick(replica);
}

void replica_log_time_tick(struct replica *replica)
{
    struct state_machine *machine = replica->options.machine;
    int64_t passed_ms = replica->now_ms - replica->log_time_at_ms;
    replica->log_time_at_ms = replica->now_ms;
    check(passed_ms >= 0);
    take_clocks(replica);
    if (!replica_leads(replica))
        return;
    int64_t before_ms = replica->log_time_ms;
    struct middle middle = middle_of(replica);
    if (middle.known && replica->log_time_ms > middle.high_ms) {
        replica->slowed_ms += passed_ms;
        passed_ms -= replica->slowed_ms / SLOWER_BY;
        replica->slowed_ms %= SLOWER_BY;
    }
    replica->log_time_ms += passed_ms;
    int64_t applied_ms = machine->ops->time_ms(machine);
    if (replica->log_time_ms < applied_ms)
        replica->log_time_ms = applied_ms;
    if (middle.known && replica->log_time_ms < middle.low_ms)
        replica->log_time_ms = middle.low_ms;
    check(replica->log_time_ms >= before_ms);
    check(replica->slowed_ms < SLOWER_BY);
    note_distances(replica);
}

/* The middle is taken half-way: of two that differ both are far from it. */
void replica_clock_status(const struct replica *replica, struct replica_status *status)
{
    struct middle middle = middle_of(replica);
    if (!replica_leads(replica) || !middle.known)
        return;
    int64_t half_way_ms = middle.low_ms + (middle.high_ms - middle.low_ms) / 2;
    for (uint32_t place = 0; place < raft_members(replica->raft)->count; place++) {
        status->clock_known[place] = replica->clocks[place].known;
        status->clock_offset_ms[place] =
            replica->now_ms + replica->clocks[place].ahead_ms - half_way_ms;
    }
}
