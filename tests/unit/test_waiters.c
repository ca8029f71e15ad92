/* Requests that may wait, see test_replica.h: "pk" takes one of k or waits for it, "+k" puts
 * one. */
#include "test_replica.h"

enum { OTHERS = 2 };

static int set_up_waits(void **state)
{
    set_up(state);
    world.meaning_known = 5;
    for (raft_node_id node = 1; node <= OTHERS; node++)
        replica_announced(world.replica, node, 5);
    return 0;
}

static void submit_wait(struct result *result, uint64_t client, const char *command)
{
    *result = (struct result){0};
    struct request *request = request_new(REQUEST_WRITE, 2, client,
                                          blob_copy(bytes_from_string(command)), on_done, result);
    request->database = 5;
    request->may_wait = true;
    replica_submit(world.replica, request);
}

static void wait_for(struct result *result, uint64_t client, const char *command)
{
    submit_wait(result, client, command);
    run();
}

static uint64_t parked(void)
{
    struct replica_status now;
    replica_status(world.replica, &now);
    return now.parked;
}

/* A client of another node waits. */
static void receive_wait_of(raft_node_id node, uint64_t id, uint64_t client, uint64_t waited_ms,
                            const char *command)
{
    struct forward forward = forward_of(REQUEST_WRITE, id, client, command);
    forward.database = 5;
    forward.may_wait = true;
    forward.waiter_id = client;
    forward.waited_ms = waited_ms;
    forward.seen = status().applied;
    replica_receive_forward(world.replica, node, 0, &forward);
    blob_release(forward.command);
    run();
}

static void receive_wait(uint64_t id, uint64_t client, uint64_t waited_ms, const char *command)
{
    receive_wait_of(2, id, client, waited_ms, command);
}

static void push(const char *command)
{
    static struct result pushed;
    ask(&pushed, REQUEST_WRITE, 1000, command);
    run();
    acknowledge();
    acknowledge();
    assert_ended(pushed, REQUEST_DONE);
}

static const struct forward_reply *last_reply(void)
{
    assert_true(world.replies_count > 0);
    return &world.replies[world.replies_count - 1];
}

/* An entry of the next leader, behind which there is none of the earlier ones. */
static void append_of(raft_node_id leader, raft_term term, struct blob *payload)
{
    struct raft_entry entry = {.pos = {.term = term, .index = status().last.index + 1},
                               .type = payload ? RAFT_ENTRY_COMMAND : RAFT_ENTRY_NOOP,
                               .size = payload ? (uint32_t)payload->size : 0,
                               .payload = payload};
    struct raft_message message = heartbeat(leader, term);
    message.append_request.prev = status().last;
    message.append_request.count = 1;
    message.append_request.entries = &entry;
    message.append_request.commit = entry.pos.index;
    message.shown = entry.pos.index; /* the leader has executed it */
    receive(message);
    persist();
    follow(leader, term);
}

/* ---- leading --------------------------------------------------------------------------------- */

static void it_waits_and_is_served_once(void **state)
{
    static struct result a;
    (void)state;
    lead();
    raft_index last = status().last.index;
    wait_for(&a, 1, "pk");
    assert_int_equal(parked(), 1);
    assert_int_equal(status().last.index, last); /* the log knows nothing of it */
    push("+x");
    assert_int_equal(a.calls, 0);
    push("+k");
    assert_ended(a, REQUEST_DONE);
    assert_int_equal(parked(), 0);
    assert_int_equal(world.stock['k'], 0);
    assert_int_equal(world.owner.node, 0);
    assert_int_equal(world.owner.run_id, 77);
    push("+k");
    assert_int_equal(a.calls, 1);
    assert_int_equal(world.stock['k'], 1);
}

static void the_first_that_came_is_served_first(void **state)
{
    static struct result a, b;
    (void)state;
    lead();
    wait_for(&a, 1, "pk");
    receive_wait(1, 7, 0, "pk");
    wait_for(&b, 2, "pk");
    receive_wait(2, 8, 5000, "pk"); /* it waited before this node led */
    assert_int_equal(parked(), 4);
    push("+k");
    assert_int_equal(world.replies_count, 1);
    assert_int_equal(last_reply()->id, 2);
    push("+k");
    assert_ended(a, REQUEST_DONE);
    push("+k");
    assert_int_equal(world.replies_count, 2);
    assert_int_equal(last_reply()->id, 1);
    assert_int_equal(b.calls, 0);
    push("+k");
    assert_ended(b, REQUEST_DONE);
}

/* A push that says what it gives is proposed with one who waits for that: they are one round. */
static void a_push_and_who_waits_for_it_are_proposed_together(void **state)
{
    static struct result a, b, c, first, second, other;
    (void)state;
    lead();
    wait_for(&a, 1, "pk");
    wait_for(&b, 2, "pk");
    wait_for(&c, 3, "pj");
    raft_index last = status().last.index;
    ask(&first, REQUEST_WRITE, 4, "+k");
    ask(&other, REQUEST_WRITE, 5, "+x");
    ask(&second, REQUEST_WRITE, 6, "+k");
    run();
    assert_int_equal(status().last.index, last + 5);
    assert_int_equal(parked(), 1);
    acknowledge();
    assert_string_equal(world.applied, "+k+x+kpkpk"); /* behind all that give */
    assert_ended(a, REQUEST_DONE);
    assert_ended(b, REQUEST_DONE);
    assert_int_equal(c.calls, 0);
}

/* While one is under way, another push proposes nobody: he might be parked again, before them. */
static void nobody_overtakes_who_was_woken_for_nothing(void **state)
{
    static struct result a, b, pushed, taken, again;
    (void)state;
    lead();
    wait_for(&a, 1, "pk");
    wait_for(&b, 2, "pk");
    ask(&pushed, REQUEST_WRITE, 3, "+k");
    ask(&taken, REQUEST_WRITE, 4, "pk"); /* an LPOP, before who was woken */
    run();
    ask(&again, REQUEST_WRITE, 5, "+k");
    run();
    acknowledge();
    acknowledge();
    acknowledge();
    assert_ended(a, REQUEST_DONE);
    assert_int_equal(b.calls, 0);
    assert_string_equal(world.applied, "+kpkpk+kpk");
}

