/* One client, and what its files share.
 *
 *   clients.c   all clients: accepting, the end of a turn, limits, time
 *   client.c    one connection: reading, writing, closing
 *   client_execute.c  commands: parse, classify, order, execute
 *   client_watch.c    pushes changes to those who watch
 *   client_wait.c   waiting in BLPOP and its like
 *   client_pause.c  CLIENT PAUSE
 *   client_check.c  waiting in RAFT.CHECK
 *   client_monitor.c  shows what clients say to those who monitor
 *
 * States of a connection, with the function of each transition:
 *
 *   serving --QUIT, protocol error--> leaving: no more is read, closed when all is sent
 *      |   \--end of input----------> ending: what was read is still executed, then leaving
 *      |    \-a command must wait---> blocked: client_execute() .. a reply .. clients_turn()
 *      |\-CLIENT PAUSE, RAFT.CHECK-> paused: the same, but read from, so that its end is seen
 *      |\-BLPOP and its like--------> waiting: client_wait_begin() .. on_done(); it is read from,
 *      |                              so that its end is seen, and nothing is executed
 *      +--error, kill, limit--------> doomed: closed by clients_turn(), unsent output is lost
 *
 * Callbacks of the replica never close a client, they only doom it: its memory stays valid until
 * clients_turn(). */
#ifndef NET_CLIENT_INTERNAL_H
#define NET_CLIENT_INTERNAL_H

#include "command/command.h"
#include "net/client.h"
#include "net/pipeline.h"
#include "net/stream.h"
#include "resp/parser.h"

/* About a century; libevent's times have an end. */
#define CLIENT_WAIT_LONGEST_MS (100ll * 365 * 24 * 3600 * 1000)

/* What a client that waits is answered when it is cancelled. */
enum client_wait_end {
    WAIT_TIMED_OUT, /* null */
    WAIT_UNBLOCKED, /* CLIENT UNBLOCK id ERROR */
    WAIT_STOPPED    /* nothing: it is closed */
};

struct client {
    struct connection connection; /* first: client of its connection */
    struct clients *clients;
    struct client *prev, *next;                 /* in clients->all */
    struct client *turn_prev, *turn_next;       /* in clients->turn while in_turn */
    struct client *watch_prev, *watch_next;     /* in clients->watching while is_watching */
    struct client *monitor_prev, *monitor_next; /* in clients->monitoring while is_monitoring */
    struct stream stream;
    struct resp_parser *parser;
    struct buffer in;
    size_t parsed;       /* bytes of `in` that were executed */
    size_t command_size; /* of the command behind them, which waits; 0: not taken apart yet */
    uint64_t whole_turn; /* of one of very many words: in which it was seen to be whole; 0: not */
    struct command_encoding encoding; /* of a large one: as it will be asked for */
    bool to_encode;                   /* it is executed when that is whole */
    uint32_t words_done;              /* of that command, if it is divided: these were executed */
    bool piece_failed;                /* of one that is divided: the rest is not executed */
    size_t out_capacity;              /* of the run of small replies, when it was last looked at */
    struct pipeline pipeline;
    struct request *awaited;   /* in it: nothing may follow before its reply is there; or NULL */
    struct event *wait_timer;  /* of one that waits not for ever; owned, or NULL */
    struct event *sleep_timer; /* in DEBUG SLEEP; owned, or NULL */
    bool has_slept;            /* that command is over */
    enum client_wait_end wait_end;
    bool wait_is_cancelled;
    uint64_t check_id;      /* of the check that it waits for; 0: none */
    int64_t check_until_ms; /* monotonic: and no longer */
    int64_t active_ms;      /* monotonic: the last bytes from the client */
    int64_t answered_ms;    /* monotonic: when a request of it was last done; 0: none was */
    int64_t soft_ms;        /* output has been over the soft limit since; 0: it is not */
    const char *doom;       /* why it is to be closed; NULL: it is not */
    bool in_turn;
    bool blocked; /* a complete command waits for the pipeline to drain */
    bool stalled; /* blocked because the replica has no room; looked at again when it has */
    bool full;    /* commands wait for replies to be sent */
    bool ended;   /* the client sent its last byte */
    bool limits_authenticated;
    bool is_watching;   /* RAFT.WATCH */
    bool is_monitoring; /* MONITOR */
    bool says_position; /* it was not told for a while where the log is */
    char invalid[96];   /* protocol error to be sent once the pipeline has drained; "": none */
};

/* CLIENT PAUSE: */
enum pause { PAUSE_NOTHING, PAUSE_WRITES, PAUSE_ALL };

