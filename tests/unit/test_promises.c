/* Answers that leave when their write is durable: what the log writer's thread says on a connection
 * that the loop writes to as well. */
#include "test_peers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

static struct transport *transport;
static int fds[CHANNELS];

/* What the thread told before an answer left. */
static struct {
    unsigned count;
    raft_index index;
    uint64_t durable;
    bool is_first; /* nothing had been heard */
} told;

static void note_saying(void *context, const struct raft_message *answer, uint64_t durable)
{
    char byte;
    (void)context;
    told.count++;
    told.index = answer->append_response.hint.index;
    told.durable = durable;
    told.is_first = recv(fds[CHANNEL_CONTROL], &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

static int set_up_connected(void **state)
{
    set_up(state);
    told.count = 0;
    world.peers->options.saying = note_saying;
    connect_all(fds);
    transport = peers_transport(world.peers);
    return 0;
}

static int tear_down_connected(void **state)
{
    close_all(fds);
    return tear_down(state);
}

static struct raft_message answer_to(raft_index index)
{
    return (struct raft_message){
        .type = RAFT_APPEND_RESPONSE,
        .from = 0,
        .to = 1,
        .term = 3,
        .append_response = {.matched = true, .hint = {3, index}, .round = 7},
    };
}

/* Behind the write of the same number. */
static bool promise(raft_index index)
{
    struct raft_message answer = answer_to(index);
    return transport->ops->promise(transport, &answer, index);
}

static bool has_said(raft_index index)
{
    struct raft_message answer = answer_to(index);
    return transport->ops->has_said(transport, &answer);
}

static struct link *control(void)
{
    return &world.other->links[CHANNEL_CONTROL];
}

static size_t heard(char *bytes, size_t size)
{
    ssize_t taken = recv(fds[CHANNEL_CONTROL], bytes, size, MSG_DONTWAIT);
    return taken > 0 ? (size_t)taken : 0;
}

/* Of that answer, by itself and without the loop, and of nothing else. */
static void assert_heard(raft_index index)
{
    char bytes[1024];
    struct outbox expected = {0};
    struct raft_message answer = answer_to(index);
    wire_encode_message(&expected, &answer, NULL, 0);
    assert_int_equal(heard(bytes, sizeof bytes), outbox_size(&expected));
    assert_memory_equal(bytes, expected.bytes.data, outbox_size(&expected));
    outbox_deinit(&expected);
}

static void assert_nothing_heard(void)
{
    char bytes[1024];
    assert_int_equal(heard(bytes, sizeof bytes), 0);
}

static void an_answer_leaves_with_its_write(void **state)
{
    (void)state;
    struct peers_traffic before = peers_traffic(world.peers);
    assert_true(promise(5));
    assert_true(peers_durable(world.peers, 4));
    assert_nothing_heard();
    assert_false(has_said(5));
    assert_true(peers_durable(world.peers, 5));
    assert_heard(5);
    assert_true(has_said(5));
    assert_true(has_said(4)); /* which it says as well */
    assert_false(has_said(6));
    assert_true(peers_durable(world.peers, 6));
    assert_nothing_heard(); /* once */
    assert_true(peers_traffic(world.peers).output > before.output);
}

static void the_newest_that_is_durable_says_all(void **state)
{
    (void)state;
    for (raft_index index = 1; index <= 4; index++)
        assert_true(promise(index));
    assert_true(peers_durable(world.peers, 3));
    assert_heard(3);
    assert_false(has_said(4));
    assert_true(peers_durable(world.peers, 4));
    assert_heard(4);
}

static void what_leaves_is_told_before(void **state)
{
    (void)state;
    assert_true(promise(5));
    assert_true(promise(6));
    assert_true(promise(8));
    assert_true(peers_durable(world.peers, 4));
    assert_int_equal(told.count, 0);
    assert_true(peers_durable(world.peers, 7)); /* more than the promise asks for */
    assert_heard(6);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.index, 6);
    assert_int_equal(told.durable, 7);
    assert_true(told.is_first);
    transport->ops->take_back(transport);
    assert_true(peers_durable(world.peers, 8));
    assert_int_equal(told.count, 1);
}

static void what_came_too_late_is_not_promised(void **state)
{
    (void)state;
    assert_true(peers_durable(world.peers, 9));
    assert_false(promise(9));
    for (raft_index index = 0; index < PROMISES_MAX; index++)
        assert_true(promise(10 + index));
    assert_false(promise(10 + PROMISES_MAX)); /* nor what finds no place */
    assert_true(peers_durable(world.peers, 10 + PROMISES_MAX));
    assert_heard(10 + PROMISES_MAX - 1);
}

static void what_is_taken_back_does_not_leave(void **state)
{
    (void)state;
    assert_true(promise(1));
    assert_true(promise(2));
    assert_true(peers_durable(world.peers, 1));
    assert_heard(1);
    transport->ops->take_back(transport);
    assert_true(peers_durable(world.peers, 2));
    assert_nothing_heard();
    assert_false(has_said(1));
}

/* The loop has half a message on its way: it is told that it has to say the answer. */
static void nothing_is_said_in_the_midst_of_a_message(void **state)
{
    static char bytes[LARGE];
    struct blob *large = blob_new(16 * LARGE);
    memset(large->data, 'x', large->size);
    (void)state;
    assert_true(promise(1));
    outbox_append_blob(&control()->out, large);
    turns();
    assert_true(control()->stream.full);
    assert_false(peers_durable(world.peers, 1));
    assert_false(has_said(1));
    assert_true(promise(2));
    assert_false(peers_durable(world.peers, 2));
    size_t total = 0;
    for (size_t some = 1; some > 0; total += some) {
        turns();
        some = heard(bytes, sizeof bytes);
        assert_true(some == 0 || memchr(bytes, '*', some) == NULL);
    }
    assert_int_equal(total, large->size);
    assert_true(promise(3));
    assert_true(peers_durable(world.peers, 3));
    assert_heard(3);
    blob_release(large);
}

static void what_is_promised_goes_with_its_connection(void **state)
{
    (void)state;
    assert_true(promise(1));
    assert_true(peers_durable(world.peers, 1));
    assert_heard(1);
    assert_true(promise(2));
    link_close(control(), "a test");
    assert_true(peers_durable(world.peers, 2));
    assert_nothing_heard();
    assert_false(has_said(1));
    assert_false(promise(3)); /* there is none */
    struct raft_message stranger = answer_to(4);
    stranger.to = 9;
    assert_false(transport->ops->promise(transport, &stranger, 4));
}

static void a_torn_answer_ends_the_connection(void **state)
{
    (void)state;
    assert_true(promise(1));
    world.peers->promises->is_torn = true; /* as if the socket had taken half */
    assert_false(peers_durable(world.peers, 1));
    assert_nothing_heard();
    struct raft_message answer = answer_to(1);
    transport->ops->send(transport, &answer, NULL);
    turns();
    assert_int_equal(control()->state, LINK_DOWN);
    assert_nothing_heard();
}

/* The thread writes to this instead of the socket. */
static bool durable_into(int fd, uint64_t seq)
{
    int socket = control()->stream.fd;
    control()->stream.fd = fd;
    bool is_said = peers_durable(world.peers, seq);
    control()->stream.fd = socket;
    close(fd);
    return is_said;
}

/* What takes so many bytes and no more.  Sockets take answers as small as these whole, or not at
 * all, but for luck; a file stops where the process may not let it grow further. */
static bool durable_with_room(uint64_t seq, size_t room)
{
    struct rlimit before, limit;
    int fd = memfd_create("room", 0);
    assert_true(fd >= 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){.rlim_cur = room, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    bool is_said = durable_into(fd, seq);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    return is_said;
}

static void an_answer_that_is_half_taken_is_not_said(void **state)
{
    (void)state;
    uint64_t before = peers_said_bytes(world.peers);
    assert_true(promise(1));
    assert_false(durable_with_room(1, 10));
    assert_int_equal(peers_said_bytes(world.peers), before + 10);
    assert_false(has_said(1));
    assert_true(promise(2));
    assert_false(peers_durable(world.peers, 2));
    assert_nothing_heard(); /* no other behind the half */
    struct raft_message answer = answer_to(2);
    transport->ops->send(transport, &answer, NULL);
    turns();
    assert_int_equal(control()->state, LINK_DOWN);
    assert_nothing_heard();
}

/* Nothing is broken: the loop says it, and the next one leaves as ever. */
static void an_answer_that_finds_no_room_is_left_to_the_loop(void **state)
{
    char bytes[1024];
    (void)state;
    assert_true(promise(1));
    assert_false(durable_into(open("/dev/full", O_WRONLY), 1));
    assert_false(has_said(1));
    assert_nothing_heard();
    struct raft_message answer = answer_to(1);
    transport->ops->send(transport, &answer, NULL);
    turns();
    assert_int_equal(control()->state, LINK_UP);
    assert_true(heard(bytes, sizeof bytes) > 0);
    assert_true(promise(2));
    assert_true(peers_durable(world.peers, 2));
    assert_heard(2);
}

static bool thread_may_write(void)
{
    pthread_mutex_t *mutex = &world.peers->promises->mutex;
    bool is_free = pthread_mutex_trylock(mutex) == 0;
    if (is_free)
        pthread_mutex_unlock(mutex);
    return is_free;
}

/* While the loop writes to it, and no longer. */
static void the_thread_is_kept_from_a_connection_that_is_held(void **state)
{
    (void)state;
    assert_true(promise(1));
    assert_true(link_hold(control()));
    assert_false(thread_may_write());
    link_let_go(control());
    assert_true(thread_may_write());
}

/* Both at once, from two threads: what comes is whole messages, and each answer that is said. */
enum { ANSWERS = 2000 };

static atomic_uint written;
static atomic_uint left_to_the_loop;

static void *write_and_say(void *context)
{
    (void)context;
    for (unsigned seq = 1; seq <= ANSWERS; seq++) {
        while (atomic_load(&written) < seq)
            ;
        if (!peers_durable(world.peers, seq))
            atomic_fetch_add(&left_to_the_loop, 1);
    }
    return NULL;
}

/* Returns how many messages there are in it, and takes them. */
static unsigned take_messages(struct buffer *text, struct resp_parser *parser)
{
    unsigned count = 0;
    size_t consumed;
    uint32_t argc;
    while (text->size && resp_parse(parser, text->data, text->size, &consumed) == RESP_COMMAND) {
        const struct bytes *argv = resp_argv(parser, &argc);
        assert_true(argc == 2 && bytes_is(argv[0], "APPENDED"));
        buffer_consume(text, consumed);
        count++;
    }
    return count;
}

static void two_threads_write_whole_messages(void **state)
{
    struct resp_limits limits = wire_limits();
    struct resp_parser *parser = resp_parser_new(&limits);
    struct buffer text = {0};
    pthread_t thread;
    unsigned taken = 0, sent = 0, promised = 0;
    (void)state;
    atomic_store(&written, 0);
    atomic_store(&left_to_the_loop, 0);
    assert_int_equal(pthread_create(&thread, NULL, write_and_say, NULL), 0);
    for (unsigned seq = 1; seq <= ANSWERS; seq++) {
        char bytes[4096];
        struct raft_message answer = answer_to(seq);
        promised += promise(seq);
        atomic_store(&written, seq);
        transport->ops->send(transport, &answer, NULL);
        sent++;
        peers_flush(world.peers);
        buffer_append(&text, bytes, heard(bytes, sizeof bytes));
        taken += take_messages(&text, parser);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    char bytes[4096];
    for (size_t some; (some = heard(bytes, sizeof bytes)) > 0;)
        buffer_append(&text, bytes, some);
    taken += take_messages(&text, parser);
    assert_int_equal(text.size, 0);
    assert_int_equal(atomic_load(&left_to_the_loop), 0);
    assert_true(promised > 0);
    assert_in_range(taken, sent + 1, sent + promised); /* of two at once the newer is said */
    buffer_deinit(&text);
    resp_parser_free(parser);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_connected, tear_down_connected)
    const struct CMUnitTest tests[] = {
        TEST(an_answer_leaves_with_its_write),
        TEST(the_newest_that_is_durable_says_all),
        TEST(what_leaves_is_told_before),
        TEST(what_came_too_late_is_not_promised),
        TEST(what_is_taken_back_does_not_leave),
        TEST(nothing_is_said_in_the_midst_of_a_message),
        TEST(what_is_promised_goes_with_its_connection),
        TEST(a_torn_answer_ends_the_connection),
        TEST(an_answer_that_is_half_taken_is_not_said),
        TEST(an_answer_that_finds_no_room_is_left_to_the_loop),
        TEST(the_thread_is_kept_from_a_connection_that_is_held),
        TEST(two_threads_write_whole_messages),
    };
    return cmocka_run_group_tests_name("promises", tests, NULL, NULL);
}