/* What is there is not what they wait for: a value of another type, to them an error.  Neither is
 * what is put there. */
static void nobody_is_proposed_where_he_would_find_an_error(void **state)
{
    static struct result a, b, pushed;
    (void)state;
    lead();
    wait_for(&b, 2, "pz");
    push("+x"); /* which z is not */
    assert_int_equal(parked(), 1);
    ask(&pushed, REQUEST_WRITE, 4, "+z");
    run();
    assert_int_equal(parked(), 1);
    acknowledge();
    wait_for(&a, 1, "pk");
    raft_index last = status().last.index;
    world.stock['k'] = 1;
    ask(&pushed, REQUEST_WRITE, 3, "+k");
    run();
    assert_int_equal(status().last.index, last + 1);
}

/* Where some want another type than others, the first of each type is woken, and no more: a push of
 * one thing is no reason to propose the whole queue. */
static void of_a_mixed_queue_the_first_of_each_kind_is_woken(void **state)
{
    static struct result of_one[2], of_other[2];
    (void)state;
    lead();
    wait_for(&of_one[0], 1, "pk");
    wait_for(&of_one[1], 2, "pk");
    wait_for(&of_other[0], 3, "pzk"); /* of z, and so of this k, another type is wanted */
    wait_for(&of_other[1], 4, "pzk");
    raft_index before = status().last.index;
    push("*k");
    assert_int_equal(status().last.index, before + 3); /* the push and two more */
    assert_ended(of_one[0], REQUEST_DONE);
    assert_int_equal(of_one[1].calls + of_other[0].calls + of_other[1].calls, 0);
    assert_int_equal(parked(), 3);
    push("*k");
    assert_ended(of_one[1], REQUEST_DONE);
    push("*k");
    assert_ended(of_other[0], REQUEST_DONE);
    assert_int_equal(of_other[1].calls, 0);
}

/* Several for one key are under way, and somebody who comes does not overtake. */
static void as_many_are_woken_as_find_something(void **state)
{
    static struct result waiting[4], late, pushed;
    (void)state;
    lead();
    for (uint64_t i = 0; i < 4; i++)
        wait_for(&waiting[i], i + 1, "pk");
    world.stock['k'] = 2; /* with the next one three at once */
    ask_and_commit(&pushed, REQUEST_WRITE, 9, "*k");
    assert_int_equal(parked(), 1);
    wait_for(&late, 10, "pk");
    assert_int_equal(parked(), 2);
    acknowledge();
    for (int i = 0; i < 3; i++)
        assert_ended(waiting[i], REQUEST_DONE);
    assert_int_equal(waiting[3].calls, 0);
    push("+k");
    assert_ended(waiting[3], REQUEST_DONE);
    assert_int_equal(late.calls, 0);
    push("+k");
    assert_ended(late, REQUEST_DONE);
}

/* Others come first where it waits for k; there is a j, which is nobody else's. */
static void who_waits_behind_others_takes_what_they_do_not_want(void **state)
{
    static struct result first, second, both, pushed;
    (void)state;
    lead();
    wait_for(&first, 1, "pk");
    wait_for(&second, 2, "pk");
    ask_and_commit(&pushed, REQUEST_WRITE, 9, "*k"); /* the first is woken, and not through */
    assert_int_equal(parked(), 1);
    world.stock['j'] = 1;
    wait_for(&both, 3, "pjk");
    acknowledge();
    acknowledge();
    assert_ended(first, REQUEST_DONE);
    assert_ended(both, REQUEST_DONE);
    assert_int_equal(second.calls, 0);
    assert_int_equal(world.stock['j'], 0);
}

/* One is woken, and its node is gone before it is proposed: what it would have got is another's. */
static void what_is_left_by_one_who_was_woken_wakes_the_next(void **state)
{
    static struct result b, pushed;
    (void)state;
    lead();
    struct raft_pos known = status().last;
    receive_wait(1, 7, 0, "pk");
    wait_for(&b, 2, "pk");
    ask_now(&pushed, REQUEST_WRITE, 3, "*k");
    replica_transfer(world.replica); /* to node 1; meanwhile the core takes nothing */
    persist();
    receive(matched(2, status().last));
    assert_ended(pushed, REQUEST_DONE);
    assert_int_equal(parked(), 1);
    replica_disconnected(world.replica, 2, false, true);
    run();
    assert_int_equal(world.replies_count, 1); /* refused */
    assert_int_equal(b.calls, 0);
    for (int i = 0; i < ELECTION_TICKS; i++) { /* node 1 is never ready */
        assert_true(status().transferring);
        pass(TICK_MS);
        persist();
        receive(matched(1, known));
    }
    acknowledge();
    assert_ended(b, REQUEST_DONE);
}

/* Both wait, and the first was woken for what another took. */
static void wake_for_nothing(struct result *a, struct result *b)
{
    static struct result taken;
    lead();
    wait_for(a, 1, "pk");
    wait_for(b, 2, "pk");
    ask(&taken, REQUEST_WRITE, 3, "*k");
    run();
    ask(&taken, REQUEST_WRITE, 3, "pk"); /* an LPOP, in the log before what is woken */
    run();
    persist();
    struct raft_pos first = status().last;
    first.index--;
    receive(matched(1, first)); /* the first alone is applied */
    acknowledge();
    acknowledge();
    assert_string_equal(world.applied, "*kpkpk");
    assert_int_equal(a->calls + b->calls, 0);
    assert_int_equal(parked(), 2);
}

