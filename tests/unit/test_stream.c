/* A stream: what is read and written, and when its holder is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/stream.h"

/* In place of the C library's: a file takes all that it is offered, which no socket does. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    ssize_t sent = (ssize_t)syscall(SYS_sendmsg, fd, message, flags);
    if (sent < 0 && errno == ENOTSOCK)
        return writev(fd, message->msg_iov, (int)message->msg_iovlen);
    return sent;
}

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    struct iovec piece = {(void *)(uintptr_t)bytes, size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    return sendmsg(fd, &message, flags);
}

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

/* Small pieces and blobs, more of them than one call takes, through a socket that is often full. */
static void an_outbox_is_sent_whole_and_in_order(void **state)
{
    static char heard[4 << 20];
    struct holder *holder = *state;
    struct outbox out = {0};
    struct buffer given = {0};
    struct blob *blob = blob_new(20000);
    size_t got = 0, taken, sent = 0;
    memset(blob->data, 'b', blob->size);
    for (int i = 0; i < 150; i++) {
        buffer_append_bytes(&given, blob_bytes(blob));
        buffer_append(&given, "small", 5);
        outbox_append_blob(&out, blob);
        outbox_append(&out, "small", 5);
    }
    while (outbox_size(&out)) {
        enum stream_result result = stream_send(&holder->stream, &out, &taken);
        sent += taken;
        assert_int_equal(result, outbox_size(&out) ? STREAM_FULL : STREAM_SOME);
        assert_int_equal(holder->stream.full, result == STREAM_FULL);
        for (ssize_t some = 1; some > 0; got += some > 0 ? (size_t)some : 0)
            some = read(holder->other, heard + got, sizeof heard - got);
        pass(holder);
    }
    assert_int_equal(sent, given.size);
    assert_int_equal(got, given.size);
    assert_memory_equal(heard, given.data, given.size);
    assert_int_equal(blob->references, 1);
    assert_true(holder->writable > 0);
    assert_int_equal(stream_send(&holder->stream, &out, &taken), STREAM_SOME); /* nothing to do */
    assert_int_equal(taken, 0);
    blob_release(blob);
    outbox_deinit(&out);
    buffer_deinit(&given);
}

static void without_words(int severity, const char *text)
{
    (void)severity;
    (void)text;
}

/* A file takes whatever it is given, so what one call sends is the stream's own bound. */
static void one_call_sends_a_bounded_part(void **state)
{
    struct holder *holder = *state;
    struct outbox out = {0};
    struct blob *blob = blob_new(1000000);
    FILE *file = tmpfile();
    size_t taken, all = 0, calls = 0;
    enum stream_result result;
    assert_non_null(file);
    event_set_log_callback(without_words); /* epoll does not watch a file */
    stream_close(&holder->stream);
    stream_open(&holder->stream, holder->loop, dup(fileno(file)), &hooks, holder);
    memset(blob->data, 'b', blob->size);
    outbox_append(&out, blob->data, blob->size);
    outbox_append_blob(&out, blob);
    do {
        result = stream_send(&holder->stream, &out, &taken);
        assert_in_range(taken, 1, 600000);
        all += taken;
        calls++;
        assert_int_equal(holder->stream.full, result == STREAM_FULL);
        holder->stream.full = false;
    } while (result == STREAM_FULL);
    assert_int_equal(result, STREAM_SOME);
    assert_int_equal(all, 2000000);
    assert_in_range(calls, 4, 10);
    event_set_log_callback(NULL);
    outbox_deinit(&out);
    blob_release(blob);
    fclose(file);
}

static void one_that_cannot_connect_says_why(void **state)
{
    struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct holder *holder = *state;
    socklen_t size = sizeof nobody;
    int taken = socket(AF_INET, SOCK_STREAM, 0); /* bound, but it does not listen */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(taken, (struct sockaddr *)&nobody, size), 0);
    assert_int_equal(getsockname(taken, (struct sockaddr *)&nobody, &size), 0);
    stream_close(&holder->stream);
    stream_open(&holder->stream, holder->loop, fd, &hooks, holder);
    assert_int_equal(connect(fd, (struct sockaddr *)&nobody, size), -1);
    assert_int_equal(errno, EINPROGRESS);
    stream_connecting(&holder->stream);
    for (int i = 0; i < 100 && !holder->writable; i++)
        pass(holder);
    assert_int_equal(holder->writable, 1);
    assert_int_equal(stream_connected(&holder->stream), ECONNREFUSED);
    close(taken);
}

static void one_that_is_turned_away_hears_why(void **state)
{
    struct holder *holder = *state;
    char heard[16];
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    stream_turn_away(holder->loop, pair[0], "-NO\r\n");
    assert_int_equal(read(pair[1], heard, sizeof heard), 5);
    assert_memory_equal(heard, "-NO\r\n", 5);
    assert_int_equal(read(pair[1], heard, sizeof heard), 0);
    close(pair[1]);
    pass(holder);
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
    struct outbox out = {0};
    outbox_append(&out, "x", 1);
    assert_int_equal(stream_send(&holder->stream, &out, &taken), STREAM_FAILED);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(outbox_size(&out), 1);
    outbox_deinit(&out);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_read_while_it_should_be),
        TEST(a_full_one_says_when_there_is_room),
        TEST(one_call_sends_a_bounded_part),
        TEST(an_outbox_is_sent_whole_and_in_order),
        TEST(one_that_cannot_connect_says_why),
        TEST(one_that_is_turned_away_hears_why),
        TEST(a_broken_one_says_why),
    };
    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
