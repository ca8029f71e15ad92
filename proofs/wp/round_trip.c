/* What is written is read back, as statements about pairs of the shipped functions.  For the
 * messages of several fields the lemmas in net/wire_fields.h say it. */
#include "net/wire_fields.h"
#include "replica/stamp.h"

//@ assigns \nothing; ensures \result == value;
uint32_t round_trip_u32(uint32_t value)
{
    unsigned char at[4];
    put_u32(at, value);
    return get_u32(at);
}

//@ assigns \nothing; ensures \result == value;
uint64_t round_trip_u64(uint64_t value)
{
    unsigned char at[8];
    put_u64(at, value);
    return get_u64(at);
}

//@ assigns \nothing; ensures \result == value;
uint64_t round_trip_u64_ordered(uint64_t value)
{
    unsigned char at[8];
    put_u64_ordered(at, value);
    return get_u64_ordered(at);
}

//@ assigns \nothing; ensures \result == 1;
int round_trip_route(raft_node_id from, raft_node_id to, raft_term term)
{
    struct route route = {from, to, term}, again;
    unsigned char at[ROUTE_SIZE];
    wire_put_route(at, &route);
    wire_get_route(at, &again);
    return again.from == from && again.to == to && again.term == term;
}

/*@ requires \valid_read(fields) && \valid(again) && \separated(fields, again);
    assigns *again;
    ensures accepted: \result == \null;
    ensures granted: again->granted == fields->granted;
    ensures pre_vote: again->pre_vote == fields->pre_vote;
*/
const char *round_trip_vote_response(const struct raft_vote_response *fields,
                                     struct raft_vote_response *again)
{
    unsigned char at[VOTE_RESPONSE_SIZE];
    wire_put_vote_response(at, fields);
    return wire_get_vote_response(at, again);
}

/*@ requires \valid_read(entry) && entry_legal(entry, before.term, term_max);
    requires entry->pos.index == before.index + 1 && before.index < WIRE_NUMBER_MAX;
    assigns \nothing;
    ensures \result == 1;
*/
int round_trip_entry_head(const struct raft_entry *entry, struct raft_pos before,
                          raft_term term_max)
{
    struct raft_entry again;
    unsigned char at[ENTRY_HEAD_SIZE];
    wire_put_entry_head(at, entry);
    return wire_get_entry_head(at, before, term_max, &again) == NULL &&
           again.pos.term == entry->pos.term && again.pos.index == entry->pos.index &&
           again.type == entry->type && again.size == entry->size;
}

/*@ requires \valid_read(stamp) && \valid(again) && \separated(stamp, again);
    requires 1 <= stamp->meaning <= 255 && stamp->database <= 255;
    assigns *again;
    ensures accepted: \result;
    ensures meaning: again->meaning == stamp->meaning;
    ensures database: again->database == stamp->database;
    ensures value_max: again->value_max == stamp->value_max;
    ensures time: again->unix_ms == stamp->unix_ms;
    ensures seed: again->seed == stamp->seed;
*/
bool round_trip_stamp(const struct stamp *stamp, struct stamp *again)
{
    unsigned char at[STAMP_SIZE];
    stamp_put(at, stamp);
    return stamp_get(at, STAMP_SIZE, again);
}