static void who_finds_nothing_waits_at_the_old_place(void **state)
{
    static struct result a, b;
    (void)state;
    wake_for_nothing(&a, &b);
    push("*k");
    assert_ended(a, REQUEST_DONE);
    assert_int_equal(b.calls, 0);
}

/* It was woken once, and is not any more. */
static void who_found_nothing_goes_to_the_next_leader(void **state)
{
    static struct result a, b;
    (void)state;
    wake_for_nothing(&a, &b);
    follow(2, status().term + 1);
    append_of(2, status().term, NULL);
    assert_int_equal(parked(), 0);
    assert_int_equal(world.forwards_count, 2);
    answer(0, false, "a");
    answer(1, false, "b");
    assert_string_equal(a.reply, "a");
    assert_string_equal(b.reply, "b");
}

static void nothing_is_taken_for_one_who_left(void **state)
{
    static struct result a, b;
    (void)state;
    lead();
    wait_for(&a, 1, "pk");
    receive_wait(1, 7, 0, "pk");
    wait_for(&b, 2, "pk");
    replica_abandon(world.replica, 1);
    struct forward_cancel cancel = {.run_id = 5, .id = 1, .client = 7};
    replica_receive_cancel(world.replica, 2, &cancel);
    run();
    assert_int_equal(last_reply()->outcome, REQUEST_CANCELLED);
    assert_int_equal(parked(), 1);
    push("+k");
    assert_int_equal(a.calls, 0);
    assert_int_equal(world.replies_count, 1);
    assert_ended(b, REQUEST_DONE);
}

/* It was woken, and left before it was proposed: the next one is served. */
static void the_place_of_one_who_left_is_not_lost(void **state)
{
    static struct result a, b, pushed;
    (void)state;
    lead();
    wait_for(&a, 1, "pk");
    wait_for(&b, 2, "pk");
    ask(&pushed, REQUEST_WRITE, 3, "*k");
    run();
    acknowledge_without_running();
    run();
    replica_abandon(world.replica, 1); /* its entry is under way */
    acknowledge();
    acknowledge();
    assert_int_equal(a.calls, 0);
    assert_int_equal(world.stock['k'], 0);
    push("*k");
    assert_ended(b, REQUEST_DONE);
}

static void cancelled_it_ends_at_once_or_is_served(void **state)
{
    static struct result a, b, pushed;
    (void)state;
    lead();
    wait_for(&a, 1, "pk");
    replica_cancel(world.replica, 1, world.now_ms + 100);
    assert_ended(a, REQUEST_CANCELLED);
    wait_for(&b, 2, "pk");
    ask_and_commit(&pushed, REQUEST_WRITE, 3, "*k"); /* it is proposed */
    replica_cancel(world.replica, 2, world.now_ms + 10000);
    assert_int_equal(b.calls, 0);
    acknowledge();
    assert_ended(b, REQUEST_DONE);
    assert_string_equal(b.reply, "pk");
}

/* It is proposed when its deadline comes, and its client goes on; then another has taken what it
 * was woken for. */
static void a_read_behind_one_that_found_nothing_is_served(void **state)
{
    static struct result a, pushed, taken, read;
    (void)state;
    lead();
    wait_for(&a, 1, "pk");
    ask(&pushed, REQUEST_WRITE, 2, "+k");
    ask(&taken, REQUEST_WRITE, 3, "pk"); /* an LPOP, before what is woken */
    run();
    assert_int_equal(parked(), 0);
    replica_cancel(world.replica, 1, world.now_ms + DEADLINE_MS);
    world.now_ms += DEADLINE_MS;
    replica_tick(world.replica, world.now_ms, world.now_ms);
    assert_ended(a, REQUEST_UNKNOWN);
    ask_now(&read, REQUEST_READ, 1, "r");
    acknowledge();
    assert_string_equal(world.applied, "+kpkpk");
    assert_ended(read, REQUEST_DONE);
    assert_int_equal(a.calls, 1);
    assert_int_equal(parked(), 0);
}

/* The same of another node's client, whose connection was lost. */
static void a_read_behind_one_that_is_refused_is_served(void **state)
{
    static struct result pushed, taken;
    (void)state;
    lead();
    receive_wait(1, 7, 0, "pk");
    ask(&pushed, REQUEST_WRITE, 2, "+k");
    ask(&taken, REQUEST_WRITE, 3, "pk");
    run();
    assert_int_equal(parked(), 0);
    replica_disconnected(world.replica, 2, false, true);
    struct forward read = forward_of(REQUEST_READ, 2, 7, "r");
    replica_receive_forward(world.replica, 2, 0, &read);
    blob_release(read.command);
    run();
    acknowledge();
    assert_int_equal(world.replies_count, 2);
    assert_true(world.replies[0].refused);
    assert_int_equal(last_reply()->id, 2);
    assert_int_equal(last_reply()->outcome, REQUEST_DONE);
}

/* A timeout shorter than the way to the leader: what is there is got all the same, but not for
 * nobody. */
static void cancelled_it_is_looked_at_once(void **state)
{
    static struct result a, b;
    (void)state;
    lead();
    world.stock['k'] = 1;
    for (uint64_t id = 1; id <= 3; id++) {
        struct forward forward = forward_of(REQUEST_WRITE, id, 7, "pk");
        struct forward_cancel cancel = {.run_id = 5, .id = id, .client = 7, .is_gone = id == 1};
        forward.database = 5;
        forward.may_wait = true;
        forward.waiter_id = id;
        forward.seen = status().applied;
        replica_receive_forward(world.replica, 2, 0, &forward);
        blob_release(forward.command);
        replica_receive_cancel(world.replica, 2, &cancel);
        run();
        acknowledge();
        assert_int_equal(world.replies_count, id);
        assert_int_equal(last_reply()->outcome, id == 2 ? REQUEST_DONE : REQUEST_CANCELLED);
        assert_int_equal(world.stock['k'], id == 1 ? 1 : 0);
    }
    world.stock['k'] = 1;
    submit_wait(&a, 1, "pk");
    replica_cancel(world.replica, 1, world.now_ms + 10000);
    submit_wait(&b, 2, "pk");
    replica_cancel(world.replica, 2, world.now_ms + 10000);
    replica_abandon(world.replica, 2);
    run();
    acknowledge();
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(a.reply, "pk");
    assert_int_equal(parked(), 0);
}

