/* One other member, and what its files share.
 *
 *   peer.c     all members; the transport; losses
 *   peer_members.c  who they are: the list in force, and guests
 *   link.c     one outgoing connection: dialing, handshake, output
 *   peer_join.c  one that asks to be taken in
 *   promises.c  answers that leave without the loop
 *   inbound.c  one incoming connection: handshake, messages
 */
#ifndef NET_PEER_INTERNAL_H
#define NET_PEER_INTERNAL_H

#include <event2/dns.h>
#include <pthread.h>

#include "net/handshake.h"
#include "net/peer.h"
#include "net/stream.h"
#include "net/wire.h"
#include "resp/parser.h"

/*              link_tick()          connected            +OK nonce          +OK proof
 *   LINK_DOWN ------------> LINK_DIALING -------> LINK_HELLO ---------> LINK_PROVE ----> LINK_UP
 *      ^                         |                    |                     |              |
 *      +---- link_close(): failed, refused, timed out, closed, stalled -----+--------------+
 */
enum link_state { LINK_DOWN, LINK_DIALING, LINK_HELLO, LINK_PROVE, LINK_UP };

struct link {
    struct peer *peer;
    enum channel channel;
    enum link_state state;
    struct stream stream;
    struct evdns_getaddrinfo_request *resolving; /* while a host name is looked up */
    struct handshake handshake;
    struct buffer in;    /* the acceptor's lines */
    struct outbox out;   /* written only while UP: nothing is told to one who proved nothing */
    int64_t progress_ms; /* while the stream is full: when it last took something */
    int64_t dialed_ms;   /* not DOWN, not UP: the handshake's time runs from here */
    int64_t up_ms;       /* UP: since then */
    int64_t retry_ms;    /* DOWN: not before this */
    uint32_t backoff_ms; /* 0: the next failure is the first */
    char complaint[256]; /* the last failure that was logged: not logged twice in a row */
};

struct inbound {
    struct peers *peers;
    struct inbound *prev, *next; /* in peers->inbounds */
    struct peer *peer;           /* NULL: nothing proved yet */
    struct stream stream;
    struct resp_parser *parser;
    struct buffer in;
    size_t parsed;
    struct wire_input input;
    bool greeted;     /* RR.HELLO was accepted; RR.PROVE is awaited */
    uint64_t joining; /* a request of this client is under way for it; 0: none */
    uint64_t origin;  /* see inbound.c */
    struct handshake handshake;
    int64_t accepted_ms;
    char address[64];
};

struct peer {
    struct peers *peers;
    const struct raft_member *member; /* &held; NULL: nobody has this place */
    struct raft_member held;
    int64_t until_ms; /* of one that is not in the list in force: then it goes; else 0 */
    struct link links[CHANNELS];
    struct inbound *inbounds[CHANNELS]; /* NULL: not connected */
    char client_address[RAFT_ADDRESS_SIZE];
    bool lost_entries; /* an append was dropped in this turn */
};

/* In what a node is told that is not let in for what it is: so it knows. */
#define SAID_WHY_ANOTHER                                                                           \
    "the member lists differ, or the backups they are made of, or one was made by "                \
    "force-new-cluster"
#define SAID_OTHER_NAME                                                                            \
    "this is another cluster (two were made of the same list of members, or of the same backup)"
#define SAID_NO_MEMBER "not a member"
#define SAID_WAY_BACK "with an empty directory and --join it becomes a new member"
#define SAID_OTHER_LIFE "another data directory"

/* Members, and guests: see peer_members.c. */
enum { GUESTS_MAX = RAFT_MEMBERS_MAX, PEERS_MAX = RAFT_MEMBERS_MAX + GUESTS_MAX };

/* promises.c */
enum { PROMISES_MAX = 16, PROMISE_SIZE = 192 };

struct promise {
    uint64_t seq; /* of the write that it waits for */
    struct raft_message message;
    size_t size;
    unsigned char bytes[PROMISE_SIZE];
};

