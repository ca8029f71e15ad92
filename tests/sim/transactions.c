/* Clients that append to lists and read them in transactions, some of them optimistic: WATCH, a
 * read, and an EXEC that appends if nobody changed the list since.  At the end there must be one
 * order of all of them that explains what each saw (tests/linear/appends.h). */
#include <inttypes.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "command/exec_form.h"
#include "sim.h"

enum {
    ACTORS = 3,
    STEPS_MAX = 3,
    TIMEOUT_MS = 1500,
    PAUSE_US = 150000,
    FIRST_LINE = 3000000 /* no other client's */
};

struct actor {
    uint32_t id;
    uint64_t token; /* of the request under way: late answers to earlier ones are ignored */
    bool busy;
    raft_node_id node;
    struct appends_step steps[STEPS_MAX];
    uint32_t steps_count;
    int64_t called;
    enum { PLAIN, WATCHING, READING, DECIDING } stage;
    uint64_t version;         /* what WATCH said */
    struct appends_list seen; /* by the read behind it; owned */
};

static struct actor actors[ACTORS];
static struct appends_transaction *transactions; /* owned, with their steps and what they saw */
static uint32_t transactions_count, transactions_capacity, numbers;
static bool stopped;

struct ticket {
    struct actor *actor;
    uint64_t token;
};

static void next(struct sim_node *node, void *data);
static void ask(struct actor *actor, struct sim_node *node);

static void pause_then_next(struct actor *actor)
{
    struct actor **data = memory_new(sizeof *data);
    *data = actor;
    actor->busy = false;
    actor->token++;
    memory_free(actor->seen.numbers);
    actor->seen = (struct appends_list){0};
    sim_schedule(1 + (int64_t)sim_below(PAUSE_US), NULL, next, data);
}

/* ---- replies ---------------------------------------------------------------------------- */

bool sim_reply_line(struct bytes *rest, char type, int64_t *value)
{
    const char *at = rest->data, *end = memchr(at, '\n', rest->size);
    if (rest->size == 0 || *at != type || !end)
        return false;
    *value = strtoll(at + 1, NULL, 10);
    *rest = bytes_of(end + 1, rest->size - (size_t)(end + 1 - at));
    return true;
}

bool sim_reply_list(struct bytes *rest, struct appends_list *list)
{
    int64_t count, size;
    if (!sim_reply_line(rest, '*', &count) || count < 0)
        return false;
    list->numbers = memory_new(((size_t)count + 1) * sizeof *list->numbers);
    list->count = (uint32_t)count;
    for (uint32_t i = 0; i < list->count; i++) {
        if (!sim_reply_line(rest, '$', &size) || size < 1 || (size_t)size + 2 > rest->size)
            return false;
        const char *at = rest->data;
        list->numbers[i] = (uint32_t)strtoul(at, NULL, 10);
        *rest = bytes_of(at + size + 2, rest->size - (size_t)size - 2);
    }
    return true;
}

/* ---- the history -------------------------------------------------------------------------- */

uint32_t sim_transactions_number(void)
{
    return numbers++;
}

void sim_transactions_record(int64_t called, bool is_known, const struct appends_step *given,
                             uint32_t count)
{
    if (transactions_count == transactions_capacity) {
        transactions_capacity = transactions_capacity ? 2 * transactions_capacity : 256;
        transactions = memory_resize(transactions, transactions_capacity * sizeof *transactions);
    }
    struct appends_step *steps = memory_new((count + 1) * sizeof *steps);
    memcpy(steps, given, count * sizeof *steps);
    for (uint32_t i = 0; i < count && !is_known; i++)
        steps[i].seen = (struct appends_list){0}; /* nobody knows */
    transactions[transactions_count++] =
        (struct appends_transaction){.called = called,
                                     .returned = is_known ? sim.now_us : APPENDS_NEVER,
                                     .steps = steps,
                                     .count = count};
}

static void record(const struct actor *actor, bool is_known)
{
    sim_transactions_record(actor->called, is_known, actor->steps, actor->steps_count);
}

/* What a plain one saw goes into its steps; an optimistic one saw it before. */
static void take_results(struct actor *actor, struct bytes reply)
{
    int64_t count, length;
    struct bytes rest = reply;
    if (!sim_reply_line(&rest, '*', &count))
        sim_fail("EXEC was answered %.*s", (int)reply.size, (const char *)reply.data);
    for (uint32_t i = 0; i < actor->steps_count; i++) {
        struct appends_step *step = &actor->steps[i];
        if (actor->stage == DECIDING && step->is_read)
            continue;
        bool is_taken = step->is_read ? sim_reply_list(&rest, &step->seen)
                                      : sim_reply_line(&rest, ':', &length);
        if (!is_taken)
            sim_fail("EXEC was answered %.*s", (int)reply.size, (const char *)reply.data);
    }
}