/* What touches the key is applied in the turn that begins a long write: nobody looks before its
 * end, and then somebody does. */
static void who_waits_is_looked_at_after_a_long_write(void **state)
{
    static struct result a, pushed, slow;
    int turns = 0;
    (void)state;
    lead();
    wait_for(&a, 1, "pk");
    ask(&pushed, REQUEST_WRITE, 2, "*k");
    ask(&slow, REQUEST_WRITE, 3, "slow");
    run();
    world.slow = "slow";
    world.apply_slices = 4;
    persist_without_running();
    receive_without_running(matched(1, status().last));
    assert_true(replica_run(world.replica));
    assert_ended(pushed, REQUEST_DONE);
    assert_int_equal(slow.calls, 0);
    while (replica_run(world.replica))
        assert_true(turns++ < 10);
    assert_ended(slow, REQUEST_DONE);
    assert_int_equal(parked(), 0); /* proposed */
    acknowledge();
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(world.applied, "*kslowpk");
}

/* ---- the end of a leadership ----------------------------------------------------------------- */

static void what_waits_goes_to_the_next_leader(void **state)
{
    static struct result a;
    (void)state;
    lead();
    wait_for(&a, 1, "pk");
    receive_wait(1, 7, 0, "pk");
    follow_and_commit_all(1, 9);
    assert_int_equal(a.calls, 0);
    assert_int_equal(parked(), 0);
    assert_true(last_reply()->refused);
    assert_int_equal(world.forwards_count, 1);
    assert_true(world.forwards[0].may_wait);
    answer(0, false, "x");
    assert_ended(a, REQUEST_DONE);
}

/* Its entry may be committed by the next leader: it is not sent before that is known, and answered
 * by the entry. */
static void what_was_proposed_is_answered_by_its_entry(void **state)
{
    static struct result a;
    (void)state;
    lead();
    world.stock['k'] = 1;
    wait_for(&a, 1, "pk");
    assert_int_equal(parked(), 0);
    persist();
    follow(1, 9);
    assert_int_equal(a.calls, 0);
    assert_int_equal(world.forwards_count, 0); /* in doubt */
    struct raft_message message = heartbeat(1, 9);
    message.append_request.prev = status().last;
    message.append_request.commit = status().last.index;
    receive(message);
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(a.reply, "pk");
    assert_int_equal(world.forwards_count, 0);
}

/* Its node lost a connection that this one did not lose. */
static void what_comes_again_is_there_once(void **state)
{
    (void)state;
    lead();
    receive_wait(1, 7, 0, "pk");
    receive_wait(2, 7, 0, "pk");
    assert_int_equal(parked(), 1);
    assert_int_equal(last_reply()->id, 1);
    assert_true(last_reply()->refused);
    push("+k");
    acknowledge();
    assert_int_equal(last_reply()->id, 2);
    assert_false(last_reply()->refused);
    assert_string_equal(world.applied, "+kpk");
    assert_int_equal(parked(), 0);
}

/* What is in the log decides, and its node meets it there. */
static void what_comes_again_while_it_is_proposed_is_too_early(void **state)
{
    (void)state;
    lead();
    push("+k");
    receive_wait(1, 7, 0, "pk");
    receive_wait(2, 7, 0, "pk");
    assert_int_equal(last_reply()->id, 2);
    assert_true(last_reply()->refused);
    push("+k");
    assert_string_equal(world.applied, "+kpk+k");
    receive_wait(3, 8, 0, "pk"); /* another one is not kept back */
    acknowledge();
    assert_string_equal(world.applied, "+kpk+kpk");
}

/* The other one is not the same, whatever becomes of the first. */
static void another_of_its_client_is_not_too_early(void **state)
{
    (void)state;
    lead();
    push("+k");
    receive_wait(1, 7, 0, "pk"); /* proposed */
    struct forward forward = forward_of(REQUEST_WRITE, 2, 7, "pj");
    forward.may_wait = true;
    forward.waiter_id = 8;
    forward.seen = status().applied;
    uint32_t replies = world.replies_count;
    replica_receive_forward(world.replica, 2, 0, &forward);
    blob_release(forward.command);
    run();
    assert_int_equal(world.replies_count, replies);
    acknowledge();
    assert_int_equal(world.replies_count, replies + 1); /* to the first */
    assert_false(last_reply()->refused);
    assert_int_equal(parked(), 1);
}

static void it_is_sent_again_when_the_old_leader_can_do_nothing(void **state)
{
    static struct result a;
    (void)state;
    follow(1, 5);
    wait_for(&a, 1, "pk");
    assert_int_equal(world.forwards_count, 1);
    uint64_t first = world.forwards[0].id, waiter = world.forwards[0].waiter_id;
    pass(200);
    follow(2, 6); /* node 1 does not say a word */
    assert_int_equal(world.forwards_count, 1);
    append_of(2, 6, NULL);
    assert_int_equal(world.forwards_count, 2);
    assert_int_equal(world.forwarded_to, 2);
    assert_true(world.forwards[1].id != first);
    assert_int_equal(world.forwards[1].waiter_id, waiter);
    assert_true(world.forwards[1].waited_ms >= 200);
    answer(1, false, "x");
    assert_ended(a, REQUEST_DONE);
}

