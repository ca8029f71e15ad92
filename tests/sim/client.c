/* Clients with one operation at a time: they pick a node, a key and a command, note when they
 * asked, when they were answered and what, and go on; after an outcome they cannot know they begin
 * a new operation elsewhere, except ONCE, which they repeat until it is answered. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "sim.h"

enum {
    TIMEOUT_MS = 1500,
    THINK_US = 20000,
    CHECK_STEPS_MAX = 20000000,
    KINDS = 5, /* keys of any type: one of each */
    WORDS_MAX = 8,
    WORD_SIZE = 256
};

struct operation {
    struct linear_op seen;
    uint32_t key;
    struct buffer text; /* backs seen.argv and seen.reply; owned */
};

struct client {
    uint32_t id;
    bool busy;
    uint64_t request_id; /* of ONCE */
    bool repeat;
    uint8_t database;
    bool is_read;
    bool noise;     /* in databases that are flushed and exchanged: no history to check */
    uint64_t token; /* of the operation under way: a late answer to an earlier one is ignored */
    raft_node_id node;
    char words[WORDS_MAX][WORD_SIZE];
    uint32_t words_count;
    int64_t called;
    int64_t called_log_ms; /* the log's time then */
    uint32_t key;
};

static struct client clients[SIM_CLIENTS_MAX];
static struct operation *history;
static uint32_t history_count, history_capacity;
static bool stopped;
static uint64_t done_count;

static void next_operation(struct sim_node *node, void *data);

struct ticket { /* the context of a request: outlives the client's interest in it */
    struct client *client;
    uint64_t token;
};

/* ---- history ---------------------------------------------------------------------------- */

/* The words without the key and without ONCE's own. */
static void record(const struct client *client, bool known, struct bytes reply)
{
    uint32_t first = strcmp(client->words[0], "ONCE") == 0 ? 3 : 0;
    if (client->noise)
        return;
    if (history_count == history_capacity) {
        history_capacity = history_capacity ? history_capacity * 2 : 1024;
        history = memory_resize(history, history_capacity * sizeof *history);
    }
    struct operation *operation = &history[history_count++];
    memset(operation, 0, sizeof *operation);
    operation->key = client->key;
    operation->seen.client = client->id;
    operation->seen.of_types = client->key >= sim.options.keys;
    operation->seen.time_from = client->called_log_ms;
    operation->seen.time_to = known ? sim_log_time_ms() : 0;
    operation->seen.called = client->called;
    operation->seen.returned = known ? sim.now_us : LINEAR_NEVER;
    buffer_reserve(&operation->text, WORDS_MAX * WORD_SIZE + reply.size);
    for (uint32_t i = first; i < client->words_count; i++) {
        if (i == first + 1)
            continue; /* the key */
        size_t at = operation->text.size;
        buffer_append(&operation->text, client->words[i], strlen(client->words[i]));
        operation->seen.argv[operation->seen.argc++] =
            bytes_of(operation->text.data + at, operation->text.size - at);
    }
    size_t at = operation->text.size;
    buffer_append_bytes(&operation->text, reply);
    operation->seen.reply = bytes_of(operation->text.data + at, reply.size);
}

static void think(struct client *client)
{
    struct client **data = memory_new(sizeof *data);
    *data = client;
    sim_schedule(1 + (int64_t)sim_below(THINK_US), NULL, next_operation, data);
}

bool sim_is_refused(enum request_outcome outcome, struct bytes reply)
{
    static const char *const start = "-ERR", *const why = "needs meaning";
    return outcome == REQUEST_DONE && reply.size > strlen(start) &&
           memcmp(reply.data, start, strlen(start)) == 0 &&
           memmem(reply.data, reply.size, why, strlen(why));
}

static void finish_refused(struct client *client, bool repeated)
{
    sim.coverage.refused_by_meaning++;
    if (repeated) /* an earlier try may have been done */
        record(client, false, bytes_of(NULL, 0));
    think(client);
}

