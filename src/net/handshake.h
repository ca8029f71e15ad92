/* How two nodes meet.  Four lines, then the connection carries messages from the dialer to the
 * acceptor only:
 *
 *   dialer    RR.HELLO version cluster me target channel nonce client-address
 *   acceptor  +OK nonce proof             or  -ERR why, and the connection is closed
 *   dialer    RR.PROVE proof
 *   acceptor  +OK                         or  -ERR why
 *
 * A proof is HMAC-SHA256 with peer-secret as its key over everything that was said: role of the
 * prover, version, cluster, both nodes, channel, both nonces, the client address.  The secret itself
 * is never sent; the fresh nonces make a recorded proof worthless, the role keeps one side's proof
 * from being sent back to it, the channel and the nodes keep it from being used elsewhere.  Without
 * a peer-secret the key is empty: then a proof shows only that the other side has none either.
 * What follows the handshake is neither encrypted nor signed.
 *
 * Pure functions on memory, but for handshake_nonce(). */
#ifndef NET_HANDSHAKE_H
#define NET_HANDSHAKE_H

#include <stdint.h>

#include "base/buffer.h"
#include "raft/raft.h"

/* Separate connections, so that neither a large value nor a queue of commands delays a heartbeat. */
enum channel {
    CHANNEL_CONTROL,  /* votes, answers, heartbeats */
    CHANNEL_ENTRIES,  /* appends with entries */
    CHANNEL_COMMANDS, /* forwarded commands and their replies */
    CHANNELS
};

const char *wire_channel_name(enum channel channel);

enum { HANDSHAKE_NONCE_SIZE = 16, HANDSHAKE_PROOF_SIZE = 32, HANDSHAKE_LINE_MAX = 512 };

struct handshake {
    uint64_t version;
    uint64_t cluster;
    raft_node_id dialer, acceptor;
    enum channel channel;
    unsigned char dialer_nonce[HANDSHAKE_NONCE_SIZE];
    unsigned char acceptor_nonce[HANDSHAKE_NONCE_SIZE];
    char client_address[RAFT_ADDRESS_SIZE]; /* where clients reach the dialer, host:port */
};

enum handshake_role { HANDSHAKE_DIALER, HANDSHAKE_ACCEPTOR };

void handshake_nonce(unsigned char nonce[HANDSHAKE_NONCE_SIZE]); /* from the system's generator */
void handshake_proof(const struct handshake *handshake, enum handshake_role role,
                     const char *secret, unsigned char proof[HANDSHAKE_PROOF_SIZE]);

void handshake_write_hello(struct buffer *out, const struct handshake *handshake);
void handshake_write_welcome(struct buffer *out, const struct handshake *handshake,
                             const char *secret);
void handshake_write_proof(struct buffer *out, const struct handshake *handshake,
                           const char *secret);

/* The readers return NULL or what is wrong, static text. */
const char *handshake_read_hello(struct handshake *handshake, const struct bytes *argv,
                                 uint32_t argc);
/* `line` without its CR LF, not an error line.  Fills in the acceptor's nonce, checks its proof. */
const char *handshake_read_welcome(struct handshake *handshake, struct bytes line,
                                   const char *secret);
const char *handshake_read_proof(const struct handshake *handshake, const struct bytes *argv,
                                 uint32_t argc, const char *secret);

#endif