/* The leader's answer is lost; its node has the entry. */
static void its_node_answers_from_the_log(void **state)
{
    static struct result a;
    struct apply_context context = {.meaning = 5, .database = 5, .now_ms = 1, .seed = 1};
    struct blob *command = blob_copy(bytes_from_string("pk"));
    (void)state;
    world.stock['k'] = 1;
    follow(1, 5);
    wait_for(&a, 1, "pk");
    context.owner =
        (struct request_owner){.run_id = 77, .node = 0, .waiter_id = world.forwards[0].waiter_id};
    struct blob *payload = entry_stamp(&context, command);
    append_of(1, 5, payload);
    blob_release(payload);
    blob_release(command);
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(a.reply, "pk");
    answer(0, false, "again");
    assert_int_equal(a.calls, 1);
}

/* SWAPDB and the like: all keys of a database, and of no other. */
static void all_who_wait_in_a_database_are_looked_at(void **state)
{
    static struct result a, b;
    (void)state;
    lead();
    wait_for(&a, 1, "pk");
    wait_for(&b, 2, "pj");
    world.looks = 0;
    world.touched(world.touched_context, 4, bytes_of(NULL, 0));
    run();
    assert_int_equal(world.looks, 0);
    world.stock['j'] = 1;
    world.touched(world.touched_context, 5, bytes_of(NULL, 0));
    run();
    assert_int_equal(world.looks, 2);
    acknowledge();
    assert_ended(b, REQUEST_DONE);
    assert_int_equal(a.calls, 0);
}

/* ---- connections ----------------------------------------------------------------------------- */

static void what_its_node_cannot_know_is_not_proposed_twice(void **state)
{
    (void)state;
    lead();
    world.stock['k'] = 2;
    receive_wait(1, 7, 0, "pk"); /* proposed */
    replica_disconnected(world.replica, 2, false, true);
    run();
    struct forward again = forward_of(REQUEST_WRITE, 2, 7, "pk");
    again.may_wait = true;
    again.waiter_id = 7;
    again.seen = status().applied; /* it may be in what comes behind */
    uint32_t replies = world.replies_count;
    replica_receive_forward(world.replica, 2, 0, &again);
    run();
    blob_release(again.command);
    assert_int_equal(world.replies_count, replies + 1);
    assert_true(last_reply()->refused);
    acknowledge();
    acknowledge();
    assert_int_equal(world.stock['k'], 1);
}

/* Whose connection was lost, and nobody else. */
static void a_lost_connection_keeps_its_own_node_back(void **state)
{
    static struct result under_way;
    (void)state;
    lead();
    ask_now(&under_way, REQUEST_WRITE, 1, "x");
    replica_disconnected(world.replica, 2, false, true);
    run();
    receive_wait_of(1, 1, 7, 0, "pk");
    assert_int_equal(world.replies_count, 0);
    assert_int_equal(parked(), 1);
    receive_wait_of(2, 2, 8, 0, "pk");
    assert_int_equal(world.replies_count, 1);
    assert_true(last_reply()->refused);
    acknowledge();
    receive_wait_of(2, 3, 8, 0, "pk"); /* it has all of that by now */
    assert_int_equal(parked(), 2);
}

/* What was in the log then may be nowhere any more: nobody has to have seen it. */
static void nobody_is_kept_back_by_an_earlier_office(void **state)
{
    static struct result lost[5];
    (void)state;
    lead();
    struct raft_pos last = status().last;
    for (int i = 0; i < 5; i++)
        ask_now(&lost[i], REQUEST_WRITE, 1, "x");
    replica_disconnected(world.replica, 2, false, true);
    run();
    struct raft_entry entry = {.pos = {status().term + 1, last.index + 1}, .type = RAFT_ENTRY_NOOP};
    struct raft_message message = heartbeat(1, entry.pos.term);
    message.append_request.prev = last;
    message.append_request.count = 1;
    message.append_request.entries = &entry;
    message.append_request.commit = entry.pos.index;
    message.shown = entry.pos.index;
    receive(message);
    persist();
    lead();
    assert_true(status().last.index < last.index + 5);
    receive_wait(1, 7, 0, "pk");
    assert_int_equal(parked(), 1);
}

/* What came of it is known to a node that has applied as far as the log went. */
static void sent_again_with_all_that_was_there_it_waits_on(void **state)
{
    (void)state;
    lead();
    receive_wait(1, 7, 0, "pk");
    push("+x");
    replica_disconnected(world.replica, 2, false, true);
    run();
    assert_int_equal(parked(), 0);
    uint32_t replies = world.replies_count;
    receive_wait(2, 7, 0, "pk"); /* nothing has been written since */
    assert_int_equal(world.replies_count, replies);
    assert_int_equal(parked(), 1);
    push("+k");
    acknowledge();
    assert_int_equal(last_reply()->id, 2);
    assert_false(last_reply()->refused);
}

static void of_a_node_that_is_gone_nothing_waits(void **state)
{
    static struct result a;
    (void)state;
    lead();
    receive_wait(1, 7, 0, "pk");
    wait_for(&a, 1, "pk");
    replica_disconnected(world.replica, 2, false, true);
    run();
    assert_int_equal(parked(), 1);
    push("+k");
    assert_ended(a, REQUEST_DONE);
}

static void cancelled_it_waits_for_the_leaders_word(void **state)
{
    static struct result a, b;
    (void)state;
    follow(1, 5);
    wait_for(&a, 1, "pk");
    replica_cancel(world.replica, 1, world.now_ms + 1000);
    assert_int_equal(a.calls, 0);
    assert_int_equal(world.cancels_count, 1);
    assert_int_equal(world.cancel.id, world.forwards[0].id);
    answer(0, false, "served");
    assert_ended(a, REQUEST_DONE);
    assert_string_equal(a.reply, "served");
    wait_for(&b, 2, "pk");
    replica_cancel(world.replica, 2, world.now_ms + 1000);
    pass(2000); /* it says nothing */
    assert_ended(b, REQUEST_UNKNOWN);
}