static void finish(struct client *client, enum request_outcome outcome, struct bytes reply)
{
    bool write = !client->is_read;
    bool once = strcmp(client->words[0], "ONCE") == 0;
    bool repeated = client->repeat;
    client->busy = false;
    client->token++;
    client->repeat = false;
    if (sim_is_refused(outcome, reply)) {
        finish_refused(client, repeated);
        return;
    }
    switch (outcome) {
    case REQUEST_DONE:
        /* OutputGreatestId: what this client asks now is the latest that it asked. */
        if (reply.size > 9 && memcmp(reply.data, "-STALEREQ", 9) == 0)
            sim_fail("client %u is told that it asked something later", client->id);
        record(client, true, reply);
        *(write ? &sim.coverage.writes_done : &sim.coverage.reads_done) += 1;
        done_count++;
        break;
    case REQUEST_NOT_DONE:
        sim.coverage.not_done++;
        /* An earlier try of it may have been done. */
        client->repeat = once;
        break;
    case REQUEST_CANCELLED: sim_fail("what was cancelled was not asked to wait");
    case REQUEST_TOO_LARGE: sim_fail("a reply of any size was wanted");
    case REQUEST_UNKNOWN:
        sim.coverage.unknown++;
        client->repeat = once;
        if (write && !once)
            record(client, false, bytes_of(NULL, 0));
        break;
    }
    think(client);
}

static void answered(void *context, struct request *request, enum request_outcome outcome,
                     struct bytes reply)
{
    struct ticket *ticket = context;
    if (outcome == REQUEST_DONE && request->kind == REQUEST_WRITE &&
        !sim_is_refused(outcome, reply))
        sim_note_answered(blob_bytes(request->command));
    if (ticket->client->token == ticket->token && ticket->client->busy)
        finish(ticket->client, outcome, reply);
    memory_free(ticket);
    request->context = NULL;
}

/* ---- operations ----------------------------------------------------------------------------- */

static void words(struct client *client, uint32_t count, ...)
{
    va_list arguments;
    va_start(arguments, count);
    client->words_count = count;
    for (uint32_t i = 0; i < count; i++)
        snprintf(client->words[i], sizeof client->words[i], "%s", va_arg(arguments, char *));
    va_end(arguments);
}

static const char *some_value(void)
{
    static char value[WORD_SIZE];
    /* Few values, so that CAS meets equal ones; some long, so that they travel in pieces. */
    if (sim_chance(100))
        snprintf(value, sizeof value, "%0*" PRIu64, sim_chance(500) ? 60 : 220, sim_below(3));
    else
        snprintf(value, sizeof value, "%" PRIu64, sim_below(5));
    return value;
}

/* What nobody's history is checked for; the data on all nodes are. */
static void choose_noise(struct client *client)
{
    enum { FIRST = 12, COUNT = 3 };
    char key[16], here[8], there[8];
    unsigned from = (unsigned)sim_below(COUNT);
    unsigned to = (from + 1 + (unsigned)sim_below(COUNT - 1)) % COUNT;
    client->database = (uint8_t)(FIRST + from);
    snprintf(key, sizeof key, "key%u", (unsigned)sim_below(sim.options.keys));
    snprintf(here, sizeof here, "%u", client->database);
    snprintf(there, sizeof there, "%u", FIRST + to);
    sim.coverage.noise++;
    switch (sim_below(5)) {
    case 0: words(client, 1, "FLUSHDB"); break;
    case 1: words(client, 3, "SWAPDB", here, there); break;
    case 2: words(client, 3, "MOVE", key, there); break;
    default: words(client, 3, "SET", key, some_value()); break;
    }
}

/* Words with  # a digit below 3   @ a time of the log, near */
struct form {
    const char *words; /* the key is behind the first */
    bool is_read;
};

