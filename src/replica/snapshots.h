/* How a member that needs log which nobody holds any more is brought back: with the state of one
 * position, in chunks, from the leader.
 *
 *     leader                            member
 *       OFFER  where my log begins  -->   what it has ends before that
 *       <-- FETCH 0 0                     it asks for a state
 *       BEGIN  session, position    -->
 *       CHUNK 0, 1, 2 ...           -->   into its store, beside the data
 *       <-- FETCH session n               it has n; and again, if nothing comes any more
 *       GONE   session              -->   no longer: another one, from the start
 *
 * The chunks are data/snapshot.h's, opaque here, each with its number and a checksum that depends
 * on the first.  What this layer adds: all are of one session, which one leader began.
 *
 * The state is true whoever leads.  So a session that has come to something goes on between the two
 * when the leadership moves, as long as both hear each other and the new leader's log reaches back
 * to the state's position.  That one offers, too, and is told what is under way, so that it keeps
 * the log from there on:
 *
 *     another leader                    member
 *       OFFER  where my log begins  -->   not needed
 *       <-- FETCH session n position      of another's: hold what is behind it
 *
 * Ports and messages; sending.c is the leader's part, install.c the member's. */
#ifndef REPLICA_SNAPSHOTS_H
#define REPLICA_SNAPSHOTS_H

#include <stdint.h>

#include "base/blob.h"
#include "raft/raft.h"
#include "storage/raft_log.h"

enum snapshot_message_type {
    SNAPSHOT_OFFER,
    SNAPSHOT_FETCH,
    SNAPSHOT_BEGIN,
    SNAPSHOT_CHUNK,
    SNAPSHOT_GONE,
    SNAPSHOT_MESSAGES
};

struct snapshot_message {
    enum snapshot_message_type type;
    raft_node_id from, to;
    raft_term term;      /* of the sender */
    uint64_t id;         /* of the session; 0: none (OFFER, and the first FETCH) */
    uint64_t number;     /* FETCH: chunks that the member has; CHUNK: its number; BEGIN: where the
                            list of members stands */
    bool again;          /* FETCH: what was sent of those behind has not come */
    struct raft_pos pos; /* OFFER: the leader's log begins behind it; BEGIN: of the state; FETCH: of
                            the state of another's session, else {0} */
    uint64_t bytes;      /* BEGIN: of the whole, about; 0: nobody knows */
    struct blob *payload; /* BEGIN: the members in force at pos, raft_members_encode(); CHUNK: it;
                             else NULL */
};

/* What a member that has all of it is to become. */
struct snapshot_adoption {
    struct raft_pos pos;
    struct raft_log_members members; /* in force there */
};

/* What became of the chunks that a member staged. */
struct snapshot_staged {
    uint64_t id;           /* of the session that they belong to */
    uint64_t chunks, rows; /* so far */
    uint64_t bytes;        /* of keys and records */
    bool is_whole;         /* nothing is missing: it can be adopted */
    struct raft_pos pos;   /* of the state, as its first chunk says */
    const char *error;     /* static text: the last one was refused, and all is given up; NULL */
};

struct snapshot_port;

/* Nothing here waits for a disk, or calls back. */
struct snapshot_port_ops {
    /* A leader's.  The state as it is, after the entry applied last, and what it is about to take:
     * a source.  NULL: not now. */
    void *(*open)(struct snapshot_port *port, struct raft_pos *pos, uint64_t *bytes);
    /* Its next chunk: comes by replica_snapshot_read(), before any other is asked for. */
    void (*read)(struct snapshot_port *port, void *source);
    /* Also while a chunk is asked for: that does not come any more. */
    void (*close)(struct snapshot_port *port, void *source);

    /* A member's.  Another state is to be staged: what there was of one goes. */
    void (*begin)(struct snapshot_port *port, uint64_t id);
    /* Its next chunk, of which it takes a reference; replica_snapshot_staged() tells what came of
     * it, in order. */
    void (*take)(struct snapshot_port *port, struct blob *chunk);
    void (*drop)(struct snapshot_port *port); /* it is not wanted any more */
};

struct snapshot_port {
    const struct snapshot_port_ops *ops;
};

enum { SENDINGS_MAX = 2 }; /* at a time: each holds a view of the state */

/* Of a leader: what goes to a member. */
struct replica_sending_status {
    raft_node_id to;
    raft_index index; /* of the state */
    uint64_t chunks, bytes, bytes_expected;
    bool is_delivered; /* it has all of it, and was not heard with it yet */
};

/* Of a member: what comes. */
struct replica_install_status {
    bool is_under_way, is_whole;
    raft_node_id from;
    raft_index index;
    uint64_t chunks, bytes, bytes_expected;
};

#endif
