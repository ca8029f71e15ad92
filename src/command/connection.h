/* One client connection, as the commands see it.  Owned by net/client.c. */
#ifndef COMMAND_CONNECTION_H
#define COMMAND_CONNECTION_H

#include <stdint.h>

#include "base/outbox.h"
#include "command/transaction.h"

enum { CONNECTION_SUBSCRIPTIONS = 5 };

/* CLIENT REPLY: SKIP silences the present command, SKIP_NEXT the present and the next one. */
enum connection_reply_mode {
    CONNECTION_REPLY_ON,
    CONNECTION_REPLY_OFF,
    CONNECTION_REPLY_SKIP_NEXT,
    CONNECTION_REPLY_SKIP
};

struct subscription;
struct tracking_held;

/* CLIENT TRACKING: tracking.c keeps it, but for the counters. */
struct connection_tracking {
    struct connection *prev, *next; /* while it is on, of all for which it is */
    unsigned flags;                 /* enum tracking_flags */
    uint64_t redirect;              /* the connection that is told in its place; 0: none */
    bool is_target;                 /* it is one that is told in another's place */
    uint64_t asked, answered;       /* reads and writes, and replies that are in `out` */
    struct tracking_held *held;     /* what comes behind replies that are not there; oldest first */
    size_t held_bytes;
};
struct watch;

struct connection {
    uint64_t id;        /* CLIENT ID */
    int protocol;       /* 2 or 3 */
    uint8_t database;   /* SELECT */
    bool authenticated; /* true when no password is configured */
    bool no_evict, no_touch;
    bool is_monitor;        /* MONITOR */
    bool may_debug;         /* it may say DEBUG: enable-debug-command */
    bool waits;             /* for what BLPOP or its like did not find */
    bool is_paused;         /* a command of it waits for the end of CLIENT PAUSE */
    bool close_after_reply; /* QUIT, a protocol error, CLIENT KILL of oneself */
    bool is_doomed;         /* it is about to be closed: nobody tells it anything any more */
    enum connection_reply_mode reply_mode;
    struct transaction transaction;
    /* By enum channel_kind; channels.c keeps them. */
    struct subscription *subscriptions[CONNECTION_SUBSCRIPTIONS];
    uint32_t subscribed[CONNECTION_SUBSCRIPTIONS]; /* how many */
    size_t subscribed_bytes;                       /* of their names */
    struct connection_tracking tracking;
    uint64_t position;   /* of the log, behind which SUBSCRIBE begins: as the leader said */
    struct watch *watch; /* RAFT.WATCH: watch.h; owned, NULL: none */
    char *name;          /* CLIENT SETNAME; owned, NULL: none */
    char *lib_name;      /* CLIENT SETINFO; owned, NULL: none */
    char *lib_version;
    char address[64]; /* ip:port of the client */
    char local_address[64];
    int64_t created_ms; /* Unix time */
    int64_t last_active_ms;
    const char *last_command; /* name in the table, NULL: none yet */
    uint64_t commands;        /* processed */
    struct outbox out;        /* replies not yet sent; commands append to out.bytes */
    int fd;
    /* For CLIENT LIST, up to date while clients are listed: bytes of the input buffer, and of
     * all. */
    size_t query_bytes, query_free_bytes, memory_bytes;
    size_t argv_bytes; /* of the words of the command under way */
    bool writing;      /* waits for its socket */
};

/* Whether the reply of the command last classified is to be thrown away. */
static inline bool connection_is_silent(const struct connection *connection)
{
    return connection->reply_mode != CONNECTION_REPLY_ON;
}

/* messages.c */
bool connection_is_subscribed(const struct connection *connection);

void connection_init(struct connection *connection); /* protocol 2, nothing set */
void connection_deinit(struct connection *connection);
/* RESET: back to the state after the connection was accepted. */
void connection_reset(struct connection *connection, bool needs_password);

#endif
