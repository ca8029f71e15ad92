/* From words to a reply.  One row per command in table.c; one file per family.
 *
 * This directory knows no sockets, no clock and no randomness of its own: time and seed of a write
 * travel in its log entry, time of a local command is given with the call. */
#ifndef COMMAND_COMMAND_H
#define COMMAND_COMMAND_H

#include <stdint.h>

#include "base/blob.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/rope.h"
#include "data/db.h"
#include "resp/writer.h"

struct command_check_notice; /* check.h: what members tell each other of their data */
struct command_observer;     /* observer.h: who counts */
struct connection;           /* connection.h: one connection's state */
struct server;               /* server.h: what local commands may ask of the rest of the process */
struct server_scripts;       /* server.h */

/* Words of a command taken apart; the array is owned. */
struct words {
    struct bytes *argv;
    uint32_t capacity;
};

/* How far a long command has come: a walk over the keyspace, or over its own words.  While it is
 * unfinished it has replied nothing, and the state machine is asked again; nobody else changes the
 * data in between, or reads of them but what was before (long.c). */
struct walk_state {
    bool unfinished;
    bool second_round; /* of a command that goes over its words twice */
    bool is_prepared;  /* all is done but its end: preparing.h */
    uint64_t cursor;
    uint64_t count;         /* what it counts, */
    uint64_t seen;          /* and of how many it has looked at */
    uint64_t space;         /* of a large collection that it makes or changes: see fields.h */
    uint64_t seed;          /* of the first slice, for who draws in several */
    struct db_scan_met met; /* by a SCAN: walk.h */
    /* Parts of the reply, whose number must stand before them; the newest are in `found`. */
    struct rope parts;
    struct buffer found;
    struct words words;    /* of what it carries */
    struct placed *placed; /* words that are in pages already: string_parts.h; owned, or NULL */
    int64_t budget;        /* of a slice: see call_slice(); of SCAN what is left of COUNT */
    uint64_t work;         /* db_work() at its beginning */
    /* What it keeps besides from one slice to the next, owned, and what frees it. */
    void *kept;
    void (*kept_free)(void *kept);
};

/* What a command asks to have executed for it: call_carry(). */
struct carry {
    const struct command *command; /* NULL: nothing */
    const struct bytes *argv;      /* borrowed until it has ended */
    uint32_t argc;
    unsigned allows; /* what it may carry itself: call.allows, or less */
    int protocol;    /* of its reply, for call.carried */
    unsigned database;
};

/* One execution of one command, or a slice of it. */
struct call {
    const struct command *command;
    const struct bytes *argv; /* argv[0] is the name; all borrowed */
    uint32_t argc;
    bool is_decoding;              /* not all of them are there yet: machine.c */
    struct db *db;                 /* NULL for a local command */
    struct db_view *view;          /* of a read that goes on: it looks there; else NULL */
    unsigned database;             /* of db: the one that the client selected */
    struct reply *reply;           /* exactly one reply is written to it */
    struct rope *rest;             /* what comes behind what `reply` holds; NULL: it holds all */
    uint32_t reply_max;            /* of a read: a larger reply may end anywhere; 0: it may not */
    struct connection *connection; /* NULL unless local */
    struct server *server;         /* NULL unless local */
    uint64_t client;               /* of this node, for who observes; 0: of another, or none */
    int64_t now_ms;                /* the only clock a command may use: Unix time, milliseconds */
    uint64_t seed;                 /* the only randomness a command may use */
    size_t value_max;              /* of a write: the largest string that it may make */
    uint8_t meaning;               /* the version of the commands: see meaning.c */
    struct call_preparing *preparing; /* it is to stop before its end: preparing.h; else NULL */
    struct db *prepared;              /* where it stopped then, if this is its end; else NULL */
    bool may_wait;     /* where it finds nothing, its reply is none: it waits, outside of the log */
    bool is_of_script; /* a script carries it */
    bool is_followed;  /* of a read that goes on: nothing may be seen that is later than its view */
    uint32_t holders;  /* of a read that may wait: see struct apply_context */
    bool found_nothing;                  /* set by call_found_nothing() */
    struct command_check_notice *notice; /* of an entry, not of what it carries: check.h; or NULL */
    struct command_observer *observer;   /* NULL: nobody counts */
    struct walk_state *walk;     /* of a read or write: it may be done in slices; NULL if local */
    unsigned allows;             /* CMD_READ, CMD_WRITE: what it may carry; see execution.h */
    struct carry *carry;         /* likewise: what call_carry() asked for */
    const struct bytes *carried; /* the reply to what it carried last; NULL: it just begins */
};

