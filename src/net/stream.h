/* The bytes of one connection, both ways.
 *
 * Whoever holds a stream reads when it is told that there is something, writes when it likes, and
 * is told when a socket that was full has room again.  What the bytes look like on the wire is the
 * stream's own affair: plain now; encrypted later, when a read may have to wait until the socket
 * can be written, and the other way round.
 *
 * Callbacks come from the loop, never from within a call of ours. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/outbox.h"
#include "net/loop.h"

struct stream_hooks {
    void (*readable)(void *context);
    /* After STREAM_FULL or stream_connecting(), once; NULL: neither happens to it. */
    void (*writable)(void *context);
};

struct stream {
    int fd; /* owned; -1: closed */
    const struct stream_hooks *hooks;
    void *context;
    struct event input, output; /* `input` is watched while reading, `output` while full */
    bool reading, full;
};

enum stream_result {
    STREAM_SOME,   /* there may be more, or room for more */
    STREAM_FULL,   /* the rest of what was to be written has to wait */
    STREAM_EMPTY,  /* nothing to be read now */
    STREAM_ENDED,  /* the other side has said its last */
    STREAM_FAILED, /* errno says why */
};

static inline bool stream_is_open(const struct stream *stream)
{
    return stream->fd >= 0;
}

/* Takes the descriptor, which does not block.  Nothing is watched yet.  `hooks` is borrowed. */
void stream_open(struct stream *stream, struct loop *loop, int fd, const struct stream_hooks *hooks,
                 void *context);
void stream_close(struct stream *stream);
/* The descriptor is being connected: full until that has come to an end, and then */
void stream_connecting(struct stream *stream);
/* says how: 0, or an errno. */
int stream_connected(const struct stream *stream);
/* Whether hooks->readable is called while there is something to read. */
void stream_set_reading(struct stream *stream, bool reading);
enum stream_result stream_read(struct stream *stream, void *data, size_t size, size_t *taken)
    __attribute__((warn_unused_result));
/* Neither while it is full.  Of `data`, what finds room now; */
enum stream_result stream_write(struct stream *stream, const void *data, size_t size, size_t *taken)
    __attribute__((warn_unused_result));
/* of an outbox, until it is empty (STREAM_SOME), or there is no more room, or half a MB is sent: a
 * large value is many turns' work.  What was taken is gone from it. */
enum stream_result stream_send(struct stream *stream, struct outbox *outbox, size_t *taken)
    __attribute__((warn_unused_result));
/* From another thread, while the loop neither writes nor closes it: how much found room. */
size_t stream_write_aside(const struct stream *stream, const void *data, size_t size);
/* For a connection that nobody will hold: one try to say `text`, and it is closed. */
void stream_turn_away(struct loop *loop, int fd, const char *text);

#endif
