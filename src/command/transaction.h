/* MULTI on one connection: what it queued, and what it watches.
 *
 * Nothing of it is known to the cluster before EXEC, which is one request that carries
 * everything: the keys watched with the versions that were seen, and the commands (exec.c).  So
 * a failover between MULTI and EXEC changes nothing, and a connection that breaks leaves nothing
 * behind.  Owned by the connection; loop thread only. */
#ifndef COMMAND_TRANSACTION_H
#define COMMAND_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/buffer.h"
#include "base/limits.h"

enum {
    TRANSACTION_WATCH_MAX = 65536,                          /* keys */
    TRANSACTION_WATCH_BYTES_MAX = COMMAND_ENCODED_MAX / 16, /* of them: EXEC carries them */
    TRANSACTION_BYTES_MAX = COMMAND_ENCODED_MAX - COMMAND_ENCODED_MAX / 16
};

/* The reply without which what the client sends next cannot be understood. */
enum transaction_awaits { AWAITS_NOTHING, AWAITS_VERSIONS, AWAITS_EXEC, AWAITS_POSITION };

struct transaction {
    bool is_open;
    bool is_aborted; /* a command was refused: EXEC will be, too */
    bool has_writes;
    bool selects; /* another database for the connection, if EXEC is done */
    enum transaction_awaits awaits;
    uint8_t database;       /* that the next command will run in */
    uint32_t count;         /* commands queued */
    struct buffer elements; /* those, as words of an encoded command: exec.c */
    uint32_t watched;       /* keys */
    struct buffer watches;  /* those, as exec.c has them */
    struct buffer asked;    /* likewise, without versions yet: of the WATCH under way; or the words
                               of a SUBSCRIBE */
};

/* After EXEC or DISCARD, and with its connection: neither open, nor is anything watched. */
void transaction_end(struct transaction *transaction);
void transaction_unwatch(struct transaction *transaction);

/* EXEC as one request, behind the words `before` (those of ONCE, or none). */
struct blob *transaction_encode(const struct transaction *transaction, const struct bytes *before,
                                uint32_t before_count);

/* A client's WATCH is asked for with these words; its reply, an array of versions, completes it.
 * False: the reply is none. */
bool transaction_may_watch(const struct transaction *transaction, const struct bytes *argv,
                           uint32_t argc);
void transaction_watch_begin(struct transaction *transaction, uint8_t database,
                             const struct bytes *argv, uint32_t argc);
bool transaction_watch_end(struct transaction *transaction, struct bytes reply);

#endif
