/* Is a history of one key linearizable?  The search of Wing and Gong with Lowe's memory of visited
 * configurations; histories of several keys are split by key first, which is sound because a
 * history is linearizable exactly if each of its keys' is. */
#ifndef TESTS_LINEAR_H
#define TESTS_LINEAR_H

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
    struct bytes reply; /* RESP2; ignored when the outcome is unknown */
};

enum linear_verdict { LINEAR_YES, LINEAR_NO, LINEAR_GAVE_UP };

/* Commands: GET SET SETNX DEL CAS CAD INCR APPEND.  `why` (may be NULL) gets the smallest part that
 * cannot be explained, one operation a line.  Gives up after `steps_max` steps of the search. */
enum linear_verdict linear_check(const struct linear_op *ops, uint32_t count, uint64_t steps_max,
                                 struct buffer *why);

#endif
