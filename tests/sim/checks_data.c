/* What is applied: the same on every node, in one order, nothing that was not asked for, nothing
 * twice; and the data that come of it. */
#include <Judy.h>
#include <inttypes.h>
#include <xxhash.h>

#include "base/blob.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "data/content.h"
#include "kv_memory.h"
#include "sim.h"

enum { LOG_TIME_AHEAD_MS = 8000, LOG_TIME_BEHIND_MS = 500 };

/* What was applied at an index, first by whoever came first. */
struct applied {
    struct raft_pos pos;
    int64_t now_ms;
    uint64_t seed, reply;
    uint32_t value_max;
    uint8_t meaning, database;
    struct blob *command; /* owned; NULL: no command */
    bool is_undone;       /* a script that failed */
    bool hashed, told;    /* whether the two are known */
    uint64_t data, effects;
};

/* One command, by its bytes; clients may have sent equal ones. */
struct command_seen {
    uint32_t submitted, applied, answered;
    uint32_t restated; /* of those submitted, so many were proposed as other words */
    raft_index last;   /* where it was applied */
    raft_index floor;  /* what had been acknowledged when it was first sent */
};

static struct applied *applied; /* owned */
static raft_index applied_count, applied_capacity;
static void *commands; /* JudyL: hash -> struct command_seen */
static raft_index acknowledged;
static int64_t highest_log_time_ms; /* the highest at which a command was applied */
static int64_t last_applied_ms;     /* true time at the last command's first application */

static struct command_seen *command_of(struct bytes command)
{
    PPvoid_t slot;
    JLI(slot, commands, XXH3_64bits(command.data, command.size));
    check(slot != PPJERR);
    if (!*slot)
        *slot = memory_new(sizeof(struct command_seen));
    return *slot;
}

/* The words of a command, for people. */
static const char *words_of(struct bytes command)
{
    static char text[160];
    size_t size = 0;
    const char *at = command.data;
    for (size_t i = 0; i < command.size && size < sizeof text - 1; i++) {
        if (at[i] > ' ' && at[i] <= '~')
            text[size++] = at[i];
        else if (size > 0 && text[size - 1] != ' ')
            text[size++] = ' ';
    }
    text[size] = '\0';
    return text;
}

void sim_note_submitted(struct bytes command)
{
    struct command_seen *seen = command_of(command);
    if (seen->submitted++ == 0)
        seen->floor = acknowledged;
}

/* OutputImpliesApplied, InputBeforeOutput. */
void sim_note_answered(struct bytes command)
{
    struct command_seen *seen = command_of(command);
    if (++seen->answered > seen->applied + seen->restated)
        sim_fail("%s was answered and not applied", words_of(command));
    if (seen->submitted == 1 && seen->last > acknowledged)
        acknowledged = seen->last;
}

void sim_note_restated(struct bytes command, struct bytes words)
{
    struct command_seen *seen = command_of(command), *other = command_of(words);
    seen->restated++;
    other->submitted++;
    other->floor = seen->floor;
}

/* The leader's own, when a deadline has passed (command/expiry.c). */
static bool is_tick(struct bytes command)
{
    static const char name[] = "raft|tick";
    size_t size = sizeof name - 1;
    return command.size == 8 + size && memcmp((const char *)command.data + 8, name, size) == 0;
}

/* AppliedImpliesInput, CausalOrderPreserved; at most once for each time it was sent. */
static void check_first_application(const struct apply_context *context, struct bytes command)
{
    if (is_tick(command)) {
        sim.coverage.ticks++;
        return;
    }
    if (context->owner.run_id != 0) /* it may find nothing any number of times: queues.c */
        return;
    struct command_seen *seen = command_of(command);
    if (++seen->applied + seen->restated > seen->submitted)
        sim_fail("entry %" PRIu64 " holds %s, which was sent %u times, for the %u. time",
                 context->pos.index, words_of(command), seen->submitted, seen->applied);
    if (context->pos.index <= seen->floor)
        sim_fail("entry %" PRIu64 " was sent after the answer of entry %" PRIu64,
                 context->pos.index, seen->floor);
    if (seen->applied > 1 && command.size > 12 && memmem(command.data, command.size, "ONCE", 4))
        sim.coverage.once_kept_replies++;
    seen->last = context->pos.index;
}

