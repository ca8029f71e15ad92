/* See stream.h. */
#include "net/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/limits.h"

static void on_input(evutil_socket_t fd, short what, void *context)
{
    struct stream *stream = context;
    (void)fd;
    (void)what;
    stream->hooks->readable(stream->context);
}

static void on_output(evutil_socket_t fd, short what, void *context)
{
    struct stream *stream = context;
    (void)fd;
    (void)what;
    check(stream->full);
    event_del(&stream->output);
    stream->full = false;
    stream->hooks->writable(stream->context);
}

void stream_open(struct stream *stream, struct loop *loop, int fd, const struct stream_hooks *hooks,
                 void *context)
{
    check(fd >= 0);
    *stream = (struct stream){.fd = fd, .hooks = hooks, .context = context};
    event_assign(&stream->input, loop_base(loop), fd, EV_READ | EV_PERSIST, on_input, stream);
    event_assign(&stream->output, loop_base(loop), fd, EV_WRITE | EV_PERSIST, on_output, stream);
}

void stream_close(struct stream *stream)
{
    check(stream_is_open(stream));
    event_del(&stream->input);
    event_del(&stream->output);
    close(stream->fd);
    stream->fd = -1;
    stream->reading = stream->full = false;
}

void stream_turn_away(struct loop *loop, int fd, const char *text)
{
    static const struct stream_hooks nobody = {0};
    struct stream stream;
    size_t taken;
    stream_open(&stream, loop, fd, &nobody, NULL);
    /* A fresh connection has room for a line, and if not, nothing is lost. */
    (void)!stream_write(&stream, text, strlen(text), &taken);
    stream_close(&stream);
}

void stream_set_reading(struct stream *stream, bool reading)
{
    if (reading == stream->reading)
        return;
    stream->reading = reading;
    if (reading)
        event_add(&stream->input, NULL);
    else
        event_del(&stream->input);
}

/* ---- reading --------------------------------------------------------------------------- */

enum stream_result stream_read(struct stream *stream, void *data, size_t size, size_t *taken)
{
    check(size > 0); /* recv() of nothing looks like the end */
    ssize_t got = recv(stream->fd, data, size, 0);
    *taken = got > 0 ? (size_t)got : 0;
    check(*taken <= size);
    if (got > 0)
        return STREAM_SOME;
    if (got == 0)
        return STREAM_ENDED;
    return errno == EAGAIN || errno == EINTR ? STREAM_EMPTY : STREAM_FAILED;
}

/* ---- writing --------------------------------------------------------------------------- */

static void wait_for_room(struct stream *stream)
{
    check(!stream->full);
    event_add(&stream->output, NULL);
    stream->full = true;
}

/* send() and its like are what a socket has: they cost 4 % less than write(), which is for files as
 * well. */
static ssize_t send_pieces(const struct stream *stream, const struct iovec *pieces, int count)
{
    if (count == 1)
        return send(stream->fd, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL);
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces,
                             .msg_iovlen = (size_t)count};
    return sendmsg(stream->fd, &message, MSG_NOSIGNAL);
}

static enum stream_result write_pieces(struct stream *stream, const struct iovec *pieces, int count,
                                       size_t *taken)
{
    size_t offered = 0;
    check(stream_is_open(stream));
    check(!stream->full);
    for (int i = 0; i < count; i++)
        offered += pieces[i].iov_len;
    ssize_t sent = send_pieces(stream, pieces, count);
    *taken = sent > 0 ? (size_t)sent : 0;
    check(*taken <= offered);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return STREAM_FAILED;
    if (*taken == offered)
        return STREAM_SOME;
    wait_for_room(stream); /* to ask again at once would only cost a call */
    return STREAM_FULL;
}

enum stream_result stream_write(struct stream *stream, const void *data, size_t size, size_t *taken)
{
    struct iovec piece = {(void *)(uintptr_t)data, size};
    return write_pieces(stream, &piece, 1, taken);
}

size_t stream_write_aside(const struct stream *stream, const void *data, size_t size)
{
    check(stream_is_open(stream));
    ssize_t sent = write(stream->fd, data, size);
    return sent > 0 ? (size_t)sent : 0;
}

/* How many of the pieces hold the first `size` bytes; the last of them is cut short. */
static int cut(struct iovec *pieces, int count, size_t size)
{
    for (int i = 0; i < count; i++) {
        if (pieces[i].iov_len >= size) {
            pieces[i].iov_len = size;
            return i + 1;
        }
        size -= pieces[i].iov_len;
    }
    return count;
}

enum stream_result stream_send(struct stream *stream, struct outbox *outbox, size_t *taken)
{
    *taken = 0;
    while (outbox_size(outbox) && *taken < STREAM_SEND_MAX) {
        struct iovec pieces[OUTBOX_PIECES_MAX];
        size_t some;
        int count = outbox_pieces(outbox, pieces);
        check(count > 0);
        count = cut(pieces, count, STREAM_SEND_MAX - *taken);
        enum stream_result result = write_pieces(stream, pieces, count, &some);
        outbox_advance(outbox, some);
        *taken += some;
        if (result != STREAM_SOME)
            return result;
    }
    if (outbox_size(outbox) == 0)
        return STREAM_SOME;
    wait_for_room(stream); /* there may be some, but it is the others' turn */
    return STREAM_FULL;
}

/* ---- connecting --------------------------------------------------------------------------- */

void stream_connecting(struct stream *stream)
{
    wait_for_room(stream);
}

int stream_connected(const struct stream *stream)
{
    int failure = 0;
    socklen_t size = sizeof failure;
    check(!stream->full);
    return getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 ? failure : errno;
}
