/* Drives the C core through a random schedule and prints one line for each step: what went in, the state after it,
 * the messages that came out. oracle.ml replays the lines on the functions extracted from Handlers.v.
 *
 * Messages are delivered in any order, any number of times or never; writes become durable late, in their order; a crash
 * keeps the acknowledged writes and any number of those under way; now and then a node is cut off. Entries are only taken by their terms. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft/raft.h"

enum { NODES_MAX = 5, NET = 256, LOG = 512, WRITES = 4096, STEPS = 600 };

struct packet {
    struct raft_message message;
    struct raft_entry entries[64];
};

/* What a disk would read back if this write was its last. */
struct disk {
    raft_term term;
    raft_node_id vote;
    raft_index applied;
    uint32_t length;
    raft_term terms[LOG];
};

struct node {
    struct raft *raft;
    struct disk now;       /* with all writes, durable or not */
    struct disk kept[WRITES]; /* by number of write since the start; [0]: at the start */
    uint64_t issued, durable;
};

static struct node nodes[NODES_MAX];
static struct packet net[NET];
static unsigned net_count;
static uint32_t count;
static uint64_t next_read;
static uint32_t cut_off; /* this node's messages are lost; `count`: nobody's */

static unsigned below(unsigned n)
{
    return (unsigned)rand() % n;
}

static void start(uint32_t i)
{
    static struct raft_entry entries[LOG];
    struct node *n = &nodes[i];
    struct raft_config config = {.id = i, .election_ticks = 10, .heartbeat_ticks = 3, .inflight_max = 4,
        .append_entries_max = 3, .append_bytes_max = 1000, .uncommitted_bytes_max = 1000000,
        .seed = (uint64_t)rand()};
    struct raft_saved saved = {.term = n->now.term, .voted_for = n->now.vote, .applied = n->now.applied,
        .entries = entries, .entries_count = n->now.length};
    for (uint32_t k = 0; k < n->now.length; k++)
        entries[k] = (struct raft_entry){.pos = {n->now.terms[k], k + 1}};
    saved.members.count = count;
    for (uint32_t k = 0; k < count; k++)
        saved.members.list[k] = (struct raft_member){.id = k, .voter = true};
    n->raft = raft_new(&config, &saved);
    n->kept[0] = n->now;
    n->issued = n->durable = 0;
}

static void print_message(const struct raft_message *m)
{
    printf(" ; %d %d %d", (int)m->type, (int)m->to, (int)m->term);
    switch (m->type) {
    case RAFT_VOTE_REQUEST:
        printf(" %d %d %d", (int)m->vote_request.last.index, (int)m->vote_request.last.term, m->vote_request.pre_vote);
        break;
    case RAFT_VOTE_RESPONSE: printf(" %d %d", m->vote_response.granted, m->vote_response.pre_vote); break;
    case RAFT_APPEND_REQUEST:
        printf(" %d %d %d %d %d", (int)m->append_request.prev.index, (int)m->append_request.prev.term,
               (int)m->append_request.count, (int)m->append_request.commit, (int)m->append_request.round);
        break;
    case RAFT_APPEND_RESPONSE:
        printf(" %d %d %d", m->append_response.matched, (int)m->append_response.hint.index, (int)m->append_response.round);
        break;
    case RAFT_TIMEOUT_NOW: break;
    }
}

static void send(struct node *n, const struct raft_message *m)
{
    struct packet *p = &net[net_count < NET ? net_count++ : below(NET)];
    p->message = *m;
    if (m->type != RAFT_APPEND_REQUEST)
        return;
    for (uint32_t k = 0; k < m->append_request.count; k++) {
        raft_index at = m->append_request.prev.index + 1 + k;
        p->entries[k] = (struct raft_entry){.pos = {n->now.terms[at - 1], at}};
    }
}

static void step(uint32_t i, struct raft_input *input)
{
    struct node *n = &nodes[i];
    struct raft_output out;
    raft_step(n->raft, input, &out);
    if (out.write.seq) {
        n->now.term = out.write.term;
        n->now.vote = out.write.voted_for;
        for (uint32_t k = 0; k < out.write.count; k++) {
            n->now.length = (uint32_t)out.write.entries[k].pos.index;
            n->now.terms[n->now.length - 1] = out.write.entries[k].pos.term;
        }
        n->issued = out.write.seq;
        n->kept[n->issued] = n->now;
    }
    struct raft_status s;
    raft_status(n->raft, &s);
    printf(" | %d %d %d %d %d %d |", (int)s.role, (int)s.term, s.voted_for == RAFT_NOBODY ? -1 : (int)s.voted_for,
           (int)s.commit, (int)n->durable, (int)n->issued);
    for (raft_index k = 1; k <= s.last.index; k++)
        printf(" %d", (int)raft_term_at(n->raft, k));
    printf(" |");
    for (uint32_t k = 0; k < out.messages_count; k++) {
        print_message(&out.messages[k]);
        send(n, &out.messages[k]);
    }
    printf(" |");
    for (uint32_t k = 0; k < out.reads_count; k++)
        printf(" ; %d %d", (int)out.reads[k].id, (int)out.reads[k].index);
    printf("\n");
    if (out.apply_to > s.applied && below(2)) {
        struct raft_input applied = {.type = RAFT_INPUT_APPLIED, .index = out.apply_to};
        n->now.applied = out.apply_to;
        printf("%d A", (int)i);
        step(i, &applied);
    }
}

