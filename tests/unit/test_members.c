/* Lists of members: their bytes, which list may follow which, and cores whose members change all
 * the time: messages in any order, many times or never, writes that come late, crashes that lose
 * what is not durable.  One leader a term, and what was committed stays so, on every node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants these first
#include <cmocka.h>

#include "base/blob.h"
#include "base/fatal.h"
#include "base/prng.h"
#include "raft/raft.h"
#include "test_storage.h"

/* ---- bytes ------------------------------------------------------------------------------ */

static struct raft_members three(void)
{
    return (struct raft_members){
        .count = 3,
        .list = {{.id = 0, .life = 7, .voter = true, .address = "10.0.0.1:16379"},
                 {.id = 4, .voter = true, .address = "[::1]:1", .client = "10.0.0.2:6379"},
                 {.id = UINT64_MAX - 1, .life = UINT64_MAX, .joining = true, .address = ""}}};
}

static void a_list_comes_back(void **state)
{
    (void)state;
    struct raft_members lists[] = {three(), {.count = 0}}, back;
    for (size_t i = 0; i < 2; i++) {
        struct buffer bytes = {0};
        raft_members_encode(&bytes, &lists[i]);
        assert_true(raft_members_decode(&back, buffer_bytes(&bytes)));
        assert_memory_equal(&back, &lists[i], sizeof back);
        buffer_deinit(&bytes);
    }
}

/* Any damage is refused, or gives a list that is written with the same bytes. */
static void damaged_bytes_are_refused(void **state)
{
    (void)state;
    struct raft_members list = three(), back;
    struct buffer bytes = {0}, again = {0};
    raft_members_encode(&bytes, &list);
    for (size_t size = 0; size < bytes.size; size++)
        assert_false(raft_members_decode(&back, bytes_of(bytes.data, size)));
    for (size_t at = 0; at < bytes.size; at++)
        for (int value = 0; value < 256; value++) {
            char before = bytes.data[at];
            bytes.data[at] = (char)value;
            buffer_clear(&again);
            if (raft_members_decode(&back, buffer_bytes(&bytes))) {
                raft_members_encode(&again, &back);
                assert_true(bytes_equal(buffer_bytes(&again), buffer_bytes(&bytes)));
            }
            bytes.data[at] = before;
        }
    buffer_append_byte(&bytes, 0);
    assert_false(raft_members_decode(&back, buffer_bytes(&bytes)));
    buffer_deinit(&bytes);
    buffer_deinit(&again);
}

static void boot_with(void *payload)
{
    const struct raft_config config = {.id = 0,
                                       .election_ticks = 10,
                                       .heartbeat_ticks = 2,
                                       .inflight_max = 4,
                                       .inflight_bytes_max = 1000,
                                       .append_entries_max = 4,
                                       .append_bytes_max = 1000,
                                       .uncommitted_bytes_max = 1000};
    const struct raft_entry entry = {
        .pos = {1, 1}, .type = RAFT_ENTRY_MEMBERS, .size = 1, .payload = payload};
    const struct raft_saved saved = {
        .term = 1, .voted_for = RAFT_NOBODY, .entries = &entry, .entries_count = 1};
    raft_free(raft_new(&config, &saved));
}

/* A node that does not know who the members are must not count voters. */
static void no_start_on_a_damaged_list(void **state)
{
    struct raft_members list = three();
    struct blob *blob = raft_members_blob(&list);
    (void)state;
    boot_with(blob);
    blob->data[0] ^= 1; /* its version */
    assert_fatal(boot_with, blob, "log entry 1 holds no list of members");
    blob_release(blob);
}

/* ---- which may follow which ------------------------------------------------------------- */

/* "1 2l 3'": voters 1 and 3, the latter with life 1, and a learner. */
static struct raft_members list_of(const char *text)
{
    struct raft_members list = {.count = 0};
    for (; *text; text++) {
        if (*text >= '0' && *text <= '9')
            list.list[list.count++] =
                (struct raft_member){.id = (raft_node_id)(*text - '0'), .voter = true};
        else if (*text == '\'')
            list.list[list.count - 1].life++;
        else if (*text == 'l')
            list.list[list.count - 1].voter = false;
    }
    return list;
}