struct promises {
    pthread_mutex_t mutex; /* for all below */
    struct link *link;     /* of all of them; NULL: none.  Only the loop changes it, and looks at it
                              without the mutex */
    struct promise list[PROMISES_MAX]; /* seq rising */
    uint32_t count;
    uint64_t durable; /* the write that the thread was here for last */
    bool is_in_midst; /* the loop has written part of a message */
    bool is_torn;     /* the thread has */
    bool has_said;    /* `said`, on this connection */
    struct raft_message said;
    uint64_t said_bytes; /* since the start */
};

struct peers {
    struct transport transport; /* first */
    struct peers_options options;
    struct replica *replica;
    struct peer list[PEERS_MAX];
    struct raft_members followed; /* the list that `list` was made after */
    struct inbound *inbounds;     /* all of them, in the order in which they came; utlist */
    uint32_t complaints;          /* about strangers, in the second from complaints_ms on */
    int64_t complaints_ms;
    char refused[256]; /* who was refused last, and when: not said again at each attempt */
    int64_t refused_ms;
    struct evdns_base *dns;       /* NULL until a host name must be looked up */
    uint32_t lookups;             /* under way */
    uint64_t prng;                /* for jitter */
    uint64_t joins;               /* that asked, since the start */
    struct peers_traffic traffic; /* without what was promised */
    struct promises *promises;    /* owned */
};

struct peer *peer_find(struct peers *peers, raft_node_id node); /* NULL: nobody, or us */
/* The connections are those of the list in force. */
void peers_follow(struct peers *peers);
/* The replica hears what it said when it connected. */
void peer_introduce(struct peer *peer, const struct handshake *hello);
/* One that proved that it belongs to the cluster; NULL, and why, if there is no place for it. */
struct peer *peers_take_in(struct peers *peers, const struct handshake *hello, const char **error);
/* NULL, or why a node that says this of itself is not let in: into `text`, where it has no static
 * words. */
/* It says that its cluster has another name than ours. */
bool peers_are_of_another(const struct peers *peers, const struct handshake_node *said);
const char *peers_judge(const struct peers *peers, raft_node_id node,
                        const struct handshake_node *said, char *text, size_t size);
/* Of a node that has proved itself: NULL, or that it has an old copy of its directory. */
const char *peers_remember(const struct peers *peers, raft_node_id node,
                           const struct handshake_node *said);
struct handshake_node peers_own_node(const struct peers *peers);
void peer_link_lost(struct link *link); /* it was up */
void peer_inbound_lost(struct peer *peer, enum channel channel);
void peer_refuses(struct peer *peer); /* nobody listens at its address */

struct promises *peers_promises_new(void);
/* Once the connections are closed. */
void peers_promises_free(struct promises *promises);
bool peers_promise(struct peers *peers, struct link *link, const struct raft_message *message,
                   uint64_t seq);
void peers_take_back(struct peers *peers);
bool peers_has_said(struct peers *peers, const struct raft_message *message);
uint64_t peers_said_bytes(const struct peers *peers);
/* Around what the loop writes to it.  False: it is to be closed. */
bool link_hold(struct link *link) __attribute__((warn_unused_result));
void link_let_go(struct link *link);
void link_forget_promises(struct link *link);

void link_init(struct link *link, struct peer *peer, enum channel channel);
void link_deinit(struct link *link);
void link_tick(struct link *link, int64_t now_ms);
void link_flush(struct link *link);
void link_close(struct link *link, const char *why);

/* peer_join.c: of one that asks to be taken in, and has proved itself. */
void inbound_join(struct inbound *inbound);
void inbound_join_forget(struct inbound *inbound);

void inbound_say(struct inbound *inbound, struct buffer *text); /* frees both */
void inbound_accept(struct peers *peers, int fd);
void inbound_tick(struct inbound *inbound, int64_t now_ms);   /* may free it */
void inbound_close(struct inbound *inbound, const char *why); /* frees it */
void inbound_free(struct inbound *inbound);

#endif
