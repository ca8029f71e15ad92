/* The fixed fields of the messages between nodes, as bytes; the table is in wire.c.  For each kind
 * one function that writes and one that reads and checks: that what was written is read back as it
 * was, and that nothing else is accepted, is proved (proofs/README.md).
 *
 * The readers return NULL, or what is wrong, static text; then `*fields` is unspecified. */
#ifndef NET_FIELDS_H
#define NET_FIELDS_H

#include "base/codec.h"
#include "raft/raft.h"

enum {
    ROUTE_SIZE = 24,
    VOTE_REQUEST_SIZE = 17,
    VOTE_RESPONSE_SIZE = 1,
    APPEND_REQUEST_SIZE = 36,
    APPEND_RESPONSE_SIZE = 25,
    ENTRY_HEAD_SIZE = 13
};

/* Terms and indices: far above what a cluster reaches, far below where a sum of two wraps
 * around. */
#define WIRE_NUMBER_MAX 0x4000000000000000u

struct route {
    raft_node_id from, to;
    raft_term term;
};

/*@ predicate pos_bytes(unsigned char *at, integer term, integer index) =
      little_u64(at) == term && little_u64(at + 8) == index;
    predicate route_bytes(unsigned char *at, struct route *route) =
      little_u64(at) == route->from && little_u64(at + 8) == route->to &&
      little_u64(at + 16) == route->term;
    predicate vote_request_bytes(unsigned char *at, struct raft_vote_request *fields) =
      pos_bytes(at, fields->last.term, fields->last.index) &&
      at[16] == (fields->pre_vote ? 1 : 0) + (fields->transfer ? 2 : 0);
    predicate vote_response_bytes(unsigned char *at, struct raft_vote_response *fields) =
      at[0] == (fields->granted ? 1 : 0) + (fields->pre_vote ? 2 : 0);
    predicate append_request_bytes(unsigned char *at, struct raft_append_request *fields) =
      pos_bytes(at, fields->prev.term, fields->prev.index) &&
      little_u64(at + 16) == fields->commit &&
      little_u64(at + 24) == fields->round && little_u32(at + 32) == fields->count;
    predicate append_response_bytes(unsigned char *at, struct raft_append_response *fields) =
      pos_bytes(at, fields->hint.term, fields->hint.index) &&
      little_u64(at + 16) == fields->round &&
      at[24] == (fields->matched ? 1 : 0);
    predicate entry_head_bytes(unsigned char *at, struct raft_entry *entry) =
      little_u64(at) == entry->pos.term && at[8] == entry->type &&
      little_u32(at + 9) == entry->size;

    // The bytes leave no doubt: what is read is what was written.
    lemma vote_request_unique: \forall unsigned char *at, struct raft_vote_request *a, *b;
      vote_request_bytes(at, a) && vote_request_bytes(at, b) ==>
        a->last.term == b->last.term && a->last.index == b->last.index &&
        (a->pre_vote != 0 <==> b->pre_vote != 0) && (a->transfer != 0 <==> b->transfer != 0);
    lemma append_request_unique: \forall unsigned char *at, struct raft_append_request *a, *b;
      append_request_bytes(at, a) && append_request_bytes(at, b) ==>
        a->prev.term == b->prev.term && a->prev.index == b->prev.index &&
        a->commit == b->commit && a->round == b->round && a->count == b->count;
    lemma append_response_unique: \forall unsigned char *at, struct raft_append_response *a, *b;
      append_response_bytes(at, a) && append_response_bytes(at, b) ==>
        a->hint.term == b->hint.term && a->hint.index == b->hint.index &&
        a->round == b->round && (a->matched != 0 <==> b->matched != 0);

    // A place that an entry can have, or the one before the first entry.
    predicate place(integer term, integer index) =
      term < WIRE_NUMBER_MAX && index < WIRE_NUMBER_MAX && (term == 0 <==> index == 0);

    // What a correct node sends, and all that is accepted.
    predicate vote_request_legal(struct raft_vote_request *fields, integer term) =
      place(fields->last.term, fields->last.index) && fields->last.term < term;
    predicate append_request_legal(struct raft_append_request *fields, integer term) =
      fields->count <= WIRE_ENTRIES_MAX && 0 < term &&
      place(fields->prev.term, fields->prev.index) &&
      fields->prev.term <= term && fields->commit < WIRE_NUMBER_MAX;
    predicate append_response_legal(struct raft_append_response *fields) =
      fields->hint.term < WIRE_NUMBER_MAX && fields->hint.index < WIRE_NUMBER_MAX;
    predicate entry_legal(struct raft_entry *entry, integer term, integer term_max) =
      0 < entry->pos.term <= term_max && term <= entry->pos.term &&
      entry->type <= RAFT_ENTRY_MEMBERS;
*/

/*@ requires \valid(at + (0 .. 23)) && \valid_read(route);
    requires \separated(at + (0 .. 23), route);
    assigns at[0 .. 23];
    ensures route_bytes(at, route);
*/
void wire_put_route(unsigned char *at, const struct route *route);

/*@ requires \valid_read(at + (0 .. 23)) && \valid(route);
    requires \separated(at + (0 .. 23), route);
    assigns *route;
    ensures route_bytes(at, route);
*/
void wire_get_route(const unsigned char *at, struct route *route);

/*@ requires \valid(at + (0 .. 16)) && \valid_read(fields);
    requires \separated(at + (0 .. 16), fields);
    assigns at[0 .. 16];
    ensures vote_request_bytes(at, fields);
*/
void wire_put_vote_request(unsigned char *at, const struct raft_vote_request *fields);

