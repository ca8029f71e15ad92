/* Which words of a command nobody but the server may see: they are "(redacted)" where commands are
 * shown (SLOWLOG, MONITOR). */
#ifndef COMMAND_REDACT_H
#define COMMAND_REDACT_H

#include "command/command.h"

/* argv[place], or what is shown in its place: Redis 7.2's rules. */
struct bytes command_shown_word(const struct command *command, const struct bytes *argv,
                                uint32_t place);

#endif
