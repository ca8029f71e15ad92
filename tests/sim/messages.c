/* Publishers, and a subscriber on every node.  What the nodes tell is one sequence: each subscriber
 * hears a part of it without a gap and without anything twice, from where it subscribed to where
 * its connection ended; nothing that was answered before it asked to subscribe, everything that was
 * sent after its subscription was answered.  A reply to PUBLISH comes when the node that was asked
 * has told the message; and what was answered is in the sequence once. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "command/channels.h"
#include "command/connection.h"
#include "sim.h"

enum {
    PUBLISHERS = 3,
    MESSAGES_MAX = 1 << 16,
    TIMEOUT_MS = 1500,
    PAUSE_US = 100000,
    FIRST_LINE = 5000000 /* no other client's */
};

/* By its number, which is its text. */
struct message {
    uint64_t sent_at, answered_at; /* steps of `clock`; 0: it was not */
    uint32_t place;                /* 1 more than its place in the sequence; 0: nobody told it */
};

struct subscriber {
    struct channels *channels; /* of its node's life; NULL: the node is down */
    struct connection connection;
    bool is_asking, is_subscribed;
    uint64_t asked_at, subscribed_at;
    uint32_t heard;                /* place of the newest that it heard, plus 1; 0: none yet */
    uint64_t life;                 /* of the node */
    struct command_listener order; /* hears what its node tells, before the subscriber does */
};

struct ticket {
    uint32_t number; /* of the message */
    raft_node_id node;
    uint64_t life;
};

static struct message messages[MESSAGES_MAX];
static uint32_t sent_count, sequence[MESSAGES_MAX], sequence_count;
static struct {
    raft_index index; /* of the entry that the newest stands in */
} newest;
static struct subscriber subscribers[RAFT_MEMBERS_MAX];
static uint64_t clock_steps = 1;
static bool stopped;

static void publish_later(void);
static void subscribe_later(uint32_t node);

/* ---- the sequence ------------------------------------------------------------------------- */

/* The first node that tells an entry says what comes next; the others have to agree. */
static void hear_order(struct command_listener *listener, uint64_t index,
                       const struct db_effect *effect)
{
    char text[16] = "";
    (void)listener;
    if (effect->type != DB_EFFECT_MESSAGE || index <= newest.index)
        return;
    check(effect->message.size < sizeof text);
    memcpy(text, effect->message.data, effect->message.size);
    uint32_t number = (uint32_t)strtoul(text, NULL, 10);
    check(number < sent_count);
    newest.index = index;
    if (messages[number].place)
        sim_fail("message %u is in the log twice", number);
    messages[number].place = sequence_count + 1;
    sequence[sequence_count++] = number;
    sim.coverage.messages_told++;
}

/* The connections of a build before would refuse the commands. */
static bool knows_messages(const struct sim_node *node)
{
    return node->meaning_known == command_meaning_newest;
}

/* ---- a subscriber --------------------------------------------------------------------------- */

static void check_first(const struct subscriber *subscriber, uint32_t place)
{
    if (messages[sequence[place]].answered_at && /* before it asked */
        messages[sequence[place]].answered_at < subscriber->asked_at)
        sim_fail("a subscriber heard message %u of before", sequence[place]);
    for (uint32_t i = 0; i < place; i++)
        if (messages[sequence[i]].sent_at > subscriber->subscribed_at)
            sim_fail("a subscriber missed message %u", sequence[i]);
}

static void hear_one(struct subscriber *subscriber, uint32_t number)
{
    check(number < sent_count && messages[number].place > 0);
    uint32_t place = messages[number].place - 1;
    if (subscriber->heard == 0)
        check_first(subscriber, place);
    else if (place != subscriber->heard)
        sim_fail("a subscriber heard message %u at place %u behind place %u", number, place,
                 subscriber->heard - 1);
    subscriber->heard = place + 1;
    sim.coverage.messages_heard++;
}

/* `*3 message room number`, as often as it is there. */
static void hear_all(struct subscriber *subscriber)
{
    struct buffer *out = &subscriber->connection.out.bytes;
    buffer_append_byte(out, '\0');
    const char *at = out->data;
    while ((at = strstr(at, "room\r\n$"))) {
        at = strchr(at + 7, '\n') + 1;
        hear_one(subscriber, (uint32_t)strtoul(at, NULL, 10));
    }
    outbox_deinit(&subscriber->connection.out);
}

static struct request *new_request(struct sim_node *node, enum request_kind kind,
                                   const struct bytes *argv, uint32_t argc, uint64_t line,
                                   request_done *done, uint32_t number)
{
    struct ticket *ticket = memory_new(sizeof *ticket);
    *ticket = (struct ticket){.number = number, .node = node->id, .life = node->life};
    struct request *request =
        request_new(kind, 2, FIRST_LINE + line, command_encode(argv, argc), done, ticket);
    request->deadline_ms = sim_node_now_ms(node) + TIMEOUT_MS;
    return request;
}