/* Whatever a minority of the clocks shows: not ahead of what happens in the world by more than the
 * rates of monotonic clocks and a pause explain; a receipt, which lives for an hour, never ends. */
static void check_log_time(raft_index index, int64_t log_time_ms)
{
    if (log_time_ms > sim_true_ms() + LOG_TIME_AHEAD_MS)
        sim_fail("log time at entry %" PRIu64 " is ahead by %" PRId64 " ms", index,
                 log_time_ms - sim_true_ms());
    if (log_time_ms < sim_true_ms() - sim.now_us / 1000)
        sim_fail("log time at entry %" PRIu64 " is behind by %" PRId64 " ms", index,
                 sim_true_ms() - log_time_ms);
}

static struct applied *applied_at(raft_index index)
{
    while (applied_count <= index) {
        if (applied_count == applied_capacity) {
            applied_capacity = applied_capacity ? applied_capacity * 2 : 1024;
            applied = memory_resize(applied, applied_capacity * sizeof *applied);
        }
        applied[applied_count++] = (struct applied){0};
    }
    return &applied[index];
}

int64_t sim_log_time_ms(void)
{
    return highest_log_time_ms;
}

bool sim_check_time_began(void)
{
    return applied_count > 0;
}

/* State Machine Safety: one command at an index, ever, with one time, one seed and one reply. */
void sim_check_applied(struct sim_node *node, const struct apply_context *context,
                       struct bytes command, struct bytes reply)
{
    struct applied *known = applied_at(context->pos.index);
    uint64_t reply_hash = XXH3_64bits(reply.data, reply.size);
    if (!known->command) {
        known->pos = context->pos;
        known->now_ms = context->now_ms;
        known->seed = context->seed;
        known->value_max = context->value_max;
        known->meaning = context->meaning;
        known->database = context->database;
        known->reply = reply_hash;
        known->is_undone = sim_script_is_undone(command, reply);
        known->command = blob_copy(command);
        check_first_application(context, command);
        check_log_time(context->pos.index, context->now_ms);
        last_applied_ms = sim_true_ms();
    }
    if (!sim_same(known->pos, context->pos) || !bytes_equal(blob_bytes(known->command), command))
        sim_fail("state machine safety: node %" PRIu64 " applies another command at %" PRIu64,
                 node->id, context->pos.index);
    if (known->now_ms != context->now_ms || known->seed != context->seed ||
        known->value_max != context->value_max || known->meaning != context->meaning ||
        known->database != context->database)
        sim_fail("node %" PRIu64 " applies entry %" PRIu64 " with another stamp", node->id,
                 context->pos.index);
    if (known->reply != reply_hash)
        sim_fail("node %" PRIu64 " gives another reply at %" PRIu64 ": %.*s", node->id,
                 context->pos.index, (int)reply.size, (const char *)reply.data);
    if (context->now_ms < node->log_time_ms)
        sim_fail("the log's time falls at entry %" PRIu64, context->pos.index);
    node->log_time_ms = context->now_ms;
    if (context->now_ms > highest_log_time_ms)
        highest_log_time_ms = context->now_ms;
}

static void hear(struct command_listener *listener, uint64_t index, const struct db_effect *effect)
{
    struct sim_effects *effects = (struct sim_effects *)listener;
    if (index < effects->index)
        sim_fail("effects of entry %" PRIu64 " come after those of %" PRIu64, index,
                 effects->index);
    if (index > effects->index)
        effects->hash = 0;
    effects->index = index;
    uint64_t kind[] = {effect->type, effect->database, effect->other};
    uint64_t hash = XXH3_64bits(kind, sizeof kind);
    if (effect->event)
        hash = XXH3_64bits_withSeed(effect->event, strlen(effect->event), hash);
    hash = XXH3_64bits_withSeed(effect->key.data, effect->key.size, hash);
    hash = XXH3_64bits_withSeed(effect->message.data, effect->message.size, hash);
    sim.coverage.effects++;
    effects->hash = XXH3_64bits_withSeed(&hash, sizeof hash, effects->hash);
}

