/* Clients that run scripts, random programs over a few keys: they append to the lists of
 * transactions.c and read them, change data of all types, and some of them fail half-way, pass a
 * bound, or return an error that they made.  What those that came to their end saw stands in one
 * history with the transactions; those that failed never were: nobody sees a number of theirs, and
 * all data are what they were before.  A script that was once evaluated is known for ever.  Some
 * are carried by ONCE, which nobody repeats. */
#include <stdlib.h>

#include "base/blob.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "script/script.h"
#include "sim.h"

enum {
    ACTORS = 2,
    BODIES = 3,
    STEPS_MAX = 5,
    WORDS_MAX = 128,
    TEXT_MAX = 16384, /* of all words */
    FORM_WORDS_MAX = 16,
    END_MAX = 1024, /* bytes, of all that is no form */
    TIMEOUT_MS = 1500,
    PAUSE_US = 200000,
    FIRST_LINE = 6000000 /* no other client's */
};

/* Does what its arguments say: a count, and so many words, of which the first is a step's name.
 * What takes long, or is large, is counted before it is done: passing a bound costs us nothing. */
static const char interpreter[] =
    "local seen, kept = {}, false\n"
    "local function elsewhere(call, ...)\n"
    "  redis.call('SELECT', 4) call(...) redis.call('SELECT', 0)\n"
    "end\n"
    "local steps = {\n"
    "  append = function(key, number) seen[#seen + 1] = redis.call('RPUSH', key, number) end,\n"
    "  read = function(key) seen[#seen + 1] = redis.call('LRANGE', key, 0, -1) end,\n"
    "  call = function(...) elsewhere(redis.call, ...) end,\n"
    "  pcall = function(...) elsewhere(redis.pcall, ...) end,\n"
    "  note = function()\n"
    "    redis.call('HSET', 'drawn', 'number', math.random(1000), 'at', redis.call('TIME')[1])\n"
    "  end,\n"
    "  slow = function() for i = 1, 300000 do end end,\n"
    "  odd = function(key) if redis.call('LLEN', key) % 2 == 1 then error('odd') end end,\n"
    "  raise = function() error({err = 'ERR raised'}) end,\n"
    "  wrong = function() redis.call('HSET', 'drawn', 'f', 'v') redis.call('INCR', 'drawn') end,\n"
    "  large = function() string.rep('x', 2 ^ 30) end,\n"
    "  long = function()\n"
    "    local t = {}\n"
    "    for i = 0, 24 do t[2 ^ i] = 1 end\n" /* it looks as if it had so many */
    "    table.sort(t)\n"
    "  end,\n"
    "  kept = function() kept = true end,\n"
    "}\n"
    "local at = 1\n"
    "while at <= #ARGV do\n"
    "  local count = tonumber(ARGV[at])\n"
    "  steps[ARGV[at + 1]](unpack(ARGV, at + 2, at + count))\n"
    "  at = at + count + 1\n"
    "end\n"
    "if kept then return redis.error_reply('ERR kept') end\n"
    "return seen\n";

struct body {
    char text[sizeof interpreter + 16];
    char sha[SCRIPT_SHA_SIZE + 1];
    bool is_stored; /* an EVAL of it was answered */
};

/* Words of a request, which must stay until it is encoded. */
struct program {
    struct buffer text; /* owned, never moved */
    struct bytes argv[WORDS_MAX];
    uint32_t argc;
};

struct actor {
    uint32_t id;
    uint64_t token;      /* of the request under way: late answers to earlier ones are ignored */
    uint32_t request_id; /* of ONCE */
    bool busy;
    raft_node_id node;
    int64_t called;
    struct appends_step steps[STEPS_MAX];
    uint32_t steps_count;
    bool is_read; /* EVAL_RO */
    bool is_lost; /* it fails, whatever it finds */
    bool was_stored;
    struct body *body;
};

struct ticket {
    struct actor *actor;
    uint64_t token;
};

static struct actor actors[ACTORS];
static struct body bodies[BODIES];
static bool stopped;

static void next(struct sim_node *node, void *data);

static void pause_then_next(struct actor *actor)
{
    struct actor **data = memory_new(sizeof *data);
    *data = actor;
    actor->busy = false;
    actor->token++;
    sim_schedule(1 + (int64_t)sim_below(PAUSE_US), NULL, next, data);
}

/* ---- programs ------------------------------------------------------------------------------ */

static void add_bytes(struct program *words, struct bytes word)
{
    size_t from = words->text.size;
    check(words->argc < WORDS_MAX && from + word.size <= TEXT_MAX);
    buffer_append_bytes(&words->text, word);
    words->argv[words->argc++] = bytes_of(words->text.data + from, word.size);
}

static void add(struct program *words, const char *word)
{
    add_bytes(words, bytes_from_string(word));
}

