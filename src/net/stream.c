/* See stream.h. */
#include "net/stream.h"

#include <errno.h>
#include <unistd.h>

#include "base/fatal.h"

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
    event_del(&stream->output);
    stream->full = false;
    stream->hooks->writable(stream->context);
}

void stream_open(struct stream *stream, struct loop *loop, int fd, const struct stream_hooks *hooks,
                 void *context)
{
    *stream = (struct stream){.fd = fd, .hooks = hooks, .context = context};
    event_assign(&stream->input, loop_base(loop), fd, EV_READ | EV_PERSIST, on_input, stream);
    event_assign(&stream->output, loop_base(loop), fd, EV_WRITE | EV_PERSIST, on_output, stream);
}

void stream_close(struct stream *stream)
{
    event_del(&stream->input);
    event_del(&stream->output);
    close(stream->fd);
    stream->fd = -1;
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

enum stream_result stream_read(struct stream *stream, void *data, size_t size, size_t *taken)
{
    ssize_t got = read(stream->fd, data, size);
    *taken = got > 0 ? (size_t)got : 0;
    if (got > 0)
        return STREAM_SOME;
    if (got == 0)
        return STREAM_ENDED;
    return errno == EAGAIN || errno == EINTR ? STREAM_EMPTY : STREAM_FAILED;
}

enum stream_result stream_write(struct stream *stream, const void *data, size_t size, size_t *taken)
{
    check(!stream->full);
    ssize_t sent = write(stream->fd, data, size);
    *taken = sent > 0 ? (size_t)sent : 0;
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return STREAM_FAILED;
    if (*taken == size)
        return STREAM_SOME;
    event_add(&stream->output, NULL);
    stream->full = true;
    return STREAM_FULL;
}
