#include "net/wire_fields.h"

/*@ requires \valid_read(at + (0 .. 15)) && \valid(pos) && \separated(at + (0 .. 15), pos);
    assigns *pos;
    ensures pos_bytes(at, pos->term, pos->index);
*/
static void get_pos(const unsigned char *at, struct raft_pos *pos)
{
    pos->term = get_u64(at);
    pos->index = get_u64(at + 8);
}

/*@ requires \valid_read(pos);
    assigns \nothing;
    ensures \result <==> place(pos->term, pos->index);
*/
static bool is_place(const struct raft_pos *pos)
{
    return pos->term < WIRE_NUMBER_MAX && pos->index < WIRE_NUMBER_MAX &&
           (pos->term == 0) == (pos->index == 0);
}

void wire_put_route(unsigned char *at, const struct route *route)
{
    put_u64(at, route->from);
    put_u64(at + 8, route->to);
    put_u64(at + 16, route->term);
}

void wire_get_route(const unsigned char *at, struct route *route)
{
    route->from = get_u64(at);
    route->to = get_u64(at + 8);
    route->term = get_u64(at + 16);
}

void wire_put_vote_request(unsigned char *at, const struct raft_vote_request *fields)
{
    put_u64(at, fields->last.term);
    put_u64(at + 8, fields->last.index);
    at[16] = (unsigned char)((fields->pre_vote ? 1 : 0) + (fields->transfer ? 2 : 0));
}

const char *wire_get_vote_request(const unsigned char *at, raft_term term,
                                  struct raft_vote_request *fields)
{
    get_pos(at, &fields->last);
    fields->pre_vote = at[16] % 2 == 1;
    fields->transfer = at[16] / 2 == 1;
    if (at[16] > 3)
        return "unknown flags";
    if (!is_place(&fields->last) || fields->last.term >= term)
        return "a vote request for an impossible position";
    return NULL;
}

void wire_put_vote_response(unsigned char *at, const struct raft_vote_response *fields)
{
    at[0] = (unsigned char)((fields->granted ? 1 : 0) + (fields->pre_vote ? 2 : 0));
}

const char *wire_get_vote_response(const unsigned char *at, struct raft_vote_response *fields)
{
    fields->granted = at[0] % 2 == 1;
    fields->pre_vote = at[0] / 2 == 1;
    return at[0] > 3 ? "unknown flags" : NULL;
}

/*@ requires \valid(at + (16 .. 35)) && \valid_read(fields);
    requires \separated(at + (16 .. 35), fields);
    assigns at[16 .. 35];
    ensures little_u64(at + 16) == fields->commit;
    ensures little_u64(at + 24) == fields->round;
    ensures little_u32(at + 32) == fields->count;
*/
static void put_behind_prev(unsigned char *at, const struct raft_append_request *fields)
{
    put_u64(at + 16, fields->commit);
    put_u64(at + 24, fields->round);
    put_u32(at + 32, fields->count);
}

void wire_put_append_request(unsigned char *at, const struct raft_append_request *fields)
{
    put_u64(at, fields->prev.term);
    put_u64(at + 8, fields->prev.index);
    //@ assert pos_bytes(at, fields->prev.term, fields->prev.index);
    put_behind_prev(at, fields);
    //@ assert little_u64(at) == fields->prev.term;
    //@ assert little_u64(at + 8) == fields->prev.index;
}

const char *wire_get_append_request(const unsigned char *at, raft_term term,
                                    struct raft_append_request *fields)
{
    get_pos(at, &fields->prev);
    fields->commit = get_u64(at + 16);
    fields->round = get_u64(at + 24);
    fields->count = get_u32(at + 32);
    fields->entries = NULL;
    if (fields->count > WIRE_ENTRIES_MAX)
        return "too many entries";
    if (term == 0 || !is_place(&fields->prev) || fields->prev.term > term)
        return "an append at an impossible position";
    if (fields->commit >= WIRE_NUMBER_MAX)
        return "an impossible commit index";
    return NULL;
}

/*@ requires \valid(at + (16 .. 24)) && \valid_read(fields);
    requires \separated(at + (16 .. 24), fields);
    assigns at[16 .. 24];
    ensures little_u64(at + 16) == fields->round;
    ensures at[24] == (fields->matched ? 1 : 0);
*/
static void put_behind_hint(unsigned char *at, const struct raft_append_response *fields)
{
    put_u64(at + 16, fields->round);
    at[24] = fields->matched ? 1 : 0;
}

void wire_put_append_response(unsigned char *at, const struct raft_append_response *fields)
{
    put_u64(at, fields->hint.term);
    put_u64(at + 8, fields->hint.index);
    //@ assert pos_bytes(at, fields->hint.term, fields->hint.index);
    put_behind_hint(at, fields);
    //@ assert little_u64(at) == fields->hint.term;
    //@ assert little_u64(at + 8) == fields->hint.index;
}

const char *wire_get_append_response(const unsigned char *at, struct raft_append_response *fields)
{
    get_pos(at, &fields->hint);
    fields->round = get_u64(at + 16);
    fields->matched = at[24] == 1;
    if (at[24] > 1)
        return "unknown flags";
    if (fields->hint.term >= WIRE_NUMBER_MAX || fields->hint.index >= WIRE_NUMBER_MAX)
        return "an answer for an impossible position";
    return NULL;
}

void wire_put_entry_head(unsigned char *at, const struct raft_entry *entry)
{
    put_u64(at, entry->pos.term);
    at[8] = (unsigned char)entry->type;
    put_u32(at + 9, entry->size);
}

const char *wire_get_entry_head(const unsigned char *at, struct raft_pos before, raft_term term_max,
                                struct raft_entry *entry)
{
    raft_term term = get_u64(at);
    if (term < before.term || term > term_max || term == 0)
        return "an entry of an impossible term";
    if (at[8] > RAFT_ENTRY_MEMBERS)
        return "an entry of unknown type";
    entry->pos.term = term;
    entry->pos.index = before.index + 1;
    entry->type = (enum raft_entry_type)at[8];
    entry->size = get_u32(at + 9);
    entry->payload = NULL;
    return NULL;
}

const char *wire_get_entry(const unsigned char *at, size_t left, struct raft_pos before,
                           raft_term term_max, struct raft_entry *entry)
{
    if (left < ENTRY_HEAD_SIZE)
        return "fewer entries than announced";
    const char *error = wire_get_entry_head(at, before, term_max, entry);
    if (error)
        return error;
    if (entry->size > left - ENTRY_HEAD_SIZE)
        return "an entry is longer than its message";
    return NULL;
}
