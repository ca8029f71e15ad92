/* What was executed beside the db, for an entry that comes later: counted, and told to who counts
 * what executes when the entry takes it over.  Loop thread. */
#ifndef COMMAND_TALLY_H
#define COMMAND_TALLY_H

#include "base/buffer.h"
#include "command/observer.h"

struct tally {
    struct command_observer observer; /* first: it is one */
    struct buffer rows;               /* those that were executed, with their numbers; owned */
};

void command_tally_init(struct tally *tally);
void command_tally_deinit(struct tally *tally);
void command_tally_tell(const struct tally *tally, struct command_observer *observer);

#endif
