/* RAFT.WATCH: a stream of the changes of keys to one connection, in the order of the log, from a
 * position on: none is missing, none comes twice, whichever node it is resumed on.
 *
 * It is served from what this node applied (history.h), and asks nobody else.  Frames are RESP3
 * pushes, in RESP2 arrays:
 *
 *     "raft.change", position, database, event, key           and with VALUES: type, value
 *     "raft.position", position                               all up to there was told
 *     "raft.lost", oldest position from which one can begin   the last frame: it was too slow */
#ifndef COMMAND_WATCH_H
#define COMMAND_WATCH_H

#include "base/outbox.h"
#include "command/history.h"

enum {
    WATCH_FILTERS_MAX = 128,
    WATCH_FILTERS_BYTES_MAX = 1024 * 1024,
    WATCH_UNSENT_MAX = 1024 * 1024, /* bytes that wait for the client; then no more are added */
    WATCH_CHANGES_MAX = 1024        /* looked at in a turn */
};

struct watch_filter {
    bool is_prefix;
    size_t size;
    char *data; /* owned */
};

struct watch {
    struct position told; /* all up to it was told, or is not asked for */
    struct position said; /* of the last frame */
    struct history_cursor cursor;
    bool has_values;
    uint32_t filters_count; /* 0: every key */
    struct watch_filter filters[];
};

void command_watch_free(struct watch *watch); /* NULL allowed */

enum watch_fed {
    WATCH_IDLE, /* there is nothing more now */
    WATCH_MORE, /* there is, when what waits is sent */
    WATCH_LOST  /* what comes next has gone: the connection is to be closed */
};

/* Appends what there is to `out`, in that protocol.  `says_position`: also where it is, if it
 * passed over changes since the last frame. */
enum watch_fed command_watch_feed(struct watch *watch, const struct history *history,
                                  bool says_position, int protocol, struct outbox *out);

#endif
