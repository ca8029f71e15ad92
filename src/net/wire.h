/* What nodes say to each other, as bytes: Raft messages and forwarded commands in the form of RESP
 * multibulk commands.  Pure functions on memory: no socket, no event loop, no state.
 *
 * RESP does the framing (resp/parser.h), so that a capture can be read and a foreign client is
 * answered in words.  The fixed fields of a message travel packed in one bulk string, the entries
 * of an append in one more: 6 ns an entry instead of 24 as RESP integers (and one allocation less).
 *
 * A payload of more than WIRE_PIECE_MAX goes ahead of its message in pieces, which the receiver
 * puts together as they come: no message is large, so none has to be kept or copied whole in
 * between.  What is announced costs nothing before it comes: memory grows with the pieces.
 *
 * Decoding is strict, because the core asserts what it is told: every size, range and order that a
 * correct node keeps is checked here, and whatever breaks one is an error, never a crash. */
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include <stdint.h>

#include "base/limits.h"
#include "base/outbox.h"
#include "raft/raft.h"
#include "replica/replica.h"
#include "resp/parser.h"

enum { WIRE_VERSION = 3 };

/* Limits for the parser of a connection between nodes. */
struct resp_limits wire_limits(void);

/* ---- encoding ----------------------------------------------------------------- */

/* `entries`: as in transport_ops.send.  An append of more than WIRE_FRAME_MAX or WIRE_ENTRIES_MAX
 * becomes several; a large entry travels alone.  `clock_ms`: this node's wall clock, which goes
 * with every answer (replica_receive says what for). */
void wire_encode_message(struct outbox *out, const struct raft_message *message,
                         const struct raft_entry *entries, int64_t clock_ms);
void wire_encode_forward(struct outbox *out, const struct forward *forward);
void wire_encode_cancel(struct outbox *out, const struct forward_cancel *cancel);
void wire_encode_snapshot(struct outbox *out, const struct snapshot_message *message);
void wire_encode_forward_reply(struct outbox *out, const struct forward_reply *reply);

/* ---- decoding ------------------------------------------------------------------ */

enum wire_kind {
    WIRE_PIECE, /* kept; the message it belongs to is still to come */
    WIRE_MESSAGE,
    WIRE_FORWARD,
    WIRE_FORWARD_REPLY,
    WIRE_CANCEL,
    WIRE_SNAPSHOT,
    WIRE_INVALID
};

/* What a connection brought: one for each.  Owns the payload blobs until wire_release(). */
struct wire_input {
    enum wire_kind kind;
    union {
        struct raft_message message;
        struct forward forward; /* .command is owned here */
        struct forward_cancel cancel;
        struct snapshot_message snapshot;   /* .payload is owned here */
        struct forward_reply forward_reply; /* .reply is borrowed until wire_release() */
    };
    int64_t clock_ms;           /* of an answer's sender; 0: the message is no answer */
    struct blob *assembly;      /* owned: the payload that comes in pieces; NULL: none */
    size_t assembly_total;      /* its size, once complete */
    size_t assembled;           /* how much of it has come */
    struct blob *reply;         /* owned: of a forward_reply that came in pieces */
    struct raft_entry *entries; /* owned, used again for the next message */
    uint32_t entries_count, entries_capacity;
    const char *error; /* WIRE_INVALID: what is wrong, static text */
};

/* `from`, `to`: who this connection leads from and to; a message that says otherwise is invalid.
 * {0} is a fresh input. */
enum wire_kind wire_decode(struct wire_input *input, const struct bytes *argv, uint32_t argc,
                           raft_node_id from, raft_node_id to);
void wire_release(struct wire_input *input); /* after each decode: gives the message's blobs back */
void wire_input_deinit(struct wire_input *input);

#endif
