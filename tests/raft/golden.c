/* Runs a script against a little world of cores and prints what they do.
 *
 * A script is a story: comments, commands, and under each command what happened, between "----" and
 * an empty line.  `golden FILE...` compares; `golden --rewrite FILE...` writes the files anew;
 * `golden --trace FILE...` prints what the cores did for build/trace-check instead.
 *
 *   cluster nodes=3 [election=10] [heartbeat=2] [inflight=8] [batch=100] [bytes=100000]
 *           [uncommitted=100000] [window=100000] [size=10]   (size: of each entry)
 *           [learners=0]   (so many of the nodes, the last ones, have no vote)
 *           [members=nodes]       the first so many are members, the others know of none yet
 *   tick N [TIMES]        time passes for node N
 *   campaign N            time passes for N until it asks for votes
 *   propose N [COUNT]     read N ID [all] transfer N [TO]     unreachable N PEER    gone N PEER
 *   read N ID ack A T     the same, and A said after it was asked that it is in term T
 *   compact N INDEX
 *   members N MEMBER...   N is told to change the list: 3 a voter, 3l a learner, 3' and 3'' with
 *                         other lives
 *   deliver A->B [COUNT]  the oldest messages from A to B arrive (default, and at most: all there
 *                         are now)
 *   drop A->B [COUNT]     duplicate A->B   the oldest is put in line twice
 *   delay A->B            the oldest goes to the end of the line
 *   persist N [COUNT]     N's oldest disk writes are done, one after the other (default: all)
 *   sync N                all of them are done at once, as in a group commit
 *   forge A->B term=T ...   puts a message in line that no correct node of this story sent:
 *       prev=T:I [commit=C] [entries=T,T,...]   an append request
 *       matched=T:I | rejected=T:I [round=R]    an answer to one
 *       last=T:I [pre] [transfer]               a vote request
 *       granted | refused [pre]                 an answer to one
 *       timeout_now
 *     and with to=C it is addressed to C, but comes to B
 *   settle [quiet]        everything is delivered and persisted until nothing moves
 *   isolate N             messages to and from N vanish in settle, until `heal`
 *   hang N                the disk of N finishes no write in settle, until `heal`
 *   pass N                N times: a tick for every node, in their order, then settle; says nothing
 *   lose N                its disk is lost: N starts as another node, with one more life (the first
 *                         start is of the life ')
 *   heal    crash N    restart N    status
 *
 * Entries are applied as soon as the core allows.  Links raft and base only: that this links is the
 * proof that the core needs nothing of the outside. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/blob.h"
#include "base/buffer.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "raft/print.h"
#include "raft/raft.h"
#include "raft/trace.h"

enum {
    NODES_MAX = 6,
    QUEUE_MAX = 512,
    LOG_MAX = 512,
    WRITES_MAX = 256,
    WORDS_MAX = 12,
    LISTS_MAX = 64
};
enum { SETTLE_ROUNDS_MAX = 1000, TICKS_MAX = 1000 };

struct stored_entry {
    raft_term term;
    enum raft_entry_type type;
    struct blob *list; /* of a members entry; borrowed from the world */
};

struct pending_write {
    struct raft_write write;
    struct raft_entry *entries;
};

struct queued {
    struct raft_message message;
    struct raft_entry *entries;
};

struct node {
    struct raft *raft; /* NULL: crashed */
    /* what survives */
    raft_term term;
    raft_node_id voted_for;
    struct stored_entry durable[LOG_MAX];
    raft_index durable_last;
    uint64_t life;
    /* what does not */
    struct stored_entry log[LOG_MAX]; /* as the core thinks of it */
    struct pending_write writes[WRITES_MAX];
    uint32_t writes_count;
    bool isolated, hanging;
};

static struct {
    uint32_t count, voters;
    struct node nodes[NODES_MAX]; /* 1 .. count; the first are the voters */
    struct queued queues[NODES_MAX][NODES_MAX][QUEUE_MAX];
    uint32_t queued[NODES_MAX][NODES_MAX];
    struct raft_config config;
    uint32_t entry_size;
    uint32_t members_count; /* of the first list */
    struct blob *lists[LISTS_MAX];
    uint32_t lists_count;
    struct buffer *out;
} world;

static FILE *tracing; /* NULL: not asked for */
static struct buffer trace;

static void step(uint32_t id, const struct raft_input *input);

