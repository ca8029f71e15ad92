/* Who looks after the cluster: adds, removes, demotes, promotes and replaces members by the
 * commands that there are for it, has the office handed over, loses disks, and puts old copies of
 * disks back.
 *
 * What is lost by design is not asked for.  Of the voters of every list that may come to be in
 * force a majority keeps what it promised, so a second disk is lost only where that stays so; and a
 * disk is lost or an old copy put back only when the others know that life, and durably more starts
 * of it than the copy will have.
 *
 * A machine whose directory is empty asks to be taken in, as server/join.c does, at some member. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "command/change.h"
#include "kv_memory.h"
#include "sim.h"

enum {
    LOOK_US = 150000,
    ASK_US = 100000,
    FIRST_ASK_US = 1200000,
    TIMEOUT_MS = 1500,
    QUIET_US = 3000000
};
enum {
    FIRST_LINE = 7000000,
    LISTS_FIRST = 16,
    CHANGES_OF_1000 = 60,
    OLD_DISKS_OF_1000 = 100,
    STARTS_TO_SPARE = 1,
    WORD_SIZE = 24
};

/* A list of members that stands in some log. */
struct list {
    struct raft_pos pos;
    struct raft_members members;
};

/* An old copy of a machine's disk. */
struct copy {
    struct kv *kv; /* owned; NULL: none */
    uint32_t directory;
    raft_node_id name;
    uint64_t starts;
    struct sim_image image;
};

static struct list *lists; /* owned; in the order in which they were made */
static uint32_t lists_count, lists_capacity;
static struct copy copies[SIM_NODES_MAX];
static bool was_removed[SIM_NODES_MAX];
static raft_node_id joined[SIM_NODES_MAX]; /* what one that asks was told; RAFT_NOBODY: nothing */
static uint64_t numbers;
static uint64_t asked;        /* number of the change that is under way; 0: none */
static int64_t quiet_from_us; /* what was asked before it will not be appended any more */

static bool is_intact(uint32_t directory);

/* ---- lists ---------------------------------------------------------------------------- */

void sim_members_created(const struct raft_entry *entry)
{
    if (lists_count == lists_capacity) {
        lists_capacity = lists_capacity ? lists_capacity * 2 : LISTS_FIRST;
        lists = memory_resize(lists, lists_capacity * sizeof *lists);
    }
    struct list *list = &lists[lists_count++];
    list->pos = entry->pos;
    check(raft_members_decode(&list->members, blob_bytes(entry->payload)));
}

/* The one in force where all is committed; NULL: no entry holds one yet. */
static const struct list *decided(void)
{
    const struct list *last = NULL;
    for (uint32_t i = 0; i < lists_count; i++)
        if ((!last || lists[i].pos.index > last->pos.index) &&
            sim_log_has(sim_committed(), lists[i].pos))
            last = &lists[i];
    return last;
}

/* Some node has it, behind what is committed. */
static bool may_come(const struct list *list)
{
    if (list->pos.index <= sim_committed().index)
        return false;
    for (uint32_t i = 0; i < sim.options.nodes; i++) {
        const struct sim_node *node = &sim.nodes[i];
        if (sim_log_has(node->image.tip, list->pos) ||
            (node->alive && sim_log_has(node->tip, list->pos)))
            return true;
    }
    return false;
}

/* Without that directory, and without the vote of that name. */
static bool keeps_majority(const struct raft_members *members, uint32_t lost, raft_node_id gone)
{
    uint32_t voters = 0, intact = 0;
    for (uint32_t place = 0; place < members->count; place++) {
        const struct raft_member *member = &members->list[place];
        uint32_t directory = sim_directory_of(member);
        if (!member->voter || member->id == gone)
            continue;
        voters++;
        intact += directory != lost && is_intact(directory);
    }
    return intact > voters / 2;
}

