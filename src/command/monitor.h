/* The lines of MONITOR. */
#ifndef COMMAND_MONITOR_H
#define COMMAND_MONITOR_H

#include "command/command.h"
#include "command/connection.h"

/* Of a line about so many bytes are shown: Redis shows all, but a value of 64 MB would be four
 * times that, for each who monitors. */
enum { MONITOR_LINE_MAX = 1024 * 1024 };

struct monitored {
    int64_t now_us; /* Unix time */
    unsigned database;
    const char *address; /* of the client */
    const struct command *command;
    const struct bytes *argv;
    uint32_t argc;
};

/* Whether monitors see it: not what administers the server, as in Redis. */
bool command_is_monitored(const struct command *command);
/* Redis's line, "+1339518083.107412 [0 127.0.0.1:60866] \"keys\" \"*\"", in the place of what was
 * in `out`; passwords are redacted. */
void command_monitor_line(const struct monitored *said, struct buffer *out);

#endif
