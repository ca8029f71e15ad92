/* A machine for Lua scripts: Lua 5.1 in a box, which does the same on every node.
 *
 *     script_begin()        script_go_on()
 *     idle ------> ready ----------------> CALLS: redis.call() wants a command executed:
 *                    ^                        script_answer() or script_refuse()
 *                    |                     PAUSES: it ran for a slice; only go on
 *                    +--------------------/
 *                                          ENDS: the reply is there
 *
 * The script runs on a fiber, so it stops wherever it is.  Its state lies in an arena and is put
 * back to what it was, byte for byte, before each script: nothing of one is left for the next.
 * What it may do is counted in instructions and bytes, which are the same on all nodes, and never
 * in time.  It sees no address, no clock and no chance but a generator that begins anew each time.
 *
 * Knows nothing of commands: who runs it executes what it calls.  Deterministic; loop thread
 * only. */
#ifndef SCRIPT_SCRIPT_H
#define SCRIPT_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

enum { SCRIPT_FUNCTION_NAME_MAX = 1024 };
enum { SCRIPT_SHA_SIZE = 40 }; /* hexadecimal digits of the SHA-1 of a body */

struct script;

enum script_step { SCRIPT_CALLS, SCRIPT_PAUSES, SCRIPT_ENDS };

enum script_flags {                           /* of a line "#!lua flags=...", Redis's */
                    SCRIPT_HAS_LINE = 1 << 0, /* there is one */
                    SCRIPT_NO_WRITES = 1 << 1,
                    SCRIPT_ALLOW_OOM = 1 << 2,
                    SCRIPT_ALLOW_STALE = 1 << 3,
                    SCRIPT_NO_CLUSTER = 1 << 4,
                    SCRIPT_CROSS_SLOT = 1 << 5
};

/* All borrowed until the script has ended, the body until the first step was made. */
struct script_run {
    struct bytes sha, body;
    const struct bytes *keys, *arguments;
    uint32_t key_count, argument_count;
    int protocol;          /* of its reply */
    uint64_t seed;         /* of math.random() */
    bool waits;            /* pauses when it has its words, before it does anything */
    bool is_library;       /* the body is code that registers functions, */
    struct bytes function; /* of which this one is called */
    /* Whether there is such a command. */
    bool (*knows_command)(const struct bytes *argv, uint32_t argc);
};

/* A command that redis.call() wants. */
struct script_call {
    const struct bytes *argv; /* borrowed until the answer; at least one */
    uint32_t argc;
    int protocol; /* of the reply, 2 or 3 */
};

struct script *script_new(void);
void script_free(struct script *script); /* NULL allowed */

void script_sha(struct bytes body, char sha[SCRIPT_SHA_SIZE + 1]);
/* Reads the line "#!lua ..." of a body, if it has one, into *flags; false: *error says why not. */
bool script_flags_of(struct bytes body, unsigned *flags, struct buffer *error);
/* Whether it is a script; false: *error says why not. */
bool script_compiles(struct script *script, struct bytes sha, struct bytes body,
                     struct buffer *error);

/* Runs the code of a library, for some ms at the most; false: *error is the reply that says why it
 * cannot be loaded. */
bool script_loads(struct script *script, struct bytes sha, struct bytes code, struct buffer *error);
/* A function that the code registered, borrowed until the next script begins. */
struct script_function {
    struct bytes name, description;
    unsigned flags; /* enum script_flags */
};
/* Of the one that script_loads() loaded, the next from *at on, which begins with 0; false: that
 * were all. */
bool script_registered(const struct script *script, size_t *at, struct script_function *function);
/* Letters, digits and underscores, one at least. */
bool script_is_word(struct bytes text);
/* The flag of that name, and the name of a flag; false, NULL: there is none. */
bool script_flag_of(struct bytes name, unsigned *flag);
const char *script_flag_name(unsigned flag);

/* Forgets what it was doing. */
void script_begin(struct script *script, const struct script_run *run);
enum script_step script_go_on(struct script *script);
/* After SCRIPT_PAUSES: where script_run.waits says so. */
bool script_is_waiting(const struct script *script);
/* After SCRIPT_CALLS. */
struct script_call script_called(const struct script *script);
void script_answer(struct script *script, struct bytes reply); /* copied */
void script_refuse(struct script *script, const char *error);  /* "ERR ..." or without a code */
/* The script does not go on, but failed: its next step is SCRIPT_ENDS. */
void script_end(struct script *script, const char *why);
/* A new slice begins. */
void script_slice(struct script *script);
/* After SCRIPT_ENDS: borrowed until the next script_begin().  *failed: it raised an error, or
 * passed a bound. */
struct bytes script_reply(const struct script *script, bool *failed);
/* What it did since script_begin(), in instructions. */
uint64_t script_spent(const struct script *script);
/* Bytes of all that Lua has. */
uint64_t script_memory(const struct script *script);

#endif
