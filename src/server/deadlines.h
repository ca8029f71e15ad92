/* What INFO keyspace tells of keys with a deadline.  How many there are nobody counts, so some keys
 * of each database are looked at, each second others.  Loop thread. */
#ifndef SERVER_DEADLINES_H
#define SERVER_DEADLINES_H

#include "command/server.h"
#include "data/db.h"

struct server_deadlines_seen {
    struct server_deadlines found[DB_DATABASES];
    int64_t looked_ms[DB_DATABASES]; /* monotonic; 0: not yet since there are keys */
    unsigned next;                   /* database */
    uint64_t samples;
};

/* `seen` is {0} at first, for one db.  Looks at some keys of those databases whose estimate is a
 * second old, for 2 ms (`clock_ns` says when they are over) and for as long as one sample takes;
 * the other databases come the next time. */
void server_deadlines_look(struct server_deadlines_seen *seen, struct db *db,
                           int64_t (*clock_ns)(void));

/* As they were last looked at; never more than there are keys. */
void server_deadlines_describe(const struct server_deadlines_seen *seen, const struct db *db,
                               struct server_deadlines deadlines[DB_DATABASES]);

#endif
