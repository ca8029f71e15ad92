/* Preparations: what a long write will put at its key is made before its entry is proposed, by the
 * leader, of a view, in slices between which entries are executed.  See src/README.md.
 *
 * A command that can be prepared has three lines for it (preparing.h):
 *
 *  - What it looks at it looks for in call->view, which is NULL in an entry; what it makes goes
 *    into a space of call->db, without a key, by the same code in both cases.
 *  - Where all is done but to give that its key and to answer, it asks call_stops(): if so, it puts
 *    aside what it has made, as between two slices, and returns.
 *  - At its entry, if the preparation holds, its walk state is that of then: call_is_prepared()
 *    says that there is nothing left to walk, and call_take_space() makes the space the entry's.
 *
 * A command that changes a large value in place has them, too.  It looks at the value as it is,
 * with its own changes, in a db that stands on the view, and puts aside what its record is to say;
 * in the entry, call_take_changes() takes over what became of the rows.
 *
 * A transaction is prepared as a whole: its commands are executed from beginning to end in a db
 * that stands on the view, all keys that they name are looked at, and it is EXEC that stops and
 * goes on.  So is a script that was long before (long_scripts.h), and it is EVAL that does.  ONCE
 * is not prepared, but what it carries.
 *
 * A preparation is a cache: it decides how long the entry takes and nothing else, but for two
 * things that the leader is free to decide: the entry gets the seed that was prepared with, and a
 * command that reckons with the time of its entry (HEXPIRE) is proposed as one that says when
 * (HPEXPIREAT), reckoned from the time at which it was prepared.  Loop thread. */
#ifndef COMMAND_PREPARE_H
#define COMMAND_PREPARE_H

#include "base/blob.h"
#include "command/execution.h"
#include "command/preparing.h"
#include "replica/replica.h"

enum { PREPARE_NAME_WORDS = 2 }; /* what names a command, at most */

/* What is known of a command by its name and the number of its words. */
struct command_preparing {
    bool is_mostly_short;
    bool is_of_once;   /* it is prepared where ONCE carries it, too */
    bool is_whole;     /* a script that was long: it is run, as a transaction is */
    uint64_t elements; /* that take as long as its words; 0: command_prepares() says it */
};
/* By its first words, of which `known` are known, all that name it.  False: such a command is never
 * prepared; cheap, since every write is asked. */
bool command_may_prepare(const struct bytes *first, uint32_t known, uint32_t words,
                         struct command_preparing *how);
/* The same by the words of a command: how many elements is to be asked. */
bool command_may_be_long(struct bytes encoded);
/* How many elements the command, of a client and executed on the present state, walks over, about;
 * 0: it cannot be prepared. */
uint64_t command_prepares(struct call *call);

/* What reckons with the time of its entry, said with a time instead: that of the preparation, since
 * its entry's time is not known before.  The command gets another name, and others for the words
 * [from, to); the reply, what it does and what is told are the same. */
struct command_restating {
    const char *name;   /* NULL: it keeps its name */
    uint32_t from, to;  /* as many words as take their place, or none, behind the last */
    const char *option; /* the first of them; NULL: */
    int64_t number;     /* this is the only one */
};

/* How a command would be, that begins now; false: it stays as it is, or its words are not all
 * looked at yet (walk->unfinished). */
typedef bool command_restate_fn(struct call *call, struct command_restating *restating);
command_restate_fn command_fields_restate; /* hash_expiry.c */
command_restate_fn command_claim_restate;  /* stream_claims.c */

struct preparation;

/* `encoded` is taken; its words, which `call` has not, were admitted.  is_whole: of a script, it is
 * run to its end; else it just gets its words.  NULL: not now, there is no room for a view. */
struct preparation *preparation_new(struct db *db, struct blob *encoded, const struct call *call,
                                    bool is_whole);
void preparation_free(struct preparation *preparation); /* NULL allowed */
/* As state_machine_ops.prepared_as. */
bool preparation_restated(const struct preparation *preparation, int64_t asked_ms, int64_t now_ms,
                          struct command_parts *parts);

enum preparation_step {
    PREPARATION_MORE,
    PREPARATION_NOT_NOW, /* there is no room for a view */
    PREPARATION_CHANGED, /* what it was to look at is not what it was: of no use any more */
    PREPARATION_FAILED,  /* there is nothing to prepare: the command is answered at once */
    PREPARATION_READY
};

/* One slice, between two entries. */
enum preparation_step preparation_go_on(struct preparation *preparation, int64_t now_ms);
/* How many there were of the command. */
unsigned preparation_slices(const struct preparation *preparation);
/* A script is run to its end. */
bool preparation_is_whole(const struct preparation *preparation);
/* Of one that is ready: nothing is left to its entry but the end. */
bool preparation_leaves_the_end(const struct preparation *preparation);

/* It is ready, and of this command. */
bool preparation_is_of(const struct preparation *preparation, struct bytes encoded,
                       const struct call *call);
/* Before the first slice of its entry, at the entry's time (db_at()): whether all that it looked at
 * is what it was. */
bool preparation_holds(const struct preparation *preparation);
/* What it carried counts as executed now. */
void preparation_tell(const struct preparation *preparation, struct command_observer *observer);
/* For the frame of the entry: its words, which live as long as the preparation does, for an array
 * of words; and what the command kept. */
/* Where ONCE carries it, and all of the layer is taken, that comes before ONCE itself. */
void preparation_take_first(struct preparation *preparation, struct call *call);
bool preparation_is_carried(const struct preparation *preparation);
uint32_t preparation_take_words(struct preparation *preparation, struct bytes **argv,
                                uint32_t *capacity);
struct walk_state preparation_take(struct preparation *preparation);
struct db *preparation_place(const struct preparation *preparation);

#endif