static void add_number(struct program *words, uint32_t number)
{
    char text[16];
    snprintf(text, sizeof text, "%u", number);
    add(words, text);
}

static void add_list(struct program *words, uint32_t key)
{
    char text[16];
    snprintf(text, sizeof text, "list%u", key);
    add(words, text);
}

static void add_list_step(struct program *words, struct actor *actor, bool is_read)
{
    struct appends_step *step = &actor->steps[actor->steps_count++];
    *step = (struct appends_step){.key = (uint32_t)sim_below(SIM_LISTS), .is_read = is_read};
    if (!is_read)
        step->number = sim_transactions_number();
    add_number(words, is_read ? 2 : 3);
    add(words, is_read ? "read" : "append");
    add_list(words, step->key);
    if (!is_read)
        add_number(words, step->number);
}

/* A command on data of all types, whose error ends the script, or does not. */
static void add_form(struct program *words)
{
    struct bytes *argv = NULL;
    uint32_t argc, capacity = 0;
    struct blob *form = sim_types_write();
    check(command_decode(blob_bytes(form), &argv, &argc, &capacity));
    bool is_fit = words->text.size + form->size <= TEXT_MAX - END_MAX;
    if (argc <= FORM_WORDS_MAX && is_fit) {
        add_number(words, argc + 1);
        add(words, sim_chance(600) ? "pcall" : "call");
        for (uint32_t i = 0; i < argc; i++)
            add_bytes(words, argv[i]);
    }
    memory_free(argv);
    blob_release(form);
}

static void add_end(struct program *words, struct actor *actor)
{
    static const char *const losing[] = {"raise", "wrong", "large", "long"};
    uint64_t way = sim_below(100);
    add_number(words, way >= 56 && way < 62 ? 2 : 1);
    if (way < 56) {
        add(words, "note");
    } else if (way < 62) {
        add(words, "odd");
        add_list(words, (uint32_t)sim_below(SIM_LISTS));
    } else if (way < 68) {
        add(words, "kept");
    } else if (way < 69) {
        add(words, "slow");
    } else {
        add(words, losing[sim_below(4)]);
        actor->is_lost = true;
    }
}

static void add_program(struct program *words, struct actor *actor)
{
    uint32_t count = 1 + (uint32_t)sim_below(STEPS_MAX), end = (uint32_t)sim_below(count + 1);
    for (uint32_t i = 0; i < count; i++) {
        if (i == end && !actor->is_read)
            add_end(words, actor);
        if (actor->is_read || sim_chance(700))
            add_list_step(words, actor, actor->is_read || sim_chance(400));
        else
            add_form(words);
    }
    if (end == count && !actor->is_read)
        add_end(words, actor);
}

static void add_once(struct program *words, struct actor *actor)
{
    char name[16];
    snprintf(name, sizeof name, "s%u", actor->id);
    add(words, "ONCE");
    add(words, name);
    add_number(words, ++actor->request_id);
}

static struct blob *choose(struct actor *actor)
{
    struct program words = {0};
    bool by_name = sim_chance(600);
    actor->called = sim.now_us;
    actor->steps_count = 0;
    actor->is_read = sim_chance(150);
    actor->is_lost = false;
    actor->body = &bodies[sim_below(BODIES)];
    actor->was_stored = by_name && actor->body->is_stored;
    buffer_reserve(&words.text, TEXT_MAX);
    if (!actor->is_read && sim_chance(300))
        add_once(&words, actor);
    add(&words, actor->is_read ? by_name ? "EVALSHA_RO" : "EVAL_RO" : by_name ? "EVALSHA" : "EVAL");
    add(&words, by_name ? actor->body->sha : actor->body->text);
    add(&words, "0");
    add_program(&words, actor);
    struct blob *encoded = command_encode(words.argv, words.argc);
    buffer_deinit(&words.text);
    return encoded;
}

/* ---- answers ------------------------------------------------------------------------------- */

static bool begins_with(struct bytes text, const char *start)
{
    return text.size >= strlen(start) && memcmp(text.data, start, strlen(start)) == 0;
}

bool sim_script_is_undone(struct bytes command, struct bytes reply)
{
    static const char name[] = "EVALSHA"; /* EVAL stores the script, whatever it does */
    size_t head = 2 * sizeof(uint32_t), size = sizeof name - 1;
    struct bytes word = bytes_of((const char *)command.data + head, command.size - head);
    return command.size > head + size && begins_with(word, name) && begins_with(reply, "-") &&
           !begins_with(reply, "-ERR kept");
}

/* What it appended is there, or may be; what it read nobody knows. */
static void record_appends(struct actor *actor, bool is_known)
{
    struct appends_step appends[STEPS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < actor->steps_count; i++)
        if (!actor->steps[i].is_read)
            appends[count++] = actor->steps[i];
    if (count > 0)
        sim_transactions_record(actor->called, is_known, appends, count);
}

