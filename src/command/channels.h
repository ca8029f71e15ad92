/* Who on this node is subscribed to what, and who is told of a published message.
 *
 * A message goes through the log, so every node has all of them in one order, with the writes
 * around them: it is told to the subscribers of a node as an effect of its entry, when that is
 * applied there, before the entry counts as applied.  Subscriptions belong to connections; nothing
 * of them is in the log or in the replicated state.
 *
 * One that subscribes gets what is published after that: SUBSCRIBE asks the leader for the position
 * of the log (messages.c), and older messages, which a node that is behind or starts again still
 * has to apply, are not for it.
 *
 * Loop thread only. */
#ifndef COMMAND_CHANNELS_H
#define COMMAND_CHANNELS_H

#include "command/command.h"

struct channels;

enum channel_kind {
    CHANNEL_PLAIN,
    CHANNEL_PATTERN, /* its name is a pattern of names of plain ones */
    CHANNEL_SHARDED, /* SSUBSCRIBE: names of their own */
    /* Of CLIENT TRACKING: tracking.h. */
    CHANNEL_TRACKED, /* a key that the connection may have read */
    CHANNEL_PREFIX,  /* of the keys that it wants to hear of */
    CHANNEL_KINDS
};

/* The secret, a random number of the process, is for the tables of names, which clients choose. */
struct channels *channels_new(uint64_t secret);
/* Nobody is subscribed any more. */
void channels_free(struct channels *channels);
/* `told` is called when something was appended to connection->out that is no reply; NULL: nobody
 * is. */
void channels_wake(struct channels *channels, void (*told)(struct connection *connection));
/* What entries tell. */
struct command_listener *channels_listener(struct channels *channels);

/* Which changes are published as keyspace events: letters as in notify-keyspace-events. */
void channels_set_events(struct channels *channels, const char *letters);

/* To what entries behind `since` publish.  False: it was subscribed already. */
bool channels_subscribe(struct channels *channels, struct connection *connection,
                        enum channel_kind kind, struct bytes name, uint64_t since);
/* False: it was not subscribed. */
bool channels_unsubscribe(struct channels *channels, struct connection *connection,
                          enum channel_kind kind, struct bytes name);
/* The oldest subscription of the connection that is of this kind; size 0 and NULL: there is none.
 * Borrowed until that ends. */
struct bytes channels_first(const struct connection *connection, enum channel_kind kind);
/* From those that are of the kind `from` or of one behind it, `left` of them at most; what ended is
 * taken from it.  True: none remains. */
bool channels_leave_some(struct channels *channels, struct connection *connection,
                         enum channel_kind from, uint32_t *left);
/* Tracked keys that FLUSHALL made worthless are forgotten at once, but are memory until they go
 * here, `left` of them at most.  True: none remains. */
bool channels_forget_some(struct channels *channels, uint32_t *left);
/* Of which kind, and those behind it, a command ends all subscriptions: RESET, CLIENT TRACKING OFF.
 * CHANNEL_KINDS: of none.  So they can be ended before, some at a time. */
enum channel_kind channels_ended_by(const struct command *command, const struct bytes *argv,
                                    uint32_t argc);
/* From all of them: of one that tracks nothing (tracking_end()). */
void channels_leave(struct channels *channels, struct connection *connection);

/* How many got the `nth` message (from 0) of the entry at `index`, on this node; 0 also if that is
 * longer ago than is remembered. */
uint32_t channels_receivers(const struct channels *channels, uint64_t index, uint32_t nth);

/* Those of a kind that have subscribers, and how many one has. */
uint32_t channels_count(const struct channels *channels, enum channel_kind kind);
typedef void channels_fn(void *context, struct bytes name);
void channels_each(const struct channels *channels, enum channel_kind kind, channels_fn *each,
                   void *context);
/* Those of a connection. */
void channels_each_of(const struct connection *connection, enum channel_kind kind,
                      channels_fn *each, void *context);
uint32_t channels_subscribers(const struct channels *channels, enum channel_kind kind,
                              struct bytes name);

#endif