/*@ requires \valid_read(at + (0 .. 16)) && \valid(fields);
    requires \separated(at + (0 .. 16), fields);
    assigns *fields;
    ensures read: \result == \null ==> vote_request_bytes(at, fields);
    ensures accepted: \result == \null ==> vote_request_legal(fields, term);
    ensures refused: \result != \null ==> at[16] > 3 || !vote_request_legal(fields, term);
*/
const char *wire_get_vote_request(const unsigned char *at, raft_term term,
                                  struct raft_vote_request *fields);

/*@ requires \valid(at) && \valid_read(fields) && \separated(at, fields);
    assigns *at;
    ensures vote_response_bytes(at, fields);
*/
void wire_put_vote_response(unsigned char *at, const struct raft_vote_response *fields);

/*@ requires \valid_read(at) && \valid(fields) && \separated(at, fields);
    assigns *fields;
    ensures read: \result == \null ==> vote_response_bytes(at, fields);
    ensures refused: \result != \null ==> *at > 3;
*/
const char *wire_get_vote_response(const unsigned char *at, struct raft_vote_response *fields);

/*@ requires \valid(at + (0 .. 35)) && \valid_read(fields);
    requires \separated(at + (0 .. 35), fields);
    assigns at[0 .. 35];
    ensures pos_bytes(at, fields->prev.term, fields->prev.index);
    ensures little_u64(at + 16) == fields->commit;
    ensures little_u64(at + 24) == fields->round;
    ensures little_u32(at + 32) == fields->count;
*/
void wire_put_append_request(unsigned char *at, const struct raft_append_request *fields);

/*@ requires \valid_read(at + (0 .. 35)) && \valid(fields);
    requires \separated(at + (0 .. 35), fields);
    assigns *fields;
    ensures read: \result == \null ==> append_request_bytes(at, fields);
    ensures accepted: \result == \null ==> append_request_legal(fields, term);
    ensures refused: \result != \null ==> !append_request_legal(fields, term);
*/
const char *wire_get_append_request(const unsigned char *at, raft_term term,
                                    struct raft_append_request *fields);

/*@ requires \valid(at + (0 .. 24)) && \valid_read(fields);
    requires \separated(at + (0 .. 24), fields);
    assigns at[0 .. 24];
    ensures pos_bytes(at, fields->hint.term, fields->hint.index);
    ensures little_u64(at + 16) == fields->round;
    ensures at[24] == (fields->matched ? 1 : 0);
*/
void wire_put_append_response(unsigned char *at, const struct raft_append_response *fields);

/*@ requires \valid_read(at + (0 .. 24)) && \valid(fields);
    requires \separated(at + (0 .. 24), fields);
    assigns *fields;
    ensures read: \result == \null ==> append_response_bytes(at, fields);
    ensures accepted: \result == \null ==> append_response_legal(fields);
    ensures refused: \result != \null ==> at[24] > 1 || !append_response_legal(fields);
*/
const char *wire_get_append_response(const unsigned char *at, struct raft_append_response *fields);

/*@ requires \valid(at + (0 .. 12)) && \valid_read(entry);
    requires \separated(at + (0 .. 12), entry) && entry->type <= RAFT_ENTRY_MEMBERS;
    assigns at[0 .. 12];
    ensures entry_head_bytes(at, entry);
*/
void wire_put_entry_head(unsigned char *at, const struct raft_entry *entry);

/* The head, without payload, of the entry behind the position `before`, in a message of a leader of
 * `term_max`. */
/*@ requires \valid_read(at + (0 .. 12)) && \valid(entry);
    requires \separated(at + (0 .. 12), entry);
    requires before.index < WIRE_NUMBER_MAX + WIRE_ENTRIES_MAX;
    assigns *entry;
    ensures read: \result == \null ==> entry_head_bytes(at, entry) && entry->payload == \null;
    ensures placed: \result == \null ==> entry->pos.index == before.index + 1;
    ensures accepted: \result == \null ==> entry_legal(entry, before.term, term_max);
    ensures refused: \result != \null ==> at[8] > RAFT_ENTRY_MEMBERS || little_u64(at) == 0 ||
                       little_u64(at) < before.term || little_u64(at) > term_max;
*/
const char *wire_get_entry_head(const unsigned char *at, struct raft_pos before, raft_term term_max,
                                struct raft_entry *entry);

/* The same for an entry whose payload follows its head: at[0 .. left) has room for both. */
/*@ requires \valid_read(at + (0 .. left - 1)) && \valid(entry);
    requires \separated(at + (0 .. left - 1), entry);
    requires before.index < WIRE_NUMBER_MAX + WIRE_ENTRIES_MAX;
    assigns *entry;
    ensures inside: \result == \null ==> ENTRY_HEAD_SIZE + entry->size <= left;
    ensures read: \result == \null ==> entry_head_bytes(at, entry) && entry->payload == \null;
    ensures placed: \result == \null ==> entry->pos.index == before.index + 1;
    ensures accepted: \result == \null ==> entry_legal(entry, before.term, term_max);
    ensures refused: \result != \null ==> left < ENTRY_HEAD_SIZE ||
                       left < ENTRY_HEAD_SIZE + little_u32(at + 9) ||
                       at[8] > RAFT_ENTRY_MEMBERS || little_u64(at) == 0 ||
                       little_u64(at) < before.term || little_u64(at) > term_max;
*/
const char *wire_get_entry(const unsigned char *at, size_t left, struct raft_pos before,
                           raft_term term_max, struct raft_entry *entry);

#endif