/* The leader may have executed it before the connection was lost, and nobody can be asked. */
static void in_doubt_and_cancelled_it_ends_unknown(void **state)
{
    static struct result a;
    (void)state;
    follow(1, 5);
    wait_for(&a, 1, "pk");
    assert_int_equal(world.forwards_count, 1);
    world.connected = false;
    replica_disconnected(world.replica, 1, false, true);
    run();
    replica_cancel(world.replica, 1, world.now_ms + 100);
    run();
    assert_int_equal(a.calls, 0);
    pass(200);
    assert_ended(a, REQUEST_UNKNOWN);
}

/* ---- reads ----------------------------------------------------------------------------------- */

static void wait_to_read(struct result *result, uint64_t client, const char *command)
{
    *result = (struct result){0};
    struct request *request = request_new(REQUEST_READ, 2, client,
                                          blob_copy(bytes_from_string(command)), on_done, result);
    request->database = 5;
    request->may_wait = true;
    replica_submit(world.replica, request);
    run();
}

static void receive_wait_to_read(uint64_t id, uint64_t client, const char *command)
{
    struct forward forward = forward_of(REQUEST_READ, id, client, command);
    forward.database = 5;
    forward.may_wait = true;
    forward.waiter_id = client;
    replica_receive_forward(world.replica, 2, 0, &forward);
    blob_release(forward.command);
    run();
}

static void all_who_read_are_served_by_one_push(void **state)
{
    static struct result a, b, taken;
    (void)state;
    lead();
    wait_to_read(&a, 1, "rk");
    assert_int_equal(parked(), 0); /* not before a majority confirms that there is nothing */
    acknowledge();
    assert_int_equal(parked(), 1);
    wait_to_read(&b, 2, "rk");
    receive_wait_to_read(1, 7, "rk");
    acknowledge();
    acknowledge();
    wait_for(&taken, 3, "pk");
    assert_int_equal(parked(), 4);
    raft_index last = status().last.index;
    push("+x");
    assert_int_equal(a.calls, 0);
    push("+k");
    assert_ended(a, REQUEST_DONE);
    assert_ended(b, REQUEST_DONE);
    assert_int_equal(last_reply()->id, 1);
    assert_int_equal(last_reply()->outcome, REQUEST_DONE);
    acknowledge();
    assert_ended(taken, REQUEST_DONE);
    assert_int_equal(status().last.index, last + 3); /* no read is in the log */
    assert_int_equal(parked(), 0);
}

/* What is acknowledged elsewhere may be lacking here. */
static void nothing_is_said_by_who_is_not_confirmed(void **state)
{
    static struct result a;
    (void)state;
    lead();
    wait_to_read(&a, 1, "rk");
    replica_cancel(world.replica, 1, world.now_ms + DEADLINE_MS);
    run();
    assert_int_equal(a.calls, 0);
    acknowledge();
    assert_ended(a, REQUEST_DONE);
    wait_to_read(&a, 1, "rk");
    acknowledge();
    assert_int_equal(parked(), 1);
    replica_cancel(world.replica, 1, world.now_ms + DEADLINE_MS);
    run();
    assert_ended(a, REQUEST_DONE); /* it was */
    assert_int_equal(parked(), 0);
}

/* It was confirmed when it began to wait: what others read then does not hold it up. */
static void who_waited_is_served_without_another_round(void **state)
{
    static struct result a, other, pushed;
    (void)state;
    lead();
    wait_to_read(&a, 1, "rk");
    acknowledge();
    assert_int_equal(parked(), 1);
    ask_now(&other, REQUEST_READ, 2, "r");
    ask_now(&pushed, REQUEST_WRITE, 3, "+k");
    persist();
    struct raft_message without_a_round = matched(1, status().last);
    without_a_round.append_response.round = 0;
    receive(without_a_round);
    assert_ended(pushed, REQUEST_DONE);
    assert_ended(a, REQUEST_DONE);
    assert_int_equal(other.calls, 0);
}

/* Its time is over while nobody leads: whoever leads then says that there is nothing. */
static void out_of_time_it_does_not_begin_to_wait(void **state)
{
    static struct result a;
    (void)state;
    wait_to_read(&a, 1, "rk");
    replica_cancel(world.replica, 1, world.now_ms + 10 * DEADLINE_MS);
    run();
    assert_int_equal(a.calls, 0);
    lead();
    acknowledge();
    assert_ended(a, REQUEST_DONE);
    assert_int_equal(parked(), 0);
}

static void a_read_that_waits_goes_to_the_next_leader(void **state)
{
    static struct result a;
    (void)state;
    lead();
    wait_to_read(&a, 1, "rk");
    receive_wait_to_read(1, 7, "rk");
    acknowledge();
    acknowledge();
    assert_int_equal(parked(), 2);
    follow_and_commit_all(1, 9);
    assert_int_equal(parked(), 0);
    assert_true(last_reply()->refused);
    assert_int_equal(world.forwards_count, 1);
    assert_true(world.forwards[0].may_wait);
    assert_int_equal(world.forwards[0].kind, REQUEST_READ);
    pass(200);
    follow(2, 10);
    append_of(2, 10, NULL);
    assert_int_equal(world.forwards_count, 2);
    answer(0, false, "late"); /* of the one before */
    assert_int_equal(a.calls, 0);
    answer(1, false, "x");
    assert_ended(a, REQUEST_DONE);
}

static void of_a_node_that_is_gone_no_read_waits(void **state)
{
    (void)state;
    lead();
    receive_wait_to_read(1, 7, "rk");
    acknowledge();
    receive_wait_to_read(2, 8, "rk"); /* it is not confirmed */
    replica_disconnected(world.replica, 2, false, true);
    run();
    assert_int_equal(parked(), 0);
    assert_int_equal(world.replies_count, 2);
    assert_true(world.replies[0].refused);
    assert_true(world.replies[1].refused);
    receive_wait_to_read(3, 7, "rk");
    acknowledge();
    acknowledge();
    assert_int_equal(parked(), 1);
    struct forward_cancel cancel = {.run_id = 5, .id = 3, .client = 7};
    replica_receive_cancel(world.replica, 2, &cancel);
    run();
    assert_int_equal(parked(), 0);
    assert_int_equal(last_reply()->outcome, REQUEST_DONE); /* nothing, by now */
}