typedef void command_fn(struct call *call);
/* Looks at the words alone.  False: they are wrong in any state of the data; answered. */
typedef bool command_words_fn(struct call *call);

enum command_flags {
    /* Exactly one of three: where the command runs.  (raft.exec is a read or a write.) */
    CMD_LOCAL = 1 << 0, /* at once, on the node that the client is connected to: PING, INFO */
    CMD_READ = 1 << 1,  /* on the leader, after it confirmed that it is one */
    CMD_WRITE = 1 << 2, /* through the log, on every node */

    CMD_NO_AUTH = 1 << 3,   /* allowed before AUTH */
    CMD_CONTAINER = 1 << 4, /* its second word names the command: CLIENT, CONFIG, COMMAND */

    /* The rest only for COMMAND's sake: Redis's flags and categories. */
    CMD_ADMIN = 1 << 5,
    CMD_FAST = 1 << 6,
    CMD_DENYOOM = 1 << 7,
    CMD_NOSCRIPT = 1 << 8,
    CMD_LOADING = 1 << 9,
    CMD_STALE = 1 << 10,
    CMD_ALLOW_BUSY = 1 << 11,
    CMD_KEYSPACE = 1 << 12,
    CMD_STRING = 1 << 13,
    CMD_CONNECTION = 1 << 14,
    CMD_DANGEROUS = 1 << 15,
    CMD_ADMIN_CATEGORY = 1 << 16, /* without the flag */
    CMD_MOVABLE_KEYS = 1 << 17,   /* `keys` does not tell them */
    CMD_HASH = 1 << 18,
    CMD_SET = 1 << 19,
    CMD_TRANSACTION = 1 << 20,
    CMD_SKIP_SLOWLOG = 1 << 21,
    CMD_SORTED_SET = 1 << 24,
    CMD_LIST = 1 << 25,
    CMD_STREAM = 1 << 26,
    CMD_BITMAP = 1 << 27,
    CMD_HYPERLOGLOG = 1 << 28,
    CMD_GEO = 1 << 29,
    CMD_PUBSUB = 1ull << 40,

    CMD_INTERNAL = 1 << 22, /* made by a member; for a client there is no such command */
    CMD_BLOCKING = 1 << 30, /* it may wait: waiting.c; or be only called that */
    CMD_PURE = 1 << 23,     /* local, and changes nothing: inside MULTI it is done when queued */

    CMD_SCRIPTING = 1ull << 41,
    CMD_SKIP_MONITOR = 1ull << 42,
    CMD_NO_MANDATORY_KEYS = 1ull << 43,

    CMD_LONG = 1ull << 44, /* of a write: it may take many slices, however few words it has */
    CMD_PUTS = 1ull << 45, /* of a write: it puts words as whole strings: string_parts.h */

    CMD_SINCE_SHIFT = 56 /* above it: the first meaning that has it, 0: all of them */
};

struct command {
    const char *name; /* lower case; of a subcommand "client|setname" */
    int arity;        /* n: exactly n words with the name; -n: at least n */
    uint64_t flags;
    struct {
        int first, last, step; /* last < 0 counts from the end; first 0: no keys */
    } keys;
    command_fn *execute; /* NULL: a container whose second word is never missing */
    /* May be left out, but not of a write that can be refused for its words: that is done before it
     * gets into the log. */
    command_words_fn *words;
};

extern const uint8_t command_meaning_newest; /* that this build can execute: meaning.c */

/* The first meaning that has the command. */
static inline uint8_t command_since(const struct command *command)
{
    return (uint8_t)(command->flags >> CMD_SINCE_SHIFT);
}

