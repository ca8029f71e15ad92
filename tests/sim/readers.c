/* A producer that appends numbered entries to a stream, and readers that wait for them in XREAD,
 * from where they are, or from `$`; some lose patience or leave; their nodes die, pause and come
 * back.  A reader misses no entry and gets none twice, `$` is no older than what was acknowledged
 * before it was said, and nobody waits for what is there. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/blob.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "sim.h"

enum {
    READERS = 4,
    ACTORS = READERS + 1, /* the last one produces */
    TIMEOUT_MS = 1500,
    PAUSE_US = 150000,
    PATIENCE_US = 3000000,
    FIRST_LINE = 9000000, /* no other client's */
    DATABASE = 4
};

struct actor {
    bool busy;
    bool says_dollar; /* in the request under way */
    uint64_t token;   /* of the request under way: late answers to earlier ones are ignored */
    uint64_t client;  /* a connection: another one after it left */
    uint32_t last;    /* of a reader: where it is; of the producer: what it appended last */
    uint32_t known;   /* when `$` was said: the newest that was acknowledged */
    raft_node_id node;
    struct ticket *ticket;
};

struct ticket {
    struct actor *actor;
    uint64_t token;
};

static struct actor actors[ACTORS];
static uint32_t acknowledged; /* the newest entry that was */
static bool *is_there;        /* owned; by number: somebody got it */
static uint32_t there_capacity;
static uint64_t clients;
static bool stopped;

static void next(struct sim_node *node, void *data);

static bool is_producer(const struct actor *actor)
{
    return actor == &actors[READERS];
}

static void schedule(int64_t after_us, struct actor *actor,
                     void (*what)(struct sim_node *node, void *data))
{
    struct ticket *ticket = memory_new(sizeof *ticket);
    *ticket = (struct ticket){actor, actor->token};
    sim_schedule(1 + after_us, NULL, what, ticket);
}

static void pause_then_next(struct actor *actor)
{
    actor->busy = false;
    actor->token++;
    actor->ticket = NULL;
    schedule((int64_t)sim_below(PAUSE_US), actor, next);
}

/* ---- answers ---------------------------------------------------------------------------- */

/* Of those between there was none, or it is there and was passed over. */
static void got(struct actor *actor, uint32_t number)
{
    if (number <= actor->last)
        sim_fail("a reader behind %u got %u", actor->last, number);
    for (uint32_t i = actor->last + 1; i < number; i++)
        if (i < there_capacity && is_there[i])
            sim_fail("a reader behind %u got %u, and not %u", actor->last, number, i);
    if (number >= there_capacity) {
        is_there = memory_resize(is_there, 2 * number * sizeof *is_there);
        memset(is_there + there_capacity, 0, (2 * number - there_capacity) * sizeof *is_there);
        there_capacity = 2 * number;
    }
    is_there[number] = true;
    actor->last = number;
    sim.coverage.reads_waited++;
}

/* Each entry has a line "<number>-1". */
static void take_entries(struct actor *actor, struct bytes reply)
{
    const char *at = reply.data, *end = at + reply.size;
    while (at < end) {
        char *behind;
        unsigned long number = strtoul(at, &behind, 10);
        if (behind > at && behind + 4 <= end && memcmp(behind, "-1\r\n", 4) == 0)
            got(actor, (uint32_t)number);
        at = memchr(at, '\n', (size_t)(end - at));
        at++;
    }
}

static void submit(struct actor *actor, struct blob *command);

/* What `$` meant: as net/ does.  False: it did not say it. */
static bool wait_on(struct actor *actor, struct request *request, struct bytes reply)
{
    struct blob *again = command_ask_again(blob_bytes(request->command), reply);
    if (!again)
        return false;
    const char *text = memchr(reply.data, '\n', reply.size);
    actor->last = (uint32_t)strtoul(text + 1, NULL, 10);
    if (actor->last < actor->known)
        sim_fail("$ is %u, and %u was acknowledged before", actor->last, actor->known);
    actor->says_dollar = false;
    submit(actor, again);
    return true;
}

static void answered(void *context, struct request *request, enum request_outcome outcome,
                     struct bytes reply)
{
    struct ticket *ticket = context;
    struct actor *actor = ticket->actor;
    bool is_done = outcome == REQUEST_DONE && !sim_is_refused(outcome, reply);
    bool is_late = actor->token != ticket->token || !actor->busy;
    if (is_producer(actor) && is_done)
        sim_note_answered(blob_bytes(request->command));
    memory_free(ticket);
    request->context = NULL;
    if (is_late)
        return;
    if (is_producer(actor) && is_done && *(const char *)reply.data == '$' &&
        actor->last > acknowledged)
        acknowledged = actor->last;
    if (!is_producer(actor) && is_done) {
        if (wait_on(actor, request, reply))
            return;
        if (*(const char *)reply.data == '*' && ((const char *)reply.data)[1] == '1')
            take_entries(actor, reply);
    }
    pause_then_next(actor);
}

