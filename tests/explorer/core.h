/* Between the files that touch the real core: pack.c, core.c, single.c. */
#ifndef EXPLORER_CORE_H
#define EXPLORER_CORE_H

#include "explorer.h"
#include "raft/raft_internal.h"

/* Ticks; with these, an election timeout drawn from [4, 8) can be 7, later than a lease of 4. */
enum {
    ELECTION_TICKS = 4,
    TIMEOUT_TICKS = 7,
    HEARTBEAT_TICKS = 2,
    RESEND_TICKS = 2 * ELECTION_TICKS
};

/* pack.c */
extern uint64_t garbage_seed; /* not 0: what no step may look at is filled with garbage */
struct raft *new_core(uint8_t self, const struct image *image, uint8_t applied);
struct raft *unpack_core(const struct node *node); /* the same core each time for the same name */
/* All but `disk` and `mortal`.  False: more than the bounds allow, or withheld twice. */
bool pack_core(struct node *node, const struct raft *raft);
bool within_bounds(const struct raft *raft);
uint8_t entry_of_core(const struct raft *raft, raft_index index);

/* single.c */
enum verdict check_change(const struct node *before, const struct node *after);
enum verdict check_write(const struct node *before, const struct node *after,
                         const struct raft_write *write);
enum verdict check_list(const struct raft *raft, const struct node *after);
enum verdict check_promises(const struct node *after, const struct outcome *outcome);

/* traces.c: nothing, unless asked for. */
void trace_before(const struct raft *raft, const struct node *node);
void trace_step(const struct raft *raft, const struct raft_input *input,
                const struct raft_output *output);
void trace_boot(const struct raft *raft);
void trace_after(const struct raft *raft, const struct node *node);

#endif
