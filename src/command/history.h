/* The newest changes of keys on this node, in memory, in the order of the log: what RAFT.WATCH is
 * served from (watch.h).
 *
 * It listens to the effects of applied entries, which are the same on every node, so a position
 * means the same everywhere.  It has all that was applied since this node's start, a replay
 * included, as far as its bytes go; what is older is not told a second time anywhere: entries
 * cannot be executed again. */
#ifndef COMMAND_HISTORY_H
#define COMMAND_HISTORY_H

#include "command/command.h"

struct history;

/* Behind a change: all up to it was seen.  Behind the last change of an entry, and behind an entry
 * without any, `change` is POSITION_WHOLE. */
struct position {
    uint64_t index;  /* of the entry */
    uint64_t change; /* of it, from 1 */
};

#define POSITION_WHOLE UINT64_MAX

static inline bool position_before(struct position one, struct position other)
{
    return one.index != other.index ? one.index < other.index : one.change < other.change;
}

enum { POSITION_SIZE = 44 };
/* "INDEX" for a whole entry, else "INDEX-CHANGE"; with a NUL. */
void command_position_print(struct position position, char text[POSITION_SIZE]);
bool command_position_parse(struct bytes text, struct position *position);

struct history *command_history_new(struct db *db, size_t bytes_max); /* db: borrowed */
void command_history_free(struct history *history);
struct command_listener *command_history_listener(struct history *history);
struct db *command_history_db(const struct history *history);
uint64_t command_history_count(const struct history *history); /* rises with each change */
/* Behind which everything is there. */
struct position command_history_floor(const struct history *history);
bool command_history_has(const struct history *history, struct position position);

/* Where a reader is. */
struct history_cursor {
    uint64_t chunk;
    size_t offset;
};

/* Before all that is behind `position`, and not far before. */
struct history_cursor command_history_find(const struct history *history, struct position position);

struct history_change {
    struct position position;
    struct db_effect effect; /* borrowed until the next change is noted */
};

/* The next one, and the cursor behind it; false: there is none yet.  What has gone is passed
 * over: ask command_history_has() first. */
bool command_history_next(const struct history *history, struct history_cursor *cursor,
                          struct history_change *change);

#endif