static void subscribed(void *context, struct request *request, enum request_outcome outcome,
                       struct bytes reply)
{
    struct ticket *ticket = context;
    struct subscriber *subscriber = &subscribers[ticket->node];
    bool is_there = subscriber->channels && subscriber->life == ticket->life;
    request->context = NULL;
    if (is_there)
        subscriber->is_asking = false;
    if (is_there && outcome == REQUEST_DONE && *(const char *)reply.data == ':') {
        uint64_t since = strtoull((const char *)reply.data + 1, NULL, 10);
        (void)channels_subscribe(subscriber->channels, &subscriber->connection, CHANNEL_PLAIN,
                                 bytes_from_string("room"), since);
        subscriber->is_subscribed = true;
        subscriber->subscribed_at = clock_steps++;
    }
    memory_free(ticket);
}

static void look_after(struct sim_node *node, void *data)
{
    struct subscriber *subscriber = &subscribers[node->id];
    struct bytes name = bytes_from_string("raft.position");
    (void)data;
    subscribe_later((uint32_t)node->id);
    if (!subscriber->channels || node->paused || !knows_messages(node))
        return;
    hear_all(subscriber);
    if (subscriber->is_subscribed && sim_chance(20)) { /* it leaves, and comes back */
        channels_leave(subscriber->channels, &subscriber->connection);
        subscriber->is_subscribed = false;
        subscriber->heard = 0;
    }
    if (subscriber->is_subscribed || subscriber->is_asking || stopped)
        return;
    subscriber->is_asking = true;
    subscriber->asked_at = clock_steps++;
    replica_submit(node->replica,
                   new_request(node, REQUEST_READ, &name, 1, PUBLISHERS + node->id, subscribed, 0));
    sim_node_run(node);
}

static void subscribe_later(uint32_t node)
{
    sim_schedule(1 + (int64_t)sim_below(PAUSE_US), &sim.nodes[node], look_after, NULL);
}

void sim_messages_node_started(struct sim_node *node)
{
    struct subscriber *subscriber = &subscribers[node->id];
    *subscriber = (struct subscriber){.life = node->life, .order = {.effect = hear_order}};
    connection_init(&subscriber->connection);
    subscriber->channels = channels_new(node->life);
    command_machine_listen(node->machine, &subscriber->order);
    command_machine_listen(node->machine, channels_listener(subscriber->channels));
    subscribe_later((uint32_t)node->id);
}

/* What it was told it has heard: its connection breaks behind that. */
void sim_messages_node_gone(struct sim_node *node)
{
    struct subscriber *subscriber = &subscribers[node->id];
    if (!subscriber->channels)
        return;
    hear_all(subscriber);
    channels_leave(subscriber->channels, &subscriber->connection);
    channels_free(subscriber->channels);
    connection_deinit(&subscriber->connection);
    subscriber->channels = NULL;
}

/* ---- publishers ------------------------------------------------------------------------------ */

static void published(void *context, struct request *request, enum request_outcome outcome,
                      struct bytes reply)
{
    struct ticket *ticket = context;
    struct message *message = &messages[ticket->number];
    request->context = NULL;
    if (outcome == REQUEST_DONE && !sim_is_refused(outcome, reply)) {
        const struct sim_node *node = &sim.nodes[ticket->node];
        sim_note_answered(blob_bytes(request->command));
        message->answered_at = clock_steps++;
        if (request->told == 0 || request->told > db_applied_index(node->db))
            sim_fail("message %u is answered before it is told: %.*s", ticket->number,
                     (int)reply.size, (const char *)reply.data);
        sim.coverage.messages_answered++;
    }
    memory_free(ticket);
}

static void publish(struct sim_node *unused, void *data)
{
    struct sim_node *node = &sim.nodes[sim_below(sim.options.nodes)];
    char text[16];
    (void)unused;
    (void)data;
    if (stopped)
        return;
    publish_later();
    if (!node->alive || node->paused || !knows_messages(node) || sent_count == MESSAGES_MAX)
        return;
    uint32_t number = sent_count++;
    snprintf(text, sizeof text, "%u", number);
    struct bytes argv[] = {bytes_from_string("PUBLISH"), bytes_from_string("room"),
                           bytes_from_string(text)};
    struct request *request =
        new_request(node, REQUEST_WRITE, argv, 3, sim_below(PUBLISHERS), published, number);
    messages[number].sent_at = clock_steps++;
    sim_note_submitted(blob_bytes(request->command));
    replica_submit(node->replica, request);
    sim_node_run(node);
}

static void publish_later(void)
{
    sim_schedule(1 + (int64_t)sim_below(PAUSE_US), NULL, publish, NULL);
}

void sim_messages_start(void)
{
    for (uint32_t i = 0; i < PUBLISHERS; i++)
        publish_later();
}

void sim_messages_stop(void)
{
    stopped = true;
}

/* All nodes have applied everything. */
void sim_messages_check(void)
{
    for (uint32_t i = 0; i < sim.options.nodes; i++) {
        struct subscriber *subscriber = &subscribers[i];
        if (!subscriber->channels || !subscriber->is_subscribed)
            continue;
        hear_all(subscriber);
        if (subscriber->heard > 0 && subscriber->heard != sequence_count)
            sim_fail("the subscriber of node %u missed the last messages", i);
    }
    for (uint32_t i = 0; i < sent_count; i++)
        if (messages[i].answered_at && !messages[i].place)
            sim_fail("message %u was answered, and nobody told it", i);
}

void sim_messages_free(void)
{
    for (uint32_t i = 0; i < sim.options.nodes; i++)
        sim_messages_node_gone(&sim.nodes[i]);
}
