/* A string of which a command looks at parts, or changes parts. */
#ifndef COMMAND_STRING_PARTS_H
#define COMMAND_STRING_PARTS_H

#include "command/commands.h"

struct string {
    struct db_record found; /* of type DB_NONE, and size 0: there is none */
    struct bytes value;     /* all of it */
};

/* The string at `key`, good until the next db_* call; false: answered with the error. */
bool string_open(struct call *call, struct bytes key, struct string *string);
/* `size` bytes from `offset` on, or what there is of them. */
struct bytes string_part(const struct string *string, uint64_t offset, uint64_t size);
/* Writes `part`, which is not empty, over what there is from `offset` on or behind it, zeros in
 * between; of a key that is not there it makes one.  event NULL: nobody is told of it, see
 * string_tell(). */
void string_write(struct call *call, struct bytes key, const struct string *string, uint64_t offset,
                  struct bytes part, const char *event);
/* One event for what was written without, if the key is there. */
void string_tell(struct call *call, struct bytes key, const char *event);

#endif