void sim_effects_listen(struct sim_effects *effects, struct state_machine *machine)
{
    *effects = (struct sim_effects){.listener.effect = hear};
    command_machine_listen(machine, &effects->listener);
}

/* 0: it had none. */
static uint64_t effects_of(const struct sim_effects *effects, raft_index index)
{
    return effects->index == index ? effects->hash : 0;
}

/* All or nothing: what a script wrote before it failed is gone, and nobody was told of it.  Looked
 * at when the second of the two data is known. */
static void check_undone(raft_index index)
{
    const struct applied *known = applied_at(index), *before = &applied[index - 1];
    if (!known->is_undone || !known->hashed || !before->hashed)
        return;
    sim.coverage.scripts_undone++;
    if (known->data != before->data || known->effects != 0)
        sim_fail("the script of entry %" PRIu64 " failed and left something", index);
}

static void compare_effects(struct sim_node *node, struct applied *known)
{
    uint64_t effects = effects_of(&node->effects, known->pos.index);
    if (!known->told)
        known->effects = effects;
    known->told = true;
    if (known->effects != effects)
        sim_fail("node %" PRIu64 " heard of other effects of entry %" PRIu64 " than another",
                 node->id, known->pos.index);
}

/* The next one may be known already: of a node without a checkpoint under way. */
static void note_data(raft_index index, uint64_t data)
{
    struct applied *known = applied_at(index);
    known->data = data;
    known->hashed = true;
    check_undone(index);
    check_undone(index + 1);
}

static void compare_data(struct sim_node *node, raft_index index)
{
    sim_checkpoint_look(node);             /* it depends on how far that is */
    if (!db_resolve(node->db, UINT64_MAX)) /* a checkpoint finds out how many keys there are */
        return;
    const struct applied *known = applied_at(index);
    uint64_t data = db_hash(node->db);
    if (known->hashed) {
        sim.coverage.data_compared++;
        if (known->data != data)
            sim_fail("node %" PRIu64 " has other data than another had at index %" PRIu64, node->id,
                     index);
        return;
    }
    note_data(index, data);
}

/* AppliedEntriesMonotonic, and the same data after the same entry. */
void sim_check_data(struct sim_node *node, struct raft_pos pos, int64_t now_ms)
{
    struct applied *known = applied_at(pos.index);
    (void)now_ms;
    if (pos.index != node->applied_last + 1)
        sim_fail("node %" PRIu64 " applies %" PRIu64 " after %" PRIu64, node->id, pos.index,
                 node->applied_last);
    node->applied_last = pos.index;
    sim_check_commit(node);
    if (!sim_log_has(sim_committed(), pos))
        sim_fail("node %" PRIu64 " applies %" PRIu64 ":%" PRIu64 ", which is not committed",
                 node->id, pos.term, pos.index);
    if (known->pos.index == 0)
        known->pos = pos;
    if (!sim_same(known->pos, pos))
        sim_fail("state machine safety: node %" PRIu64 " applies another entry at %" PRIu64,
                 node->id, pos.index);
    compare_effects(node, known);
    compare_data(node, pos.index);
}

/* An entry is half done here, and a read was served from the state before it: nobody may have
 * executed it but under a leader of a later term, who may have come behind the read
 * (replica/shown.c). */
void sim_check_read_before(const struct sim_node *node)
{
    raft_index index = node->applied_last + 1;
    struct raft_status status;
    raft_status(sim_raft_of(node->replica), &status);
    for (raft_term later = status.term + 1; later < sim_terms(); later++)
        if (sim_term(later)->led)
            return;
    if (applied_at(index)->command)
        sim_fail("node %" PRIu64 " serves a read from before entry %" PRIu64
                 ", which another node has executed",
                 node->id, index);
}

/* A state that another node sent is what that node had. */
void sim_check_adopted(struct sim_node *node, struct raft_pos pos)
{
    const struct applied *known = applied_at(pos.index);
    if (db_applied_index(node->db) != pos.index)
        sim_fail("node %" PRIu64 " has the state of %" PRIu64 ", not of %" PRIu64, node->id,
                 db_applied_index(node->db), pos.index);
    if (known->hashed && db_hash(node->db) != known->data)
        sim_fail("node %" PRIu64 " adopts another state than there was at %" PRIu64, node->id,
                 pos.index);
}

