/* Is a history of one key linearizable?  Histories of several keys are split by key first, which is
 * sound because a history is linearizable exactly if each of its keys' is.
 *
 * The commands it knows stand in register.c and, for keys of any type, in typed.c.  ONCE is not
 * among them: its caller gives all tries of one request as one operation, which is what at most
 * once means. */
#ifndef TESTS_LINEAR_H
#define TESTS_LINEAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

enum { LINEAR_ARGS_MAX = 5 };

#define LINEAR_NEVER INT64_MAX /* `returned`: the client never learned the outcome */

/* One operation as a client saw it.  argv: the command without its key, e.g. {"CAS", old, new}. */
struct linear_op {
    uint32_t client;
    int64_t called, returned; /* any clock that all clients share */
    struct bytes argv[LINEAR_ARGS_MAX];
    uint32_t argc;
    struct bytes reply; /* RESP; ignored when the outcome is unknown */
    bool of_types;      /* of a key of any type, with deadlines: typed.c; all of a key's are */
    /* Of types: the log's time when it took effect is at least, and, if it was answered, at most
     * that.  0: nobody knows. */
    int64_t time_from, time_to;
};

/* ---- the verdict ------------------------------------------------------------------------- */

enum linear_verdict { LINEAR_YES, LINEAR_NO, LINEAR_GAVE_UP };

/* The checker knows this command, with these words and this kind of reply. */
bool linear_knows(const struct linear_op *op);

/* All operations must be known.  Gives up after `steps_max` steps of the search; a step takes well
 * under a microsecond and at most some hundred bytes. */
enum linear_verdict linear_check(const struct linear_op *ops, uint32_t count, uint64_t steps_max);

/* Those that nobody asks for: that a key of any type ended, one for each deadline that was set (see
 * typed.h).  Returns how many, `count` at most; what they point into is that of `ops`. */
uint32_t linear_expiries(const struct linear_op *ops, uint32_t count, struct linear_op *expiries);

/* ---- why not ------------------------------------------------------------------------------ */

/* The smallest part that cannot be explained; lists hold numbers of operations. */
struct linear_window {
    int64_t from, to;
    bool from_start;                /* it begins where the history does, with no value */
    bool cut;                       /* there might be a smaller one: the steps were used up */
    uint64_t steps;                 /* that all trials took, at most twice `steps_max` */
    uint32_t *core, core_count;     /* answers that contradict each other; owned, like all below */
    uint32_t *others, others_count; /* under way then, but whatever they did does not help */
    uint32_t *order, order_count;   /* as far as an order gets */
};

/* Of a history of which linear_check, with as many steps, said no. */
void linear_window_find(struct linear_window *window, const struct linear_op *ops, uint32_t count,
                        uint64_t steps_max);
void linear_window_deinit(struct linear_window *window);

/* Words and reply, e.g. "CAS 1 2 -> 0". */
void linear_print_op(struct buffer *out, const struct linear_op *op);
void linear_text(struct buffer *out, const struct linear_op *ops,
                 const struct linear_window *window);
/* One page, complete in itself. */
void linear_html(struct buffer *out, const char *title, const struct linear_op *ops,
                 const struct linear_window *window);

/* ---- histories in files --------------------------------------------------------------------- */

struct linear_key {
    char *name; /* owned, like all below */
    struct linear_op *ops;
    uint32_t count, capacity;
};

struct linear_history {
    struct linear_key *keys;
    uint32_t count;
    struct buffer *texts; /* what words and replies point into */
    uint32_t texts_count;
};

/* The form stands at the head of history.c.  False, with a reason that names the line, if the file
 * is malformed; to be deinitialised in any case. */
bool linear_history_read(struct linear_history *history, const char *path, struct buffer *error);
void linear_history_deinit(struct linear_history *history);

#endif
