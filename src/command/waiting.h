/* Commands that wait for what they do not find: what they wait for, and how long.
 *
 * Whether one waits is nothing that the log knows: its node keeps the time, the leader those who
 * wait (replica/parking.c), and looks here at the present state for whom there is something. */
#ifndef COMMAND_WAITING_H
#define COMMAND_WAITING_H

#include "command/commands.h"

struct waiting {
    uint32_t first, keys; /* argv[first .. first + keys) */
    uint32_t timeout;     /* word */
    bool in_seconds;      /* with a fraction; else whole milliseconds */
};

/* False: it does not wait, by its name or by its words. */
bool command_waiting_find(const struct command *command, const struct bytes *argv, uint32_t argc,
                          struct waiting *waiting);
/* On the present state: whether it would find nothing; for how many in a row there is something at
 * the key.  Nothing is changed; call->reply leads nowhere. */
bool command_would_wait(struct call *call);
uint64_t command_waiting_count(struct call *call, struct bytes key);
/* The same for commands that find the same. */
uint64_t command_waiting_kind(const struct call *call);
/* What an encoded command puts under which key, by its first words: state_machine_ops.feeds. */
uint64_t command_feeds(struct bytes request, struct bytes *key);

/* The same of XREAD and XREADGROUP, in stream_read.c. */
bool series_waiting_find(const struct command *command, const struct bytes *argv, uint32_t argc,
                         struct waiting *waiting);
bool series_would_wait(struct call *call);
bool series_finds_something(struct call *call, struct bytes key);
struct bytes series_waiting_group(const struct call *call);
/* What an XREAD is asked with again, when its reply says what its ids mean.  NULL: it does not. */
struct blob *series_read_again(const struct command *command, struct bytes *argv, uint32_t argc,
                               struct bytes reply);

#endif