static void write_trace(void)
{
    fwrite(trace.data, 1, trace.size, tracing);
    buffer_clear(&trace);
}

static void say(uint32_t id, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(uint32_t id, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    buffer_printf(world.out, "%u %s\n", id, text);
}

static struct node *node_at(uint32_t id)
{
    check(id >= 1 && id <= world.count);
    return &world.nodes[id];
}

static void enqueue(const struct raft_message *message)
{
    uint32_t from = (uint32_t)message->from, to = (uint32_t)message->to;
    uint32_t at = world.queued[from][to]++;
    check(at < QUEUE_MAX);
    struct queued *queued = &world.queues[from][to][at];
    *queued = (struct queued){.message = *message};
    uint32_t count = message->type == RAFT_APPEND_REQUEST ? message->append_request.count : 0;
    if (count == 0)
        return;
    queued->entries = memory_new(count * sizeof *queued->entries);
    for (uint32_t i = 0; i < count; i++) {
        raft_index index = message->append_request.prev.index + 1 + i;
        const struct stored_entry *entry = &world.nodes[from].log[index];
        queued->entries[i] = (struct raft_entry){
            .pos = {entry->term, index}, .type = entry->type, .size = 10, .payload = entry->list};
    }
}

static struct stored_entry stored(const struct raft_entry *entry)
{
    return (struct stored_entry){entry->pos.term, entry->type, entry->payload};
}

static void note_write(uint32_t id, const struct raft_write *write)
{
    struct node *node = node_at(id);
    struct pending_write *pending = &node->writes[node->writes_count++];
    check(node->writes_count < WRITES_MAX);
    pending->write = *write;
    pending->entries = memory_copy(write->entries, write->count * sizeof *write->entries);
    for (uint32_t i = 0; i < write->count; i++)
        node->log[write->entries[i].pos.index] = stored(&write->entries[i]);
    buffer_printf(world.out, "%u ", id);
    raft_print_write(world.out, write);
    buffer_printf(world.out, "\n");
}

static void apply(uint32_t id, raft_index to)
{
    struct raft_status status;
    raft_status(node_at(id)->raft, &status);
    if (to <= status.applied)
        return;
    say(id, "applies up to %" PRIu64, to);
    struct raft_input input = {.type = RAFT_INPUT_APPLIED, .index = to};
    step(id, &input);
}

static void print_members(uint32_t id, const struct raft_members *members)
{
    buffer_printf(world.out, "%u members", id);
    for (uint32_t i = 0; i < members->count; i++)
        buffer_printf(world.out, " %" PRIu64 "%.*s%s", members->list[i].id,
                      (int)members->list[i].life, "''''", members->list[i].voter ? "" : "l");
    buffer_printf(world.out, "\n");
}

static void step(uint32_t id, const struct raft_input *input)
{
    struct node *node = node_at(id);
    struct raft_output output;
    struct raft_status before, after;
    if (!node->raft)
        return;
    raft_status(node->raft, &before);
    struct raft_members members = *raft_members(node->raft);
    enum raft_result result = raft_step(node->raft, input, &output);
    if (tracing) {
        raft_trace_step(&trace, node->raft, input, &output);
        write_trace();
    }
    raft_status(node->raft, &after);
    if (result != RAFT_OK)
        say(id, "%s",
            result == RAFT_BUSY      ? "is busy"
            : result == RAFT_REFUSED ? "refuses the list"
                                     : "is not the leader");
    if (before.role != after.role || before.term != after.term)
        say(id, "%s -> %s, term %" PRIu64, raft_role_name(before.role), raft_role_name(after.role),
            after.term);
    if (memcmp(&members, raft_members(node->raft), sizeof members) != 0)
        print_members(id, raft_members(node->raft));
    if (before.commit != after.commit)
        say(id, "commits %" PRIu64, after.commit);
    if (output.write.seq)
        note_write(id, &output.write);
    for (uint32_t i = 0; i < output.messages_count; i++) {
        raft_print_message(world.out, &output.messages[i]);
        buffer_printf(world.out, "\n");
        enqueue(&output.messages[i]);
    }
    for (uint32_t i = 0; i < output.reads_count; i++)
        say(id, "read %" PRIu64 " may be served at %" PRIu64, output.reads[i].id,
            output.reads[i].index);
    for (uint32_t i = 0; i < output.reads_failed_count; i++)
        say(id, "read %" PRIu64 " failed", output.reads_failed[i]);
    apply(id, output.apply_to);
}

static void start_node(uint32_t id)
{
    struct node *node = node_at(id);
    struct raft_entry entries[LOG_MAX];
    struct raft_saved saved = {
        .term = node->term, .voted_for = node->voted_for, .entries = entries};
    for (raft_index i = 1; i <= node->durable_last; i++) {
        node->log[i] = node->durable[i];
        entries[i - 1] = (struct raft_entry){.pos = {node->durable[i].term, i},
                                             .type = node->durable[i].type,
                                             .size = 10,
                                             .payload = node->durable[i].list};
    }
    saved.entries_count = node->durable_last;
    bool is_first = id <= world.members_count && node->life == 1;
    saved.members.count = is_first ? world.members_count : 0;
    for (uint32_t i = 0; i < saved.members.count; i++)
        saved.members.list[i] = (struct raft_member){.id = i + 1, .voter = i < world.voters};
    struct raft_config config = world.config;
    config.id = id;
    config.seed = id;
    node->raft = raft_new(&config, &saved);
    if (tracing)
        raft_trace_boot(&trace, node->raft, node->life);
}

static void forget_writes(struct node *node)
{
    for (uint32_t i = 0; i < node->writes_count; i++)
        memory_free(node->writes[i].entries);
    node->writes_count = 0;
}

static struct queued take(uint32_t from, uint32_t to)
{
    struct queued *queue = world.queues[from][to];
    struct queued first = queue[0];
    world.queued[from][to]--;
    memmove(queue, queue + 1, world.queued[from][to] * sizeof *queue);
    return first;
}

static void end_world(void)
{
    for (uint32_t id = 1; id <= world.count; id++) {
        if (world.nodes[id].raft)
            raft_free(world.nodes[id].raft);
        forget_writes(&world.nodes[id]);
        for (uint32_t to = 1; to <= world.count; to++)
            while (world.queued[id][to] > 0)
                memory_free(take(id, to).entries);
    }
    for (uint32_t i = 0; i < world.lists_count; i++)
        blob_release(world.lists[i]);
    struct buffer *out = world.out;
    memset(&world, 0, sizeof world);
    world.out = out;
}

/* ---- commands ------------------------------------------------------------------ */

static const char *text_option(char **words, uint32_t count, const char *name)
{
    size_t length = strlen(name);
    for (uint32_t i = 1; i < count; i++)
        if (strncmp(words[i], name, length) == 0 && words[i][length] == '=')
            return words[i] + length + 1;
    return NULL;
}

static uint64_t wide_option(char **words, uint32_t count, const char *name, uint64_t otherwise)
{
    const char *text = text_option(words, count, name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static uint32_t option(char **words, uint32_t count, const char *name, uint32_t otherwise)
{
    return (uint32_t)wide_option(words, count, name, otherwise);
}

static void do_cluster(char **words, uint32_t count)
{
    end_world();
    world.count = option(words, count, "nodes", 3);
    world.voters = world.count - option(words, count, "learners", 0);
    world.members_count = option(words, count, "members", world.count);
    world.config = (struct raft_config){
        .election_ticks = option(words, count, "election", 10),
        .heartbeat_ticks = option(words, count, "heartbeat", 2),
        .inflight_max = option(words, count, "inflight", 8),
        .inflight_bytes_max = option(words, count, "window", 100000),
        .append_entries_max = option(words, count, "batch", 100),
        .append_bytes_max = option(words, count, "bytes", 100000),
        .uncommitted_bytes_max = option(words, count, "uncommitted", 100000),
    };
    world.entry_size = option(words, count, "size", 10);
    if (tracing)
        raft_trace_world(&trace, RAFT_TRACE_OPEN);
    for (uint32_t id = 1; id <= world.count; id++) {
        world.nodes[id].voted_for = RAFT_NOBODY;
        world.nodes[id].life = 1;
        start_node(id);
    }
    buffer_printf(world.out, "ok\n");
}

static void deliver_one(uint32_t from, uint32_t to)
{
    struct queued queued = take(from, to);
    if (queued.message.type == RAFT_APPEND_REQUEST)
        queued.message.append_request.entries = queued.entries;
    struct raft_input input = {.type = RAFT_INPUT_MESSAGE, .message = &queued.message};
    step(to, &input);
    memory_free(queued.entries);
}

/* N's oldest write reaches the disk; its number. */
static uint64_t store_one(uint32_t id)
{
    struct node *node = node_at(id);
    struct pending_write pending = node->writes[0];
    node->writes_count--;
    memmove(node->writes, node->writes + 1, node->writes_count * sizeof node->writes[0]);
    node->term = pending.write.term;
    node->voted_for = pending.write.voted_for;
    for (uint32_t i = 0; i < pending.write.count; i++) {
        const struct raft_entry *entry = &pending.entries[i];
        node->durable[entry->pos.index] = stored(entry);
        node->durable_last = entry->pos.index;
    }
    memory_free(pending.entries);
    return pending.write.seq;
}

static void tell_persisted(uint32_t id, uint64_t seq)
{
    struct raft_input input = {.type = RAFT_INPUT_PERSISTED, .persisted = {seq}};
    step(id, &input);
}

static void persist_one(uint32_t id)
{
    tell_persisted(id, store_one(id));
}

static void persist_together(uint32_t id)
{
    uint64_t seq = 0;
    while (node_at(id)->writes_count > 0)
        seq = store_one(id);
    if (seq > 0)
        tell_persisted(id, seq);
}

static bool settle_once(void)
{
    bool moved = false;
    for (uint32_t id = 1; id <= world.count; id++) {
        struct node *node = node_at(id);
        while (node->raft && !node->hanging && node->writes_count > 0) {
            persist_one(id);
            moved = true;
        }
        for (uint32_t to = 1; to <= world.count; to++) {
            for (uint32_t left = world.queued[id][to]; left > 0; left--) {
                moved = true;
                if (node->isolated || world.nodes[to].isolated || !world.nodes[to].raft)
                    memory_free(take(id, to).entries);
                else
                    deliver_one(id, to);
            }
        }
    }
    return moved;
}

static void do_settle(bool quiet)
{
    struct buffer ignored = {0}, *out = world.out;
    if (quiet)
        world.out = &ignored;
    uint32_t rounds = 0;
    while (settle_once())
        check(++rounds < SETTLE_ROUNDS_MAX);
    world.out = out;
    buffer_deinit(&ignored);
    if (quiet)
        buffer_printf(world.out, "ok\n");
}

static bool has_word(char **words, uint32_t count, const char *word)
{
    for (uint32_t i = 2; i < count; i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

static struct raft_pos pos_option(char **words, uint32_t count, const char *name)
{
    const char *text = text_option(words, count, name);
    const char *colon = text ? strchr(text, ':') : NULL;
    struct raft_pos pos = {option(words, count, name, 0), 0};
    if (colon)
        pos.index = (raft_index)atoi(colon + 1);
    return pos;
}

static void forge_append(struct queued *queued, char **words, uint32_t count)
{
    struct raft_message *message = &queued->message;
    message->type = RAFT_APPEND_REQUEST;
    message->append_request.commit = option(words, count, "commit", 0);
    message->append_request.prev = pos_option(words, count, "prev");
    queued->entries = memory_new(LOG_MAX * sizeof *queued->entries);
    const char *entries = text_option(words, count, "entries");
    while (entries && *entries) {
        uint32_t at = message->append_request.count++;
        queued->entries[at] = (struct raft_entry){
            .pos = {(raft_term)atoi(entries), message->append_request.prev.index + at + 1},
            .size = 10};
        entries = strchr(entries, ',');
        entries = entries ? entries + 1 : NULL;
    }
}

static void forge_other(struct raft_message *message, char **words, uint32_t count)
{
    bool granted = has_word(words, count, "granted"), pre = has_word(words, count, "pre");
    bool matched = text_option(words, count, "matched") != NULL;
    if (has_word(words, count, "timeout_now")) {
        message->type = RAFT_TIMEOUT_NOW;
    } else if (text_option(words, count, "last")) {
        message->type = RAFT_VOTE_REQUEST;
        message->vote_request.last = pos_option(words, count, "last");
        message->vote_request.pre_vote = pre;
        message->vote_request.transfer = has_word(words, count, "transfer");
    } else if (granted || has_word(words, count, "refused")) {
        message->type = RAFT_VOTE_RESPONSE;
        message->vote_response.granted = granted;
        message->vote_response.pre_vote = pre;
    } else {
        message->type = RAFT_APPEND_RESPONSE;
        message->append_response.matched = matched;
        message->append_response.hint = pos_option(words, count, matched ? "matched" : "rejected");
        message->append_response.round = option(words, count, "round", 0);
    }
}

/* A message that no correct node of this story sent: old, or from a broken peer. */
static void do_forge(char **words, uint32_t count, uint32_t from, uint32_t to)
{
    struct queued *queued = &world.queues[from][to][world.queued[from][to]++];
    *queued = (struct queued){.message = {.from = from}};
    queued->message.to = option(words, count, "to", to);
    queued->message.term = wide_option(words, count, "term", 1);
    if (text_option(words, count, "prev"))
        forge_append(queued, words, count);
    else
        forge_other(&queued->message, words, count);
    buffer_printf(world.out, "ok\n");
}

static void do_link(char **words, uint32_t count)
{
    uint32_t from = (uint32_t)atoi(words[1]), to = (uint32_t)atoi(strstr(words[1], "->") + 2);
    check(from < NODES_MAX); /* it may be a stranger */
    node_at(to);
    if (strcmp(words[0], "forge") == 0) {
        do_forge(words, count, from, to);
        return;
    }
    uint32_t there = world.queued[from][to];
    uint32_t times = count > 2 ? (uint32_t)atoi(words[2]) : there;
    if (times > there)
        times = there;
    if (there == 0) {
        buffer_printf(world.out, "nothing there\n");
        return;
    }
    struct queued *queue = world.queues[from][to];
    if (strcmp(words[0], "deliver") == 0) {
        for (uint32_t i = 0; i < times; i++)
            deliver_one(from, to);
    } else if (strcmp(words[0], "drop") == 0) {
        for (uint32_t i = 0; i < times; i++)
            memory_free(take(from, to).entries);
        buffer_printf(world.out, "dropped %u\n", times);
    } else if (strcmp(words[0], "duplicate") == 0) {
        struct raft_message copy = queue[0].message;
        enqueue(&copy);
        buffer_printf(world.out, "ok\n");
    } else { /* delay */
        queue[there] = take(from, to);
        world.queued[from][to]++;
        memmove(&queue[there - 1], &queue[there], sizeof queue[0]);
        buffer_printf(world.out, "ok\n");
    }
}

static void do_status(void)
{
    for (uint32_t id = 1; id <= world.count; id++) {
        struct raft_status status;
        if (!world.nodes[id].raft) {
            say(id, "crashed");
            continue;
        }
        raft_status(world.nodes[id].raft, &status);
        buffer_printf(world.out, "%u ", id);
        raft_print_status(world.out, &status);
        buffer_printf(world.out, "\n");
    }
}

static void do_tick(uint32_t id, uint32_t times)
{
    struct raft_input input = {.type = RAFT_INPUT_TICK};
    for (uint32_t i = 0; i < times; i++)
        step(id, &input);
}

static void do_pass(uint32_t times)
{
    struct buffer ignored = {0}, *out = world.out;
    world.out = &ignored;
    for (uint32_t i = 0; i < times; i++) {
        for (uint32_t id = 1; id <= world.count; id++)
            if (world.nodes[id].raft)
                do_tick(id, 1);
        while (settle_once())
            ;
    }
    world.out = out;
    buffer_deinit(&ignored);
}

static void do_campaign(uint32_t id)
{
    struct raft_status status;
    raft_status(node_at(id)->raft, &status);
    raft_term term = status.term;
    for (uint32_t i = 0; i < TICKS_MAX; i++) {
        do_tick(id, 1);
        raft_status(node_at(id)->raft, &status);
        if (status.role == RAFT_PRE_CANDIDATE || status.term != term)
            return;
    }
}

static void do_propose(uint32_t id, uint32_t count)
{
    struct raft_entry *entries = memory_new(count * sizeof *entries);
    for (uint32_t i = 0; i < count; i++)
        entries[i] = (struct raft_entry){.type = RAFT_ENTRY_COMMAND, .size = world.entry_size};
    struct raft_input input = {.type = RAFT_INPUT_PROPOSE, .propose = {entries, count}};
    step(id, &input);
    memory_free(entries);
}

static uint64_t lives(const char *word)
{
    uint64_t count = 0;
    for (; *word; word++)
        count += *word == '\'';
    return count;
}

static void do_members(uint32_t id, char **words, uint32_t count)
{
    struct raft_members members = {.count = count};
    for (uint32_t i = 0; i < count; i++)
        members.list[i] = (struct raft_member){.id = (raft_node_id)atoi(words[i]),
                                               .life = lives(words[i]),
                                               .voter = strchr(words[i], 'l') == NULL};
    check(world.lists_count < LISTS_MAX);
    struct blob *list = world.lists[world.lists_count++] = raft_members_blob(&members);
    struct raft_entry entry = {.type = RAFT_ENTRY_MEMBERS, .size = 10, .payload = list};
    struct raft_input input = {.type = RAFT_INPUT_PROPOSE, .propose = {&entry, 1}};
    step(id, &input);
}

static void do_crash(uint32_t id)
{
    struct node *node = node_at(id);
    for (uint32_t i = 0; i < node->writes_count; i++)
        say(id, "lost write #%" PRIu64, node->writes[i].write.seq);
    forget_writes(node);
    raft_free(node->raft);
    node->raft = NULL;
    say(id, "crashed");
}

/* Nobody tells the new one who the members are. */
static void do_lose(uint32_t id)
{
    struct node *node = node_at(id);
    uint64_t life = node->life + 1;
    do_crash(id);
    *node = (struct node){.voted_for = RAFT_NOBODY, .life = life};
    start_node(id);
    say(id, "is another node");
}

static bool run_on_node(char **words, uint32_t count)
{
    uint32_t id = (uint32_t)atoi(words[1]);
    uint32_t number = count > 2 ? (uint32_t)atoi(words[2]) : 0;
    struct raft_input input = {.type = RAFT_INPUT_TICK};
    if (strcmp(words[0], "tick") == 0) {
        do_tick(id, number ? number : 1);
    } else if (strcmp(words[0], "campaign") == 0) {
        do_campaign(id);
    } else if (strcmp(words[0], "propose") == 0) {
        do_propose(id, number ? number : 1);
    } else if (strcmp(words[0], "members") == 0) {
        do_members(id, words + 2, count - 2);
    } else if (strcmp(words[0], "read") == 0) {
        input = (struct raft_input){.type = RAFT_INPUT_READ, .read = {.id = number}};
        input.read.asks_all = count > 3 && strcmp(words[3], "all") == 0;
        if (count > 5 && strcmp(words[3], "ack") == 0)
            input.read.ack =
                (struct raft_ack){(raft_node_id)atoi(words[4]), (raft_term)atoi(words[5])};
        step(id, &input);
    } else if (strcmp(words[0], "transfer") == 0) {
        input =
            (struct raft_input){.type = RAFT_INPUT_TRANSFER, .node = number ? number : RAFT_NOBODY};
        step(id, &input);
    } else if (strcmp(words[0], "unreachable") == 0) {
        input = (struct raft_input){.type = RAFT_INPUT_UNREACHABLE, .node = number};
        step(id, &input);
    } else if (strcmp(words[0], "gone") == 0) {
        input = (struct raft_input){.type = RAFT_INPUT_GONE, .node = number};
        step(id, &input);
    } else if (strcmp(words[0], "compact") == 0) {
        input = (struct raft_input){.type = RAFT_INPUT_COMPACTED, .index = number};
        step(id, &input);
    } else if (strcmp(words[0], "persist") == 0) {
        uint32_t times = number ? number : node_at(id)->writes_count;
        for (uint32_t i = 0; i < times && node_at(id)->writes_count > 0; i++)
            persist_one(id);
    } else if (strcmp(words[0], "sync") == 0) {
        persist_together(id);
    } else if (strcmp(words[0], "isolate") == 0) {
        node_at(id)->isolated = true;
    } else if (strcmp(words[0], "hang") == 0) {
        node_at(id)->hanging = true;
    } else if (strcmp(words[0], "crash") == 0) {
        do_crash(id);
    } else if (strcmp(words[0], "lose") == 0) {
        do_lose(id);
    } else if (strcmp(words[0], "restart") == 0) {
        start_node(id);
        do_status();
    } else {
        return false;
    }
    return true;
}

static void run_command(const char *line)
{
    char copy[512], *words[WORDS_MAX] = {0};
    uint32_t count = 0;
    size_t before = world.out->size;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word && count < WORDS_MAX; word = strtok(NULL, " "))
        words[count++] = word;
    if (strcmp(words[0], "cluster") == 0)
        do_cluster(words, count);
    else if (strcmp(words[0], "settle") == 0)
        do_settle(count > 1);
    else if (strcmp(words[0], "status") == 0)
        do_status();
    else if (strcmp(words[0], "pass") == 0)
        do_pass(count > 1 ? (uint32_t)atoi(words[1]) : 1);
    else if (strcmp(words[0], "heal") == 0)
        for (uint32_t id = 1; id <= world.count; id++)
            world.nodes[id].isolated = world.nodes[id].hanging = false;
    else if (count > 1 && strstr(words[1], "->"))
        do_link(words, count);
    else if (count < 2 || !run_on_node(words, count))
        buffer_printf(world.out, "what is \"%s\"?\n", line);
    if (world.out->size == before)
        buffer_printf(world.out, "ok\n");
}

/* ---- files --------------------------------------------------------------------------- */

/* Comments and empty lines are kept, results made anew. */
static void run_script(char *script, struct buffer *result)
{
    bool in_result = false;
    world.out = result;
    for (char *line = script, *end; line && *line; line = end ? end + 1 : NULL) {
        end = strchr(line, '\n');
        if (end)
            *end = '\0';
        if (in_result && *line != '\0')
            continue;
        in_result = false;
        if (*line == '\0' || *line == '#') {
            buffer_printf(result, "%s\n", line);
        } else if (strcmp(line, "----") == 0) {
            in_result = true;
        } else {
            buffer_printf(result, "%s\n----\n", line);
            run_command(line);
            in_result = true;
        }
    }
    end_world();
}

static bool read_file(const char *path, struct buffer *contents)
{
    FILE *file = fopen(path, "r");
    char chunk[4096];
    size_t size;
    if (!file)
        return false;
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0)
        buffer_append(contents, chunk, size);
    fclose(file);
    return true;
}

static void show_difference(const char *path, const struct buffer *result)
{
    char command[512];
    snprintf(command, sizeof command, "diff -u --label expected --label got %s - | head -40", path);
    FILE *diff = popen(command, "w");
    if (!diff)
        return;
    fwrite(result->data, 1, result->size, diff);
    pclose(diff);
}

static bool run_file(const char *path, bool rewrite)
{
    struct buffer script = {0}, result = {0};
    if (!read_file(path, &script)) {
        printf("cannot read %s\n", path);
        return false;
    }
    char *copy = memory_copy(script.data, script.size + 1);
    copy[script.size] = '\0';
    run_script(copy, &result);
    bool same = bytes_equal(buffer_bytes(&script), buffer_bytes(&result));
    if (!same && rewrite) {
        FILE *file = fopen(path, "w");
        if (file) {
            fwrite(result.data, 1, result.size, file);
            fclose(file);
        }
        printf("rewritten: %s\n", path);
    } else {
        printf("%s %s\n", same ? "[ok]  " : "[FAIL]", path);
        if (!same)
            show_difference(path, &result);
    }
    memory_free(copy);
    buffer_deinit(&script);
    buffer_deinit(&result);
    return same || rewrite;
}

/* What the script expects is not looked at: that is the other mode's. */
static bool trace_file(const char *path)
{
    struct buffer script = {0}, result = {0};
    if (!read_file(path, &script)) {
        fprintf(stderr, "cannot read %s\n", path);
        return false;
    }
    buffer_append_byte(&script, '\0');
    buffer_printf(&trace, "# build/tests/raft/golden --trace %s | build/trace-check\n", path);
    run_script(script.data, &result);
    write_trace();
    buffer_deinit(&trace);
    buffer_deinit(&script);
    buffer_deinit(&result);
    return true;
}

int main(int argc, char **argv)
{
    bool rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    int failed = 0, passed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && strcmp(argv[1], "--trace") == 0) {
        /* What a dying core says goes elsewhere, and it leaves whole lines. */
        tracing = fdopen(dup(STDOUT_FILENO), "w");
        check(tracing && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0);
        setvbuf(tracing, NULL, _IOLBF, BUFSIZ);
    }
    for (int i = rewrite || tracing ? 2 : 1; i < argc; i++) {
        bool good = tracing ? trace_file(argv[i]) : run_file(argv[i], rewrite);
        *(good ? &passed : &failed) += 1;
    }
    if (tracing)
        check(fclose(tracing) == 0);
    else
        printf("%d passed, %d failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
