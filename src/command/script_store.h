/* The scripts that EVALSHA knows: part of the replicated state, in no database, on every node the
 * same, so they outlive a failover and a restart.
 *
 * Those that EVAL left are kept in order of their first use, SCRIPTS_EVALED_MAX of them: who makes
 * a new body for each call does not fill the store (Redis 7.4 bounds them likewise).  Those of
 * SCRIPT LOAD stay until SCRIPT FLUSH.
 *
 * In DB_SPACE_SERVER:
 *
 *     row "s" sha      u64 number in order, 0 of SCRIPT LOAD; the body
 *     page n           the sha of number n, from 1 on
 *     page 0           struct store, as in script_store.c */
#ifndef COMMAND_SCRIPT_STORE_H
#define COMMAND_SCRIPT_STORE_H

#include "base/limits.h"
#include "command/commands.h"

enum {
    SCRIPTS_EVALED_MAX = 500,
    SCRIPTS_COUNT_MAX = 10000,
    SCRIPTS_BYTES_MAX = 64 << 20 /* of all bodies */
};

struct script_counts {
    uint64_t scripts, bytes; /* bytes: of their bodies */
};

/* Borrowed until the next call on the db; false: there is none. */
bool script_store_get(struct call *call, struct bytes sha, struct bytes *body);
/* is_loaded: by SCRIPT LOAD.  Nothing changes where it is there already as it should be.  False:
 * too many are loaded; of EVAL, which takes the place of older ones, only if they are all
 * loaded. */
bool script_store_put(struct call *call, struct bytes sha, struct bytes body, bool is_loaded);
void script_store_flush(struct call *call);
struct script_counts script_store_counts(struct call *call);

#endif