static void a_reader_who_left_is_dropped(void **state)
{
    static struct result a;
    (void)state;
    lead();
    wait_to_read(&a, 1, "rk");
    acknowledge();
    replica_abandon(world.replica, 1);
    assert_int_equal(parked(), 0);
    follow(1, 9);
    wait_to_read(&a, 2, "rk");
    replica_abandon(world.replica, 2);
    assert_int_equal(world.cancels_count, 1);
    assert_int_equal(a.calls, 0);
}

/* More than are looked at in a turn. */
static void many_readers_are_looked_at_in_turns(void **state)
{
    enum { MANY = 2 * PARKING_LOOKS_MAX + 100 };
    static struct result many[MANY], taken;
    int served = 0;
    (void)state;
    lead();
    for (uint64_t i = 0; i < MANY; i++)
        wait_to_read(&many[i], i + 1, "rk");
    for (int i = 0; i < 5; i++) /* the core takes some of them at a time */
        acknowledge();
    assert_int_equal(parked(), MANY);
    ask_now(&taken, REQUEST_WRITE, MANY + 1, "+k");
    acknowledge_without_running();
    (void)replica_run(world.replica);
    for (int i = 0; i < MANY; i++)
        served += many[i].calls;
    assert_int_equal(served, PARKING_LOOKS_MAX - 1); /* the key was one, too */
    run();
    for (int i = 0; i < MANY; i++)
        assert_ended(many[i], REQUEST_DONE);
}

/* In slices, of the state as it was at the first: what comes before the last is in no state that it
 * looked at, and finds nobody parked. */
static void a_long_look_is_not_the_last_one(void **state)
{
    static struct result a, pushed;
    (void)state;
    lead();
    ask_now(&pushed, REQUEST_WRITE, 2, "+k");
    persist();
    world.read_slices = 3;
    a = (struct result){0};
    struct request *request =
        request_new(REQUEST_READ, 2, 1, blob_copy(bytes_from_string("rk")), on_done, &a);
    request->database = 5;
    request->may_wait = true;
    replica_submit(world.replica, request);
    replica_run(world.replica);
    struct raft_message only_a_round = matched(1, (struct raft_pos){1, 1});
    receive_without_running(only_a_round);
    replica_run(world.replica);
    assert_non_null(world.replica->reading);
    receive_without_running(matched(1, status().last));
    replica_run(world.replica);
    assert_ended(pushed, REQUEST_DONE);
    assert_int_equal(a.calls, 0);
    run();
    acknowledge();
    assert_ended(a, REQUEST_DONE);
    assert_int_equal(parked(), 0);
}

/* It has one place there: it is woken once, and nobody behind it waits for that to end for ever. */
static void a_key_that_is_named_twice_is_waited_for_once(void **state)
{
    static struct result a, b, c, read, first, second;
    (void)state;
    lead();
    wait_for(&a, 1, "pkjkk");
    wait_for(&b, 2, "pkz");
    wait_to_read(&read, 3, "rkk");
    acknowledge();
    assert_int_equal(parked(), 3);
    assert_int_equal(world.replica->parked_places, 2 + 2 + 1);
    ask(&first, REQUEST_WRITE, 4, "+k");
    ask(&second, REQUEST_WRITE, 5, "+k");
    run();
    for (int i = 0; i < 4; i++)
        acknowledge();
    assert_ended(a, REQUEST_DONE);
    assert_ended(b, REQUEST_DONE);
    assert_ended(read, REQUEST_DONE);
    assert_int_equal(parked(), 0);
    assert_int_equal(world.replica->parked_places, 0);
    assert_null(world.replica->parking);
    wait_for(&c, 6, "pkk");
    push("+k");
    assert_ended(c, REQUEST_DONE);
    assert_null(world.replica->parking);
}

/* ---- room ---------------------------------------------------------------------------------- */

static void run_unchecked(void)
{
    while (replica_run(world.replica))
        ;
}

/* So many wait, with so many keys and bytes; the next is told that there is no room, and leaves
 * nothing. */
static void who_finds_no_room_to_wait_is_told(void **state)
{
    static const char full[] = "-ERR too many clients wait for keys\r\n";
    static struct result a, b;
    static char command[WAIT_KEYS_MAX + 3];
    (void)state;
    lead();
    memset(command, 'k', WAIT_KEYS_MAX + 1);
    command[0] = 'p';
    wait_for(&a, 1, command);
    assert_int_equal(parked(), 1);
    assert_int_equal(world.replica->parked_places, 1);
    command[WAIT_KEYS_MAX + 1] = 'k';
    wait_for(&b, 2, command);
    assert_ended(b, REQUEST_DONE);
    assert_string_equal(b.reply, full);
    struct {
        uint64_t *used, max, needed; /* by "pk" */
    } room[] = {{&world.replica->parked_count, PARKED_MAX, 1},
                {&world.replica->parked_bytes, PARKED_BYTES_MAX, 2},
                {&world.replica->parked_places, PARKED_PLACES_MAX, 1}};
    for (size_t i = 0; i < sizeof room / sizeof *room; i++) {
        uint64_t before = *room[i].used;
        *room[i].used = room[i].max - room[i].needed;
        submit_wait(&b, 3, "pk");
        run_unchecked();
        assert_int_equal(*room[i].used, room[i].max);
        assert_int_equal(b.calls, 0);
        replica_abandon(world.replica, 3);
        run_unchecked();
        *room[i].used += 1;
        submit_wait(&b, 4, "pk");
        run_unchecked();
        assert_ended(b, REQUEST_DONE);
        assert_string_equal(b.reply, full);
        *room[i].used = before;
        run(); /* nothing of the others is left */
    }
    assert_int_equal(parked(), 1);
    push("+k");
    assert_ended(a, REQUEST_DONE);
    assert_int_equal(world.replica->parked_places, 0);
}

