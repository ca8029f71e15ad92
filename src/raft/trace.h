/* What a core did, one line a step, for build/trace-check, which replays it on the proved handlers
 * (proofs/README.md).  The caller asks for a line after raft_step(), if it wants one; the core
 * itself knows nothing of traces.
 *
 * Decimal numbers with one blank between them, in sections that end with " |", or with the line.
 *
 *   I MODE
 *       A new world, as enum raft_trace_world says.  A trace without this line is of single
 *       processes: see trace-check --help.
 *   B NODE LIFE TERM VOTE APPLIED BASE BASE_TERM | RUN... | MEMBER...
 *       NODE boots with this on its disk: its log holds the entries after BASE, where this list of
 *       members is in force (none: of a node that is to be taken in).  With another LIFE than the
 *       last time it is another node; 0: not known.
 *   O NODE
 *       What starts as NODE from here on has an old copy of its disk: it is none of the world's
 *       nodes until it boots with another LIFE.
 *   X NODE INPUT | STATE | CHANGE | NODE VOTER MATCH ; ... | WRITE
 *       | MESSAGE ; ... | READ INDEX ; ... | READ ...
 *       One step: what went in, the state after it, the log's change and, where it changed, the
 *       members in force then, with what a leader knows of each (else 0); the durable write that
 *       was asked for, messages that left, reads that may be served, reads that failed.
 *   P NODE SEQ | MESSAGE
 *       What the core promised (raft_promised()): NODE's disk has all writes up to SEQ, of which
 *       its core may not have heard yet, and behind this line the answer leaves, if it finds room.
 *       It stands anywhere behind the X that asked for the write, and at the latest behind the one
 *       that leaves the answer's term: before the next it is taken back.
 *   S NODE STATE | RUN... | MEMBER... | GRANTED...
 *       | ROUND CAMPAIGN_INDEX CAMPAIGN_TERM ANSWERED MATCHED
 *       | NODE MATCH ROUND ; ... | READ INDEX ROUND ; ...
 *       | SEQ TERM VOTE COMMIT RUN... ; ...
 *       NODE is in this state, whatever came before: to check one step by itself, put this before
 *       its line (X or B).  The log, and the list in force where it begins; who voted for it in its
 *       raft_campaign; its last read round; what its withheld messages say (last index and term in
 *       vote requests, highest round and index in append responses); what it knows of each other
 *       member; its reads; what its disk holds, and then would hold after each write under way,
 *       oldest first.
 *
 *   E ...
 *       The same as S, but the model must be in this state already: behind X, so that nothing that
 *       went wrong inside the core is taken over by the next S.
 *
 *   RUN      COUNT TERM: so many entries of this term, no lists; or
 *            0 TERM COUNT MEMBER...: a list of so many members
 *   MEMBER   ID LIFE VOTER: 1, or 0 for a learner.  LIFE: its lower 60 bits
 *   VOTE     the node, -1 for none
 *   STATE    ROLE TERM VOTE COMMIT DURABLE APPLIED APPLY_TO SEQ BASE BASE_TERM LAST LAST_TERM
 *            ROLE as enum raft_role; APPLY_TO as in raft_output (S: -1); SEQ the last write asked
 *            for
 *   CHANGE   empty, or CUT RUN...: the log from index CUT on is now this
 *   WRITE    empty, or SEQ TERM VOTE [CUT RUN...]
 *   INPUT    0                    a tick
 *            1 MESSAGE [RUN...]   a message, with its entries
 *            2 COUNT              so many commands proposed
 *            3 READ [NODE TERM]   a read; NODE said, after it was asked, that it is in TERM
 *            4 SEQ                writes up to SEQ are durable
 *            5 INDEX              applied so far
 *            6 INDEX              the log was compacted to here
 *            7 NODE               unreachable
 *            8 NODE               hand the leadership over (-1: to the best)
 *            9 NODE               its process has ended
 *   MESSAGE  0 FROM TO TERM LAST LAST_TERM PRE_VOTE           a vote request
 *            1 FROM TO TERM GRANTED PRE_VOTE                  its answer
 *            2 FROM TO TERM PREV PREV_TERM COMMIT ROUND COUNT an append request
 *            3 FROM TO TERM MATCHED INDEX INDEX_TERM ROUND    its answer
 *            4 FROM TO TERM                                   timeout now */
#ifndef RAFT_TRACE_H
#define RAFT_TRACE_H

#include "base/buffer.h"
#include "raft/raft.h"

/* What a disk would give back at the next start, if this write was the last to reach it. */
struct raft_trace_image {
    uint64_t seq; /* of the write; what is on the disk already: of the last acknowledged, or 0 */
    raft_term term;
    raft_node_id voted_for;
    raft_index commit;      /* the highest apply_to so far */
    const raft_term *terms; /* of the entries after the log's first, see raft_status.first */
    const struct raft_members *const *lists; /* that they hold, NULL: none; or NULL: none does */
    uint64_t count;
};

enum raft_trace_world {
    RAFT_TRACE_OPEN,   /* first boots are from empty disks, but strangers speak as well */
    RAFT_TRACE_CLOSED, /* the same, and every message that arrives was sent here, earlier */
    RAFT_TRACE_STATES  /* each step stands by itself, behind an S line */
};

void raft_trace_world(struct buffer *out, enum raft_trace_world world);
/* Of a core that raft_new() just made.  `life`: of its data directory; 0: not known. */
void raft_trace_boot(struct buffer *out, const struct raft *raft, uint64_t life);
void raft_trace_old_disk(struct buffer *out, raft_node_id node);
/* After raft_step(), before the output is acted upon. */
void raft_trace_step(struct buffer *out, const struct raft *raft, const struct raft_input *input,
                     const struct raft_output *output);
/* Writes up to `durable` are on the disk; before the answer leaves. */
void raft_trace_promised(struct buffer *out, const struct raft_message *answer, uint64_t durable);
/* Images: first what is on the disk, then one for each write under way, oldest first. */
void raft_trace_state(struct buffer *out, const struct raft *raft,
                      const struct raft_trace_image *images, uint32_t count);
/* The same behind a step, to be compared. */
void raft_trace_expect(struct buffer *out, const struct raft *raft,
                       const struct raft_trace_image *images, uint32_t count);

#endif
