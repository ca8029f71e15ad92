/* A string of which a command looks at parts, or changes parts; and large ones as a whole.
 *
 * Since meaning 4 one that is changed in place while it is large, or becomes so, is put into pages
 * (db.h), and stays in pages until it is written over as a whole.  To put it there takes slices:
 *
 *     if (!string_make_room(call, key, &string, end))
 *         return;
 *
 * While that goes on, the command is executed anew from its beginning.
 *
 * Since meaning 6 one that is put as a whole, by whatever command, is in pages if it is large.  All
 * puts come to string_put(), which decides that.  Words of a client that are that large are put
 * into pages before their command is executed (string_place_words()), in slices, and string_put()
 * finds them there: so the commands need not know.  Those that they did not put after all, because
 * a condition did not hold, are dropped behind them. */
#ifndef COMMAND_STRING_PARTS_H
#define COMMAND_STRING_PARTS_H

#include "command/commands.h"

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
/* All of it, or null.  A write that does, and then changes the key, goes on when walk->unfinished
 * is false: until then it is executed anew. */
void string_reply_whole(struct call *call, const struct string *string);
bool string_equals(struct call *call, const struct string *string, struct bytes wanted);

/* Before a write that ends at `end`; may open the string again.  False: not finished. */
bool string_make_room(struct call *call, struct bytes key, struct string *string, uint64_t end);
/* Whether it would have to be put into pages for that. */
bool string_would_move(const struct call *call, const struct string *string, uint64_t end);
/* Whether that is under way. */
bool string_is_moving(const struct call *call);
/* Writes `part` over what there is from `offset` on or behind it, zeros in between; of a key that
 * is not there it makes one.  event NULL: nobody is told of it, see string_tell(). */
void string_write(struct call *call, struct bytes key, const struct string *string, uint64_t offset,
                  struct bytes part, const char *event);
/* The same of a part that may be large, in slices: walk->cursor.  False: not finished. */
bool string_write_some(struct call *call, struct bytes key, const struct string *string,
                       uint64_t offset, struct bytes part, const char *event);
/* A slice of a put without a deadline, of a key that is not there, by a command whose words are not
 * placed before it.  False: not finished. */
bool string_put_some(struct call *call, struct bytes key, struct bytes value, const char *event);
/* One event for what was written without, if the key is there. */
void string_tell(struct call *call, struct bytes key, const char *event);
/* Of so many bytes: larger than one that is changed where it is, */
bool string_is_large(uint64_t size);
/* and to be put into pages though it is put as a whole. */
bool string_is_whole_large(const struct call *call, uint64_t size);
/* As db_put(). */
void string_put(struct call *call, struct bytes key, struct bytes value, int64_t deadline_ms);
/* Before each slice of a write that puts words (CMD_PUTS).  False: not yet, this was the slice. */
bool string_place_words(struct call *call);
/* Behind its last. */
void string_drop_words(struct call *call);
/* Frees what is known of them. */
void string_forget_words(struct walk_state *walk);
/* Whether that takes long. */
bool string_words_take_long(const struct call *call);
/* Makes a part of the pages of a value whose key is to come, from *at on: *space, and 0 at first.
 * True: that was the last. */
bool string_place_some(struct call *call, unsigned database, struct bytes value, uint64_t *space,
                       uint64_t *at);

/* A slice of a put of a large value, from walk->cursor on.  False: not finished. */
bool string_put_slice(struct call *call, struct bytes key, struct bytes value, int64_t deadline_ms,
                      const char *event);

#endif