/* Of a minority the clocks may be far off (faults.c), and of five that is one node. */
static bool has_enough_voters(const struct raft_members *members, raft_node_id gone)
{
    uint32_t place = raft_members_place(members, gone);
    uint32_t voters = raft_members_voters(members);
    voters -= place < members->count && members->list[place].voter;
    return voters >= (sim.options.nodes == SIM_NODES_MAX ? 3u : 1u);
}

static bool may_lose(uint32_t directory)
{
    const struct list *list = decided();
    if (!list || !keeps_majority(&list->members, directory, RAFT_NOBODY))
        return false;
    for (uint32_t i = 0; i < lists_count; i++)
        if (may_come(&lists[i]) && !keeps_majority(&lists[i].members, directory, RAFT_NOBODY))
            return false;
    return true;
}

/* ---- directories ------------------------------------------------------------------------- */

static bool is_intact(uint32_t directory)
{
    return directory != SIM_NO_DIRECTORY && !sim_directory(directory)->is_lost &&
           !sim.nodes[sim_directory(directory)->machine].is_old;
}

static const struct raft_member *member_at(const struct raft_members *members, uint32_t machine)
{
    char address[RAFT_ADDRESS_SIZE];
    sim_address(machine, false, address);
    for (uint32_t place = 0; place < members->count; place++)
        if (strcmp(members->list[place].address, address) == 0)
            return &members->list[place];
    return NULL;
}

/* Its directory is that of a member. */
static bool is_member(const struct raft_members *members, const struct sim_node *node)
{
    const struct raft_member *member = member_at(members, (uint32_t)node->id);
    return member && member->life != 0 && member->life == sim_directory(node->directory)->life;
}

static bool is_whole(const struct raft_members *members, const struct sim_node *node)
{
    return is_member(members, node) && !node->is_new && !node->is_old && !node->asks;
}

/* How many starts of it the other remembers, on its disk. */
static uint64_t starts_heard(const struct sim_node *other, raft_node_id name, uint32_t directory)
{
    char key[32];
    struct buffer value = {0};
    struct kv *kv = other->store->inner;
    uint64_t starts = 0;
    snprintf(key, sizeof key, "seen-%" PRIu64, name);
    if (kv->ops->get(kv, KV_META, bytes_from_string(key), &value)) {
        const unsigned char *at = (const unsigned char *)value.data; /* raft_log.c: a record */
        check(value.size == 1 + 8 + 8 + 8);
        if (get_u64(at + 1) == sim_directory(directory)->life)
            starts = get_u64(at + 9);
    }
    buffer_deinit(&value);
    return starts;
}

/* The least that any other machine remembers of it, which are all members. */
static uint64_t starts_known(raft_node_id name, uint32_t directory)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < sim.options.nodes; i++) {
        if (i == sim_directory(directory)->machine)
            continue;
        uint64_t heard = starts_heard(&sim.nodes[i], name, directory);
        if (heard < least)
            least = heard;
    }
    return least;
}

/* That node's own log says what lives there are: whoever comes with another is refused. */
static bool all_know_lists(const struct sim_node *but)
{
    for (uint32_t i = 0; i < sim.options.nodes; i++) {
        const struct sim_node *node = &sim.nodes[i];
        bool knows = node == but || node->asks;
        for (uint32_t k = 0; k < lists_count && !knows; k++)
            knows = sim_log_has(sim_committed(), lists[k].pos) &&
                    lists[k].pos.index <= node->image.tip.index &&
                    sim_log_has(node->image.tip, lists[k].pos);
        if (!knows || node->meaning_known < command_meaning_newest)
            return false;
    }
    return true;
}

static bool has_old_disk(void)
{
    for (uint32_t i = 0; i < sim.options.nodes; i++)
        if (sim.nodes[i].is_old)
            return true;
    return false;
}

/* ---- asking ----------------------------------------------------------------------------- */

struct ticket {
    uint64_t number;
    uint64_t *counter; /* raised if it is done */
    raft_node_id removed;
};

