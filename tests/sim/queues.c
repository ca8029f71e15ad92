/* Producers that push numbers, and consumers that wait for them in BLPOP, some of whom lose
 * patience or leave; their nodes die, pause and come back.  Each number is got at most once; after
 * all has healed it was got or is still there, but for what was given to somebody who was gone by
 * then; and nobody waits for a queue that has something. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/blob.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "sim.h"

enum {
    PRODUCERS = 2,
    CONSUMERS = 5,
    QUEUES = 3,
    TIMEOUT_MS = 1500,
    PAUSE_US = 150000,
    PATIENCE_US = 3000000,
    FIRST_LINE = 4000000, /* no other client's */
    DATABASE = 3
};

struct actor {
    uint32_t id;
    bool is_consumer;
    bool busy;
    uint64_t token;  /* of the request under way: late answers to earlier ones are ignored */
    uint64_t client; /* a connection: another one after it left */
    uint32_t queue;  /* of a consumer: this one and the next; of a producer: where it pushes, */
    uint32_t number; /* and what */
    raft_node_id node;
    struct ticket *ticket;
};

struct ticket {
    struct actor *actor;
    uint64_t token;
};

/* Of a number that was pushed. */
struct pushed {
    bool is_sure;
    uint32_t got, left;
};

static struct actor actors[PRODUCERS + CONSUMERS];
static struct pushed *pushed; /* owned */
static uint32_t pushed_count, pushed_capacity;
static uint64_t clients, may_be_lost;
static bool stopped;

static void next(struct sim_node *node, void *data);

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

/* "*2 $2 q1 $3 123": what stands in the last line. */
static void take_element(struct bytes reply)
{
    const char *text = reply.data, *at = text + reply.size - 2;
    check(reply.size > 8);
    while (at[-1] != '\n')
        at--;
    unsigned long number = strtoul(at, NULL, 10);
    if (number >= pushed_count)
        sim_fail("a consumer got %lu, which nobody pushed", number);
    if (++pushed[number].got > 1)
        sim_fail("%lu was got twice", number);
    sim.coverage.waits_served++;
}

static void consumed(enum request_outcome outcome, struct bytes reply)
{
    const char *text = reply.data;
    sim.coverage.waits_cancelled += outcome == REQUEST_CANCELLED;
    may_be_lost += outcome == REQUEST_UNKNOWN;
    if (outcome == REQUEST_DONE && reply.size > 1 && text[0] == '*' && text[1] == '2')
        take_element(reply);
}

static void answered(void *context, struct request *request, enum request_outcome outcome,
                     struct bytes reply)
{
    struct ticket *ticket = context;
    struct actor *actor = ticket->actor;
    bool is_done = outcome == REQUEST_DONE && !sim_is_refused(outcome, reply);
    bool is_late = actor->token != ticket->token || !actor->busy;
    if (!actor->is_consumer && is_done)
        sim_note_answered(blob_bytes(request->command));
    memory_free(ticket);
    request->context = NULL;
    if (is_late)
        return;
    if (actor->is_consumer)
        consumed(outcome, reply);
    else
        pushed[actor->number].is_sure = is_done && *(const char *)reply.data == ':';
    pause_then_next(actor);
}

/* ---- what they ask ---------------------------------------------------------------------- */

static struct blob *command_of(const struct actor *actor)
{
    char one[8], other[8], number[16];
    snprintf(one, sizeof one, "q%u", actor->queue);
    snprintf(other, sizeof other, "q%u", (actor->queue + 1) % QUEUES);
    snprintf(number, sizeof number, "%u", actor->number);
    struct bytes push[] = {bytes_from_string("RPUSH"), bytes_from_string(one),
                           bytes_from_string(number)};
    struct bytes wait[] = {bytes_from_string("BLPOP"), bytes_from_string(one),
                           bytes_from_string(other), bytes_from_string("0")};
    return actor->is_consumer ? command_encode(wait, 4) : command_encode(push, 3);
}

static void new_number(struct actor *actor)
{
    if (pushed_count == pushed_capacity) {
        pushed_capacity = pushed_capacity ? 2 * pushed_capacity : 256;
        pushed = memory_resize(pushed, pushed_capacity * sizeof *pushed);
    }
    actor->number = pushed_count++;
    pushed[actor->number] = (struct pushed){.is_sure = false};
}

/* A timeout, or its connection breaks: what is on its way then may be lost with it. */
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
        may_be_lost++;
        memory_free(actor->ticket);
        replica_abandon(node->replica, actor->client);
        actor->client = FIRST_LINE + ++clients;
        pause_then_next(actor);
    }
    sim_node_run(node);
}

