/* CLIENT TRACKING: who may have what in a cache of its own, and is told when it changes.
 *
 * A key is noted when a read of it is *sent*, and changes are told when this node applies them.
 * The leader may answer from a state that this node has not applied yet, never from one that is
 * older than what it had applied when the read was sent.  So whatever changes a value behind the
 * reply is applied here after the key was noted, and the client is told.  What is told while
 * something of the client is under way waits until the replies are there: an invalidation never
 * comes before the reply that it makes worthless.  (One that comes for a change that the reply
 * shows already only costs the client another read.)
 *
 * Loop thread only. */
#ifndef COMMAND_TRACKING_H
#define COMMAND_TRACKING_H

#include "command/channels.h"

enum tracking_flags {
    TRACKING_ON = 1 << 0,
    TRACKING_BCAST = 1 << 1,
    TRACKING_OPTIN = 1 << 2,
    TRACKING_OPTOUT = 1 << 3,
    TRACKING_NOLOOP = 1 << 4,
    TRACKING_CACHING = 1 << 5, /* CLIENT CACHING: of the next command */
    TRACKING_BROKEN = 1 << 6   /* who was to be told in its place is gone */
};

/* At most so many keys are remembered; of more the oldest are told as changed.  0: any number.
 * Where there are more already they go with the next reads, many with each. */
void tracking_set_max(struct channels *channels, uint64_t keys);
/* A read is about to be sent: to be called before that. */
void tracking_remember(struct channels *channels, struct connection *connection,
                       const struct command *command, const struct bytes *argv, uint32_t argc);
/* connection->tracking.answered has risen: what waited for that is told. */
void tracking_release(struct channels *channels, struct connection *connection);
/* CLIENT TRACKING ON and OFF, and who is told in another's place. */
void tracking_begin(struct channels *channels, struct connection *connection);
void tracking_end(struct channels *channels, struct connection *connection);
void tracking_add_target(struct channels *channels, struct connection *connection);
/* Its id; 0: the client itself is told; -1: it does not track. */
int64_t tracking_redirect(const struct connection *connection);
/* The connection ends: tracking_end(), channels_leave(), and nobody is told in another's place by
 * it. */
void tracking_leave(struct channels *channels, struct connection *connection);

/* For INFO. */
struct tracking_counts {
    uint64_t clients, keys, items, prefixes;
};
struct tracking_counts tracking_count(const struct channels *channels);

#endif
