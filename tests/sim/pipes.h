/* What network.c and links.c share: one direction between two machines, for one kind of messages.
 * The one at `from` dials; what it says rides on the connection that it made. */
#ifndef TESTS_SIM_PIPES_H
#define TESTS_SIM_PIPES_H

#include "net/peer_internal.h"
#include "sim.h"

/* Some bytes under way: of a stream, or one message. */
struct segment {
    uint32_t from, to;         /* machines */
    uint32_t sender, receiver; /* the directories there when it was sent */
    enum channel channel;
    uint64_t connection;
    size_t size;
    char bytes[];
};

struct pipe {
    uint64_t connection;   /* number; rises when one is dialed, and when it breaks */
    struct link *link;     /* the dialer's end, as it knows: of connection `dialed`; NULL: none */
    struct inbound *heard; /* the acceptor's, of connection `accepted` */
    uint64_t dialed, accepted;
    uint32_t acceptor, dialer; /* whose directories these are */
    int64_t last_arrival_us;
    struct segment **inbox; /* arrived and not read: a paused process reads them later, in order */
    uint32_t count, capacity;
    bool polled;      /* an event comes back to it */
    bool fragile;     /* breaks when some pieces of a payload have come and not all */
    uint64_t reading; /* the connection that the reader belongs to */
    struct resp_parser *parser;
    struct wire_input input;
    struct buffer in;
};

/* Messages of Raft and of snapshots share one, which is called CHANNEL_CONTROL here; there is no
 * CHANNEL_ENTRIES. */
struct pipe *sim_pipe(enum channel channel, uint32_t from, uint32_t to);
bool sim_network_is_cut(uint32_t from, uint32_t to);
int64_t sim_network_delay(void);
/* When what is sent now arrives, behind all before it. */
int64_t sim_pipe_delay(struct pipe *pipe);
/* The end of what is on its way; both ends notice, later. */
void sim_pipes_break(uint32_t one, uint32_t other, bool raft, bool commands, int64_t notice_us);

/* The pipe to that node, with its machine; NULL: not connected. */
struct pipe *sim_link_up(const struct sim_node *node, raft_node_id to, enum channel channel,
                         uint32_t *machine);
/* The same, or it has proved itself and waits for the answer. */
struct pipe *sim_link_proved(const struct sim_node *node, raft_node_id to, enum channel channel,
                             uint32_t *machine);
/* The other end is gone: what is at this end of connections that broke goes. */
void sim_links_broken(struct sim_node *node, uint32_t other);
void sim_links_gone(struct sim_node *node, uint32_t other); /* nobody listens there */
/* Of a process that ends: without a word to the others. */
void sim_links_end(struct sim_node *node);

#endif
