/* Inputs, outputs and messages as text: golden scripts, the simulator, traces of real servers.  One
 * format everywhere; what is printed here is what a step depends on and what it did. */
#ifndef RAFT_PRINT_H
#define RAFT_PRINT_H

#include "base/buffer.h"
#include "raft/raft.h"

/* "1->2 append_request term=1 prev=0:0 count=1 commit=0 round=0"; positions are
 * term:index, as in struct raft_pos. */
void raft_print_message(struct buffer *out, const struct raft_message *message);
/* "write #3 term=1 vote=1 entries 4..6 of term 1" */
void raft_print_write(struct buffer *out, const struct raft_write *write);
/* "leader term=2 vote=1 leader=1 commit=3 applied=3 durable=4 log=1:0..2:4" */
void raft_print_status(struct buffer *out, const struct raft_status *status);

#endif