static void one_voter_at_a_time(void **state)
{
    (void)state;
    static const struct {
        const char *old, *now;
        bool may;
    } cases[] = {
        {"1 2 3", "1 2 3", true},
        {"1 2 3", "1 2 3 4", true},
        {"1 2 3", "1 2", true},
        {"1 2 3", "1 2 3l", true},
        {"1 2 3l", "1 2 3", true},
        {"1 2 3", "1 2 4", false},
        {"1 2 3", "1", false},
        {"1", "1 2 3", false},
        {"1", "1 2l 3l", true},
        {"1 2l 3l", "1 2 3", false},
        {"1", "", false},
        {"1", "1l", false},
        {"1 2 3", "1l 2l 3", false},
        {"1 2 3", "1' 2' 3'", true},
        {"1' 2 3", "1 2 3", false},
        {"1' 2 3", "1'' 2 3", false},
        {"1' 2 3", "1''l 2 3", true},
        {"1'l 2 3", "1'' 2 3", true},
        {"1 2 3", "1' 2' 3' 4", true},
        {"1 2 3l", "1 2l 3", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct raft_members old = list_of(cases[i].old), now = list_of(cases[i].now);
        if (raft_members_one_step(&old, &now) != cases[i].may)
            fail_msg("%s -> %s", cases[i].old, cases[i].now);
    }
}

/* ---- cores ------------------------------------------------------------------------------- */

enum { NODES = 5, NET = 64, LOG = 256, WRITES = 1024, BATCH = 3, STEPS = 16000, LISTS = 512 };

struct packet {
    struct raft_message message;
    struct raft_entry entries[BATCH];
};

struct image {
    raft_term term;
    raft_node_id vote;
    uint32_t last;
    struct raft_entry log[LOG]; /* by index */
};

struct core {
    struct raft *raft;
    struct image now;          /* with all writes, durable or not */
    struct image kept[WRITES]; /* by number of write since the start; [0]: at the start */
    uint64_t issued, durable;
    raft_index applied, first; /* on the disk as well */
    struct raft_members base;  /* in force at `first` */
};

static struct {
    struct core cores[NODES];
    struct packet net[NET];
    uint32_t waiting;
    uint64_t prng;
    raft_node_id leaders[LOG]; /* by term */
    raft_term committed[LOG];  /* by index; 0: not yet */
    struct blob *lists[LISTS]; /* of members entries */
    uint32_t lists_count, commits, changes, elections;
    uint32_t cut_off;
} world;

static uint32_t below(uint64_t bound)
{
    return (uint32_t)prng_below(&world.prng, bound);
}

static void core_start(uint32_t id)
{
    struct core *core = &world.cores[id];
    struct raft_config config = {.id = id,
                                 .election_ticks = 10,
                                 .heartbeat_ticks = 3,
                                 .inflight_max = 4,
                                 .inflight_bytes_max = UINT64_MAX,
                                 .append_entries_max = BATCH,
                                 .append_bytes_max = 1000,
                                 .uncommitted_bytes_max = 1000000,
                                 .seed = prng_next(&world.prng)};
    struct raft_saved saved = {.term = core->now.term,
                               .voted_for = core->now.vote,
                               .applied = core->applied,
                               .first = core->now.log[core->first].pos,
                               .members = core->base,
                               .entries = core->now.log + core->first + 1,
                               .entries_count = core->now.last - core->first};
    core->raft = raft_new(&config, &saved);
    core->kept[0] = core->now;
    core->issued = core->durable = 0;
}

static void check_leader(uint32_t id)
{
    struct raft_status status;
    raft_status(world.cores[id].raft, &status);
    if (status.role != RAFT_LEADER)
        return;
    assert_true(status.term < LOG);
    if (world.leaders[status.term] == RAFT_NOBODY)
        world.elections++;
    else
        assert_int_equal(world.leaders[status.term], id);
    world.leaders[status.term] = id;
}

static void check_committed(uint32_t id, raft_index commit)
{
    const struct core *core = &world.cores[id];
    struct raft_status status;
    raft_status(core->raft, &status);
    for (raft_index i = status.first.index + 1; i <= commit; i++) {
        raft_term term = raft_term_at(core->raft, i);
        if (world.committed[i] == 0)
            world.commits++;
        else
            assert_int_equal(world.committed[i], term);
        world.committed[i] = term;
    }
}

static void core_send(const struct core *core, const struct raft_message *message)
{
    if (world.waiting == NET)
        memmove(world.net, world.net + 1, --world.waiting * sizeof world.net[0]);
    struct packet *packet = &world.net[world.waiting++];
    packet->message = *message;
    if (message->type != RAFT_APPEND_REQUEST)
        return;
    for (uint32_t i = 0; i < message->append_request.count; i++)
        packet->entries[i] = core->now.log[message->append_request.prev.index + 1 + i];
}

static void keep_write(struct core *core, const struct raft_write *write)
{
    core->now.term = write->term;
    core->now.vote = write->voted_for;
    for (uint32_t i = 0; i < write->count; i++) {
        core->now.last = (uint32_t)write->entries[i].pos.index;
        assert_true(core->now.last < LOG);
        core->now.log[core->now.last] = write->entries[i];
    }
    core->issued = write->seq;
    assert_true(core->issued < WRITES);
    core->kept[core->issued] = core->now;
}

static enum raft_result core_step(uint32_t id, const struct raft_input *input)
{
    struct core *core = &world.cores[id];
    struct raft_output output;
    struct raft_status status;
    enum raft_result result = raft_step(core->raft, input, &output);
    if (output.write.seq)
        keep_write(core, &output.write);
    for (uint32_t i = 0; i < output.messages_count; i++)
        core_send(core, &output.messages[i]);
    raft_index apply_to = output.apply_to;
    check_leader(id);
    raft_status(core->raft, &status);
    check_committed(id, status.commit);
    if (apply_to > status.applied && below(2)) {
        struct raft_input applied = {.type = RAFT_INPUT_APPLIED, .index = apply_to};
        core->applied = apply_to;
        core_step(id, &applied);
    }
    return result;
}

static void core_crash(uint32_t id)
{
    struct core *core = &world.cores[id];
    core->now = core->kept[core->durable + below(core->issued - core->durable + 1)];
    raft_free(core->raft);
    core_start(id);
}

static void core_compact(uint32_t id)
{
    struct core *core = &world.cores[id];
    if (core->applied <= core->first)
        return;
    struct raft_input input = {.type = RAFT_INPUT_COMPACTED};
    input.index = core->first + 1 + below(core->applied - core->first);
    core->base = *raft_members_at(core->raft, input.index);
    core->first = input.index;
    core_step(id, &input);
}

/* One of the oldest, mostly for the last time. */
static void deliver(void)
{
    uint32_t at = below(world.waiting < 8 ? world.waiting : 8);
    struct packet packet = world.net[at];
    if (below(10) > 0) {
        world.waiting--;
        memmove(&world.net[at], &world.net[at + 1], (world.waiting - at) * sizeof packet);
    }
    if (packet.message.type == RAFT_APPEND_REQUEST)
        packet.message.append_request.entries = packet.entries;
    if (packet.message.to == world.cut_off || packet.message.from == world.cut_off)
        return;
    struct raft_input input = {.type = RAFT_INPUT_MESSAGE, .message = &packet.message};
    core_step((uint32_t)packet.message.to, &input);
}

static void persist(uint32_t id)
{
    struct core *core = &world.cores[id];
    if (core->issued == core->durable)
        return;
    core->durable += 1 + below(core->issued - core->durable);
    struct raft_input input = {.type = RAFT_INPUT_PERSISTED, .persisted = {core->durable}};
    core_step(id, &input);
}

/* Any change of one of them, or of two, which must be refused. */
static struct raft_members changed(struct raft_members list, uint32_t count)
{
    while (count-- > 0) {
        raft_node_id id = below(NODES);
        uint32_t place = raft_members_place(&list, id);
        if (place == list.count) {
            for (place = 0; place < list.count && list.list[place].id < id; place++)
                ;
            memmove(list.list + place + 1, list.list + place,
                    (list.count - place) * sizeof *list.list);
            list.count++;
            list.list[place] = (struct raft_member){.id = id, .voter = below(2)};
        } else if (below(2)) {
            list.list[place].voter = !list.list[place].voter;
        } else {
            list.count--;
            memmove(list.list + place, list.list + place + 1,
                    (list.count - place) * sizeof *list.list);
        }
    }
    return list;
}

static void propose(uint32_t id)
{
    struct core *core = &world.cores[id];
    struct raft_entry entry = {.size = 1};
    struct raft_input input = {.type = RAFT_INPUT_PROPOSE, .propose = {&entry, 1}};
    if (core->now.last > LOG - 16)
        return;
    if (below(2)) {
        struct buffer bytes = {0};
        struct raft_members list = changed(*raft_members(core->raft), 1 + (below(8) == 0));
        assert_true(world.lists_count < LISTS);
        raft_members_encode(&bytes, &list);
        entry.type = RAFT_ENTRY_MEMBERS;
        entry.payload = world.lists[world.lists_count++] = blob_copy(buffer_bytes(&bytes));
        buffer_deinit(&bytes);
    }
    bool appended = core_step(id, &input) == RAFT_OK;
    if (entry.payload && !appended)
        blob_release(world.lists[--world.lists_count]);
    world.changes += entry.payload && appended;
}

static void anything(void)
{
    uint32_t id = below(NODES), what = below(1000);
    struct raft_input tick = {.type = RAFT_INPUT_TICK};
    struct raft_input transfer = {.type = RAFT_INPUT_TRANSFER, .node = below(NODES)};
    struct raft_input unreachable = {.type = RAFT_INPUT_UNREACHABLE, .node = below(NODES)};
    struct raft_input gone = {.type = RAFT_INPUT_GONE, .node = below(NODES)};
    if (below(1500) == 0)
        world.cut_off = below(NODES + 2);
    if (what < 650 && world.waiting > 0)
        deliver();
    else if (what < 820)
        persist(id);
    else if (what < 920)
        core_step(id, &tick);
    else if (what < 975)
        propose(id);
    else if (what < 980)
        core_step(id, &transfer);
    else if (what < 985)
        core_step(id, below(2) ? &unreachable : &gone);
    else if (what < 990)
        core_crash(id);
    else if (what < 995)
        core_compact(id);
}

static void begin_world(uint64_t seed)
{
    memset(&world, 0, sizeof world);
    world.prng = seed;
    world.cut_off = NODES;
    for (uint32_t i = 0; i < LOG; i++)
        world.leaders[i] = RAFT_NOBODY;
    uint32_t first = 1 + below(4);
    for (uint32_t id = 0; id < NODES; id++) {
        struct core *core = &world.cores[id];
        core->now.vote = RAFT_NOBODY;
        for (uint32_t i = 0; id < first && i < first; i++)
            core->base.list[core->base.count++] = (struct raft_member){.id = i, .voter = true};
        core_start(id);
    }
}

static void end_world(void)
{
    for (uint32_t id = 0; id < NODES; id++)
        raft_free(world.cores[id].raft);
    for (uint32_t i = 0; i < world.lists_count; i++)
        blob_release(world.lists[i]);
}

enum { WORLDS = 40 };

static void members_change_all_the_time(void **state)
{
    (void)state;
    uint32_t commits = 0, changes = 0, elections = 0;
    const char *worlds = getenv("WORLDS");
    uint64_t count = worlds ? strtoull(worlds, NULL, 10) : WORLDS;
    for (uint64_t seed = 1; seed <= count; seed++) {
        begin_world(seed);
        for (uint32_t i = 0; i < STEPS; i++)
            anything();
        commits += world.commits;
        changes += world.changes;
        elections += world.elections;
        end_world();
    }
    print_message("%u commits, %u changes, %u elections\n", commits, changes, elections);
    assert_true(commits > 15 * count);
    assert_true(changes > 5 * count);
    assert_true(elections > 5 * count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_comes_back),           cmocka_unit_test(damaged_bytes_are_refused),
        cmocka_unit_test(no_start_on_a_damaged_list),  cmocka_unit_test(one_voter_at_a_time),
        cmocka_unit_test(members_change_all_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