static void exec_done(struct actor *actor, struct bytes reply)
{
    bool is_refused = reply.size > 0 && *(const char *)reply.data == '-';
    bool is_changed = reply.size >= 3 && memcmp(reply.data, "*-1", 3) == 0;
    if (is_changed && actor->stage != DECIDING)
        sim_fail("an EXEC without WATCH was answered with null");
    if (!is_refused && !is_changed) {
        take_results(actor, reply);
        record(actor, true);
        actor->seen = (struct appends_list){0}; /* the record has it */
        sim.coverage.transactions++;
    }
    sim.coverage.transactions_changed += is_changed;
    pause_then_next(actor);
}

static void answered(void *context, struct request *request, enum request_outcome outcome,
                     struct bytes reply)
{
    struct ticket *ticket = context;
    struct actor *actor = ticket->actor;
    bool is_error = reply.size > 0 && *(const char *)reply.data == '-';
    if (outcome == REQUEST_DONE && request->kind == REQUEST_WRITE && !is_error)
        sim_note_answered(blob_bytes(request->command));
    bool is_late = !actor->busy || actor->token != ticket->token;
    struct bytes rest = reply;
    int64_t number;
    memory_free(ticket);
    if (is_late)
        return;
    if (actor->stage == PLAIN || actor->stage == DECIDING) {
        if (outcome == REQUEST_DONE) {
            exec_done(actor, reply);
            return;
        }
        if (outcome == REQUEST_UNKNOWN)
            record(actor, false);
    } else if (outcome == REQUEST_DONE && !is_error) {
        if (actor->stage == WATCHING) {
            check(sim_reply_line(&rest, '*', &number) && sim_reply_line(&rest, ':', &number));
            actor->version = (uint64_t)number;
        } else {
            check(sim_reply_list(&rest, &actor->seen));
        }
        actor->stage = actor->stage == WATCHING ? READING : DECIDING;
        ask(actor, &sim.nodes[actor->node]);
        return;
    }
    pause_then_next(actor);
}

/* ---- requests ----------------------------------------------------------------------------- */

static void put_command(struct buffer *out, const struct bytes *argv, uint32_t argc)
{
    struct blob *encoded = command_encode(argv, argc);
    buffer_append_byte(out, EXEC_COMMAND);
    buffer_append_byte(out, 0);
    buffer_append_bytes(out, blob_bytes(encoded));
    blob_release(encoded);
}

static void put_step(struct buffer *out, const struct appends_step *step)
{
    char key[16], number[16];
    snprintf(key, sizeof key, "list%u", step->key);
    snprintf(number, sizeof number, "%u", step->number);
    struct bytes read[] = {bytes_from_string("LRANGE"), bytes_from_string(key),
                           bytes_from_string("0"), bytes_from_string("-1")};
    struct bytes append[] = {bytes_from_string("RPUSH"), bytes_from_string(key),
                             bytes_from_string(number)};
    put_command(out, step->is_read ? read : append, step->is_read ? 4 : 3);
}

static void put_watch(struct buffer *out, const struct actor *actor)
{
    char key[16];
    unsigned char head[EXEC_WATCH_SIZE] = {0};
    int size = snprintf(key, sizeof key, "list%u", actor->steps[0].key);
    put_u64(head + 1, actor->version);
    put_u32(head + 9, (uint32_t)size);
    buffer_append(out, head, sizeof head);
    buffer_append(out, key, (size_t)size);
}

static struct blob *exec_of(struct actor *actor)
{
    struct buffer watches = {0}, elements[STEPS_MAX] = {{0}};
    struct bytes argv[EXEC_WORDS_BEFORE + STEPS_MAX] = {bytes_from_string(EXEC_NAME)};
    uint32_t argc = EXEC_WORDS_BEFORE;
    if (actor->stage == DECIDING) {
        put_watch(&watches, actor);
        actor->steps[0].seen = actor->seen;
    }
    argv[1] = buffer_bytes(&watches);
    for (uint32_t i = actor->stage == DECIDING; i < actor->steps_count; i++) {
        put_step(&elements[i], &actor->steps[i]);
        argv[argc++] = buffer_bytes(&elements[i]);
    }
    struct blob *encoded = command_encode(argv, argc);
    buffer_deinit(&watches);
    for (uint32_t i = 0; i < STEPS_MAX; i++)
        buffer_deinit(&elements[i]);
    return encoded;
}

static struct blob *look_of(const struct actor *actor)
{
    char key[16];
    snprintf(key, sizeof key, "list%u", actor->steps[0].key);
    struct bytes watch[] = {bytes_from_string("WATCH"), bytes_from_string(key)};
    struct bytes read[] = {bytes_from_string("LRANGE"), bytes_from_string(key),
                           bytes_from_string("0"), bytes_from_string("-1")};
    return actor->stage == WATCHING ? command_encode(watch, 2) : command_encode(read, 4);
}

static bool has_appends(const struct actor *actor)
{
    for (uint32_t i = 0; i < actor->steps_count; i++)
        if (!actor->steps[i].is_read)
            return true;
    return false;
}