static struct sim_node *some_node_that_runs(void)
{
    struct sim_node *node = &sim.nodes[sim_below(sim.options.nodes)];
    return node->alive && !node->paused ? node : NULL;
}

static void note_removed(raft_node_id name)
{
    for (uint32_t i = 0; i < sim.options.nodes; i++)
        if (sim.nodes[i].name == name)
            was_removed[i] = true;
}

static void changed(void *context, struct request *request, enum request_outcome outcome,
                    struct bytes reply)
{
    struct ticket *ticket = context;
    bool is_done = outcome == REQUEST_DONE && *(const char *)reply.data != '-';
    bool is_now = asked == ticket->number;
    request->context = NULL;
    if (is_now)
        asked = 0;
    if (outcome == REQUEST_UNKNOWN || !is_now)
        quiet_from_us = sim.now_us + QUIET_US;
    *ticket->counter += is_done;
    if (is_done && ticket->removed != RAFT_NOBODY)
        note_removed(ticket->removed);
    sim.coverage.changes_refused += outcome == REQUEST_DONE && !is_done;
    sim_say("a change of members: %s %.*s", outcome == REQUEST_DONE ? "answered" : "not known",
            reply.size > 2 ? (int)reply.size - 2 : 0, (const char *)reply.data);
    memory_free(ticket);
}

/* No answer may come: its node died. */
static void give_up(struct sim_node *unused, void *data)
{
    (void)unused;
    if (asked == *(uint64_t *)data) {
        asked = 0;
        quiet_from_us = sim.now_us + QUIET_US;
    }
    memory_free(data);
}

static void ask(uint64_t *counter, raft_node_id removed, const struct bytes *argv, uint32_t argc)
{
    struct sim_node *node = some_node_that_runs();
    if (!node || asked)
        return;
    struct ticket *ticket = memory_new(sizeof *ticket);
    uint64_t *number = memory_new(sizeof *number);
    *number = asked = ++numbers;
    *ticket = (struct ticket){asked, counter, removed};
    sim_say("node %" PRIu64 " is asked: %.*s %.*s %.*s", node->id, (int)argv[0].size,
            (const char *)argv[0].data, argc > 1 ? (int)argv[1].size : 0,
            argc > 1 ? (const char *)argv[1].data : "", argc > 2 ? (int)argv[2].size : 0,
            argc > 2 ? (const char *)argv[2].data : "");
    struct request *request = request_new(REQUEST_WRITE, 2, FIRST_LINE + asked,
                                          command_encode(argv, argc), changed, ticket);
    request->deadline_ms = sim_node_now_ms(node) + TIMEOUT_MS;
    sim_schedule((TIMEOUT_MS + 500) * 1000, NULL, give_up, number);
    replica_submit(node->replica, request);
    sim_node_run(node);
}

static void ask_of(uint64_t *counter, const char *word, raft_node_id name)
{
    char id[WORD_SIZE];
    snprintf(id, sizeof id, "%" PRIu64, name);
    const struct bytes argv[] = {bytes_from_string("RAFT.NODE"), bytes_from_string(word),
                                 bytes_from_string(id)};
    ask(counter, strcmp(word, "REMOVE") == 0 ? name : RAFT_NOBODY, argv, 3);
}

static void ask_to_add(uint32_t machine)
{
    char address[RAFT_ADDRESS_SIZE];
    sim_address(machine, false, address);
    const struct bytes argv[] = {bytes_from_string("RAFT.NODE"), bytes_from_string("ADD"),
                                 bytes_from_string(address), bytes_from_string("LEARNER")};
    ask(&sim.coverage.members_added, RAFT_NOBODY, argv, sim_chance(300) ? 4 : 3);
}

