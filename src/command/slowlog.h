/* The commands that took long, newest first: what SLOWLOG shows.  Filled by the observer of the
 * executions (server/); here is no clock. */
#ifndef COMMAND_SLOWLOG_H
#define COMMAND_SLOWLOG_H

#include "base/buffer.h"
#include "command/command.h"

struct slow_command {
    struct slow_command *prev, *next;
    uint64_t id;
    int64_t at_s;        /* Unix time */
    int64_t took_us;     /* its execution, all slices */
    struct buffer words; /* a RESP array, cut as Redis cuts */
    char address[64];    /* of the client */
    char *name;          /* likewise; owned, NULL: none */
};

/* {0} is an empty one. */
struct slowlog {
    struct slow_command *newest; /* utlist */
    uint64_t count, next_id;
};

/* Who sent a command. */
struct slowlog_client {
    const char *address;
    const char *name; /* NULL: none */
};

/* Of what call->command did; the oldest go where there are more than `max`. */
void command_slowlog_add(struct slowlog *slowlog, const struct call *call,
                         const struct slowlog_client *client, int64_t took_us, int64_t at_s,
                         uint64_t max);
void command_slowlog_clear(struct slowlog *slowlog); /* numbers go on */

#endif
