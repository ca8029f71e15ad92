/* A string of which a command looks at parts, or changes parts.
 *
 * Since meaning 4 one that is changed in place while it is large, or becomes so, is put into pages
 * (db.h), and stays in pages until it is written over as a whole.  To put it there takes slices:
 *
 *     if (!string_make_room(call, key, &string, end))
 *         return;
 *
 * While that goes on, the command is executed anew from its beginning. */
#ifndef COMMAND_STRING_PARTS_H
#define COMMAND_STRING_PARTS_H

#include "command/commands.h"

enum { STRING_PLAIN_MAX = 64 * 1024 }; /* bytes; a larger one is not changed where it is */

struct string {
    struct db_record found; /* of type DB_NONE, and size 0: there is none */
    struct bytes value;     /* all of it, if it is plain */
};

/* The string at `key`, good until the next db_* call; false: answered with the error. */
bool string_open(struct call *call, struct bytes key, struct string *string);
/* `size` bytes from `offset` on, or what there is of them; of one in pages they are collected. */
struct bytes string_part(struct call *call, const struct string *string, uint64_t offset,
                         uint64_t size);
/* Replies with those, of which the string has all; of many of one in pages in slices. */
void string_reply(struct call *call, const struct string *string, uint64_t offset, uint64_t size);

/* Before a write that ends at `end`; may open the string again.  False: not finished. */
bool string_make_room(struct call *call, struct bytes key, struct string *string, uint64_t end);
/* Whether that is under way. */
bool string_is_moving(const struct call *call);
/* Writes `part` over what there is from `offset` on or behind it, zeros in between; of a key that
 * is not there it makes one.  event NULL: nobody is told of it, see string_tell(). */
void string_write(struct call *call, struct bytes key, const struct string *string, uint64_t offset,
                  struct bytes part, const char *event);
/* One event for what was written without, if the key is there. */
void string_tell(struct call *call, struct bytes key, const char *event);
/* A slice of a put of a large value, from walk->cursor on.  False: not finished. */
bool string_put_slice(struct call *call, struct bytes key, struct bytes value, int64_t deadline_ms,
                      const char *event);

#endif