static void ask_to_lead(raft_node_id name)
{
    char id[WORD_SIZE];
    snprintf(id, sizeof id, "%" PRIu64, name);
    const struct bytes argv[] = {bytes_from_string("RAFT.TRANSFER_LEADER"), bytes_from_string(id)};
    ask(&sim.coverage.offices_handed_over, RAFT_NOBODY, argv, sim_chance(300) ? 1 : 2);
}

/* ---- joining ----------------------------------------------------------------------------- */

struct join {
    uint32_t machine;
    uint32_t directory;
};

static void taken_in(struct sim_node *node)
{
    struct raft_log_identity identity = {.node = joined[node->id], .cluster = SIM_HASH_SEED};
    sim_say("node %" PRIu64 " is taken in as %" PRIu64, node->id, identity.node);
    sim.coverage.members_joined++;
    sim.coverage.joined_again += was_removed[node->id];
    was_removed[node->id] = false;
    raft_log_join(&node->store->base, &identity);
    node->name = sim_directory(node->directory)->name = identity.node;
    node->asks = false;
    sim_node_start(node);
}

/* It may not hear it: then it asks again. */
static void join_answered(void *context, struct request *request, enum request_outcome outcome,
                          struct bytes reply)
{
    struct join *join = context;
    const char *text = reply.data;
    const struct sim_node *node = &sim.nodes[join->machine];
    request->context = NULL;
    if (node->asks && node->directory == join->directory && outcome == REQUEST_DONE &&
        text[0] == ':' && !sim_chance(300))
        joined[join->machine] = strtoull(text + 1, NULL, 10);
    memory_free(join);
}

static void ask_to_join(const struct sim_node *node, struct sim_node *member)
{
    struct replica_change change = {
        .kind = REPLICA_JOIN, .life = node->disk_life.life, .meaning = node->meaning_known};
    struct join *join = memory_new(sizeof *join);
    *join = (struct join){(uint32_t)node->id, node->directory};
    sim_address((uint32_t)node->id, false, change.address);
    sim_address((uint32_t)node->id, true, change.client);
    struct request *request = request_new(REQUEST_WRITE, 2, FIRST_LINE + ++numbers,
                                          command_join(&change), join_answered, join);
    request->deadline_ms = sim_node_now_ms(member) + TIMEOUT_MS;
    replica_submit(member->replica, request);
    sim_node_run(member);
}

static void join(struct sim_node *unused, void *data)
{
    struct sim_node *node = &sim.nodes[*(uint32_t *)data];
    struct sim_node *member = some_node_that_runs();
    (void)unused;
    if (!node->asks) {
        memory_free(data);
        return;
    }
    sim_schedule(1 + (int64_t)sim_below(ASK_US), NULL, join, data);
    if (joined[node->id] != RAFT_NOBODY)
        taken_in(node);
    else if (member && member != node)
        ask_to_join(node, member);
}

void sim_members_node_asks(struct sim_node *node)
{
    uint32_t *machine = memory_new(sizeof *machine);
    *machine = (uint32_t)node->id;
    joined[node->id] = RAFT_NOBODY;
    sim_schedule(1 + (int64_t)sim_below(FIRST_ASK_US), NULL, join, machine);
}

/* ---- disks ------------------------------------------------------------------------------ */

static void put_empty_disk(struct sim_node *node, bool joins)
{
    if (node->alive)
        sim_node_crash(node);
    node->is_old = false;
    sim_node_lose_disk(node, joins);
}

/* Nobody looks after anything, and all can be lost that may. */
static bool is_quiet(const struct sim_node *node)
{
    const struct list *list = decided();
    return sim.changes && list && !asked && sim.now_us >= quiet_from_us && !has_old_disk() &&
           is_whole(&list->members, node) && all_know_lists(node) &&
           sim_directories() < SIM_DIRECTORIES_MAX;
}

void sim_members_lose_disk(struct sim_node *node)
{
    if (!is_quiet(node) || !may_lose(node->directory))
        return;
    bool joins = node->name != node->id || node->id >= sim_first_voters() || sim_chance(500);
    sim.coverage.disks_lost++;
    sim_say("the disk of node %" PRIu64 " is lost%s", node->id,
            joins ? "" : ", and it starts anew under its old name");
    put_empty_disk(node, joins);
    sim_node_start(node);
}