/* Whether `argc` words, name included, are a number that the command takes. */
bool command_takes(const struct command *command, uint32_t argc);
/* It asks for a change of members, and no other command may carry it: change.h. */
bool command_is_change(const struct command *command);
/* By full name in any case ("get", "client|setname"); NULL: no such command. */
const struct command *command_lookup(struct bytes name);
/* By the words of a call: a container's subcommand is looked up, too.  NULL: no such command, or no
 * such subcommand. */
const struct command *command_find(const struct bytes *argv, uint32_t argc);
/* Those that clients may call, in the order of table.c; behind them in the same array up to `all`
 * (may be NULL) those that members make for themselves. */
const struct command *command_table(uint32_t *count, uint32_t *all);

/* Whether the words of `call`, whose `command` this sets, may be proposed, or read, under its
 * meaning: the command is known, its arity and options are right, it is of that meaning, and so is
 * the database.  False: answered. */
bool command_admit(struct call *call);

/* ---- what the network calls ---------------------------------------------- */

enum command_class {
    COMMAND_LOCAL,  /* command_run_local() */
    COMMAND_READ,   /* through replica_submit(), as a read */
    COMMAND_WRITE,  /* through replica_submit(), as a write */
    COMMAND_QUEUED, /* command_queue(): it is kept for EXEC */
    COMMAND_OTHER,  /* not of command_classify() */
    COMMAND_REFUSED /* the error reply was written to connection->out; done */
};

/* Finds the command and checks name, arity, authentication, key and value sizes: everything that
 * can be refused without the data, in Redis's order and words.  argc > 0.  Also takes CLIENT
 * REPLY's step from one command to the next, so connection_is_silent() afterwards speaks of this
 * command. */
enum command_class command_classify(struct connection *connection, const struct bytes *argv,
                                    uint32_t argc, const struct command **command);
/* Whether what is to be done with it begins with encoding it as it is said. */
bool command_will_be_encoded(const struct command *command, enum command_class class);
/* What a read or write is asked for with: command_encode() of its words; for EXEC the whole
 * transaction, which ends with it.  `encoded`: the words, where that was done before, else NULL;
 * a reference of it may be taken. */
struct blob *command_take_request(struct connection *connection, const struct command *command,
                                  const struct bytes *argv, uint32_t argc, struct blob *encoded);
/* Whether it may not be asked for before all replies to earlier ones are there, and whether nothing
 * may follow before its own is: connection->transaction.awaits then says so. */
bool command_needs_reply(const struct connection *connection, const struct command *command,
                         const struct bytes *argv, uint32_t argc);
/* That reply; `is_done`: it is one of the command's own.  Returns what the client is to get; it may
 * have got more in connection->out. */
struct bytes command_reply_came(struct connection *connection, struct server *server, bool is_done,
                                struct bytes reply);
/* It answers each of its words by itself, SUBSCRIBE and the like: several commands of some of them
 * each are the same to its client. */
bool command_is_divided(const struct command *command);
/* UNSUBSCRIBE and the like without words end some subscriptions: there are more, for the same again
 * to end. */
bool command_leaves_some(const struct connection *connection, const struct command *command);
/* WAIT and WAITAOF: reads, where the members know of waiting, else local. */
bool command_is_wait(const struct command *command);
/* The reply of a write, asked for with `request`, whose entry at `index` told messages: with the
 * numbers of who got them here in the place of PUBLISH's zeros, if it was that or an EXEC.  Else
 * `reply` itself; in `text`, the caller's, what is not. */
struct bytes command_count_receivers(const struct server *server, struct bytes request,
                                     uint64_t index, struct bytes reply, struct buffer *text);
/* A pause of what writes is not for it, though it goes through the log. */
bool command_is_unpaused(const struct command *command);
/* For how long its client, and nobody else, is to wait before it is executed: DEBUG SLEEP. */
int64_t command_sleep_ms(const struct command *command, const struct bytes *argv, uint32_t argc);
/* CLIENT CACHING is for one command, or one transaction; it is over. */
void command_caching_ends(struct connection *connection, const struct command *command);
/* Answers QUEUED. `encoded` as above. */
void command_queue(struct connection *connection, struct server *server,
                   const struct command *command, const struct bytes *argv, uint32_t argc,
                   struct blob *encoded);