static void ask(struct actor *actor, struct sim_node *node)
{
    actor->queue = (uint32_t)sim_below(QUEUES);
    if (!actor->is_consumer)
        new_number(actor);
    struct blob *command = command_of(actor);
    actor->ticket = memory_new(sizeof *actor->ticket);
    *actor->ticket = (struct ticket){actor, actor->token};
    struct request *request =
        request_new(REQUEST_WRITE, 2, actor->client, command, answered, actor->ticket);
    request->database = DATABASE;
    request->deadline_ms = sim_node_now_ms(node) + TIMEOUT_MS;
    request->may_wait = actor->is_consumer;
    sim_note_submitted(blob_bytes(command));
    actor->busy = true;
    actor->node = node->id;
    if (actor->is_consumer)
        schedule((int64_t)sim_below(PATIENCE_US), actor, lose_patience);
    replica_submit(node->replica, request);
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

void sim_queues_start(void)
{
    for (uint32_t i = 0; i < PRODUCERS + CONSUMERS; i++) {
        actors[i].id = i;
        actors[i].is_consumer = i >= PRODUCERS;
        actors[i].client = FIRST_LINE + ++clients;
        pause_then_next(&actors[i]);
    }
}

void sim_queues_node_gone(struct sim_node *node)
{
    for (uint32_t i = 0; i < PRODUCERS + CONSUMERS; i++) {
        struct actor *actor = &actors[i];
        if (!actor->busy || actor->node != node->id)
            continue;
        may_be_lost += actor->is_consumer;
        pause_then_next(actor);
    }
}

void sim_queues_stop(void)
{
    stopped = true;
}

/* ---- the verdict ------------------------------------------------------------------------ */

static struct buffer read_queue(uint32_t queue)
{
    struct state_machine *machine = sim.nodes[0].machine;
    struct apply_context context = {.meaning = command_meaning_newest,
                                    .database = DATABASE,
                                    .now_ms = machine->ops->time_ms(machine)};
    char key[8];
    snprintf(key, sizeof key, "q%u", queue);
    struct bytes words[] = {bytes_from_string("LRANGE"), bytes_from_string(key),
                            bytes_from_string("0"), bytes_from_string("-1")};
    struct blob *command = command_encode(words, 4);
    struct buffer reply = {0};
    struct rope rest = {0};
    void *reading = NULL;
    while (!machine->ops->read(machine, &reading, &context, blob_bytes(command), 2, &reply, &rest))
        ;
    for (struct bytes front; rest.size > 0; rope_drop(&rest, front.size)) {
        front = rope_front(&rest);
        buffer_append_bytes(&reply, front);
    }
    rope_deinit(&rest);
    blob_release(command);
    return reply;
}

/* How many are in it: a line "$3" and one "123" each, behind "*1". */
static uint32_t count_queue(uint32_t queue)
{
    struct buffer reply = read_queue(queue);
    uint32_t count = 0;
    buffer_append_byte(&reply, '\0');
    for (const char *at = reply.data; (at = strchr(at, '$')); at++) {
        unsigned long number = strtoul(strchr(at, '\n') + 1, NULL, 10);
        check(number < pushed_count);
        pushed[number].left++;
        count++;
    }
    buffer_deinit(&reply);
    return count;
}

static void check_waiting(uint32_t queue, uint32_t count)
{
    for (uint32_t i = PRODUCERS; i < PRODUCERS + CONSUMERS; i++) {
        const struct actor *actor = &actors[i];
        bool waits = actor->busy && (actor->queue == queue || (actor->queue + 1) % QUEUES == queue);
        if (count > 0 && waits)
            sim_fail("consumer %u waits for q%u, which has %u", actor->id, queue, count);
    }
}

void sim_queues_check(void)
{
    uint64_t missing = 0;
    for (uint32_t queue = 0; queue < QUEUES; queue++)
        check_waiting(queue, count_queue(queue));
    for (uint32_t i = 0; i < pushed_count; i++) {
        if (pushed[i].got + pushed[i].left > 1)
            sim_fail("%u was got %u times and is there %u times", i, pushed[i].got, pushed[i].left);
        missing += pushed[i].is_sure && pushed[i].got + pushed[i].left == 0;
    }
    if (missing > may_be_lost)
        sim_fail("%" PRIu64 " numbers are gone, and %" PRIu64 " consumers with a request under way",
                 missing, may_be_lost);
}

void sim_queues_free(void)
{
    memory_free(pushed);
}