struct clients_pause {
    enum pause what;
    int64_t end_ms;      /* monotonic; 0: none */
    struct event *timer; /* owned, or NULL */
};

/* How fast a counter grew of late. */
struct clients_rate {
    uint64_t before; /* the counter at the last sample */
    uint64_t samples[16];
};

struct clients {
    struct clients_options options;
    struct client *all;        /* utlist */
    struct client *turn;       /* those with something to do at the end of the turn */
    struct client *watching;   /* utlist */
    struct client *monitoring; /* utlist */
    uint64_t watched;          /* changes, when they were woken last */
    uint32_t count;
    uint32_t stalled_count;
    uint32_t waiting_count, paused_count, checking_count;
    uint32_t timed_count; /* of those that wait: not for ever */
    struct clients_pause pause;
    uint64_t next_id;
    size_t unsent_max; /* bytes of replies that may wait for one; tests set less */
    bool quiet;        /* a stop is under way: nothing is read */
    struct clients_stats stats;
    /* of the present turn; follower-mode other than proxy asks for every command */
    struct replica_status status;
    bool status_known;
    bool submitted;       /* the replica got something that it has not run with */
    uint64_t turn_number; /* rises after each replica_run() */
    uint32_t leaves_left; /* subscriptions that this turn may end, of clients that have many */
    size_t encode_left;   /* bytes of large commands that it may encode, of all clients */
    int64_t cron_ms;
    int64_t attack_logged_ms; /* 0: not yet */
    struct {
        int64_t at_ms;
        uint32_t next;
        struct clients_rate commands, input, output;
        struct clients_rate cycles, busy_us, peer_input, peer_output;
    } sampler;
};

/* client.c */
struct client *client_new(struct clients *clients, int fd);
void client_free(struct client *client); /* closes */
void client_doom(struct client *client, const char *why);
void client_wants_turn(struct client *client);
void client_flush(struct client *client);
void client_update_limits(struct client *client);
void client_let_go_of_input(struct client *client); /* if all of it is executed */
void client_shrink(struct client *client);

static inline size_t client_unsent(const struct client *client)
{
    return outbox_size(&client->connection.out);
}

/* Over it no more commands are executed. */
static inline bool client_is_full(const struct client *client)
{
    return client_unsent(client) >= client->clients->unsent_max;
}

/* May commands be read and executed now? */
bool client_is_open(const struct client *client);
/* May it be read from? */
bool client_is_read(const struct client *client);

/* client_wait.c */
void client_wait_begin(struct client *client, int64_t wait_ms); /* 0: for ever */
void client_wait_cancel(struct client *client, enum client_wait_end end);
/* It came to an end. */
void client_wait_over(struct client *client);
/* What the client is answered, where its request was cancelled; of a read, which then answers what
 * it finds, that unless the client is to be told something else. */
struct bytes client_wait_text(struct client *client);
struct bytes client_wait_reply(struct client *client, struct bytes reply);
/* Whether its end would not be seen, since more came than is read while it waits, and came. */
bool client_wait_has_ended(const struct client *client);

/* client_pause.c */
/* True: it has to wait for the end of the pause. */
bool client_is_paused(struct client *client, enum command_class class,
                      const struct command *command);
void client_set_paused(struct client *client, bool is_paused);
/* True: it is DEBUG SLEEP, and waits by itself. */
bool client_sleeps(struct client *client, enum command_class class, const struct command *command,
                   const struct bytes *argv, uint32_t argc);
void client_sleep_over(struct client *client); /* nothing if it does not sleep */

/* client_check.c */
/* True: it is RAFT.CHECK, which has to wait. */
bool client_waits_for_check(struct client *client, enum command_class class,
                            const struct command *command, const struct bytes *argv, uint32_t argc);
void client_check_end(struct client *client); /* it waits no longer, if it did */
void clients_check_tick(struct clients *clients);

/* client_watch.c */
void client_watch_feed(struct client *client);  /* with a turn, before it is flushed */
void client_watch_close(struct client *client); /* with its client */
void clients_wake_watching(struct clients *clients);

/* client_monitor.c */
void client_monitor_set(struct client *client, bool is_monitoring);
/* What the client said, to those who monitor. */
void client_monitor_tell(struct client *client, const struct command *command,
                         const struct bytes *argv, uint32_t argc);

/* clients.c */
void client_check_output_limit(struct client *client); /* may doom it */

/* client_execute.c */
void client_execute(struct client *client);
void client_execute_put_off(struct client *client);

#endif
