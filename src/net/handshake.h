/* How two nodes meet.  Four lines, then the connection carries messages from the dialer to the
 * acceptor only:
 *
 *   dialer    RR.HELLO version cluster me target channel nonce client-address [name=value ...]
 *   acceptor  +OK nonce [name=value ...]   or  -ERR why, and the connection is closed
 *   dialer    RR.PROVE proof
 *   acceptor  +OK proof                    or  -ERR why
 *
 * RR lines are RESP commands, what is said in them are words; the acceptor's lines are words with a
 * space between two.  Numbers are decimal, but the cluster, nonces and proofs, which are lower-case
 * hex.  A hello says meaning=N, the highest that the dialer can execute (replica/meaning.c);
 * without it, 1.  Both sides say what they are: life=HEX of the data directory, starts=N of it,
 * list=N where the list of members that is in force there stands in the log, name=HEX of the
 * cluster, where it knows one (command/naming.h), and in a hello peer=ADDRESS, where it can be
 * dialed; an older build says none of it.  Words that a reader does
 * not know, at the end of a hello or a welcome, it skips: a later version may say more of itself,
 * name=value, without being another protocol.
 *
 * A proof is HMAC-SHA256 with peer-secret as its key:
 *
 *   offset  size
 *        0     1  'D': the dialer's, 'A': the acceptor's
 *        1    32  what both said: SHA-256 over the hello's words, then over that and the welcome's
 *                 (32 bytes of what came before, at first 0; the number of words; each word's size
 *                 and bytes.  Numbers: 4 bytes, little-endian.  "RR.HELLO" and "+OK" count as
 *                 words)
 *
 * So it covers every word: version, cluster, both nodes, the channel, both nonces, and what a
 * reader skipped.  The secret is never sent; each side's fresh nonce makes a recorded proof
 * worthless, the role keeps one side's proof from being sent back to it, the nodes and the channel
 * keep it from being used elsewhere.  One who stands between two nodes and passes everything on
 * proves nothing of himself, but is not found either: what follows the handshake is neither
 * encrypted nor signed.
 *
 * The dialer proves first.  Whoever can reach a peer port could otherwise take home a proof and
 * guess a weak secret by it, at leisure; now only one who is dialed can, so who has a member's
 * address.  Until the acceptor has proved itself too, it is told nothing else.  And with a
 * peer-secret a refusal names neither our cluster nor a node, to a dialer who proved nothing.
 *
 * Without a peer-secret the key is empty: then a proof shows only that the other side has none
 * either.
 *
 * Pure functions on memory, but for handshake_nonce(). */
#ifndef NET_HANDSHAKE_H
#define NET_HANDSHAKE_H

#include <stdint.h>

#include "base/buffer.h"
#include "raft/raft.h"

/* Separate connections, so that neither a large value nor a queue of commands delays a
 * heartbeat. */
enum channel {
    CHANNEL_CONTROL,  /* votes, answers, heartbeats */
    CHANNEL_ENTRIES,  /* appends with entries */
    CHANNEL_COMMANDS, /* forwarded commands and their replies */
    CHANNELS,
    CHANNEL_JOIN = CHANNELS, /* of one that is no member yet, and asks: see peer_join.c */
    CHANNEL_NAMES
};

const char *wire_channel_name(enum channel channel);

enum {
    HANDSHAKE_NONCE_SIZE = 16,
    HANDSHAKE_PROOF_SIZE = 32,
    HANDSHAKE_WORDS_MAX = 16, /* of a hello or a welcome */
    HANDSHAKE_LINE_MAX = 512  /* of the acceptor's lines */
};

/* What a node says of itself; zeros: nothing. */
struct handshake_node {
    uint64_t life;   /* random, of its data directory */
    uint64_t starts; /* of that directory */
    raft_index list; /* where its list of members stands */
    uint64_t name;   /* of its cluster */
};

struct handshake {
    uint64_t version;
    uint64_t cluster;
    raft_node_id dialer, acceptor;
    enum channel channel;
    unsigned char dialer_nonce[HANDSHAKE_NONCE_SIZE];
    unsigned char acceptor_nonce[HANDSHAKE_NONCE_SIZE];
    char client_address[RAFT_ADDRESS_SIZE]; /* where clients reach the dialer, host:port */
    char peer_address[RAFT_ADDRESS_SIZE];   /* where members do; "": it does not say */
    struct handshake_node dialer_node, acceptor_node;
    uint8_t meaning;                          /* of the dialer; never 0 */
    unsigned char said[HANDSHAKE_PROOF_SIZE]; /* digest of the hello and the welcome; see above */
};

enum handshake_role { HANDSHAKE_DIALER, HANDSHAKE_ACCEPTOR };

void handshake_nonce(unsigned char nonce[HANDSHAKE_NONCE_SIZE]); /* from the system's generator */
/* Of a handshake whose hello and welcome were said. */
void handshake_proof(const struct handshake *handshake, enum handshake_role role,
                     const char *secret, unsigned char proof[HANDSHAKE_PROOF_SIZE]);

/* In this order.  Each adds its line, with CR LF, to `out`; the first two note what was said. */
void handshake_write_hello(struct buffer *out, struct handshake *handshake);
void handshake_write_welcome(struct buffer *out, struct handshake *handshake);
void handshake_write_proof(struct buffer *out, const struct handshake *handshake,
                           const char *secret);
void handshake_write_answer(struct buffer *out, const struct handshake *handshake,
                            const char *secret);

/* The readers return NULL or what is wrong, static text.  `line` comes without its CR LF, and is
 * not an error line. */
const char *handshake_read_hello(struct handshake *handshake, const struct bytes *argv,
                                 uint32_t argc);
/* Fills in the acceptor's nonce, and what it says of itself. */
const char *handshake_read_welcome(struct handshake *handshake, struct bytes line);
const char *handshake_read_proof(const struct handshake *handshake, const struct bytes *argv,
                                 uint32_t argc, const char *secret);
const char *handshake_read_answer(const struct handshake *handshake, struct bytes line,
                                  const char *secret);

#endif
