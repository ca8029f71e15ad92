/* A stream: what is read and written, and when its holder is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/stream.h"

struct holder {
    struct loop *loop;
    struct stream stream;
    int other; /* end of the connection */
    int readable, writable;
};

static void on_readable(void *context)
{
    ((struct holder *)context)->readable++;
}

static void on_writable(void *context)
{
    ((struct holder *)context)->writable++;
}

static const struct stream_hooks hooks = {on_readable, on_writable};

static void pass(struct holder *holder)
{
    for (int i = 0; i < 3; i++)
        assert_true(event_base_loop(loop_base(holder->loop), EVLOOP_ONCE | EVLOOP_NONBLOCK) >= 0);
}

static int set_up(void **state)
{
    static struct holder holder;
    int pair[2];
    holder = (struct holder){.loop = loop_new()};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    stream_open(&holder.stream, holder.loop, pair[0], &hooks, &holder);
    holder.other = pair[1];
    *state = &holder;
    return 0;
}

static int tear_down(void **state)
{
    struct holder *holder = *state;
    stream_close(&holder->stream);
    close(holder->other);
    loop_free(holder->loop);
    return 0;
}

static void it_is_read_while_it_should_be(void **state)
{
    struct holder *holder = *state;
    char bytes[8];
    size_t taken;
    assert_int_equal(stream_read(&holder->stream, bytes, sizeof bytes, &taken), STREAM_EMPTY);
    assert_int_equal(write(holder->other, "hello", 5), 5);
    pass(holder);
    assert_int_equal(holder->readable, 0);
    stream_set_reading(&holder->stream, true);
    pass(holder);
    assert_true(holder->readable > 0);
    assert_int_equal(stream_read(&holder->stream, bytes, sizeof bytes, &taken), STREAM_SOME);
    assert_int_equal(taken, 5);
    assert_memory_equal(bytes, "hello", 5);
    holder->readable = 0;
    pass(holder);
    assert_int_equal(holder->readable, 0);
    shutdown(holder->other, SHUT_WR);
    pass(holder);
    assert_true(holder->readable > 0);
    assert_int_equal(stream_read(&holder->stream, bytes, sizeof bytes, &taken), STREAM_ENDED);
    stream_set_reading(&holder->stream, false);
    holder->readable = 0;
    pass(holder);
    assert_int_equal(holder->readable, 0);
}

static void a_full_one_says_when_there_is_room(void **state)
{
    static char bytes[1 << 20], heard[1 << 20];
    struct holder *holder = *state;
    size_t taken, sent = 0;
    assert_int_equal(stream_write(&holder->stream, "x", 1, &taken), STREAM_SOME);
    pass(holder);
    assert_int_equal(holder->writable, 0); /* it was never full */
    while (stream_write(&holder->stream, bytes, sizeof bytes, &taken) == STREAM_SOME)
        sent += taken;
    sent += taken;
    assert_true(sent > 0);
    assert_true(holder->stream.full);
    pass(holder);
    assert_int_equal(holder->writable, 0);
    while (read(holder->other, heard, sizeof heard) > 0)
        ;
    pass(holder);
    assert_int_equal(holder->writable, 1);
    assert_false(holder->stream.full);
}

static void a_broken_one_says_why(void **state)
{
    struct holder *holder = *state;
    size_t taken;
    shutdown(holder->stream.fd, SHUT_WR);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(stream_write(&holder->stream, "x", 1, &taken), STREAM_FAILED);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(taken, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_read_while_it_should_be),
        TEST(a_full_one_says_when_there_is_room),
        TEST(a_broken_one_says_why),
    };
    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
