/* What a peer says that no honest one would, see test_replica.h: this node lives, refuses or does
 * not heed it, and its own clients are answered.
 *
 * The random ones are well-formed, as the wire would let them in, and in no order at all. */
#include "test_replica.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "test_colliding.h"

enum { LINES = FORWARDS_MAX }; /* a power of two */
enum { HONEST = 1, HOSTILE = 2, OTHERS = 2, KNOWN = 5, LIFE = 76, OTHER_LIFE };

/* Of another life it is no member, and its reads wait for a round. */
static uint64_t hostile_life;

static int set_up_hostile(void **state)
{
    set_up(state);
    stop();
    hostile_life = world.life = LIFE;
    start();
    world.meaning_known = KNOWN;
    for (raft_node_id node = 1; node <= OTHERS; node++)
        replica_announced(world.replica, node, KNOWN);
    return 0;
}

static void ask_waiting(struct result *result, enum request_kind kind, uint64_t client,
                        const char *command)
{
    *result = (struct result){0};
    struct request *request =
        request_new(kind, 2, client, blob_copy(bytes_from_string(command)), on_done, result);
    request->database = 5;
    request->may_wait = true;
    replica_submit(world.replica, request);
}

/* A client of the hostile node's asks. */
static void receive_from(enum request_kind kind, uint64_t id, uint64_t client, bool may_wait,
                         const char *command)
{
    struct forward forward = forward_of(kind, id, client, command);
    forward.database = 5;
    forward.may_wait = may_wait;
    forward.waiter_id = may_wait ? id : 0;
    forward.seen = may_wait ? status().applied : 0;
    replica_receive_forward(world.replica, HOSTILE, hostile_life, &forward);
    blob_release(forward.command);
}

static void receive_cancel(uint64_t id, uint64_t client)
{
    struct forward_cancel cancel = {.run_id = 5, .id = id, .client = client};
    replica_receive_cancel(world.replica, HOSTILE, &cancel);
    run();
}