static void copy_disk(const struct sim_node *node)
{
    struct copy *copy = &copies[node->id];
    if (copy->kv)
        copy->kv->ops->close(copy->kv);
    *copy = (struct copy){.kv = kv_memory_copy(node->store->inner),
                          .directory = node->directory,
                          .name = node->name,
                          .starts = node->disk_life.starts,
                          .image = node->image};
}

/* Whoever was the only voter then needs nobody's vote now, and nobody can tell it in time
 * (README.md): not what is tried here. */
static bool can_lead_alone(const struct sim_node *node)
{
    struct raft_status status;
    const struct raft *raft = sim_raft_of(node->replica);
    raft_status(raft, &status);
    return raft_members_voters(raft_members_at(raft, status.durable)) == 1;
}

/* It will be started once, and the others must know of more. */
static bool is_known_to_be_old(const struct copy *copy)
{
    return copy->starts + 1 < starts_known(copy->name, copy->directory);
}

bool sim_members_are_known_at(raft_index index)
{
    for (uint32_t i = 0; i < lists_count; i++)
        if (lists[i].pos.index <= index && sim_log_has(sim_committed(), lists[i].pos))
            return true;
    return false;
}

bool sim_members_may_disown(const struct sim_node *node)
{
    const struct list *list = decided();
    return list && !is_member(&list->members, node);
}

static bool all_are_members(const struct raft_members *members)
{
    for (uint32_t i = 0; i < sim.options.nodes; i++)
        if (!is_whole(members, &sim.nodes[i]))
            return false;
    return true;
}

static void put_old_disk(struct sim_node *node)
{
    struct copy *copy = &copies[node->id];
    sim.coverage.old_disks++;
    sim_say("an old copy of the disk of node %" PRIu64 " is put back", node->id);
    if (node->alive)
        sim_node_crash(node);
    sim_node_put_old_disk(node, copy->kv, &copy->image);
    node->disk_life.starts = copy->starts;
    *copy = (struct copy){0};
    sim_node_start(node);
}

static bool has_copy(const struct sim_node *node)
{
    const struct copy *copy = &copies[node->id];
    return copy->kv && copy->directory == node->directory;
}

/* All others are there to refuse it. */
static bool may_be_put_back(const struct sim_node *node)
{
    return has_copy(node) && is_quiet(node) && all_are_members(&decided()->members) &&
           may_lose(node->directory);
}

void sim_members_old_disk(struct sim_node *node)
{
    for (uint32_t i = 0; i < sim.options.nodes; i++)
        if (may_be_put_back(&sim.nodes[i]) && is_known_to_be_old(&copies[i])) {
            put_old_disk(&sim.nodes[i]);
            return;
        }
    if (!has_copy(node)) {
        if (node->alive && !node->asks && !can_lead_alone(node))
            copy_disk(node);
    } else if (may_be_put_back(node) && node->alive) { /* it has to be started again first */
        sim_node_crash(node);
        sim_restart_later(node);
    }
}

/* One that is started too often could not be told any more. */
bool sim_members_may_start(const struct sim_node *node)
{
    return !node->is_old || node->disk_life.starts + 1 < starts_known(node->name, node->directory);
}

/* ---- changes ----------------------------------------------------------------------------- */

static bool may_go(const struct raft_members *members, raft_node_id name)
{
    return has_enough_voters(members, name) && keeps_majority(members, SIM_NO_DIRECTORY, name);
}

