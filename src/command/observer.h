/* Who counts what executes, and how long that takes: a port, because this directory has no clock.
 * Filled in by server/; nothing that it does may be seen by a command's reply or by the data. */
#ifndef COMMAND_OBSERVER_H
#define COMMAND_OBSERVER_H

#include "command/command.h"

struct command_observer {
    /* Around each execution, or each slice of one; on a node that applies or reads, and for local
     * commands where the client is.  A command that carries another ends, unfinished, before that
     * one begins.  *took: of all its slices so far, what it carried included, in the observer's
     * unit; the caller keeps it, 0 before the first.  `call`: as it was executed. */
    void (*begin)(struct command_observer *observer);
    void (*end)(struct command_observer *observer, const struct call *call, uint64_t *took,
                bool finished, bool failed);
    /* An entry takes over what was executed before, and how long that took is not known any more:
     * so many of this command, of which so many failed. */
    void (*carried)(struct command_observer *observer, const struct command *command,
                    uint64_t calls, uint64_t failed);
    /* The command was refused before it was executed: arity, password. */
    void (*rejected)(struct command_observer *observer, const struct command *command);
    /* A client is answered "-...". */
    void (*answered_error)(struct command_observer *observer, struct bytes reply);
    uint64_t keyspace_hits, keyspace_misses; /* keys that reads looked for */
};

#endif