static void crash(uint32_t i)
{
    struct node *n = &nodes[i];
    uint64_t kept = n->durable + below((unsigned)(n->issued - n->durable) + 1);
    n->now = n->kept[kept];
    raft_free(n->raft);
    start(i);
    printf("%d B %d %d\n", (int)i, (int)kept, (int)n->now.applied);
}

static void deliver(void)
{
    struct packet *p = &net[below(3) ? net_count - 1 - below(net_count < 8 ? net_count : 8) : below(net_count)];
    static struct packet copy;
    copy = *p;
    if (copy.message.type == RAFT_APPEND_REQUEST)
        copy.message.append_request.entries = copy.entries;
    uint32_t i = (uint32_t)copy.message.to;
    if (i == cut_off || copy.message.from == cut_off)
        return;
    printf("%d M %d", (int)i, (int)copy.message.from);
    print_message(&copy.message);
    if (copy.message.type == RAFT_APPEND_REQUEST)
        for (uint32_t k = 0; k < copy.message.append_request.count; k++)
            printf(" %d", (int)copy.entries[k].pos.term);
    struct raft_input input = {.type = RAFT_INPUT_MESSAGE, .message = &copy.message};
    step(i, &input);
}

static void anything(void)
{
    uint32_t i = below(count);
    struct node *n = &nodes[i];
    struct raft_entry entries[2] = {{.type = RAFT_ENTRY_COMMAND, .size = 1}, {.type = RAFT_ENTRY_COMMAND, .size = 1}};
    unsigned what = below(100);
    if (below(100) == 0)
        cut_off = below(count + 1);
    if (what < 55 && net_count > 0) {
        deliver();
    } else if (what < 78) {
        if (n->issued == n->durable)
            return;
        n->durable += 1 + below((unsigned)(n->issued - n->durable));
        struct raft_input input = {.type = RAFT_INPUT_PERSISTED, .persisted.seq = n->durable};
        printf("%d P %d", (int)i, (int)n->durable);
        step(i, &input);
    } else if (what < 88) {
        struct raft_input input = {.type = RAFT_INPUT_TICK};
        printf("%d T", (int)i);
        step(i, &input);
    } else if (what < 95) {
        struct raft_input input = {.type = RAFT_INPUT_PROPOSE, .propose = {entries, 1 + below(2)}};
        struct raft_status s;
        for (uint32_t k = 0; k < count; k++) { /* some leader, if there is one */
            raft_status(n->raft, &s);
            if (s.role == RAFT_LEADER)
                break;
            i = (i + 1) % count;
            n = &nodes[i];
        }
        if (s.role != RAFT_LEADER || s.last.index > LOG - 8)
            return;
        printf("%d A", (int)i);
        step(i, &input);
    } else if (what < 98) {
        struct raft_input input = {.type = RAFT_INPUT_READ, .read.id = ++next_read};
        printf("%d R %d", (int)i, (int)next_read);
        step(i, &input);
    } else if (what == 98) {
        struct raft_input input = {.type = RAFT_INPUT_TRANSFER, .node = below(count)};
        printf("%d A", (int)i);
        step(i, &input);
    } else if (below(3) == 0) {
        crash(i);
    }
}

int main(int argc, char **argv)
{
    unsigned seed = argc > 1 ? (unsigned)atoi(argv[1]) : 1, runs = argc > 2 ? (unsigned)atoi(argv[2]) : 100;
    for (unsigned run = 0; run < runs; run++) {
        srand(seed + run);
        count = run % 4 == 3 ? 5 : 3;
        net_count = 0;
        cut_off = count;
        printf("I %d\n", (int)count);
        for (uint32_t i = 0; i < count; i++) {
            memset(&nodes[i].now, 0, sizeof nodes[i].now);
            nodes[i].now.vote = RAFT_NOBODY;
            start(i);
        }
        for (unsigned k = 0; k < STEPS * count; k++)
            anything();
        for (uint32_t i = 0; i < count; i++)
            raft_free(nodes[i].raft);
    }
    return 0;
}
