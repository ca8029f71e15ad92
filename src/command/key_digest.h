/* Digests of keys as DEBUG DIGEST has them (Redis 7.2 debug.c): equal where the contents are equal,
 * whatever the order in which a set or a hash keeps them, here and there.
 *
 * Deterministic; loop thread only. */
#ifndef COMMAND_KEY_DIGEST_H
#define COMMAND_KEY_DIGEST_H

#include "command/commands.h"

enum { DIGEST_SIZE = 20 }; /* SHA-1 */

struct digest {
    unsigned char bytes[DIGEST_SIZE];
};

/* Adds what the order does not matter of, */
void digest_xor(struct digest *digest, struct bytes bytes);
/* and what it does. */
void digest_mix(struct digest *digest, struct bytes bytes);
void digest_mix_number(struct digest *digest, uint32_t number);

/* How far the digest of one key has come; {0} begins. */
struct key_digest {
    struct digest digest;
    bool has_begun;
    uint64_t at;
};

/* A slice of it, of a key of call->database; what the digest has already, is mixed with.  A key
 * that is not there adds nothing.  True: it is complete. */
bool digest_key(struct call *call, struct bytes key, struct key_digest *state);

#endif
