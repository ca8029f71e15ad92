/* What a command says and asks while it is prepared, and in the entry of one that was: its side of
 * prepare.h.  Loop thread. */
#ifndef COMMAND_PREPARING_H
#define COMMAND_PREPARING_H

#include "command/commands.h"

#ifndef PREPARE_WORDS_LEAST     /* of fewer words nothing takes long; */
#define PREPARE_WORDS_LEAST 256 /* the simulator builds this with fewer */
#endif

/* Keys that were looked at, whether they were there or not; too many to be identified: the place
 * beside the db remembers them, and hears what entries do to keys. */
struct looks {
    bool are_possible;
    int64_t until_ms; /* then the first of them, or of its own elements, comes to a deadline */
    bool is_over;     /* one of them is, in the view */
};

/* What the preparation is told by the command, and by those that it carries. */
struct call_preparing {
    const struct walk_state *outermost; /* its own; what it carries goes on to its end */
    unsigned database;
    /* Whether it can be prepared with call->carry, whose looks are noted then. */
    bool (*may_carry)(struct call *call);
    struct looks looks;
    bool is_whole;  /* a script is run to its end, else it just gets its words */
    bool is_beyond; /* it carries what cannot be prepared */
};

/* All is done but the end.  True: the command is to put aside what it has, and return. */
bool call_stops(struct call *call);
/* How much of what a slice may do: less in a preparation, where another follows in the next turn,
 * and a small write of others takes several turns. */
uint64_t call_slice_share(const struct call *call, uint64_t most);
/* The command looked at a key, and found this; NULL: it is not there.  Of no account where sources
 * are few and none but words: those are noted before. */
void call_looks(struct call *call, struct bytes key, const struct db_record *found);
/* The same of a key that the command is about to look at, or delete: its changes are heard. */
void call_looks_first(struct call *call, struct bytes key);
/* What the command does with this deadline depends on whether it has come. */
void call_holds_until(struct call *call, int64_t deadline_ms);
/* The same of a key of any database. */
void call_looks_in(struct call *call, unsigned database, struct bytes key);
/* call->carry is about to be executed.  False: it cannot be prepared, nor can what carries it. */
bool call_may_carry(struct call *call);
/* What it does from now on depends on its entry: it cannot be prepared. */
void call_needs_its_entry(struct call *call);
/* In the entry, before any change: all keys that were deleted or put are. */
void call_take_keys(struct call *call);
/* In the entry: only the end is left. */
bool call_is_prepared(const struct call *call);
/* But of a script its beginning was prepared, or what is left is none of its preparation: from now
 * on it is executed as any other. */
void call_begins_prepared(struct call *call);
/* As call_slice(), of a write that may have been prepared: then no word is left. */
uint32_t call_slice_prepared(struct call *call, uint32_t first);
/* The number in this entry of a space that the command put aside; 0 stays 0. */
uint64_t call_take_space(struct call *call, unsigned database, uint64_t space);
/* In the entry, before any change: the rows and pages of this space are what they were made. */
void call_take_changes(struct call *call, uint64_t space);

#endif