/* What nodes are compared by.  `node`: whose db it is, if it is one's. */
static uint64_t content_of(struct db *db, struct sim_node *node)
{
    struct db_content *content;
    while (!(content = db_content_new(db))) { /* no room for a view: a checkpoint makes some, */
        if (node)
            sim_checkpoint_hurry(node); /* which waits for its turns */
        db_wait(db);
        db_poll(db);
    }
    while (!db_content_next(content, UINT64_MAX))
        ;
    uint64_t hash = db_content_hash(content);
    db_content_free(content);
    return hash;
}

/* StateMachineCorrect: the log applied from the beginning, without crashes or checkpoints. */
static uint64_t recompute(raft_index last, uint64_t *content)
{
    struct kv *kv = kv_memory_open();
    struct db_options options = {.cluster = SIM_HASH_SEED, .checkpoint_bytes = SIZE_MAX / 4};
    struct db *db = db_open(kv, &options);
    struct state_machine *machine = command_machine_new(db, command_meaning_newest);
    struct buffer reply = {0};
    struct sim_effects effects;
    sim_effects_listen(&effects, machine);
    for (raft_index i = 1; i <= last; i++) {
        const struct applied *entry = applied_at(i);
        if (entry->command) {
            struct apply_context context = {.pos = entry->pos,
                                            .now_ms = entry->now_ms,
                                            .seed = entry->seed,
                                            .value_max = entry->value_max,
                                            .meaning = entry->meaning,
                                            .database = entry->database};
            do
                buffer_clear(&reply);
            while (!machine->ops->apply(machine, &context, blob_bytes(entry->command), 2, &reply));
            if (XXH3_64bits(reply.data, reply.size) != entry->reply)
                sim_fail("recomputing gives another reply at %" PRIu64, i);
        }
        machine->ops->applied(machine, entry->pos, entry->now_ms, entry->meaning);
        /* Not compared: whoever executed it died before he said so, and found it done. */
        if (entry->told && effects_of(&effects, i) != entry->effects)
            sim_fail("recomputing has other effects at %" PRIu64 ": %s", i,
                     entry->command ? words_of(blob_bytes(entry->command)) : "no command");
    }
    *content = content_of(db, NULL);
    uint64_t hash = db_hash(db);
    buffer_deinit(&reply);
    command_machine_free(machine);
    db_close(db);
    kv->ops->close(kv);
    return hash;
}

/* All clocks have been right for a while. */
static void check_log_time_at_end(int64_t log_time_ms)
{
    if (log_time_ms < last_applied_ms - LOG_TIME_BEHIND_MS)
        sim_fail("log time stays behind by %" PRId64 " ms", last_applied_ms - log_time_ms);
}

void sim_check_settled(void)
{
    raft_index last = sim_committed().index;
    check_log_time_at_end(db_time_ms(sim.nodes[0].db));
    uint64_t content, expected = recompute(last, &content);
    if (acknowledged > last)
        sim_fail("entry %" PRIu64 " was acknowledged and is lost", acknowledged);
    for (uint32_t i = 0; i < sim.options.nodes; i++) {
        if (db_applied_index(sim.nodes[i].db) != last)
            sim_fail("node %u has applied %" PRIu64 " of %" PRIu64 " at the end", i,
                     db_applied_index(sim.nodes[i].db), last);
        sim_checkpoint_hurry(&sim.nodes[i]);
        if (db_hash(sim.nodes[i].db) != expected)
            sim_fail("node %u ends with other data than its log gives", i);
        if (content_of(sim.nodes[i].db, &sim.nodes[i]) != content)
            sim_fail("node %u ends with other rows than its log gives", i);
    }
}

void sim_data_free(void)
{
    Word_t key = 0, freed;
    PPvoid_t slot;
    for (raft_index i = 0; i < applied_count; i++)
        blob_release(applied[i].command);
    memory_free(applied);
    JLF(slot, commands, key);
    while (slot) {
        memory_free(*slot);
        JLN(slot, commands, key);
    }
    JLFA(freed, commands);
    (void)freed;
}