static void ask(struct actor *actor, struct sim_node *node)
{
    bool is_exec = actor->stage == PLAIN || actor->stage == DECIDING;
    bool is_write = is_exec && has_appends(actor);
    struct ticket *ticket = memory_new(sizeof *ticket);
    *ticket = (struct ticket){actor, ++actor->token};
    struct request *request =
        request_new(is_write ? REQUEST_WRITE : REQUEST_READ, 2, FIRST_LINE + actor->id,
                    is_exec ? exec_of(actor) : look_of(actor), answered, ticket);
    request->deadline_ms = sim_node_now_ms(node) + TIMEOUT_MS;
    if (is_write)
        sim_note_submitted(blob_bytes(request->command));
    actor->busy = true;
    actor->node = node->id;
    replica_submit(node->replica, request);
}

static void choose(struct actor *actor)
{
    bool is_optimistic = sim_chance(300);
    actor->called = sim.now_us;
    actor->stage = is_optimistic ? WATCHING : PLAIN;
    actor->steps_count = is_optimistic ? 2 : 1 + (uint32_t)sim_below(STEPS_MAX);
    uint32_t key = (uint32_t)sim_below(SIM_LISTS);
    for (uint32_t i = 0; i < actor->steps_count; i++) {
        bool is_read = is_optimistic ? i == 0 : sim_chance(500);
        actor->steps[i] = (struct appends_step){
            .key = is_optimistic ? key : (uint32_t)sim_below(SIM_LISTS), .is_read = is_read};
        if (!is_read)
            actor->steps[i].number = sim_transactions_number();
    }
}

static void next(struct sim_node *unused, void *data)
{
    struct actor *actor = *(struct actor **)data;
    struct sim_node *node = &sim.nodes[sim_below(sim.options.nodes)];
    (void)unused;
    memory_free(data);
    if (stopped)
        return;
    if (!node->alive || node->paused) {
        pause_then_next(actor);
        return;
    }
    choose(actor);
    ask(actor, node);
    sim_node_run(node);
}

void sim_transactions_start(void)
{
    for (uint32_t i = 0; i < ACTORS; i++) {
        actors[i].id = i;
        pause_then_next(&actors[i]);
    }
}

void sim_transactions_node_gone(struct sim_node *node)
{
    for (uint32_t i = 0; i < ACTORS; i++) {
        struct actor *actor = &actors[i];
        if (!actor->busy || actor->node != node->id)
            continue;
        if (actor->stage == PLAIN || actor->stage == DECIDING)
            record(actor, false);
        pause_then_next(actor);
    }
}

void sim_transactions_stop(void)
{
    stopped = true;
}

/* ---- the verdict ----------------------------------------------------------------------------- */

static void read_at_end(uint32_t key, struct appends_list *list)
{
    struct state_machine *machine = sim.nodes[0].machine;
    struct actor reader = {.stage = READING, .steps = {{.key = key}}, .steps_count = 1};
    struct apply_context context = {.meaning = command_meaning_newest,
                                    .now_ms = machine->ops->time_ms(machine)};
    struct blob *command = look_of(&reader);
    struct buffer reply = {0};
    struct rope rest = {0};
    void *reading = NULL;
    while (!machine->ops->read(machine, &reading, &context, blob_bytes(command), 2, &reply, &rest))
        ;
    for (struct bytes front; rest.size > 0; rope_drop(&rest, front.size)) {
        front = rope_front(&rest);
        buffer_append_bytes(&reply, front);
    }
    struct bytes text = buffer_bytes(&reply);
    check(sim_reply_list(&text, list));
    rope_deinit(&rest);
    buffer_deinit(&reply);
    blob_release(command);
}

void sim_transactions_check(void)
{
    struct appends_list lists[SIM_LISTS] = {{0}};
    struct buffer why = {0};
    for (uint32_t i = 0; i < ACTORS; i++)
        if (actors[i].busy && (actors[i].stage == PLAIN || actors[i].stage == DECIDING))
            record(&actors[i], false);
    for (uint32_t key = 0; key < SIM_LISTS; key++)
        read_at_end(key, &lists[key]);
    if (!appends_check(transactions, transactions_count, lists, SIM_LISTS, numbers, &why))
        sim_fail("transactions are not strictly serializable: %.*s", (int)why.size, why.data);
    for (uint32_t key = 0; key < SIM_LISTS; key++)
        memory_free(lists[key].numbers);
    buffer_deinit(&why);
}

void sim_transactions_free(void)
{
    for (uint32_t i = 0; i < transactions_count; i++) {
        for (uint32_t j = 0; j < transactions[i].count; j++)
            memory_free(transactions[i].steps[j].seen.numbers);
        memory_free(transactions[i].steps);
    }
    memory_free(transactions);
    for (uint32_t i = 0; i < ACTORS; i++)
        memory_free(actors[i].seen.numbers);
}
