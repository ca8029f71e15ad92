/* What channels.c and tracking.c share. */
#ifndef COMMAND_CHANNELS_INTERNAL_H
#define COMMAND_CHANNELS_INTERNAL_H

#include "base/fatal.h"
#include "base/hash_table.h"
#include "base/memory.h"
#include "command/channels.h"
#include "command/connection.h"

#define uthash_malloc(size) memory_new(size)
#define uthash_free(at, size) memory_free(at)
#define uthash_fatal(text) fatal("channels: %s", text)
#include <uthash.h>
#include <utlist.h>

struct channel {
    struct hash_link link;       /* by name, among those of its kind; first */
    struct channel *prev, *next; /* of these, oldest first */
    enum channel_kind kind;
    uint64_t flushes;                   /* how many there were when it was made */
    struct subscription *subscriptions; /* utlist, oldest first */
    uint32_t count;
    size_t size;
    char name[];
};

struct subscription_key {
    struct channel *channel;
    struct connection *connection;
};

struct subscription {
    struct hash_link link; /* by key; first */
    struct subscription_key key;
    struct subscription *prev, *next;           /* of the channel */
    struct subscription *mine_prev, *mine_next; /* of the connection */
    uint64_t since;                             /* the entries behind it are told */
};

struct receivers {
    uint64_t index;
    uint32_t nth, count;
};

/* What an entry did; listener.author is the connection that asked for it, if that is of this
 * node. */
typedef void channels_change_fn(struct channels *channels, uint64_t index,
                                const struct db_effect *effect);

struct channels {
    struct command_listener listener; /* first */
    /* There may be a million of each, which one client has made: tables that never have to be
     * moved at once. */
    struct channel *all[CHANNEL_KINDS]; /* utlist */
    struct hash_table names[CHANNEL_KINDS];
    struct hash_table subscriptions;
    uint64_t secret; /* of the hashes in them */
    void (*told)(struct connection *connection);
    unsigned events;                /* which are published: events.h */
    uint64_t index;                 /* of the entry that published last, */
    uint32_t next;                  /* and the number of its next message, without scripts' */
    struct receivers *receivers;    /* a ring of the last, oldest overwritten; NULL: none yet */
    uint64_t receivers_end;         /* how many were ever in it */
    struct connection *tracking;    /* those with CLIENT TRACKING ON; utlist, */
    uint32_t trackers;              /* how many, */
    channels_change_fn *on_change;  /* and who tells them of changes; set while there are any */
    uint32_t counts[CHANNEL_KINDS]; /* subscriptions */
    uint64_t tracked_max;           /* keys that are remembered; 0: any number */
    uint64_t told_index;            /* of the entry, and the key, that those with a prefix were */
    struct buffer told_key;         /* told of last */
    uint64_t told_all_index;        /* of the entry that told all of everything last */
    uint64_t flushes;               /* of databases, told; tracked keys of before are forgotten: */
    struct channel *forgotten;      /* they are in no table and not counted; utlist */
    struct target *targets;         /* of REDIRECT, by id */
};

/* NULL: nobody is subscribed to it. */
struct channel *channels_find(const struct channels *channels, enum channel_kind kind,
                              struct bytes name);
struct bytes channels_name(const struct channel *channel);
void channels_end(struct channels *channels, struct subscription *subscription);
/* All tracked keys, at once: what is left of them goes with channels_forget_some(). */
void channels_forget_tracked(struct channels *channels);

#endif