static void take_results(struct actor *actor, struct bytes reply)
{
    struct bytes rest = reply;
    int64_t number;
    bool is_right = sim_reply_line(&rest, '*', &number) && number == actor->steps_count;
    for (uint32_t i = 0; i < actor->steps_count && is_right; i++) {
        struct appends_step *step = &actor->steps[i];
        is_right = step->is_read ? sim_reply_list(&rest, &step->seen)
                                 : sim_reply_line(&rest, ':', &number);
    }
    if (!is_right || rest.size > 0)
        sim_fail("a script was answered %.*s", (int)reply.size, (const char *)reply.data);
    if (actor->is_lost)
        sim_fail("a script that fails came to its end");
    sim_transactions_record(actor->called, true, actor->steps, actor->steps_count);
    sim.coverage.scripts_done++;
}

static void done(struct actor *actor, struct bytes reply)
{
    if (begins_with(reply, "-NOSCRIPT")) {
        if (actor->was_stored)
            sim_fail("a script that was evaluated is not known");
        return;
    }
    actor->body->is_stored |= !actor->is_read;
    if (begins_with(reply, "*")) {
        take_results(actor, reply);
    } else if (begins_with(reply, "-ERR kept")) {
        record_appends(actor, true);
        sim.coverage.scripts_kept++;
    } else if (begins_with(reply, "-ERR Script ended")) {
        sim.coverage.scripts_ended++;
    } else {
        sim.coverage.scripts_failed++;
    }
}

static void unknown(struct actor *actor)
{
    if (!actor->is_lost)
        record_appends(actor, false);
}

static void answered(void *context, struct request *request, enum request_outcome outcome,
                     struct bytes reply)
{
    struct ticket *ticket = context;
    struct actor *actor = ticket->actor;
    bool is_late = !actor->busy || actor->token != ticket->token;
    if (outcome == REQUEST_DONE && request->kind == REQUEST_WRITE && !begins_with(reply, "-"))
        sim_note_answered(blob_bytes(request->command));
    memory_free(ticket);
    request->context = NULL;
    if (is_late)
        return;
    if (outcome == REQUEST_UNKNOWN)
        unknown(actor);
    else if (outcome == REQUEST_DONE && !sim_is_refused(outcome, reply))
        done(actor, reply);
    pause_then_next(actor);
}

/* ---- work ---------------------------------------------------------------------------------- */

static void ask(struct actor *actor, struct sim_node *node)
{
    struct ticket *ticket = memory_new(sizeof *ticket);
    struct blob *command = choose(actor);
    *ticket = (struct ticket){actor, ++actor->token};
    struct request *request = request_new(actor->is_read ? REQUEST_READ : REQUEST_WRITE, 2,
                                          FIRST_LINE + actor->id, command, answered, ticket);
    request->deadline_ms = sim_node_now_ms(node) + TIMEOUT_MS;
    if (!actor->is_read)
        sim_note_submitted(blob_bytes(command));
    actor->busy = true;
    actor->node = node->id;
    replica_submit(node->replica, request);
    sim_node_run(node);
}

static void next(struct sim_node *unused, void *data)
{
    struct actor *actor = *(struct actor **)data;
    struct sim_node *node = &sim.nodes[sim_below(sim.options.nodes)];
    (void)unused;
    memory_free(data);
    if (stopped)
        return;
    /* An older build's server knows none of these commands and lets none in. */
    if (node->alive && !node->paused && node->meaning_known == command_meaning_newest)
        ask(actor, node);
    else
        pause_then_next(actor);
}

void sim_scripts_start(void)
{
    for (uint32_t i = 0; i < BODIES; i++) {
        snprintf(bodies[i].text, sizeof bodies[i].text, "%s-- %u", interpreter, i);
        script_sha(bytes_from_string(bodies[i].text), bodies[i].sha);
    }
    for (uint32_t i = 0; i < ACTORS; i++) {
        actors[i].id = i;
        pause_then_next(&actors[i]);
    }
}

/* Its connections broke: what was asked there has an unknown outcome. */
void sim_scripts_node_gone(struct sim_node *node)
{
    for (uint32_t i = 0; i < ACTORS; i++) {
        if (!actors[i].busy || actors[i].node != node->id)
            continue;
        if (!actors[i].is_read)
            unknown(&actors[i]);
        pause_then_next(&actors[i]);
    }
}

void sim_scripts_stop(void)
{
    stopped = true;
}

/* What is still out belongs to the history of transactions.c, which is checked after this. */
void sim_scripts_end(void)
{
    for (uint32_t i = 0; i < ACTORS; i++)
        if (actors[i].busy && !actors[i].is_read)
            unknown(&actors[i]);
}