/* What came back for the forward with this number; NULL: nothing yet. */
static const struct forward_reply *reply_to(uint64_t id)
{
    for (uint32_t i = 0; i < world.replies_count; i++)
        if (world.replies[i].id == id)
            return &world.replies[i];
    return NULL;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void answer_with(uint32_t forward, enum request_outcome outcome)
{
    struct forward_reply message = {.run_id = world.forwards[forward].run_id,
                                    .id = world.forwards[forward].id,
                                    .outcome = outcome,
                                    .reply = bytes_from_string("reply")};
    replica_receive_forward_reply(world.replica, HOSTILE, &message);
    run();
}

static void an_outcome_that_cannot_be_says_nothing(void **state)
{
    static struct result write, other, read, bounded;
    (void)state;
    follow(HOSTILE, 5);
    ask(&write, REQUEST_WRITE, 1, "a");
    ask(&other, REQUEST_WRITE, 2, "a");
    ask_now(&read, REQUEST_READ, 3, "r");
    answer_with(0, REQUEST_TOO_LARGE);
    assert_ended(write, REQUEST_UNKNOWN);
    answer_with(1, REQUEST_CANCELLED);
    assert_ended(other, REQUEST_UNKNOWN);
    answer_with(2, REQUEST_TOO_LARGE); /* any size was wanted */
    assert_ended(read, REQUEST_NOT_DONE);
    bounded = (struct result){0};
    struct request *request =
        request_new(REQUEST_READ, 2, 4, blob_copy(bytes_from_string("r")), on_done, &bounded);
    request->deadline_ms = world.now_ms + DEADLINE_MS;
    request->reply_max = 100;
    replica_submit(world.replica, request);
    run();
    answer_with(3, REQUEST_TOO_LARGE);
    assert_ended(bounded, REQUEST_TOO_LARGE);
}

static void who_waits_is_not_ended_by_what_cannot_be(void **state)
{
    static struct result write, read;
    (void)state;
    follow(HOSTILE, 5);
    ask_waiting(&write, REQUEST_WRITE, 1, "pk");
    run();
    answer_with(0, REQUEST_TOO_LARGE);
    answer_with(0, REQUEST_CANCELLED);
    assert_int_equal(write.calls, 0);
    uint32_t asked = world.forwards_count;
    answer_with(asked - 1, REQUEST_CANCELLED); /* nobody had cancelled it */
    assert_int_equal(write.calls, 0);
    ask_waiting(&read, REQUEST_READ, 2, "rk");
    run();
    answer_with(world.forwards_count - 1, REQUEST_CANCELLED);
    assert_ended(read, REQUEST_NOT_DONE);
}

/* A leader may put any words into the log: the entry is no read's. */
static void an_entry_in_the_name_of_a_read_is_nobodys(void **state)
{
    static struct result read;
    struct apply_context context = {.meaning = KNOWN, .database = 5, .now_ms = 1, .seed = 1};
    struct blob *command = blob_copy(bytes_from_string("pk"));
    (void)state;
    follow(HOSTILE, 5);
    ask_waiting(&read, REQUEST_READ, 1, "rk");
    run();
    context.owner =
        (struct request_owner){.run_id = 77, .node = 0, .waiter_id = world.forwards[0].waiter_id};
    struct blob *payload = entry_stamp(&context, command);
    struct raft_entry entry = {.pos = {.term = 5, .index = 1},
                               .type = RAFT_ENTRY_COMMAND,
                               .size = (uint32_t)payload->size,
                               .payload = payload};
    struct raft_message message = heartbeat(HOSTILE, 5);
    message.append_request.count = 1;
    message.append_request.entries = &entry;
    message.append_request.commit = message.shown = 1;
    receive(message);
    persist();
    receive(message);
    assert_int_equal(status().applied, 1);
    assert_int_equal(read.calls, 0);
    answer(0, false, "here");
    assert_ended(read, REQUEST_DONE);
    blob_release(payload);
    blob_release(command);
}

/* ---- beside one that waits ------------------------------------------------------------------- */

static void who_sends_on_waits_no_longer(void **state)
{
    (void)state;
    lead();
    receive_from(REQUEST_WRITE, 1, 7, true, "pk");
    run();
    assert_int_equal(world.replica->parked_count, 1);
    receive_from(REQUEST_WRITE, 2, 7, false, "a");
    run();
    assert_int_equal(world.replica->parked_count, 0);
    assert_true(reply_to(1) && reply_to(1)->refused);
    acknowledge();
    assert_true(reply_to(2) && !reply_to(2)->refused);
    receive_from(REQUEST_READ, 3, 8, true, "rk");
    run();
    acknowledge();
    assert_int_equal(world.replica->parked_count, 1);
    receive_from(REQUEST_WRITE, 4, 8, false, "+k");
    run();
    acknowledge();
    assert_true(reply_to(3) && reply_to(3)->refused);
    assert_true(reply_to(4) && !reply_to(4)->refused);
}

/* Its entry finds nothing, and what its client sent behind it stands in the log: parked again it
 * would be before that. */
static void who_sends_on_is_not_parked_again(void **state)
{
    static struct result taken;
    (void)state;
    lead();
    world.stock['k'] = 1;
    ask(&taken, REQUEST_WRITE, 1, "pk");
    receive_from(REQUEST_WRITE, 1, 7, true, "pk");
    run();
    assert_int_equal(world.replica->parked_count, 0);
    receive_from(REQUEST_WRITE, 2, 7, false, "a");
    run();
    acknowledge();
    acknowledge();
    assert_ended(taken, REQUEST_DONE);
    assert_int_equal(world.replica->parked_count, 0);
    assert_true(reply_to(1) && reply_to(1)->refused);
    assert_true(reply_to(2) && !reply_to(2)->refused);
}

/* Else it might be woken, and proposed before them. */
static void who_begins_to_wait_has_given_up_what_was_before(void **state)
{
    static struct result pushed;
    (void)state;
    lead();
    hostile_life = OTHER_LIFE;
    receive_from(REQUEST_READ, 1, 7, false, "r"); /* its round is not answered */
    run();
    receive_from(REQUEST_WRITE, 2, 7, true, "pk");
    run();
    assert_true(reply_to(1) && reply_to(1)->refused);
    ask_now(&pushed, REQUEST_WRITE, 1, "+k");
    acknowledge();
    acknowledge();
    assert_ended(pushed, REQUEST_DONE);
    assert_true(reply_to(2) && !reply_to(2)->refused);
}

/* The write before it is not committed in time, and its client begins to wait. */
static void a_cancel_is_of_the_newest(void **state)
{
    static struct result write, waiting;
    (void)state;
    lead();
    ask_now(&write, REQUEST_WRITE, 1, "a");
    for (int64_t ms = 0; ms < DEADLINE_MS; ms += 5 * TICK_MS) {
        pass(5 * TICK_MS);
        receive(matched(HONEST, (struct raft_pos){1, 1})); /* it hears us, but has no more */
    }
    assert_ended(write, REQUEST_UNKNOWN);
    ask_waiting(&waiting, REQUEST_WRITE, 1, "pk");
    receive_from(REQUEST_WRITE, 1, 7, false, "a");
    run();
    receive_from(REQUEST_WRITE, 2, 7, true, "pk");
    run();
    assert_int_equal(world.replica->parked_count, 2);
    replica_cancel(world.replica, 1, world.now_ms + DEADLINE_MS);
    receive_cancel(2, 7);
    assert_ended(waiting, REQUEST_CANCELLED);
    assert_int_equal(reply_to(2)->outcome, REQUEST_CANCELLED);
    assert_int_equal(world.replica->parked_count, 0);
}

/* So it is when its node's connection is lost. */
static void a_read_behind_a_write_is_lost_with_its_node(void **state)
{
    (void)state;
    lead();
    receive_from(REQUEST_WRITE, 1, 7, false, "a");
    run();
    receive_from(REQUEST_READ, 2, 7, true, "rk");
    run();
    assert_null(reply_to(1));
    replica_disconnected(world.replica, HOSTILE, false, true);
    run();
    assert_true(reply_to(2) && reply_to(2)->refused);
    acknowledge();
    acknowledge();
    assert_int_equal(world.replica->parked_count, 0);
}

/* Numbers of clients such that one bucket would have all of them. */
static void who_chooses_clients_does_not_choose_their_buckets(void **state)
{
    const struct hash_table *lines = &world.replica->lines_by_key;
    uint64_t count = 0;
    (void)state;
    lead();
    for (uint64_t client = 1; count < LINES; client++) {
        struct request_line_key key = {.origin = HOSTILE, .client = client};
        if (XXH3_64bits(&key, sizeof key) % LINES != 0)
            continue;
        receive_from(REQUEST_WRITE, ++count, client, false, "a");
    }
    assert_int_equal(lines->count, LINES);
    assert_in_range(longest_chain(lines), 1, CHAIN_MAX);
}

/* ---- at random ------------------------------------------------------------------------------- */

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { ROUNDS = 150 };
#else
enum { ROUNDS = 1000 };
#endif
enum { STEPS = 120, OWN_CLIENTS = 4, OWN_MAX = 256, ASKED_MAX = 64, HOSTILE_CLIENTS = 3 };

static uint64_t seed;

/* What this node's own clients asked: one at a time each, but for pipelines of those that do not
 * wait.  Its words are its own, so that it is known how often it was done. */
struct asked {
    struct result result;
    enum request_kind kind;
    bool waits;
    char words[16];
    raft_index since; /* what was applied when it was asked */
    uint32_t executed;
};
static struct asked asked[OWN_MAX];
static uint32_t asked_count;
static struct asked *newest[OWN_CLIENTS];

/* What this node asked of others last: they may answer it at any time, as often as they like. */
static struct forward sent[ASKED_MAX];
static uint32_t sent_count;

static uint64_t draw(uint64_t below)
{
    return prng_below(&seed, below);
}

static bool one_in(uint64_t count)
{
    return draw(count) == 0;
}

static void forget_what_was_said(void)
{
    uint32_t count = world.forwards_count < FORWARDS_MAX ? world.forwards_count : FORWARDS_MAX;
    for (uint32_t i = 0; i < count; i++)
        sent[sent_count++ % ASKED_MAX] = world.forwards[i];
    world.forwards_count = world.replies_count = 0;
    world.forwarded[0] = world.applied[0] = world.all_appended[0] = '\0';
}

static const char *draw_command(void)
{
    static const char *const commands[] = {"a",  "r",   "+k", "+k", "*k", "*j", "pk", "pk",
                                           "pj", "pjk", "rk", "rj", "w1", "w2", "!",  "$x"};
    return commands[draw(sizeof commands / sizeof commands[0])];
}

static void hostile_forward(void)
{
    static const uint64_t seen[] = {0, 1, 5, 1u << 20};
    bool may_wait = draw(2) == 0;
    enum request_kind kind = draw(2) == 0 ? REQUEST_READ : REQUEST_WRITE;
    struct forward forward =
        forward_of(kind, 1 + draw(20), 1 + draw(HOSTILE_CLIENTS), draw_command());
    hostile_life = one_in(2) ? LIFE : OTHER_LIFE;
    forward.run_id = 5 + one_in(10);
    forward.term += one_in(10) ? draw(2) : 0;
    forward.protocol = (int)(2 + draw(2));
    forward.database = (uint8_t)(5 + one_in(10));
    forward.reply_max = one_in(3) ? (uint32_t)draw(100) : 0;
    forward.may_wait = may_wait;
    forward.waiter_id = may_wait ? 1 + draw(5) : 0;
    forward.seen = may_wait ? seen[draw(4)] : 0;
    forward.waited_ms = may_wait ? draw(2) * 5000 : 0;
    replica_receive_forward(world.replica, HOSTILE, hostile_life, &forward);
    blob_release(forward.command);
}

static void hostile_cancel(void)
{
    struct forward_cancel cancel = {
        .run_id = 5, .id = 1 + draw(20), .client = 1 + draw(HOSTILE_CLIENTS), .is_gone = one_in(2)};
    replica_receive_cancel(world.replica, HOSTILE, &cancel);
}

/* NULL: there is none. */
static const struct forward *draw_sent(void)
{
    uint32_t kept = sent_count < ASKED_MAX ? sent_count : ASKED_MAX;
    return kept > 0 ? &sent[draw(kept)] : NULL;
}

static void hostile_answer(void)
{
    const struct forward *forward = draw_sent();
    if (!forward)
        return;
    struct forward_reply reply = {.run_id = forward->run_id,
                                  .id = forward->id,
                                  .refused = one_in(4),
                                  .outcome = (enum request_outcome)draw(REQUEST_CANCELLED + 1),
                                  .told = one_in(3) ? 1 + draw(40) : 0,
                                  .reply = bytes_from_string("reply")};
    replica_receive_forward_reply(world.replica, 1 + draw(OTHERS), &reply);
}

/* Of the core; an entry of a leader is in whose name he likes. */
static void hostile_message(void)
{
    struct apply_context context = {.meaning = KNOWN, .database = 5, .now_ms = 1, .seed = 1};
    struct blob *command = blob_copy(bytes_from_string(draw_command()));
    const struct forward *owners = draw_sent();
    context.owner = (struct request_owner){
        .run_id = 77, .node = 0, .waiter_id = owners ? owners->waiter_id : 1 + draw(9)};
    struct blob *payload = entry_stamp(&context, command);
    raft_index last = status().last.index;
    raft_index at = last > draw(4) ? last - draw(2) : last;
    struct raft_pos prev = {raft_term_at(world.replica->raft, at), at};
    struct raft_message message = {.type = (enum raft_message_type)draw(RAFT_TIMEOUT_NOW + 1),
                                   .from = HOSTILE,
                                   .term = status().term + (one_in(8) ? draw(3) : 0)};
    if (at == 0)
        prev.term = 0;
    struct raft_entry entry = {.pos = {message.term, prev.index + 1},
                               .type = RAFT_ENTRY_COMMAND,
                               .size = (uint32_t)payload->size,
                               .payload = payload};
    switch (message.type) {
    case RAFT_VOTE_REQUEST:
        message.vote_request =
            (struct raft_vote_request){.last = prev, .pre_vote = one_in(2), .transfer = one_in(4)};
        break;
    case RAFT_VOTE_RESPONSE:
        message.vote_response =
            (struct raft_vote_response){.granted = one_in(2), .pre_vote = one_in(2)};
        break;
    case RAFT_APPEND_REQUEST:
        message.append_request = (struct raft_append_request){.prev = prev,
                                                              .commit = draw(last + 3),
                                                              .round = draw(5),
                                                              .count = (uint32_t)draw(2),
                                                              .entries = &entry};
        message.shown = draw(last + 3);
        break;
    case RAFT_APPEND_RESPONSE:
        message.append_response =
            (struct raft_append_response){.matched = one_in(2),
                                          .hint = {draw(status().term + 2), draw(last + 2)},
                                          .round = draw(world.round + 2)};
        break;
    case RAFT_TIMEOUT_NOW: break;
    }
    if (message.term > 0 && entry.pos.term >= prev.term)
        receive_without_running(message);
    blob_release(payload);
    blob_release(command);
}

static bool waits(const struct asked *one)
{
    return one && one->waits && one->result.calls == 0;
}

static void own_client_asks(void)
{
    uint64_t client = draw(OWN_CLIENTS);
    const struct asked *last = newest[client];
    bool is_free = !last || last->result.calls > 0;
    bool may_wait = is_free && one_in(3);
    enum request_kind kind = draw(2) == 0 ? REQUEST_READ : REQUEST_WRITE;
    if (asked_count == OWN_MAX || waits(last))
        return;
    struct asked *one = newest[client] = &asked[asked_count];
    *one = (struct asked){.kind = kind, .waits = may_wait, .since = world.applied_index};
    const char *does = may_wait ? "pk" : one_in(2) ? "+k" : "a";
    if (kind == REQUEST_READ)
        does = may_wait ? "rk" : "r";
    snprintf(one->words, sizeof one->words, "%s#%u;", does, asked_count++);
    if (may_wait)
        ask_waiting(&one->result, kind, 1 + client, one->words);
    else
        ask(&one->result, kind, 1 + client, one->words);
}

static void count_executed(struct bytes command)
{
    for (uint32_t i = 0; i < asked_count; i++)
        asked[i].executed += bytes_equal(command, bytes_from_string(asked[i].words));
}

static void own_client_is_told_to_stop(void)
{
    uint64_t client = draw(OWN_CLIENTS);
    if (waits(newest[client]))
        replica_cancel(world.replica, 1 + client, world.now_ms + DEADLINE_MS);
}

/* It agrees with all that is here, or hears us and votes. */
static void honest_node_speaks(void)
{
    switch (status().role) {
    case RAFT_LEADER: receive_without_running(matched(HONEST, status().last)); break;
    case RAFT_PRE_CANDIDATE: receive_without_running(vote(HONEST, status().term + 1, true)); break;
    case RAFT_CANDIDATE: receive_without_running(vote(HONEST, status().term, false)); break;
    case RAFT_FOLLOWER: {
        struct raft_message message = heartbeat(HONEST, status().term + one_in(4));
        message.append_request.prev = status().last;
        message.append_request.commit = message.shown = status().last.index;
        if (message.term > 0 && (message.term > status().term || status().leader == HONEST))
            receive_without_running(message);
        break;
    }
    }
}

static void step(void)
{
    switch (draw(16)) {
    case 0:
    case 1:
    case 2:
    case 3: hostile_forward(); break;
    case 4: hostile_cancel(); break;
    case 5: hostile_answer(); break;
    case 6: hostile_message(); break;
    case 7:
    case 8: own_client_asks(); break;
    case 9: own_client_is_told_to_stop(); break;
    case 10: replica_disconnected(world.replica, HOSTILE, one_in(2), one_in(2)); break;
    case 11:
        world.apply_slices = world.read_slices = (int)draw(4);
        world.decode_slices = (int)draw(4);
        break;
    case 12: pass(TICK_MS * (int64_t)(1 + draw(one_in(8) ? 20 : 3))); break;
    case 13: persist_without_running(); break;
    default: honest_node_speaks(); break;
    }
    world.tells = one_in(4);
    world.full = one_in(8);
    world.connected = !one_in(8);
    world.is_parted = one_in(2);
    if (!one_in(4))
        run();
    forget_what_was_said();
}

/* A peer that was asked may have said so, or, of one that waits, have put it into the log in its
 * name. */
static bool is_from_a_peer(const struct asked *one)
{
    return strcmp(one->result.reply, "reply") == 0 ||
           (one->waits && one->kind == REQUEST_WRITE && strcmp(one->result.reply, one->words) != 0);
}

static void check_write(const struct asked *one)
{
    assert_in_range(one->executed, 0, 1);
    switch (one->result.outcome) {
    case REQUEST_DONE:
        if (is_from_a_peer(one))
            return;
        assert_string_equal(one->result.reply, one->words);
        assert_int_equal(one->executed, 1);
        break;
    case REQUEST_CANCELLED: assert_true(one->waits); /* fall through */
    case REQUEST_NOT_DONE: assert_int_equal(one->executed, 0); break;
    case REQUEST_UNKNOWN: break;
    case REQUEST_TOO_LARGE: fail();
    }
}

static void check_read(const struct asked *one)
{
    unsigned long long at = 0;
    if (one->result.outcome == REQUEST_NOT_DONE)
        return;
    assert_int_equal(one->result.outcome, REQUEST_DONE);
    if (is_from_a_peer(one))
        return;
    assert_int_equal(sscanf(one->result.reply, "read at %llu", &at), 1);
    assert_true(at >= one->since);
}

/* The honest node goes on, and the hostile one is silent: everybody is answered, and with what is
 * true as far as this node can know. */
static void go_on(void)
{
    world.apply_slices = world.read_slices = world.decode_slices = 0;
    world.full = false;
    world.connected = true;
    for (uint64_t client = 0; client < OWN_CLIENTS; client++)
        if (waits(newest[client]))
            replica_cancel(world.replica, 1 + client, world.now_ms + DEADLINE_MS);
    for (int64_t ms = 0; ms < 4 * DEADLINE_MS; ms += TICK_MS) {
        persist();
        honest_node_speaks();
        pass(TICK_MS);
        forget_what_was_said();
    }
    for (uint32_t i = 0; i < asked_count; i++) {
        assert_int_equal(asked[i].result.calls, 1);
        if (asked[i].kind == REQUEST_WRITE)
            check_write(&asked[i]);
        else
            check_read(&asked[i]);
    }
}

static void a_round(uint64_t number)
{
    static const struct replica_change changes[] = {{.kind = REPLICA_TRANSFER, .node = HONEST},
                                                    {.kind = REPLICA_TRANSFER, .node = RAFT_NOBODY},
                                                    {.kind = REPLICA_PROMOTE, .node = HOSTILE},
                                                    {.kind = REPLICA_PROMOTE, .node = 9}};
    seed = number;
    sent_count = asked_count = 0;
    memset(newest, 0, sizeof newest);
    set_up_hostile(NULL);
    world.executed = count_executed;
    world.change = changes[draw(sizeof changes / sizeof changes[0])];
    if (one_in(3))
        follow(1 + draw(OTHERS), 1);
    else
        win_election();
    for (int i = 0; i < STEPS; i++)
        step();
    go_on();
    tear_down(NULL);
}

/* HOSTILE_SEED and HOSTILE_ROUNDS say which and how many, for a longer run. */
static void whatever_a_peer_says_this_node_lives(void **state)
{
    const char *first = getenv("HOSTILE_SEED"), *count = getenv("HOSTILE_ROUNDS");
    uint64_t number = first ? strtoull(first, NULL, 10) : 1;
    uint64_t rounds = count ? strtoull(count, NULL, 10) : ROUNDS;
    (void)state;
    for (uint64_t end = number + rounds; number < end; number++) {
        if (first)
            print_message("round %llu\n", (unsigned long long)number);
        a_round(number);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_hostile, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_outcome_that_cannot_be_says_nothing),
        TEST(who_waits_is_not_ended_by_what_cannot_be),
        TEST(an_entry_in_the_name_of_a_read_is_nobodys),
        TEST(who_sends_on_waits_no_longer),
        TEST(who_sends_on_is_not_parked_again),
        TEST(who_begins_to_wait_has_given_up_what_was_before),
        TEST(a_cancel_is_of_the_newest),
        TEST(a_read_behind_a_write_is_lost_with_its_node),
        TEST(who_chooses_clients_does_not_choose_their_buckets),
        cmocka_unit_test(whatever_a_peer_says_this_node_lives),
    };
    return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
