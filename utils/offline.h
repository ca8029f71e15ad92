/* The state machine on a store, without a node: commands are executed one by one as if a log of one
 * member had them.  What is wrong with a store or its disk ends the process. */
#ifndef UTILS_OFFLINE_H
#define UTILS_OFFLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "data/db.h"
#include "raft/raft.h"
#include "storage/kv.h"

struct state_machine;

struct offline {
    struct kv *kv; /* borrowed */
    struct db *db; /* owned, like the machine */
    struct state_machine *machine;
    raft_term term;
    int64_t now_ms; /* of all that is executed: Unix time */
    uint64_t seed;
};

/* term, now_ms: no less than those of the newest entry that the store has. */
void offline_open(struct offline *offline, struct kv *kv, raft_term term, int64_t now_ms,
                  uint64_t seed);
void offline_close(struct offline *offline);
/* Executes a command that writes, as the next entry; the reply, RESP2, into the cleared buffer.
 * False: it is an error. */
bool offline_write(struct offline *offline, unsigned database, const struct bytes *words,
                   uint32_t count, struct buffer *reply);
/* The same of a command that reads. */
bool offline_read(struct offline *offline, unsigned database, const struct bytes *words,
                  uint32_t count, struct buffer *reply);
/* Moves all that was written into the store, durably; of what entry that is the state. */
struct raft_pos offline_store(struct offline *offline);

/* What is in a reply that is a bulk string: borrowed from it. */
struct bytes offline_bulk(const struct buffer *reply);
/* The text of an error, as a string. */
const char *offline_error(const struct buffer *reply);

#endif