static const struct form forms[KINDS][12] = {{{"GET", true},
                                              {"GET", true},
                                              {"GET", true},
                                              {"GET", true},
                                              {"SET v#", false},
                                              {"SET v# PXAT @", false},
                                              {"SET v# PXAT @", false},
                                              {"SET v# PX 20#", false},
                                              {"SET v# KEEPTTL", false},
                                              {"SET v# KEEPTTL", false}},
                                             {{"HGETALL", true},
                                              {"HGET f#", true},
                                              {"HGET n#", true},
                                              {"HLEN", true},
                                              {"HSET f# v#", false},
                                              {"HSET f# v#", false},
                                              {"HSETNX f# v#", false},
                                              {"HINCRBY n# 2", false},
                                              {"HDEL f#", false},
                                              {"DEL", false}},
                                             {{"SMEMBERS", true},
                                              {"SISMEMBER m#", true},
                                              {"SCARD", true},
                                              {"SADD m#", false},
                                              {"SADD m#", false},
                                              {"SREM m#", false},
                                              {"SREM m#", false}},
                                             {{"LRANGE 0 -1", true},
                                              {"LLEN", true},
                                              {"LPUSH v#", false},
                                              {"RPUSH v#", false},
                                              {"LPOP", false},
                                              {"RPOP", false},
                                              {"LTRIM 0 5", false},
                                              {"DEL", false}},
                                             {{"ZRANGE 0 -1 WITHSCORES", true},
                                              {"ZSCORE m#", true},
                                              {"ZCARD", true},
                                              {"ZADD # m#", false},
                                              {"ZINCRBY 1 m#", false},
                                              {"ZREM m#", false},
                                              {"ZPOPMIN", false}}};
static const struct form ends[] = {
    {"PEXPIREAT @", false}, {"PEXPIREAT @", false}, {"PEXPIRE 50#", false}, {"PERSIST", false},
    {"PEXPIRETIME", true},  {"PEXPIRETIME", true},  {"EXISTS", true},
};

static const struct form *some_form(uint32_t kind)
{
    uint32_t count = 0;
    if (sim_chance(200))
        return &ends[sim_below(sizeof ends / sizeof ends[0])];
    while (forms[kind][count].words)
        count++;
    return &forms[kind][sim_below(count)];
}

/* The next word of *form, filled in. */
static void fill_word(char word[WORD_SIZE], const char **form, int64_t log_time_ms)
{
    size_t size = 0;
    for (; **form && **form != ' '; ++*form) {
        char letter[24] = {**form};
        if (**form == '#')
            snprintf(letter, sizeof letter, "%u", (unsigned)sim_below(3));
        else if (**form == '@')
            snprintf(letter, sizeof letter, "%" PRId64, 1 + log_time_ms + (int64_t)sim_below(300));
        size += (size_t)snprintf(word + size, WORD_SIZE - size, "%s", letter);
    }
    *form += **form == ' ';
}

/* On a key of any type, with deadlines; some writes of it at most once. */
static void choose_of_types(struct client *client, const struct sim_node *node)
{
    uint32_t kind = (uint32_t)sim_below(KINDS), at = 0;
    const struct form *form = some_form(kind);
    const char *words = form->words;
    client->key = sim.options.keys + kind;
    client->database = (uint8_t)(client->key % 3);
    client->is_read = form->is_read;
    if (!form->is_read && sim_chance(150)) {
        snprintf(client->words[at++], WORD_SIZE, "ONCE");
        snprintf(client->words[at++], WORD_SIZE, "c%u", client->id);
        snprintf(client->words[at++], WORD_SIZE, "%" PRIu64, ++client->request_id);
    }
    fill_word(client->words[at++], &words, node->log_time_ms);
    snprintf(client->words[at++], WORD_SIZE, "key%u", client->key);
    while (*words)
        fill_word(client->words[at++], &words, node->log_time_ms);
    client->words_count = at;
}

static void choose_operation(struct client *client, const struct sim_node *node)
{
    char key[16], old[WORD_SIZE], request[24], name[16];
    client->called = sim.now_us;
    client->called_log_ms = sim_log_time_ms();
    client->is_read = false;
    client->noise = sim_chance(80);
    if (client->noise) {
        choose_noise(client);
        return;
    }
    if (node->meaning_known == command_meaning_newest && sim_chance(400)) {
        choose_of_types(client, node);
        return;
    }
    client->key = (uint32_t)sim_below(sim.options.keys);
    client->database = (uint8_t)(client->key % 3);
    snprintf(key, sizeof key, "key%u", client->key);
    snprintf(old, sizeof old, "%s", some_value());
    snprintf(name, sizeof name, "c%u", client->id);
    switch (sim_below(10)) {
    case 0:
    case 1:
    case 2:
        words(client, 2, "GET", key);
        client->is_read = true;
        break;
    case 3:
    case 4: words(client, 3, "SET", key, some_value()); break;
    case 5: words(client, 4, "CAS", key, old, some_value()); break;
    case 6: words(client, 3, "CAD", key, old); break;
    case 7: words(client, 2, "DEL", key); break;
    case 8: words(client, 3, "SETNX", key, some_value()); break;
    default:
        snprintf(request, sizeof request, "%" PRIu64, ++client->request_id);
        if (sim_chance(700))
            words(client, 5, "ONCE", name, request, "INCR", key);
        else
            words(client, 7, "ONCE", name, request, "CAS", key, old, some_value());
        break;
    }
}

