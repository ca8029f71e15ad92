/* What redis-raft-ctl check shows of RAFT.CHECK. */
#ifndef UTILS_COMPARING_H
#define UTILS_COMPARING_H

#include <hiredis/hiredis.h>

enum comparing {
    COMPARING_EQUAL, /* all members have the same */
    COMPARING_DIFFERENT,
    COMPARING_UNKNOWN /* not all have answered, or they could not look; or it did not begin */
};

/* Begins a check on the node behind the connection, or joins the one under way, and follows it to
 * its end; prints what came of it, or says on stderr why nothing did. */
enum comparing comparing_run(redisContext *connection);

#endif