/* ---- members -------------------------------------------------------------------------------- */

static void it_waits_for_members_that_hold_what_was_there(void **state)
{
    static struct result a, b;
    (void)state;
    lead();
    push("+k");
    struct raft_pos before = status().last;
    wait_to_read(&a, 1, "w1");
    acknowledge();
    assert_ended(a, REQUEST_DONE); /* node 1 has it */
    wait_to_read(&b, 2, "w2");
    receive_wait_to_read(1, 7, "w2");
    acknowledge();
    acknowledge();
    assert_int_equal(parked(), 2);
    assert_int_equal(world.holders, 1);
    push("+x"); /* what comes later is of no account */
    before.index--;
    receive(matched(2, before));
    assert_int_equal(b.calls, 0);
    before.index++;
    receive(matched(2, before));
    assert_ended(b, REQUEST_DONE);
    assert_int_equal(last_reply()->id, 1);
    assert_int_equal(world.holders, 2);
    assert_int_equal(parked(), 0);
}

/* It is a waiter no longer where the meaning is too old for that. */
static void it_counts_members_behind_a_write_of_its_turn(void **state)
{
    static struct result a, b;
    (void)state;
    replica_announced(world.replica, 1, 2);
    lead();
    ask(&a, REQUEST_WRITE, 1, "+k");
    wait_to_read(&b, 1, "w2");
    acknowledge();
    acknowledge();
    assert_ended(b, REQUEST_DONE);
    assert_int_equal(world.holders, 1); /* node 2 has nothing */
}

static void out_of_time_it_says_how_many_there_are(void **state)
{
    static struct result a;
    (void)state;
    lead();
    wait_to_read(&a, 1, "w2");
    acknowledge();
    assert_int_equal(parked(), 1);
    replica_cancel(world.replica, 1, world.now_ms + DEADLINE_MS);
    run();
    assert_ended(a, REQUEST_DONE);
    assert_int_equal(world.holders, 1);
    follow(1, 9);
    wait_to_read(&a, 1, "w2");
    world.connected = false;
    replica_disconnected(world.replica, 1, false, true);
    run();
    replica_cancel(world.replica, 1, world.now_ms + DEADLINE_MS);
    world.connected = true;
    pass(TICK_MS);
    assert_int_equal(world.forwards_count, 2); /* it waits there, until that is cancelled */
    assert_true(world.forwards[1].may_wait);
    assert_int_equal(world.cancel.id, world.forwards[1].id);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_waits, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_waits_and_is_served_once),
        TEST(the_first_that_came_is_served_first),
        TEST(of_a_mixed_queue_the_first_of_each_kind_is_woken),
        TEST(as_many_are_woken_as_find_something),
        TEST(cancelled_it_is_looked_at_once),
        TEST(a_push_and_who_waits_for_it_are_proposed_together),
        TEST(nobody_overtakes_who_was_woken_for_nothing),
        TEST(nobody_is_proposed_where_he_would_find_an_error),
        TEST(who_waits_behind_others_takes_what_they_do_not_want),
        TEST(what_is_left_by_one_who_was_woken_wakes_the_next),
        TEST(who_finds_nothing_waits_at_the_old_place),
        TEST(who_found_nothing_goes_to_the_next_leader),
        TEST(nothing_is_taken_for_one_who_left),
        TEST(the_place_of_one_who_left_is_not_lost),
        TEST(cancelled_it_ends_at_once_or_is_served),
        TEST(a_read_behind_one_that_found_nothing_is_served),
        TEST(a_read_behind_one_that_is_refused_is_served),
        TEST(who_waits_is_looked_at_after_a_long_write),
        TEST(what_waits_goes_to_the_next_leader),
        TEST(what_was_proposed_is_answered_by_its_entry),
        TEST(all_who_wait_in_a_database_are_looked_at),
        TEST(what_comes_again_is_there_once),
        TEST(what_comes_again_while_it_is_proposed_is_too_early),
        TEST(another_of_its_client_is_not_too_early),
        TEST(it_is_sent_again_when_the_old_leader_can_do_nothing),
        TEST(its_node_answers_from_the_log),
        TEST(what_its_node_cannot_know_is_not_proposed_twice),
        TEST(a_lost_connection_keeps_its_own_node_back),
        TEST(nobody_is_kept_back_by_an_earlier_office),
        TEST(sent_again_with_all_that_was_there_it_waits_on),
        TEST(of_a_node_that_is_gone_nothing_waits),
        TEST(cancelled_it_waits_for_the_leaders_word),
        TEST(in_doubt_and_cancelled_it_ends_unknown),
        TEST(all_who_read_are_served_by_one_push),
        TEST(nothing_is_said_by_who_is_not_confirmed),
        TEST(who_waited_is_served_without_another_round),
        TEST(out_of_time_it_does_not_begin_to_wait),
        TEST(a_read_that_waits_goes_to_the_next_leader),
        TEST(of_a_node_that_is_gone_no_read_waits),
        TEST(a_reader_who_left_is_dropped),
        TEST(many_readers_are_looked_at_in_turns),
        TEST(a_long_look_is_not_the_last_one),
        TEST(a_key_that_is_named_twice_is_waited_for_once),
        TEST(who_finds_no_room_to_wait_is_told),
        TEST(it_waits_for_members_that_hold_what_was_there),
        TEST(it_counts_members_behind_a_write_of_its_turn),
        TEST(out_of_time_it_says_how_many_there_are),
    };
    return cmocka_run_group_tests_name("waiters", tests, NULL, NULL);
}