static void submit(struct client *client, struct sim_node *node)
{
    struct bytes argv[WORDS_MAX];
    for (uint32_t i = 0; i < client->words_count; i++)
        argv[i] = bytes_from_string(client->words[i]);
    bool read = client->is_read;
    struct ticket *ticket = memory_new(sizeof *ticket);
    *ticket = (struct ticket){client, client->token};
    struct request *request =
        request_new(read ? REQUEST_READ : REQUEST_WRITE, 2, client->id + 1,
                    command_encode(argv, client->words_count), answered, ticket);
    request->database = client->database;
    request->deadline_ms = sim_node_now_ms(node) + TIMEOUT_MS;
    if (!read)
        sim_note_submitted(blob_bytes(request->command));
    client->busy = true;
    client->node = node->id;
    replica_submit(node->replica, request);
    sim_node_run(node);
}

static void next_operation(struct sim_node *unused, void *data)
{
    struct client *client = *(struct client **)data;
    (void)unused;
    struct sim_node *node = &sim.nodes[sim_below(sim.options.nodes)];
    memory_free(data);
    if (stopped && !client->repeat)
        return;
    if (client->repeat)
        sim.coverage.once_repeats++;
    /* An older build's server knows none of the types' commands and lets none in. */
    bool knows_it = !client->repeat || client->key < sim.options.keys ||
                    node->meaning_known == command_meaning_newest;
    if (!node->alive || node->paused || !knows_it) {
        think(client);
        return;
    }
    if (!client->repeat)
        choose_operation(client, node);
    submit(client, node);
}

void sim_clients_start(void)
{
    for (uint32_t i = 0; i < sim.options.clients; i++) {
        clients[i].id = i;
        think(&clients[i]);
    }
}

/* Its connections broke: what was asked there has an unknown outcome. */
void sim_clients_node_gone(struct sim_node *node)
{
    for (uint32_t i = 0; i < sim.options.clients; i++)
        if (clients[i].busy && clients[i].node == node->id)
            finish(&clients[i], clients[i].is_read ? REQUEST_NOT_DONE : REQUEST_UNKNOWN,
                   bytes_of(NULL, 0));
}

void sim_clients_stop(void)
{
    stopped = true;
}

uint64_t sim_clients_done(void)
{
    return done_count;
}

static void fail_with(uint32_t key, const struct linear_op *ops, uint32_t count)
{
    struct linear_window window;
    struct buffer why = {0};
    linear_window_find(&window, ops, count, CHECK_STEPS_MAX);
    linear_text(&why, ops, &window);
    sim_fail("the history of key%u is not linearizable: %.*s", key, (int)why.size, why.data);
}

void sim_clients_check(void)
{
    struct linear_op *ops = memory_new(2 * (size_t)history_count * sizeof *ops);
    for (uint32_t i = 0; i < sim.options.clients; i++)
        if (clients[i].busy || clients[i].repeat) /* still out: outcome unknown */
            record(&clients[i], false, bytes_of(NULL, 0));
    for (uint32_t key = 0; key < sim.options.keys + KINDS; key++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < history_count; i++)
            if (history[i].key == key)
                ops[count++] = history[i].seen;
        count += linear_expiries(ops, count, ops + count);
        sim.coverage.histories_checked++;
        enum linear_verdict verdict = linear_check(ops, count, CHECK_STEPS_MAX);
        if (verdict == LINEAR_NO)
            fail_with(key, ops, count);
        if (verdict == LINEAR_GAVE_UP)
            sim_fail("the history of key%u, %u operations, is too much to decide", key, count);
    }
    memory_free(ops);
}

void sim_clients_free(void)
{
    for (uint32_t i = 0; i < history_count; i++)
        buffer_deinit(&history[i].text);
    memory_free(history);
}