/* Appends the reply to connection->out, nothing if connection_is_silent(). */
void command_run_local(struct connection *connection, struct server *server,
                       const struct command *command, const struct bytes *argv, uint32_t argc);

/* How long the command waits for what it does not find, in milliseconds; 0: for ever;
 * COMMAND_AT_ONCE: not at all.  Its words were admitted. */
enum { COMMAND_AT_ONCE = -1 };
int64_t command_wait_ms(const struct command *command, const struct bytes *argv, uint32_t argc);
/* The reply to one that waits and is a read, asked for with `request`, may be no more than what it
 * waits for, as where XREAD said `$`.  Then it waits on, asked again with what this gives; NULL: it
 * is the client's reply. */
struct blob *command_ask_again(struct bytes request, struct bytes reply);

/* The form in which a read or write travels to the leader and (writes) into the log:
 *   u32 argc, then argc times u32 size, bytes; little endian. */
struct blob *command_encode(const struct bytes *argv, uint32_t argc);
/* The same of a large one, some at a time; {0} at first.  The words may lie elsewhere each time. */
struct command_encoding {
    struct blob *blob; /* owned */
    uint32_t words;    /* are in it */
    bool is_inside;    /* the next is there in part, but for these bytes: */
    size_t left;
    size_t at;
};
enum { COMMAND_ENCODED_WORD = 16 }; /* beside its bytes a word costs what so many cost */
/* `left`: what that may cost, in bytes, which becomes less.  True: it is whole. */
bool command_encode_some(struct command_encoding *encoding, const struct bytes *argv, uint32_t argc,
                         size_t *left);
void command_encoding_drop(struct command_encoding *encoding);
/* False if malformed; `argv` is a growing array owned by the caller (start with NULL, 0). */
bool command_decode(struct bytes encoded, struct bytes **argv, uint32_t *argc, uint32_t *capacity);
/* The same some words at a time: `words` is 0 at first, and *argc when all of them are there. */
struct command_decoding {
    uint32_t words;
    size_t at;
};
enum { COMMAND_DECODED_WORDS = 1 << 15 }; /* in a turn */
bool command_decode_some(struct bytes encoded, struct bytes **argv, uint32_t *argc,
                         uint32_t *capacity, struct command_decoding *decoding, uint32_t most);
/* Its first words, at most `max`; how many there are. */
uint32_t command_first_words(struct bytes encoded, struct bytes *argv, uint32_t max);
/* How many it says that it has. */
uint32_t command_word_count(struct bytes encoded);

/* ---- what the replica calls: see machine.c ---------------------------------- */

struct state_machine;
/* Executes committed writes and confirmed reads on `db` (borrowed), of meanings up to
 * `meaning_known`. */
struct state_machine *command_machine_new(struct db *db, uint8_t meaning_known);
void command_machine_free(struct state_machine *machine);
/* For INFO, at any time.  May read the disk. */
void command_count_scripts(struct db *db, struct server_scripts *counted);
/* Borrowed; NULL: nobody counts. */
void command_machine_observe(struct state_machine *machine, struct command_observer *observer);

/* Writes that walk over so many elements are prepared; tests want fewer. */
void command_machine_prepare_from(struct state_machine *machine, uint64_t elements);
/* Scripts of so many slices are run before their entry the next time; tests want all of them to be
 * run so, always: 0. */
void command_machine_long_from(struct state_machine *machine, unsigned slices);
/* How many entries were executed by what was prepared, since the start. */
uint64_t command_machine_prepared(const struct state_machine *machine);

/* Who is told what each applied entry did to keys: in log order, once, the same on every node,
 * again when the log is replayed.  A read tells nothing. */
struct command_listener {
    struct command_listener *next; /* the machine's */
    uint64_t work;                 /* what telling cost so far: like db_work() */
    uint64_t author; /* the client of this node that asked for the entry; 0: another's, or none */
    void (*effect)(struct command_listener *listener, uint64_t index,
                   const struct db_effect *effect);
};
/* From the next entry on, behind those that listen already.  Borrowed; NULL: nobody does any more,
 * and nothing is noted. */
void command_machine_listen(struct state_machine *machine, struct command_listener *listener);

#endif
