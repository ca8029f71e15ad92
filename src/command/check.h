/* RAFT.CHECK as it goes through the log: one entry says at which index all members are to look at
 * what they have, and one of each member says what it found.  Neither changes anything; who listens
 * (struct command_checks) hears of them in the order of the log, so all hear the same.
 *
 *     raft.compare  id                                    the state behind this entry is meant
 *     raft.compared id node life found hash rows bytes    of that check, by that member
 *
 * Made by members alone; what a client says is in check.c. */
#ifndef COMMAND_CHECK_H
#define COMMAND_CHECK_H

#include <stdint.h>

#include "base/blob.h"
#include "command/command.h"
#include "raft/raft.h"
#include "replica/replica.h"

#define COMPARE_NAME "raft.compare"
#define COMPARED_NAME "raft.compared"

enum command_check_kind { CHECK_NOTHING, CHECK_BEGINS, CHECK_FOUND };

enum command_check_found {
    CHECK_HASHED, /* `hash` is of what it has (data/content.h) */
    CHECK_BUSY,   /* no view of its state could be had then */
    CHECK_FOUND_KINDS
};

struct command_check_notice {
    enum command_check_kind kind;
    uint64_t id; /* of the check: random, never 0 */
    /* FOUND: */
    raft_node_id node;
    uint64_t life; /* of its directory: one of before says nothing of this one */
    enum command_check_found found;
    uint64_t hash, rows, bytes;
};

/* Who listens.  Called when the entry is applied, before the next one is. */
struct command_checks {
    void (*heard)(struct command_checks *checks, struct raft_pos pos,
                  const struct command_check_notice *notice);
};

/* NULL: nobody does. */
void command_machine_check(struct state_machine *machine, struct command_checks *checks);

struct blob *command_check_encode(const struct command_check_notice *notice);

/* Of a client's command that was classified: RAFT.CHECK that waits; how long, in ms. */
bool command_check_wait_ms(const struct command *command, const struct bytes *argv, uint32_t argc,
                           int64_t *wait_ms);

#endif