/* Of a node that has done no harm. */
void sim_members_change(struct sim_node *node)
{
    const struct list *list = decided();
    if (!sim.changes || !list || asked || sim.now_us < quiet_from_us || has_old_disk() ||
        !is_whole(&list->members, node))
        return;
    bool may = may_go(&list->members, node->name);
    switch (sim_below(6)) {
    case 0: ask_to_lead(node->name); break;
    case 1:
    case 2:
        if (may && sim_directories() < SIM_DIRECTORIES_MAX - SIM_NODES_MAX)
            ask_of(&sim.coverage.members_removed, "REMOVE", node->name);
        break;
    case 3:
        if (may && sim_directories() < SIM_DIRECTORIES_MAX - SIM_NODES_MAX)
            ask_of(&sim.coverage.members_replaced, "REPLACE", node->name);
        break;
    default:
        if (may)
            ask_of(&sim.coverage.members_demoted, "DEMOTE", node->name);
        break;
    }
}

/* ---- looking after it -------------------------------------------------------------------- */

/* It is no member any more, or never was with what it has: it ends some time, and begins anew. */
static void clear_out(struct sim_node *node, bool was_refused)
{
    if (!sim.healing && !sim_chance(200))
        return;
    sim.coverage.new_disks_refused += node->is_new && was_refused;
    put_empty_disk(node, true);
    sim_node_start(node);
}

static void look_after(struct sim_node *node, const struct raft_members *members)
{
    const struct raft_member *member = member_at(members, (uint32_t)node->id);
    bool is_its_place = member && (member->life != 0 || member->voter);
    if (node->is_new && !node->alive) {
        clear_out(node, true);
    } else if (node->asks && is_its_place && member->life != sim_directory(node->directory)->life) {
        ask_of(&sim.coverage.members_replaced, "REPLACE", member->id);
    } else if (node->asks && !member && sim_chance(900)) {
        ask_to_add((uint32_t)node->id); /* it would be taken in without that */
    } else if (node->is_old && is_member(members, node)) {
        if (sim.healing || sim_chance(100))
            ask_of(&sim.coverage.members_replaced, "REPLACE", node->name);
    } else if (!node->asks && !node->is_new && !is_member(members, node)) {
        clear_out(node, true);
    } else if (is_whole(members, node) && !member->voter && !member->joining &&
               (sim.healing || sim_chance(200))) {
        ask_of(&sim.coverage.members_promoted, "PROMOTE", member->id);
    }
}

static void look(struct sim_node *unused, void *data)
{
    const struct list *list = decided();
    struct sim_node *node = &sim.nodes[sim_below(sim.options.nodes)];
    (void)unused;
    (void)data;
    sim_schedule(1 + (int64_t)sim_below(LOOK_US), NULL, look, NULL);
    if (list)
        look_after(node, &list->members);
    if (sim_fault_on(FAULT_MEMBERS) && sim_chance(CHANGES_OF_1000))
        sim_members_change(node);
    if (sim_fault_on(FAULT_OLD_DISK) && sim_chance(OLD_DISKS_OF_1000))
        sim_members_old_disk(node);
}

void sim_members_start(void)
{
    if (sim.changes)
        sim_schedule(LOOK_US, NULL, look, NULL);
}

/* ---- at the end -------------------------------------------------------------------------- */

bool sim_members_are_whole(void)
{
    const struct list *list = decided();
    if (!sim.changes || !list)
        return true;
    for (uint32_t place = 0; place < list->members.count; place++)
        if (list->members.list[place].joining)
            return false;
    return list->members.count == sim.options.nodes && all_are_members(&list->members);
}

void sim_members_check(void)
{
    const struct list *list = decided();
    if (!sim_members_are_whole())
        sim_fail("not all are members at the end");
    for (uint32_t i = 0; i < sim.options.nodes && list; i++)
        if (!raft_members_equal(raft_members(sim_raft_of(sim.nodes[i].replica)), &list->members))
            sim_fail("node %u ends with another list of members than was decided", i);
}

void sim_members_free(void)
{
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++)
        if (copies[i].kv)
            copies[i].kv->ops->close(copies[i].kv);
    memory_free(lists);
}