/* ---- what they ask ---------------------------------------------------------------------- */

static struct blob *command_of(const struct actor *actor)
{
    char id[16];
    snprintf(id, sizeof id, "%u-1", actor->last);
    struct bytes at = bytes_from_string(actor->says_dollar ? "$" : id);
    struct bytes add[] = {bytes_from_string("XADD"), bytes_from_string("events"), at,
                          bytes_from_string("f"), bytes_from_string("v")};
    struct bytes read[] = {bytes_from_string("XREAD"),  bytes_from_string("BLOCK"),
                           bytes_from_string("0"),      bytes_from_string("STREAMS"),
                           bytes_from_string("events"), at};
    if (is_producer(actor))
        return command_encode(add, 5);
    return command_encode(read, 6);
}

/* A timeout, or its connection breaks. */
static void lose_patience(struct sim_node *unused, void *data)
{
    struct ticket *ticket = data;
    struct actor *actor = ticket->actor;
    struct sim_node *node = &sim.nodes[actor->node];
    bool is_over = !actor->busy || actor->token != ticket->token || stopped;
    (void)unused;
    memory_free(ticket);
    if (is_over || !node->alive || node->paused)
        return;
    if (sim_chance(700)) {
        replica_cancel(node->replica, actor->client, sim_node_now_ms(node) + TIMEOUT_MS);
    } else {
        memory_free(actor->ticket);
        replica_abandon(node->replica, actor->client);
        actor->client = FIRST_LINE + ++clients;
        pause_then_next(actor);
    }
    sim_node_run(node);
}

static void submit(struct actor *actor, struct blob *command)
{
    struct sim_node *node = &sim.nodes[actor->node];
    enum request_kind kind = is_producer(actor) ? REQUEST_WRITE : REQUEST_READ;
    actor->ticket = memory_new(sizeof *actor->ticket);
    *actor->ticket = (struct ticket){actor, actor->token};
    struct request *request = request_new(kind, 2, actor->client, command, answered, actor->ticket);
    request->database = DATABASE;
    request->deadline_ms = sim_node_now_ms(node) + TIMEOUT_MS;
    request->may_wait = kind == REQUEST_READ;
    replica_submit(node->replica, request);
}

static void ask(struct actor *actor, struct sim_node *node)
{
    actor->says_dollar = !is_producer(actor) && sim_chance(100);
    actor->known = acknowledged;
    actor->last += is_producer(actor);
    actor->busy = true;
    actor->node = node->id;
    struct blob *command = command_of(actor);
    if (is_producer(actor))
        sim_note_submitted(blob_bytes(command));
    else
        schedule((int64_t)sim_below(PATIENCE_US), actor, lose_patience);
    submit(actor, command);
    sim_node_run(node);
}

static void next(struct sim_node *unused, void *data)
{
    struct ticket *ticket = data;
    struct actor *actor = ticket->actor;
    struct sim_node *node = &sim.nodes[sim_below(sim.options.nodes)];
    (void)unused;
    memory_free(ticket);
    if (stopped)
        return;
    if (node->alive && !node->paused)
        ask(actor, node);
    else
        pause_then_next(actor);
}

void sim_readers_start(void)
{
    for (uint32_t i = 0; i < ACTORS; i++) {
        actors[i].client = FIRST_LINE + ++clients;
        pause_then_next(&actors[i]);
    }
}

void sim_readers_node_gone(struct sim_node *node)
{
    for (uint32_t i = 0; i < ACTORS; i++)
        if (actors[i].busy && actors[i].node == node->id)
            pause_then_next(&actors[i]);
}

void sim_readers_stop(void)
{
    stopped = true;
}

/* ---- the verdict ------------------------------------------------------------------------ */

void sim_readers_check(void)
{
    for (uint32_t i = 0; i < READERS; i++)
        if (actors[i].busy && !actors[i].says_dollar && actors[i].last < acknowledged)
            sim_fail("reader %u waits behind %u, and %u is there", i, actors[i].last, acknowledged);
}

void sim_readers_free(void)
{
    memory_free(is_there);
}
